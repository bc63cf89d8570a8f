//! How fast executions move, on SQLite and, with `GROUNDCREW_TEST_POSTGRES`, on Postgres.
//!
//! Five states with a task each that returns at once: an execution is six transitions, each with a
//! synchronous commit. `cargo xtask bench workflow` runs it beside its peers.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark speaks in the terminal")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use release::{Clock, PrincipalId, Secret, TenantId, Timestamp};
use serde_json::{Value, json};
use store::Store;
use workflow::Fault;
use workflow::engine::{Engine, Task, TaskCall, TenantEngine};

/// How long one measurement takes.
const ROUND: Duration = Duration::from_secs(4);
/// How many executions wait, and how many are open at a restart.
const PARKED: usize = 100_000;
const OPEN: usize = 10_000;
/// Transitions of an execution: its start, and the end of each task.
const TRANSITIONS: usize = 6;

#[derive(Debug)]
struct Steady(Instant, Timestamp);

impl Clock for Steady {
    fn now(&self) -> Timestamp {
        self.1.checked_add(jiff::SignedDuration::try_from(self.0.elapsed()).unwrap()).unwrap()
    }
}

/// Returns at once, and notes when it was begun.
#[derive(Debug, Default)]
struct Step(Mutex<Vec<(String, Instant)>>);

#[async_trait]
impl Task for Step {
    fn name(&self) -> &'static str {
        "bench.step"
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let of = call.input["of"].as_str().unwrap_or_default().to_owned();
        self.0.lock().unwrap().push((of, Instant::now()));
        Ok(call.input)
    }
}

fn five() -> String {
    let names = ["One", "Two", "Three", "Four", "Five"];
    let state = |(index, name): (usize, &&str)| {
        let mut state = json!({"Type": "Task",
            "Resource": "arn:aws:states:local:000000000000:activity:groundcrew.bench.step"});
        match names.get(index + 1) {
            Some(next) => state["Next"] = json!(next),
            None => state["End"] = json!(true),
        }
        ((*name).to_owned(), state)
    };
    let states: serde_json::Map<_, _> = names.iter().enumerate().map(state).collect();
    json!({"StartAt": "One", "States": states}).to_string()
}

fn parked() -> String {
    json!({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 86_400, "End": true}}})
        .to_string()
}

struct Bench {
    engine: Engine,
    tenant: TenantEngine,
    step: Arc<Step>,
}

impl Bench {
    async fn on(store: &Store) -> Self {
        let clock = Steady(Instant::now(), "2026-01-01T00:00:00Z".parse().unwrap());
        let step = Arc::new(Step::default());
        let engine = Engine::new(store.clone(), Arc::new(clock), "bench", vec![step.clone()]);
        let begun = Instant::now();
        let open = engine.recover(&[TenantId::DEFAULT]).await.unwrap();
        if open > 0 {
            println!(
                "  restart with {open} open executions: {:.2} s",
                begun.elapsed().as_secs_f64()
            );
        }
        let tenant = engine.tenant(&TenantId::DEFAULT, PrincipalId::user("bench").unwrap());
        Self { engine, tenant, step }
    }

    async fn five_states(&self, in_flight: usize) {
        self.step.0.lock().unwrap().clear();
        let (begun, cpu) = (Instant::now(), cpu());
        let executions = stream::iter(0..).take_while(|_| {
            let more = begun.elapsed() < ROUND;
            async move { more }
        });
        let run = |number: usize| async move {
            let (name, begun) = (format!("{in_flight}-{number}"), Instant::now());
            let input = json!({"of": name});
            let started = self.tenant.start("five", Some(&name), input).await.unwrap();
            self.tenant.ended(&started.key).await.unwrap();
            begun.elapsed().as_secs_f64() * 1e3
        };
        let mut whole: Vec<_> = executions.map(run).buffer_unordered(in_flight).collect().await;
        whole.sort_by(f64::total_cmp);
        let seconds = begun.elapsed().as_secs_f64();
        let cpu = self::cpu() - cpu;
        let mut steps = std::mem::take(&mut *self.step.0.lock().unwrap());
        steps.sort();
        let pairs = steps.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        let mut waits: Vec<_> =
            pairs.map(|pair| (pair[1].1 - pair[0].1).as_secs_f64() * 1e3).collect();
        waits.sort_by(f64::total_cmp);
        let at = |all: &[f64], part: f64| all[((all.len() - 1) as f64 * part) as usize];
        let done = whole.len();
        let transitions = done * TRANSITIONS;
        println!(
            "  {in_flight:>5} in flight: {:>6.0} executions/s  {:>6.0} transitions/s  task to task \
             p50 {:>6.2} ms  p99 {:>6.2} ms  whole p50 {:>6.1} ms  p99 {:>6.1} ms  {:>4.0} µs \
             CPU/transition",
            done as f64 / seconds,
            transitions as f64 / seconds,
            at(&waits, 0.5),
            at(&waits, 0.99),
            at(&whole, 0.5),
            at(&whole, 0.99),
            cpu * 1e6 / transitions as f64
        );
    }

    async fn park(&self, count: usize) {
        let (before, begun) = (resident(), Instant::now());
        let start = |number: usize| async move {
            let name = number.to_string();
            self.tenant.start("parked", Some(&name), json!({})).await.unwrap();
        };
        stream::iter(0..count).map(start).buffer_unordered(256).count().await;
        let rate = count as f64 / begun.elapsed().as_secs_f64();
        println!(
            "  {count} parked waits: {:.0} MB more resident, {rate:.0} starts/s",
            resident() - before
        );
    }
}

/// CPU seconds of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

/// Resident memory of this process, in MB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

async fn measure(name: &str, store: &Store) {
    println!("{name}");
    let bench = Bench::on(store).await;
    bench.tenant.define("five", &five()).await.unwrap();
    bench.tenant.define("parked", &parked()).await.unwrap();
    let running = bench.engine.clone();
    let timers = tokio::spawn(async move { running.run().await });
    for in_flight in [1, 16, 64, 1_024] {
        bench.five_states(in_flight).await;
    }
    bench.park(OPEN).await;
    timers.abort();
    drop(bench);
    Bench::on(store).await;
}

async fn memory(store: &Store) {
    println!("memory");
    let bench = Bench::on(store).await;
    bench.tenant.define("parked", &parked()).await.unwrap();
    bench.park(PARKED).await;
}

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    let sqlite = Store::open_sqlite(&directory.path().join("control.db")).await.unwrap();
    measure("SQLite, synchronous = FULL", &sqlite).await;
    drop(sqlite);
    if let Ok(url) = std::env::var("GROUNDCREW_TEST_POSTGRES") {
        let postgres = Store::open_postgres(&Secret::new(&url)).await.unwrap();
        measure("Postgres", &postgres).await;
    }
    let sqlite = Store::open_sqlite(&directory.path().join("parked.db")).await.unwrap();
    memory(&sqlite).await;
}
