use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use release::{PrincipalId, Secret, TenantId, Timestamp};
use serde_json::{Value, json};
use store::{Expect, Store};
use testkit::clock::ManualClock;
use tokio::sync::watch;
use tokio::time::Instant;

use super::super::abort::Point;
use super::super::tests::TestClock;
use super::super::tests::storage::{Storage, on_both_stores};
use super::super::{DEFINITIONS, Engine, EngineError, ExecutionKey, Task, TaskCall};
use super::LEASE;
use crate::{Fault, Report, Status};

/// Work that is done when it is let go, and tells where and under which keys it was begun.
#[derive(Debug)]
struct Held {
    server: &'static str,
    begun: watch::Sender<Vec<String>>,
    gate: watch::Receiver<bool>,
    dropped: Arc<AtomicU64>,
}

struct CountDrop(Arc<AtomicU64>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Task for Held {
    fn name(&self) -> &'static str {
        "test.held"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let _count = CountDrop(Arc::clone(&self.dropped));
        self.begun.send_modify(|begun| begun.push(call.key));
        let mut gate = self.gate.clone();
        gate.wait_for(|open| *open).await.unwrap();
        Ok(json!(self.server))
    }
}

/// A server on a store that others use too.
struct Server {
    engine: Engine,
    begun: watch::Receiver<Vec<String>>,
    gate: watch::Sender<bool>,
    dropped: Arc<AtomicU64>,
    now: Instant,
}

const TENANTS: &[TenantId] = &[TenantId::DEFAULT];

impl Server {
    async fn start(store: &Store, clock: &ManualClock, name: &'static str) -> Self {
        let (begun, seen) = watch::channel(Vec::new());
        let (gate, opened) = watch::channel(false);
        let dropped = Arc::new(AtomicU64::new(0));
        let held = Held { server: name, begun, gate: opened, dropped: Arc::clone(&dropped) };
        let clock = Arc::new(TestClock(clock.clone()));
        let engine =
            Engine::new(store.clone(), clock, name, Secret::new("secret"), vec![Arc::new(held)]);
        engine.recover(TENANTS).await.unwrap();
        Self { engine, begun: seen, gate, dropped, now: Instant::now() }
    }

    /// Time passes, as this server sees it.
    async fn pass(&mut self, time: Duration) {
        self.now += time;
        self.engine.keep_nodes(TENANTS, self.now).await.unwrap();
    }

    async fn begun(&mut self) -> Vec<String> {
        self.begun.wait_for(|begun| !begun.is_empty()).await.unwrap().clone()
    }

    fn tenant(&self) -> super::super::TenantEngine {
        self.engine.tenant(&TenantId::DEFAULT, PrincipalId::user("ada").unwrap())
    }
}

fn clock() -> ManualClock {
    ManualClock::at("2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap())
}

fn definition() -> String {
    json!({"StartAt": "Held", "States": {"Held": {"Type": "Task", "End": true, "Resource":
        "arn:aws:states:local:000000000000:activity:groundcrew.test.held"}}})
    .to_string()
}

fn key() -> ExecutionKey {
    ExecutionKey { machine: "flow".to_owned(), name: "one".to_owned() }
}

on_both_stores! {
    a_server_that_was_silent_for_a_lease_loses_its_tasks_and_its_late_report_is_refused,
    a_server_that_finds_its_name_struck_lets_go_of_its_tasks_and_goes_on_under_another,
    what_a_lost_server_still_wrote_under_its_old_name_is_found,
    servers_that_give_signs_of_life_keep_what_is_theirs,
    a_task_that_another_server_has_stopped_is_let_go,
    a_restart_under_the_same_name_takes_up_at_once_what_was_left,
    a_map_run_of_a_silent_server_goes_on_at_the_one_that_takes_over,
    what_a_server_remembers_of_an_execution_that_another_has_moved_since_is_not_relied_on,
    an_execution_that_nobody_waits_for_any_more_is_stopped_though_nobody_was_left_to_say_so,
    what_a_commit_that_nobody_heard_of_left_to_be_done_is_done,
}

async fn a_server_that_was_silent_for_a_lease_loses_its_tasks_and_its_late_report_is_refused(
    on: &Arc<Storage>,
) {
    let ((store, same), clock) = (on.open_twice().await, clock());
    let mut slow = Server::start(&store, &clock, "slow").await;
    let mut other = Server::start(&same, &clock, "other").await;
    slow.tenant().define("flow", &definition()).await.unwrap();
    slow.tenant().start("flow", Some("one"), json!({})).await.unwrap();
    let first = slow.begun().await;

    // Seen, and not silent for long enough: nothing is taken.
    other.pass(Duration::ZERO).await;
    other.pass(LEASE / 2).await;
    assert!(other.begun.borrow().is_empty());
    // Silent for a lease: the same attempt is begun again, under the same key.
    other.pass(LEASE / 2).await;
    assert_eq!(other.begun().await, first);

    // The slow one comes to an end that nobody waits for.
    slow.gate.send_replace(true);
    while slow.dropped.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    slow.pass(Duration::from_secs(60)).await;
    let record = slow.tenant().execution(&key()).await.unwrap();
    assert_eq!(record.run.status, Status::Running);
    assert_ne!(slow.engine.node(), record.node);

    other.gate.send_replace(true);
    let ended = other.tenant().ended(&key()).await.unwrap();
    assert_eq!(ended.run.outcome.unwrap().output, Some(json!("other")));
}

async fn a_server_that_finds_its_name_struck_lets_go_of_its_tasks_and_goes_on_under_another(
    on: &Arc<Storage>,
) {
    let ((store, same), clock) = (on.open_twice().await, clock());
    let mut slow = Server::start(&store, &clock, "slow").await;
    let mut other = Server::start(&same, &clock, "other").await;
    slow.tenant().define("flow", &definition()).await.unwrap();
    slow.tenant().start("flow", Some("one"), json!({})).await.unwrap();
    slow.begun().await;
    other.pass(Duration::ZERO).await;
    other.pass(LEASE).await;
    other.begun().await;

    let before = slow.engine.node();
    slow.pass(LEASE).await;
    assert_ne!(slow.engine.node(), before);
    while slow.dropped.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    // It works under its new name, and nobody takes that for silent.
    slow.tenant().start("flow", Some("two"), json!({})).await.unwrap();
    slow.gate.send_replace(true);
    let two = ExecutionKey { name: "two".to_owned(), ..key() };
    let ended = slow.tenant().ended(&two).await.unwrap();
    assert_eq!(ended.run.outcome.unwrap().output, Some(json!("slow")));
}

async fn what_a_lost_server_still_wrote_under_its_old_name_is_found(on: &Arc<Storage>) {
    let ((store, same), clock) = (on.open_twice().await, clock());
    let slow = Server::start(&store, &clock, "slow").await;
    let mut other = Server::start(&same, &clock, "other").await;
    slow.tenant().define("flow", &definition()).await.unwrap();
    other.pass(Duration::ZERO).await;
    other.pass(LEASE).await;
    // It does not know yet, and starts something more.
    slow.tenant().start("flow", Some("one"), json!({})).await.unwrap();
    other.pass(super::SWEEP).await;
    other.gate.send_replace(true);
    let ended = other.tenant().ended(&key()).await.unwrap();
    assert_eq!(ended.run.outcome.unwrap().output, Some(json!("other")));
}

async fn servers_that_give_signs_of_life_keep_what_is_theirs(on: &Arc<Storage>) {
    let ((store, same), clock) = (on.open_twice().await, clock());
    let mut one = Server::start(&store, &clock, "one").await;
    let mut other = Server::start(&same, &clock, "other").await;
    one.tenant().define("flow", &definition()).await.unwrap();
    one.tenant().start("flow", Some("one"), json!({})).await.unwrap();
    one.begun().await;
    for _ in 0..20 {
        one.pass(LEASE / 2).await;
        other.pass(LEASE / 2).await;
    }
    assert!(other.begun.borrow().is_empty());
    assert_eq!(one.begun.borrow().len(), 1);
}

async fn a_task_that_another_server_has_stopped_is_let_go(on: &Arc<Storage>) {
    let ((store, same), clock) = (on.open_twice().await, clock());
    let mut one = Server::start(&store, &clock, "one").await;
    let other = Server::start(&same, &clock, "other").await;
    one.tenant().define("flow", &definition()).await.unwrap();
    one.tenant().start("flow", Some("one"), json!({})).await.unwrap();
    one.begun().await;
    other.tenant().stop(&key(), Fault::default()).await.unwrap();
    one.pass(LEASE / 2).await;
    while one.dropped.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let record = one.tenant().execution(&key()).await.unwrap();
    assert_eq!(record.run.status, Status::Aborted);
}

async fn a_restart_under_the_same_name_takes_up_at_once_what_was_left(on: &Arc<Storage>) {
    let ((store, same), clock) = (on.open_twice().await, clock());
    let mut before = Server::start(&store, &clock, "one").await;
    before.tenant().define("flow", &definition()).await.unwrap();
    before.tenant().start("flow", Some("one"), json!({})).await.unwrap();
    let begun = before.begun().await;
    let mut after = Server::start(&same, &clock, "one").await;
    assert_eq!(after.begun().await, begun);
}

async fn a_map_run_of_a_silent_server_goes_on_at_the_one_that_takes_over(on: &Arc<Storage>) {
    let ((store, same), clock) = (on.open_twice().await, clock());
    let mut slow = Server::start(&store, &clock, "slow").await;
    let mut other = Server::start(&same, &clock, "other").await;
    let held: Value = serde_json::from_str(&definition()).unwrap();
    let mut processor = held;
    processor["ProcessorConfig"] = json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
    let definition = json!({"StartAt": "Each", "States": {"Each": {"Type": "Map", "End": true,
        "MaxConcurrency": 1, "ItemProcessor": processor}}});
    slow.tenant().define("flow", &definition.to_string()).await.unwrap();
    slow.tenant().start("flow", Some("one"), json!([1, 2])).await.unwrap();
    let first = slow.begun().await;
    other.pass(Duration::ZERO).await;
    other.pass(LEASE).await;
    assert_eq!(other.begun().await, first);
    other.gate.send_replace(true);
    let ended = other.tenant().ended(&key()).await.unwrap();
    assert_eq!(ended.run.outcome.clone().unwrap().output, Some(json!(["other", "other"])));
    assert_eq!(slow.begun.borrow().len(), 1);
}

/// The workflow `name`: one activity after another, done by workers outside.
async fn define_activities(server: &Server, name: &str, states: &[&str]) {
    let of = |state: &str| format!("arn:aws:states:local:000000000000:activity:{state}");
    let mut all = serde_json::Map::new();
    for (at, state) in states.iter().enumerate() {
        server.tenant().create_activity(state).await.unwrap();
        let mut one = json!({"Type": "Task", "Resource": of(state)});
        match states.get(at + 1) {
            Some(next) => one["Next"] = json!(next),
            None => one["End"] = json!(true),
        }
        all.insert((*state).to_owned(), one);
    }
    let definition = json!({"StartAt": states[0], "States": all}).to_string();
    server.tenant().define(name, &definition).await.unwrap();
}

async fn take(server: &Server, activity: &str) -> String {
    let given = server.tenant().take_task(activity, None, Duration::from_secs(60)).await;
    given.unwrap().unwrap().token
}

async fn report(server: &Server, token: &str) {
    server.tenant().report(token, Report::Succeeded(json!("done"))).await.unwrap();
}

async fn what_a_server_remembers_of_an_execution_that_another_has_moved_since_is_not_relied_on(
    on: &Arc<Storage>,
) {
    let ((store, same), clock) = (on.open_twice().await, clock());
    let one = Server::start(&store, &clock, "one").await;
    let other = Server::start(&same, &clock, "other").await;
    define_activities(&one, "flow", &["first", "second", "third"]).await;
    one.tenant().start("flow", Some("one"), json!({})).await.unwrap();
    // Each remembers it as it was when it moved it last; the other has given out a token since.
    let first = take(&other, "first").await;
    report(&one, &first).await;
    let second = take(&other, "second").await;
    report(&one, &second).await;
    let third = take(&one, "third").await;
    report(&other, &third).await;
    let ended = one.tenant().ended(&key()).await.unwrap();
    assert_eq!(ended.run.status, Status::Succeeded);
    let late = one.tenant().report(&third, Report::Succeeded(json!("again"))).await;
    assert!(matches!(late, Err(EngineError::TaskOver)), "{late:?}");
}

async fn an_execution_that_nobody_waits_for_any_more_is_stopped_though_nobody_was_left_to_say_so(
    on: &Arc<Storage>,
) {
    let ((store, same), clock) = (on.open_twice().await, clock());
    let one = Server::start(&store, &clock, "one").await;
    let mut other = Server::start(&same, &clock, "other").await;
    define_activities(&one, "child", &["first", "second"]).await;
    let start = json!({"StartAt": "Start", "States": {"Start": {"Type": "Task", "End": true,
        "Resource": "arn:aws:states:::states:startExecution.sync",
        "Parameters": {"Name": "two", "StateMachineArn":
            "arn:aws:states:eu-central-1:123456789012:stateMachine:child"}}}});
    one.tenant().define("flow", &start.to_string()).await.unwrap();
    one.tenant().start("flow", Some("one"), json!({})).await.unwrap();
    // The child goes on at the other server.
    let token = take(&other, "first").await;
    report(&other, &token).await;
    let child = ExecutionKey { machine: "child".to_owned(), name: "two".to_owned() };
    assert_eq!(other.tenant().execution(&child).await.unwrap().node, other.engine.node());
    other.pass(super::LOOK).await;
    assert_eq!(other.tenant().execution(&child).await.unwrap().run.status, Status::Running);
    // The parent is over, and its server was cut off before it did anything about that.
    let aborts = &one.engine.shared.aborts;
    aborts.set(Point::Effects, aborts.passed(Point::Effects) + 1);
    let tenant = one.tenant();
    tokio::spawn(async move { tenant.stop(&key(), Fault::default()).await });
    aborts.stopped().await;
    assert_eq!(other.tenant().execution(&key()).await.unwrap().run.status, Status::Aborted);
    other.pass(super::LOOK).await;
    assert_eq!(other.tenant().execution(&child).await.unwrap().run.status, Status::Aborted);
}

async fn what_a_commit_that_nobody_heard_of_left_to_be_done_is_done(on: &Arc<Storage>) {
    let (store, clock) = (on.open().await, clock());
    let mut server = Server::start(&store, &clock, "one").await;
    server.tenant().define("flow", &definition()).await.unwrap();
    server.tenant().start("flow", Some("one"), json!({})).await.unwrap();
    let first = server.begun().await;
    // As if the connection had been lost while the beginning was committed.
    for (_, running) in server.engine.running().drain() {
        running.work.abort();
    }
    server.engine.look_again(&TenantId::DEFAULT, &key());
    let begun = server.begun.wait_for(|begun| begun.len() == 2).await.unwrap().clone();
    assert_eq!(begun[1], first[0]);
    // What is being done is not begun once more.
    let (_, record) = server.engine.load(&TenantId::DEFAULT, &key()).await.unwrap();
    server.engine.take_up(&TenantId::DEFAULT, &record);
    server.gate.send_replace(true);
    server.tenant().ended(&key()).await.unwrap();
    assert_eq!(server.begun.borrow().len(), 2);
}

#[tokio::test]
async fn an_execution_whose_definition_cannot_be_read_holds_up_no_other() {
    let on = Storage::sqlite();
    let ((store, same), clock) = (on.open_twice().await, clock());
    let mut slow = Server::start(&store, &clock, "slow").await;
    let mut other = Server::start(&same, &clock, "other").await;
    let waits =
        json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": true}}});
    let bad = slow.tenant().define("bad", &waits.to_string()).await.unwrap();
    slow.tenant().start("bad", Some("one"), json!({})).await.unwrap();
    slow.tenant().define("flow", &definition()).await.unwrap();
    slow.tenant().start("flow", Some("one"), json!({})).await.unwrap();
    let begun = slow.begun().await;
    let spoilt = slow
        .tenant()
        .transaction()
        .put(DEFINITIONS, &bad.definition.to_string(), &"{", Expect::Any)
        .unwrap();
    store.tenant(&TenantId::DEFAULT).commit(spoilt).await.unwrap();
    other.pass(Duration::ZERO).await;
    other.pass(LEASE).await;
    assert_eq!(other.begun().await, begun);
}
