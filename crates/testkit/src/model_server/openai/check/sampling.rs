//! The numbers and switches of a request.

use serde_json::Value;

use super::{Checked, invalid, invalid_type};
use crate::model_server::answer::Conversation;

pub(super) fn sampling(body: &Value, asked: &mut Conversation) -> Checked<()> {
    within(body, "temperature", 0.0, 2.0)?;
    within(body, "top_p", 0.0, 1.0)?;
    within(body, "frequency_penalty", -2.0, 2.0)?;
    within(body, "presence_penalty", -2.0, 2.0)?;
    let max_tokens = whole(body, "max_tokens", 1, u64::MAX)?;
    let max_completion_tokens = whole(body, "max_completion_tokens", 1, u64::MAX)?;
    if max_tokens.is_some() && max_completion_tokens.is_some() {
        return invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
            Some("invalid_parameter_combination"),
        );
    }
    asked.max_tokens = max_tokens.or(max_completion_tokens);
    asked.choices = whole(body, "n", 1, 128)?.unwrap_or(1);
    asked.stop_sequences = match body.get("stop") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) if many.iter().all(Value::is_string) => {
            if many.len() > 4 {
                return invalid(
                    format!(
                        "Invalid 'stop': array too long. Expected an array with maximum length 4, \
                         but got an array with length {} instead.",
                        many.len()
                    ),
                    "stop",
                    Some("array_above_max_length"),
                );
            }
            many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(other) => return invalid_type("stop", "one of a string or array of strings", other),
    };
    Ok(())
}

fn within(body: &Value, name: &str, least: f64, most: f64) -> Checked<()> {
    let value = match body.get(name) {
        None | Some(Value::Null) => return Ok(()),
        Some(value) => value,
    };
    let Some(number) = value.as_f64() else {
        return invalid_type(name, "a decimal", value);
    };
    let (side, sign, bound) = if number < least {
        ("below minimum", ">=", least)
    } else if number > most {
        ("above maximum", "<=", most)
    } else {
        return Ok(());
    };
    invalid(
        format!(
            "Invalid '{name}': decimal {side} value. Expected a value {sign} {bound}, but got \
             {number} instead."
        ),
        name,
        Some(if sign == ">=" { "decimal_below_min_value" } else { "decimal_above_max_value" }),
    )
}

pub(super) fn whole(body: &Value, name: &str, least: u64, most: u64) -> Checked<Option<u64>> {
    let value = match body.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    if !value.is_i64() && !value.is_u64() {
        return invalid_type(name, "an integer", value);
    }
    let number = value.as_u64().unwrap_or(0);
    if number < least {
        return invalid(
            format!(
                "Invalid '{name}': integer below minimum value. Expected a value >= {least}, but \
                 got {value} instead."
            ),
            name,
            Some("integer_below_min_value"),
        );
    }
    if number > most {
        return invalid(
            format!(
                "Invalid '{name}': integer above maximum value. Expected a value <= {most}, but \
                 got {value} instead."
            ),
            name,
            Some("integer_above_max_value"),
        );
    }
    Ok(Some(number))
}

pub(super) fn streaming(body: &Value, asked: &mut Conversation) -> Checked<()> {
    asked.stream = flag(body, "stream", false)?;
    match body.get("stream_options") {
        None | Some(Value::Null) => {}
        Some(_) if !asked.stream => {
            return invalid(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                "stream_options",
                None,
            );
        }
        Some(options) if options.is_object() => {
            asked.stream_usage = flag(options, "include_usage", false)?;
        }
        Some(other) => return invalid_type("stream_options", "an object", other),
    }
    Ok(())
}

pub(super) fn flag(body: &Value, name: &str, default: bool) -> Checked<bool> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => invalid_type(name, "a boolean", other),
    }
}
