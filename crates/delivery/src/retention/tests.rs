//! What is old and not needed goes, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use knowledge::NoModels;
use release::AppName;
use store::StoreError;

use super::*;
use crate::pins::tests::APP;
use crate::versions::tests::Desk;
use crate::{Promotion, Rollback, Upload};

const RETENTION: Retention = Retention { keep_days: 10, keep_at_least: 3, grace_hours: 24 };

pub async fn desk() -> (Desk, AppName) {
    let desk = Desk::with("", &APP, Arc::new(NoModels)).await;
    // Long after anything was written: contents are old at once.
    *desk.clock.0.lock().unwrap() = "2100-01-01T00:00:00Z".parse().unwrap();
    (desk, "support".parse().unwrap())
}

pub fn pass(desk: &Desk, days: u64) {
    *desk.clock.0.lock().unwrap() += Duration::from_secs(24 * 3_600 * days);
}

/// As many refreshes as days, each with a change, and so as many releases.
pub async fn days(desk: &Desk, days: std::ops::Range<u32>) {
    for day in days {
        pass(desk, 1);
        let text = format!("What is new on day {day}.");
        desk.batch(&[("news.md", Some(&text))], false).await;
    }
}

#[tokio::test]
async fn the_newest_the_young_the_live_and_what_a_rollback_leads_to_stay() {
    let (desk, app) = desk().await;
    days(&desk, 0..8).await;
    assert!(desk.ada.doom(&RETENTION).await.unwrap().told() == Dropped::default(), "all are young");
    // Somebody goes back to the second one for long, and forth again.
    let environment: release::EnvironmentName = "prod".parse().unwrap();
    let back = Rollback {
        app: app.clone(),
        environment: environment.clone(),
        release: Some("2".to_owned()),
        expected: None,
        reason: "once it was better".to_owned(),
    };
    desk.ada.roll_back(&back).await.unwrap();
    pass(&desk, 30);
    let forth = Promotion {
        app: app.clone(),
        environment: environment.clone(),
        release: Some("8".to_owned()),
        expected: None,
        now: false,
    };
    desk.ada.promote(&forth).await.unwrap();
    let hold = desk.ada.find_release(&app, "4").await.unwrap().release;
    desk.ada.hold(hold.digest(), "the auditor asks").await.unwrap();
    let dropped = desk.ada.doom(&RETENTION).await.unwrap();
    // 6 to 8 are the newest, 8 is live, 2 was live until just now, 4 is held.
    assert_eq!(dropped.told().releases, ["#1", "#3", "#5"].map(|n| format!("{n} of support")));
    assert_eq!(dropped.told().batches, ["1", "3", "5"].map(|n| format!("{n} of handbook")));
    desk.ada.drop_doomed(&dropped).await.unwrap();
    let left = desk.ada.releases(&app).await.unwrap();
    assert_eq!(left.iter().map(|one| one.sequence).collect::<Vec<_>>(), [8, 7, 6, 4, 2]);

    // Numbers are not given twice, and what is gone cannot be gone back to.
    days(&desk, 8..9).await;
    assert_eq!(desk.ada.releases(&app).await.unwrap()[0].sequence, 9);
    let gone = Rollback { release: Some("3".to_owned()), ..back.clone() };
    let gone = desk.ada.roll_back(&gone).await;
    assert!(matches!(gone, Err(DeliveryError::UnknownRelease { .. })), "{gone:?}");
    let before = Rollback { release: None, ..back };
    assert_eq!(desk.ada.roll_back(&before).await.unwrap().generation, 12);
}

#[tokio::test]
async fn who_needs_something_at_the_same_time_has_it_decided_anew() {
    let (desk, _) = desk().await;
    days(&desk, 0..6).await;
    pass(&desk, 30);
    let doomed = desk.ada.doom(&RETENTION).await.unwrap();
    assert_eq!(doomed.releases.len(), 3);
    days(&desk, 6..7).await;
    let late = desk.ada.drop_doomed(&doomed).await;
    let conflict = matches!(late, Err(DeliveryError::Store(StoreError::Conflict { .. })));
    assert!(conflict, "{late:?}");
    assert_eq!(desk.ada.batches(&desk.name).await.unwrap().len(), 7);
}

#[tokio::test]
async fn a_base_that_was_removed_and_comes_back_goes_on_counting_its_batches() {
    let desk = Desk::new("").await;
    days(&desk, 0..2).await;
    let files = |more: &[(&str, &str)]| Upload {
        files: [("groundcrew.toml", "name = \"p\"\nenvironments = [\"prod\"]\n")]
            .iter()
            .chain(more)
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect(),
        prune: true,
        ..Upload::default()
    };
    desk.ada.apply(&files(&[])).await.unwrap();
    let base = "[[sources]]\nkind = \"directory\"\ndirectory = \"docs\"\n";
    desk.ada.apply(&files(&[("knowledge/handbook.toml", base)])).await.unwrap();
    days(&desk, 2..3).await;
    let batches = desk.ada.batches(&desk.name).await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.number).collect::<Vec<_>>(), [3, 2, 1]);
}
