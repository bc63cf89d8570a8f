//! Log records as rows.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use release::Timestamp;

use super::aliases::Field;
use super::collect::{Collected, Shared};
use super::limits::{MAX_COLUMN, MAX_LOG};
use super::messages::Texts;
use super::scores::{self, About};
use super::{times, values};
use crate::attributes as name;
use crate::rows::{Batch, LogEntry};

/// Adds the rows of a message. What tells a score becomes one, and no log entry.
pub fn rows(request: &ExportLogsServiceRequest, received_at: Timestamp, batch: &mut Batch) {
    for resource in &request.resource_logs {
        for scope in &resource.scope_logs {
            let shared = Shared::new(resource.resource.as_ref(), scope.scope.as_ref());
            for record in &scope.log_records {
                row(record, &shared, received_at, batch);
            }
        }
    }
}

fn row(record: &LogRecord, shared: &Shared<'_>, received_at: Timestamp, batch: &mut Batch) {
    let mut collected = Collected::new(record.attributes.iter(), shared);
    let marks = &mut collected.marks;
    let instead = (received_at, received_at);
    let observed_at = times::optional("observed", record.observed_time_unix_nano, instead, marks);
    let instead = (received_at, observed_at);
    let at = times::optional("time", record.time_unix_nano, instead, marks);
    let event = event(record).to_owned();
    let (trace_id, span_id) = (values::id(&record.trace_id, 16), values::id(&record.span_id, 8));
    let origin = collected.origin();
    if event == name::EVALUATION {
        let about = About { trace_id, span_id, response_id: String::new(), at, origin };
        batch.scores.push(scores::score(&record.attributes, about));
        return;
    }
    let body = record.body.as_ref().and_then(|body| body.value.as_ref());
    let body = body.map(values::text).unwrap_or_default();
    let body = collected.marks.fit("body", &body, MAX_LOG);
    let severity = collected.marks.fit("severity", &record.severity_text, MAX_COLUMN);
    let mut subject = text(&collected, Field::User);
    if subject.is_empty() {
        subject = text(&collected, Field::Conversation);
    }
    let more = collected.refer(&mut Texts { subject, at, batch });
    batch.logs.push(LogEntry {
        at,
        observed_at,
        severity,
        severity_number: record.severity_number.clamp(0, 24),
        body,
        event,
        trace_id,
        span_id,
        origin,
        attributes: collected.rest(more),
    });
}

/// The event's name, which older senders write as an attribute.
fn event(record: &LogRecord) -> &str {
    if !record.event_name.is_empty() {
        return super::limits::start(&record.event_name, MAX_COLUMN);
    }
    let named = record.attributes.iter().find(|pair| pair.key == "event.name");
    match named.and_then(|pair| pair.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(name)) => super::limits::start(name, MAX_COLUMN),
        _ => "",
    }
}

/// A field that stays an attribute too.
fn text(collected: &Collected<'_>, field: Field) -> String {
    collected.value(field).map(|(value, _)| values::text(value).into_owned()).unwrap_or_default()
}
