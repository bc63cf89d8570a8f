//! What rules look at: rows, by the names that SQL has for their columns, by attribute, and by what
//! a JSON body holds.

use std::borrow::Cow;
use std::cell::OnceCell;

use release::Timestamp;
use serde_json::Value;

use super::rule::{Field, Step};
use crate::rows::{Attribute, Batch, LogEntry, Origin, RetrievalEdge, Score, Span};

/// A row that a rule may count.
#[derive(Debug)]
pub enum Event<'a> {
    Span(&'a Span),
    Edge(&'a RetrievalEdge),
    Score(&'a Score),
    /// A log record, and its body as JSON once a rule asks for it.
    Log(&'a LogEntry, OnceCell<Option<Value>>),
}

/// All rows of a batch, but those of answers that nobody waited for.
pub fn events(batch: &Batch) -> impl Iterator<Item = Event<'_>> {
    let aside = batch.aside();
    let (of_span, of_edge) = (aside.clone(), aside);
    let spans = batch.spans.iter().filter(move |it| !of_span.contains(it.trace_id.as_str()));
    let edges = batch.retrieval_edges.iter();
    let edges = edges.filter(move |it| !of_edge.contains(it.trace_id.as_str()));
    let (spans, edges) = (spans.map(Event::Span), edges.map(Event::Edge));
    let scores = batch.scores.iter().map(Event::Score);
    let logs = batch.logs.iter().map(|log| Event::Log(log, OnceCell::new()));
    spans.chain(edges).chain(scores).chain(logs)
}

impl Event<'_> {
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Span(span) => span.started_at,
            Self::Edge(edge) => edge.at,
            Self::Score(score) => score.at,
            Self::Log(log, _) => log.at,
        }
    }

    /// The table it is in.
    pub const fn table(&self) -> &'static str {
        match self {
            Self::Span(_) => "spans",
            Self::Edge(_) => "retrieval_edges",
            Self::Score(_) => "scores",
            Self::Log(..) => "logs",
        }
    }

    /// The service it is of.
    pub fn service(&self) -> &str {
        &self.origin().service
    }

    fn origin(&self) -> &Origin {
        match self {
            Self::Span(span) => &span.origin,
            Self::Edge(edge) => &edge.origin,
            Self::Score(score) => &score.origin,
            Self::Log(log, _) => &log.origin,
        }
    }

    /// A field's value: of a JSON body, else an attribute, else a column. What is empty is not
    /// there.
    pub fn field(&self, field: &Field) -> Option<Cow<'_, str>> {
        if let Self::Log(log, body) = self {
            let body = body.get_or_init(|| {
                let json = log.body.trim_start().starts_with('{');
                json.then(|| serde_json::from_str(&log.body).ok()).flatten()
            });
            if let Some(found) = body.as_ref().and_then(|body| within(body, &field.steps)) {
                return Some(found);
            }
        }
        let attribute = self.attributes().iter().find(|(name, _)| *name == field.name);
        let attribute = attribute.map(|(_, value)| Cow::from(value.as_str()));
        attribute.or_else(|| self.column(&field.name)).filter(|value| !value.is_empty())
    }

    fn attributes(&self) -> &[Attribute] {
        match self {
            Self::Span(span) => &span.attributes,
            Self::Score(score) => &score.attributes,
            Self::Log(log, _) => &log.attributes,
            Self::Edge(_) => &[],
        }
    }

    fn column(&self, name: &str) -> Option<Cow<'_, str>> {
        let origin = self.origin();
        match name {
            "service" => return Some(Cow::from(&origin.service)),
            "app" => return Some(Cow::from(&origin.app)),
            "environment" => return Some(Cow::from(&origin.environment)),
            "release" => return Some(Cow::from(&origin.release)),
            _ => {}
        }
        match self {
            Self::Span(span) => span_column(span, name),
            Self::Edge(edge) => edge_column(edge, name),
            Self::Score(score) => score_column(score, name),
            Self::Log(log, _) => log_column(log, name),
        }
    }
}

fn span_column<'a>(span: &'a Span, name: &str) -> Option<Cow<'a, str>> {
    let text = match name {
        "trace_id" => &span.trace_id,
        "span_id" => &span.span_id,
        "parent_span_id" => &span.parent_span_id,
        "name" => &span.name,
        "kind" => &span.kind,
        "status" => &span.status,
        "status_message" => &span.status_message,
        "operation" => &span.operation,
        "provider" => &span.provider,
        "request_model" => &span.request_model,
        "response_model" => &span.response_model,
        "response_id" => &span.response_id,
        "finish_reason" => &span.finish_reason,
        "conversation" => &span.conversation,
        "user" => &span.user,
        "prompt" => &span.prompt,
        "snapshot" => &span.snapshot,
        "arm" => &span.arm,
        "outcome" => &span.outcome,
        "error_type" => &span.error_type,
        "currency" => &span.currency,
        _ => return span_number(span, name).map(Cow::from),
    };
    Some(Cow::from(text))
}

fn span_number(span: &Span, name: &str) -> Option<String> {
    let count = match name {
        "duration_ns" => Some(span.duration_ns),
        "input_tokens" => span.input_tokens,
        "output_tokens" => span.output_tokens,
        "cache_read_tokens" => span.cache_read_tokens,
        "cache_creation_tokens" => span.cache_creation_tokens,
        "reasoning_tokens" => span.reasoning_tokens,
        "cost" => return span.cost.map(|cost| cost.to_string()),
        "time_to_first_chunk" => return span.time_to_first_chunk.map(|time| time.to_string()),
        _ => None,
    };
    count.map(|count| count.to_string())
}

fn edge_column<'a>(edge: &'a RetrievalEdge, name: &str) -> Option<Cow<'a, str>> {
    let text = match name {
        "chunk" => &edge.chunk,
        "document" => &edge.document,
        "snapshot" => &edge.snapshot,
        "trace_id" => &edge.trace_id,
        "span_id" => &edge.span_id,
        "conversation" => &edge.conversation,
        "user" => &edge.user,
        "rank" => return Some(Cow::from(edge.rank.to_string())),
        "score" => return edge.score.map(|score| Cow::from(score.to_string())),
        _ => return None,
    };
    Some(Cow::from(text))
}

fn score_column<'a>(score: &'a Score, name: &str) -> Option<Cow<'a, str>> {
    let text = match name {
        "trace_id" => &score.trace_id,
        "span_id" => &score.span_id,
        "response_id" => &score.response_id,
        "name" => &score.name,
        "label" => &score.label,
        "explanation" => &score.explanation,
        "error_type" => &score.error_type,
        "value" => return score.value.map(|value| Cow::from(value.to_string())),
        _ => return None,
    };
    Some(Cow::from(text))
}

fn log_column<'a>(log: &'a LogEntry, name: &str) -> Option<Cow<'a, str>> {
    let text = match name {
        "severity" => &log.severity,
        "body" => &log.body,
        "event" => &log.event,
        "trace_id" => &log.trace_id,
        "span_id" => &log.span_id,
        "severity_number" => return Some(Cow::from(log.severity_number.to_string())),
        _ => return None,
    };
    Some(Cow::from(text))
}

/// What a path leads to, if that is no object, list or null.
fn within<'a>(body: &'a Value, steps: &[Step]) -> Option<Cow<'a, str>> {
    let mut at = body;
    for step in steps {
        at = match step {
            Step::Name(name) => at.get(name)?,
            Step::Index(index) => at.get(index)?,
        };
    }
    match at {
        Value::String(text) => Some(Cow::from(text)),
        Value::Number(number) => Some(Cow::from(number.to_string())),
        Value::Bool(flag) => Some(Cow::from(if *flag { "true" } else { "false" })),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
