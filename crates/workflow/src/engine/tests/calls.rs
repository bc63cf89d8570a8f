//! Calls of services and functions, and webhooks.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use release::{PrincipalId, TenantId, Timestamp};
use serde_json::{Value, json};

use super::{Fixture, every_hour, followed, kept, key};
use crate::engine::{ExecutionRecord, OpenTask, Progress, Task, TaskCall};
use crate::rule::RuleSpec;
use crate::{Fault, Report, Status};

/// The calls that services were given, in their order.
#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<Mutex<Vec<TaskCall>>>);

#[derive(Debug)]
struct Service(&'static str, Calls);

impl Calls {
    pub fn services(&self) -> Vec<Arc<dyn Task>> {
        let service = |name| Arc::new(Service(name, self.clone())) as Arc<dyn Task>;
        vec![service("lambda:invoke"), service("glue"), service("http:invoke")]
    }

    /// Waits until there are so many.
    async fn wait(&self, count: usize) -> Vec<TaskCall> {
        loop {
            let calls = self.0.lock().unwrap().clone();
            if calls.len() >= count {
                return calls;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl Task for Service {
    fn name(&self) -> &'static str {
        self.0
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        // What is kept of it must not hold an engine that is gone.
        let kept = TaskCall { progress: Progress::default(), ..call.clone() };
        self.1.0.lock().unwrap().push(kept);
        let input = &call.input;
        let place = ["/do", "/Payload/do", "/RequestBody/do"];
        let wish = place.iter().find_map(|place| input.pointer(place)).and_then(Value::as_str);
        match wish {
            Some("hang") => std::future::pending().await,
            Some("break") => panic!("as told"),
            Some("submit") => {
                call.progress.submitted(json!({"job": 7})).await;
                std::future::pending().await
            }
            Some("tell") => {
                call.progress.tell("half done").await;
                std::future::pending().await
            }
            // The first call alone is refused.
            Some("refuse") if self.1.0.lock().unwrap().len() == 1 => {
                Err(Fault::new("States.Http.StatusCode.410", "gone"))
            }
            _ => Ok(json!({"StatusCode": 200, "Payload": input.get("Payload")})),
        }
    }
}

/// An execution of one task, under way.
async fn started(fixture: &Fixture, state: Value) {
    let mut task = json!({"Type": "Task", "End": true});
    for (name, value) in state.as_object().unwrap() {
        task[name] = value.clone();
    }
    let text = json!({"StartAt": "Call", "States": {"Call": task}}).to_string();
    fixture.tenant().define("flow", &text).await.unwrap();
    fixture.tenant().start("flow", Some("one"), json!({"n": 1})).await.unwrap();
}

async fn record(fixture: &Fixture) -> ExecutionRecord {
    fixture.tenant().execution(&key("one")).await.unwrap()
}

/// Waits until the only task of the execution is as it should be.
async fn open(fixture: &Fixture, wanted: impl Fn(&OpenTask) -> bool) -> OpenTask {
    loop {
        let record = record(fixture).await;
        if let Some(open) = record.tasks.values().find(|open| wanted(open)) {
            return open.clone();
        }
        tokio::task::yield_now().await;
    }
}

async fn kinds(fixture: &Fixture) -> Vec<String> {
    let history = fixture.tenant().history(&key("one")).await.unwrap();
    history.into_iter().map(|event| event.kind).collect()
}

fn asks(wish: &str) -> Value {
    json!({"Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "Parameters": {
        "FunctionName": "ask", "Payload": {"do": wish, "link.$": "States.Format('t={}', $$.Task.Token)"}}})
}

#[tokio::test]
async fn a_call_that_a_crash_cut_off_is_made_again_with_the_token_it_had_which_is_nowhere_kept() {
    let mut fixture = Fixture::new(0).await;
    started(&fixture, asks("hang")).await;
    fixture.calls.wait(1).await;
    fixture.restart().await;
    let calls = fixture.calls.wait(2).await;
    let token = calls[0].token.clone().unwrap();
    assert_eq!(token.len(), 64);
    for call in &calls {
        assert_eq!(call.token.as_ref(), Some(&token));
        assert_eq!(call.key, calls[0].key);
        assert_eq!(call.input["Payload"]["link"], format!("t={token}"));
    }
    let kept = serde_json::to_string(&record(&fixture).await).unwrap();
    let told = fixture.tenant().history(&key("one")).await.unwrap();
    let told = serde_json::to_string(&told).unwrap();
    assert!(kept.contains("t=<token sha256:") && told.contains("t=<token sha256:"), "{told}");
    assert!(!kept.contains(&token) && !told.contains(&token));
    fixture.tenant().report(&token, Report::Succeeded(json!("yes"))).await.unwrap();
    let ended = fixture.tenant().ended(&key("one")).await.unwrap();
    assert_eq!(ended.run.outcome.unwrap().output, Some(json!("yes")));
    // Another execution of the name has another token.
    let other = Fixture::new(0).await;
    other.clock.advance(std::time::Duration::from_secs(1));
    started(&other, asks("hang")).await;
    assert_ne!(other.calls.wait(1).await[0].token.as_ref(), Some(&token));
}

#[tokio::test]
async fn a_call_that_was_taken_on_is_not_made_again_and_waits_for_whoever_has_the_token() {
    let mut fixture = Fixture::new(0).await;
    started(&fixture, asks("take")).await;
    let answered = open(&fixture, |open| open.submitted.is_some()).await.submitted.unwrap();
    assert_eq!(answered["StatusCode"], 200);
    fixture.restart().await;
    let token = fixture.calls.wait(1).await[0].token.clone().unwrap();
    assert!(!answered.to_string().contains(&token), "an echo of the token is not kept");
    let fault = Fault::new("Refused", "by hand");
    fixture.tenant().report(&token, Report::Failed(fault)).await.unwrap();
    assert_eq!(fixture.calls.wait(1).await.len(), 1);
    let expected = [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSubmitted",
        "TaskFailed",
        "ExecutionFailed",
    ];
    assert_eq!(kinds(&fixture).await, expected);
}

#[tokio::test]
async fn a_function_that_is_named_directly_gives_its_payload_alone() {
    let fixture = Fixture::new(0).await;
    let arn = "arn:aws:lambda:eu-central-1:123456789012:function:ask";
    started(&fixture, json!({"Resource": arn})).await;
    let ended = fixture.tenant().ended(&key("one")).await.unwrap();
    assert_eq!(ended.run.outcome.unwrap().output, Some(json!({"n": 1})));
    let expected = json!({"FunctionName": arn, "Payload": {"n": 1}});
    assert_eq!(fixture.calls.wait(1).await[0].input, expected);
    let kinds = kinds(&fixture).await;
    let functions = kinds.iter().filter(|kind| kind.starts_with("LambdaFunction"));
    let expected = ["LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionSucceeded"];
    assert_eq!(functions.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn whoever_waits_for_a_job_is_told_after_a_crash_what_the_service_had_answered() {
    let mut fixture = Fixture::new(0).await;
    let resource = "arn:aws:states:::glue:startJobRun.sync";
    started(&fixture, json!({"Resource": resource, "Parameters": {"do": "submit"}})).await;
    open(&fixture, |open| open.submitted.is_some()).await;
    fixture.restart().await;
    let calls = fixture.calls.wait(2).await;
    assert_eq!((&calls[0].submitted, &calls[1].submitted), (&None, &Some(json!({"job": 7}))));
    let submitted = kinds(&fixture).await.iter().filter(|kind| *kind == "TaskSubmitted").count();
    assert_eq!(submitted, 1);
}

#[tokio::test]
async fn a_task_tells_how_far_it_is_and_then_has_to_go_on_telling() {
    let fixture = Fixture::new(0).await;
    let asked = json!({"FunctionName": "ask", "Payload": {"do": "tell"}});
    let state = json!({"Resource": "arn:aws:states:::lambda:invoke", "Parameters": asked,
        "HeartbeatSeconds": 10, "TimeoutSeconds": 100});
    started(&fixture, state).await;
    let told = open(&fixture, |open| open.progress.is_some()).await;
    assert_eq!(told.progress.unwrap(), "half done");
    // The timer is set after the commit that was just seen.
    while record(&fixture).await.run.status == Status::Running {
        fixture.pass(11).await;
        tokio::task::yield_now().await;
    }
    let fault = record(&fixture).await.run.outcome.unwrap().fault.unwrap();
    assert_eq!(fault.error.unwrap(), "States.HeartbeatTimeout");
}

#[tokio::test]
async fn a_webhook_that_is_called_in_vain_leaves_a_letter_that_calls_it_again() {
    let fixture = Fixture::new(0).await;
    let rule: RuleSpec = serde_json::from_value(json!({
        "pattern": {"source": ["shop"]},
        "targets": [{"kind": "webhook", "connection": "pager", "path": "v2/alerts",
            "input": {"path": "$.detail"}}],
    }))
    .unwrap();
    fixture.tenant().rule("alert", rule).await.unwrap();
    let event = json!({"source": "shop", "detail_type": "x", "detail": {"do": "refuse"}});
    fixture.tenant().post(&serde_json::from_value(event).unwrap()).await.unwrap();
    followed(&fixture).await;
    let letter = loop {
        if let Some(letter) = fixture.tenant().dead_letters().await.unwrap().pop() {
            break letter;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (letter.source.as_str(), letter.error.as_str()),
        ("rule/alert", "States.Http.StatusCode.410: gone")
    );
    fixture.tenant().deliver(&letter.id).await.unwrap();
    let ended = fixture.tenant().ended(&letter.execution).await.unwrap();
    assert_eq!(ended.run.outcome.unwrap().output, Some(json!({"status": 200})));
    assert!(fixture.tenant().dead_letters().await.unwrap().is_empty());
    let call = fixture.calls.wait(2).await.remove(0).input;
    assert_eq!(call["ApiEndpoint"], "/v2/alerts");
    assert_eq!(call["RequestBody"], json!({"do": "refuse"}));
    assert_eq!(call["Headers"]["X-Groundcrew-Delivery"], letter.execution.name);
    let connection = "arn:aws:events:local:000000000000:connection/pager";
    assert_eq!(call["InvocationConfig"]["ConnectionArn"], connection);
}

#[tokio::test]
async fn a_schedule_starts_a_workflow_or_calls_a_webhook_and_nobody_else_does() {
    let fixture = Fixture::new(0).await;
    let webhook = json!({"connection": "pager"});
    let mut both = every_hour(json!({}));
    both.webhook = Some(serde_json::from_value(webhook.clone()).unwrap());
    let both = fixture.tenant().schedule("both", both).await;
    assert!(both.unwrap_err().to_string().contains("either a `workflow` or a `webhook`"));
    let file = json!({"webhook": webhook, "input": {"ping": true},
        "when": {"expression": "rate(1 hour)"}});
    let file = serde_json::from_value(file).unwrap();
    fixture.tenant().schedule("ping", file).await.unwrap();
    fixture.clock.advance(std::time::Duration::from_secs(3_600));
    kept(&fixture).await;
    let call = fixture.calls.wait(1).await.remove(0).input;
    assert_eq!((&call["ApiEndpoint"], &call["RequestBody"]), (&json!("/"), &json!({"ping": true})));
    let own = fixture.tenant().define("groundcrew.webhook", "{}").await.unwrap_err();
    assert!(own.to_string().contains("Groundcrew's own"), "{own}");
    let started = fixture.tenant().start("groundcrew.webhook", None, json!({})).await.unwrap_err();
    assert!(started.to_string().contains("by schedules and rules"), "{started}");
}

#[tokio::test]
async fn tenants_whose_executions_are_called_the_same_share_neither_keys_nor_cancellation() {
    let fixture = Fixture::new(0).await;
    let engine = fixture.engine.as_ref().unwrap();
    let state = json!({"Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "ask", "Payload": {"do": "hang"}}});
    started(&fixture, state).await;
    let other: TenantId = "other".parse().unwrap();
    let theirs = engine.tenant(&other, PrincipalId::user("eve").unwrap());
    let definition = fixture.tenant().machine("flow").await.unwrap().definition;
    let text = fixture.tenant().definition(definition).await.unwrap();
    theirs.define("flow", &text).await.unwrap();
    theirs.start("flow", Some("one"), json!({"n": 1})).await.unwrap();
    let calls = fixture.calls.wait(2).await;
    assert_ne!(calls[0].key, calls[1].key);
    theirs.stop(&key("one"), Fault::default()).await.unwrap();
    let left: Vec<_> = engine.running().keys().map(|(tenant, _)| tenant.clone()).collect();
    assert_eq!(left, [TenantId::DEFAULT]);
}

#[tokio::test]
async fn a_task_that_panics_has_failed() {
    let fixture = Fixture::new(0).await;
    let state = json!({"Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "ask", "Payload": {"do": "break"}}});
    started(&fixture, state).await;
    let ended = fixture.tenant().ended(&key("one")).await.unwrap();
    let fault = ended.run.outcome.unwrap().fault.unwrap();
    assert_eq!(fault.error.as_deref(), Some("States.TaskFailed"));
}

#[tokio::test]
async fn however_many_signs_of_life_are_given_one_timer_waits_for_the_next() {
    let fixture = Fixture::new(0).await;
    let engine = fixture.engine.as_ref().unwrap();
    let mut state = asks("take");
    state["HeartbeatSeconds"] = json!(10);
    started(&fixture, state).await;
    let token = fixture.calls.wait(1).await[0].token.clone().unwrap();
    open(&fixture, |open| open.submitted.is_some()).await;
    for _ in 0..8 {
        fixture.pass(6).await;
        fixture.tenant().heartbeat(&token).await.unwrap();
    }
    let due = engine.timers().take_due(Timestamp::MAX);
    assert_eq!(due.len(), 1, "{due:?}");
}
