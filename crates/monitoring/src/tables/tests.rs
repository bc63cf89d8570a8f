//! Rows are there once, whatever becomes of memory, files and servers in between.

use std::sync::atomic::{AtomicI64, Ordering};

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use release::Clock;
use store::Store;
use tempfile::TempDir;

use super::*;
use crate::query::{Answer, Queries, QueryError, QueryLimits, read_only};
use crate::record::tests::record;
use crate::rows::{Payload, Span as Row};
use crate::{AnswerRecord, LogOptions, Telemetry, TelemetryParts, TraceId, answers};

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct Hands(pub AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// Telemetry of a directory that outlives it.
pub struct Desk {
    pub directory: TempDir,
    pub clock: Arc<Hands>,
    pub telemetry: Option<Telemetry>,
}

pub fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

impl Desk {
    pub async fn new() -> Self {
        let clock = Arc::new(Hands(AtomicI64::new(1_700_010_000)));
        let mut desk = Self { directory: tempfile::tempdir().unwrap(), clock, telemetry: None };
        desk.open().await;
        desk
    }

    /// Opens what the directory has, as a server that starts.
    pub async fn open(&mut self) {
        let path = self.directory.path();
        // The thread of a store that was dropped lets go of its file a moment later.
        let store = loop {
            match Store::open_sqlite(&path.join("control.db")).await {
                Err(StoreError::Locked { .. }) => tokio::task::yield_now().await,
                opened => break opened.unwrap(),
            }
        };
        let parts = TelemetryParts {
            directory: path.join("log"),
            store: store.system(),
            files: Files::disk(path.join("tables")),
            clock: Arc::clone(&self.clock) as _,
            followers: Vec::new(),
            drawn: 7,
            log: LogOptions { segment_bytes: 20_000, ..LogOptions::default() },
            tables: TablesOptions { look: Duration::from_millis(1), ..TablesOptions::default() },
            limits: QueryLimits::default(),
        };
        self.telemetry = Some(Telemetry::open(parts).await.unwrap());
    }

    /// Ends without putting anything into files, as a server that is killed.
    pub async fn close(&mut self) {
        if let Some(telemetry) = self.telemetry.take() {
            telemetry.tables.close().await;
        }
    }

    fn telemetry(&self) -> &Telemetry {
        self.telemetry.as_ref().unwrap()
    }

    pub fn tables(&self) -> &Tables {
        &self.telemetry().tables
    }

    pub fn queries(&self) -> &Queries {
        &self.telemetry().queries
    }

    /// Puts rows into memory, past the log.
    pub fn put(&self, tenant: &TenantId, batch: Batch) {
        self.tables().shared.state().memory.push(tenant, batch);
    }

    pub async fn append(&self, record: &AnswerRecord) {
        self.telemetry().log.append(record).await.unwrap();
    }

    async fn answer(&self, trace: u128) {
        let trace = TraceId::from_bytes((trace + 1).to_be_bytes());
        self.append(&AnswerRecord { trace, ..record(1) }).await;
    }

    async fn show(&self, tenant: &TenantId, trace: TraceId) -> Option<AnswerRecord> {
        let spans = answers::spans(self.queries(), tenant, trace).await.unwrap();
        answers::answer(self.queries(), tenant, &spans).await.unwrap()
    }

    async fn ask(&self, sql: &str) -> Answer {
        asked(self.queries(), sql, Span::ALL).await.unwrap()
    }

    async fn number(&self, sql: &str) -> i64 {
        let answer = self.ask(sql).await;
        answer.batches[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    async fn refused(&self, sql: &str) -> QueryError {
        asked(self.queries(), sql, Span::ALL).await.unwrap_err()
    }
}

async fn asked(queries: &Queries, sql: &str, span: Span) -> Result<Answer, QueryError> {
    let sql = sql.to_owned();
    let plan = move |session| {
        let sql = sql.clone();
        async move { read_only(&session, &sql).await }
    };
    queries.ask(&TenantId::DEFAULT, span, plan).await
}

const ANSWERS: &str = "SELECT count(DISTINCT trace_id) FROM spans WHERE name = 'answer'";
const ROOTS: &str = "SELECT count(*) FROM spans WHERE name = 'answer'";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_found_at_once_and_after_it_is_in_a_file() {
    let mut desk = Desk::new().await;
    desk.answer(4).await;
    for flushed in [false, true] {
        let trace = TraceId::from_bytes(5u128.to_be_bytes());
        let shown = desk.show(&TenantId::DEFAULT, trace).await;
        assert_eq!(shown, Some(AnswerRecord { trace, ..record(1) }), "in a file: {flushed}");
        let others = desk.show(&tenant("other"), trace).await;
        assert_eq!(others, None);
        let all = answers::Filter::default();
        let listed = answers::list(desk.queries(), &TenantId::DEFAULT, (&all, 10)).await;
        assert_eq!(listed.unwrap().len(), 1);
        desk.tables().flush().await.unwrap();
    }
    assert_eq!(desk.tables().stats().files["spans"].rows, 3);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_neither_vanish_nor_double_while_they_are_flushed() {
    let mut desk = Desk::new().await;
    let (mut written, mut seen) = (0, 0);
    for round in 0..30u128 {
        for number in 0..20 {
            desk.answer(round * 100 + number).await;
            written += 1;
        }
        let tables = desk.tables().clone();
        let flushing = tokio::spawn(async move { tables.flush().await });
        while !flushing.is_finished() {
            let (count, distinct) = (desk.number(ROOTS).await, desk.number(ANSWERS).await);
            assert_eq!((count, distinct), (written, written));
            seen += 1;
        }
        flushing.await.unwrap().unwrap();
    }
    assert!(seen > 0);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_anywhere_finds_every_row_once() {
    let mut desk = Desk::new().await;
    for round in 0..12u128 {
        for number in 0..9 {
            desk.answer(round * 100 + number).await;
        }
        match round % 3 {
            0 => desk.tables().flush().await.unwrap(),
            1 => {
                // Files are written, but the manifest does not name them.
                let tables = desk.tables().clone();
                let cut = tokio::spawn(async move { tables.flush().await });
                tokio::task::yield_now().await;
                cut.abort();
            }
            _ => {}
        }
        desk.close().await;
        desk.open().await;
        let expected = (round as i64 + 1) * 9;
        assert_eq!((desk.number(ROOTS).await, desk.number(ANSWERS).await), (expected, expected));
    }
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flushed_files_become_one_of_their_hour_and_then_of_their_day() {
    let mut desk = Desk::new().await;
    let at = |hour: i64| Timestamp::from_second(1_699_920_000 + hour * 3_600 + 5).unwrap();
    for hour in 0..3 {
        for part in 0..4 {
            let row =
                Row { trace_id: format!("{hour}-{part}"), started_at: at(hour), ..Row::default() };
            let text = Payload {
                digest: Payload::digest("ada", "hello"),
                subject: "ada".into(),
                at: at(hour),
                kind: "text".into(),
                text: "hello".into(),
            };
            let batch = Batch { spans: vec![row], payloads: vec![text], ..Batch::default() };
            desk.put(&TenantId::DEFAULT, batch);
            desk.tables().flush().await.unwrap();
        }
    }
    let keep = Retention::default();
    let files = |desk: &Desk| desk.tables().stats().files["spans"].files;
    desk.clock.0.store(1_699_920_000 + 2 * 3_600 + 700, Ordering::SeqCst);
    desk.tables().maintain(keep).await.unwrap();
    assert_eq!(files(&desk), 2 + 4, "the third hour is not over");
    desk.clock.0.store(1_699_920_000 + 86_400 + 700, Ordering::SeqCst);
    desk.tables().maintain(keep).await.unwrap();
    assert_eq!(files(&desk), 1);
    assert_eq!(desk.number("SELECT count(*) FROM spans").await, 12);
    assert_eq!(desk.number("SELECT count(*) FROM payloads").await, 1, "the same text once");
    let again = desk.tables().maintain(keep).await.unwrap();
    assert_eq!((again.merged, again.deleted), (0, 0), "dropped files stay for queries under way");
    desk.clock.0.fetch_add(3_600, Ordering::SeqCst);
    assert!(desk.tables().maintain(keep).await.unwrap().deleted > 10);
    desk.close().await;
    desk.open().await;
    assert_eq!(desk.number("SELECT count(*) FROM spans").await, 12);
    desk.clock.0.fetch_add(91 * 86_400, Ordering::SeqCst);
    assert_eq!(desk.tables().maintain(keep).await.unwrap().expired, 2);
    assert_eq!(desk.number("SELECT count(*) FROM spans").await, 0);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_named_and_passed_over() {
    let mut desk = Desk::new().await;
    for number in 0..3 {
        desk.answer(number).await;
        desk.tables().catch_up(Duration::from_secs(5)).await;
        desk.tables().flush().await.unwrap();
    }
    let mut spans = Vec::new();
    for folder in std::fs::read_dir(desk.directory.path().join("tables/default/spans")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            spans.push(file.unwrap().path());
        }
    }
    assert_eq!(spans.len(), 3);
    let mut bytes = std::fs::read(&spans[0]).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&spans[0], bytes).unwrap();
    std::fs::remove_file(&spans[1]).unwrap();
    let answer = desk.ask("SELECT * FROM spans WHERE name = 'answer'").await;
    assert_eq!((answer.rows(), answer.damaged.len()), (1, 2));
    for path in &spans[..2] {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(answer.damaged.iter().any(|damaged| damaged == name));
    }
    assert_eq!(desk.tables().stats().damaged.len(), 2);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_query_reaches_beyond_its_tenant_or_its_time_or_writes() {
    let mut desk = Desk::new().await;
    desk.answer(1).await;
    let theirs = AnswerRecord { tenant: tenant("other"), ..record(2) };
    desk.telemetry().log.append(&theirs).await.unwrap();
    for table in Table::ALL {
        let sql = format!("SELECT * FROM {} WHERE trace_id = '{}'", table.as_str(), theirs.trace);
        match asked(desk.queries(), &sql, Span::ALL).await {
            Ok(answer) => assert_eq!(answer.rows(), 0, "{sql}"),
            // Not every table has traces.
            Err(error) => assert!(matches!(error, QueryError::Wrong(_)), "{error}"),
        }
    }
    let early = Span { from: Timestamp::MIN, until: Timestamp::new(1_600_000_000, 0).unwrap() };
    let sql = "SELECT * FROM spans WHERE timestamp > TIMESTAMP '2001-01-01' OR true";
    let found = asked(desk.queries(), sql, early).await.unwrap();
    assert_eq!(found.rows(), 0);
    for sql in [
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE TABLE x AS SELECT 1",
        "COPY (SELECT * FROM spans) TO '/tmp/x.csv'",
        "INSERT INTO spans SELECT * FROM spans",
        "SET datafusion.execution.batch_size = 1",
        "SELECT * FROM '/etc/passwd'",
        "DROP VIEW spans",
    ] {
        let error = desk.refused(sql).await;
        assert!(matches!(error, QueryError::Wrong(_)), "{sql}: {error}");
    }
    let error = desk.refused("SELECT naem FROM spans").await;
    assert!(error.to_string().contains("naem"), "{error}");
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_asks_for_too_much_is_stopped() {
    let mut desk = Desk::new().await;
    let limits = QueryLimits {
        seconds: 1,
        rows: 10,
        memory_bytes: 8 << 20,
        spill_bytes: 1 << 20,
        ..QueryLimits::default()
    };
    let queries = Queries::new(desk.tables().clone(), limits).unwrap();
    let ask = |sql: &'static str| {
        let queries = queries.clone();
        async move { asked(&queries, sql, Span::ALL).await }
    };
    let many = ask("SELECT * FROM generate_series(1, 1000)").await.unwrap();
    assert_eq!((many.rows(), many.cut), (10, true));
    let slow = "SELECT count(*) FROM generate_series(1, 100000000000) WHERE value % 7 = 8";
    let error = ask(slow).await.unwrap_err();
    assert!(matches!(error, QueryError::TooSlow(1)), "{error}");
    let large = "SELECT a.value, repeat('x', 1000) AS t FROM generate_series(1, 1000000) a \
                 ORDER BY t, a.value DESC";
    let error = ask(large).await.unwrap_err();
    assert!(matches!(error, QueryError::TooLarge(_) | QueryError::TooSlow(_)), "{error}");
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_nowhere_and_the_numbers_stay() {
    let mut desk = Desk::new().await;
    let said = |trace: u8, user: &str, text: &str| AnswerRecord {
        trace: TraceId::from_bytes([trace; 16]),
        principal: release::PrincipalId::user(user).unwrap(),
        unit: release::Unit::Stuck(format!("talk-of-{user}")),
        input: crate::Captured::Full {
            json: format!("[{{\"role\":\"user\",\"content\":\"{text}\"}}]"),
        },
        output: crate::Captured::Full { json: format!("{{\"text\":\"{text}, indeed\"}}") },
        ..record(1)
    };
    let (hers, his) = (said(1, "ada", "my secret illness"), said(2, "bob", "the weather"));
    for record in [&hers, &his] {
        desk.telemetry().log.append(record).await.unwrap();
        desk.tables().catch_up(Duration::from_secs(5)).await;
        desk.tables().flush().await.unwrap();
    }
    desk.telemetry().log.append(&said(3, "ada", "my secret illness again")).await.unwrap();
    let cost = "SELECT CAST(sum(cost) * 1000000000 AS BIGINT) FROM spans";
    let (spans, before) = ("SELECT count(*) FROM spans", desk.number(cost).await);
    let subject = Subject { users: ["user:ada".to_owned()].into(), ..Subject::default() };
    let erased = desk.tables().erase(&TenantId::DEFAULT, &subject).await.unwrap();
    assert_eq!((erased.traces, desk.number(spans).await, desk.number(cost).await), (2, 9, before));
    assert!(erased.texts >= 4, "{erased:?}");
    for erased_anew in [false, true] {
        let shown = desk.show(&TenantId::DEFAULT, hers.trace).await.unwrap();
        assert_eq!((shown.input, shown.output), (crate::Captured::Gone, crate::Captured::Gone));
        let kept = desk.show(&TenantId::DEFAULT, his.trace).await;
        assert_eq!(kept.as_ref(), Some(&his), "after a restart: {erased_anew}");
        desk.close().await;
        desk.open().await;
    }
    // Not in any table, nor in any file of the directory.
    for table in Table::ALL {
        let all = desk.ask(&format!("SELECT * FROM {}", table.as_str())).await;
        let all = format!("{:?}", all.batches);
        for hers in ["illness", "user:ada", "talk-of-ada"] {
            assert!(!all.contains(hers), "{table:?} tells {hers}");
        }
    }
    desk.close().await;
    let mut folders = vec![desk.directory.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // What a thread that is still closing has taken away is nowhere either.
            let bytes = match std::fs::read(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                read => read.unwrap(),
            };
            let found = bytes.windows(14).any(|some| some == b"secret illness");
            assert!(!found, "{}", path.display());
        }
    }
}
