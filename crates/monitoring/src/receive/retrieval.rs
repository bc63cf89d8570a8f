//! Which passages grounded an answer.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use release::Digest;
use serde_json::Value as Json;

use super::aliases::Field;
use super::collect::Collected;
use super::families::Families;
use super::limits::{self, MAX_COLUMN};
use super::messages::{Said, Texts};
use super::values;
use crate::attributes as name;
use crate::rows::{Attribute, RetrievalEdge, Span};

/// Writes the edges of a span. Texts of passages are kept as what the span answered; a list without
/// texts stays an attribute, since it may say more than the edges do.
pub fn edges(
    span: &Span,
    collected: &mut Collected<'_>,
    families: &Families<'_>,
    texts: &mut Texts<'_>,
) -> (Said, Option<Attribute>) {
    let numbered = families.documents();
    let mut listed = None;
    let documents = if numbered.is_empty() {
        let Some(value) = collected.content(Field::Documents) else { return Default::default() };
        listed = Some(values::text(value));
        list(value)
    } else {
        collected.marks.alias();
        numbered
    };
    let mut said = Said::default();
    for (document, rank) in documents.iter().zip(1..) {
        let text = |field: &str| document.get(field).and_then(Json::as_str).unwrap_or_default();
        let content = text("content");
        let id = match (text("id"), content) {
            ("", "") => continue,
            // A passage without an id is named by what it says.
            ("", content) => Digest::of(content.as_bytes()).to_string(),
            (id, _) => limits::start(id, MAX_COLUMN).to_owned(),
        };
        let document_name = match text("document") {
            "" => source(document).unwrap_or_else(|| id.clone()),
            path => path.to_owned(),
        };
        if !content.is_empty() {
            if said.preview.is_empty() {
                said.preview = limits::preview(content);
            }
            said.digests.push(texts.keep("documents", content, collected));
        }
        texts.batch.retrieval_edges.push(RetrievalEdge {
            chunk: id,
            document: limits::start(&document_name, MAX_COLUMN).to_owned(),
            snapshot: span.snapshot.clone(),
            trace_id: span.trace_id.clone(),
            span_id: span.span_id.clone(),
            at: span.started_at,
            origin: span.origin.clone(),
            conversation: span.conversation.clone(),
            user: span.user.clone(),
            rank,
            score: document.get("score").and_then(number),
            start: document.get("start").and_then(Json::as_i64),
            end: document.get("end").and_then(Json::as_i64),
        });
    }
    // Of our own, the edges say all.
    let kept = listed.filter(|_| said.digests.is_empty() && !collected.own);
    (said, kept.map(|text| (name::RETRIEVAL_DOCUMENTS.to_owned(), text.into_owned())))
}

fn list(value: &Value) -> Vec<Json> {
    let json = match value {
        Value::StringValue(text) => serde_json::from_str(text).unwrap_or_default(),
        list => values::json(list),
    };
    match json {
        Json::Array(list) => list,
        _ => Vec::new(),
    }
}

/// The document that a passage's metadata names, by the words that frameworks use.
fn source(document: &Json) -> Option<String> {
    let metadata = match document.get("metadata")? {
        Json::String(text) => serde_json::from_str(text).ok()?,
        other => other.clone(),
    };
    let names = ["source", "file_path", "document_id", "doc_id", "url", "path"];
    names.iter().find_map(|name| metadata.get(name)?.as_str().map(str::to_owned))
}

fn number(json: &Json) -> Option<f64> {
    json.as_f64().or_else(|| json.as_str()?.parse().ok()).filter(|number| number.is_finite())
}
