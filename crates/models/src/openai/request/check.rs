//! What OpenAI's chat completions cannot express, found before anything is written.

use serde_json::Value;

use super::OWN;
use crate::openai::BORDER;
use crate::{Call, Content, Part, ProviderError, Tool};

/// Refuses `call` if part of it cannot be said in this dialect.
pub(super) fn call(call: &Call) -> Result<(), ProviderError> {
    let request = &*call.request;
    BORDER.check_extra(&call.model.parameters.extra, &OWN)?;
    BORDER.check_rest(&request.rest, String::new)?;
    // Events carry no number of a choice: one question has one answer.
    if request.rest.get("n").is_some_and(|n| !n.is_null() && n.as_u64() != Some(1)) {
        return Err(BORDER.refuse("n"));
    }
    for (at, tool) in request.tools.iter().enumerate() {
        let place = || format!("tools[{at}].");
        match tool {
            Tool::Function { rest, .. } => BORDER.check_rest(rest, place)?,
            Tool::Other { dialect, value } => {
                BORDER.check_other(*dialect, value, place)?;
                // A custom tool's call is free text, for which the event form has no name.
                if value.get("type").and_then(Value::as_str) == Some("custom") {
                    return Err(BORDER.refuse(format!("tools[{at}].type: custom")));
                }
            }
        }
    }
    for (at, message) in request.messages.iter().enumerate() {
        BORDER.check_rest(&message.rest, || format!("messages[{at}]."))?;
        parts(&message.parts, &|| format!("messages[{at}]."))?;
    }
    Ok(())
}

fn parts(parts: &[Part], place: &dyn Fn() -> String) -> Result<(), ProviderError> {
    for (at, part) in parts.iter().enumerate() {
        let here = || format!("{}content[{at}].", place());
        BORDER.check_rest(&part.rest, here)?;
        match &part.content {
            Content::Other { dialect, value } => BORDER.check_other(*dialect, value, here)?,
            Content::ToolResult(result) => {
                let image = |part: &Part| matches!(part.content, Content::Image(_));
                if result.content.iter().any(image) {
                    return Err(BORDER.refuse(format!("{}type: image in a tool result", here())));
                }
                self::parts(&result.content, &here)?;
            }
            _ => {}
        }
    }
    Ok(())
}
