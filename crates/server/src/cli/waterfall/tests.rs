use serde_json::{Value, json};

use super::{took, waterfall};

/// A span of milliseconds `start` to `end`.
fn span(id: &str, parent: &str, (start, end): (i64, i64)) -> Value {
    let at = release::Timestamp::from_millisecond(1_764_000_000_000 + start).unwrap();
    json!({
        "span_id": id,
        "parent_span_id": if parent.is_empty() { Value::Null } else { json!(parent) },
        "name": id,
        "app": "support",
        "timestamp": at.to_string(),
        "duration_ns": (end - start) * 1_000_000,
    })
}

fn with(mut span: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        span[name] = value.clone();
    }
    span
}

#[test]
fn an_answer_is_shown_with_its_steps_models_and_errors() {
    let generate = json!({
        "operation": "chat", "request_model": "gpt-5", "response_model": "gpt-5-2026",
        "input_tokens": 1200, "output_tokens": 80, "cache_read_tokens": 1000,
        "time_to_first_chunk": 0.31, "cost": 0.0042, "currency": "USD", "kind": "client"
    });
    let tool = json!({
        "operation": "execute_tool", "attributes": {"gen_ai.tool.name": "refund"},
        "status": "error", "error_type": "timeout", "status_message": "no answer\u{1b}[2J in 5 s",
        "service": "billing", "app": null
    });
    let spans = json!([
        with(span("tool", "generate", (700, 940)), &tool),
        with(span("answer", "", (0, 1000)), &json!({"outcome": "blocked"})),
        span("admit", "answer", (0, 1)),
        with(span("ground", "answer", (2, 150)), &json!({"operation": "retrieval"})),
        with(span("generate", "answer", (150, 990)), &generate),
        span("alone", "elsewhere", (980, 981)),
    ]);
    insta::assert_snapshot!(waterfall(&spans));
}

#[test]
fn an_answers_record_is_shown_by_its_steps() {
    let answer = json!({
        "app": "support",
        "started_at": "2026-11-27T05:00:00Z",
        "outcome": {"outcome": "failed", "kind": "provider", "message": "the model is gone"},
        "steps": [
            {"name": "admit", "begin_ns": 0, "end_ns": 90_000},
            {"name": "generate", "begin_ns": 100_000, "end_ns": 900_000_000}
        ],
        "generation": {"response_model": "gpt-5", "input_tokens": 5, "output_tokens": 0}
    });
    insta::assert_snapshot!(waterfall(&super::spans_of_answer(&answer)));
}

#[test]
fn a_huge_trace_is_cut_and_what_is_not_shown_is_counted() {
    let mut spans = vec![span("root", "", (0, 40_000))];
    for group in 0..30 {
        let id = format!("group-{group}");
        spans.push(with(
            span(&id, "root", (group * 100, group * 100 + 90)),
            &json!({"name": "batch"}),
        ));
        for call in 0..1_100 {
            let mut call =
                span(&format!("{group}-{call}"), &id, (group * 100, group * 100 + call % 80));
            call["name"] = json!(if group % 2 == 0 { "search" } else { "fetch" });
            if group == 29 && call["duration_ns"] == 5_000_000 {
                call["status"] = json!("error");
            }
            spans.push(call);
        }
    }
    assert_eq!(spans.len(), 33_031);
    let drawn = waterfall(&json!(spans));
    assert!(drawn.lines().count() <= 300, "{}", drawn.lines().count());
    let start: Vec<_> = drawn.lines().take(16).collect();
    let end: Vec<_> = drawn.lines().rev().take(4).collect();
    insta::assert_snapshot!(format!("{}\n(…)\n{}", start.join("\n"), end.join("\n")));
}

#[test]
fn a_deep_trace_is_cut_below_a_depth() {
    let spans: Vec<_> = (0..50_000)
        .map(|depth: i64| {
            let parent = if depth == 0 { String::new() } else { (depth - 1).to_string() };
            span(&depth.to_string(), &parent, (0, 50_000 - depth))
        })
        .collect();
    let drawn = waterfall(&json!(spans));
    assert_eq!(drawn.lines().count(), super::DEPTH + 3);
    let last = drawn.lines().last().unwrap().trim_start();
    assert_eq!(last, "└─ … 1 more: 1 33 and 49966 below; up to 50.0 s");
}

#[test]
fn spans_that_cause_themselves_or_come_twice_are_told_of() {
    let spans = json!([
        span("root", "", (0, 10)),
        span("root", "", (0, 10)),
        span("a", "b", (0, 1)),
        span("b", "a", (0, 1)),
        span("c", "c", (0, 1)),
    ]);
    insta::assert_snapshot!(waterfall(&spans));
    assert_eq!(waterfall(&json!([])), "no spans");
    assert_eq!(waterfall(&Value::Null), "no spans");
}

#[test]
fn times_are_short_in_the_unit_that_fits() {
    let told = [0, 999, 1_500, 12_300_000, 999_000_000, 61_000_000_000, 600_000_000_000].map(took);
    assert_eq!(told, ["0", "999 ns", "1.50 µs", "12.3 ms", "999 ms", "61.0 s", "10.0 min"]);
}
