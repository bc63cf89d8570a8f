//! Records as OpenTelemetry spans.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, TracesData, span::SpanKind, status::StatusCode,
};
use prost::Message;
use release::{Digest, Timestamp, Unit};

use crate::answers::ROOT;
use crate::attributes as name;
use crate::record::{AnswerRecord, Aside, Captured, Generation, Outcome, TraceId};

/// Attributes in the making.
#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn any(&mut self, key: &str, value: Value) {
        let value = Some(AnyValue { value: Some(value) });
        self.0.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
    }

    fn text(&mut self, key: &str, text: impl ToString) {
        self.any(key, Value::StringValue(text.to_string()));
    }

    fn maybe(&mut self, key: &str, text: Option<&impl ToString>) {
        if let Some(text) = text {
            self.text(key, text.to_string());
        }
    }

    fn count(&mut self, key: &str, count: u64) {
        self.any(key, Value::IntValue(i64::try_from(count).unwrap_or(i64::MAX)));
    }

    fn flag(&mut self, key: &str, flag: bool) {
        self.any(key, Value::BoolValue(flag));
    }

    fn list(&mut self, key: &str, items: &[String]) {
        let values =
            items.iter().map(|item| AnyValue { value: Some(Value::StringValue(item.clone())) });
        self.any(key, Value::ArrayValue(ArrayValue { values: values.collect() }));
    }

    fn json(&mut self, key: &str, value: &impl serde::Serialize) {
        // Our own records always have a JSON form.
        self.text(key, serde_json::to_string(value).unwrap_or_default());
    }
}

/// The record as OTLP bytes.
pub fn encode(record: &AnswerRecord) -> Vec<u8> {
    let mut resource = Attributes::default();
    resource.text(name::SERVICE_NAME, &record.app);
    resource.text(name::SERVICE_VERSION, record.release);
    resource.text(name::ENVIRONMENT, &record.environment);

    let trace_id = record.trace.as_bytes().to_vec();
    let start = nanoseconds(record.started_at);
    let end = record.steps.iter().map(|step| step.end_ns).max().unwrap_or(0);
    let root_id = span_id(record.trace, 0);
    let failed = matches!(record.outcome, Outcome::Failed { .. });
    let mut spans = vec![Span {
        trace_id: trace_id.clone(),
        span_id: root_id.clone(),
        name: ROOT.to_owned(),
        kind: SpanKind::Server as i32,
        start_time_unix_nano: start,
        end_time_unix_nano: start + end,
        attributes: root_attributes(record).0,
        status: failed.then(|| Status { message: String::new(), code: StatusCode::Error as i32 }),
        ..Span::default()
    }];
    for (number, step) in (1..).zip(&record.steps) {
        let (attributes, kind) = step_attributes(record, &step.name);
        spans.push(Span {
            trace_id: trace_id.clone(),
            span_id: span_id(record.trace, number),
            parent_span_id: root_id.clone(),
            name: step.name.clone(),
            kind: kind as i32,
            start_time_unix_nano: start + step.begin_ns,
            end_time_unix_nano: start + step.end_ns,
            attributes: attributes.0,
            ..Span::default()
        });
    }
    let scope = InstrumentationScope { name: "groundcrew".to_owned(), ..Default::default() };
    let scope_spans = ScopeSpans { scope: Some(scope), spans, schema_url: String::new() };
    let resource = Resource { attributes: resource.0, ..Resource::default() };
    let resource_spans = vec![ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scope_spans],
        schema_url: String::new(),
    }];
    TracesData { resource_spans }.encode_to_vec()
}

fn root_attributes(record: &AnswerRecord) -> Attributes {
    let mut root = Attributes::default();
    root.text(name::DIALECT, &record.dialect);
    root.flag(name::STREAM, record.stream);
    root.text(name::PRINCIPAL, &record.principal);
    root.maybe(name::PLAN, record.plan.as_ref());
    root.maybe(name::STEP, record.step.as_ref());
    root.maybe(name::ARM, record.arm.as_ref());
    let aside = record.aside.as_ref();
    root.maybe(name::EVALUATION_RUN, aside.and_then(Aside::evaluation));
    root.maybe(name::COPY_OF, aside.and_then(Aside::copy_of));
    root.maybe(name::COPY_DROPPED, record.copy_dropped.as_ref());
    root.text(name::UNIT, record.unit.id());
    root.flag(name::UNIT_STUCK, matches!(record.unit, Unit::Stuck(_)));
    if let Unit::Stuck(session) = &record.unit {
        root.text(name::CONVERSATION, session);
    }
    root.text(name::OUTCOME, record.outcome.as_str());
    match &record.outcome {
        Outcome::Failed { kind, message } => {
            root.text(name::ERROR_TYPE, kind);
            root.text(name::OUTCOME_MESSAGE, message);
        }
        Outcome::Blocked { rule } => root.text(name::OUTCOME_RULE, rule),
        Outcome::Answered | Outcome::Cancelled => {}
    }
    if !record.findings.is_empty() {
        root.json(name::FINDINGS, &record.findings);
    }
    if !record.overrides.is_empty() {
        root.list(name::OVERRIDES, &record.overrides);
    }
    let input = [name::INPUT_MESSAGES, name::INPUT_DIGEST, name::INPUT_BYTES];
    captured(&mut root, &record.input, input);
    root.maybe(name::SETTINGS, record.settings.as_ref());
    let output = [name::OUTPUT_MESSAGES, name::OUTPUT_DIGEST, name::OUTPUT_BYTES];
    captured(&mut root, &record.output, output);
    // The outcome of retrieval and generation also stands on the root, so that a step that never
    // ran (a refused request has no `generate`) loses nothing.
    if let Some(retrieval) = &record.retrieval {
        root.text(name::DATA_SOURCE, retrieval.snapshot);
        root.json(name::RETRIEVAL_DOCUMENTS, &retrieval.chunks);
        root.maybe(name::RETRIEVAL_VECTOR, retrieval.vector.as_ref());
        root.maybe(name::RERANK_FAILURE, retrieval.rerank_failure.as_ref());
    }
    if let Some(generation) = &record.generation {
        generated(&mut root, generation);
    }
    root
}

fn step_attributes(record: &AnswerRecord, step: &str) -> (Attributes, SpanKind) {
    let mut attributes = Attributes::default();
    match (step, &record.retrieval, &record.generation) {
        ("ground", Some(retrieval), _) => {
            attributes.text(name::OPERATION, "retrieval");
            attributes.text(name::DATA_SOURCE, retrieval.snapshot);
            (attributes, SpanKind::Internal)
        }
        ("generate", _, Some(generation)) => {
            attributes.text(name::OPERATION, "chat");
            attributes.text(name::PROVIDER, &generation.provider);
            attributes.text(name::REQUEST_MODEL, &generation.request_model);
            (attributes, SpanKind::Client)
        }
        _ => (attributes, SpanKind::Internal),
    }
}

fn generated(root: &mut Attributes, generation: &Generation) {
    root.text(name::PROVIDER, &generation.provider);
    root.maybe(name::BINDING, generation.binding.as_ref());
    root.text(name::REQUEST_MODEL, &generation.request_model);
    root.text(name::RESPONSE_MODEL, &generation.response_model);
    root.text(name::RESPONSE_ID, &generation.response_id);
    root.maybe(name::FINGERPRINT, generation.fingerprint.as_ref());
    if let Some(finish) = &generation.finish {
        root.list(name::FINISH_REASONS, std::slice::from_ref(finish));
    }
    if let Some(seconds) = generation.time_to_first_chunk {
        root.any(name::TIME_TO_FIRST_CHUNK, Value::DoubleValue(seconds));
    }
    root.count(name::INPUT_TOKENS, generation.input_tokens);
    root.count(name::OUTPUT_TOKENS, generation.output_tokens);
    root.count(name::CACHE_READ_TOKENS, generation.cache_read_tokens);
    root.count(name::CACHE_CREATION_TOKENS, generation.cache_creation_tokens);
    root.count(name::REASONING_TOKENS, generation.reasoning_tokens);
    root.flag(name::USAGE_ESTIMATED, generation.usage_estimated);
    root.count(name::UNREADABLE_EVENTS, generation.unreadable_events);
    if let Some(cost) = generation.cost {
        root.any(name::COST_NANOS, Value::IntValue(cost.nanos));
        root.text(name::COST_CURRENCY, cost.currency);
    }
    root.maybe(name::UNPRICED, generation.unpriced.as_ref());
}

fn captured(root: &mut Attributes, captured: &Captured, [full, digest, bytes]: [&str; 3]) {
    match captured {
        Captured::Full { json } => root.text(full, json),
        Captured::Hashed { digest: hash, bytes: length } => {
            root.text(digest, hash);
            root.count(bytes, *length);
        }
        Captured::Length { bytes: length } => root.count(bytes, *length),
        Captured::Gone => {}
    }
}

/// Span ids derive from the trace's, so that a record always encodes alike.
fn span_id(trace: TraceId, number: u64) -> Vec<u8> {
    let digest = Digest::of_fields([trace.as_bytes().as_slice(), &number.to_be_bytes()]);
    digest.as_bytes()[..8].to_vec()
}

fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}
