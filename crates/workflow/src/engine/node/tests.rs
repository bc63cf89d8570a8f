use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use release::{PrincipalId, Secret, TenantId, Timestamp};
use serde_json::{Value, json};
use store::Store;
use testkit::clock::ManualClock;
use tokio::sync::watch;
use tokio::time::Instant;

use super::super::tests::TestClock;
use super::super::{Engine, ExecutionKey, Task, TaskCall};
use super::LEASE;
use crate::{Fault, Status};

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

async fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&directory.path().join("control.db")).await.unwrap();
    (directory, store)
}

#[tokio::test]
async fn a_server_that_was_silent_for_a_lease_loses_its_tasks_and_its_late_report_is_refused() {
    let ((_directory, store), clock) = (store().await, clock());
    let mut slow = Server::start(&store, &clock, "slow").await;
    let mut other = Server::start(&store, &clock, "other").await;
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

#[tokio::test]
async fn a_server_that_finds_its_name_struck_lets_go_of_its_tasks_and_goes_on_under_another() {
    let ((_directory, store), clock) = (store().await, clock());
    let mut slow = Server::start(&store, &clock, "slow").await;
    let mut other = Server::start(&store, &clock, "other").await;
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

#[tokio::test]
async fn what_a_lost_server_still_wrote_under_its_old_name_is_found() {
    let ((_directory, store), clock) = (store().await, clock());
    let slow = Server::start(&store, &clock, "slow").await;
    let mut other = Server::start(&store, &clock, "other").await;
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

#[tokio::test]
async fn servers_that_give_signs_of_life_keep_what_is_theirs() {
    let ((_directory, store), clock) = (store().await, clock());
    let mut one = Server::start(&store, &clock, "one").await;
    let mut other = Server::start(&store, &clock, "other").await;
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

#[tokio::test]
async fn a_task_that_another_server_has_stopped_is_let_go() {
    let ((_directory, store), clock) = (store().await, clock());
    let mut one = Server::start(&store, &clock, "one").await;
    let other = Server::start(&store, &clock, "other").await;
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

#[tokio::test]
async fn a_restart_under_the_same_name_takes_up_at_once_what_was_left() {
    let ((_directory, store), clock) = (store().await, clock());
    let mut before = Server::start(&store, &clock, "one").await;
    before.tenant().define("flow", &definition()).await.unwrap();
    before.tenant().start("flow", Some("one"), json!({})).await.unwrap();
    let begun = before.begun().await;
    let mut after = Server::start(&store, &clock, "one").await;
    assert_eq!(after.begun().await, begun);
}

#[tokio::test]
async fn a_map_run_of_a_silent_server_goes_on_at_the_one_that_takes_over() {
    let ((_directory, store), clock) = (store().await, clock());
    let mut slow = Server::start(&store, &clock, "slow").await;
    let mut other = Server::start(&store, &clock, "other").await;
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
