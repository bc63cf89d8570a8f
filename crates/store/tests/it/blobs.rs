//! Blobs on disk and on S3.

use std::io::{Read, Write};
use std::net::TcpStream;

use async_trait::async_trait;
use bytes::Bytes;
use release::{Digest, Secret, TenantId};
use store::conformance::BlobFixture;
use store::{BlobError, Blobs, S3Options};
use tempfile::TempDir;

mod disk {
    store::blob_conformance!(super::Disk::new());
}

mod s3 {
    store::blob_conformance!(super::S3::new().await);
}

struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl BlobFixture for Disk {
    async fn open(&self) -> Blobs {
        Blobs::disk(&self.0.path().join("blobs")).unwrap()
    }

    async fn overwrite(&self, path: &str, bytes: Vec<u8>) {
        std::fs::write(self.0.path().join("blobs").join(path), bytes).unwrap();
    }
}

/// A bucket of its own in the S3 service of the tests.
struct S3 {
    endpoint: String,
    bucket: String,
}

impl S3 {
    async fn new() -> Self {
        let endpoint = std::env::var("GROUNDCREW_TEST_S3")
            .expect("GROUNDCREW_TEST_S3 is not set: run `cargo xtask test`");
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let bucket = format!("test-{}", uuid::Uuid::now_v7());
        let fixture = Self { endpoint, bucket };
        fixture.put("", Vec::new()).await;
        fixture
    }

    /// A `PUT` without a signature: the tests' service wants an author and does not verify it.
    async fn put(&self, key: &str, body: Vec<u8>) {
        let host = self.endpoint.trim_start_matches("http://").to_owned();
        let head = format!(
            "PUT /{}/{key} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             authorization: AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request\r\n\
             content-length: {}\r\n\r\n",
            self.bucket,
            body.len()
        );
        let send = move || {
            let mut stream = TcpStream::connect(host).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).unwrap();
            assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        };
        tokio::task::spawn_blocking(send).await.unwrap();
    }

    fn options(&self) -> S3Options {
        S3Options {
            endpoint: self.endpoint.clone(),
            bucket: self.bucket.clone(),
            region: "us-east-1".to_owned(),
            prefix: "groundcrew/blobs/".to_owned(),
            key: Secret::new("testing"),
            secret: Secret::new("testing"),
        }
    }
}

#[async_trait]
impl BlobFixture for S3 {
    async fn open(&self) -> Blobs {
        Blobs::s3(self.options()).unwrap()
    }

    async fn overwrite(&self, path: &str, bytes: Vec<u8>) {
        self.put(&format!("groundcrew/blobs/{path}"), bytes).await;
    }
}

#[tokio::test]
async fn a_missing_bucket_is_an_error_and_not_an_absent_blob() {
    let fixture = S3::new().await;
    let options = S3Options { bucket: "no-such-bucket".to_owned(), ..fixture.options() };
    let blobs = Blobs::s3(options).unwrap().tenant(&TenantId::DEFAULT);
    let put = blobs.put(Bytes::from_static(b"x")).await;
    assert!(matches!(put, Err(BlobError::Engine { .. })), "{put:?}");
}

#[tokio::test]
async fn a_torn_temporary_file_is_ignored_and_removed_when_the_store_opens() {
    let fixture = Disk::new();
    let blobs = fixture.open().await.tenant(&TenantId::DEFAULT);
    let digest = blobs.put(Bytes::from_static(b"whole")).await.unwrap();
    let temporary = fixture.0.path().join("blobs/.tmp");
    let (torn, held) = (temporary.join("torn"), temporary.join("held"));
    std::fs::write(&torn, b"GCB\0\x01\0\0who").unwrap();
    std::fs::write(&held, b"GCB\0").unwrap();
    let writer = std::fs::File::open(&held).unwrap();
    writer.lock().unwrap();
    assert_eq!(blobs.list(None, 10).await.unwrap(), [digest]);
    let reopened = fixture.open().await.tenant(&TenantId::DEFAULT);
    assert_eq!(reopened.list(None, 10).await.unwrap(), [digest]);
    assert!(!torn.exists());
    assert!(held.exists(), "a living writer's file stays");
}

#[tokio::test]
async fn a_put_leaves_one_file_under_a_sharded_name() {
    let fixture = Disk::new();
    let blobs = fixture.open().await.tenant(&TenantId::DEFAULT);
    let digest = blobs.put(Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(digest, Digest::of(b"x"));
    let root = fixture.0.path().join("blobs");
    let stored = root.join("default").join(&digest.to_hex()[..2]).join(digest.to_hex());
    assert_eq!(std::fs::read(stored).unwrap(), b"GCB\0\x01\0\0x");
    assert_eq!(std::fs::read_dir(root.join(".tmp")).unwrap().count(), 0);
}
