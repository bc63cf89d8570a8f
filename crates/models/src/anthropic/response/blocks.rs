//! The content blocks of a message, open and closed.

use serde_json::{Value, json};

use super::wire::Delta;
use crate::assemble::Assembler;
use crate::{Citation, Dialect, Other, Place, ProviderError, Span};

/// The blocks that are open, by their index.
#[derive(Debug, Default)]
pub(super) struct Blocks(Vec<(u32, Block)>);

#[derive(Debug)]
enum Block {
    /// Text, from the given character of the answer on, with its citations so far.
    Text { start: u64, citations: Vec<Value> },
    /// Thinking.
    Thinking,
    /// A call, by our index.
    Call(u32),
    /// A kind only this dialect knows, kept whole.
    Other { block: Value, input: String },
}

impl Blocks {
    /// Whether a tool call is open.
    pub(super) fn is_in_call(&self) -> bool {
        self.0.iter().any(|(_, block)| matches!(block, Block::Call(_)))
    }

    /// A block begins.
    pub(super) fn start(
        &mut self,
        index: u32,
        mut block: Value,
        to: &mut Assembler,
    ) -> Result<(), ProviderError> {
        let open = match block.get("type").and_then(Value::as_str).unwrap_or_default() {
            "text" => {
                let start = to.text_chars();
                to.text(take_text(&mut block, "text"));
                let citations = block.get_mut("citations").map(Value::take);
                let citations = citations.and_then(|citations| match citations {
                    Value::Array(citations) => Some(citations),
                    _ => None,
                });
                Block::Text { start, citations: citations.unwrap_or_default() }
            }
            "thinking" => {
                to.reasoning(take_text(&mut block, "thinking"));
                let signature = take_text(&mut block, "signature");
                if !signature.is_empty() {
                    to.signature(signature);
                }
                Block::Thinking
            }
            "tool_use" => {
                let (id, name) = (take_text(&mut block, "id"), take_text(&mut block, "name"));
                if name.is_empty() {
                    let what = "a tool call has no name".to_owned();
                    return Err(ProviderError::Protocol { what });
                }
                let call = to.call_started(id, name)?;
                // In a stream the input is empty here and comes in pieces.
                match block.get_mut("input").map(Value::take) {
                    None | Some(Value::Null) => {}
                    Some(Value::Object(input)) if input.is_empty() => {}
                    Some(input @ Value::Object(_)) => to.call_delta(call, input.to_string())?,
                    Some(_) => {
                        let what = "the input of a tool call is no JSON object".to_owned();
                        return Err(ProviderError::Protocol { what });
                    }
                }
                Block::Call(call)
            }
            _ => Block::Other { block, input: String::new() },
        };
        self.0.push((index, open));
        Ok(())
    }

    /// A block gains something.
    pub(super) fn delta(
        &mut self,
        index: u32,
        delta: Delta,
        to: &mut Assembler,
    ) -> Result<(), ProviderError> {
        let block = self.0.iter_mut().find(|(open, _)| *open == index).map(|(_, block)| block);
        match block {
            Some(Block::Text { citations, .. }) => {
                to.text(delta.text.unwrap_or_default());
                citations.extend(delta.citation);
            }
            Some(Block::Thinking) => {
                to.reasoning(delta.thinking.unwrap_or_default());
                if let Some(signature) = delta.signature {
                    to.signature(signature);
                }
            }
            Some(Block::Call(call)) => {
                to.call_delta(*call, delta.partial_json.unwrap_or_default())?;
            }
            Some(Block::Other { input, .. }) => {
                input.push_str(&delta.partial_json.unwrap_or_default());
            }
            None if delta.partial_json.is_some() => {
                let what = "a piece of a tool call came without the call's beginning".to_owned();
                return Err(ProviderError::Protocol { what });
            }
            // The beginning was in an event that could not be read; its words are not lost too.
            None => to.text(delta.text.unwrap_or_default()),
        }
        Ok(())
    }

    /// A block is complete.
    pub(super) fn stop(&mut self, index: u32, to: &mut Assembler) -> Result<(), ProviderError> {
        let Some(at) = self.0.iter().position(|(open, _)| *open == index) else { return Ok(()) };
        match self.0.remove(at).1 {
            Block::Text { start, citations } => {
                let span = Span { start, end: to.text_chars() };
                for original in citations {
                    to.citation(citation(original, span));
                }
            }
            Block::Call(call) => to.call_finished(call)?,
            Block::Thinking => {}
            Block::Other { mut block, input } => {
                if !input.is_empty() {
                    block["input"] = serde_json::from_str(&input).unwrap_or_else(|_| json!(input));
                }
                let dialect = Dialect::Anthropic;
                to.other(Other { dialect, place: Place::Block, value: block });
            }
        }
        Ok(())
    }

    /// A block of an answer that came whole.
    pub(super) fn whole(&mut self, block: Value, to: &mut Assembler) -> Result<(), ProviderError> {
        self.start(0, block, to)?;
        self.stop(0, to)
    }
}

fn citation(original: Value, span: Span) -> Citation {
    let text = |field: &str| original.get(field).and_then(Value::as_str).map(str::to_owned);
    Citation {
        passages: Vec::new(),
        cited_text: text("cited_text").unwrap_or_default(),
        span: Some(span),
        title: text("document_title").or_else(|| text("title")),
        source: text("source"),
        url: text("url"),
        original: Some(Box::new((Dialect::Anthropic, original))),
    }
}

fn take_text(block: &mut Value, field: &str) -> String {
    match block.get_mut(field).map(Value::take) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    }
}
