//! Statements hold what was signed, for what it was signed, where it was signed.

use super::super::tests::{Fixture, fixture};
use super::*;
use release::{PrincipalId, Timestamp};

#[tokio::test]
async fn a_statement_is_read_back_and_any_change_of_it_is_refused() {
    let ring = &fixture().await.ring;
    let signed = ring.sign("links", b"bob may");
    let signed = signed.expose();
    assert_eq!(ring.verify("links", signed).unwrap(), b"bob may");
    assert_eq!(ring.verify("other", signed), Err(Forged));
    let (statement, tag) = signed.split_once('.').unwrap();
    let eve = BASE64.encode(b"eve may");
    for forged in [
        "".to_owned(),
        ".".to_owned(),
        statement.to_owned(),
        format!("{eve}.{tag}"),
        format!("{statement}."),
        format!("{statement}.{}", &tag[1..]),
        format!("{statement}.{tag}A"),
        format!("{signed}.{tag}"),
        "A".repeat(10_000),
    ] {
        assert_eq!(ring.verify("links", &forged), Err(Forged), "{forged}");
    }
}

#[tokio::test]
async fn another_installation_reads_none() {
    let fixture = fixture().await;
    let pepper = Secret::new("other");
    let other = KeyRing::open(fixture.store.clone(), fixture.clock.clone(), &pepper).await.unwrap();
    let signed = fixture.ring.sign("links", b"bob may");
    assert_eq!(other.verify("links", signed.expose()), Err(Forged));
}

#[tokio::test]
async fn who_had_keys_that_all_ended_is_shut_out_and_who_never_had_one_is_not() {
    let Fixture { clock, ring, .. } = &fixture().await;
    let admin = super::super::tests::admin();
    let stands = async || ring.by_statement(&admin).await.is_ok();
    assert!(stands().await);
    let one = ring.issue(&admin, &admin, None).await.unwrap();
    let end = Timestamp::new(10, 0).unwrap();
    let _two = ring.issue(&admin, &admin, Some(end)).await.unwrap();
    ring.revoke(&admin, one.id.as_str()).await.unwrap();
    assert!(stands().await);
    *clock.0.lock().unwrap() = end;
    assert!(!stands().await);
    let three = ring.issue(&admin, &admin, None).await.unwrap();
    assert!(stands().await);
    ring.revoke(&admin, three.id.as_str()).await.unwrap();
    assert!(!stands().await);
    let nobody = PrincipalId::user("nobody").unwrap();
    assert!(ring.by_statement(&nobody).await.is_err());
}
