use release::Secret;
use store::S3Options;

use super::*;
use crate::source::tests::{all, documents, failures, fresh, marks, offer, opened};
use crate::source::{Directory, Offered};

/// A bucket of its own on the S3-compatible server of the tests.
struct Fixture {
    name: String,
    endpoint: String,
    bucket: Bucket,
    python: String,
}

impl Fixture {
    async fn new() -> Self {
        let variable = |name| std::env::var(name).expect("run `cargo xtask test`");
        let (endpoint, python) =
            (variable("GROUNDCREW_TEST_S3"), variable("GROUNDCREW_TEST_PYTHON"));
        let home = tempfile::tempdir().unwrap();
        let random = home.path().file_name().unwrap().to_str().unwrap();
        let name = random.trim_start_matches('.').to_lowercase();
        let options = S3Options {
            endpoint: Some(endpoint.clone()),
            bucket: name.clone(),
            region: "us-east-1".to_owned(),
            prefix: "team".to_owned(),
            access_key_id: "test".to_owned(),
            secret_access_key: Secret::new("test"),
        };
        let fixture = Self { bucket: Bucket::s3(&options).unwrap(), name, endpoint, python };
        fixture.run("s3.create_bucket(Bucket=bucket)");
        fixture
    }

    /// Does something to the bucket by boto3.
    fn run(&self, script: &str) {
        let Self { name, endpoint, python, .. } = self;
        let script = format!(
            "import boto3\nbucket = '{name}'\ns3 = boto3.client('s3', endpoint_url='{endpoint}', \
             region_name='us-east-1', aws_access_key_id='test', aws_secret_access_key='test')\n\
             {script}"
        );
        let ran = std::process::Command::new(python).args(["-c", &script]).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    fn source(&self) -> Box<dyn Source> {
        let what = OfferedBucket::S3(Box::new(self.bucket.clone()));
        let offered = Offered { buckets: offer(what), ..Offered::default() };
        let spec = serde_json::json!({"kind": "bucket", "bucket": "it", "path": "docs"});
        opened(spec, &offered).unwrap()
    }
}

#[tokio::test]
async fn objects_are_read_once_with_their_versions_and_deletes_are_seen() {
    let fixture = Fixture::new().await;
    fixture.run(
        "s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={'Status': 'Enabled'})\n\
         def put(key, body): s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType='text/markdown')\n\
         put('team/docs/a.md', b'one')\nput('team/docs/b c/d.md', b'two')\n\
         put('team/docs/a.bin', b'no')\nput('team/other.md', b'no')\nput('docs/x.md', b'no')\n\
         put('team/docs/', b'')",
    );
    let source = fixture.source();
    let first = all(&*source, &BTreeMap::new()).await.unwrap();
    assert_eq!(fresh(&first), ["a.md", "b c/d.md"]);
    let a = documents(&first).next().unwrap().clone();
    assert_eq!((a.bytes.as_ref(), a.media_type.as_deref()), (&b"one"[..], Some("text/markdown")));
    assert!(a.version.is_some() && a.modified_at.is_some());
    let before = marks(&first);
    assert_eq!(fresh(&all(&*source, &before).await.unwrap()), Vec::<&str>::new());
    fixture.run(
        "s3.put_object(Bucket=bucket, Key='team/docs/a.md', Body=b'more')\n\
         s3.delete_object(Bucket=bucket, Key='team/docs/b c/d.md')",
    );
    let second = all(&*source, &before).await.unwrap();
    let again = documents(&second).next().unwrap();
    assert_eq!((second.len(), again.bytes.as_ref()), (1, &b"more"[..]));
    assert_ne!(again.version, a.version);
}

#[tokio::test]
async fn a_bucket_without_versions_has_none_and_one_that_is_gone_is_an_error() {
    let fixture = Fixture::new().await;
    fixture.run("s3.put_object(Bucket=bucket, Key='team/docs/a.md', Body=b'one')");
    let source = fixture.source();
    let told = all(&*source, &BTreeMap::new()).await.unwrap();
    assert_eq!(documents(&told).next().unwrap().version, None);
    fixture.run(
        "s3.delete_object(Bucket=bucket, Key='team/docs/a.md')\ns3.delete_bucket(Bucket=bucket)",
    );
    assert!(all(&*source, &BTreeMap::new()).await.is_err());
}

#[tokio::test]
async fn a_bucket_of_too_many_keys_is_refused_before_anything_is_read() {
    let fixture = Fixture::new().await;
    fixture.run(
        "for n in range(1100): s3.put_object(Bucket=bucket, Key=f'team/docs/{n}.md', Body=b'x')",
    );
    let wanted = Wanted::new(&["**".to_owned()], &[]).unwrap();
    let source = |listed, documents| Objects {
        bucket: fixture.bucket.clone(),
        folder: "docs/".to_owned(),
        wanted: wanted.clone(),
        limits: Limits { listed, documents },
    };
    let told = all(&source(1050, 9999), &BTreeMap::new()).await.unwrap_err().to_string();
    assert!(told.contains("1050 keys") && told.contains("`docs/`"), "{told}");
    let told = all(&source(9999, 1050), &BTreeMap::new()).await.unwrap_err();
    assert!(matches!(told, KnowledgeError::TooMany(1050)), "{told}");
    assert_eq!(source(9999, 9999).list().await.unwrap().len(), 1100);
}

#[tokio::test]
async fn an_object_that_vanishes_after_the_listing_is_told_as_failed() {
    let fixture = Fixture::new().await;
    fixture.run("s3.put_object(Bucket=bucket, Key='team/docs/a.md', Body=b'one')");
    let wanted = Wanted::new(&["**".to_owned()], &[]).unwrap();
    let limits = Limits { listed: 10, documents: 10 };
    let bucket = fixture.bucket.clone();
    let source = Objects { bucket, folder: "docs/".to_owned(), wanted, limits };
    let (path, info) = source.list().await.unwrap().remove(0);
    fixture.run("s3.delete_object(Bucket=bucket, Key='team/docs/a.md')");
    let told = [source.object(path, &info).await];
    assert!(failures(&told)["a.md"].contains("deleted"));
}

#[tokio::test]
async fn a_bucket_that_is_a_folder_is_read_as_one() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("docs")).unwrap();
    std::fs::write(home.path().join("docs/a.md"), "one").unwrap();
    let what = OfferedBucket::Folder(Directory(home.path().to_owned()));
    let offered = Offered { buckets: offer(what), ..Offered::default() };
    let spec = serde_json::json!({"kind": "bucket", "bucket": "it", "path": "docs"});
    let told = all(&*opened(spec, &offered).unwrap(), &BTreeMap::new()).await.unwrap();
    assert_eq!(fresh(&told), ["a.md"]);
}
