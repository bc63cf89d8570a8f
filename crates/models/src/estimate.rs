//! Token counts for when a provider gives none that can be believed.

use crate::chat::Usage;
use crate::{ChatRequest, Content, Message, Tool};

/// Tokens that a message takes beside its content.
const PER_MESSAGE: u64 = 4;
/// Tokens that an image is taken for; providers charge from 85 to a few thousand.
const PER_IMAGE: u64 = 800;

/// The tokens of a text of `bytes` bytes of UTF-8: one for four, rounded up. Close for English
/// with today's vocabularies, too high for scripts of three-byte characters with large
/// vocabularies; never 0 for a text that is not empty.
pub(crate) fn tokens_of_bytes(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// The tokens of a request.
pub(crate) fn input_tokens(request: &ChatRequest) -> u64 {
    let messages: u64 = request.messages.iter().map(message_tokens).sum();
    let tools: u64 = request.tools.iter().map(tool_tokens).sum();
    messages + tools
}

/// The usage of an answer of `output_bytes` bytes to `request`, marked as estimated.
pub(crate) fn usage(request: &ChatRequest, output_bytes: u64) -> Usage {
    Usage {
        input_tokens: input_tokens(request),
        output_tokens: tokens_of_bytes(output_bytes),
        estimated: true,
        ..Usage::default()
    }
}

fn message_tokens(message: &Message) -> u64 {
    let content: u64 = message.parts.iter().map(|part| content_tokens(&part.content)).sum();
    PER_MESSAGE + content
}

fn content_tokens(content: &Content) -> u64 {
    let bytes = match content {
        Content::Text(text) | Content::Refusal(text) => text.len(),
        Content::Reasoning(reasoning) => reasoning.text.len(),
        Content::ToolCall(call) => call.name.len() + call.arguments.len(),
        Content::ToolResult(result) => {
            return result.content.iter().map(|part| content_tokens(&part.content)).sum();
        }
        Content::Image(_) => return PER_IMAGE,
        Content::Other { value, .. } => value.to_string().len(),
    };
    tokens_of_bytes(bytes as u64)
}

fn tool_tokens(tool: &Tool) -> u64 {
    let bytes = match tool {
        Tool::Function { name, description, parameters, .. } => {
            let schema = parameters.as_ref().map_or(0, |schema| schema.to_string().len());
            name.len() + description.as_ref().map_or(0, String::len) + schema
        }
        Tool::Other { value, .. } => value.to_string().len(),
    };
    tokens_of_bytes(bytes as u64)
}
