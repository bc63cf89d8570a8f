//! Tools and the choice among them.

use serde_json::{Value, json};

use super::{Checked, invalid};
use crate::model_server::answer::{Conversation, Tool, ToolChoice};

pub(super) fn tools(body: &Value, asked: &mut Conversation) -> Checked<()> {
    match body.get("tools") {
        None => {}
        Some(Value::Array(tools)) => {
            for (index, tool) in tools.iter().enumerate() {
                asked.tools.extend(self::tool(tool, index)?);
            }
        }
        Some(_) => return invalid("tools: Input should be a valid list"),
    }
    let Some(choice) = body.get("tool_choice") else { return Ok(()) };
    asked.parallel_tools = choice.get("disable_parallel_tool_use") != Some(&json!(true));
    let kind = choice.get("type").and_then(Value::as_str);
    if asked.tools.is_empty() && kind != Some("none") {
        return invalid("tool_choice: may only be specified while providing tools");
    }
    asked.tool_choice = match kind {
        Some("auto") => ToolChoice::Auto,
        Some("any") => ToolChoice::Required,
        Some("none") => ToolChoice::None,
        Some("tool") => match choice.get("name").and_then(Value::as_str) {
            Some(name) if asked.tools.iter().any(|tool| tool.name == name) => {
                ToolChoice::Named(name.to_owned())
            }
            Some(name) => {
                return invalid(format!("Tool '{name}' not found in provided tools"));
            }
            None => return invalid("tool_choice.tool.name: Field required"),
        },
        Some(other) => {
            return invalid(format!(
                "tool_choice: Input tag '{other}' found using 'type' does not match any of the \
                 expected tags: 'auto', 'any', 'tool', 'none'"
            ));
        }
        None => return invalid("tool_choice.type: Field required"),
    };
    Ok(())
}

/// A tool of the client's; `None` for one that the provider runs itself.
fn tool(tool: &Value, index: usize) -> Checked<Option<Tool>> {
    match tool.get("type").and_then(Value::as_str) {
        None | Some("custom") => {}
        // OpenAI's form, untranslated.
        Some("function") => {
            return invalid(format!(
                "tools.{index}: Input tag 'function' found using 'type' does not match any of \
                 the expected tags: 'custom'"
            ));
        }
        Some(_) => return Ok(None),
    }
    let Some(Value::String(name)) = tool.get("name") else {
        return invalid(format!("tools.{index}.custom.name: Field required"));
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 128 || !name.chars().all(legal) {
        return invalid(format!(
            "tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        ));
    }
    let Some(schema) = tool.get("input_schema") else {
        return invalid(format!("tools.{index}.custom.input_schema: Field required"));
    };
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => Ok(Some(Tool { name: name.clone(), schema: schema.clone() })),
        Some(_) => {
            invalid(format!("tools.{index}.custom.input_schema.type: Input should be 'object'"))
        }
        None => invalid(format!("tools.{index}.custom.input_schema.type: Field required")),
    }
}
