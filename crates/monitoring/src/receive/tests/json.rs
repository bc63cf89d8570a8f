//! OTLP's JSON, as it should be and as it is sent.

use serde_json::json;

use super::*;

fn json_rows(signal: Signal, value: &serde_json::Value) -> Result<rows::Batch, Refused> {
    let received = admit(signal, Format::Json, None, value.to_string().into())?;
    assert_eq!(received.rejected, 0, "{}", received.why);
    Ok(decode(signal, &received.otlp, now()))
}

fn span_json() -> serde_json::Value {
    json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"scope": {"name": "lib", "version": "1"}, "spans": [{
            "traceId": "5B8EFFF798038103D269B633813FC60C",
            "spanId": "eee19b7ec3c1b174",
            "parentSpanId": "",
            "name": "GET",
            "startTimeUnixNano": before(3).to_string(),
            "endTimeUnixNano": before(2).to_string(),
            "kind": 2,
            "status": {"code": 2, "message": "no"},
            "attributes": [
                {"key": "count", "value": {"intValue": "7"}},
                {"key": "ratio", "value": {"doubleValue": 0.5}},
                {"key": "list", "value": {"arrayValue": {"values": [{"boolValue": true}]}}},
                {"key": "bytes", "value": {"bytesValue": "AQI="}},
            ],
            "unknownField": {"of": "a newer version"},
        }]}],
    }]})
}

#[test]
fn json_and_protobuf_of_one_message_are_one_row() {
    let batch = json_rows(Signal::Traces, &span_json()).unwrap();
    insta::assert_debug_snapshot!(batch.spans);
}

#[test]
fn liberties_are_put_right() {
    let expected = json_rows(Signal::Traces, &span_json()).unwrap();
    let mut sent = span_json();
    let span = &mut sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    span["kind"] = json!("SPAN_KIND_SERVER");
    span["status"]["code"] = json!("STATUS_CODE_ERROR");
    span["startTimeUnixNano"] = json!(before(3));
    span["events"] = json!(null);
    span["links"] = json!([null]);
    span["droppedAttributesCount"] = json!("0");
    span["attributes"][0]["value"] = json!({"intValue": 7});
    span["attributes"][1]["value"] = json!({"doubleValue": "0.5"});
    span["attributes"].as_array_mut().unwrap().push(json!({"key": "nothing"}));
    span["attributes"].as_array_mut().unwrap().push(json!({"key": "none", "value": null}));
    assert_eq!(json_rows(Signal::Traces, &sent).unwrap(), expected);
    let span = &mut sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    span["attributes"]
        .as_array_mut()
        .unwrap()
        .push(json!({"key": "empty", "value": {"arrayValue": {}}}));
    let row = json_rows(Signal::Traces, &sent).unwrap().spans.remove(0);
    assert_eq!(attribute(&row.attributes, "empty"), Some("[]"));
}

#[test]
fn what_cannot_be_put_right_is_refused_with_its_place() {
    let mut sent = span_json();
    sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] = json!("not hex");
    let refused = json_rows(Signal::Traces, &sent).unwrap_err();
    assert!(matches!(refused, Refused::Malformed(_)), "{refused}");
    let body = Bytes::from("{\"resourceSpans\": [");
    let refused = admit(Signal::Traces, Format::Json, None, body).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the message cannot be read: EOF while parsing a list at line 1 column 19"
    );
}

#[test]
fn metrics_in_json_have_their_numbers_in_any_form() {
    let point = |value: serde_json::Value| {
        let mut point = json!({"timeUnixNano": before(1).to_string()});
        point.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        point
    };
    let sent = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "a", "unit": "1", "sum": {
            "aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE", "isMonotonic": true,
            "dataPoints": [point(json!({"asInt": "3"})), point(json!({"asInt": 4})),
                point(json!({"asDouble": "1.5"}))],
        }},
        {"name": "h", "histogram": {"aggregationTemporality": 1, "dataPoints": [point(json!({
            "count": "3", "sum": 6, "bucketCounts": ["1", 2], "explicitBounds": [1.0], "min": 0.5,
        }))]}},
        {"name": "e", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [
            point(json!({"count": 2, "scale": "1", "zeroCount": "1",
                "positive": {"offset": 1, "bucketCounts": ["1"]}}))]}},
    ]}]}]});
    let rows = json_rows(Signal::Metrics, &sent).unwrap().metrics;
    let values: Vec<_> = rows.iter().map(|row| (row.kind.as_str(), row.value, row.count)).collect();
    assert_eq!(
        values,
        [
            ("counter", Some(3.0), None),
            ("counter", Some(4.0), None),
            ("counter", Some(1.5), None),
            ("histogram", None, Some(3)),
            ("histogram", None, Some(2)),
        ]
    );
}

#[test]
fn media_types_are_told_apart() {
    assert_eq!(Format::of(Some("application/json; charset=utf-8")), Ok(Format::Json));
    assert_eq!(Format::of(Some("application/x-protobuf")), Ok(Format::Protobuf));
    assert!(Format::of(Some("text/plain")).is_err());
    assert!(Format::of(None).is_err());
}
