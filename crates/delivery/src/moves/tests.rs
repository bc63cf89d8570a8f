//! Where a rollback leads.

use release::{ChangeId, Digest, PrincipalId, Timestamp};

use std::sync::Arc;

use knowledge::{Extractor, Limits, NoSteps, Offered, Workshop};
use release::{Clock, TenantId};
use store::{Blobs, Store};

use super::*;
use crate::{Delivery, Upload};

fn release(n: u8) -> ReleaseDigest {
    ReleaseDigest::new(Digest::of(&[n]))
}

fn log(moves: &[(u8, bool)]) -> Vec<DeploymentEntry> {
    let app: AppName = "support".parse().unwrap();
    let mut environment = Environment::empty(app.clone(), "prod".parse().unwrap());
    let mut log = Vec::new();
    for (to, rollback) in moves {
        let from = environment.stable;
        let (hold, cause) = match rollback {
            true => (from, Cause::Rollback { reason: String::new() }),
            false => (None, Cause::Promotion { change: ChangeId::new(app.clone(), 1) }),
        };
        let entry = environment
            .decide(MoveRequest {
                expected: environment.generation,
                make: Move::Stable { from, to: release(*to), hold },
                cause,
                actor: PrincipalId::user("ada").unwrap(),
                at: Timestamp::UNIX_EPOCH,
            })
            .unwrap();
        environment.apply(&entry);
        log.push(entry);
    }
    log
}

#[test]
fn a_rollback_leads_to_what_was_stable_before() {
    assert_eq!(restore_point(&log(&[])), None);
    assert_eq!(restore_point(&log(&[(1, false)])), None);
    assert_eq!(restore_point(&log(&[(1, false), (2, false)])), Some(release(1)));
}

#[test]
fn rolling_back_twice_goes_back_two_promotions() {
    let once = log(&[(1, false), (2, false), (3, false), (2, true)]);
    assert_eq!(restore_point(&once), Some(release(1)));
    let all = log(&[(1, false), (2, false), (2, false), (1, true)]);
    assert_eq!(restore_point(&all), None);
}

#[derive(Debug)]
struct Fixed(Timestamp);

fn workshop() -> Arc<Workshop> {
    let extractor = Extractor::new("no-program".into(), Limits::default());
    Arc::new(Workshop { extractor, steps: Arc::new(NoSteps) })
}

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
}

#[tokio::test]
async fn a_promotion_by_hand_that_is_begun_twice_moves_once_and_asked_for_anew_once_more() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&directory.path().join("control.db")).await.unwrap();
    let blobs = Blobs::disk(directory.path().join("blobs"));
    let (now, nothing) = (Timestamp::UNIX_EPOCH, Arc::new(Offered::default()));
    let delivery = Delivery::new((store, blobs), nothing, workshop(), Arc::new(Fixed(now)));
    let ada = delivery.tenant(&TenantId::DEFAULT, PrincipalId::user("ada").unwrap());
    let app = "[slots]\nmodel = \"m\"\nprompt = \"p\"\n[delivery]\nenter = \"manual\"\n";
    let files = [
        ("groundcrew.toml", "name = \"p\"\nenvironments = [\"prod\"]\n"),
        ("apps/a.toml", app),
        ("models/m.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
        ("prompts/p.md", "Hello.\n"),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    ada.apply(&Upload { files: files.into(), ..Upload::default() }).await.unwrap();
    let wish = Promotion {
        app: "a".parse().unwrap(),
        environment: "prod".parse().unwrap(),
        release: None,
        expected: None,
        now: false,
    };
    let first = ada.promote_since(&wish, now).await.unwrap();
    assert_eq!(ada.promote_since(&wish, now).await.unwrap(), first);
    let bob = delivery.tenant(&TenantId::DEFAULT, PrincipalId::user("bob").unwrap());
    assert_eq!(bob.promote_since(&wish, now).await.unwrap().generation, 2);
    let later = now + std::time::Duration::from_secs(1);
    assert_eq!(ada.promote_since(&wish, later).await.unwrap().generation, 3);
}
