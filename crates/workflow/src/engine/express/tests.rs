use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Status;
use crate::engine::tests::{Fixture, HANG, WORK, key};
use crate::engine::{Defining, EngineError, MachineType, TenantEngine};

async fn define(engine: &TenantEngine, definition: &Value) -> Result<(), EngineError> {
    let defining = Defining { kind: Some(MachineType::Express), ..Defining::default() };
    engine.define_as("flow", &definition.to_string(), &defining).await.map(|_| ())
}

/// What `work` gives while the clock goes on.
async fn meanwhile<T>(fixture: &Fixture, work: impl Future<Output = T>) -> T {
    let clock = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            fixture.clock.advance(Duration::from_secs(1));
        }
    };
    tokio::select! {
        given = work => given,
        () = clock => unreachable!("the clock goes on"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_express_execution_waits_works_tries_again_and_leaves_nothing_behind() {
    let fixture = Fixture::new(1).await;
    let engine = fixture.tenant();
    let definition = json!({"StartAt": "Wait", "States": {
        "Wait": {"Type": "Wait", "Seconds": 60, "Next": "Work"},
        "Work": {"Type": "Task", "Resource": WORK, "End": true,
            "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 10}]}}});
    define(&engine, &definition).await.unwrap();
    let ended = meanwhile(&fixture, engine.start_sync("flow", Some("one"), json!({"n": 1}))).await;
    let record = ended.unwrap();
    assert_eq!(record.run.outcome.unwrap().output, Some(json!({"did": {"n": 1}})));
    let took = record.stopped_at.unwrap().duration_since(record.run.about.started_at);
    assert!((70..90).contains(&took.as_secs()), "{took:?}");
    let unknown = engine.execution(&key("one")).await;
    assert!(matches!(unknown, Err(EngineError::UnknownExecution(_))), "{unknown:?}");
}

#[tokio::test(start_paused = true)]
async fn an_express_execution_ends_after_five_minutes_and_frees_its_slot() {
    let fixture = Fixture::new(0).await;
    let engine = fixture.tenant();
    let definition = json!({"StartAt": "Hang", "States": {
        "Hang": {"Type": "Task", "Resource": HANG, "End": true}}});
    define(&engine, &definition).await.unwrap();
    let record = meanwhile(&fixture, engine.start_sync("flow", None, json!({}))).await.unwrap();
    assert_eq!(record.run.status, Status::TimedOut);
    let took = record.stopped_at.unwrap().duration_since(record.run.about.started_at);
    assert!((300..320).contains(&took.as_secs()), "{took:?}");
    let slots = &fixture.engine.as_ref().unwrap().shared.express;
    assert_eq!(slots.available_permits(), super::MOST);
}

#[tokio::test(start_paused = true)]
async fn an_express_execution_goes_on_if_nobody_waits_for_it() {
    let fixture = Fixture::new(0).await;
    let engine = fixture.tenant();
    let definition = json!({"StartAt": "Wait", "States": {
        "Wait": {"Type": "Wait", "Seconds": 5, "Next": "Work"},
        "Work": {"Type": "Task", "Resource": WORK, "End": true}}});
    define(&engine, &definition).await.unwrap();
    let dropped = engine.start_sync("flow", Some("one"), json!({}));
    tokio::time::timeout(Duration::from_millis(10), dropped).await.unwrap_err();
    // A second start of the same name is another execution.
    let again = engine.start("flow", Some("one"), json!({})).await.unwrap();
    assert_eq!(again.run.status, Status::Running);
    let both = async {
        while fixture.work.calls.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    meanwhile(&fixture, both).await;
}

#[tokio::test]
async fn too_many_express_executions_are_refused() {
    let fixture = Fixture::new(0).await;
    let engine = fixture.tenant();
    let definition = json!({"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": true}}});
    define(&engine, &definition).await.unwrap();
    let slots = fixture.engine.as_ref().unwrap().shared.express.clone();
    let taken = slots.acquire_many(u32::try_from(super::MOST).unwrap()).await.unwrap();
    let full = engine.start("flow", None, json!({})).await;
    assert!(matches!(full, Err(EngineError::Limit(_))), "{full:?}");
    drop(taken);
    let record = engine.start_sync("flow", None, json!({"n": 1})).await.unwrap();
    assert_eq!(record.run.outcome.unwrap().output, Some(json!({"n": 1})));
}

#[tokio::test]
async fn what_outlasts_five_minutes_is_refused_in_an_express_definition_and_a_type_stays() {
    let fixture = Fixture::new(0).await;
    let engine = fixture.tenant();
    let task = |resource: &str| json!({"Type": "Task", "Resource": resource, "End": true});
    let activity = "arn:aws:states:local:000000000000:activity:";
    let definition = json!({"StartAt": "Both", "States": {"Both": {
        "Type": "Parallel", "End": true, "Branches": [
            {"StartAt": "A", "States": {"A": task("arn:aws:states:::states:startExecution.sync:2")}},
            {"StartAt": "B", "States": {"B": task("arn:aws:states:::sqs:sendMessage.waitForTaskToken")}},
            {"StartAt": "C", "States": {"C": task(&format!("{activity}review"))}},
            {"StartAt": "D", "States": {"D": task(&format!("{activity}groundcrew.approval"))}},
            {"StartAt": "E", "States": {"E": task(WORK)}}]}}});
    let refused = define(&engine, &definition).await.unwrap_err().to_string();
    for (branch, state, what) in [
        (0, "A", "the '.sync:2' service integration"),
        (1, "B", "the '.waitForTaskToken' service integration"),
        (2, "C", "the activity arn:aws:states:local:000000000000:activity:review"),
        (3, "D", "the activity arn:aws:states:local:000000000000:activity:groundcrew.approval"),
    ] {
        let told = format!(
            "Express state machines do not support {what}. at \
             /States/Both/Branches[{branch}]/States/{state}/Resource"
        );
        assert!(refused.contains(&told), "{told}\n{refused}");
    }
    assert!(!refused.contains("/States/E/"), "{refused}");
    let standard = engine.define("flow", &definition.to_string()).await.unwrap();
    assert_eq!(standard.kind, MachineType::Standard);
    let pass = json!({"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": true}}});
    let changed = define(&engine, &pass).await;
    assert!(matches!(changed, Err(EngineError::Conflict(_))), "{changed:?}");
    let sync = engine.start_sync("flow", None, json!({})).await;
    let kind = MachineType::Standard;
    assert!(matches!(sync, Err(EngineError::Type { kind: found, .. }) if found == kind));
}
