//! Everything that any record names is kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use knowledge::source::Put;
use knowledge::{CallLimits, Embedded, Embedder, KnowledgeError, Metadata};
use release::Digest;
use serde_json::json;

use super::*;
use crate::Excised;
use crate::desk::Embeds;
use crate::versions::tests::Desk;

/// An app that the knowledge base grounds, each of whose releases goes live at once.
pub const APP: [(&str, &str); 3] = [
    (
        "apps/support.toml",
        "[slots]\nmodel = \"small\"\nprompt = \"support\"\nknowledge = \"handbook\"\n\
         [delivery]\nenter = \"automatic\"\n",
    ),
    ("models/small.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
    ("prompts/support.md", "Answer from what is there.\n"),
];

/// A model whose vectors are the counts of letters.
#[derive(Debug)]
struct Letters;

#[async_trait]
impl Embedder for Letters {
    fn identity(&self) -> Digest {
        Digest::of(b"letters")
    }

    fn limits(&self) -> CallLimits {
        CallLimits { texts: 8, bytes: 10_000 }
    }

    async fn embed(&self, texts: &[String]) -> Result<Embedded, KnowledgeError> {
        let count = |text: &String, letter: u8| {
            text.bytes().filter(|byte| byte.to_ascii_lowercase() == letter).count() as f32
        };
        let vector = |text| (b'a'..=b'z').map(|letter| count(text, letter)).collect();
        let vectors = texts.iter().map(vector).collect();
        Ok(Embedded { vectors, tokens: 1, cost: None })
    }
}

/// Every digest that a record of the database names, in its key or its value, with the collection.
fn named(desk: &Desk) -> BTreeSet<(String, Digest)> {
    let path = desk.home.path().join("control.db");
    let database = rusqlite::Connection::open(path).unwrap();
    let mut rows = database.prepare("SELECT collection, key, value FROM records").unwrap();
    let mut named = BTreeSet::new();
    let mut rows = rows.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let collection: String = row.get(0).unwrap();
        let (key, value): (String, Vec<u8>) = (row.get(1).unwrap(), row.get(2).unwrap());
        let text = format!("{key} {}", String::from_utf8(value).unwrap());
        for word in text.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 64) {
            named.insert((collection.clone(), format!("sha256:{word}").parse().unwrap()));
        }
    }
    named
}

#[tokio::test]
async fn every_content_that_any_record_names_is_kept() {
    let base = "[[sources]]\nkind = \"push\"\n[embedding]\nmodel = \"letters\"\n";
    let desk = Desk::with(base, &APP, Arc::new(Embeds(Arc::new(Letters)))).await;
    let put = Put {
        path: "pushed/p.md".to_owned(),
        bytes: "Pushed.".into(),
        media_type: None,
        modified_at: None,
        metadata: Metadata::new(),
    };
    desk.ada.put_document(&desk.name, put).await.unwrap();
    desk.batch(&[("a.md", Some("Alpha.")), ("b.md", Some("Beta."))], false).await;
    desk.batch(&[("a.md", Some("Changed."))], false).await;
    desk.ada.compact(&desk.name, false).await.unwrap().batch.unwrap();
    desk.ada.excise(&desk.name, &Excised::Document("b.md".to_owned())).await.unwrap();
    let weights = desk.ada.blobs.put("weights".into()).await.unwrap();
    let model = json!({"type": "sentence-transformer/v1", "dimension": 3, "max_tokens": 8,
        "files": {"model.safetensors": {"digest": weights, "bytes": 7}}});
    desk.ada.import_model(&"mini".parse().unwrap(), &model).await.unwrap();
    let held = desk.ada.blobs.put("a court wants it".into()).await.unwrap();
    desk.ada.hold(held, "case 7").await.unwrap();

    let mut pins = desk.ada.named(&Doomed::default()).await.unwrap();
    desk.ada.pin_artifacts(&Doomed::default(), &mut pins).await.unwrap();
    let mut collections = BTreeSet::new();
    for (collection, digest) in named(&desk) {
        if desk.ada.blobs.exists(&digest).await.unwrap() {
            assert!(
                pins.all().contains(&digest),
                "`{collection}` names {digest}, and it is not kept"
            );
            collections.insert(collection);
        }
    }
    let kinds = [
        "apps",
        "artifacts",
        "changes",
        "embeddings",
        "environments",
        "holds",
        "imported_models",
        "knowledge",
        "knowledge.batches",
        "projects",
        "pushed_documents",
        "pushed_documents.blobs",
        "releases",
    ];
    assert_eq!(collections.iter().map(String::as_str).collect::<Vec<_>>(), kinds);
    // So is what contents name, and nothing that is not there.
    assert!(pins.all().contains(&weights));
    for digest in pins.all() {
        desk.ada.blobs.get(digest).await.unwrap();
    }
    // Of all this nothing is garbage, but for what was never named.
    let loose = desk.ada.blobs.put("nobody named it".into()).await.unwrap();
    let all: BTreeSet<_> = desk.ada.blobs.list().await.unwrap().into_iter().collect();
    assert_eq!(all.difference(pins.all()).collect::<Vec<_>>(), [&loose]);

    let told = desk.ada.explain_pins(weights).await.unwrap();
    assert_eq!(told.by, ["the imported model mini: its file model.safetensors"]);
    let told = desk.ada.explain_pins(held).await.unwrap();
    assert_eq!(told.by, ["held by user:ada: case 7"]);
    assert_eq!(desk.ada.explain_pins(loose).await.unwrap().by, [] as [String; 0]);
    assert!(desk.ada.release_hold(held).await.unwrap());
    assert_eq!(desk.ada.explain_pins(held).await.unwrap().by, [] as [String; 0]);
}
