use std::fs;

use knowledge::{Alert, Freshness, Lag};
use release::Timestamp;

use crate::desk::{Desk, at};

const SOURCE: &str =
    "[[sources]]\nkind = \"directory\"\ndirectory = \"files\"\nobjective = \"2h\"\n";

/// How fresh the directory is in production at a moment.
async fn fresh(desk: &Desk, moment: Timestamp) -> Freshness {
    desk.set(moment);
    let told = desk.ada.freshness(&desk.name).await.unwrap();
    told.serving[0].sources[0].clone()
}

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;

#[tokio::test]
async fn a_change_waits_until_the_pointer_moves_and_its_lag_is_until_then() {
    let desk = Desk::new(SOURCE).await;
    desk.write("a.md", "First.", at("00:00"));
    desk.write("b.md", "Stays.", at("00:00"));
    desk.set(at("00:10"));
    desk.refresh(&[]).await.unwrap();
    assert!(desk.ada.freshness(&desk.name).await.unwrap().serving.is_empty(), "it serves nowhere");
    desk.set(at("00:20"));
    desk.promote().await;
    let first = fresh(&desk, at("00:30")).await;
    assert_eq!((first.staleness, first.pending, first.lag), (0, 0, None));
    assert_eq!((first.unknown_age, first.burn), (Some(20 * MINUTE), Some(0.0)));

    desk.write("a.md", "Second.", at("00:40"));
    fs::remove_file(desk.docs.join("b.md")).unwrap();
    assert_eq!(fresh(&desk, at("00:50")).await.pending, 0, "nobody has read it yet");
    desk.set(at("01:00"));
    desk.refresh(&[]).await.unwrap();
    let waiting = fresh(&desk, at("01:10")).await;
    // The document that is gone was last seen when the directory was read before.
    assert_eq!((waiting.staleness, waiting.pending), (HOUR, 2));
    assert_eq!(waiting.burn, Some(0.5));
    desk.set(at("01:40"));
    desk.promote().await;
    let served = fresh(&desk, at("02:00")).await;
    assert_eq!((served.staleness, served.pending, served.burn), (0, 0, Some(0.0)));
    let lag = Lag { p50: HOUR, p95: 90 * MINUTE, max: 90 * MINUTE };
    assert_eq!(served.lag, Some(lag));
    let place = desk.ada.freshness(&desk.name).await.unwrap().serving.remove(0);
    assert_eq!(place.since, at("01:40"));

    // A rollback takes it back: it waits again, and nothing new was served.
    desk.set(at("02:10"));
    desk.roll_back().await;
    let back = fresh(&desk, at("02:20")).await;
    assert_eq!((back.staleness, back.pending, back.lag), (130 * MINUTE, 2, Some(lag)));
    assert!(back.burn > Some(1.0));
}

#[tokio::test]
async fn a_poll_that_fails_leaves_the_age_unknown_and_the_next_one_counts_again() {
    let desk = Desk::new(SOURCE).await;
    desk.write("a.md", "First.", at("00:00"));
    desk.refresh(&[]).await.unwrap();
    desk.promote().await;
    let away = desk.docs.with_file_name("away");
    fs::rename(&desk.docs, &away).unwrap();
    for failed in ["01:00", "01:30"] {
        desk.set(at(failed));
        desk.refresh(&[]).await.unwrap_err();
    }
    let blind = fresh(&desk, at("02:00")).await;
    assert_eq!((blind.staleness, blind.unknown_age), (0, Some(2 * HOUR)));
    assert_eq!(blind.burn, Some(1.0));
    let source = desk.ada.freshness(&desk.name).await.unwrap().sources.remove(0);
    assert_eq!((source.read_at, source.failing.unwrap().since), (Some(at("00:00")), at("01:00")));
    fs::rename(&away, &desk.docs).unwrap();
    desk.set(at("02:10"));
    desk.refresh(&[]).await.unwrap();
    let sees = fresh(&desk, at("02:20")).await;
    assert_eq!((sees.burn, sees.unknown_age), (Some(0.0), Some(10 * MINUTE)));
}

#[tokio::test]
async fn a_time_to_come_or_one_before_the_last_counts_from_when_it_was_first_seen() {
    let desk = Desk::new(SOURCE).await;
    desk.write("a.md", "First.", at("00:00"));
    desk.set(at("00:10"));
    desk.refresh(&[]).await.unwrap();
    desk.promote().await;
    // As an old backup that is copied back, and a clock that is ahead.
    desk.write("a.md", "Older.", "2020-01-01T00:00:00Z".parse().unwrap());
    desk.write("b.md", "Ahead.", "2030-01-01T00:00:00Z".parse().unwrap());
    desk.set(at("01:00"));
    desk.refresh(&[]).await.unwrap();
    let waiting = fresh(&desk, at("01:30")).await;
    assert_eq!((waiting.staleness, waiting.pending), (30 * MINUTE, 2));
    // Reading it again does not make it younger.
    desk.refresh(&[]).await.unwrap();
    assert_eq!(fresh(&desk, at("02:00")).await.staleness, HOUR);
}

#[tokio::test]
async fn a_change_that_the_gates_reject_waits_as_well() {
    let desk = Desk::new(&format!("{SOURCE}[quality]\nmax_empty = 0\n")).await;
    desk.write("a.md", "First.", at("00:00"));
    desk.refresh(&[]).await.unwrap();
    desk.promote().await;
    for path in ["x.md", "y.md"] {
        desk.write(path, "", "2030-01-01T00:00:00Z".parse().unwrap());
    }
    desk.set(at("01:00"));
    assert!(!desk.refresh(&[]).await.unwrap().accepted);
    assert_eq!(fresh(&desk, at("01:30")).await.pending, 2);
    assert!(!desk.refresh(&[]).await.unwrap().accepted);
    assert_eq!(fresh(&desk, at("02:00")).await.staleness, HOUR);
    for path in ["x.md", "y.md"] {
        fs::remove_file(desk.docs.join(path)).unwrap();
    }
    desk.refresh(&[]).await.unwrap();
    let kept = fresh(&desk, at("02:10")).await;
    assert_eq!((kept.pending, kept.staleness), (0, 0));
}

#[tokio::test]
async fn each_crossing_of_a_promise_is_told_once_by_all_servers_and_after_a_restart() {
    let desk = Desk::new(SOURCE).await;
    desk.write("a.md", "First.", at("00:00"));
    desk.refresh(&[]).await.unwrap();
    desk.promote().await;
    desk.write("a.md", "Second.", at("00:00"));
    desk.set(at("00:05"));
    desk.refresh(&[]).await.unwrap();
    let servers = [desk.server(), desk.server()];
    for time in ["00:10", "01:35", "01:36", "01:50"] {
        desk.set(at(time));
        let (one, two) = tokio::join!(servers[0].keep_freshness(), servers[1].keep_freshness());
        one.and(two).unwrap();
    }
    let burning = "knowledge.freshness.burning: directory";
    assert_eq!(desk.told("knowledge.freshness").await, [burning]);
    // A server that starts anew knows what was told.
    let restarted = desk.server();
    desk.set(at("02:00"));
    for _ in 0..2 {
        restarted.keep_freshness().await.unwrap();
    }
    let broken = "knowledge.freshness.broken: directory";
    assert_eq!(desk.told("knowledge.freshness").await, [burning, broken]);
    assert_eq!(fresh(&desk, at("02:01")).await.alert, Alert::Broken);
    desk.promote().await;
    for _ in 0..2 {
        restarted.keep_freshness().await.unwrap();
    }
    let restored = "knowledge.freshness.restored: directory";
    assert_eq!(desk.told("knowledge.freshness").await, [burning, broken, restored]);
    // Moves that nobody looked at in between count all the same.
    desk.set(at("02:30"));
    desk.roll_back().await;
    desk.set(at("02:40"));
    desk.promote().await;
    restarted.keep_freshness().await.unwrap();
    let lag = fresh(&desk, at("03:00")).await.lag.unwrap();
    assert_eq!((lag.p50, lag.max), (121 * MINUTE, 160 * MINUTE));
}

#[tokio::test]
async fn a_promise_that_is_taken_back_is_not_broken_any_more() {
    let desk = Desk::new(SOURCE).await;
    desk.write("a.md", "First.", at("00:00"));
    desk.refresh(&[]).await.unwrap();
    desk.promote().await;
    desk.write("a.md", "Second.", at("00:00"));
    desk.refresh(&[]).await.unwrap();
    desk.set(at("05:00"));
    desk.server().keep_freshness().await.unwrap();
    desk.apply("[[sources]]\nkind = \"directory\"\ndirectory = \"files\"\n").await.unwrap();
    desk.server().keep_freshness().await.unwrap();
    assert_eq!(
        desk.told("knowledge.freshness").await,
        ["knowledge.freshness.broken: directory", "knowledge.freshness.restored: directory"]
    );
}
