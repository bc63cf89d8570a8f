//! Spans as the API answers them: the table's columns by their names, without what is empty.

use monitoring::rows::{Score, Span};
use serde_json::{Map, Value};

/// All spans of a trace. `bare` leaves out the attributes, where they may quote what was erased.
/// What was asked and answered stands with the answer, not here.
pub fn shown(spans: &[Span], bare: bool) -> Value {
    spans.iter().map(|span| one(span, bare)).collect()
}

/// What was thought of a trace's answers. `bare` leaves out what may quote them.
pub fn scores(scores: &[Score], bare: bool) -> Value {
    let one = |score: &Score| {
        let mut row = Map::new();
        let mut put = |name: &str, value: Value| row.insert(name.to_owned(), value);
        put("timestamp", score.at.to_string().into());
        put("name", score.name.as_str().into());
        if let Some(value) = score.value {
            put("value", value.into());
        }
        let quoting = if bare { "" } else { score.explanation.as_str() };
        let texts = [
            ("label", score.label.as_str()),
            ("explanation", quoting),
            ("error_type", &score.error_type),
        ];
        for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            put(name, text.into());
        }
        Value::Object(row)
    };
    scores.iter().map(one).collect()
}

fn one(span: &Span, bare: bool) -> Value {
    let mut row = Map::new();
    let origin = &span.origin;
    let texts = [
        ("trace_id", &span.trace_id),
        ("span_id", &span.span_id),
        ("parent_span_id", &span.parent_span_id),
        ("name", &span.name),
        ("kind", &span.kind),
        ("status", &span.status),
        ("status_message", &span.status_message),
        ("service", &origin.service),
        ("app", &origin.app),
        ("environment", &origin.environment),
        ("release", &origin.release),
        ("operation", &span.operation),
        ("provider", &span.provider),
        ("request_model", &span.request_model),
        ("response_model", &span.response_model),
        ("response_id", &span.response_id),
        ("finish_reason", &span.finish_reason),
        ("conversation", &span.conversation),
        ("user", &span.user),
        ("prompt", &span.prompt),
        ("snapshot", &span.snapshot),
        ("arm", &span.arm),
        ("outcome", &span.outcome),
        ("error_type", &span.error_type),
        ("currency", &span.currency),
    ];
    let mut put = |name: &str, value: Value| row.insert(name.to_owned(), value);
    put("timestamp", span.started_at.to_string().into());
    put("duration_ns", span.duration_ns.into());
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        put(name, text.as_str().into());
    }
    let counts = [
        ("input_tokens", span.input_tokens),
        ("output_tokens", span.output_tokens),
        ("cache_read_tokens", span.cache_read_tokens),
        ("cache_creation_tokens", span.cache_creation_tokens),
        ("reasoning_tokens", span.reasoning_tokens),
    ];
    for (name, count) in counts {
        if let Some(count) = count {
            put(name, count.into());
        }
    }
    let numbers = [("cost", span.cost), ("time_to_first_chunk", span.time_to_first_chunk)];
    for (name, number) in numbers {
        if let Some(number) = number {
            put(name, number.into());
        }
    }
    if !bare {
        let lists = [("events", &span.events), ("links", &span.links)];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            put(name, serde_json::from_str(list).unwrap_or_default());
        }
        let attributes = span.attributes.iter();
        let attributes = attributes.map(|(name, value)| (name.clone(), value.as_str().into()));
        put("attributes", Value::Object(attributes.collect()));
    }
    Value::Object(row)
}

#[cfg(test)]
mod tests {
    use monitoring::rows::Span;
    use serde_json::json;

    #[test]
    fn what_is_empty_is_left_out_and_attributes_where_they_may_quote() {
        let span = Span {
            trace_id: "t".to_owned(),
            duration_ns: 5,
            input_tokens: Some(0),
            events: "[{\"name\":\"e\"}]".to_owned(),
            attributes: vec![("a.b".to_owned(), "1".to_owned())],
            ..Span::default()
        };
        let bare = json!({
            "trace_id": "t", "duration_ns": 5, "input_tokens": 0,
            "timestamp": "1970-01-01T00:00:00Z",
        });
        assert_eq!(super::shown(std::slice::from_ref(&span), true), json!([bare]));
        let mut whole = bare;
        whole["events"] = json!([{"name": "e"}]);
        whole["attributes"] = json!({"a.b": "1"});
        assert_eq!(super::shown(&[span], false), json!([whole]));
    }
}
