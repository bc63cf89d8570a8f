//! `POST /embeddings`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BORDER, refusal, response};
use crate::refusal::Refusal;
use crate::{EmbedCall, Embeddings, ProviderError, Usage, estimate};

/// The fields that the translation writes itself.
const OWN: [&str; 4] = ["model", "input", "dimensions", "encoding_format"];

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
    encoding_format: &'static str,
    #[serde(flatten)]
    extra: &'a serde_json::Map<String, Value>,
}

/// The body that asks `call`.
pub(super) fn write(call: &EmbedCall) -> Result<Vec<u8>, ProviderError> {
    let extra = &call.model.parameters.extra;
    BORDER.check_extra(extra, &OWN)?;
    let body = Body {
        model: &call.model.model,
        input: &call.inputs,
        dimensions: call.dimensions,
        encoding_format: "float",
        extra,
    };
    serde_json::to_vec(&body)
        .map_err(|e| ProviderError::Protocol { what: format!("the request is no JSON: {e}") })
}

/// Why a body holds no embeddings.
pub(super) enum Unreadable {
    Refused(Refusal),
    Protocol(String),
}

#[derive(Deserialize)]
struct Answer {
    model: Option<String>,
    #[serde(default)]
    data: Vec<Item>,
    usage: Option<Value>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

/// The embeddings in `body`, in the order of the inputs.
pub(super) fn read(body: &[u8], call: &EmbedCall) -> Result<Embeddings, Unreadable> {
    let wrong = |what: &str| Unreadable::Protocol(what.to_owned());
    let answer: Answer =
        serde_json::from_slice(body).map_err(|_| wrong("the answer holds no embeddings"))?;
    if let Some(refusal) = answer.error.as_ref().and_then(|e| refusal::of_value(e, None)) {
        return Err(Unreadable::Refused(refusal));
    }
    if answer.data.len() != call.inputs.len() {
        return Err(wrong("it holds another number of vectors than texts were sent"));
    }
    let mut vectors = vec![Vec::new(); call.inputs.len()];
    for item in answer.data {
        match vectors.get_mut(item.index) {
            Some(slot) if slot.is_empty() => *slot = item.embedding,
            _ => return Err(wrong("two vectors have one index, or an index is out of range")),
        }
    }
    let length = vectors.first().map_or(0, Vec::len);
    if vectors.iter().any(|v| v.is_empty() || v.len() != length) {
        return Err(wrong("its vectors differ in length or are empty"));
    }
    if vectors.iter().flatten().any(|x| !x.is_finite()) {
        return Err(wrong("a vector holds a number that is not finite"));
    }
    let counted = || Usage {
        input_tokens: call.inputs.iter().map(|t| estimate::tokens_of_bytes(t.len() as u64)).sum(),
        estimated: true,
        ..Usage::default()
    };
    let reported = answer.usage.as_ref().and_then(response::usage);
    let usage = reported.filter(|u| u.is_plausible() && u.input_tokens > 0);
    Ok(Embeddings {
        model: answer.model.unwrap_or_default(),
        vectors,
        usage: usage.unwrap_or_else(counted),
    })
}
