//! `kill -9` at random points: nothing acknowledged is lost, nothing half applied is seen.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use release::{PrincipalId, Secret, TenantId, Timestamp};
use store::conformance::EngineFixture;
use store::{Collection, Expect, List, Store, Transaction};

use crate::postgres::Postgres;
use crate::sqlite::Sqlite;

const ROUNDS: u64 = 25;
const LINES: Collection = Collection("lines");
/// Tells the re-executed test binary what to write to.
const TARGET: &str = "GROUNDCREW_CRASH_TARGET";

/// Commits records and events of lines `from..`, several at a time, and prints each line's number
/// when it is acknowledged; stops after `count`.
async fn write_lines(store: &Store, from: u64, count: u64) {
    let write = |lane: u64| async move {
        let tenant = store.tenant(&TenantId::DEFAULT);
        for line in (from..from.saturating_add(count)).filter(|line| line % 4 == lane) {
            let change = Transaction::new(PrincipalId::system("crash"), Timestamp::UNIX_EPOCH)
                .put(LINES, format!("{line:012}"), &line, Expect::Absent)
                .emit("lines", "written", &line);
            tenant.commit(change).await.unwrap();
            println!("acknowledged {line}");
        }
    };
    tokio::join!(write(0), write(1), write(2), write(3));
}

/// Reads everything and checks that records and events tell the same; returns the lines.
async fn check(store: &Store) -> Vec<u64> {
    // A server may still be busy with the last commit of a killed client. This one takes the next
    // position, so it waits for that.
    let barrier = Transaction::new(PrincipalId::system("crash"), Timestamp::UNIX_EPOCH);
    store.system().commit(barrier.emit("checks", "checked", &0)).await.unwrap();
    let log = store.system().log(0, usize::MAX).await.unwrap();
    assert!(log.iter().map(|event| event.position.unwrap()).eq(1..=log.len() as u64));

    let tenant = store.tenant(&TenantId::DEFAULT);
    let written = tenant.stream("lines", 0, usize::MAX).await.unwrap();
    assert!(written.iter().map(|event| event.sequence).eq(1..=written.len() as u64));
    assert_eq!(tenant.log(0, usize::MAX).await.unwrap(), written);
    let mut told: Vec<u64> = written.iter().map(|event| event.read().unwrap()).collect();
    told.sort_unstable();
    let records = tenant.list(LINES, List::all().limit(usize::MAX)).await.unwrap();
    let lines: Vec<u64> = records.iter().map(|record| record.read().unwrap()).collect();
    assert_eq!(told, lines, "each record has its event and each event its record");
    lines
}

async fn open(target: &str) -> Store {
    match target.strip_prefix("sqlite:") {
        Some(path) => Store::open_sqlite(path.as_ref()).await.unwrap(),
        None => Store::open_postgres(&Secret::new(target)).await.unwrap(),
    }
}

/// With a target in the environment this is the child that gets killed; without, it shows that the
/// same writing, left alone, is complete.
#[tokio::test]
async fn the_killed_writer_left_alone_writes_every_line() {
    if let Ok(target) = std::env::var(TARGET) {
        let (from, target) = target.split_once(' ').unwrap();
        write_lines(&open(target).await, from.parse().unwrap(), u64::MAX).await;
    }
    let fixture = Sqlite::new();
    let store = fixture.open().await;
    write_lines(&store, 0, 40).await;
    assert_eq!(check(&store).await, (0..40).collect::<Vec<_>>());
}

fn spawn_writer(target: &str, from: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["crash::the_killed_writer_left_alone_writes_every_line", "--exact", "--nocapture"])
        .env(TARGET, format!("{from} {target}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills the child after it acknowledged `lines` lines and a while of at most a few commits;
/// returns all that it acknowledged.
fn kill_after(mut child: Child, lines: usize, micros: u64) -> Vec<u64> {
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let number = |line: std::io::Result<String>| {
        line.ok()?.strip_prefix("acknowledged ")?.parse::<u64>().ok()
    };
    let mut acknowledged: Vec<_> = output.by_ref().filter_map(number).take(lines).collect();
    std::thread::park_timeout(Duration::from_micros(micros));
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged.extend(output.filter_map(number));
    acknowledged
}

/// Numbers that differ from run to run; the round is printed should one fail.
fn random() -> u64 {
    u64::from_be_bytes(uuid::Uuid::now_v7().as_bytes()[8..].try_into().unwrap())
}

async fn survive(fixture: &impl EngineFixture, target: String) {
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let child = spawn_writer(&target, round * 1_000_000);
        let (lines, micros) = (random() as usize % 60, random() % 3000);
        let kill = move || kill_after(child, lines, micros);
        acknowledged.extend(tokio::task::spawn_blocking(kill).await.unwrap());
        let store = fixture.open().await;
        let kept = check(&store).await;
        for line in &acknowledged {
            assert!(
                kept.binary_search(line).is_ok(),
                "line {line} is lost in round {round}, killed after {lines} lines and {micros} µs"
            );
        }
        store.close().await;
    }
    assert!(!acknowledged.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_loses_nothing_acknowledged_when_killed() {
    let fixture = Sqlite::new();
    let target = format!("sqlite:{}", fixture.path().display());
    survive(&fixture, target).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_loses_nothing_acknowledged_when_its_client_is_killed() {
    let fixture = Postgres::new().await;
    let target = fixture.url();
    survive(&fixture, target).await;
}
