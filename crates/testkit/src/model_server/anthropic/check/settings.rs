//! The numbers and switches of a request, thinking and structured output.

use serde_json::Value;

use super::{Checked, invalid};
use crate::model_server::answer::{Conversation, Format};

pub(super) fn settings(body: &Value, asked: &mut Conversation) -> Checked<()> {
    for name in ["temperature", "top_p"] {
        match body.get(name) {
            None => {}
            Some(value) => match value.as_f64() {
                Some(number) if (0.0..=1.0).contains(&number) => {}
                Some(_) => return invalid(format!("{name}: range: 0..1")),
                None => return invalid(format!("{name}: Input should be a valid number")),
            },
        }
    }
    if body.get("top_k").is_some_and(|value| !value.is_u64()) {
        return invalid("top_k: Input should be a valid integer");
    }
    asked.stream = match body.get("stream") {
        None => false,
        Some(Value::Bool(stream)) => *stream,
        Some(_) => return invalid("stream: Input should be a valid boolean"),
    };
    asked.stop_sequences = match body.get("stop_sequences") {
        None => Vec::new(),
        Some(Value::Array(many)) if many.iter().all(Value::is_string) => {
            many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(_) => return invalid("stop_sequences: Input should be a valid list"),
    };
    if asked.stop_sequences.iter().any(|sequence| sequence.trim().is_empty()) {
        return invalid("stop_sequences: each stop sequence must contain non-whitespace");
    }
    thinking(body, asked)?;
    output_format(body, asked)
}

fn thinking(body: &Value, asked: &mut Conversation) -> Checked<()> {
    let Some(thinking) = body.get("thinking") else { return Ok(()) };
    match thinking.get("type").and_then(Value::as_str) {
        Some("disabled") => Ok(()),
        Some("adaptive") => {
            asked.thinking = true;
            Ok(())
        }
        Some("enabled") => {
            let Some(budget) = thinking.get("budget_tokens").and_then(Value::as_u64) else {
                return invalid("thinking.enabled.budget_tokens: Field required");
            };
            if budget < 1024 {
                return invalid(
                    "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
                );
            }
            if asked.max_tokens.is_some_and(|max| max <= budget) {
                return invalid("`max_tokens` must be greater than `thinking.budget_tokens`.");
            }
            asked.thinking = true;
            Ok(())
        }
        _ => invalid(
            "thinking: Input tag found using 'type' does not match any of the expected tags: \
             'adaptive', 'disabled', 'enabled'",
        ),
    }
}

/// The format stands in `output_config`, or at the top level in the older beta.
fn output_format(body: &Value, asked: &mut Conversation) -> Checked<()> {
    let format = body.pointer("/output_config/format").or_else(|| body.get("output_format"));
    let Some(format) = format.filter(|format| !format.is_null()) else { return Ok(()) };
    if format.get("type").and_then(Value::as_str) != Some("json_schema") {
        return invalid("output_format.type: Input should be 'json_schema'");
    }
    match format.get("schema") {
        Some(schema) if schema.is_object() => {
            asked.format = Format::Schema(schema.clone());
            Ok(())
        }
        Some(_) => invalid("output_format.schema: Input should be a valid dictionary"),
        None => invalid("output_format.schema: Field required"),
    }
}
