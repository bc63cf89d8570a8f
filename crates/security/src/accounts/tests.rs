use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;

use super::*;
use crate::{AuthError, KeyRing};

#[derive(Debug)]
struct TestClock(Mutex<Timestamp>);

impl TestClock {
    fn advance(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now = Timestamp::from_second(now.as_second() + seconds).unwrap();
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

struct Fixture {
    directory: tempfile::TempDir,
    clock: Arc<TestClock>,
    store: Store,
    accounts: Accounts,
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&directory.path().join("test.db")).await.unwrap();
        let clock = Arc::new(TestClock(Mutex::new(Timestamp::from_second(1_000).unwrap())));
        let key = InstallationKey::open(&directory.path().join("installation.key")).unwrap();
        let accounts = Accounts::open(store.clone(), key, clock.clone()).await.unwrap();
        Self { directory, clock, store, accounts }
    }

    /// Tenant `acme` with the service account `shop`.
    async fn with_acme() -> Self {
        let fixture = Self::new().await;
        fixture.accounts.create_tenant(acme(), &ada()).await.unwrap();
        fixture.accounts.create_principal(shop(), Some(acme()), &ada()).await.unwrap();
        fixture
    }

    async fn client_key(&self) -> CreatedKey {
        self.accounts.create_key(client(), &ada()).await.unwrap()
    }
}

fn acme() -> TenantId {
    "acme".parse().unwrap()
}

fn ada() -> PrincipalId {
    PrincipalId::user("ada").unwrap()
}

fn shop() -> PrincipalId {
    PrincipalId::service("shop").unwrap()
}

fn client() -> NewKey {
    NewKey {
        principal: shop(),
        tenant: Some(acme()),
        role: Role::Client,
        expires: None,
        note: None,
    }
}

#[tokio::test]
async fn the_first_start_makes_an_admin_key_that_only_its_owner_can_read() {
    let fixture = Fixture::new().await;
    let path = fixture.directory.path().join("admin.key");
    std::fs::write(&path, "left by a start that crashed").unwrap();
    let id = fixture.accounts.bootstrap(ada(), &path).await.unwrap().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let ring = KeyRing::open(fixture.accounts.clone()).await.unwrap();
    let identity = ring.authenticate(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!((&identity.key, identity.role, &identity.tenant), (&id, Role::Admin, &None));
    assert_eq!(fixture.accounts.tenants().await.unwrap()[0].id, TenantId::DEFAULT);
    assert_eq!(identity.principal, ada());
    std::fs::remove_file(&path).unwrap();
    assert_eq!(fixture.accounts.bootstrap(ada(), &path).await.unwrap(), None);
    assert!(!path.exists(), "a second start makes no key");
}

#[tokio::test]
async fn a_created_key_lets_in_until_it_is_revoked() {
    let fixture = Fixture::with_acme().await;
    let ring = KeyRing::open(fixture.accounts.clone()).await.unwrap();
    let created = fixture.client_key().await;
    assert_eq!(ring.authenticate(created.secret.expose()), Err(AuthError::Invalid));
    ring.catch_up().await.unwrap();
    let identity = ring.authenticate(created.secret.expose()).unwrap();
    assert_eq!(*identity, created.key.identity());
    fixture.accounts.revoke_key(Some(&acme()), &created.key.id, &ada()).await.unwrap();
    ring.catch_up().await.unwrap();
    assert_eq!(ring.authenticate(created.secret.expose()), Err(AuthError::Invalid));
}

#[tokio::test]
async fn a_ring_that_opens_later_knows_the_keys_that_are_valid() {
    let fixture = Fixture::with_acme().await;
    let (kept, revoked) = (fixture.client_key().await, fixture.client_key().await);
    fixture.accounts.revoke_key(Some(&acme()), &revoked.key.id, &ada()).await.unwrap();
    let ring = KeyRing::open(fixture.accounts.clone()).await.unwrap();
    assert!(ring.authenticate(kept.secret.expose()).is_ok());
    assert_eq!(ring.authenticate(revoked.secret.expose()), Err(AuthError::Invalid));
}

#[tokio::test]
async fn the_ring_follows_what_others_do_within_a_second_and_ends_with_the_store() {
    let fixture = Fixture::with_acme().await;
    let ring = KeyRing::open(fixture.accounts.clone()).await.unwrap();
    let following = tokio::spawn(ring.clone().follow());
    let created = fixture.client_key().await;
    let becomes = async |wanted: Result<(), AuthError>| {
        let presented = created.secret.expose();
        while ring.authenticate(presented).map(|_| ()) != wanted {
            tokio::task::yield_now().await;
        }
    };
    let second = std::time::Duration::from_secs(1);
    tokio::time::timeout(second, becomes(Ok(()))).await.expect("a new key counts");
    fixture.accounts.revoke_key(Some(&acme()), &created.key.id, &ada()).await.unwrap();
    let revoked = tokio::time::timeout(second, becomes(Err(AuthError::Invalid))).await;
    revoked.expect("a revocation counts");
    fixture.store.close().await;
    tokio::time::timeout(second, following).await.expect("ends").unwrap();
}

#[tokio::test]
async fn a_key_ends_when_it_expires() {
    let fixture = Fixture::with_acme().await;
    let expires = Timestamp::from_second(1_060).unwrap();
    let new = NewKey { expires: Some(expires), ..client() };
    let created = fixture.accounts.create_key(new.clone(), &ada()).await.unwrap();
    let ring = KeyRing::open(fixture.accounts.clone()).await.unwrap();
    assert!(ring.authenticate(created.secret.expose()).is_ok());
    fixture.clock.advance(60);
    assert_eq!(ring.authenticate(created.secret.expose()), Err(AuthError::Expired));
    let wrong = format!("gc_{}.{}", created.key.id, "x".repeat(43));
    assert_eq!(ring.authenticate(&wrong), Err(AuthError::Invalid), "a guesser learns nothing");
    let past = fixture.accounts.create_key(new, &ada()).await.unwrap_err();
    assert!(matches!(past, SecurityError::ExpiresInThePast));
}

#[tokio::test]
async fn accounts_of_one_tenant_are_not_seen_by_another() {
    let fixture = Fixture::with_acme().await;
    let rival: TenantId = "rival".parse().unwrap();
    fixture.accounts.create_tenant(rival.clone(), &ada()).await.unwrap();
    let key = fixture.client_key().await.key;
    assert_eq!(fixture.accounts.keys(Some(&rival)).await.unwrap(), []);
    assert_eq!(fixture.accounts.principals(Some(&rival)).await.unwrap(), []);
    let revoked = fixture.accounts.revoke_key(Some(&rival), &key.id, &ada()).await;
    assert!(matches!(revoked, Err(SecurityError::Missing { noun: "key", .. })));
    let foreign = NewKey { tenant: Some(rival), ..client() };
    let created = fixture.accounts.create_key(foreign, &ada()).await;
    assert!(matches!(created, Err(SecurityError::Missing { noun: "principal", .. })));
}

#[tokio::test]
async fn what_is_there_or_is_not_there_is_named() {
    let fixture = Fixture::with_acme().await;
    let accounts = &fixture.accounts;
    let report = [
        accounts.create_tenant(acme(), &ada()).await.unwrap_err().to_string(),
        accounts.create_principal(shop(), Some(acme()), &ada()).await.unwrap_err().to_string(),
        accounts
            .create_principal(shop(), Some("nobody".parse().unwrap()), &ada())
            .await
            .unwrap_err()
            .to_string(),
        accounts
            .revoke_key(None, &"0".repeat(16).parse().unwrap(), &ada())
            .await
            .unwrap_err()
            .to_string(),
    ];
    assert_eq!(
        report.join("\n"),
        "tenant `acme` exists already\nprincipal `service:shop` exists already\n\
         there is no tenant `nobody`\nthere is no key `0000000000000000`"
    );
}

#[tokio::test]
async fn every_change_is_an_event_of_its_actor_without_the_secret() {
    let fixture = Fixture::with_acme().await;
    let created = fixture.client_key().await;
    fixture.accounts.revoke_key(Some(&acme()), &created.key.id, &ada()).await.unwrap();
    fixture.accounts.revoke_key(Some(&acme()), &created.key.id, &ada()).await.unwrap();
    let events = fixture.store.system().log(0, 100).await.unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            let tenant = event.tenant.as_ref().map(ToString::to_string);
            (event.kind.as_str(), tenant.unwrap_or_default(), event.actor.to_string())
        })
        .collect();
    let by_ada = |kind, tenant: &str| (kind, tenant.to_owned(), "user:ada".to_owned());
    assert_eq!(
        told,
        [
            by_ada("tenant.created", ""),
            by_ada("principal.created", "acme"),
            by_ada("key.created", "acme"),
            by_ada("key.revoked", "acme"),
        ]
    );
    let secret = created.secret.expose().rsplit('.').next().unwrap();
    for event in &events {
        let payload = String::from_utf8(event.payload.clone()).unwrap();
        assert!(!payload.contains(secret) && !payload.contains("hmac"), "{payload}");
    }
}

#[tokio::test]
async fn keys_made_under_another_installation_key_are_refused_at_start() {
    let fixture = Fixture::new().await;
    let other = InstallationKey::open(&fixture.directory.path().join("other.key")).unwrap();
    let opened = Accounts::open(fixture.store.clone(), other, fixture.clock.clone()).await;
    assert!(matches!(opened, Err(SecurityError::ForeignInstallationKey)));
}
