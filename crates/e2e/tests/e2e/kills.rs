//! `kill -9` in the middle of executions: they end as they would have, with the same history.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use e2e::Stage;
use serde_json::{Value, json};

/// How often one execution of each workflow is started.
const ROUNDS: u64 = 20;
/// How often the server is killed meanwhile.
const KILLS: u64 = 5;
/// A function that notes each call before it does anything, and then does as it is told. A call that
/// was cut off with the server is none.
const WORK: &str = r#"input=$(cat)
case $input in *'}') ;; *) exit 1 ;; esac
echo "$GROUNDCREW_IDEMPOTENCY_KEY $input" >> ledger
sleep 0.05
fail() { echo "{\"errorType\":\"$1\",\"errorMessage\":\"as told\"}"; exit 1; }
case $input in
    *'"fail":"always"'*) fail Broken ;;
    *'"fail":"first"'*) case $input in *'"attempt":0'*) fail Busy ;; esac ;;
esac
echo "{\"did\":$input}"
"#;

/// A task of the function, and what else its state has.
fn task(fail: &str, more: Value) -> Value {
    let mut state = json!({
        "Type": "Task",
        "Resource": "arn:aws:lambda:eu-central-1:123456789012:function:work",
        "Parameters": {"of.$": "$$.Execution.Name", "attempt.$": "$$.State.RetryCount",
            "given.$": "$", "fail": fail}});
    state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    state
}

fn wait(next: &str) -> Value {
    json!({"Type": "Wait", "Seconds": 1, "Next": next})
}

/// Workflows of several commits each, by name.
fn workflows() -> BTreeMap<&'static str, Value> {
    let end = || task("never", json!({"End": true}));
    let next = |name: &str| task("never", json!({"Next": name}));
    let pick = json!({"did.$": "$.did.attempt"});
    let branch = |name: &str| {
        let (first, then) = (format!("{name}1"), format!("{name}2"));
        let mut states = serde_json::Map::new();
        states.insert(first.clone(), next(&then));
        states.insert(then, end());
        json!({"StartAt": first, "States": states})
    };
    let waiting = json!({"StartAt": "Rest", "States": {"Rest": wait("Late"), "Late": end()}});
    BTreeMap::from([
        (
            "chain",
            json!({"StartAt": "One", "States": {"One": next("Rest"), "Rest": wait("Two"),
                "Two": task("never", json!({"ResultSelector": pick, "Next": "Which"})),
                "Which": {"Type": "Choice", "Default": "No",
                    "Choices": [{"Variable": "$.did", "NumericEquals": 0, "Next": "Three"}]},
                "Three": end(), "No": {"Type": "Fail"}}}),
        ),
        (
            "retried",
            json!({"StartAt": "Busy", "States": {"Busy": task("first", json!({"Next": "Last",
                    "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 1}]})),
                "Last": end()}}),
        ),
        (
            "caught",
            json!({"StartAt": "Bad", "States": {"Bad": task("always", json!({"Next": "Never",
                    "Retry": [{"ErrorEquals": ["Broken"], "IntervalSeconds": 1, "MaxAttempts": 1}],
                    "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.fault", "Next": "Mend"}]})),
                "Never": {"Type": "Succeed"}, "Mend": next("Over"),
                "Over": {"Type": "Fail", "Error": "Told", "Cause": "so"}}}),
        ),
        (
            "parallel",
            json!({"StartAt": "All", "States": {
                "All": {"Type": "Parallel", "Branches": [branch("A"), branch("B"), waiting],
                    "Next": "After"},
                "After": task("never", json!({"Parameters": {"of.$": "$$.Execution.Name"}, "End": true}))}}),
        ),
        (
            "map",
            json!({"StartAt": "Each", "States": {
                "Each": {"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 2, "Next": "Rest",
                    "ItemProcessor": {"StartAt": "Item", "States": {"Item": end()}}},
                "Rest": wait("After"),
                "After": task("never", json!({"Parameters": {"of.$": "$$.Execution.Name"}, "End": true}))}}),
        ),
    ])
}

/// Starts an execution and asks until it is answered, whoever is killed meanwhile.
async fn start(stage: &Stage, workflow: &str, name: &str) -> bool {
    let body = json!({"name": name, "input": {"items": [1, 2, 3, 4, 5]}}).to_string();
    let path = format!("/api/v1/workflows/{workflow}/executions");
    let Ok(answer) = stage.post(&path, body).await else { return false };
    // A name is taken if an earlier answer was lost and the execution is over since.
    assert!(answer.status().is_success() || answer.status() == 409, "{}", answer.status());
    true
}

/// Starts the server again. A command that the dead one was about to run may hold its files for a
/// moment.
fn restart(stage: &mut Stage) {
    for _ in 0..10 {
        if stage.start().is_ok() {
            return;
        }
    }
    stage.start().unwrap();
}

async fn show(stage: &Stage, workflow: &str, name: &str) -> Value {
    let path = format!("/api/v1/workflows/{workflow}/executions/{name}?wait=true");
    let answer = stage.get(&path).await.unwrap();
    assert!(answer.status().is_success(), "{workflow}/{name} is lost: {}", answer.status());
    answer.json().await.unwrap()
}

/// What an execution came to, without its name and its moments, which are its own.
fn plain(shown: &Value, name: &str, keys: &BTreeSet<String>) -> Value {
    let mut text = json!({
        "status": shown["status"],
        "output": shown["output"],
        "error": shown["error"],
        "cause": shown["cause"],
        "history": shown["history"],
    })
    .to_string()
    .replace(name, "NAME");
    for key in keys {
        text = text.replace(key.as_str(), "KEY");
    }
    let mut plain: Value = serde_json::from_str(&text).unwrap();
    for event in plain["history"].as_array_mut().unwrap() {
        event.as_object_mut().unwrap().remove("timestamp");
    }
    plain
}

/// Puts what happened side by side in one order: each event with the one it followed from, without
/// their numbers. A join follows from whichever branch came last, and an iteration from whichever
/// made room for it.
fn unordered(plain: &mut Value) {
    let history = plain["history"].as_array_mut().unwrap();
    let bare = |event: &Value| {
        let mut event = event.clone();
        let fields = event.as_object_mut().unwrap();
        fields.remove("id");
        fields.remove("previousEventId");
        event.to_string()
    };
    let joins = [
        "ParallelStateSucceeded",
        "ParallelStateExited",
        "MapStateSucceeded",
        "MapStateExited",
        "MapIterationStarted",
    ];
    let with_previous = |event: &Value| {
        let previous = event["previousEventId"].as_u64().unwrap() as usize;
        let joins = joins.iter().any(|join| event["type"] == *join);
        let previous = history.get(previous.wrapping_sub(1)).filter(|_| !joins).map(bare);
        json!([bare(event), previous])
    };
    let mut events: Vec<_> = history.iter().map(with_previous).collect();
    events.sort_by_key(Value::to_string);
    plain["history"] = events.into();
}

/// The keys that the function was called with, by execution.
fn ledger(stage: &Stage) -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(stage.path().join("ledger")).unwrap();
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        let (key, input) = line.split_once(' ').unwrap();
        let input: Value = serde_json::from_str(input).unwrap();
        let of = input["of"].as_str().unwrap().to_owned();
        all.entry(of).or_default().insert(key.to_owned());
    }
    all
}

/// What an execution came to, once it is over; every task that it scheduled was done under a key of
/// its own and has one end.
fn checked(workflow: &str, shown: &Value, keys: &BTreeSet<String>) -> Value {
    let name = shown["execution"].as_str().unwrap().split_once('/').unwrap().1;
    let history = shown["history"].as_array().unwrap();
    let kinds = |wanted: &[&str]| {
        let is = |event: &&Value| wanted.iter().any(|kind| event["type"] == *kind);
        history.iter().filter(is).count()
    };
    let scheduled = kinds(&["LambdaFunctionScheduled"]);
    assert_eq!(keys.len(), scheduled, "{workflow}/{name}: {shown:#}");
    let ended = kinds(&["LambdaFunctionSucceeded", "LambdaFunctionFailed"]);
    assert_eq!(ended, scheduled, "{workflow}/{name}: {shown:#}");
    for (at, event) in history.iter().enumerate() {
        assert_eq!(event["id"], at as u64 + 1, "{workflow}/{name}");
        assert!(event["previousEventId"].as_u64() <= Some(at as u64), "{workflow}/{name}");
    }
    let mut plain = plain(shown, name, keys);
    if ["parallel", "map"].contains(&workflow) {
        unordered(&mut plain);
    }
    plain
}

/// Waits for the end of an execution of each workflow.
async fn ended(stage: &Stage, name: &str) -> BTreeMap<&'static str, Value> {
    let mut all = BTreeMap::new();
    for workflow in workflows().into_keys() {
        let shown = loop {
            let shown = show(stage, workflow, &format!("{workflow}-{name}")).await;
            if shown["status"] != "RUNNING" {
                break shown;
            }
        };
        all.insert(workflow, shown);
    }
    let ledger = ledger(stage);
    let check = |(workflow, shown): (&'static str, Value)| {
        let keys = &ledger[&format!("{workflow}-{name}")];
        (workflow, checked(workflow, &shown, keys))
    };
    all.into_iter().map(check).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_executions_killed_on_the_way_end_as_they_would_have() {
    let mut stage = Stage::empty().unwrap();
    let functions = "[functions.work]\ncommand = [\"sh\", \"work.sh\"]\nconcurrency = 64\n";
    stage.write("server.toml", &format!("listen = \"127.0.0.1:0\"\n{functions}")).unwrap();
    stage.write("work.sh", WORK).unwrap();
    stage.start().unwrap();
    for (name, definition) in workflows() {
        let body = json!({"name": name, "definition": definition.to_string()}).to_string();
        let defined = stage.post("/api/v1/workflows", body).await.unwrap();
        assert!(defined.status().is_success(), "{}", defined.text().await.unwrap());
    }
    let began = Instant::now();
    for workflow in workflows().into_keys() {
        assert!(start(&stage, workflow, &format!("{workflow}-calm")).await);
    }
    let calm = ended(&stage, "calm").await;
    assert_eq!(calm["caught"]["status"], "FAILED");
    assert_eq!(calm["map"]["status"], "SUCCEEDED", "{:#}", calm["map"]);
    let whole = began.elapsed();
    let (mut kills, mut hit) = (0, BTreeSet::new());
    for round in 0..ROUNDS {
        let name = format!("round-{round}");
        let began = Instant::now();
        let mut acknowledged = BTreeSet::new();
        for kill in 0..KILLS {
            // The moments of all rounds together are spread over the whole run.
            let share = (round * 7 % ROUNDS) as f64 / ROUNDS as f64;
            let moment = whole.mul_f64((kill as f64 + share) / KILLS as f64);
            let starting = async {
                for workflow in workflows().into_keys() {
                    if !acknowledged.contains(workflow)
                        && start(&stage, workflow, &format!("{workflow}-{name}")).await
                    {
                        acknowledged.insert(workflow);
                    }
                }
                std::future::pending::<()>().await;
            };
            let left = moment.saturating_sub(began.elapsed()).max(Duration::from_millis(5));
            let _killed = tokio::time::timeout(left, starting).await;
            stage.kill().unwrap();
            kills += 1;
            restart(&mut stage);
            for workflow in &acknowledged {
                let path = format!("/api/v1/workflows/{workflow}/executions/{workflow}-{name}");
                let shown = stage.get(&path).await.unwrap();
                assert!(shown.status().is_success(), "{workflow}-{name} is lost");
                let shown: Value = shown.json().await.unwrap();
                if shown["status"] == "RUNNING" {
                    hit.insert(format!("{workflow}-{name}"));
                }
            }
        }
        for workflow in workflows().into_keys() {
            assert!(start(&stage, workflow, &format!("{workflow}-{name}")).await);
        }
        for (workflow, shaken) in ended(&stage, &name).await {
            let events = |plain: &Value| plain["history"].as_array().unwrap().clone();
            for (shaken, calm) in events(&shaken).iter().zip(&events(&calm[workflow])) {
                assert_eq!(shaken, calm, "{workflow}-{name}");
            }
            assert_eq!(shaken, calm[workflow], "{workflow}-{name}");
        }
    }
    let hit = hit.len();
    println!("{kills} kills, {hit} executions killed on the way, each of {whole:?}");
    assert!(kills >= 100 && hit >= 40, "{kills} kills, {hit} executions");
}
