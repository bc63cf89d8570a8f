//! What is true of every source; and what their tests share.

pub mod web;

use std::fs;

use release::Timestamp;
use serde_json::json;

use super::*;
use crate::Metadata;
use crate::RawDocument;

/// Everything that a source tells.
pub async fn all(
    source: &(impl Source + ?Sized),
    before: &BTreeMap<String, String>,
) -> Result<Vec<Seen>, KnowledgeError> {
    let (read, told) = read(source, before).await;
    read.map(|()| told)
}

/// How reading a source ended, and what it told.
pub async fn read(
    source: &(impl Source + ?Sized),
    before: &BTreeMap<String, String>,
) -> (Result<(), KnowledgeError>, Vec<Seen>) {
    let (sender, mut receiver) = mpsc::channel(1);
    let taking = async {
        let mut told = Vec::new();
        while let Some(seen) = receiver.recv().await {
            told.push(seen);
        }
        told
    };
    tokio::join!(source.read(before, sender), taking)
}

/// The paths of what was new, in their order.
pub fn fresh(told: &[Seen]) -> Vec<&str> {
    let mut paths: Vec<_> = documents(told).map(|document| document.path.as_str()).collect();
    paths.sort_unstable();
    paths
}

/// What was new.
pub fn documents(told: &[Seen]) -> impl Iterator<Item = &RawDocument> {
    told.iter().filter_map(|seen| match seen {
        Seen::Fresh(document) => Some(&**document),
        _ => None,
    })
}

/// What is known after all of it was taken.
pub fn marks(told: &[Seen]) -> BTreeMap<String, String> {
    documents(told).map(|document| (document.path.clone(), document.mark.clone())).collect()
}

/// Why documents failed, by path.
pub fn failures(told: &[Seen]) -> BTreeMap<&str, &str> {
    let failures = told.iter().filter_map(|seen| match seen {
        Seen::Failed { path, reason } => Some((path.as_str(), reason.as_str())),
        _ => None,
    });
    failures.collect()
}

/// Something that the default tenant may use, under the name `it`.
pub fn offer<T>(what: T) -> BTreeMap<String, Offer<T>> {
    [("it".to_owned(), Offer { what, tenants: vec![TenantId::DEFAULT] })].into()
}

/// A source by its file.
pub fn opened(
    source: serde_json::Value,
    offered: &Offered,
) -> Result<Box<dyn Source>, KnowledgeError> {
    let spec = serde_json::from_value(source).unwrap();
    open(&spec, offered, &TenantId::DEFAULT, &"handbook".parse().unwrap())
}

/// Tells of these paths, and then ends as it is told to.
#[derive(Debug)]
struct Scripted(Vec<Seen>);

#[async_trait]
impl Source for Scripted {
    async fn read(
        &self,
        before: &BTreeMap<String, String>,
        seen: mpsc::Sender<Seen>,
    ) -> Result<(), KnowledgeError> {
        for one in &self.0 {
            tell(&seen, one.clone()).await?;
        }
        for path in before.keys() {
            tell(&seen, Seen::Same(path.clone())).await?;
        }
        Ok(())
    }
}

fn document(path: &str) -> Seen {
    Seen::Fresh(Box::new(RawDocument {
        path: path.to_owned(),
        bytes: "text".into(),
        media_type: None,
        mark: "1".to_owned(),
        modified_at: Some(Timestamp::UNIX_EPOCH),
        version: None,
        metadata: Metadata::new(),
    }))
}

#[tokio::test]
async fn a_prefix_stands_before_every_path_and_hides_what_is_known_of_others() {
    let scripted = Scripted(vec![document("a.md"), failed("b.md", "broken")]);
    let source = Named { source: Box::new(scripted), prefix: "wiki/".to_owned() };
    let before = ["wiki/c.md", "other/d.md"].map(|path| (path.to_owned(), String::new()));
    let told = all(&source, &before.into()).await.unwrap();
    assert_eq!(fresh(&told), ["wiki/a.md"]);
    assert_eq!(failures(&told), [("wiki/b.md", "broken")].into());
    assert_eq!(told[2], Seen::Same("wiki/c.md".to_owned()));
    assert_eq!(told.len(), 3);
}

#[tokio::test]
async fn a_path_that_cannot_be_shown_or_kept_is_not_read() {
    let long = "x".repeat(MAX_PATH + 1);
    let scripted = Scripted(vec![document("a\nb.md"), document(""), document(&long)]);
    let source = Named { source: Box::new(scripted), prefix: String::new() };
    let told = all(&source, &BTreeMap::new()).await.unwrap();
    let failures = failures(&told);
    assert_eq!(failures["a\\nb.md"], "its path has control characters");
    assert_eq!((failures.len(), fresh(&told).len()), (3, 0));
}

#[tokio::test]
async fn a_source_stops_when_nobody_takes_what_it_tells() {
    let scripted = Scripted((0..100).map(|n| document(&n.to_string())).collect());
    let source = Named { source: Box::new(scripted), prefix: String::new() };
    let (sender, mut receiver) = mpsc::channel(1);
    let nothing = BTreeMap::new();
    let (read, _) = tokio::join!(source.read(&nothing, sender), async {
        receiver.recv().await;
        receiver.close();
        while receiver.recv().await.is_some() {}
    });
    assert!(matches!(read.unwrap_err(), KnowledgeError::Stopped));
}

#[tokio::test]
async fn what_is_not_offered_to_a_tenant_is_not_there() {
    let home = tempfile::tempdir().unwrap();
    let offered =
        Offered { directories: offer(Directory(home.path().to_owned())), ..Offered::default() };
    let other: TenantId = "other".parse().unwrap();
    let name: ArtifactName = "handbook".parse().unwrap();
    for source in [
        json!({"kind": "directory", "directory": "it"}),
        json!({"kind": "git", "directory": "it"}),
        json!({"kind": "git", "repository": "it"}),
        json!({"kind": "bucket", "bucket": "it"}),
        json!({"kind": "sql", "database": "it", "query": "SELECT 1", "path": "id", "text": "id"}),
        json!({"kind": "push"}),
    ] {
        let spec = serde_json::from_value(source.clone()).unwrap();
        let told = open(&spec, &offered, &other, &name).unwrap_err();
        assert!(matches!(told, KnowledgeError::NotOffered { .. }), "{source}: {told}");
    }
}

#[tokio::test]
async fn no_path_leads_out_of_an_offered_directory() {
    let home = tempfile::tempdir().unwrap();
    let inside = home.path().join("inside");
    fs::create_dir(&inside).unwrap();
    std::os::unix::fs::symlink(home.path(), inside.join("link")).unwrap();
    let offered = Offered { directories: offer(Directory(inside)), ..Offered::default() };
    for path in ["..", "link", "/etc"] {
        let told = offered.directory("it", path, &TenantId::DEFAULT).unwrap_err();
        assert!(matches!(told, KnowledgeError::Outside { .. }), "{path}: {told}");
    }
}
