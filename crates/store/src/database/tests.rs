use serde_json::{Value, json};

use super::*;

struct Base {
    _directory: tempfile::TempDir,
    database: Database,
    path: PathBuf,
}

impl Base {
    fn new(setup: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("their.db");
        rusqlite::Connection::open(&path).unwrap().execute_batch(setup).unwrap();
        Self { database: Database::Sqlite { path: path.clone() }, path, _directory: directory }
    }

    async fn read(&self, sql: &str) -> Result<Vec<(Option<String>, Option<Value>)>, String> {
        read(&self.database, sql, Duration::from_secs(20)).await
    }
}

async fn read(
    database: &Database,
    sql: &str,
    timeout: Duration,
) -> Result<Vec<(Option<String>, Option<Value>)>, String> {
    let query = Query { sql: sql.to_owned(), key: "id".to_owned(), timeout, most: 100 };
    let (sender, mut receiver) = mpsc::channel::<Row>(1);
    let taking = async {
        let mut rows = Vec::new();
        while let Some(row) = receiver.recv().await {
            let columns = row.columns.map(|text| serde_json::from_str(&text).unwrap());
            rows.push((row.key, columns));
        }
        rows
    };
    let (done, rows) = tokio::join!(database.read(&query, sender), taking);
    done.map(|()| rows).map_err(|error| error.to_string())
}

const SETUP: &str = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT, score REAL);
    INSERT INTO notes VALUES (1, 'one', 1.5), (2, NULL, NULL);";

#[tokio::test]
async fn rows_come_with_every_column_whatever_ends_the_query() {
    let base = Base::new(SETUP);
    for sql in ["SELECT * FROM notes", "SELECT * FROM notes; ", "SELECT * FROM notes -- all"] {
        let rows = base.read(sql).await.unwrap();
        assert_eq!(
            rows,
            [
                (Some("1".to_owned()), Some(json!({"id": 1, "body": "one", "score": 1.5}))),
                (Some("2".to_owned()), Some(json!({"id": 2, "body": null, "score": null}))),
            ]
        );
    }
}

#[tokio::test]
async fn a_row_that_is_too_large_is_named_but_not_given() {
    let base = Base::new(SETUP);
    let sql = "SELECT 7 AS id, printf('%.*c', 200, 'x') AS body UNION ALL SELECT NULL, 'small'";
    let rows = base.read(sql).await.unwrap();
    assert_eq!(rows[0], (Some("7".to_owned()), None));
    assert_eq!(rows[1].0, None);
}

#[tokio::test]
async fn nothing_is_written_and_no_other_file_is_reached() {
    let base = Base::new(SETUP);
    for sql in [
        "DELETE FROM notes RETURNING id",
        "SELECT 1 AS id) AS x; DELETE FROM notes; --",
        "PRAGMA query_only = false",
        "ATTACH DATABASE 'other.db' AS other",
        "VACUUM INTO 'copy.db'",
        "INSERT INTO notes VALUES (3, 'three', 3.0)",
    ] {
        assert!(base.read(sql).await.is_err(), "{sql}");
    }
    assert_eq!(base.read("SELECT * FROM notes").await.unwrap().len(), 2);
    let left = std::fs::read_dir(base.path.parent().unwrap()).unwrap().count();
    assert_eq!(left, 1, "the database alone");
}

#[tokio::test]
async fn a_query_without_end_is_stopped() {
    let base = Base::new(SETUP);
    let endless = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) \
        SELECT max(id) AS id FROM n";
    let told = read(&base.database, endless, Duration::from_millis(50)).await.unwrap_err();
    assert!(told.contains("longer than"), "{told}");
}

#[tokio::test]
async fn postgres_gives_rows_and_nothing_is_written() {
    let url = std::env::var("GROUNDCREW_TEST_POSTGRES").expect("run `cargo xtask test`");
    let database = Database::Postgres { url: Secret::new(&url) };
    let read = async |sql: &str, timeout| read(&database, sql, timeout).await;
    let long = Duration::from_secs(20);
    let sql = "SELECT * FROM (VALUES (1, 'one', timestamptz '2026-01-02T03:04:05Z', true), \
        (2, repeat('x', 200), NULL, false)) AS t(id, body, at, ok);";
    let rows = read(sql, long).await.unwrap();
    let first = rows[0].1.as_ref().unwrap();
    assert_eq!((&first["body"], &first["ok"]), (&json!("one"), &json!(true)));
    assert!(first["at"].as_str().unwrap().starts_with("2026-01-02T"), "{first}");
    assert_eq!(rows[1], (Some("2".to_owned()), None));
    for sql in [
        "CREATE TABLE t (id int)",
        "SELECT 1 AS id) AS x; CREATE TABLE t (id int); --",
        "WITH d AS (CREATE TABLE t (id int)) SELECT 1 AS id",
        "SELECT set_config('transaction_read_only', 'off', false) AS id",
        "SELECT nextval('no_such_sequence') AS id",
    ] {
        assert!(read(sql, long).await.is_err(), "{sql}");
    }
    let told = read("SELECT pg_sleep(60) AS id", Duration::from_millis(100)).await.unwrap_err();
    assert!(told.contains("longer than") || told.contains("timeout"), "{told}");
}
