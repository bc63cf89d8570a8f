//! What is said about queries with mistakes in them.

use proptest::prelude::*;

use super::*;
use crate::insights::{MAX_LIMIT, MAX_QUERY};

/// What is wrong with a query on log records.
async fn mistake(query: &str) -> String {
    let context = SessionContext::new();
    let rows = context.read_batch(logs(&[])).unwrap().into_parts().1;
    let source = Source { rows, before: None, now: Timestamp::UNIX_EPOCH, limit: 10 };
    match Query::parse(query).and_then(|query| query.compile(source)) {
        Ok(_) => "no mistake".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn every_mistake_has_a_place_and_says_what_to_do() {
    let mut told = Vec::new();
    for query in [
        "",
        "fields",
        "felds @message",
        "fields @timestamp |",
        "fields a | filter b = | limit 2",
        "filter a == ",
        "filter a =< 3",
        "filter (a = 1",
        "filter a like b",
        "filter a in 'x'",
        "filter a like /(?=x)y/",
        "filter a like /(a)\\1/",
        "filter a like /a[/",
        "filter a like /unfinished",
        "filter a = \"unfinished",
        "fields `unfinished",
        "fields a; b",
        "fields strlenn(a)",
        "fields strlen(a, b)",
        "fields sum(a)",
        "fields by",
        "fields bin(5)",
        "fields bin(5x)",
        "fields bin(0m)",
        "fields 5m",
        "fields * ",
        "stats sum(a) as x, b",
        "stats avg(sum(a))",
        "stats count(*), count(*)",
        "stats pct(a, 101)",
        "stats count(*) as n by a\n| filter nn > 3",
        "stats count(*) by a | stats max(b)",
        "sort a down",
        "limit ten",
        "limit 200000",
        "limit 1.5",
        "dedup",
        "parse @message \"no star\" as x",
        "parse @message \"* *\" as x",
        "parse @message /(\\d+)/",
        "parse @message \"* *\" as x, x",
        "parse @message",
        "unnest a",
        "diff yesterday",
        "diff",
        "anomaly",
        "fields attributes",
        "filter attributes = 1",
        "filter @timestamp > 'noon'",
        "filter @timestamp",
        "fields a | SOURCE spans",
        "fields @message\n\t| filter größer > ü and\n  lik",
    ] {
        told.push(format!("{query}\n──\n{}\n", mistake(query).await));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn what_is_too_long_or_too_deep_is_refused() {
    let deep = format!("filter {}a{}", "(".repeat(200), ")".repeat(200));
    assert!(mistake(&deep).await.contains("nested more than 32 deep"));
    let deep = format!("filter {} a", "not ".repeat(200));
    assert!(mistake(&deep).await.contains("nested more than 32 deep"));
    let long = format!("fields {}1", "1+".repeat(300));
    assert!(mistake(&long).await.contains("more than 256 operators"));
    let large = "x".repeat(MAX_QUERY + 1);
    assert!(mistake(&large).await.contains("more than 10000"));
    let chain = format!("filter {}", vec!["a = 1"; 200].join(" or "));
    assert_eq!(mistake(&chain).await, "no mistake");
    assert!(mistake(&format!("limit {MAX_LIMIT}")).await.contains("no mistake"));
}

/// Pieces that queries are made of, and some that they are not.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "fields",
        "filter",
        "stats",
        "sort",
        "limit",
        "parse",
        "dedup",
        "display",
        "pattern",
        "unnest",
        "into",
        "diff",
        "by",
        "as",
        "and",
        "or",
        "not",
        "like",
        "in",
        "desc",
        "|",
        ",",
        "(",
        ")",
        "[",
        "]",
        "=",
        "!=",
        "<",
        ">=",
        "=~",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "@message",
        "@timestamp",
        "a",
        "a.b.0",
        "`x y`",
        "attributes",
        "\"text * x\"",
        "'é'",
        "/a(?<n>b)/",
        "/(?=x)/",
        "5",
        "5m",
        "1.5",
        "10mo",
        "count(*)",
        "sum(a)",
        "bin(5m)",
        "strlen(",
        "now()",
        "#c\n",
        "\n",
        "ü",
        "é.ü",
        "\u{0}",
        "true",
        "pct(a,",
    ];
    prop_oneof![
        9 => proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Any text is a query or has a mistake at a place; nothing panics.
    #[test]
    fn any_text_compiles_or_has_a_mistake_at_a_place(
        pieces in proptest::collection::vec(piece(), 0..25),
    ) {
        let text = pieces.join(" ");
        let context = SessionContext::new();
        let rows = context.read_batch(logs(&[])).unwrap().into_parts().1;
        let before = Some(rows.clone());
        let source = Source { rows, before, now: Timestamp::UNIX_EPOCH, limit: 10 };
        if let Err(error) = Query::parse(&text).and_then(|query| query.compile(source)) {
            prop_assert!(!error.message.is_empty());
            let line = text.split('\n').nth(error.line as usize - 1);
            let line = line.expect("the line is there");
            prop_assert!(error.column as usize <= line.chars().count() + 1);
            prop_assert!(error.excerpt.contains('^'));
        }
    }
}
