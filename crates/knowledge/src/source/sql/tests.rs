use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::source::Offer;
use crate::source::tests::{all, documents, failures, fresh, marks, offer, opened};

struct Base {
    _directory: tempfile::TempDir,
    connection: rusqlite::Connection,
    offered: Offered,
}

impl Base {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("crm.db");
        let connection = rusqlite::Connection::open(&path).unwrap();
        let setup = "CREATE TABLE notes (id INTEGER PRIMARY KEY, title, body, changed, author);
            INSERT INTO notes VALUES
                (1, 'One', 'First.', '2026-01-02 03:04:05', 'ada'),
                (2, 'Two', 'Second.', '2026-01-02T03:04:05+01:00', NULL),
                (3, 'Three', 'Third.', 1767323045, 'bob')";
        connection.execute_batch(setup).unwrap();
        let databases = offer(Database::Sqlite { path });
        let offered = Offered { databases, ..Offered::default() };
        Self { _directory: directory, connection, offered }
    }

    fn source(&self, query: &str) -> Box<dyn Source> {
        let source = json!({
            "kind": "sql", "database": "it", "query": query, "path": "id", "prefix": "notes/",
            "template": "# {title}\n\n{body} {{sic}}", "modified_at": "changed",
        });
        opened(source, &self.offered).unwrap()
    }
}

#[tokio::test]
async fn a_row_is_a_document_and_only_changed_rows_are_told_again() {
    let base = Base::new();
    let source = base.source("SELECT * FROM notes ORDER BY id");
    let first = all(&*source, &BTreeMap::new()).await.unwrap();
    let read: Vec<_> = documents(&first).collect();
    assert_eq!(read[0].path, "notes/1");
    assert_eq!(read[0].bytes, "# One\n\nFirst. {sic}");
    assert_eq!(read[0].media_type.as_deref(), Some("text/markdown"));
    assert_eq!(read[0].metadata["author"], "ada");
    assert!(!read[1].metadata.contains_key("author"));
    let moments = read.iter().map(|document| document.modified_at.unwrap().to_string());
    let expected = ["2026-01-02T03:04:05Z", "2026-01-02T02:04:05Z", "2026-01-02T03:04:05Z"];
    assert_eq!(moments.collect::<Vec<_>>(), expected);
    let change = "UPDATE notes SET body = 'Other.' WHERE id = 2; DELETE FROM notes WHERE id = 3";
    base.connection.execute_batch(change).unwrap();
    let second = all(&*source, &marks(&first)).await.unwrap();
    assert_eq!((fresh(&second), second.len()), (vec!["notes/2"], 2));
}

#[tokio::test]
async fn rows_that_cannot_be_told_apart_are_refused() {
    let base = Base::new();
    let same = "SELECT 1 AS id, title, body, changed FROM notes";
    let none = "SELECT NULL AS id, title, body, changed FROM notes";
    for (query, why) in [(same, "two rows"), (none, "nothing in `id`"), ("SELECT 1", "id")] {
        let told = all(&*base.source(query), &BTreeMap::new()).await.unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn a_row_without_its_columns_is_told_as_failed() {
    let base = Base::new();
    let source = base.source("SELECT id, title, changed FROM notes WHERE id = 1");
    let told = all(&*source, &BTreeMap::new()).await.unwrap();
    assert!(failures(&told)["notes/1"].contains("`body`"));
    let source = base.source("SELECT id, title, body, 'soon' AS changed FROM notes WHERE id = 1");
    let told = all(&*source, &BTreeMap::new()).await.unwrap();
    assert!(failures(&told)["notes/1"].contains("no moment"));
}

#[tokio::test]
async fn rows_of_postgres_are_documents() {
    let url = std::env::var("GROUNDCREW_TEST_POSTGRES").expect("run `cargo xtask test`");
    let database = Database::Postgres { url: release::Secret::new(url) };
    let offered = Offered {
        databases: [("it".to_owned(), Offer { what: database, tenants: vec![TenantId::DEFAULT] })]
            .into(),
        ..Offered::default()
    };
    let query = "SELECT 'a/' || n AS id, 'Text ' || n AS body, \
        timestamptz '2026-01-02 03:04:05Z' AS changed, n * 1.5 AS weight \
        FROM generate_series(1, 1000) AS n";
    let source = json!({
        "kind": "sql", "database": "it", "query": query, "path": "id", "text": "body",
        "modified_at": "changed",
    });
    let source = opened(source, &offered).unwrap();
    let told = all(&*source, &BTreeMap::new()).await.unwrap();
    let first = documents(&told).find(|document| document.path == "a/1").unwrap();
    assert_eq!((first.bytes.as_ref(), &first.metadata["weight"]), (&b"Text 1"[..], &json!(1.5)));
    assert_eq!(first.modified_at.unwrap().to_string(), "2026-01-02T03:04:05Z");
    assert_eq!(told.len(), 1000);
    assert_eq!(fresh(&all(&*source, &marks(&told)).await.unwrap()).len(), 0);
}

#[test]
fn a_template_with_a_lonely_brace_is_refused() {
    for wrong in ["{", "}", "a {b", "a } b"] {
        assert!(template_of(wrong).is_err(), "{wrong}");
    }
}
