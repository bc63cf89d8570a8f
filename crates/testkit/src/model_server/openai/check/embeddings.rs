//! The embeddings request.

use serde_json::Value;

use super::sampling::whole;
use super::{Checked, invalid, missing, model, refusal};
use crate::model_server::embedding::DIMENSIONS;

/// A checked embeddings request.
pub(in crate::model_server) struct EmbeddingRequest {
    pub model: String,
    pub inputs: Vec<String>,
    pub dimensions: usize,
    pub base64: bool,
}

/// Reads an embeddings request.
pub(in crate::model_server) fn embedding_request(body: &Value) -> Checked<EmbeddingRequest> {
    let model = model(body)?;
    let base64 = match body.get("encoding_format") {
        None | Some(Value::Null) => false,
        Some(Value::String(format)) if format == "float" => false,
        Some(Value::String(format)) if format == "base64" => true,
        Some(other) => {
            return invalid(
                format!("Invalid value: {other}. Supported values are: 'float' and 'base64'."),
                "encoding_format",
                Some("invalid_value"),
            );
        }
    };
    let dimensions = whole(body, "dimensions", 1, 4096)?;
    let dimensions = dimensions.and_then(|one| usize::try_from(one).ok()).unwrap_or(DIMENSIONS);
    Ok(EmbeddingRequest { model, inputs: inputs(body)?, dimensions, base64 })
}

/// The texts; tokens count as words of digits.
fn inputs(body: &Value) -> Checked<Vec<String>> {
    let tokens = |tokens: &[Value]| {
        tokens
            .iter()
            .map(|token| token.as_u64().map(|id| id.to_string()))
            .collect::<Option<Vec<_>>>()
    };
    let malformed = || {
        let message = "'input' must be a string, an array of strings, an array of tokens or an \
                       array of token arrays, and may not be empty.";
        refusal(400, message, Some("input"), None)
    };
    let many = match body.get("input") {
        None => return missing("input"),
        Some(Value::String(text)) if !text.is_empty() => return Ok(vec![text.clone()]),
        Some(Value::Array(many)) if (1..=2048).contains(&many.len()) => many,
        Some(_) => return Err(malformed()),
    };
    if many.iter().all(Value::is_u64) {
        return tokens(many).map(|ids| vec![ids.join(" ")]).ok_or_else(malformed);
    }
    let text = |one: &Value| match one {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(ids) if !ids.is_empty() => Some(tokens(ids)?.join(" ")),
        _ => None,
    };
    many.iter().map(text).collect::<Option<Vec<_>>>().ok_or_else(malformed)
}
