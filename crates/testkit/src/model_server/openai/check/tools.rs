//! Tools and structured output: what carries a JSON Schema.

use serde_json::{Value, json};

use super::sampling::flag;
use super::{Checked, invalid, invalid_type, missing};
use crate::model_server::answer::{Conversation, Format, Tool, ToolChoice};

pub(super) fn tools(body: &Value, asked: &mut Conversation) -> Checked<()> {
    match body.get("tools") {
        None | Some(Value::Null) => {}
        Some(Value::Array(tools)) if tools.is_empty() => {
            return invalid(
                "Invalid 'tools': empty array. Expected an array with minimum length 1, but got \
                 an empty array instead.",
                "tools",
                Some("empty_array"),
            );
        }
        Some(Value::Array(tools)) => {
            for (index, tool) in tools.iter().enumerate() {
                asked.tools.push(self::tool(tool, index)?);
            }
        }
        Some(other) => return invalid_type("tools", "an array of objects", other),
    }
    for name in ["tool_choice", "parallel_tool_calls"] {
        if asked.tools.is_empty() && body.get(name).is_some_and(|value| !value.is_null()) {
            let message = format!(
                "Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
            );
            return invalid(message, name, None);
        }
    }
    asked.parallel_tools = flag(body, "parallel_tool_calls", true)?;
    asked.tool_choice = tool_choice(body, &asked.tools)?;
    Ok(())
}

fn tool(tool: &Value, index: usize) -> Checked<Tool> {
    match tool.get("type").and_then(Value::as_str) {
        Some("function") => {}
        Some(other) => {
            return invalid(
                format!("Invalid value: '{other}'. Supported values are: 'function' and 'custom'."),
                &format!("tools[{index}].type"),
                Some("invalid_value"),
            );
        }
        None => return missing(&format!("tools[{index}].type")),
    }
    let Some(Value::String(name)) = tool.pointer("/function/name") else {
        return missing(&format!("tools[{index}].function.name"));
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(legal) {
        return invalid(
            format!(
                "Invalid 'tools[{index}].function.name': string does not match pattern. Expected \
                 a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
            ),
            &format!("tools[{index}].function.name"),
            Some("invalid_value"),
        );
    }
    let schema = match tool.pointer("/function/parameters") {
        None => json!({ "type": "object", "properties": {} }),
        Some(schema) if schema.get("type") == Some(&json!("object")) => schema.clone(),
        Some(_) => {
            return invalid(
                format!(
                    "Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \
                     \"object\"'."
                ),
                &format!("tools[{index}].function.parameters"),
                Some("invalid_function_parameters"),
            );
        }
    };
    if tool.pointer("/function/strict") == Some(&json!(true)) {
        strict_schema(&schema, &format!("function '{name}'"), "tools", 0)?;
    }
    Ok(Tool { name: name.clone(), schema })
}

fn tool_choice(body: &Value, tools: &[Tool]) -> Checked<ToolChoice> {
    match body.get("tool_choice") {
        None | Some(Value::Null) => Ok(ToolChoice::Auto),
        Some(Value::String(choice)) => match choice.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => invalid(
                format!(
                    "Invalid value: '{choice}'. Supported values are: 'none', 'auto', and \
                     'required'."
                ),
                "tool_choice",
                Some("invalid_value"),
            ),
        },
        Some(choice) => match choice.pointer("/function/name").and_then(Value::as_str) {
            Some(name) if tools.iter().any(|tool| tool.name == name) => {
                Ok(ToolChoice::Named(name.to_owned()))
            }
            Some(name) => invalid(
                format!(
                    "Invalid value for 'tool_choice': tool choice '{name}' not found in 'tools' \
                     parameter."
                ),
                "tool_choice",
                None,
            ),
            None => missing("tool_choice.function"),
        },
    }
}

pub(super) fn response_format(body: &Value, asked: &mut Conversation) -> Checked<()> {
    let format = match body.get("response_format") {
        None | Some(Value::Null) => return Ok(()),
        Some(format) => format,
    };
    asked.format = match format.get("type").and_then(Value::as_str) {
        Some("text") => Format::Text,
        Some("json_object") => Format::AnyObject,
        Some("json_schema") => Format::Schema(json_schema(format)?),
        Some(other) => {
            return invalid(
                format!(
                    "Invalid value: '{other}'. Supported values are: 'json_object', \
                     'json_schema', and 'text'."
                ),
                "response_format.type",
                Some("invalid_value"),
            );
        }
        None => return missing("response_format.type"),
    };
    let said = format!("{} {}", asked.system, asked.text).to_lowercase();
    if matches!(asked.format, Format::AnyObject) && !said.contains("json") {
        return invalid(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of \
             type 'json_object'.",
            "messages",
            None,
        );
    }
    Ok(())
}

fn json_schema(format: &Value) -> Checked<Value> {
    let Some(Value::String(name)) = format.pointer("/json_schema/name") else {
        return missing("response_format.json_schema.name");
    };
    let Some(schema) = format.pointer("/json_schema/schema") else {
        return missing("response_format.json_schema.schema");
    };
    if !schema.is_object() {
        return invalid_type("response_format.json_schema.schema", "an object", schema);
    }
    if format.pointer("/json_schema/strict") == Some(&json!(true)) {
        strict_schema(schema, &format!("response_format '{name}'"), "response_format", 0)?;
    }
    Ok(schema.clone())
}

/// What strict mode wants of every object in a schema.
fn strict_schema(schema: &Value, owner: &str, param: &str, depth: usize) -> Checked<()> {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        if schema.get("additionalProperties") != Some(&json!(false)) {
            let message = format!(
                "Invalid schema for {owner}: In context=(), 'additionalProperties' is required \
                 to be supplied and to be false."
            );
            return invalid(message, param, None);
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in properties.keys() {
            if !required.is_some_and(|names| names.iter().any(|one| one == name.as_str())) {
                let message = format!(
                    "Invalid schema for {owner}: In context=(), 'required' is required to be \
                     supplied and to be an array including every key in properties. Missing \
                     '{name}'."
                );
                return invalid(message, param, None);
            }
        }
        if depth < 32 {
            for property in properties.values() {
                strict_schema(property, owner, param, depth + 1)?;
            }
        }
    }
    match schema.get("items") {
        Some(items) if depth < 32 => strict_schema(items, owner, param, depth + 1),
        _ => Ok(()),
    }
}
