//! However a sweep and a writer interleave, what is needed in the end is there.

use std::collections::BTreeSet;

use release::{Digest, TenantId, Timestamp};

use super::*;
use crate::Blobs;

const GRACE: Duration = Duration::from_secs(24 * 3_600);

fn later(days: i64) -> Timestamp {
    Timestamp::from_second(4_000_000_000 + days * 24 * 3_600).unwrap()
}

async fn sweep(blobs: &TenantBlobs, pins: &BTreeSet<Digest>) -> Swept {
    // Everything that there is was written long before.
    let sweep = Sweep { pins, now: later(0), grace: GRACE, delete: true, dry_run: false };
    blobs.sweep(sweep).await.unwrap()
}

/// What a writer does: it puts a blob that is there already, and then commits a record that names it.
/// A sweep reads the pins, then sweeps. All orders of these four, with one more sweep a day later.
#[tokio::test]
async fn a_blob_that_is_put_again_while_it_is_swept_is_there_when_its_record_is() {
    let bytes = Bytes::from_static(b"an old blob that nobody needed until now");
    // When the writer puts and commits among the sweep's two steps: before, between, after.
    let orders = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)];
    for (puts, commits) in orders {
        for aside_before in [false, true] {
            let home = tempfile::tempdir().unwrap();
            let blobs = Blobs::disk(home.path().to_owned()).tenant(&TenantId::DEFAULT);
            // Sealed, as what may have to be erased is.
            let digest = blobs.put_sealed(bytes.clone()).await.unwrap();
            let mut records = BTreeSet::new();
            if aside_before {
                sweep(&blobs, &records).await;
            }
            let mut pins = BTreeSet::new();
            for step in 0..3 {
                if puts == step {
                    blobs.put_sealed(bytes.clone()).await.unwrap();
                }
                if commits == step {
                    records.insert(digest);
                }
                match step {
                    0 => pins.clone_from(&records),
                    1 => {
                        sweep(&blobs, &pins).await;
                    }
                    _ => {}
                }
            }
            let what = format!("put at {puts}, committed at {commits}, aside {aside_before}");
            assert_eq!(blobs.get(&digest).await.unwrap(), bytes, "{what}");
            // A day later everything is as if nothing had happened.
            sweep(&blobs, &records).await;
            assert_eq!(sweep(&blobs, &records).await.pinned.blobs, 1, "{what}");
            assert_eq!(blobs.get(&digest).await.unwrap(), bytes, "{what}");
        }
    }
}

#[tokio::test]
async fn what_is_left_of_a_write_that_was_cut_off_goes_when_it_is_old() {
    let home = tempfile::tempdir().unwrap();
    let blobs = Blobs::disk(home.path().to_owned()).tenant(&TenantId::DEFAULT);
    let digest = blobs.put(Bytes::from_static(b"whole")).await.unwrap();
    let hex = digest.to_hex();
    let left = home.path().join("default").join(&hex[..2]).join(format!("{hex}.77-1.tmp"));
    std::fs::write(&left, b"who").unwrap();
    let pins = BTreeSet::from([digest]);
    let young = Sweep {
        pins: &pins,
        now: Timestamp::UNIX_EPOCH,
        grace: GRACE,
        delete: true,
        dry_run: false,
    };
    assert_eq!(blobs.sweep(young).await.unwrap().young.blobs, 1);
    assert!(left.exists());
    assert_eq!(sweep(&blobs, &pins).await.deleted.blobs, 1);
    assert!(!left.exists() && blobs.get(&digest).await.is_ok());
}
