//! A wall clock that is set back or forward by an hour, in the middle of whatever waits.

use std::time::Duration;

use release::Timestamp;
use serde_json::json;

use super::{Fixture, every_hour, executions, kept, key, started_with_activity};
use crate::engine::TenantEngine;
use crate::{Report, Status};

const HOUR: i64 = 3_600;

/// Sets the clock to so many seconds after the start, and lets fire what is due.
async fn at(fixture: &Fixture, seconds: i64) {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    fixture.clock.set(start + jiff::SignedDuration::from_secs(seconds));
    fixture.pass(0).await;
}

async fn status(tenant: &TenantEngine) -> Status {
    tenant.execution(&key("one")).await.unwrap().run.status
}

async fn count(tenant: &TenantEngine, kind: &str) -> usize {
    let history = tenant.history(&key("one")).await.unwrap();
    history.iter().filter(|event| event.kind == kind).count()
}

/// Waits of a minute, one after another and beside each other.
async fn waits(fixture: &Fixture) -> TenantEngine {
    let minute = |end: &str| match end {
        "" => json!({"Type": "Wait", "Seconds": 60, "End": true}),
        next => json!({"Type": "Wait", "Seconds": 60, "Next": next}),
    };
    let branch = json!({"StartAt": "W", "States": {"W": minute("")}});
    let mut other = branch.clone();
    other["StartAt"] = json!("X");
    other["States"] = json!({"X": minute("")});
    let text = json!({"StartAt": "First", "States": {"First": minute("Both"),
        "Both": {"Type": "Parallel", "Branches": [branch, other], "End": true}}});
    let tenant = fixture.tenant();
    tenant.define("flow", &text.to_string()).await.unwrap();
    tenant.start("flow", Some("one"), json!({})).await.unwrap();
    tenant
}

#[tokio::test]
async fn a_wait_ends_once_at_its_moment_though_the_clock_is_set_back_and_forward() {
    let mut fixture = Fixture::new(0).await;
    drop(waits(&fixture).await);
    for (seconds, ended) in [(30, 0), (30 - HOUR, 0), (59, 0), (60, 1), (60 - HOUR, 1), (119, 1)] {
        at(&fixture, seconds).await;
        assert_eq!(count(&fixture.tenant(), "WaitStateExited").await, ended, "at {seconds}");
        // Whoever comes back finds the same.
        fixture.restart().await;
        fixture.pass(0).await;
        assert_eq!(count(&fixture.tenant(), "WaitStateExited").await, ended, "at {seconds}");
    }
    at(&fixture, 120 + HOUR).await;
    assert_eq!(status(&fixture.tenant()).await, Status::Succeeded);
    at(&fixture, 120).await;
    at(&fixture, 120 + 2 * HOUR).await;
    assert_eq!(count(&fixture.tenant(), "WaitStateExited").await, 3);
    assert_eq!(count(&fixture.tenant(), "ExecutionSucceeded").await, 1);
}

#[tokio::test]
async fn an_engine_that_sleeps_notices_that_the_clock_was_set_forward() {
    let fixture = Fixture::new(0).await;
    let tenant = waits(&fixture).await;
    let engine = fixture.engine.clone().unwrap();
    tokio::time::pause();
    let running = tokio::spawn(async move { engine.run().await });
    for ended in [1, 3] {
        fixture.clock.advance(Duration::from_secs(3_600));
        while count(&tenant, "WaitStateExited").await < ended {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    assert_eq!(tenant.ended(&key("one")).await.unwrap().run.status, Status::Succeeded);
    running.abort();
}

#[tokio::test]
async fn signs_of_life_count_by_the_clock_as_it_is_set() {
    let fixture = Fixture::new(0).await;
    let tenant = started_with_activity(&fixture).await;
    let given = tenant.take_task("review", None, Duration::ZERO).await.unwrap().unwrap();
    at(&fixture, 50 - HOUR).await;
    tenant.heartbeat(&given.token).await.unwrap();
    at(&fixture, 100 - HOUR).await;
    assert_eq!(status(&tenant).await, Status::Running);
    tenant.heartbeat(&given.token).await.unwrap();
    // Its silence is noticed by the clock that it gave its last sign of life by.
    at(&fixture, 161 - HOUR).await;
    assert_eq!(status(&tenant).await, Status::Failed);
    assert_eq!(count(&tenant, "ActivityTimedOut").await, 1);
    at(&fixture, 161 + HOUR).await;
    assert_eq!(count(&tenant, "ActivityTimedOut").await, 1);
}

#[tokio::test]
async fn a_worker_that_reports_when_the_clock_was_set_back_is_heard_once() {
    let fixture = Fixture::new(0).await;
    let tenant = started_with_activity(&fixture).await;
    let given = tenant.take_task("review", None, Duration::ZERO).await.unwrap().unwrap();
    at(&fixture, -HOUR).await;
    tenant.report(&given.token, Report::Succeeded(json!(1))).await.unwrap();
    at(&fixture, HOUR).await;
    assert_eq!(status(&tenant).await, Status::Succeeded);
    assert_eq!(count(&tenant, "ActivityTimedOut").await, 0);
}

#[tokio::test]
async fn a_schedule_keeps_each_moment_once_though_the_clock_comes_by_it_again() {
    let fixture = Fixture::new(0).await;
    let tenant = fixture.tenant();
    let text = json!({"StartAt": "P", "States": {"P": {"Type": "Succeed"}}});
    tenant.define("flow", &text.to_string()).await.unwrap();
    tenant.schedule("hourly", every_hour(json!({}))).await.unwrap();
    let once = json!({"expression": "at(2026-01-01T00:30:00)"});
    tenant.schedule("once", every_hour(once)).await.unwrap();
    let moments = [
        (1_800, 1),
        (0, 1),
        (1_800, 1),
        (HOUR, 2),
        (0, 2),
        (HOUR, 2),
        (2 * HOUR, 3),
        (HOUR, 3),
        (3 * HOUR - 1, 3),
        (3 * HOUR, 4),
    ];
    for (seconds, started) in moments {
        at(&fixture, seconds).await;
        kept(&fixture).await;
        kept(&fixture).await;
        let all = executions(&tenant, "flow").await.len();
        assert_eq!(all, started, "at {seconds}");
    }
    assert!(tenant.dead_letters().await.unwrap().is_empty());
}
