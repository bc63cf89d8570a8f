mod kept;
pub mod storage;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use release::{Clock, PrincipalId, Secret, TenantId, Timestamp};
use serde_json::{Value, json};
use testkit::clock::ManualClock;

use super::{
    Decision, Defining, Engine, EngineError, ExecutionKey, ExecutionRecord, MachineType, Newest,
    ScheduleFile, Task, TaskCall, TenantEngine,
};
use crate::rule::RuleSpec;
use crate::{Fault, Report, Status};
use calls::Calls;
use storage::{Storage, on_both_stores};

mod calls;
mod clock;

mod outside;

#[derive(Debug, Clone)]
pub struct TestClock(pub ManualClock);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// Fails as often as told, then gives its input back; counts its calls.
#[derive(Debug, Default)]
pub struct Work {
    pub calls: AtomicU64,
    failures: u64,
}

#[async_trait]
impl Task for Work {
    fn name(&self) -> &'static str {
        "test.work"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        if self.calls.fetch_add(1, Ordering::SeqCst) < self.failures {
            return Err(Fault::new("Busy", "try later"));
        }
        Ok(json!({"did": call.input}))
    }
}

/// Never ends.
#[derive(Debug)]
struct Hang;

#[async_trait]
impl Task for Hang {
    fn name(&self) -> &'static str {
        "test.hang"
    }

    async fn run(&self, _: TaskCall) -> Result<Value, Fault> {
        std::future::pending().await
    }
}

pub struct Fixture {
    storage: Arc<Storage>,
    pub clock: ManualClock,
    pub work: Arc<Work>,
    calls: Calls,
    pub engine: Option<Engine>,
}

impl Fixture {
    pub async fn new(failures: u64) -> Self {
        Self::on(&Storage::sqlite(), failures).await
    }

    pub async fn on(storage: &Arc<Storage>, failures: u64) -> Self {
        let storage = Arc::clone(storage);
        let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap());
        let work = Arc::new(Work { failures, ..Work::default() });
        let calls = Calls::default();
        let mut fixture = Self { storage, clock, work, calls, engine: None };
        fixture.restart().await;
        fixture
    }

    /// A new engine over the same data, as after a crash: the old one is dropped as it stands.
    pub async fn restart(&mut self) {
        if let Some(old) = self.engine.take() {
            for (_, running) in old.running().drain() {
                running.work.abort();
            }
            old.stop_driving();
            // Whatever of it is still at work comes to its end before there is another.
            let shared = Arc::downgrade(&old.shared);
            drop(old);
            while shared.strong_count() > 0 {
                tokio::task::yield_now().await;
            }
        }
        let store = self.storage.open().await;
        let clock = Arc::new(TestClock(self.clock.clone()));
        let mut tasks: Vec<Arc<dyn Task>> = vec![self.work.clone(), Arc::new(Hang)];
        tasks.extend(self.calls.services());
        let engine = Engine::new(store, clock, "here", Secret::new("secret"), tasks);
        engine.recover(&[TenantId::DEFAULT]).await.unwrap();
        self.engine = Some(engine);
    }

    pub fn tenant(&self) -> TenantEngine {
        let engine = self.engine.as_ref().unwrap();
        engine.tenant(&TenantId::DEFAULT, PrincipalId::user("ada").unwrap())
    }

    /// Whether nothing of the execution `one` is under way or due.
    async fn is_quiet(&self) -> bool {
        let record = self.tenant().execution(&key("one")).await.unwrap();
        let now = self.clock.now();
        record.tasks.is_empty() && record.due().iter().all(|(at, _)| *at > now)
    }

    /// Lets the execution `one` come to rest: a task reports on its own, and the timer that follows
    /// is set only after the commit that others see.
    async fn settle(&self) {
        while !self.is_quiet().await {
            self.pass(0).await;
            tokio::task::yield_now().await;
        }
    }

    pub async fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.engine.as_ref().unwrap().fire().await;
    }
}

/// All executions of a workflow, by name.
pub async fn executions(tenant: &TenantEngine, machine: &str) -> Vec<ExecutionRecord> {
    let all = Newest { status: None, after: None, limit: 1_000 };
    let (mut all, _) = tenant.executions(machine, all).await.unwrap();
    all.sort_by(|one, other| one.key.cmp(&other.key));
    all
}

pub fn key(name: &str) -> ExecutionKey {
    ExecutionKey { machine: "flow".to_owned(), name: name.to_owned() }
}

pub const WORK: &str = "arn:aws:states:local:000000000000:activity:groundcrew.test.work";
pub const HANG: &str = "arn:aws:states:local:000000000000:activity:groundcrew.test.hang";

fn chain() -> String {
    json!({"StartAt": "Before", "States": {
        "Before": {"Type": "Pass", "Assign": {"x.$": "$.n"}, "Next": "Wait"},
        "Wait": {"Type": "Wait", "Seconds": 60, "Next": "Work"},
        "Work": {"Type": "Task", "Resource": WORK, "Next": "After",
            "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 10, "MaxAttempts": 2}]},
        "After": {"Type": "Pass", "Parameters": {"x.$": "$x", "did.$": "$.did"}, "End": true}}})
    .to_string()
}

on_both_stores! {
    an_execution_survives_a_crash_at_every_wait_and_ends_as_if_nothing_had_happened,
    a_task_that_a_crash_cut_off_is_begun_again_with_the_same_key,
    a_name_starts_once,
    a_redrive_tries_again_what_failed_and_keeps_the_rest,
    tenants_do_not_see_each_others_workflows,
    a_task_is_given_to_one_worker_and_its_token_outlives_a_crash_and_counts_once,
    a_worker_that_falls_silent_has_failed_and_one_that_does_not_has_not,
    a_schedule_starts_each_moment_once_through_crashes_and_not_over_itself,
    an_event_starts_an_execution_once_and_others_do_not,
    who_wanted_an_execution_does_not_approve_it_not_even_through_a_schedule,
}

async fn an_execution_survives_a_crash_at_every_wait_and_ends_as_if_nothing_had_happened(
    on: &Arc<Storage>,
) {
    let mut calm = Fixture::new(1).await;
    let mut shaken = Fixture::on(on, 1).await;
    for (fixture, crash) in [(&mut calm, false), (&mut shaken, true)] {
        fixture.tenant().define("flow", &chain()).await.unwrap();
        fixture.tenant().start("flow", Some("one"), json!({"n": 1})).await.unwrap();
        for seconds in [30, 30, 10] {
            if crash {
                fixture.restart().await;
            }
            fixture.pass(seconds).await;
            fixture.settle().await;
        }
        if crash {
            fixture.restart().await;
        }
    }
    let done = calm.tenant().ended(&key("one")).await.unwrap();
    let outcome = done.run.outcome.clone().unwrap();
    assert_eq!(outcome.output, Some(json!({"x": 1, "did": {"n": 1}})));
    let same = shaken.tenant().ended(&key("one")).await.unwrap();
    assert_eq!(same.run, done.run);
    let history = calm.tenant().history(&key("one")).await.unwrap();
    assert_eq!(shaken.tenant().history(&key("one")).await.unwrap(), history);
    assert_eq!(history.last().unwrap().kind, "ExecutionSucceeded");
}

async fn a_task_that_a_crash_cut_off_is_begun_again_with_the_same_key(on: &Arc<Storage>) {
    let mut fixture = Fixture::on(on, 0).await;
    let definition = json!({"StartAt": "Hang", "States": {
        "Hang": {"Type": "Task", "Resource": HANG, "TimeoutSeconds": 100, "End": true}}});
    fixture.tenant().define("flow", &definition.to_string()).await.unwrap();
    let started = fixture.tenant().start("flow", Some("one"), json!({})).await.unwrap();
    let before: Vec<_> = started.tasks.keys().cloned().collect();
    fixture.restart().await;
    let task = |(_, task): &(TenantId, String)| task.clone();
    let running: Vec<_> = fixture.engine.as_ref().unwrap().running().keys().map(task).collect();
    assert_eq!(running, before);
    fixture.pass(100).await;
    let record = fixture.tenant().ended(&key("one")).await.unwrap();
    assert_eq!(record.run.outcome.unwrap().fault.unwrap().error.unwrap(), "States.Timeout");
    assert!(fixture.engine.as_ref().unwrap().running().is_empty(), "it is cancelled");
}

async fn a_name_starts_once(on: &Arc<Storage>) {
    let fixture = Fixture::on(on, 0).await;
    let engine = fixture.tenant();
    engine.define("flow", &chain()).await.unwrap();
    let first = engine.start("flow", Some("one"), json!({"n": 1})).await.unwrap();
    let again = engine.start("flow", Some("one"), json!({"n": 1})).await.unwrap();
    assert_eq!(first, again);
    let other = engine.start("flow", Some("one"), json!({"n": 2})).await;
    assert!(matches!(other, Err(EngineError::Exists(_))), "{other:?}");
    engine.stop(&key("one"), Fault::new("Stopped", "by hand")).await.unwrap();
    let over = engine.start("flow", Some("one"), json!({"n": 1})).await;
    assert!(matches!(over, Err(EngineError::Exists(_))), "{over:?}");
    let twice = engine.stop(&key("one"), Fault::default()).await;
    assert!(matches!(twice, Err(EngineError::Status { status: Status::Aborted, .. })));
}

async fn a_redrive_tries_again_what_failed_and_keeps_the_rest(on: &Arc<Storage>) {
    let fixture = Fixture::on(on, 1).await;
    let engine = fixture.tenant();
    let definition = json!({"StartAt": "Before", "States": {
        "Before": {"Type": "Pass", "Result": 7, "Next": "Work"},
        "Work": {"Type": "Task", "Resource": WORK, "End": true}}});
    engine.define("flow", &definition.to_string()).await.unwrap();
    engine.start("flow", Some("one"), json!({})).await.unwrap();
    let failed = engine.ended(&key("one")).await.unwrap();
    assert_eq!(failed.run.status, Status::Failed);
    engine.redrive(&key("one")).await.unwrap();
    let done = engine.ended(&key("one")).await.unwrap();
    assert_eq!(done.run.outcome.unwrap().output, Some(json!({"did": 7})));
    let history = engine.history(&key("one")).await.unwrap();
    let entered = history.iter().filter(|event| event.kind == "PassStateEntered");
    assert_eq!(entered.count(), 1);
    assert!(history.iter().enumerate().all(|(at, event)| event.id == at as u64 + 1));
}

#[tokio::test]
async fn a_redrive_keeps_the_branches_that_succeeded() {
    let fixture = Fixture::new(1).await;
    let engine = fixture.tenant();
    let definition = json!({"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "End": true, "Branches": [
        {"StartAt": "Quick", "States": {"Quick": {"Type": "Pass", "Result": 1, "End": true}}},
        {"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": WORK, "End": true}}}]}}});
    engine.define("flow", &definition.to_string()).await.unwrap();
    engine.start("flow", Some("one"), json!({})).await.unwrap();
    assert_eq!(engine.ended(&key("one")).await.unwrap().run.status, Status::Failed);
    engine.redrive(&key("one")).await.unwrap();
    let done = engine.ended(&key("one")).await.unwrap();
    assert_eq!(done.run.outcome.unwrap().output, Some(json!([1, {"did": {}}])));
    let history = engine.history(&key("one")).await.unwrap();
    let entered = history.iter().filter(|event| event.kind == "PassStateEntered");
    assert_eq!(entered.count(), 1);
}

#[tokio::test]
async fn what_nobody_here_does_fails_and_says_so() {
    let fixture = Fixture::new(0).await;
    let engine = fixture.tenant();
    let definition = json!({"StartAt": "Work", "States": {"Work": {"Type": "Task", "End": true,
        "Resource": "arn:aws:states:::sqs:sendMessage"}}});
    engine.define("flow", &definition.to_string()).await.unwrap();
    engine.start("flow", Some("one"), json!({})).await.unwrap();
    let failed = engine.ended(&key("one")).await.unwrap();
    let fault = failed.run.outcome.unwrap().fault.unwrap();
    assert!(fault.cause.unwrap().contains("Nothing here does arn:aws:states:::sqs:sendMessage"));
}

async fn tenants_do_not_see_each_others_workflows(on: &Arc<Storage>) {
    let fixture = Fixture::on(on, 0).await;
    fixture.tenant().define("flow", &chain()).await.unwrap();
    let other: TenantId = "other".parse().unwrap();
    let engine = fixture.engine.as_ref().unwrap();
    let other = engine.tenant(&other, PrincipalId::user("eve").unwrap());
    assert!(other.machines().await.unwrap().iter().all(|machine| machine.name != "flow"));
    let started = other.start("flow", None, json!({})).await;
    assert!(matches!(started, Err(EngineError::UnknownMachine(_))));
}

/// A machine of one activity with a heartbeat of a minute.
async fn started_with_activity(fixture: &Fixture) -> TenantEngine {
    let tenant = fixture.tenant();
    tenant.create_activity("review").await.unwrap();
    let text = json!({"StartAt": "R", "States": {"R": {"Type": "Task", "End": true,
        "Resource": "arn:aws:states:local:000000000000:activity:review",
        "TimeoutSeconds": 600, "HeartbeatSeconds": 60}}});
    tenant.define("flow", &text.to_string()).await.unwrap();
    tenant.start("flow", Some("one"), json!({"n": 1})).await.unwrap();
    tenant
}

async fn a_task_is_given_to_one_worker_and_its_token_outlives_a_crash_and_counts_once(
    on: &Arc<Storage>,
) {
    let mut fixture = Fixture::on(on, 0).await;
    let tenant = started_with_activity(&fixture).await;
    let now = Duration::ZERO;
    let both = tokio::join!(
        tenant.take_task("review", Some("a"), now),
        tenant.take_task("review", Some("b"), now),
    );
    let given: Vec<_> = [both.0.unwrap(), both.1.unwrap()].into_iter().flatten().collect();
    assert_eq!((given.len(), &given[0].input), (1, &json!({"n": 1})));
    drop(tenant);
    fixture.restart().await;
    let tenant = fixture.tenant();
    let record = serde_json::to_string(&tenant.execution(&key("one")).await.unwrap()).unwrap();
    assert!(!record.contains(&given[0].token), "the token itself is not kept");
    let (token, done) = (&given[0].token, || Report::Succeeded(json!("well")));
    let forged = tenant.report("forged", done()).await;
    assert!(matches!(forged, Err(EngineError::Token)), "{forged:?}");
    tenant.report(token, done()).await.unwrap();
    let twice = tenant.report(token, done()).await;
    assert!(matches!(twice, Err(EngineError::TaskOver)), "{twice:?}");
    let ended = tenant.execution(&key("one")).await.unwrap();
    assert_eq!(ended.run.outcome.unwrap().output, Some(json!("well")));
    let other = fixture.engine.as_ref().unwrap();
    let other = other.tenant(&"other".parse().unwrap(), PrincipalId::user("eve").unwrap());
    assert!(matches!(other.report(token, done()).await, Err(EngineError::Token)));
}

async fn a_worker_that_falls_silent_has_failed_and_one_that_does_not_has_not(on: &Arc<Storage>) {
    let mut fixture = Fixture::on(on, 0).await;
    let tenant = started_with_activity(&fixture).await;
    let given = tenant.take_task("review", None, Duration::ZERO).await.unwrap().unwrap();
    let fire = async |fixture: &Fixture| fixture.engine.as_ref().unwrap().fire().await;
    fixture.clock.advance(Duration::from_secs(50));
    tenant.heartbeat(&given.token).await.unwrap();
    fixture.clock.advance(Duration::from_secs(50));
    fire(&fixture).await;
    assert_eq!(tenant.execution(&key("one")).await.unwrap().run.status, Status::Running);
    drop(tenant);
    fixture.restart().await;
    let tenant = fixture.tenant();
    fixture.clock.advance(Duration::from_secs(11));
    fire(&fixture).await;
    let ended = tenant.execution(&key("one")).await.unwrap();
    assert_eq!(ended.run.status, Status::Failed, "{:?}", ended.run.outcome);
    let late = tenant.heartbeat(&given.token).await;
    assert!(matches!(late, Err(EngineError::TaskOver)), "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expressions_are_worked_out_beside_what_other_threads_do() {
    let fixture = Fixture::new(0).await;
    let tenant = fixture.tenant();
    let text = json!({"QueryLanguage": "JSONata", "StartAt": "Sum", "States": {
        "Sum": {"Type": "Pass", "Output": "{% $sum([1..$states.input.n]) %}", "End": true}}});
    tenant.define("flow", &text.to_string()).await.unwrap();
    let express = Defining { kind: Some(MachineType::Express), ..Defining::default() };
    tenant.define_as("express", &text.to_string(), &express).await.unwrap();
    let standard = tenant.start("flow", None, json!({"n": 100})).await.unwrap();
    let express = tenant.start_sync("express", None, json!({"n": 100})).await.unwrap();
    for ended in [standard, express] {
        assert_eq!(ended.run.outcome.unwrap().output, Some(json!(5050)));
    }
}

fn every_hour(more: Value) -> ScheduleFile {
    let mut file = json!({"workflow": "flow", "when": {"expression": "rate(1 hour)"}});
    for (name, value) in more.as_object().unwrap() {
        file["when"][name] = value.clone();
    }
    serde_json::from_value(file).unwrap()
}

async fn kept(fixture: &Fixture) {
    let engine = fixture.engine.as_ref().unwrap();
    engine.keep_schedules(&[TenantId::DEFAULT]).await.unwrap();
}

async fn a_schedule_starts_each_moment_once_through_crashes_and_not_over_itself(on: &Arc<Storage>) {
    let mut fixture = Fixture::on(on, 0).await;
    let hour = Duration::from_secs(3_600);
    let text =
        json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 5_400, "End": true}}});
    let published = Defining { publish: true, ..Defining::default() };
    fixture.tenant().define_as("flow", &text.to_string(), &published).await.unwrap();
    let mut file = every_hour(json!({}));
    file.workflow = Some("flow:1".parse().unwrap());
    fixture.tenant().schedule("hourly", file).await.unwrap();
    kept(&fixture).await;
    assert!(executions(&fixture.tenant(), "flow").await.is_empty());
    for expected in [1, 1, 2] {
        fixture.clock.advance(hour);
        fixture.engine.as_ref().unwrap().fire().await;
        kept(&fixture).await;
        fixture.restart().await;
        kept(&fixture).await;
        assert_eq!(executions(&fixture.tenant(), "flow").await.len(), expected);
    }
    let names = executions(&fixture.tenant(), "flow").await;
    let names: Vec<_> = names.iter().map(|one| one.key.name.as_str()).collect();
    assert_eq!(names, ["hourly-20260101T010000Z", "hourly-20260101T030000Z"]);
}

#[tokio::test]
async fn what_was_missed_is_caught_up_with_as_the_schedule_says() {
    for (policy, expected) in [("skip", 0), ("latest", 1), ("all", 3)] {
        let fixture = Fixture::new(0).await;
        let text = json!({"StartAt": "P", "States": {"P": {"Type": "Succeed"}}});
        fixture.tenant().define("flow", &text.to_string()).await.unwrap();
        let file = every_hour(json!({"catch_up": policy}));
        fixture.tenant().schedule("hourly", file).await.unwrap();
        fixture.clock.advance(Duration::from_secs(3 * 3_600 + 1_800));
        kept(&fixture).await;
        kept(&fixture).await;
        let started = executions(&fixture.tenant(), "flow").await.len();
        assert_eq!(started, expected, "{policy}");
    }
}

#[tokio::test]
async fn what_cannot_be_started_is_kept_and_can_be_delivered_later() {
    let fixture = Fixture::new(0).await;
    let tenant = fixture.tenant();
    tenant.schedule("hourly", every_hour(json!({}))).await.unwrap();
    fixture.clock.advance(Duration::from_secs(3_600));
    kept(&fixture).await;
    let letters = tenant.dead_letters().await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].error.contains("there is no workflow `flow`"), "{letters:?}");
    let id = &letters[0].id;
    assert!(matches!(tenant.deliver(id).await, Err(EngineError::UnknownMachine(_))));
    let text = json!({"StartAt": "P", "States": {"P": {"Type": "Succeed"}}});
    tenant.define("flow", &text.to_string()).await.unwrap();
    assert_eq!(tenant.deliver(id).await.unwrap().run.status, Status::Succeeded);
    assert!(tenant.dead_letters().await.unwrap().is_empty());
    let wrong = every_hour(json!({"expression": "rate(0 hours)"}));
    let refused = tenant.schedule("wrong", wrong).await;
    assert!(matches!(refused, Err(EngineError::Refused(_))), "{refused:?}");
    assert!(matches!(tenant.unschedule("none").await, Err(EngineError::UnknownSchedule(_))));
}

async fn followed(fixture: &Fixture) {
    fixture.engine.as_ref().unwrap().keep_rules(&[TenantId::DEFAULT]).await.unwrap();
}

fn rule(pattern: Value, input: Value) -> RuleSpec {
    let target = json!({"kind": "execution", "workflow": "flow", "input": input});
    serde_json::from_value(json!({"pattern": pattern, "targets": [target]})).unwrap()
}

async fn define(fixture: &Fixture) {
    let text = json!({"StartAt": "P", "States": {"P": {"Type": "Succeed"}}});
    fixture.tenant().define("flow", &text.to_string()).await.unwrap();
}

async fn an_event_starts_an_execution_once_and_others_do_not(on: &Arc<Storage>) {
    let mut fixture = Fixture::on(on, 0).await;
    define(&fixture).await;
    let pattern = json!({"source": ["shop"], "detail": {"total": [{"numeric": [">", 100]}]}});
    let template =
        json!({"variables": {"total": "$.detail.total"}, "template": "{\"paid\": <total>}"});
    fixture.tenant().rule("large", rule(pattern, template)).await.unwrap();
    for total in [50, 150] {
        let event = json!({"source": "shop", "detail_type": "order", "detail": {"total": total}});
        fixture.tenant().post(&serde_json::from_value(event).unwrap()).await.unwrap();
    }
    for _ in 0..2 {
        followed(&fixture).await;
        fixture.restart().await;
    }
    let started = executions(&fixture.tenant(), "flow").await;
    let inputs: Vec<_> = started.iter().map(|one| one.run.about.input.clone()).collect();
    assert_eq!(inputs, [json!({"paid": 150})]);
    assert_eq!(started[0].actor, PrincipalId::system("rule"));
    let own = json!({"source": "groundcrew", "detail_type": "x"});
    let forged = fixture.tenant().post(&serde_json::from_value(own).unwrap()).await;
    assert!(matches!(forged, Err(EngineError::Refused(_))), "{forged:?}");
}

#[tokio::test]
async fn a_rule_that_triggers_itself_is_cut_and_what_it_could_not_start_is_kept() {
    let fixture = Fixture::new(0).await;
    define(&fixture).await;
    let pattern = json!({"detail-type": ["execution.ended"]});
    fixture.tenant().rule("again", rule(pattern, json!({}))).await.unwrap();
    fixture.tenant().start("flow", Some("one"), json!({})).await.unwrap();
    for _ in 0..30 {
        followed(&fixture).await;
    }
    // The first was started by hand, and the rule answered eight ends.
    assert_eq!(executions(&fixture.tenant(), "flow").await.len(), 9);
    let letters = fixture.tenant().dead_letters().await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].error.contains("8 rules led to it already"), "{letters:?}");
    // Nor does its delivery begin a chain anew.
    fixture.tenant().deliver(&letters[0].id).await.unwrap();
    for _ in 0..3 {
        followed(&fixture).await;
    }
    assert_eq!(executions(&fixture.tenant(), "flow").await.len(), 10);
}

fn asks(more: Value) -> String {
    let mut state = json!({"Type": "Task", "End": true, "TimeoutSeconds": 60,
        "Resource": "arn:aws:states:local:000000000000:activity:groundcrew.approval",
        "Parameters": {"message": "Go?", "approvers": ["role:operator", "user:ada"]}});
    for (name, value) in more.as_object().unwrap() {
        state[name] = value.clone();
    }
    json!({"StartAt": "Ask", "States": {"Ask": state}}).to_string()
}

fn decision(approved: bool) -> Decision {
    let (reason, role) = ("because".to_owned(), "operator".to_owned());
    Decision { state: None, approved, reason, role, link: None }
}

async fn who_wanted_an_execution_does_not_approve_it_not_even_through_a_schedule(
    on: &Arc<Storage>,
) {
    let fixture = Fixture::on(on, 0).await;
    let ada = fixture.tenant();
    ada.define("flow", &asks(json!({}))).await.unwrap();
    ada.schedule("hourly", every_hour(json!({}))).await.unwrap();
    fixture.clock.advance(Duration::from_secs(3_600));
    kept(&fixture).await;
    let waiting = ada.approvals().await.unwrap();
    assert_eq!(waiting[0].requester.to_string(), "user:ada");
    let key = &waiting[0].execution;
    let own = ada.decide(key, &decision(true)).await;
    assert!(matches!(own, Err(EngineError::MayNotDecide(_))), "{own:?}");
    let engine = fixture.engine.as_ref().unwrap();
    let bob = engine.tenant(&TenantId::DEFAULT, PrincipalId::user("bob").unwrap());
    let viewer = Decision { role: "viewer".to_owned(), ..decision(true) };
    assert!(matches!(bob.decide(key, &viewer).await, Err(EngineError::MayNotDecide(_))));
    let decided = bob.decide(key, &decision(false)).await.unwrap();
    let fault = decided.run.outcome.unwrap().fault.unwrap();
    assert_eq!(fault.error.as_deref(), Some("Groundcrew.Rejected"));
    assert_eq!(fault.cause.as_deref(), Some("user:bob rejected it: because"));
    let log = engine.shared.store.tenant(&TenantId::DEFAULT).log(0, 100).await.unwrap();
    let told = log.iter().find(|event| event.kind == "approval.decided").unwrap();
    assert_eq!(told.actor.to_string(), "user:bob");
    assert!(matches!(bob.decide(key, &decision(true)).await, Err(EngineError::NoApproval(_))));
}

#[tokio::test]
async fn neither_the_author_nor_whoever_delivers_a_dead_letter_approves_what_it_starts() {
    let fixture = Fixture::new(0).await;
    let ada = fixture.tenant();
    ada.schedule("hourly", every_hour(json!({}))).await.unwrap();
    fixture.clock.advance(Duration::from_secs(3_600));
    kept(&fixture).await;
    ada.define("flow", &asks(json!({}))).await.unwrap();
    let engine = fixture.engine.as_ref().unwrap();
    let user = |name| engine.tenant(&TenantId::DEFAULT, PrincipalId::user(name).unwrap());
    let letter = ada.dead_letters().await.unwrap().remove(0);
    let started = user("bob").deliver(&letter.id).await.unwrap();
    for name in ["ada", "bob"] {
        let own = user(name).decide(&started.key, &decision(true)).await;
        assert!(matches!(own, Err(EngineError::MayNotDecide(_))), "{name}: {own:?}");
    }
    user("eve").decide(&started.key, &decision(true)).await.unwrap();
}

#[tokio::test]
async fn an_approval_that_could_wait_for_ever_or_asks_nobody_fails() {
    let nobody = json!({"message": "Go?", "approvers": []});
    for (more, why) in [
        (json!({"TimeoutSeconds": null}), "TimeoutSeconds"),
        (json!({"Parameters": nobody}), "at least one"),
        (json!({"Parameters": {"approvers": ["everybody"], "message": ""}}), "neither a principal"),
        (json!({"Parameters": {"approver": "role:admin"}}), "do not fit"),
    ] {
        let fixture = Fixture::new(0).await;
        let text = asks(more).replace("\"TimeoutSeconds\":null,", "");
        fixture.tenant().define("flow", &text).await.unwrap();
        fixture.tenant().start("flow", Some("one"), json!({})).await.unwrap();
        let ended = fixture.tenant().ended(&key("one")).await.unwrap();
        let fault = ended.run.outcome.unwrap().fault.unwrap();
        assert_eq!(fault.error.as_deref(), Some("Groundcrew.BadInput"));
        assert!(fault.cause.as_deref().unwrap().contains(why), "{fault:?}");
    }
}
