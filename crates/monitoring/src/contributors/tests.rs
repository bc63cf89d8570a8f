use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use release::{TenantId, Timestamp};

use super::{CAPACITY, Contributors, Report, Rule, Summary};
use crate::rows::{Batch, LogEntry, Origin, RetrievalEdge, Span};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

const HOUR: i64 = 1_764_000_000 / 3_600 * 3_600;

fn log(second: i64, service: &str, body: &str) -> LogEntry {
    LogEntry {
        at: at(second),
        body: body.to_owned(),
        origin: Origin { service: service.to_owned(), ..Origin::default() },
        ..LogEntry::default()
    }
}

/// What a rule finds in a batch, as `keys value`.
fn found(rule: &str, batch: &Batch) -> Vec<String> {
    let report = report(rule, batch);
    let lines = report
        .contributors
        .iter()
        .map(|contributor| format!("{} {}", contributor.keys.join("/"), contributor.value));
    lines.collect()
}

fn report(rule: &str, batch: &Batch) -> Report {
    let contributors = Contributors::default();
    let tenant = TenantId::DEFAULT;
    let rules = BTreeMap::from([("rule".to_owned(), Rule::parse(rule).unwrap())]);
    contributors.watch(&tenant, rules, at(HOUR));
    contributors.observe(&tenant, batch, at(HOUR + 60));
    contributors.report(&tenant, "rule", (at(HOUR), at(HOUR + 60)), 10).unwrap()
}

fn rule(groups: &str, contribution: &str, aggregate: &str) -> String {
    format!(
        r#"{{"Schema": {{"Name": "CloudWatchLogRule", "Version": 1}}, "LogGroupNames": {groups},
            "LogFormat": "JSON", "Contribution": {contribution}, "AggregateOn": "{aggregate}"}}"#
    )
}

#[test]
fn the_example_of_the_documentation_sums_bytes_of_puts_by_address() {
    let text = rule(
        r#"["API-Gateway-Access-Logs*", "Log-group-name2"]"#,
        r#"{"Keys": ["$.ip"], "ValueOf": "$.requestBytes",
            "Filters": [{"Match": "$.httpMethod", "In": ["PUT"]}]}"#,
        "Sum",
    );
    let put = |ip: &str, bytes: u32| {
        format!(r#"{{"ip": "{ip}", "requestBytes": {bytes}, "httpMethod": "PUT"}}"#)
    };
    let logs = vec![
        log(HOUR + 1, "API-Gateway-Access-Logs-1", &put("10.0.0.1", 100)),
        log(HOUR + 2, "Log-group-name2", &put("10.0.0.2", 700)),
        log(HOUR + 3, "API-Gateway-Access-Logs", &put("10.0.0.1", 50)),
        log(HOUR + 4, "Log-group-name22", &put("10.0.0.1", 9_000)),
        log(HOUR + 5, "Log-group-name2", &put("10.0.0.3", 5).replace("PUT", "GET")),
        log(HOUR + 6, "Log-group-name2", r#"{"httpMethod": "PUT", "requestBytes": 4}"#),
        log(HOUR + 7, "Log-group-name2", "no JSON"),
    ];
    let batch = Batch { logs, ..Batch::default() };
    assert_eq!(found(&text, &batch), ["10.0.0.2 700", "10.0.0.1 150"]);
    let report = report(&text, &batch);
    assert_eq!((report.total, report.events, report.unlisted_at_most), (850.0, 3, 0.0));
}

#[test]
fn every_filter_does_what_it_says() {
    let body = r#"{"a": {"b": "xyz"}, "n": 5, "list": [{"c": 1}], "none": null, "ok": true}"#;
    let batch = Batch { logs: vec![log(HOUR, "any", body)], ..Batch::default() };
    for (filter, fits) in [
        (r#"{"Match": "$.a.b", "In": ["q", "xyz"]}"#, true),
        (r#"{"Match": "$.a.b", "In": ["XYZ"]}"#, false),
        (r#"{"Match": "$.a.b", "NotIn": ["q"]}"#, true),
        (r#"{"Match": "$.a.b", "NotIn": ["xyz"]}"#, false),
        (r#"{"Match": "$.a.b", "StartsWith": ["q", "xy"]}"#, true),
        (r#"{"Match": "$.a.b", "StartsWith": ["yz"]}"#, false),
        (r#"{"Match": "$.n", "GreaterThan": 4.5}"#, true),
        (r#"{"Match": "$.n", "GreaterThan": 5}"#, false),
        (r#"{"Match": "$.n", "LessThan": 6}"#, true),
        (r#"{"Match": "$.n", "LessThan": 5}"#, false),
        (r#"{"Match": "$.n", "EqualTo": 5}"#, true),
        (r#"{"Match": "$.n", "EqualTo": 6}"#, false),
        (r#"{"Match": "$.n", "NotEqualTo": 6}"#, true),
        (r#"{"Match": "$.a.b", "NotEqualTo": 6}"#, false),
        (r#"{"Match": "$.list[0].c", "EqualTo": 1}"#, true),
        (r#"{"Match": "$['a'].b", "IsPresent": true}"#, true),
        (r#"{"Match": "$.none", "IsPresent": false}"#, true),
        (r#"{"Match": "$.a", "IsPresent": true}"#, false),
        (r#"{"Match": "$.ok", "In": ["true"]}"#, true),
    ] {
        let contribution = format!(r#"{{"Keys": ["$.n"], "Filters": [{filter}]}}"#);
        let counted = found(&rule(r#"["*"]"#, &contribution, "Count"), &batch);
        assert_eq!(counted.len(), usize::from(fits), "{filter}");
    }
}

#[test]
fn spans_and_passages_are_looked_at_by_their_columns_and_attributes() {
    let span = |user: &str, tokens| Span {
        started_at: at(HOUR + 1),
        user: user.to_owned(),
        input_tokens: Some(tokens),
        origin: Origin { release: "sha256:aa".to_owned(), ..Origin::default() },
        attributes: vec![("http.route".to_owned(), "/chat".to_owned())],
        ..Span::default()
    };
    let edge = |chunk: &str| RetrievalEdge {
        at: at(HOUR + 1),
        chunk: chunk.to_owned(),
        ..RetrievalEdge::default()
    };
    let batch = Batch {
        spans: vec![span("ann", 10), span("bob", 70), span("ann", 20), span("", 5)],
        retrieval_edges: vec![edge("c1"), edge("c2"), edge("c2")],
        ..Batch::default()
    };
    let tokens = rule(
        r#"["spans"]"#,
        r#"{"Keys": ["$.user", "$.http.route", "$.release"], "ValueOf": "$.input_tokens"}"#,
        "Sum",
    );
    assert_eq!(found(&tokens, &batch), ["bob//chat/sha256:aa 70", "ann//chat/sha256:aa 30"]);
    let chunks = rule(r#"["retrieval_edges"]"#, r#"{"Keys": ["$.chunk"]}"#, "Count");
    assert_eq!(found(&chunks, &batch), ["c2 2", "c1 1"]);
}

#[test]
fn what_is_wrong_with_a_rule_is_told_with_its_place() {
    let told = |text: &str| Rule::parse(text).unwrap_err().to_string();
    let keys = r#"{"Keys": ["$.a"]}"#;
    let rules = [
        ("{", "Count", keys),
        (r#"["*"]"#, "Average", keys),
        ("[]", "Count", keys),
        (r#"["*"]"#, "Sum", keys),
        (r#"["*"]"#, "Count", r#"{"Keys": []}"#),
        (r#"["*"]"#, "Count", r#"{"Keys": ["a"]}"#),
        (r#"["*"]"#, "Count", r#"{"Keys": ["$.a..b"]}"#),
        (r#"["*"]"#, "Count", r#"{"Keys": ["$.a"], "ValueOf": "$.b"}"#),
        (r#"["*"]"#, "Count", r#"{"Keys": ["$.a"], "Filters": [{"Match": "$.a"}]}"#),
        (
            r#"["*"]"#,
            "Count",
            r#"{"Keys": ["$.a"], "Filters": [{"Match": "$.a", "IsPresent": true, "In": ["b"]}]}"#,
        ),
        (r#"["*"]"#, "Count", r#"{"Keys": ["$.a"], "Filters": [{"Match": "$.a", "In": []}]}"#),
        (r#"["*"]"#, "Count", r#"{"Keys": ["$.a"], "Filter": []}"#),
    ];
    let told: Vec<_> = rules
        .iter()
        .map(|(groups, aggregate, contribution)| told(&rule(groups, contribution, aggregate)))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn minutes_become_hours_and_hours_are_forgotten() {
    let contributors = Contributors::default();
    let tenant = TenantId::DEFAULT;
    let text = rule(r#"["*"]"#, r#"{"Keys": ["$.k"]}"#, "Count");
    let rules = || BTreeMap::from([("rule".to_owned(), Rule::parse(&text).unwrap())]);
    contributors.watch(&tenant, rules(), at(HOUR));
    let batch =
        |second| Batch { logs: vec![log(second, "s", r#"{"k": "a"}"#)], ..Batch::default() };
    let total = |from: i64, to: i64| {
        contributors.report(&tenant, "rule", (at(from), at(to)), 10).unwrap().total
    };
    contributors.observe(&tenant, &batch(HOUR + 60), at(HOUR + 61));
    assert_eq!((total(HOUR, HOUR + 60), total(HOUR, HOUR + 120)), (0.0, 1.0));
    // Five hours later one of the same hour comes late.
    let now = HOUR + 5 * 3_600;
    contributors.observe(&tenant, &batch(HOUR + 90), at(now));
    assert_eq!(total(HOUR + 60, HOUR + 120), 2.0, "a whole hour is answered with");
    // The same rule goes on, another one begins anew.
    contributors.watch(&tenant, rules(), at(now));
    assert_eq!(total(HOUR, HOUR + 120), 2.0);
    assert!(contributors.report(&"acme".parse().unwrap(), "rule", (at(0), at(now)), 1).is_none());
    contributors.observe(&tenant, &batch(now), at(now + 16 * 86_400));
    assert_eq!(total(HOUR, now + 1), 0.0);
}

#[test]
fn what_was_found_before_a_restart_is_found_after_it_with_bounds_that_hold() {
    let tenant = TenantId::DEFAULT;
    let text = rule(r#"["*"]"#, r#"{"Keys": ["$.k"]}"#, "Count");
    let watch = |contributors: &Contributors, text: &str| {
        let rules = BTreeMap::from([("rule".to_owned(), Rule::parse(text).unwrap())]);
        contributors.watch(&tenant, rules, at(HOUR + 600));
    };
    let mut exact: HashMap<String, f64> = HashMap::new();
    let mut batch = |second: i64, keys: std::ops::Range<u32>| {
        let logs = keys.flat_map(|key| {
            // The smaller the number, the more often.
            let times = 1 + 400 / (key + 1);
            *exact.entry(key.to_string()).or_default() += f64::from(times);
            (0..times).map(move |_| log(second, "s", &format!(r#"{{"k": "{key}"}}"#)))
        });
        Batch { logs: logs.collect(), ..Batch::default() }
    };
    let first = Contributors::default();
    watch(&first, &text);
    first.observe(&tenant, &batch(HOUR + 1, 0..60), at(HOUR + 2));
    let mut rows: Vec<_> = first.drain().into_iter().flat_map(|(_, rows)| rows).collect();
    assert_eq!(first.drain(), []);
    first.observe(&tenant, &batch(HOUR + 3, 30..90), at(HOUR + 4));
    first.observe(&tenant, &batch(HOUR + 70, 0..5), at(HOUR + 71));
    rows.extend(first.drain().into_iter().flat_map(|(_, rows)| rows));
    assert!(rows.iter().all(|row| row.kind == "rollup" && row.name == "contributors/rule"));

    let second = Contributors::default();
    rows.reverse();
    second.restore(&tenant, &rows, at(HOUR + 600));
    watch(&second, &text);
    let told = second.report(&tenant, "rule", (at(HOUR), at(HOUR + 120)), 200).unwrap();
    assert_eq!((told.total, told.events as f64), (exact.values().sum(), told.total));
    assert_eq!(told.contributors[0].keys, ["0"]);
    for contributor in &told.contributors {
        let exact = exact[&contributor.keys[0]];
        assert!(contributor.at_least <= exact && exact <= contributor.value, "{contributor:?}");
    }
    let listed = |key: &String| told.contributors.iter().any(|it| it.keys[0] == *key);
    let unlisted = exact.iter().filter(|(key, _)| !listed(key));
    assert!(unlisted.into_iter().all(|(_, value)| *value <= told.unlisted_at_most));
    assert_eq!(second.list(&tenant)[0].since, at(HOUR));

    let changed = Contributors::default();
    changed.restore(&tenant, &rows, at(HOUR + 600));
    watch(&changed, &text.replace("$.k", "$.other"));
    let told = changed.report(&tenant, "rule", (at(HOUR), at(HOUR + 120)), 9).unwrap();
    assert_eq!(told.events, 0, "another rule has found nothing yet");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_a_summary_tells_is_within_its_bounds_also_after_merging(
        parts in prop::collection::vec(
            prop::collection::vec((0..1_000u32, 1..100u32), 0..600), 1..4
        ),
        heavy in prop::collection::vec((0..5u32, 100..1_000u32), 0..50),
    ) {
        let mut exact: HashMap<String, f64> = HashMap::new();
        let mut all = Summary::default();
        for part in parts.iter().chain([&heavy]) {
            let mut summary = Summary::default();
            for (key, value) in part {
                summary.add(vec![key.to_string()], f64::from(*value));
                *exact.entry(key.to_string()).or_default() += f64::from(*value);
            }
            all.merge(&summary);
        }
        let top: HashMap<String, _> =
            all.top(usize::MAX).into_iter().map(|(keys, entry)| (keys[0].clone(), entry)).collect();
        prop_assert!(top.len() <= CAPACITY);
        let total: f64 = exact.values().sum();
        prop_assert_eq!(all.total(), total);
        for (key, value) in &exact {
            match top.get(key) {
                Some(entry) => {
                    prop_assert!(*value <= entry.value, "{} > {:?}", value, entry);
                    prop_assert!(*value >= entry.value - entry.error, "{} < {:?}", value, entry);
                }
                None => prop_assert!(*value <= all.floor(), "{} is not listed", key),
            }
        }
    }
}
