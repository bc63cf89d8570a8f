//! Two servers on one Postgres: what one begins, the other ends.

use e2e::{Stage, variable};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

/// Two servers on a database of their own, each with its own data directory.
struct Servers {
    a: Stage,
    b: Stage,
    url: String,
    database: String,
}

fn postgres() -> String {
    variable("GROUNDCREW_TEST_POSTGRES").unwrap()
}

async fn sql(statement: String) {
    let mut connection = PgConnection::connect(&postgres()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
}

impl Servers {
    /// With more in the `server.toml` of each.
    async fn start(name: &str, more: impl Fn(&str) -> String) -> Self {
        let database = format!("servers_{name}_{}", std::process::id());
        sql(format!("CREATE DATABASE {database}")).await;
        let url = format!("{}/{database}", postgres().rsplit_once('/').unwrap().0);
        let prepare = |server: &str| {
            let stage = Stage::empty().unwrap();
            stage.write("url", &url).unwrap();
            let file = stage.path().join("url").display().to_string();
            let file = format!(
                "listen = \"127.0.0.1:0\"\n[store]\nkind = \"postgres\"\nurl = \"file:{file}\"\n{}",
                more(server)
            );
            stage.write("server.toml", &file).unwrap();
            stage
        };
        let (mut a, mut b) = (prepare("a"), prepare("b"));
        a.start().unwrap();
        // Keys and tokens follow from it.
        let key = ".groundcrew/installation.key";
        b.write(key, &std::fs::read_to_string(a.path().join(key)).unwrap()).unwrap();
        b.start().unwrap();
        Self { a, b, url, database }
    }

    /// What the servers are called that share the database, struck or not.
    async fn names(&self) -> Vec<String> {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let all = "SELECT key FROM records WHERE collection = 'workflow.nodes' ORDER BY key";
        let rows = sqlx::query(all).fetch_all(&mut connection).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    async fn remove(self) {
        drop((self.a, self.b));
        sql(format!("DROP DATABASE {} WITH (FORCE)", self.database)).await;
    }
}

fn define(stage: &Stage, name: &str, state: &Value) {
    let text = json!({"StartAt": "S", "States": {"S": state}}).to_string();
    stage.write("flow.asl.json", &text).unwrap();
    stage.groundcrew(&["workflow", "define", name, "flow.asl.json"]).unwrap();
}

/// Waits for the end of an execution, as one server sees it.
fn ended(stage: &Stage, execution: &str) -> Value {
    loop {
        let shown = stage.json(&["workflow", "show", execution]).unwrap();
        if shown["status"] != "RUNNING" {
            return shown;
        }
    }
}

/// The successes in an execution's history.
fn successes(shown: &Value) -> Vec<&str> {
    let kinds = shown["history"].as_array().unwrap().iter();
    let kinds = kinds.filter_map(|event| event["type"].as_str());
    kinds.filter(|kind| kind.ends_with("Succeeded")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_sleeps_through_its_lease_loses_its_work_and_goes_on_under_another_name() {
    let shared = tempfile::tempdir().unwrap();
    let (ledger, go) = (shared.path().join("ledger"), shared.path().join("go"));
    let hold = |server: &str| {
        let script = format!(
            "echo $GROUNDCREW_IDEMPOTENCY_KEY >> {}; while [ ! -e {} ]; do sleep 0.05; done; \
             echo '\\\"{server}\\\"'",
            ledger.display(),
            go.display()
        );
        format!("[functions.hold]\ncommand = [\"sh\", \"-c\", \"{script}\"]\n")
    };
    let servers = Servers::start("sleep", hold).await;
    let (a, b) = (&servers.a, &servers.b);
    let begun = || -> Vec<String> {
        let text = std::fs::read_to_string(&ledger).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let function = "arn:aws:lambda:eu-central-1:123456789012:function:hold";
    define(a, "hold", &json!({"Type": "Task", "Resource": function, "End": true}));
    a.groundcrew(&["workflow", "start", "hold", "--name", "one"]).unwrap();
    while begun().is_empty() {
        tokio::task::yield_now().await;
    }
    a.pause().unwrap();
    while begun().len() < 2 {
        // The other one answers all the while.
        assert_eq!(b.json(&["workflow", "show", "hold/one"]).unwrap()["status"], "RUNNING");
    }
    let keys = begun();
    assert_eq!(keys[0], keys[1], "it is begun again with the same key");
    std::fs::write(&go, "").unwrap();
    assert_eq!(ended(b, "hold/one")["output"], "b");

    a.resume().unwrap();
    let name = std::fs::read_to_string(a.path().join(".groundcrew/node.id")).unwrap();
    let renewed = format!("{}.2", name.trim());
    while !servers.names().await.contains(&renewed) {}
    a.groundcrew(&["workflow", "start", "hold", "--name", "two"]).unwrap();
    assert_eq!(ended(a, "hold/two")["output"], "a");
    let shown = ended(a, "hold/one");
    assert_eq!(shown["output"], "b");
    assert_eq!(successes(&shown), ["LambdaFunctionSucceeded", "ExecutionSucceeded"], "{shown:#}");
    assert_eq!(begun().len(), 3, "nothing else was begun");
    servers.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_at_a_server_that_is_killed_comes_to_its_end_at_the_other() {
    let mut servers = Servers::start("kill", |_| String::new()).await;
    let (a, b) = (&mut servers.a, &servers.b);
    a.groundcrew(&["user", "create", "user:bob", "--role", "engineer"]).unwrap();
    let bob = a.json(&["key", "create", "user:bob"]).unwrap()["key"].as_str().unwrap().to_owned();
    let made = a.json(&["key", "create", "user:admin", "--aws"]).unwrap();
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let of = |name: &str| format!("arn:aws:states:local:000000000000:activity:{name}");
    define(a, "wait", &json!({"Type": "Wait", "Seconds": 3, "End": true}));
    let asks = json!({"Type": "Task", "Resource": of("groundcrew.approval"), "End": true,
        "TimeoutSeconds": 3600, "Parameters": {"message": "Go?", "approvers": ["user:bob"]}});
    define(a, "ask", &asks);
    a.script("stepfunctions_takeover.py", &["make", id, secret]).unwrap();
    let work = json!({"Type": "Task", "Resource": of("work"), "TimeoutSeconds": 600, "End": true});
    define(a, "work", &work);
    for flow in ["wait", "ask", "work"] {
        a.groundcrew(&["workflow", "start", flow, "--name", "one"]).unwrap();
    }
    let token = a.script("stepfunctions_takeover.py", &["take", id, secret]).unwrap();
    a.kill().unwrap();

    b.script("stepfunctions_takeover.py", &["report", id, secret, token.trim()]).unwrap();
    b.groundcrew_as(&bob, &["workflow", "approve", "ask/one", "-m", "read it"]).unwrap();
    let (wait, ask, work) = (ended(b, "wait/one"), ended(b, "ask/one"), ended(b, "work/one"));
    assert_eq!(successes(&wait), ["ExecutionSucceeded"], "{wait:#}");
    for shown in [&ask, &work] {
        assert_eq!(successes(shown).len(), 2, "{shown:#}");
        assert_eq!(shown["status"], "SUCCEEDED");
    }
    assert_eq!(work["output"], json!({"did": "well"}));
    servers.remove().await;
}
