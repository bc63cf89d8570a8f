//! Spans as rows.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span as Sent;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use release::Timestamp;
use serde_json::{Value as Json, json};

use super::aliases::{self, Field};
use super::collect::{Collected, Marks, Shared};
use super::limits::{self, MAX_COLUMN, MAX_EVENTS, MAX_VALUE};
use super::messages::Texts;
use super::scores::{self, About};
use super::{retrieval, times, values};
use crate::attributes as name;
use crate::rows::{Batch, Span};

/// Events whose attributes are the span's own: what was said stands there where it may be left out.
const CONTENT_EVENTS: [&str; 3] = [
    "gen_ai.client.inference.operation.details",
    "gen_ai.content.prompt",
    "gen_ai.content.completion",
];

/// Adds the rows of a message.
pub fn rows(request: &ExportTraceServiceRequest, received_at: Timestamp, batch: &mut Batch) {
    for resource in &request.resource_spans {
        for scope in &resource.scope_spans {
            let shared = Shared::new(resource.resource.as_ref(), scope.scope.as_ref());
            for span in &scope.spans {
                let row = row(span, &shared, received_at, batch);
                batch.spans.push(row);
            }
        }
    }
}

fn row(sent: &Sent, shared: &Shared<'_>, received_at: Timestamp, batch: &mut Batch) -> Span {
    let contents = sent.events.iter().filter(|event| is_content(event));
    let own = sent.attributes.iter().chain(contents.flat_map(|event| &event.attributes));
    let mut collected = Collected::new(own, shared);
    let mut row = columns(sent, received_at, &mut collected);
    usage(&mut row, &mut collected);
    texts(&mut row, collected.families(), collected, batch);
    for event in sent.events.iter().filter(|event| event.name == name::EVALUATION) {
        let (claimed, instead) = (event.time_unix_nano, (received_at, row.started_at));
        let about = About {
            trace_id: row.trace_id.clone(),
            span_id: row.span_id.clone(),
            response_id: row.response_id.clone(),
            at: times::optional("event", claimed, instead, &mut Marks::default()),
            origin: row.origin.clone(),
        };
        batch.scores.push(scores::score(&event.attributes, about));
    }
    row
}

fn is_content(event: &Event) -> bool {
    CONTENT_EVENTS.contains(&event.name.as_str())
}

fn columns(sent: &Sent, received_at: Timestamp, collected: &mut Collected<'_>) -> Span {
    let times = (sent.start_time_unix_nano, sent.end_time_unix_nano);
    let (started_at, duration_ns) = times::interval(times, received_at, &mut collected.marks);
    let mut row = Span {
        trace_id: values::id(&sent.trace_id, 16),
        span_id: values::id(&sent.span_id, 8),
        parent_span_id: values::id(&sent.parent_span_id, 8),
        name: collected.marks.fit("name", &sent.name, MAX_COLUMN),
        kind: kind(sent.kind).to_owned(),
        started_at,
        duration_ns,
        origin: collected.origin(),
        events: events(&sent.events, &mut collected.marks),
        links: links(&sent.links, &mut collected.marks),
        ..Span::default()
    };
    if let Some(status) = &sent.status {
        row.status = match StatusCode::try_from(status.code) {
            Ok(StatusCode::Ok) => "ok".to_owned(),
            Ok(StatusCode::Error) => "error".to_owned(),
            _ => String::new(),
        };
        row.status_message = collected.marks.fit("status_message", &status.message, MAX_VALUE);
    }
    if row.status.is_empty() && collected.text(Field::Level).eq_ignore_ascii_case("error") {
        row.status = "error".to_owned();
    }
    if row.status_message.is_empty() {
        row.status_message = collected.text(Field::StatusMessage);
    }
    let named = |collected: &Collected<'_>, field| collected.value(field).map(|(_, rank)| rank);
    row.operation = match named(collected, Field::Operation) {
        Some(0) => collected.text(Field::Operation),
        _ => aliases::operation(&collected.text(Field::Operation)).unwrap_or_default(),
    };
    row.provider = match named(collected, Field::Provider) {
        Some(0) => collected.text(Field::Provider),
        _ => aliases::provider(&collected.text(Field::Provider)),
    };
    let one_model = named(collected, Field::RequestModel).is_some_and(|rank| rank > 0);
    row.request_model = collected.text(Field::RequestModel);
    row.response_model = collected.text(Field::ResponseModel);
    if row.response_model.is_empty() && one_model {
        // These conventions name one model: the one that answered, once there is an answer. What
        // was asked for may stand among the parameters.
        let asked = collected.json(Field::Invocation);
        let asked = asked.as_ref().and_then(|parameters| parameters.get("model")?.as_str());
        let asked = asked.unwrap_or(&row.request_model).to_owned();
        row.response_model = std::mem::replace(&mut row.request_model, asked);
    }
    row.response_id = collected.text(Field::ResponseId);
    row.finish_reason = collected.first(Field::FinishReasons);
    row.conversation = collected.text(Field::Conversation);
    row.user = collected.text(Field::User);
    row.prompt = collected.text(Field::Prompt);
    row.snapshot = collected.text(Field::Snapshot);
    row.arm = collected.text(Field::Arm);
    row.outcome = collected.text(Field::Outcome);
    row.error_type = collected.text(Field::ErrorType);
    if row.error_type.is_empty() && row.status == "error" {
        row.error_type = exception(&sent.events).unwrap_or_default();
    }
    row
}

fn kind(kind: i32) -> &'static str {
    match SpanKind::try_from(kind) {
        Ok(SpanKind::Internal) => "internal",
        Ok(SpanKind::Server) => "server",
        Ok(SpanKind::Client) => "client",
        Ok(SpanKind::Producer) => "producer",
        Ok(SpanKind::Consumer) => "consumer",
        _ => "",
    }
}

/// The type of the last exception that the span tells of.
fn exception(events: &[Event]) -> Option<String> {
    let event = events.iter().rfind(|event| event.name == "exception")?;
    let pair = event.attributes.iter().find(|pair| pair.key == "exception.type")?;
    let text = values::text(pair.value.as_ref()?.value.as_ref()?);
    Some(limits::start(&text, MAX_COLUMN).to_owned())
}

fn usage(row: &mut Span, collected: &mut Collected<'_>) {
    row.input_tokens = collected.count(Field::InputTokens);
    row.output_tokens = collected.count(Field::OutputTokens);
    row.cache_read_tokens = collected.count(Field::CacheReadTokens);
    row.cache_creation_tokens = collected.count(Field::CacheCreationTokens);
    row.reasoning_tokens = collected.count(Field::ReasoningTokens);
    if let Some(details) = collected.json(Field::UsageDetails) {
        // Langfuse's numbers exclude one another: what is read from a cache is not in `input`.
        let sum = |words: &[&str]| {
            let fields = details.as_object()?.iter();
            let named = fields.filter(|(key, _)| words.iter().any(|word| key.contains(word)));
            named.filter_map(|(_, value)| value.as_i64()).reduce(i64::saturating_add)
        };
        row.input_tokens = row.input_tokens.or_else(|| sum(&["input", "prompt_tokens"]));
        row.output_tokens = row.output_tokens.or_else(|| sum(&["output", "completion_tokens"]));
        row.cache_read_tokens = row.cache_read_tokens.or_else(|| sum(&["cache_read", "cached"]));
        row.cache_creation_tokens =
            row.cache_creation_tokens.or_else(|| sum(&["cache_creation", "cache_write"]));
        row.reasoning_tokens = row.reasoning_tokens.or_else(|| sum(&["reasoning"]));
    }
    row.currency = collected.text(Field::Currency);
    row.cost = collected.number(Field::CostNanos).map(|nanos| nanos / 1e9);
    if row.cost.is_none() {
        let total =
            collected.json(Field::CostDetails).and_then(|costs| costs.get("total")?.as_f64());
        row.cost = collected.number(Field::Cost).or(total);
        // Those who do not say mean US dollars.
        if row.cost.is_some() && row.currency.is_empty() {
            row.currency = "USD".to_owned();
        }
    }
    row.time_to_first_chunk = collected.number(Field::TimeToFirstChunk);
    if row.time_to_first_chunk.is_none() {
        let at = collected.text(Field::FirstChunkAt);
        let at: Option<Timestamp> = at.trim_matches('"').parse().ok();
        let passed = at.map(|at| at.duration_since(row.started_at).as_secs_f64());
        row.time_to_first_chunk = passed.filter(|seconds| *seconds >= 0.0);
    }
}

/// What was said, and what grounded it.
fn texts(
    row: &mut Span,
    families: super::families::Families<'_>,
    mut collected: Collected<'_>,
    batch: &mut Batch,
) {
    if row.finish_reason.is_empty() {
        row.finish_reason = families.finish_reason().unwrap_or_default();
    }
    let subject = if row.user.is_empty() { &row.conversation } else { &row.user };
    let mut texts = Texts { subject: subject.clone(), at: row.started_at, batch };
    let input = texts.input(&mut collected, &families);
    (row.input, row.input_preview) = (input.digests, input.preview);
    let output = texts.output(&mut collected, &families);
    (row.output, row.output_preview) = (output.digests, output.preview);
    let (found, listed) = retrieval::edges(row, &mut collected, &families, &mut texts);
    row.output.extend(found.digests);
    if row.output_preview.is_empty() {
        row.output_preview = found.preview;
    }
    let mut more = collected.refer(&mut texts);
    more.extend(listed);
    row.attributes = collected.rest(more);
}

fn events(events: &[Event], marks: &mut Marks) -> String {
    let kept = events.iter().filter(|event| !is_content(event) && event.name != name::EVALUATION);
    let json = kept.map(|event| {
        json!({
            "name": limits::start(&event.name, MAX_COLUMN),
            "timestamp": times::written(event.time_unix_nano),
            "attributes": attributes(&event.attributes),
        })
    });
    list(json, "events", marks)
}

fn links(links: &[Link], marks: &mut Marks) -> String {
    let json = links.iter().map(|link| {
        json!({
            "trace_id": values::id(&link.trace_id, 16),
            "span_id": values::id(&link.span_id, 8),
            "attributes": attributes(&link.attributes),
        })
    });
    list(json, "links", marks)
}

/// The attributes of an event, each bounded.
fn attributes(pairs: &[KeyValue]) -> Json {
    let bounded = pairs.iter().map(|pair| {
        let value = pair.value.as_ref().map_or(Json::Null, values::any);
        let value = match value {
            Json::String(text) => limits::start(&text, MAX_VALUE).into(),
            other => other,
        };
        (pair.key.clone(), value)
    });
    Json::Object(bounded.collect())
}

/// As much of a list as is kept; nothing if it is empty.
fn list(items: impl Iterator<Item = Json>, what: &str, marks: &mut Marks) -> String {
    let (mut text, mut dropped) = (String::new(), 0_usize);
    for item in items {
        let item = item.to_string();
        if dropped > 0 || text.len() + item.len() > MAX_EVENTS {
            dropped += 1;
            continue;
        }
        text.push(if text.is_empty() { '[' } else { ',' });
        text.push_str(&item);
    }
    if dropped > 0 {
        marks.cut(format!("{dropped} {what}"));
    }
    if !text.is_empty() {
        text.push(']');
    }
    text
}
