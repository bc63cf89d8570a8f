//! Queries on small tables, with results that were worked out by hand.

mod aws;
mod language;
mod mistakes;
mod patterns;
mod plans;
mod spans;

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Int32Array, MapBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampNanosecondArray,
};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use release::Timestamp;

use super::{Query, Source};
use crate::results::Results;

/// When the tables' first rows are of: 2026-11-27T05:00:00Z.
const START: i64 = 1_795_755_600;

/// One log record.
#[derive(Debug, Clone, Default)]
struct Line<'a> {
    /// Seconds after [`START`].
    at: i64,
    body: &'a str,
    service: &'a str,
    severity: &'a str,
    attributes: &'a [(&'a str, &'a str)],
}

/// Records with these texts, a minute after one another.
fn lines<'a>(bodies: &[&'a str]) -> Vec<Line<'a>> {
    let line =
        |(index, body): (usize, &&'a str)| Line { at: 60 * index as i64, body, ..Line::default() };
    bodies.iter().enumerate().map(line).collect()
}

/// Texts of a column; empty ones are missing.
fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    let texts = texts.into_iter().map(|text| (!text.is_empty()).then_some(text));
    Arc::new(texts.collect::<StringArray>())
}

fn times(seconds: impl IntoIterator<Item = i64>) -> ArrayRef {
    let times = seconds.into_iter().map(|seconds| (START + seconds) * 1_000_000_000);
    Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC"))
}

fn maps<'a>(rows: impl IntoIterator<Item = &'a [(&'a str, &'a str)]>) -> ArrayRef {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (name, value) in row {
            maps.keys().append_value(name);
            maps.values().append_value(value);
        }
        maps.append(true).unwrap();
    }
    Arc::new(maps.finish())
}

/// The table `logs`, as the brief of the tables has it.
fn logs(lines: &[Line<'_>]) -> RecordBatch {
    let empty = || texts(lines.iter().map(|_| ""));
    RecordBatch::try_from_iter_with_nullable([
        ("timestamp", times(lines.iter().map(|line| line.at)), false),
        ("observed_at", times(lines.iter().map(|line| line.at + 1)), false),
        ("severity", texts(lines.iter().map(|line| line.severity)), true),
        ("severity_number", Arc::new(lines.iter().map(|_| Some(9)).collect::<Int32Array>()), true),
        ("body", texts(lines.iter().map(|line| line.body)), true),
        ("event", empty(), true),
        ("trace_id", empty(), true),
        ("span_id", empty(), true),
        ("service", texts(lines.iter().map(|line| line.service)), true),
        ("app", empty(), true),
        ("environment", empty(), true),
        ("release", empty(), true),
        ("attributes", maps(lines.iter().map(|line| line.attributes)), true),
    ])
    .unwrap()
}

/// Runs a query on a table, and on the table's rows of before.
async fn run(rows: RecordBatch, before: Option<RecordBatch>, query: &str) -> Results {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    let table = |name: &str, rows: RecordBatch| {
        let length = rows.num_rows();
        let parts = [rows.slice(0, length / 2), rows.slice(length / 2, length - length / 2)];
        let parts = parts.into_iter().map(|part| vec![part]).collect();
        let table = MemTable::try_new(rows.schema(), parts).unwrap();
        context.register_table(name, Arc::new(table)).unwrap();
    };
    table("rows", rows);
    let plan = |table: datafusion::dataframe::DataFrame| table.into_parts().1;
    let rows = plan(context.table("rows").await.unwrap());
    let before = match before {
        Some(before) => {
            table("before", before);
            Some(plan(context.table("before").await.unwrap()))
        }
        None => None,
    };
    let now = Timestamp::from_second(START + 3_600).unwrap();
    let compiled = Query::parse(query).and_then(|query| {
        let limit = query.limit(None);
        query.compile(Source { rows, before, now, limit })
    });
    let plan = compiled.unwrap_or_else(|error| panic!("{query}\n{error}"));
    let frame = context.execute_logical_plan(plan).await.unwrap();
    let schema = Arc::clone(frame.schema().inner());
    let batches = frame.collect().await.unwrap_or_else(|error| panic!("{query}\n{error}"));
    Results::new(schema, batches)
}

/// Rows as `a | b`, the names first.
fn written(results: &Results) -> Vec<String> {
    let names: Vec<_> = results.columns().into_iter().map(|(name, _)| name).collect();
    let shown = |value: &serde_json::Value| match value {
        serde_json::Value::Null => "–".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let rows = results
        .json()
        .into_iter()
        .map(|row| row.values().map(shown).collect::<Vec<_>>().join(" | "));
    std::iter::once(names.join(" | ")).chain(rows).collect()
}

/// Asserts what a query gives on log records.
async fn check(lines: &[Line<'_>], query: &str, expected: &[&str]) {
    let found = written(&run(logs(lines), None, query).await);
    assert_eq!(found, expected, "{query}");
}
