//! Access keys open for their own id and tenant, and only while they are valid.

use serde_json::json;
use store::{Expect, Transaction};

use crate::keys::KEYS;
use crate::keys::tests::{Fixture, admin, fixture};

use super::*;

/// Changes the record of a key as one would who can write to the database.
async fn tamper(fixture: &Fixture, id: &str, change: impl FnOnce(&mut KeyRecord)) {
    let mut record = fixture.ring.key(id).await.unwrap();
    change(&mut record);
    let id = record.id.as_str();
    let write = Transaction::new(admin(), Timestamp::UNIX_EPOCH)
        .put(KEYS, id, &record, Expect::Any)
        .unwrap();
    fixture.store.system().commit(write).await.unwrap();
    fixture.ring.reload().await.unwrap();
}

#[tokio::test]
async fn an_access_key_opens_until_it_expires_or_is_revoked() {
    let Fixture { clock, ring, .. } = &fixture().await;
    let expires = Timestamp::new(10, 0).unwrap();
    let expiring = ring.issue_access_key(&admin(), &admin(), Some(expires)).await.unwrap();
    let lasting = ring.issue_access_key(&admin(), &admin(), None).await.unwrap();
    let found = ring.access_key(expiring.id.as_str()).unwrap();
    assert_eq!(found.secret.expose(), expiring.secret.expose());
    assert_eq!((&found.identity.principal, &found.identity.key), (&admin(), &expiring.id));
    *clock.0.lock().unwrap() = expires;
    assert_eq!(ring.access_key(expiring.id.as_str()).unwrap_err(), Invalid);
    assert!(ring.access_key(lasting.id.as_str()).is_ok());
    ring.revoke(&admin(), lasting.id.as_str()).await.unwrap();
    assert_eq!(ring.access_key(lasting.id.as_str()).unwrap_err(), Invalid);
}

#[tokio::test]
async fn a_pair_has_the_form_that_clients_expect() {
    let Fixture { ring, .. } = &fixture().await;
    let one = ring.issue_access_key(&admin(), &admin(), None).await.unwrap();
    let other = ring.issue_access_key(&admin(), &admin(), None).await.unwrap();
    assert_eq!((one.id.as_str().len(), one.secret.expose().len()), (20, 40));
    assert!(one.id.as_str().starts_with("GCAK"));
    assert!(one.id.as_str().bytes().all(|byte| ALPHABET.contains(&byte)));
    assert_ne!(one.id, other.id);
    assert_ne!(one.secret.expose(), other.secret.expose());
}

#[tokio::test]
async fn a_sealed_secret_is_in_no_record_log_or_file() {
    let Fixture { path, ring, .. } = &fixture().await;
    let issued = ring.issue_access_key(&admin(), &admin(), None).await.unwrap();
    let secret = issued.secret.expose();
    let record = ring.key(issued.id.as_str()).await.unwrap();
    let found = ring.access_key(issued.id.as_str()).unwrap();
    let written = serde_json::to_string(&record).unwrap();
    for text in [written, format!("{record:?} {issued:?} {found:?} {ring:?}")] {
        assert!(!text.contains(secret), "{text}");
    }
    for file in [path.clone(), path.with_extension("db-wal")] {
        let bytes = std::fs::read(file).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[tokio::test]
async fn a_record_moved_to_another_id_or_changed_does_not_open() {
    let fixture = fixture().await;
    let ring = &fixture.ring;
    let mine = ring.issue_access_key(&admin(), &admin(), None).await.unwrap();
    let theirs = ring.issue_access_key(&admin(), &admin(), None).await.unwrap();
    let proof = ring.key(mine.id.as_str()).await.unwrap().proof;
    tamper(&fixture, theirs.id.as_str(), |record| record.proof = proof.clone()).await;
    assert_eq!(ring.access_key(theirs.id.as_str()).unwrap_err(), Invalid);
    assert!(ring.access_key(mine.id.as_str()).is_ok());

    let KeyProof::Sealed(sealed) = proof else { panic!("{proof:?}") };
    let sealed = BASE64.decode(sealed).unwrap();
    let truncated = (0..sealed.len()).map(|length| sealed[..length].to_vec());
    let flipped = (0..sealed.len()).map(|at| {
        let mut other = sealed.clone();
        other[at] ^= 1;
        other
    });
    for other in truncated.chain(flipped) {
        assert!(ring.seal.open(&other, &mine.id, Some(&TenantId::DEFAULT)).is_none());
    }
}

#[tokio::test]
async fn a_record_moved_to_another_tenant_does_not_open() {
    let fixture = fixture().await;
    let ring = &fixture.ring;
    let eve = PrincipalId::user("eve").unwrap();
    let root = PrincipalId::user("root").unwrap();
    let elsewhere: TenantId = "elsewhere".parse().unwrap();
    ring.create_tenant(&admin(), elsewhere.clone()).await.unwrap();
    for (principal, tenant) in [(&eve, Some(elsewhere)), (&root, None)] {
        let role = crate::Role::Admin;
        ring.create_principal(&admin(), principal.clone(), tenant, role).await.unwrap();
    }
    let issued = ring.issue_access_key(&admin(), &eve, None).await.unwrap();
    for other in [admin(), root] {
        tamper(&fixture, issued.id.as_str(), |record| record.principal = other).await;
        assert_eq!(ring.access_key(issued.id.as_str()).unwrap_err(), Invalid);
    }
}

#[tokio::test]
async fn another_installations_key_opens_nothing() {
    let Fixture { store, clock, ring, .. } = &fixture().await;
    let issued = ring.issue_access_key(&admin(), &admin(), None).await.unwrap();
    let other = KeyRing::open(store.clone(), clock.clone(), &Secret::new("salt")).await.unwrap();
    assert_eq!(other.access_key(issued.id.as_str()).unwrap_err(), Invalid);
}

#[tokio::test]
async fn a_key_of_one_kind_does_not_serve_as_the_other() {
    let Fixture { ring, .. } = &fixture().await;
    let sent = ring.issue(&admin(), &admin(), None).await.unwrap();
    let signing = ring.issue_access_key(&admin(), &admin(), None).await.unwrap();
    assert_eq!(ring.access_key(sent.id.as_str()).unwrap_err(), Invalid);
    let whole = format!("gc_{}.{}", signing.id, signing.secret.expose());
    assert_eq!(ring.authenticate(&whole), Err(Invalid));
}

#[tokio::test]
async fn records_from_before_there_were_access_keys_still_count() {
    let fixture = fixture().await;
    let issued = fixture.ring.issue(&admin(), &admin(), None).await.unwrap();
    let record = fixture.ring.key(issued.id.as_str()).await.unwrap();
    let KeyProof::Hmac(hmac) = &record.proof else { panic!("{record:?}") };
    let old = json!({
        "id": record.id, "principal": record.principal, "hmac": hmac,
        "created_at": record.created_at, "expires_at": null, "revoked_at": null,
    });
    assert_eq!(serde_json::to_value(&record).unwrap(), old);
    assert_eq!(serde_json::from_value::<KeyRecord>(old).unwrap(), record);
}
