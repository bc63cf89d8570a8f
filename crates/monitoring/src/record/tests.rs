//! Records survive the trip through OTLP.

use release::{Currency, Digest, Money, ReleaseDigest};

use super::*;
use crate::frame::Signal;
use crate::{answers, otlp, receive};

pub fn record(trace: u8) -> AnswerRecord {
    AnswerRecord {
        trace: TraceId::from_bytes([trace; 16]),
        tenant: TenantId::DEFAULT,
        app: "support".parse().unwrap(),
        environment: "prod".parse().unwrap(),
        release: ReleaseDigest::new(Digest::of(b"release")),
        plan: Some(PlanId("plan".into())),
        step: Some(1),
        arm: Some("canary".into()),
        unit: Unit::Stuck("session-1".into()),
        principal: PrincipalId::user("ada").unwrap(),
        dialect: "openai".into(),
        stream: true,
        aside: None,
        copy_dropped: None,
        started_at: Timestamp::new(1_700_000_000, 5).unwrap(),
        steps: vec![
            Step { name: "ground".into(), begin_ns: 10, end_ns: 500 },
            Step { name: "generate".into(), begin_ns: 500, end_ns: 9_000 },
        ],
        retrieval: Some(Retrieval {
            snapshot: Digest::of(b"snapshot"),
            chunks: vec![RetrievedChunk {
                id: "sha256:c".into(),
                document: "returns.md".into(),
                score: 1.5,
                start: 3,
                end: 9,
            }],
            vector: Some("0000803f".into()),
            rerank_failure: Some("it timed out".into()),
        }),
        generation: Some(Generation {
            provider: "openai".into(),
            binding: Some(Digest::of(b"binding")),
            request_model: "gpt".into(),
            response_model: "gpt-1".into(),
            response_id: "r1".into(),
            fingerprint: Some("fp".into()),
            finish: Some("stop".into()),
            time_to_first_chunk: Some(0.25),
            input_tokens: 10,
            output_tokens: 5,
            cache_read_tokens: 4,
            cost: Some(Money { currency: Currency::USD, nanos: 12_000 }),
            ..Generation::default()
        }),
        findings: vec![Finding { rule: "pii".into(), on: "input".into(), action: "flag".into() }],
        overrides: vec!["temperature".into()],
        settings: Some(r#"{"metadata":{"language":"French"}}"#.into()),
        outcome: Outcome::Answered,
        input: Captured::Full { json: r#"[{"role":"user","content":"hi"}]"#.into() },
        output: Captured::Hashed { digest: Digest::of(b"text"), bytes: 4 },
    }
}

/// The record as the tables give it back.
fn back(record: &AnswerRecord) -> Option<AnswerRecord> {
    let rows = receive::decode(Signal::Traces, &otlp::encode(record), record.started_at);
    let texts = rows.payloads.iter().map(|text| (text.digest, text.text.clone())).collect();
    answers::record(&record.tenant, (&rows.spans, &rows.retrieval_edges), &texts)
}

#[test]
fn a_record_comes_back_from_its_rows_as_it_was() {
    let record = record(1);
    assert_eq!(back(&record), Some(record.clone()));
    let encoded = otlp::encode(&record);
    assert_eq!(otlp::encode(&record), encoded, "encoding must not depend on anything else");
}

#[test]
fn why_nobody_waited_for_an_answer_comes_back() {
    let original = TraceId::from_bytes([9; 16]);
    for aside in [Aside::Evaluation("returns-1f".into()), Aside::CopyOf(original)] {
        let copy_dropped = Some("bound".to_owned());
        let record = AnswerRecord { aside: Some(aside), copy_dropped, ..record(1) };
        assert_eq!(back(&record), Some(record));
    }
}

#[test]
fn every_outcome_comes_back() {
    for outcome in [
        Outcome::Cancelled,
        Outcome::Blocked { rule: "r".into() },
        Outcome::Failed { kind: "timeout".into(), message: "m".into() },
    ] {
        let record = AnswerRecord { outcome, generation: None, retrieval: None, ..record(1) };
        assert_eq!(back(&record), Some(record));
    }
}

#[test]
fn what_was_captured_comes_back_byte_for_byte() {
    let input = r#"[{"role":"user","content":"a \"quoted\" 1.50 é"},{"role":"user","content":[]}]"#;
    for (input, output) in [
        (Captured::Full { json: input.into() }, Captured::Full { json: r#"{"a":[1,2.5]}"#.into() }),
        (Captured::Length { bytes: 7 }, Captured::Length { bytes: 0 }),
    ] {
        let record = AnswerRecord { input, output, ..record(1) };
        assert_eq!(back(&record), Some(record));
    }
}
