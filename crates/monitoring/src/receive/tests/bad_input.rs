//! What is malformed, absurd or too large.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use proptest::prelude::*;

use super::*;
use crate::receive::limits::{MAX_ATTRIBUTES, MAX_TEXT, MAX_VALUE};

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

fn refused(encoding: Option<&str>, body: impl Into<Bytes>) -> Refused {
    admit(Signal::Traces, Format::Protobuf, encoding, body.into()).unwrap_err()
}

#[test]
fn garbage_is_malformed() {
    assert!(matches!(refused(None, "no protobuf at all"), Refused::Malformed(_)));
    assert!(matches!(refused(Some("gzip"), "no gzip"), Refused::Malformed(_)));
    assert!(matches!(refused(Some("zstd"), ""), Refused::Unsupported(_)));
    let whole = traces(vec![], vec![span(vec![text("a", "b")])]).encode_to_vec();
    for cut in 1..whole.len() {
        assert!(matches!(refused(None, whole[..cut].to_vec()), Refused::Malformed(_)), "{cut}");
    }
}

#[test]
fn nothing_at_all_is_a_message_without_items() {
    let received = admit(Signal::Traces, Format::Protobuf, None, Bytes::new()).unwrap();
    assert_eq!((received.items, received.rejected), (0, 0));
}

#[test]
fn gzip_is_unpacked_within_bounds() {
    let whole = traces(vec![], vec![span(vec![])]).encode_to_vec();
    let received = admit(Signal::Traces, Format::Protobuf, Some("gzip"), gzip(&whole)).unwrap();
    assert_eq!(received.otlp, whole);
    let bomb = gzip(&vec![0; MAX_PLAIN + 1]);
    assert!(bomb.len() < 1 << 20);
    assert!(matches!(refused(Some("gzip"), bomb), Refused::TooLarge { .. }));
}

#[test]
fn a_small_body_may_not_become_a_large_message() {
    // A million spans in two bytes each, in one scope of one resource.
    let spans: Vec<u8> = [0x12, 0x00].repeat(1_100_000);
    let within = |tag: u8, bytes: &[u8]| {
        let mut out = vec![tag];
        prost::encoding::encode_varint(bytes.len() as u64, &mut out);
        [out, bytes.to_vec()].concat()
    };
    let body = within(0x0a, &within(0x12, &spans));
    assert!(matches!(refused(None, body), Refused::TooLarge { .. }));
}

#[test]
fn values_are_not_nested_without_end() {
    let mut value = Value::BoolValue(true);
    for _ in 0..90 {
        value = Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(value) }] });
    }
    let body = traces(vec![], vec![span(vec![pair("deep", value)])]).encode_to_vec();
    assert!(matches!(refused(None, body), Refused::Malformed(_)));
}

#[test]
fn spans_with_invalid_ids_are_taken_out_and_counted() {
    let short = Span { trace_id: vec![1; 8], ..span(vec![]) };
    let zero = Span { span_id: vec![0; 8], ..span(vec![]) };
    let parent = Span { parent_span_id: vec![1; 3], ..span(vec![]) };
    let sent = traces(vec![], vec![short, span(vec![]), zero, parent]);
    let body = sent.encode_to_vec().into();
    let received = admit(Signal::Traces, Format::Protobuf, None, body).unwrap();
    assert_eq!((received.items, received.rejected), (1, 3));
    assert_eq!(received.why, "span `chat gpt`: a trace id has 16 bytes that are not all zero");
    assert_eq!(decode(Signal::Traces, &received.otlp, now()).spans.len(), 1);
}

#[test]
fn absurd_times_are_corrected_and_the_row_says_so() {
    let future = before(0) + 7_200 * 1_000_000_000;
    for (start, end, began, duration) in [
        (0, 0, NOW, 0),
        (u64::MAX, u64::MAX, NOW, 0),
        (future, future + 5, NOW, 0),
        (before(5), before(9), NOW - 5, 0),
        (before(5), u64::MAX, NOW - 5, 0),
        (1, 2, NOW, 0),
    ] {
        let sent = Span { start_time_unix_nano: start, end_time_unix_nano: end, ..span(vec![]) };
        let row = through(Signal::Traces, &traces(vec![], vec![sent])).spans.remove(0);
        let expected = Timestamp::new(began, 0).unwrap();
        assert_eq!((row.started_at, row.duration_ns), (expected, duration), "{start} {end}");
        assert!(attribute(&row.attributes, "groundcrew.clock").is_some(), "{start} {end}");
    }
    // A minute ahead is no more than a clock may be off, and a year late is late.
    for start in [before(0) + 60_000_000_000, before(31_536_000)] {
        let sent =
            Span { start_time_unix_nano: start, end_time_unix_nano: start + 7, ..span(vec![]) };
        let row = through(Signal::Traces, &traces(vec![], vec![sent])).spans.remove(0);
        assert_eq!((row.started_at.as_nanosecond(), row.duration_ns), (i128::from(start), 7));
        assert_eq!(row.attributes, []);
    }
}

#[test]
fn large_attributes_are_cut_and_the_row_says_which() {
    let large = "ä".repeat(5 << 20);
    let mut attributes = vec![text("large", large.as_str()), text(&"n".repeat(300), "x")];
    attributes.extend((0..400).map(|number| text(&format!("many.{number:03}"), "x")));
    attributes.push(text("gen_ai.tool.call.result", large.as_str()));
    let batch = through(Signal::Traces, &traces(vec![], vec![span(attributes)]));
    let row = &batch.spans[0];
    assert_eq!(attribute(&row.attributes, "large").unwrap().len(), MAX_VALUE);
    assert_eq!(row.attributes.len(), MAX_ATTRIBUTES + 1);
    let cut = attribute(&row.attributes, "groundcrew.cut").unwrap();
    assert_eq!(cut, format!("result, large, {}, 146 attributes", "n".repeat(256)));
    assert_eq!(batch.payloads[0].text.len(), MAX_TEXT);
    assert_eq!(row.output_preview.chars().count(), 200);
}

#[test]
fn events_are_bounded() {
    let event = Event {
        time_unix_nano: before(9),
        name: "log".into(),
        attributes: vec![text("message", "x".repeat(30_000))],
        ..Event::default()
    };
    let sent = Span { events: vec![event; 10], ..span(vec![]) };
    let row = through(Signal::Traces, &traces(vec![], vec![sent])).spans.remove(0);
    let events: serde_json::Value = serde_json::from_str(&row.events).unwrap();
    assert_eq!(events.as_array().unwrap().len(), 3);
    assert_eq!(attribute(&row.attributes, "groundcrew.cut"), Some("7 events"));
}

#[test]
fn a_trace_of_fifty_thousand_spans_is_taken() {
    let spans = (0..50_000_u64).map(|number| Span {
        span_id: (number + 1).to_be_bytes().to_vec(),
        attributes: vec![int("number", number as i64)],
        ..span(vec![])
    });
    let batch = through(Signal::Traces, &traces(vec![text("service.name", "x")], spans.collect()));
    assert_eq!(batch.spans.len(), 50_000);
    assert_eq!(batch.spans[49_999].span_id, "000000000000c350");
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("[{\"role\":\"user\",\"content\":\"x\"}]".to_owned()),
        Just("{\"messages\":[1]}".to_owned()),
        Just("[[[{\"role\":".to_owned()),
        Just("{\"choices\":[{}]}".to_owned()),
        Just("[{\"id\":1},{\"content\":\"x\",\"metadata\":\"{}\"}]".to_owned()),
    ]
}

fn any_key() -> impl Strategy<Value = String> {
    let known =
        crate::receive::aliases::fields().map(|field| field.name().to_owned()).collect::<Vec<_>>();
    prop_oneof![
        proptest::sample::select(known),
        "(gen_ai.prompt|llm.input_messages|retrieval.documents|llm.output_messages)\\.[0-9]{1,20}\\.(role|content|message.content|message.tool_calls.0.tool_call.id|document.id|document.content)",
        "[a-z.]{0,12}",
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any_text().prop_map(Value::StringValue),
        any::<i64>().prop_map(Value::IntValue),
        any::<f64>().prop_map(Value::DoubleValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<Vec<u8>>().prop_map(Value::BytesValue),
        Just(Value::ArrayValue(ArrayValue::default())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sent_becomes_one_row_and_always_the_same(
        attributes in prop::collection::vec((any_key(), any_value()), 0..20),
        times in any::<(u64, u64)>(),
    ) {
        let attributes = attributes.into_iter().map(|(key, value)| pair(&key, value)).collect();
        let sent = Span { start_time_unix_nano: times.0, end_time_unix_nano: times.1, ..span(attributes) };
        let bytes = traces(vec![], vec![sent]).encode_to_vec();
        let one = decode(Signal::Traces, &bytes, now());
        let other = decode(Signal::Traces, &bytes, now());
        prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
        let row = &one.spans[0];
        prop_assert_eq!(one.spans.len(), 1);
        let known: Vec<_> = one.payloads.iter().map(|payload| payload.digest).collect();
        prop_assert!(row.input.iter().chain(&row.output).all(|digest| known.contains(digest)));
        let names: std::collections::BTreeSet<_> = row.attributes.iter().map(|(name, _)| name).collect();
        prop_assert_eq!(names.len(), row.attributes.len());
        prop_assert!(row.duration_ns >= 0);
    }

    #[test]
    fn no_bytes_bring_it_down(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for signal in Signal::ALL {
            for format in [Format::Protobuf, Format::Json] {
                if let Ok(received) = admit(signal, format, None, bytes.clone().into()) {
                    let _rows = decode(signal, &received.otlp, now());
                }
            }
        }
    }
}
