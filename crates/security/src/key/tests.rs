use super::*;

fn key(minted: &Minted) -> Key {
    Key {
        id: minted.id.clone(),
        principal: PrincipalId::service("shop").unwrap(),
        tenant: Some(TenantId::DEFAULT),
        role: Role::Client,
        note: None,
        created: Timestamp::UNIX_EPOCH,
        created_by: PrincipalId::user("ada").unwrap(),
        expires: None,
        revoked: None,
    }
}

fn installation() -> (tempfile::TempDir, InstallationKey) {
    let directory = tempfile::tempdir().unwrap();
    let key = InstallationKey::open(&directory.path().join("installation.key")).unwrap();
    (directory, key)
}

#[test]
fn a_key_verifies_its_own_secret_and_no_other() {
    let (_directory, installation) = installation();
    let (minted, other) = (Minted::new().unwrap(), Minted::new().unwrap());
    let stored = minted.stored(key(&minted), &installation);
    let presented = minted.presented();
    let (id, secret) = parse(presented.expose()).unwrap();
    assert_eq!(id, minted.id);
    assert!(installation.verify(&id, secret, &stored.tag()));
    assert!(!installation.verify(&id, &other.secret, &stored.tag()));
    assert!(!installation.verify(&other.id, secret, &stored.tag()), "a tag is of one id");
    assert!(!installation.verify(&id, secret, &[]));
}

#[test]
fn nothing_stored_or_printed_holds_the_secret() {
    let (_directory, installation) = installation();
    let minted = Minted::new().unwrap();
    let stored = minted.stored(key(&minted), &installation);
    let json = serde_json::to_string(&stored).unwrap();
    assert!(!json.contains(&minted.secret), "{json}");
    assert!(json.contains(minted.id.as_str()));
    assert_eq!(format!("{:?} {installation:?}", minted.presented()), "*** InstallationKey(***)");
    let listed = serde_json::to_string(&stored.key).unwrap();
    assert!(!listed.contains("hmac"), "{listed}");
}

#[test]
fn a_text_that_is_not_a_key_is_not_parsed() {
    let good = format!("gc_{}.{}", "a".repeat(16), "b".repeat(43));
    assert!(parse(&good).is_some());
    let bad = [
        String::new(),
        "gc_".into(),
        good.replace("gc_", "gd_"),
        good.replace('.', ":"),
        format!("{good}b"),
        good[..good.len() - 1].into(),
        good.replace('b', "!"),
        format!(" {good}"),
        "gc_".repeat(1_000_000),
    ];
    for text in bad {
        assert!(parse(&text).is_none(), "{:.80}", text);
    }
}

#[test]
fn the_installation_key_is_made_once_readable_by_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("installation.key");
    let first = InstallationKey::open(&path).unwrap().fingerprint();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(InstallationKey::open(&path).unwrap().fingerprint(), first);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn processes_that_start_at_once_share_one_installation_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("installation.key");
    let fingerprints: Vec<String> = std::thread::scope(|scope| {
        let opened: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| InstallationKey::open(&path).unwrap().fingerprint()))
            .collect();
        opened.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(fingerprints.iter().all(|fingerprint| *fingerprint == fingerprints[0]));
}

#[test]
fn an_installation_key_that_others_can_read_or_that_is_cut_is_refused() {
    let (directory, _key) = installation();
    let path = directory.path().join("installation.key");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = InstallationKey::open(&path).unwrap_err();
    assert!(matches!(&error, SecurityError::InstallationKey { source, .. }
        if source.to_string().contains("chmod 600")));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, b"short").unwrap();
    assert!(InstallationKey::open(&path).is_err());
}
