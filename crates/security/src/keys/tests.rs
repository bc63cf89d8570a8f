//! Keys prove who presents them, and nothing of them is stored that could.

use std::sync::Mutex;

use super::*;

#[derive(Debug)]
pub(super) struct Hands(pub(super) Mutex<Timestamp>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

pub(super) struct Fixture {
    _home: tempfile::TempDir,
    pub(super) path: std::path::PathBuf,
    pub(super) store: Store,
    pub(super) clock: Arc<Hands>,
    pub(super) ring: KeyRing,
}

pub(super) fn admin() -> PrincipalId {
    PrincipalId::user("admin").unwrap()
}

pub(super) async fn fixture() -> Fixture {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("control.db");
    let store = Store::open_sqlite(&path).await.unwrap();
    let clock = Arc::new(Hands(Mutex::new(Timestamp::UNIX_EPOCH)));
    let ring = KeyRing::open(store.clone(), clock.clone(), &Secret::new("pepper")).await.unwrap();
    ring.create_tenant(&admin(), TenantId::DEFAULT).await.unwrap();
    let tenant = Some(TenantId::DEFAULT);
    ring.create_principal(&admin(), admin(), tenant, Role::Client).await.unwrap();
    Fixture { _home: home, path, store, clock, ring }
}

#[tokio::test]
async fn a_key_proves_its_principal_until_it_expires_or_is_revoked() {
    let Fixture { clock, ring, .. } = &fixture().await;
    let expires = Timestamp::new(10, 0).unwrap();
    let expiring = ring.issue(&admin(), &admin(), Some(expires)).await.unwrap();
    let lasting = ring.issue(&admin(), &admin(), None).await.unwrap();
    let identity = ring.authenticate(expiring.key.expose()).unwrap();
    assert_eq!((&identity.principal, identity.role), (&admin(), Role::Client));
    *clock.0.lock().unwrap() = expires;
    assert_eq!(ring.authenticate(expiring.key.expose()), Err(Invalid));
    ring.revoke(&admin(), lasting.id.as_str()).await.unwrap();
    assert_eq!(ring.authenticate(lasting.key.expose()), Err(Invalid));
}

#[tokio::test]
async fn wrong_keys_are_all_refused_alike() {
    let Fixture { ring, .. } = &fixture().await;
    let issued = ring.issue(&admin(), &admin(), None).await.unwrap();
    let key = issued.key.expose();
    let other = format!("{}x", &key[..key.len() - 1]);
    for wrong in ["", "gc_", "gc_.", "sk-123", "gc_unknown.secret", other.as_str(), &key[3..]] {
        assert_eq!(ring.authenticate(wrong), Err(Invalid), "{wrong}");
    }
}

#[tokio::test]
async fn no_secret_reaches_the_disk_or_a_log() {
    let Fixture { path, ring, .. } = &fixture().await;
    let issued = ring.issue(&admin(), &admin(), None).await.unwrap();
    let secret = issued.key.expose().split_once('.').unwrap().1;
    assert!(!format!("{issued:?}").contains(secret));
    for file in [path.clone(), path.with_extension("db-wal")] {
        let bytes = std::fs::read(file).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[tokio::test]
async fn a_second_ring_follows_what_the_first_one_does() {
    let Fixture { store, clock, ring, .. } = &fixture().await;
    let other = KeyRing::open(store.clone(), clock.clone(), &Secret::new("pepper")).await.unwrap();
    let issued = ring.issue(&admin(), &admin(), None).await.unwrap();
    let follow = other.follow();
    let revoke = async {
        while other.authenticate(issued.key.expose()).is_err() {
            tokio::task::yield_now().await;
        }
        ring.revoke(&admin(), issued.id.as_str()).await.unwrap();
        while other.authenticate(issued.key.expose()).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = follow => panic!("{ended:?}"),
        () = revoke => {}
    }
}

#[tokio::test]
async fn names_are_taken_once_and_tenants_must_exist() {
    let Fixture { ring, .. } = &fixture().await;
    let again = ring.create_tenant(&admin(), TenantId::DEFAULT).await;
    assert!(matches!(again, Err(SecurityError::Exists(_))));
    let nowhere = Some("nowhere".parse().unwrap());
    let bob = PrincipalId::user("bob").unwrap();
    let refused = ring.create_principal(&admin(), bob, nowhere, Role::Viewer).await;
    assert!(matches!(refused, Err(SecurityError::UnknownTenant(_))));
}

#[test]
fn secrets_are_referred_to_and_never_written_down() {
    use crate::SecretRef;
    let plain = SecretRef::try_from("sk-live-123".to_owned()).unwrap_err();
    assert!(!plain.to_string().contains("sk-live"));
    let missing = SecretRef::try_from("file:/nowhere/at/all".to_owned()).unwrap();
    assert!(missing.resolve().is_err());
}
