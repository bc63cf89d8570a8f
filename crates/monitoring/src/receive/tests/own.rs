//! The gateway's own records.

use serde_json::json;

use super::*;
use crate::otlp;
use crate::record::tests::record;
use crate::record::{AnswerRecord, Captured, Outcome};

fn decoded(record: &AnswerRecord) -> rows::Batch {
    decode(Signal::Traces, &otlp::encode(record), now())
}

#[test]
fn an_answer_becomes_a_root_span_with_all_that_is_known() {
    let input = json!([
        {"role": "user", "blocks": [{"type": "text", "text": "Can I return the lamp?"}]},
        {"role": "assistant", "blocks": [{"type": "text", "text": "Which one?"}]},
        {"role": "user", "blocks": [{"type": "text", "text": "The green one."}]},
    ]);
    let output = json!({"started": {"id": "r1"}, "content": [{"type": "text", "text": "Yes."}]});
    let record = AnswerRecord {
        input: Captured::Full { json: input.to_string() },
        output: Captured::Full { json: output.to_string() },
        ..record(7)
    };
    let batch = decoded(&record);
    insta::assert_debug_snapshot!(batch);

    // The request can be made again from what is kept.
    let texts = |digests: &[release::Digest]| {
        let text = |digest: &release::Digest| {
            &batch.payloads.iter().find(|p| p.digest == *digest).unwrap().text
        };
        digests.iter().map(text).cloned().collect::<Vec<_>>()
    };
    let root = &batch.spans[0];
    assert_eq!(format!("[{}]", texts(&root.input).join(",")), input.to_string());
    assert_eq!(texts(&root.output), [output.to_string()]);
    assert_eq!(attribute(&root.attributes, "groundcrew.aliases"), None);
    assert_eq!(attribute(&root.attributes, "groundcrew.clock"), None);
}

#[test]
fn a_failed_answer_says_why() {
    let outcome = Outcome::Failed { kind: "timeout".into(), message: "too slow".into() };
    let batch = decoded(&AnswerRecord { outcome, generation: None, retrieval: None, ..record(1) });
    let root = &batch.spans[0];
    assert_eq!((root.outcome.as_str(), root.error_type.as_str()), ("failed", "timeout"));
    assert_eq!(root.status, "error");
    assert!(batch.retrieval_edges.is_empty());
}

#[test]
fn what_is_not_captured_has_no_payload() {
    let input = Captured::Length { bytes: 9 };
    let batch = decoded(&AnswerRecord { input, retrieval: None, settings: None, ..record(1) });
    assert!(batch.payloads.is_empty(), "{:?}", batch.payloads);
    assert_eq!(batch.spans[0].input_preview, "");
}

#[test]
fn nobody_else_can_tell_of_an_answer() {
    let forged = otlp::encode(&record(1));
    let received = admit(Signal::Traces, Format::Protobuf, None, forged.into()).unwrap();
    assert_eq!((received.items, received.rejected), (3, 0));
    let root = decode(Signal::Traces, &received.otlp, now()).spans.remove(0);
    assert_eq!((root.outcome.as_str(), root.origin.app.as_str()), ("", ""));
    assert_eq!(attribute(&root.attributes, "groundcrew.outcome"), Some("answered"));
    assert_eq!(attribute(&root.attributes, "otel.scope.name"), Some("groundcrew.received"));
}
