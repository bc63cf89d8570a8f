//! How many durable transitions a second each engine makes, and what they cost.
//!
//! `cargo run -p store --example transitions -- [POSTGRES_URL]` commits transitions (one record
//! changed by its version and one event emitted), 64 in flight, on SQLite in a temporary directory
//! and, given a URL, on that Postgres database, in alternating rounds. The CPU time is this
//! process's; a Postgres server's own comes on top.

#![expect(clippy::print_stdout, reason = "the figures are its output")]

use std::error::Error;
use std::time::{Duration, Instant};

use release::{PrincipalId, Secret, TenantId, Timestamp};
use store::{Collection, Expect, Store, Transaction};

const IN_FLIGHT: u64 = 64;
const ROUND: Duration = Duration::from_secs(3);
const RUNS: Collection = Collection("runs");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let mut engines =
        vec![("sqlite", Store::open_sqlite(&directory.path().join("transitions.db")).await?)];
    if let Some(url) = std::env::args().nth(1) {
        engines.push(("postgres", Store::open_postgres(&Secret::new(url)).await?));
    }
    for round in 1..=3 {
        for (name, store) in &engines {
            let (wall, cpu) = (Instant::now(), cpu_time()?);
            let transitions = run(store).await?;
            let (wall, cpu) = (wall.elapsed(), cpu_time()? - cpu);
            println!(
                "round {round}  {name:<8}  {:>7.0} transitions/s  {:>5.0} µs CPU each",
                transitions as f64 / wall.as_secs_f64(),
                cpu.as_micros() as f64 / transitions as f64,
            );
        }
    }
    Ok(())
}

async fn run(store: &Store) -> Result<u64, Box<dyn Error>> {
    let end = Instant::now() + ROUND;
    let lanes: Vec<_> = (0..IN_FLIGHT)
        .map(|lane| tokio::spawn(transition(store.clone(), format!("run/{lane}"), end)))
        .collect();
    let mut transitions = 0;
    for lane in lanes {
        transitions += lane.await??;
    }
    Ok(transitions)
}

async fn transition(store: Store, run: String, end: Instant) -> Result<u64, store::StoreError> {
    let tenant = store.tenant(&TenantId::DEFAULT);
    let new = || Transaction::new(PrincipalId::system("transitions"), Timestamp::UNIX_EPOCH);
    let state = "a state of about two hundred bytes ".repeat(6);
    let first = new().put(RUNS, run.as_str(), &state, Expect::Any);
    let mut version = tenant.commit(first).await?.versions[0];
    let mut transitions = 0;
    while Instant::now() < end {
        let change = new().put(RUNS, run.as_str(), &state, Expect::Version(version)).emit(
            run.as_str(),
            "run.moved",
            &transitions,
        );
        version = tenant.commit(change).await?.versions[0];
        transitions += 1;
    }
    Ok(transitions)
}

/// The CPU time of this process, user and system: `/proc/self/stat`, fields 14 and 15, in
/// hundredths of a second (proc(5)).
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().ok_or("unreadable /proc/self/stat")?;
    let ticks: Result<Vec<u64>, _> =
        after_name.split_whitespace().skip(11).take(2).map(str::parse).collect();
    Ok(Duration::from_millis(ticks?.iter().sum::<u64>() * 10))
}
