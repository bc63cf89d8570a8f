use std::collections::BTreeMap;
use std::fs;

use release::TenantId;
use workflow::Fault;
use workflow::engine::{ObjectName, Objects};

use super::{Bucket, Buckets, Place};

struct Fixture {
    directory: tempfile::TempDir,
    buckets: Buckets,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("inside");
        fs::create_dir_all(&path).unwrap();
        fs::write(directory.path().join("secret"), "secret").unwrap();
        let bucket = Bucket { place: Place::Folder(path), tenants: vec![TenantId::DEFAULT] };
        let buckets = Buckets::new(BTreeMap::from([("b".to_owned(), bucket)]));
        Self { directory, buckets }
    }

    async fn get(&self, key: &str) -> Result<String, String> {
        let got = self.buckets.get(name(key), 10).await;
        got.map(|body| String::from_utf8(body.to_vec()).unwrap()).map_err(named)
    }

    async fn put(&self, key: &str) -> Result<(), String> {
        self.buckets.put(name(key), "body".into()).await.map_err(named)
    }
}

fn name(key: &str) -> ObjectName<'_> {
    ObjectName { tenant: &TenantId::DEFAULT, bucket: "b", key }
}

fn named(fault: Fault) -> String {
    fault.error.unwrap()
}

#[tokio::test]
async fn what_is_written_is_read_and_listed_in_the_order_of_its_keys() {
    let fixture = Fixture::new();
    for key in ["a/b/c", "a-b", "a/b.txt", "z"] {
        fixture.put(key).await.unwrap();
    }
    assert_eq!(fixture.get("a/b/c").await.unwrap(), "body");
    let list = async |prefix, after| {
        let all = fixture.buckets.list(name(prefix), after).await.unwrap();
        all.into_iter().map(|object| object.key).collect::<Vec<_>>()
    };
    assert_eq!(list("", "").await, ["a-b", "a/b.txt", "a/b/c", "z"]);
    assert_eq!(list("a/", "").await, ["a/b.txt", "a/b/c"]);
    assert_eq!(list("a/b", "a/b.txt").await, ["a/b/c"]);
}

#[tokio::test]
async fn no_key_and_no_link_leads_out_of_a_bucket() {
    let fixture = Fixture::new();
    let inside = fixture.directory.path().join("inside");
    std::os::unix::fs::symlink(fixture.directory.path(), inside.join("link")).unwrap();
    std::os::unix::fs::symlink(fixture.directory.path().join("secret"), inside.join("file"))
        .unwrap();
    for key in ["../secret", "a/../../secret", "/etc/passwd", "", ".", "a//b", ".groundcrew-x"] {
        assert_eq!(fixture.get(key).await.unwrap_err(), "S3.InvalidKey", "{key}");
        assert_eq!(fixture.put(key).await.unwrap_err(), "S3.InvalidKey", "{key}");
    }
    for key in ["link/secret", "file"] {
        assert_eq!(fixture.get(key).await.unwrap_err(), "S3.AccessDenied", "{key}");
    }
    for key in ["link/new", "link/new/deep"] {
        assert_eq!(fixture.put(key).await.unwrap_err(), "S3.AccessDenied", "{key}");
    }
    // The link itself is replaced, not what it leads to.
    fixture.put("file").await.unwrap();
    assert_eq!(fs::read_to_string(fixture.directory.path().join("secret")).unwrap(), "secret");
    assert!(!fixture.directory.path().join("new").exists());
}

#[tokio::test]
async fn what_is_missing_too_large_or_another_tenants_is_refused() {
    let fixture = Fixture::new();
    assert_eq!(fixture.get("none").await.unwrap_err(), "S3.NoSuchKey");
    let pipe = fixture.directory.path().join("inside/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Whoever opens it to read waits for one who writes.
    assert_eq!(fixture.get("pipe").await.unwrap_err(), "S3.NoSuchKey");
    fs::create_dir(fixture.directory.path().join("inside/folder")).unwrap();
    assert_eq!(fixture.get("folder").await.unwrap_err(), "S3.NoSuchKey");
    fs::write(fixture.directory.path().join("inside/large"), "more than ten bytes").unwrap();
    assert_eq!(fixture.get("large").await.unwrap_err(), "S3.EntityTooLarge");
    let other: TenantId = "other".parse().unwrap();
    let foreign = ObjectName { tenant: &other, ..name("large") };
    let told = fixture.buckets.get(foreign, 100).await.unwrap_err();
    assert_eq!(told.cause.unwrap(), "there is no bucket `b` for this tenant");
}
