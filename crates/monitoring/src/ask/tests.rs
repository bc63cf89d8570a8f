use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use datafusion::datasource::MemTable;

use super::*;

/// A table with a row for each second from 1970 on.
#[derive(Debug)]
struct Seconds;

#[async_trait]
impl Sessions for Seconds {
    async fn session(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<SessionContext, DataFusionError> {
        let seconds = || from.as_second()..to.as_second();
        let times = seconds().map(|second| second * 1_000_000_000);
        let times = TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC");
        let bodies = seconds().map(|second| format!("tick of {second}"));
        let rows = RecordBatch::try_from_iter([
            ("timestamp", Arc::new(times) as _),
            ("body", Arc::new(StringArray::from_iter_values(bodies)) as _),
            ("second", Arc::new(Int64Array::from_iter_values(seconds())) as _),
        ])?;
        let session = SessionContext::new();
        session.register_table(
            "logs",
            Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]])?),
        )?;
        Ok(session)
    }
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Asks about the seconds from 100 to 200.
async fn asked(text: &str, limit: Option<usize>) -> Result<Asked, AskError> {
    let (from, to, now) = (second(100), second(200), second(1_000));
    ask(&Seconds, &Ask { text: text.to_owned(), language: None, from, to, now, limit }).await
}

async fn rows(text: &str) -> String {
    serde_json::to_string(&asked(text, None).await.unwrap().results.json()).unwrap()
}

#[tokio::test]
async fn either_language_is_understood() {
    assert_eq!(
        rows("select count(*) as n, min(second) as low from logs").await,
        r#"[{"n":100,"low":100}]"#
    );
    assert_eq!(rows("stats count(*) as n, min(second) as low").await, r#"[{"n":100,"low":100}]"#);
}

#[tokio::test]
async fn a_difference_reads_the_time_before() {
    let expected = r#"[{"@pattern":"tick of <Number-1>","@sampleCount":100,"@previousCount":100}]"#;
    let query = "diff | display @pattern, @sampleCount, @previousCount";
    assert_eq!(rows(query).await, expected);
}

#[tokio::test]
async fn it_is_told_whether_there_are_more_rows() {
    for text in ["select second from logs", "fields second"] {
        let ten = asked(text, Some(10)).await.unwrap();
        assert_eq!((ten.results.rows(), ten.more), (10, true), "{text}");
        let all = asked(text, Some(100)).await.unwrap();
        assert_eq!((all.results.rows(), all.more), (100, false), "{text}");
    }
    let five = asked("fields second | limit 5", Some(50)).await.unwrap();
    assert_eq!((five.results.rows(), five.more), (5, false));
}

#[tokio::test]
async fn what_cannot_be_asked_is_told() {
    let told = async |text: &str| asked(text, None).await.unwrap_err().to_string();
    let mut all = Vec::new();
    for text in [
        "fieldz second",
        "SOURCE elsewhere | fields x",
        "select nothing from logs",
        "select * from",
        "select 1; select 2",
        "with gone as (select 1) insert into logs select * from gone",
        "select cast(body as int) from logs",
    ] {
        all.push(format!("{text}\n──\n{}\n", told(text).await));
    }
    insta::assert_snapshot!(all.join("\n"));
}
