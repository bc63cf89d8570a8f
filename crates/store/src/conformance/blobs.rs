//! The suite for blob stores.

use bytes::Bytes;
use release::{Digest, TenantId};

use super::BlobFixture;
use crate::BlobError;

fn ada() -> TenantId {
    "ada".parse().unwrap()
}

fn path(tenant: &TenantId, digest: Digest) -> String {
    let hex = digest.to_hex();
    format!("{tenant}/{}/{hex}", &hex[..2])
}

pub async fn a_blob_is_put_found_read_and_deleted(fixture: &impl BlobFixture) {
    let blobs = fixture.open().await.tenant(&ada());
    for bytes in [Bytes::from_static(b""), Bytes::from_static(b"a handbook")] {
        let digest = Digest::of(&bytes);
        assert!(!blobs.exists(digest).await.unwrap());
        assert!(matches!(blobs.get(digest).await, Err(BlobError::NotFound { .. })));
        assert_eq!(blobs.put(bytes.clone()).await.unwrap(), digest);
        assert!(blobs.exists(digest).await.unwrap());
        assert_eq!(blobs.get(digest).await.unwrap(), bytes);
        blobs.delete(digest).await.unwrap();
        assert!(!blobs.exists(digest).await.unwrap());
        blobs.delete(digest).await.unwrap();
    }
}

pub async fn putting_twice_keeps_one(fixture: &impl BlobFixture) {
    let blobs = fixture.open().await.tenant(&ada());
    let first = blobs.put(Bytes::from_static(b"same")).await.unwrap();
    let second = blobs.put(Bytes::from_static(b"same")).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(blobs.list(None, 10).await.unwrap(), [first]);
    assert_eq!(&blobs.get(first).await.unwrap()[..], b"same");
}

pub async fn concurrent_puts_of_the_same_bytes_all_succeed(fixture: &impl BlobFixture) {
    let blobs = fixture.open().await.tenant(&ada());
    let puts = (0..8).map(|_| blobs.put(Bytes::from_static(b"popular")));
    for put in futures::future::join_all(puts).await {
        assert_eq!(put.unwrap(), Digest::of(b"popular"));
    }
    assert_eq!(&blobs.get(Digest::of(b"popular")).await.unwrap()[..], b"popular");
}

pub async fn one_tenant_never_sees_anothers_blobs(fixture: &impl BlobFixture) {
    let store = fixture.open().await;
    let (ada, bob) = (store.tenant(&ada()), store.tenant(&"ada-2".parse().unwrap()));
    let digest = ada.put(Bytes::from_static(b"mine")).await.unwrap();
    assert!(!bob.exists(digest).await.unwrap());
    assert!(matches!(bob.get(digest).await, Err(BlobError::NotFound { .. })));
    assert!(bob.list(None, 10).await.unwrap().is_empty());
    bob.put(Bytes::from_static(b"mine")).await.unwrap();
    bob.delete(digest).await.unwrap();
    assert!(ada.exists(digest).await.unwrap());
}

pub async fn blobs_are_listed_in_order_and_by_page(fixture: &impl BlobFixture) {
    let blobs = fixture.open().await.tenant(&ada());
    let mut digests = Vec::new();
    for number in 0..30u8 {
        digests.push(blobs.put(vec![number].into()).await.unwrap());
    }
    digests.sort();
    assert_eq!(blobs.list(None, 100).await.unwrap(), digests);
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = blobs.list(after, 7).await.unwrap();
        assert!(page.len() <= 7);
        after = page.last().copied();
        if after.is_none() {
            break;
        }
        pages.extend(page);
    }
    assert_eq!(pages, digests);
}

pub async fn a_flipped_byte_is_an_error_that_names_the_blob(fixture: &impl BlobFixture) {
    let blobs = fixture.open().await.tenant(&ada());
    let digest = blobs.put(Bytes::from_static(b"the true text")).await.unwrap();
    fixture.overwrite(&path(&ada(), digest), b"GCB\0\x01\0\0the true tExt".to_vec()).await;
    let error = blobs.get(digest).await.unwrap_err();
    assert!(matches!(&error, BlobError::Corrupt { digest: named, .. } if *named == digest));
    assert!(error.to_string().contains(&digest.to_string()), "{error}");
    blobs.delete(digest).await.unwrap();
    blobs.put(Bytes::from_static(b"the true text")).await.unwrap();
    assert_eq!(&blobs.get(digest).await.unwrap()[..], b"the true text");
}

pub async fn a_truncated_or_foreign_file_is_corrupt(fixture: &impl BlobFixture) {
    let blobs = fixture.open().await.tenant(&ada());
    let digest = blobs.put(Bytes::from_static(b"whole")).await.unwrap();
    for torn in [&b""[..], b"GCB", b"GCB\0\x01\0\0who", b"whole"] {
        fixture.overwrite(&path(&ada(), digest), torn.to_vec()).await;
        let read = blobs.get(digest).await;
        assert!(matches!(read, Err(BlobError::Corrupt { .. })), "{torn:?}: {read:?}");
    }
}

pub async fn a_blob_of_a_newer_header_or_with_a_key_is_unsupported(fixture: &impl BlobFixture) {
    let blobs = fixture.open().await.tenant(&ada());
    let digest = blobs.put(Bytes::from_static(b"x")).await.unwrap();
    for newer in [&b"GCB\0\x02\0\0x"[..], b"GCB\0\x01\x01\x03keyx"] {
        fixture.overwrite(&path(&ada(), digest), newer.to_vec()).await;
        let read = blobs.get(digest).await;
        assert!(matches!(read, Err(BlobError::Unsupported { .. })), "{newer:?}: {read:?}");
    }
}

pub async fn a_large_blob_comes_back_whole(fixture: &impl BlobFixture) {
    let blobs = fixture.open().await.tenant(&ada());
    let bytes: Bytes = (0..3_000_000u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    let digest = blobs.put(bytes.clone()).await.unwrap();
    assert_eq!(blobs.get(digest).await.unwrap(), bytes);
}
