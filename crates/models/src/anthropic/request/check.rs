//! What Anthropic's messages cannot express, found before anything is written.

use serde_json::value::RawValue;

use super::OWN;
use crate::anthropic::BORDER;
use crate::{
    Call, ChatRequest, Content, Image, Message, Part, ProviderError, ResponseFormat, Role, Tool,
};

/// Refuses `call` if part of it cannot be said in this dialect.
pub(super) fn call(call: &Call) -> Result<(), ProviderError> {
    let (request, given) = (&*call.request, &call.model.parameters);
    // `output_config` is merged, so that parts of it we have no name for can be set.
    let own: Vec<&str> = OWN.into_iter().filter(|field| *field != "output_config").collect();
    BORDER.check_extra(&given.extra, &own)?;
    BORDER.check_rest(&request.rest, String::new)?;
    if request.sampling.seed.is_some() {
        return Err(BORDER.refuse("seed"));
    }
    if given.seed.is_some() {
        return Err(BORDER.refuse("parameters.seed"));
    }
    if request.response_format == Some(ResponseFormat::JsonObject) {
        return Err(BORDER.refuse("response_format.type: json_object"));
    }
    if let Some(effort) = request.reasoning_effort.as_ref().or(given.reasoning_effort.as_ref())
        && effort == "minimal"
    {
        return Err(BORDER.refuse("reasoning_effort: minimal"));
    }
    for (at, tool) in request.tools.iter().enumerate() {
        let place = || format!("tools[{at}].");
        match tool {
            Tool::Function { rest, .. } => BORDER.check_rest(rest, place)?,
            Tool::Other { dialect, value } => BORDER.check_other(*dialect, value, place)?,
        }
    }
    messages(request)
}

fn messages(request: &ChatRequest) -> Result<(), ProviderError> {
    let mut begun = false;
    for (at, message) in request.messages.iter().enumerate() {
        match message.role {
            // The one system prompt comes first; moving a later instruction there would change
            // what it refers to.
            Role::System if begun => return Err(BORDER.refuse(format!("messages[{at}].role"))),
            Role::System => {}
            _ => begun = true,
        }
        check_message(message, at)?;
    }
    Ok(())
}

fn check_message(message: &Message, at: usize) -> Result<(), ProviderError> {
    BORDER.check_rest(&message.rest, || format!("messages[{at}]."))?;
    // A tool result's name repeats its call's; a speaker's name is part of what is said.
    if message.name.is_some() && message.role != Role::Tool {
        return Err(BORDER.refuse(format!("messages[{at}].name")));
    }
    parts(&message.parts, &|| format!("messages[{at}]."))
}

fn parts(parts: &[Part], place: &dyn Fn() -> String) -> Result<(), ProviderError> {
    for (at, part) in parts.iter().enumerate() {
        let here = || format!("{}content[{at}].", place());
        BORDER.check_rest(&part.rest, here)?;
        match &part.content {
            Content::Other { dialect, value } => BORDER.check_other(*dialect, value, here)?,
            Content::Image(Image { detail: Some(detail), .. }) if detail != "auto" => {
                return Err(BORDER.refuse(format!("{}image_url.detail", here())));
            }
            Content::ToolCall(call) if !is_object(&call.arguments) => {
                return Err(BORDER.refuse(format!("{}tool_calls.function.arguments", place())));
            }
            Content::ToolResult(result) => self::parts(&result.content, &here)?,
            _ => {}
        }
    }
    Ok(())
}

/// Whether a call's arguments are a JSON object, or left out.
fn is_object(arguments: &str) -> bool {
    arguments.trim().is_empty()
        || serde_json::from_str::<&RawValue>(arguments).is_ok_and(|raw| raw.get().starts_with('{'))
}
