//! The same language on spans: typed columns beside attributes.

use std::sync::Arc;

use datafusion::arrow::array::{Float64Array, Int64Array, RecordBatch};

use super::{maps, run, texts, times, written};

fn spans() -> RecordBatch {
    let attributes: [&[(&str, &str)]; 4] = [
        &[("http.route", "/ask"), ("retries", "2"), ("user.id", "ann")],
        &[("http.route", "/ask")],
        &[],
        &[],
    ];
    RecordBatch::try_from_iter_with_nullable([
        ("timestamp", times([0, 60, 120, 180]), false),
        ("name", texts(["chat", "chat", "retrieval", "chat"]), true),
        (
            "duration_ns",
            Arc::new(Int64Array::from(vec![1_000_000, 3_000_000, 500_000, 9_000_000])),
            false,
        ),
        ("status", texts(["ok", "error", "ok", ""]), true),
        ("release", texts(["r1", "r1", "r2", "r2"]), true),
        ("user", texts(["u-1", "", r#"{"id":"inside"}"#, "u-2"]), true),
        (
            "input_tokens",
            Arc::new(Int64Array::from(vec![Some(100), Some(300), None, Some(7)])),
            true,
        ),
        ("cost", Arc::new(Float64Array::from(vec![Some(0.5), Some(0.25), None, None])), true),
        ("attributes", maps(attributes), true),
    ])
    .unwrap()
}

async fn check(query: &str, expected: &[&str]) {
    assert_eq!(written(&run(spans(), None, query).await), expected, "{query}");
}

#[tokio::test]
async fn the_usual_fields_of_a_span_are_its_moment_and_its_name() {
    let expected = ["@timestamp | @message", "2026-11-27T05:03:00Z | chat"];
    check("SOURCE spans | limit 1", &expected).await;
}

#[tokio::test]
async fn columns_are_numbers_and_attributes_are_found_by_name() {
    let query = "SOURCE spans | filter input_tokens >= 100 and http.route = '/ask'
        | stats sum(input_tokens) as tokens, sum(cost) as cost, max(duration_ns / 1000000) as ms,
            sum(retries) as retries by release";
    check(query, &["release | tokens | cost | ms | retries", "r1 | 400 | 0.75 | 3 | 2"]).await;
}

#[tokio::test]
async fn a_number_is_compared_with_a_text_that_says_one() {
    check("filter input_tokens = '7' | fields name", &["name", "chat"]).await;
    check("filter input_tokens != 7 | stats count(*) as n", &["n", "2"]).await;
}

#[tokio::test]
async fn moments_are_compared_with_texts_and_milliseconds() {
    let query = "filter @timestamp >= '2026-11-27T05:02:00Z' | stats count(*) as n";
    check(query, &["n", "2"]).await;
    check("filter @timestamp < 1795755660000 | stats count(*) as n", &["n", "1"]).await;
    check("stats max(@timestamp) - min(@timestamp) as ms", &["ms", "180000"]).await;
}

#[tokio::test]
async fn the_latest_value_is_of_the_last_row_that_has_one() {
    let query =
        "stats latest(status) as last, earliest(status) as first, latest(cost) as cost by release";
    let expected = ["release | last | first | cost", "r1 | error | ok | 0.25", "r2 | ok | ok | –"];
    check(query, &expected).await;
}

#[tokio::test]
async fn an_attribute_with_a_point_is_found_beside_the_column_it_begins_with() {
    let expected =
        ["user | user.id", "u-2 | –", "{\"id\":\"inside\"} | inside", "– | –", "u-1 | ann"];
    check("fields user, user.id", &expected).await;
}
