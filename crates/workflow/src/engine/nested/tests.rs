use std::sync::Arc;

use release::{PrincipalId, TenantId};
use serde_json::{Value, json};
use store::Expect;

use super::{DEEPEST, Parent};
use crate::engine::start::Origin;
use crate::engine::tests::storage::{Storage, on_both_stores};
use crate::engine::tests::{Fixture, executions, key};
use crate::engine::{EXECUTIONS, ExecutionKey, ExecutionRecord, NodeId, TenantEngine};
use crate::{Fault, Report, Status};

const CHILD: &str = "arn:aws:states:eu-central-1:123456789012:stateMachine:child";

/// The workflow `flow` with one state, which starts an execution.
fn starting(how: &str, arguments: &Value) -> String {
    json!({"StartAt": "Start", "States": {"Start": {"Type": "Task", "End": true,
        "Resource": format!("arn:aws:states:::states:startExecution{how}"),
        "Parameters": arguments}}})
    .to_string()
}

/// The workflow `child`: waits a minute, then gives its input back or fails.
fn waiting() -> String {
    json!({"StartAt": "Wait", "States": {
        "Wait": {"Type": "Wait", "Seconds": 60, "Next": "Well?"},
        "Well?": {"Type": "Choice", "Default": "Give",
            "Choices": [{"Variable": "$.fail", "IsPresent": true, "Next": "Fail"}]},
        "Fail": {"Type": "Fail", "Error": "Bad", "Cause": "as told"},
        "Give": {"Type": "Pass", "End": true}}})
    .to_string()
}

fn child(name: &str) -> ExecutionKey {
    ExecutionKey { machine: "child".to_owned(), name: name.to_owned() }
}

/// An execution, as soon as `wanted` is true of it.
async fn until(
    engine: &TenantEngine,
    key: &ExecutionKey,
    wanted: impl Fn(&ExecutionRecord) -> bool,
) -> ExecutionRecord {
    loop {
        match engine.execution(key).await {
            Ok(record) if wanted(&record) => return record,
            _ => tokio::task::yield_now().await,
        }
    }
}

/// Starts `flow/one`, and gives its child once both are under way.
async fn started(engine: &TenantEngine, how: &str, arguments: &Value) -> ExecutionRecord {
    engine.define("child", &waiting()).await.unwrap();
    engine.define("flow", &starting(how, arguments)).await.unwrap();
    let record = engine.start("flow", Some("one"), json!({})).await.unwrap();
    let task = record.tasks.keys().next().unwrap().clone();
    let child = until(engine, &child(&task), |_| true).await;
    while engine.history(&key("one")).await.unwrap().len() < 5 {
        tokio::task::yield_now().await;
    }
    child
}

async fn kinds(engine: &TenantEngine) -> Vec<String> {
    engine.history(&key("one")).await.unwrap().into_iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn a_task_waits_for_the_execution_it_starts_through_crashes_and_starts_it_once() {
    for (how, output) in [(".sync", json!("{\"n\":1}")), (".sync:2", json!({"n": 1}))] {
        let mut fixture = Fixture::new(0).await;
        let arguments = json!({"StateMachineArn": CHILD, "Input": {"n": 1}});
        let begun = started(&fixture.tenant(), how, &arguments).await;
        fixture.restart().await;
        fixture.restart().await;
        fixture.pass(60).await;
        let engine = fixture.tenant();
        let done = engine.ended(&key("one")).await.unwrap();
        let told = done.run.outcome.unwrap().output.unwrap();
        assert_eq!(told["Output"], output);
        assert_eq!(told["Status"], "SUCCEEDED");
        assert_eq!(told["ExecutionArn"], begun.run.about.execution_arn);
        assert_eq!(told["StopDate"], "2026-01-01T00:01:00.000Z");
        // Its server holds it until its end is told.
        let settled = |record: &ExecutionRecord| !record.parent.as_ref().unwrap().waits;
        let settled = until(&engine, &begun.key, settled).await;
        assert_eq!(settled.indexes(), [("ended", "2026-01-01".to_owned())]);
        assert_eq!(executions(&engine, "child").await.len(), 1);
        let history = kinds(&engine).await;
        let expected = ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"];
        assert_eq!(history[2..6], expected.map(str::to_owned));
    }
}

#[tokio::test]
async fn an_end_that_was_not_reported_before_a_crash_is_reported_when_the_task_is_begun_again() {
    let arguments = json!({"StateMachineArn": CHILD, "Input": {"n": 1}});
    let probe = started(&Fixture::new(0).await.tenant(), ".sync", &arguments).await;
    let fixture = Fixture::new(0).await;
    let engine = fixture.tenant();
    let given = json!({"StartAt": "Give", "States": {"Give": {"Type": "Pass", "End": true}}});
    engine.define("child", &given.to_string()).await.unwrap();
    engine.define("flow", &starting(".sync", &arguments)).await.unwrap();
    // The task's own child, over, that tells nobody: as if the server had stopped at once.
    let parent = Some(Parent { waits: false, ..probe.parent.unwrap() });
    let origin = Origin { parent, ..Origin::default() };
    engine.begin(&probe.key, json!({"n": 1}), origin).await.unwrap();
    engine.start("flow", Some("one"), json!({})).await.unwrap();
    let done = engine.ended(&key("one")).await.unwrap();
    assert_eq!(done.run.outcome.unwrap().output.unwrap()["Output"], "{\"n\":1}");
    let history = kinds(&engine).await;
    let expected = ["TaskStarted", "TaskSubmitted", "TaskSucceeded"];
    assert_eq!(history[3..6], expected.map(str::to_owned));
}

on_both_stores! {
    an_end_that_a_crash_left_untold_is_told_by_whoever_takes_the_execution_up,
    what_a_stopped_execution_has_started_is_stopped_too,
    an_execution_whose_parent_is_gone_is_stopped_when_it_is_taken_up,
}

async fn an_end_that_a_crash_left_untold_is_told_by_whoever_takes_the_execution_up(
    on: &Arc<Storage>,
) {
    let mut fixture = Fixture::on(on, 0).await;
    let arguments = json!({"StateMachineArn": CHILD, "Input": {"n": 1}});
    let begun = started(&fixture.tenant(), ".sync", &arguments).await;
    // Another server holds the task that waits, and the child ends without a word.
    let elsewhere = NodeId::first("elsewhere");
    let mut parent = fixture.tenant().execution(&key("one")).await.unwrap();
    parent.hand_over(&begun.node, &elsewhere);
    let mut silent = begun.clone();
    silent.parent = None;
    for record in [&parent, &silent] {
        put(&fixture.tenant(), record).await;
    }
    fixture.restart().await;
    fixture.pass(60).await;
    let mut ended = fixture.tenant().ended(&begun.key).await.unwrap();
    ended.parent = begun.parent;
    put(&fixture.tenant(), &ended).await;
    fixture.restart().await;
    let done = fixture.tenant().ended(&key("one")).await.unwrap();
    assert_eq!(done.run.outcome.unwrap().output.unwrap()["Output"], "{\"n\":1}");
    assert_eq!(done.run.events, 8);
}

/// Writes a record as another server would.
async fn put(engine: &TenantEngine, record: &ExecutionRecord) {
    let key = record.key.to_string();
    let place = (EXECUTIONS, key.as_str());
    let transaction = engine.transaction();
    let written = transaction.put_indexed(place, record, Expect::Any, &record.indexes()).unwrap();
    engine.store().commit(written).await.unwrap();
}

#[tokio::test]
async fn a_failure_is_told_with_the_whole_execution() {
    let fixture = Fixture::new(0).await;
    let engine = fixture.tenant();
    let arguments = json!({"StateMachineArn": CHILD, "Input": {"fail": true}});
    started(&engine, ".sync", &arguments).await;
    fixture.pass(60).await;
    let done = engine.ended(&key("one")).await.unwrap();
    let fault = done.run.outcome.unwrap().fault.unwrap();
    assert_eq!(fault.error.as_deref(), Some("States.TaskFailed"));
    let told: Value = serde_json::from_str(&fault.cause.unwrap()).unwrap();
    assert_eq!((&told["Error"], &told["Cause"]), (&json!("Bad"), &json!("as told")));
    assert_eq!((&told["Status"], &told["Input"]), (&json!("FAILED"), &json!("{\"fail\":true}")));
}

async fn what_a_stopped_execution_has_started_is_stopped_too(on: &Arc<Storage>) {
    let mut fixture = Fixture::on(on, 0).await;
    let engine = fixture.tenant();
    let begun = started(&engine, ".sync", &json!({"StateMachineArn": CHILD})).await;
    engine.stop(&key("one"), Fault::default()).await.unwrap();
    let stopped = engine.ended(&begun.key).await.unwrap();
    assert_eq!(stopped.run.status, Status::Aborted);
    // Tried again, it belongs to nobody, and goes on through a restart.
    engine.redrive(&begun.key).await.unwrap();
    drop(engine);
    fixture.restart().await;
    fixture.pass(60).await;
    let done = fixture.tenant().ended(&begun.key).await.unwrap();
    assert_eq!(done.run.status, Status::Succeeded);
}

async fn an_execution_whose_parent_is_gone_is_stopped_when_it_is_taken_up(on: &Arc<Storage>) {
    let mut fixture = Fixture::on(on, 0).await;
    let engine = fixture.tenant();
    engine.define("child", &waiting()).await.unwrap();
    let parent = Parent { execution: key("gone"), task: "t".to_owned(), waits: true, depth: 1 };
    let origin = Origin { parent: Some(parent), ..Origin::default() };
    engine.begin(&child("orphan"), json!({}), origin).await.unwrap();
    drop(engine);
    fixture.restart().await;
    let stopped = fixture.tenant().ended(&child("orphan")).await.unwrap();
    assert_eq!(stopped.run.status, Status::Aborted);
}

#[tokio::test]
async fn an_execution_that_starts_itself_for_ever_ends() {
    let fixture = Fixture::new(0).await;
    let engine = fixture.tenant();
    let itself = CHILD.replace("child", "flow");
    let arguments = json!({"StateMachineArn": itself, "Input": {"n": 1}});
    engine.define("flow", &starting(".sync", &arguments)).await.unwrap();
    engine.start("flow", Some("one"), json!({})).await.unwrap();
    let done = engine.ended(&key("one")).await.unwrap();
    let cause = done.run.outcome.unwrap().fault.unwrap().cause.unwrap();
    assert!(cause.len() < 100_000, "{} bytes", cause.len());
    let all = executions(&engine, "flow").await;
    assert_eq!(all.len(), usize::try_from(DEEPEST).unwrap() + 1);
    let deepest = all.iter().find_map(|record| {
        let fault = record.run.outcome.clone()?.fault?;
        (fault.error.as_deref() != Some("States.TaskFailed")).then_some(fault)
    });
    let deepest = deepest.unwrap();
    assert_eq!(deepest.error.unwrap(), "StepFunctions.ExecutionLimitExceededException");
    let why = "`flow` is not started: 16 executions have started each other already";
    assert!(deepest.cause.unwrap().starts_with(why));
}

#[tokio::test]
async fn a_task_need_not_wait_or_waits_for_whoever_has_the_token() {
    let fixture = Fixture::new(0).await;
    let engine = fixture.tenant();
    let arguments = json!({"StateMachineArn": CHILD, "Name": "named", "Input": "{\"n\": 1}"});
    engine.define("child", &waiting()).await.unwrap();
    engine.define("flow", &starting("", &arguments)).await.unwrap();
    engine.start("flow", Some("one"), json!({})).await.unwrap();
    let done = engine.ended(&key("one")).await.unwrap();
    let told = done.run.outcome.unwrap().output.unwrap();
    let begun = engine.execution(&child("named")).await.unwrap();
    assert_eq!(told["ExecutionArn"], begun.run.about.execution_arn);
    assert_eq!((begun.run.status, begun.run.about.input), (Status::Running, json!({"n": 1})));

    let input = json!({"token.$": "$$.Task.Token"});
    let arguments = json!({"StateMachineArn": CHILD, "Name": "second", "Input": input});
    engine.define("flow", &starting(".waitForTaskToken", &arguments)).await.unwrap();
    engine.start("flow", Some("two"), json!({})).await.unwrap();
    let begun = until(&engine, &child("second"), |_| true).await;
    let token = begun.run.about.input["token"].as_str().unwrap();
    engine.report(token, Report::Succeeded(json!("done"))).await.unwrap();
    let done = engine.ended(&key("two")).await.unwrap();
    assert_eq!(done.run.outcome.unwrap().output, Some(json!("done")));
}

#[tokio::test]
async fn what_cannot_be_started_fails_the_task_as_the_service_says() {
    let fixture = Fixture::new(0).await;
    let engine = fixture.tenant();
    let other: TenantId = "other".parse().unwrap();
    let other = fixture.engine.as_ref().unwrap().tenant(&other, PrincipalId::user("eve").unwrap());
    other.define("theirs", &waiting()).await.unwrap();
    engine.define("child", &waiting()).await.unwrap();
    engine.start("child", Some("taken"), json!({})).await.unwrap();
    let theirs = CHILD.replace("child", "theirs");
    // Whoever starts executions does not call whatever they like.
    let webhook = CHILD.replace("child", "groundcrew.webhook");
    let cases = [
        (json!({"StateMachineArn": theirs}), "StepFunctions.StateMachineDoesNotExistException"),
        (json!({"StateMachineArn": webhook}), "StepFunctions.StateMachineDoesNotExistException"),
        (
            json!({"StateMachineArn": CHILD, "Name": "taken"}),
            "StepFunctions.ExecutionAlreadyExistsException",
        ),
        (
            json!({"StateMachineArn": CHILD, "Name": "no name"}),
            "StepFunctions.InvalidNameException",
        ),
        (
            json!({"StateMachineArn": CHILD, "Input": "{"}),
            "StepFunctions.InvalidExecutionInputException",
        ),
        (json!({"StateMachineArn": "child"}), "StepFunctions.InvalidArnException"),
        (json!({"Name": "x"}), "States.Runtime"),
    ];
    for (number, (arguments, error)) in cases.into_iter().enumerate() {
        engine.define("flow", &starting(".sync", &arguments)).await.unwrap();
        let name = format!("case-{number}");
        engine.start("flow", Some(&name), json!({})).await.unwrap();
        let done = engine.ended(&key(&name)).await.unwrap();
        let fault = done.run.outcome.unwrap().fault.unwrap();
        assert_eq!(fault.error.as_deref(), Some(error), "{fault:?}");
    }
}
