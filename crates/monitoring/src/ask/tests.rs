use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use release::Clock;
use store::{Files, Store};

use super::*;
use crate::log::LogOptions;
use crate::query::QueryLimits;
use crate::tables::TablesOptions;
use crate::{Signal, Telemetry, TelemetryParts};

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        second(1_000)
    }
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_755_600 + second).unwrap()
}

/// Tables with a log record for each of the first 200 seconds.
async fn told() -> (tempfile::TempDir, Telemetry) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&home.path().join("control.db")).await.unwrap();
    let telemetry = Telemetry::open(TelemetryParts {
        directory: home.path().join("log"),
        store: store.system(),
        files: Files::disk(home.path().join("files")),
        clock: Arc::new(Still),
        followers: Vec::new(),
        drawn: 7,
        log: LogOptions::default(),
        tables: TablesOptions::default(),
        limits: QueryLimits::default(),
    })
    .await
    .unwrap();
    let record = |at: i64| LogRecord {
        time_unix_nano: second(at).as_nanosecond() as u64,
        observed_time_unix_nano: second(at).as_nanosecond() as u64,
        body: Some(AnyValue { value: Some(Any::StringValue(format!("tick of {at} s"))) }),
        ..LogRecord::default()
    };
    let scope = ScopeLogs { log_records: (0..200).map(record).collect(), ..ScopeLogs::default() };
    let resource = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
    let sent = ExportLogsServiceRequest { resource_logs: vec![resource] }.encode_to_vec();
    let receipt = telemetry.log.append_otlp(&TenantId::DEFAULT, Signal::Logs, second(200), &sent);
    receipt.unwrap().synced().await.unwrap();
    (home, telemetry)
}

/// Asks about the seconds from 100 to 200.
async fn asked(
    telemetry: &Telemetry,
    text: &str,
    limit: Option<usize>,
) -> Result<Asked, QueryError> {
    let span = Span { from: second(100), until: second(200) };
    let asked = Ask { text: text.to_owned(), language: None, span, now: second(1_000), limit };
    ask(&telemetry.queries, &TenantId::DEFAULT, &asked).await
}

#[tokio::test]
async fn either_language_is_understood() {
    let (_home, telemetry) = told().await;
    let rows = async |text: &str| {
        let found = asked(&telemetry, text, None).await.unwrap();
        serde_json::to_string(&found.results.json()).unwrap()
    };
    let expected = r#"[{"n":100,"low":"2026-11-27T05:01:40Z"}]"#;
    assert_eq!(rows("select count(*) as n, min(timestamp) as low from logs").await, expected);
    assert_eq!(rows("stats count(*) as n, min(@timestamp) as low").await, expected);
    let parsed = "parse @message 'tick of * s' as s | stats max(s) as last | filter last = 199";
    assert_eq!(rows(parsed).await, r#"[{"last":199}]"#);
    // A difference reads the time before.
    let expected =
        r#"[{"@pattern":"tick of <Number-1> s","@sampleCount":100,"@previousCount":100}]"#;
    let query = "diff | display @pattern, @sampleCount, @previousCount";
    assert_eq!(rows(query).await, expected);
    for table in Table::ALL {
        let text = format!("SOURCE {} | fields @timestamp, @message | limit 1", table.as_str());
        assert!(asked(&telemetry, &text, None).await.is_ok(), "{text}");
    }
}

#[tokio::test]
async fn it_is_told_whether_there_are_more_rows() {
    let (_home, telemetry) = told().await;
    for text in ["select body from logs", "fields body"] {
        let ten = asked(&telemetry, text, Some(10)).await.unwrap();
        assert_eq!((ten.results.rows(), ten.notes.len()), (10, 1), "{text}");
        let all = asked(&telemetry, text, Some(100)).await.unwrap();
        assert_eq!((all.results.rows(), all.notes.len()), (100, 0), "{text}");
    }
    let five = asked(&telemetry, "fields body | limit 5", Some(50)).await.unwrap();
    assert_eq!((five.results.rows(), five.notes.len()), (5, 0));
    let none = asked(&telemetry, "explain select body from logs", Some(1)).await.unwrap();
    assert!(none.results.rows() > 0);
}

#[tokio::test]
async fn what_cannot_be_asked_is_told() {
    let (_home, telemetry) = told().await;
    let mut all = Vec::new();
    for text in [
        "fieldz body",
        "stats count(*) by body | fields other",
        "SOURCE elsewhere | fields x",
        "SOURCE information_schema.tables | fields x",
        "select nothing from logs",
        "select * from",
        "select 1; select 2",
        "with gone as (select 1) insert into logs select * from gone",
        "select cast(body as int) from logs",
    ] {
        let error = asked(&telemetry, text, None).await.unwrap_err();
        all.push(format!("{text}\n──\n{error}\n"));
    }
    insta::assert_snapshot!(all.join("\n"));
}
