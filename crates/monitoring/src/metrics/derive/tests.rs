use std::fmt::Write;

use release::Timestamp;

use super::derive;
use crate::rows::{Batch, Origin, RetrievalEdge, Score, Span};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn origin() -> Origin {
    Origin {
        service: "support".to_owned(),
        app: "support".to_owned(),
        environment: "prod".to_owned(),
        release: "sha256:aa".to_owned(),
    }
}

fn span(name: &str, parent: &str) -> Span {
    Span {
        trace_id: "a".repeat(32),
        span_id: name.to_owned(),
        parent_span_id: parent.to_owned(),
        name: name.to_owned(),
        started_at: at(1_000),
        duration_ns: 1_500_000_000,
        origin: origin(),
        ..Span::default()
    }
}

/// Our own record of an answer.
fn answer() -> Vec<Span> {
    let root = Span {
        kind: "server".to_owned(),
        outcome: "answered".to_owned(),
        provider: "openai".to_owned(),
        request_model: "gpt-5".to_owned(),
        response_model: "gpt-5-2026".to_owned(),
        snapshot: "sha256:cc".to_owned(),
        arm: "candidate".to_owned(),
        input_tokens: Some(120),
        output_tokens: Some(30),
        cache_read_tokens: Some(100),
        cache_creation_tokens: Some(0),
        reasoning_tokens: Some(0),
        cost: Some(0.002),
        currency: "USD".to_owned(),
        time_to_first_chunk: Some(0.25),
        ..span("answer", "")
    };
    let ground = Span { operation: "retrieval".to_owned(), ..span("ground", "answer") };
    let generate = Span {
        operation: "chat".to_owned(),
        kind: "client".to_owned(),
        provider: "openai".to_owned(),
        request_model: "gpt-5".to_owned(),
        ..span("generate", "answer")
    };
    vec![root, ground, generate]
}

fn told(batch: &Batch) -> String {
    let mut out = String::new();
    derive(batch, &mut |derived| {
        let dimensions: Vec<_> =
            derived.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
        writeln!(out, "{} {} [{}]", derived.metric.name, derived.value, dimensions.join(" "))
            .unwrap();
    });
    out
}

#[test]
fn an_answer_of_ours_counts_once_with_its_tokens_and_cost() {
    insta::assert_snapshot!(told(&Batch { spans: answer(), ..Batch::default() }));
}

#[test]
fn a_retrieval_with_passages_is_not_empty() {
    let edge = RetrievalEdge {
        trace_id: "a".repeat(32),
        span_id: "answer".to_owned(),
        ..RetrievalEdge::default()
    };
    let batch = Batch { spans: answer(), retrieval_edges: vec![edge], ..Batch::default() };
    let told = told(&batch);
    assert!(told.contains("groundcrew.retrieval.empty 0 "), "{told}");
}

#[test]
fn blocked_is_no_error_and_failed_is_one_of_its_kind() {
    let mut spans = answer();
    spans[0].outcome = "blocked".to_owned();
    let blocked = told(&Batch { spans: spans.clone(), ..Batch::default() });
    assert!(blocked.contains("groundcrew.guardrail.blocked 1 "), "{blocked}");
    assert!(blocked.contains("groundcrew.errors 0 "), "{blocked}");
    spans[0].outcome = "failed".to_owned();
    spans[0].error_type = "timeout".to_owned();
    let failed = told(&Batch { spans, ..Batch::default() });
    let line = failed.lines().find(|line| line.starts_with("groundcrew.errors")).unwrap();
    assert!(line.starts_with("groundcrew.errors 1 ") && line.contains("error_type=timeout"));
}

#[test]
fn spans_of_other_services_count_where_a_request_comes_in_and_calls_where_they_are() {
    let mut spans = answer();
    spans[0].outcome.clear();
    spans[0].name = "POST /chat".to_owned();
    spans[0].status = "error".to_owned();
    // An agent's own count of its calls' tokens.
    spans[0].operation = "invoke_agent".to_owned();
    spans[2].input_tokens = Some(7);
    spans[2].error_type = "429".to_owned();
    for span in &mut spans {
        span.origin = Origin {
            service: "desk".to_owned(),
            environment: "dev".to_owned(),
            ..Origin::default()
        };
    }
    insta::assert_snapshot!(told(&Batch { spans, ..Batch::default() }));
}

#[test]
fn a_score_counts_by_its_evaluator_and_a_failed_one_has_no_value() {
    let score = Score {
        at: at(5),
        origin: origin(),
        name: "faithfulness".to_owned(),
        value: Some(0.75),
        ..Score::default()
    };
    let failed = Score { value: None, error_type: "timeout".to_owned(), ..score.clone() };
    let labelled = Score { value: None, label: "good".to_owned(), ..score.clone() };
    let scores = vec![score, failed, labelled];
    insta::assert_snapshot!(told(&Batch { scores, ..Batch::default() }));
}

#[test]
fn a_sample_counts_when_its_span_ended() {
    derive(&Batch { spans: answer(), ..Batch::default() }, &mut |derived| {
        assert_eq!(derived.at.as_millisecond(), 1_001_500);
    });
}

#[test]
fn an_answer_that_an_evaluation_asked_for_counts_nowhere() {
    let mut spans = answer();
    spans[0].attributes.push(("groundcrew.evaluation".to_owned(), "returns-1f".to_owned()));
    let mut derived = 0;
    derive(&Batch { spans, ..Batch::default() }, &mut |_| derived += 1);
    assert_eq!(derived, 0);
}

#[test]
fn a_copy_counts_as_a_copy_only_and_one_that_was_dropped_is_told() {
    let mut spans = answer();
    spans[0].attributes.push(("groundcrew.copy_of".to_owned(), "7".repeat(32)));
    let mut names = Vec::new();
    derive(&Batch { spans, ..Batch::default() }, &mut |it| names.push(it.metric.name));
    assert_eq!(names, ["groundcrew.copies", "groundcrew.copies.cost"]);
    let mut spans = answer();
    spans[0].attributes.push(("groundcrew.copy_dropped".to_owned(), "bound".to_owned()));
    let mut dropped = Vec::new();
    derive(&Batch { spans, ..Batch::default() }, &mut |it| {
        if it.metric.name == "groundcrew.copies.dropped" {
            dropped.push(it.dimensions["why"].clone());
        }
    });
    assert_eq!(dropped, ["bound"]);
}
