//! Knowledge comes from where the project says, as far as the operator offers it.

use std::process::Command;
use std::time::{Duration, Instant};

use e2e::{Stage, variable};
use serde_json::{Value, json};

/// A knowledge base of these sources, applied; `server` is what else `server.toml` offers.
fn base(sources: &str, server: &str) -> Stage {
    let mut stage = Stage::empty().unwrap();
    stage.write("groundcrew.toml", "name = \"sources\"\nenvironments = [\"prod\"]\n").unwrap();
    stage.write("knowledge/handbook.toml", sources).unwrap();
    let own = "listen = \"127.0.0.1:0\"\n[directories.project]\npath = \".\"\n";
    stage.write("server.toml", &format!("{own}{server}")).unwrap();
    stage.start().unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    stage
}

/// The documents that a question finds.
fn found(stage: &Stage, question: &str) -> Vec<String> {
    let found = stage.json(&["knowledge", "search", "handbook", question]);
    let found = found.unwrap_or_default();
    let passages = found["passages"].as_array().into_iter().flatten();
    passages.map(|passage| passage["document"].as_str().unwrap().to_owned()).collect()
}

/// Waits until a question finds these documents.
fn wait_until_found(stage: &Stage, question: &str, documents: &[&str]) {
    let start = Instant::now();
    while found(stage, question) != documents {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", found(stage, question));
        std::thread::yield_now();
    }
}

#[test]
fn documents_that_are_put_are_found_after_a_refresh_until_they_are_removed() {
    let stage = base("[[sources]]\nkind = \"push\"\nprefix = \"inbox/\"\n", "");
    stage.write("notes/returns.md", "# Returns\n\nHelmets go back within 14 days.").unwrap();
    let put = ["knowledge", "put", "handbook", "notes/returns.md"];
    assert_eq!(stage.groundcrew(&put).unwrap().trim(), "put notes/returns.md");
    assert_eq!(stage.groundcrew(&put).unwrap().trim(), "unchanged notes/returns.md");
    let listed = stage.groundcrew(&["knowledge", "documents", "handbook"]).unwrap();
    assert!(listed.contains("notes/returns.md"), "{listed}");
    let refresh = ["knowledge", "refresh", "handbook"];
    stage.groundcrew(&refresh).unwrap();
    assert_eq!(found(&stage, "helmets"), ["inbox/notes/returns.md"]);
    let remove = ["knowledge", "remove", "handbook", "notes/returns.md"];
    assert_eq!(stage.groundcrew(&remove).unwrap().trim(), "removed notes/returns.md");
    // The last document goes only with a person's word.
    let rejected = stage.groundcrew(&refresh).unwrap();
    assert!(rejected.contains("max_removed 1 of 0.2 allowed FAILED"), "{rejected}");
    assert_eq!(found(&stage, "helmets"), ["inbox/notes/returns.md"]);
    stage.groundcrew(&["knowledge", "refresh", "handbook", "--approve-removals"]).unwrap();
    assert!(found(&stage, "helmets").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_put_is_refused_and_what_was_put_outlives_a_power_cut() {
    let mut stage = base("[[sources]]\nkind = \"push\"\n", "");
    let route = "/api/v1/knowledge/handbook/documents";
    let put = async |stage: &Stage, route: &str, body: Value| {
        let answer = stage.post(route, body.to_string()).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for (body, why) in [
        (json!({"path": "a.md"}), "`text` or `content`"),
        (json!({"path": "a.md", "text": "x", "content": "eA=="}), "`text` or `content`"),
        (json!({"path": "a.md", "content": "?"}), "base 64"),
        (json!({"path": "", "text": "x"}), "empty"),
        (json!({"path": "a\u{0}b", "text": "x"}), "control"),
        (json!({"path": "a.md", "text": "x", "modified_at": "soon"}), "no moment"),
        (json!({"path": "a.md", "text": "x".repeat((16 << 20) + 1)}), "allowed"),
        (json!({"path": "a.md", "text": "x", "author": "ada"}), "author"),
    ] {
        let (status, told) = put(&stage, route, body).await;
        assert!(status == 400 && told.contains(why), "{status} {told}");
    }
    let (status, _) =
        put(&stage, &route.replace("handbook", "none"), json!({"path": "a", "text": "x"})).await;
    assert_eq!(status, 404);
    let (status, told) = put(&stage, route, json!({"path": "a.md", "text": "Kept words."})).await;
    assert_eq!(status, 200, "{told}");
    stage.kill().unwrap();
    stage.start().unwrap();
    stage.groundcrew(&["knowledge", "refresh", "handbook"]).unwrap();
    assert_eq!(found(&stage, "kept"), ["a.md"]);
}

#[test]
fn a_viewer_puts_nothing_and_another_tenant_sees_nothing() {
    let stage = base("[[sources]]\nkind = \"push\"\n", "");
    stage.write("a.md", "Words.").unwrap();
    let key = |user: &str, role: &str, tenant: &str| {
        let of = ["--tenant", tenant];
        stage.groundcrew(&[&["user", "create", user, "--role", role], &of[..]].concat()).unwrap();
        let made = stage.json(&[&["key", "create", user], &of[..]].concat()).unwrap();
        made["key"].as_str().unwrap().to_owned()
    };
    let put = ["knowledge", "put", "handbook", "a.md"];
    let viewer = key("user:vera", "viewer", "default");
    let denied = stage.groundcrew_as(&viewer, &put).unwrap_err().to_string();
    assert!(denied.contains("WriteKnowledge"), "{denied}");
    stage.groundcrew(&put).unwrap();
    stage.groundcrew(&["tenant", "create", "other"]).unwrap();
    let other = key("user:otto", "admin", "other");
    for command in ["documents", "remove"] {
        let mut args = vec!["knowledge", command, "handbook"];
        args.extend((command == "remove").then_some("a.md"));
        let told = stage.groundcrew_as(&other, &args).unwrap_err().to_string();
        assert!(told.contains("no knowledge base"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_of_a_bucket_refreshes_what_reads_the_object() {
    let (endpoint, python) =
        (variable("GROUNDCREW_TEST_S3").unwrap(), variable("GROUNDCREW_TEST_PYTHON").unwrap());
    let bucket = format!("notices-{}", std::process::id());
    let script = |rest: &str| {
        let script = format!(
            "import boto3\ns3 = boto3.client('s3', endpoint_url='{endpoint}', \
             region_name='us-east-1', aws_access_key_id='t', aws_secret_access_key='t')\n{rest}"
        );
        assert!(Command::new(&python).args(["-c", &script]).status().unwrap().success());
    };
    script(&format!(
        "s3.create_bucket(Bucket='{bucket}')\n\
         s3.put_object(Bucket='{bucket}', Key='team/docs/a b.md', Body=b'Words of a bucket.')"
    ));
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "t").unwrap();
    let secret = secret.path().display();
    let server = format!(
        "[buckets.documents]\nbucket = \"{bucket}\"\nregion = \"us-east-1\"\nprefix = \"team\"\n\
         endpoint = \"{endpoint}\"\naccess_key_id = \"file:{secret}\"\n\
         secret_access_key = \"file:{secret}\"\n"
    );
    let source = "[[sources]]\nkind = \"bucket\"\nbucket = \"documents\"\npath = \"docs\"\n";
    let stage = base(source, &server);
    let notify = async |key: &str| {
        let object = json!({"bucket": {"name": bucket}, "object": {"key": key}});
        let notice = json!({"Records": [{"eventSource": "aws:s3", "s3": object}]});
        let notice = json!({"Type": "Notification", "Message": notice.to_string()});
        let route = "/api/v1/knowledge/handbook/events";
        let answer = stage.post(route, notice.to_string()).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json::<Value>().await.unwrap()
    };
    assert_eq!(notify("team/other/a.md").await["execution"], Value::Null);
    let told = notify("team/docs/a+b.md").await;
    assert_eq!(told["sources"], json!(["bucket"]));
    assert!(told["execution"].is_string(), "{told}");
    wait_until_found(&stage, "words", &["a b.md"]);
    let broken = stage.post("/api/v1/knowledge/handbook/events", "{}").await.unwrap();
    assert_eq!(broken.status(), 400);
}

#[test]
fn a_directory_that_is_watched_is_refreshed_when_its_files_change() {
    let source = "[[sources]]\nkind = \"directory\"\ndirectory = \"project\"\npath = \"docs\"\n\
        tier = \"continuous\"\n";
    let mut stage = Stage::empty().unwrap();
    stage.write("docs/a.md", "First words.").unwrap();
    stage.write("groundcrew.toml", "name = \"watched\"\nenvironments = [\"prod\"]\n").unwrap();
    stage.write("knowledge/handbook.toml", source).unwrap();
    let own = "listen = \"127.0.0.1:0\"\n[directories.project]\npath = \".\"\n";
    stage.write("server.toml", own).unwrap();
    stage.start().unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    wait_until_found(&stage, "words", &["a.md"]);
    stage.write("docs/b.md", "Second thoughts.").unwrap();
    wait_until_found(&stage, "thoughts", &["b.md"]);
}

#[test]
fn mistakes_about_what_is_offered_stop_the_server_with_a_reason() {
    for (server, why) in [
        ("[buckets.b]\n", "either a `path` or a `bucket`"),
        ("[buckets.b]\npath = \"x\"\nregion = \"eu\"\n", "are for a `bucket`"),
        ("[buckets.b]\nbucket = \"x\"\nregion = \"eu\"\n", "needs `access_key_id`"),
        ("[repositories.r]\nurl = \"file:///etc\"\n", "no https:// or ssh://"),
        ("[repositories.r]\nurl = \"https://a:b@example.com/x\"\n", "holds a password"),
        ("[repositories.r]\nurl = \"ssh://git@example.com/x\"\n", "needs both"),
        ("[networks.n]\naddresses = [\"10.0.0.0/99\"]\n", "no network"),
    ] {
        let stage = Stage::empty().unwrap();
        stage.write("server.toml", &format!("listen = \"127.0.0.1:0\"\n{server}")).unwrap();
        let told = stage.groundcrew(&["up"]).unwrap_err().to_string();
        assert!(told.contains(why), "{server}: {told}");
    }
}
