use release::TenantId;
use serde_json::json;
use store::{Blobs, Store};

use super::*;
use crate::source::tests::{all, documents, failures, fresh, marks};
use crate::source::{MAX_DOCUMENT, Offered};

struct Base {
    home: tempfile::TempDir,
    offered: Offered,
}

impl Base {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&home.path().join("control.db")).await.unwrap();
        let blobs = Blobs::disk(home.path().join("blobs"));
        Self { home, offered: Offered { pushed: Some((store, blobs)), ..Offered::default() } }
    }

    fn pushes(&self, tenant: &str, name: &str) -> Pushes {
        let tenant: TenantId = tenant.parse().unwrap();
        self.offered.pushes(&tenant, &name.parse().unwrap()).unwrap()
    }
}

fn by() -> (PrincipalId, Timestamp) {
    (PrincipalId::system("test"), Timestamp::UNIX_EPOCH)
}

fn text(path: &str, text: &str) -> Put {
    Put {
        path: path.to_owned(),
        bytes: text.to_owned().into(),
        media_type: Some("text/markdown".to_owned()),
        modified_at: Some("2026-01-02T03:04:05Z".parse().unwrap()),
        metadata: [("author".to_owned(), json!("ada"))].into(),
    }
}

#[tokio::test]
async fn what_is_put_is_told_until_it_is_removed_and_the_same_again_changes_nothing() {
    let base = Base::new().await;
    let pushes = base.pushes("default", "handbook");
    let (put, changed) = pushes.put(text("a/b.md", "one"), by()).await.unwrap();
    assert!(changed);
    assert_eq!(pushes.put(text("a/b.md", "one"), by()).await.unwrap(), (put, false));
    pushes.put(text("c.md", "two"), by()).await.unwrap();
    let first = all(&pushes, &BTreeMap::new()).await.unwrap();
    let read = documents(&first).next().unwrap();
    assert_eq!((read.path.as_str(), read.bytes.as_ref()), ("a/b.md", &b"one"[..]));
    assert_eq!(read.metadata["author"], "ada");
    let mut other = text("c.md", "two");
    other.metadata.clear();
    assert!(pushes.put(other, by()).await.unwrap().1, "other metadata are a change");
    assert!(pushes.remove("a/b.md", by()).await.unwrap());
    assert!(!pushes.remove("a/b.md", by()).await.unwrap());
    let second = all(&pushes, &marks(&first)).await.unwrap();
    assert_eq!((fresh(&second), second.len()), (vec!["c.md"], 1));
}

#[tokio::test]
async fn tenants_and_knowledge_bases_do_not_see_each_others_documents() {
    let base = Base::new().await;
    base.pushes("default", "hand").put(text("a.md", "one"), by()).await.unwrap();
    for (tenant, name) in [("other", "hand"), ("default", "handbook"), ("default", "han")] {
        let pushes = base.pushes(tenant, name);
        assert!(all(&pushes, &BTreeMap::new()).await.unwrap().is_empty(), "{tenant} {name}");
        assert!(!pushes.remove("a.md", by()).await.unwrap(), "{tenant} {name}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_document_is_refused() {
    let base = Base::new().await;
    let pushes = base.pushes("default", "handbook");
    let mut large = text("large.md", "");
    large.bytes = vec![b'x'; usize::try_from(MAX_DOCUMENT).unwrap() + 1].into();
    let mut wide = text("wide.md", "");
    wide.metadata.insert("all".to_owned(), "x".repeat(70 << 10).into());
    let long = "x".repeat(1_025);
    for put in [large, wide, text("", "x"), text("a\nb", "x"), text(&long, "x")] {
        assert!(pushes.put(put, by()).await.is_err());
    }
    assert!(pushes.list(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_document_whose_bytes_are_lost_is_told_as_failed_and_healed_by_putting_it_again() {
    let base = Base::new().await;
    let pushes = base.pushes("default", "handbook");
    pushes.put(text("a.md", "one"), by()).await.unwrap();
    std::fs::remove_dir_all(base.home.path().join("blobs")).unwrap();
    let told = all(&pushes, &BTreeMap::new()).await.unwrap();
    assert!(failures(&told)["a.md"].contains("missing"));
    assert!(pushes.put(text("a.md", "one"), by()).await.unwrap().1);
    assert_eq!(fresh(&all(&pushes, &BTreeMap::new()).await.unwrap()), ["a.md"]);
}
