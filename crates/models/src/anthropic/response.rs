//! From the answer of `POST /v1/messages`, whole or streamed, to the internal form.

mod blocks;
mod wire;

use serde_json::{Map, Value};

use super::refusal;
use crate::assemble::Assembler;
use crate::chat::Usage;
use crate::http::Target;
use crate::stream::{Decoder, Progress};
use crate::{Dialect, FinishReason, Other, Place, ProviderError};
use blocks::Blocks;
use wire::{Frame, Kind};

/// Reads one answer.
#[derive(Debug)]
pub(super) struct Reader {
    target: Target,
    blocks: Blocks,
    /// The usage object so far: what `message_start` said, overlaid by `message_delta`.
    usage: Map<String, Value>,
}

impl Reader {
    pub(super) fn new(target: &Target) -> Self {
        Self { target: target.clone(), blocks: Blocks::default(), usage: Map::new() }
    }

    fn frame(&mut self, frame: Frame, to: &mut Assembler) -> Result<Progress, ProviderError> {
        match frame.kind {
            Kind::MessageStart => {
                let message = frame.message.unwrap_or_default();
                self.usage(message.get("usage"), to);
                start(&message, to);
            }
            Kind::ContentBlockStart => {
                let (index, block) = frame.index.zip(frame.content_block).ok_or_else(incomplete)?;
                self.blocks.start(index, block, to)?;
            }
            Kind::ContentBlockDelta => {
                let (index, delta) = frame.index.zip(frame.delta).ok_or_else(incomplete)?;
                self.blocks.delta(index, delta, to)?;
            }
            Kind::ContentBlockStop => {
                self.blocks.stop(frame.index.ok_or_else(incomplete)?, to)?;
            }
            Kind::MessageDelta => {
                self.usage(frame.usage.as_ref(), to);
                let delta = frame.delta.ok_or_else(incomplete)?;
                let details = delta.stop_details.map(|details| ("stop_details", details));
                let container = delta.container.map(|container| ("container", container));
                other([details, container].into_iter().flatten(), to);
                if let Some(reason) = delta.stop_reason {
                    let sequence = delta.stop_sequence.as_deref();
                    to.reason(FinishReason::from_anthropic(&reason, sequence));
                }
            }
            Kind::MessageStop => return Ok(Progress::Done),
            Kind::Error => return Err(self.refused(&frame.error.unwrap_or_default())),
            // New kinds of events may come at any time and are to be ignored.
            Kind::Ping | Kind::Unknown => {}
        }
        Ok(Progress::More)
    }

    /// Counts of Anthropic's: cached tokens are beside `input_tokens`, not in it.
    fn usage(&mut self, usage: Option<&Value>, to: &mut Assembler) {
        let Some(Value::Object(fields)) = usage else { return };
        for (field, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            self.usage.insert(field.clone(), value.clone());
        }
        let count = |field: &str| self.usage.get(field).and_then(Value::as_u64);
        let thinking = self.usage.get("output_tokens_details");
        let Some(uncached) = count("input_tokens") else { return };
        let cache_read_tokens = count("cache_read_input_tokens").unwrap_or(0);
        let cache_creation_tokens = count("cache_creation_input_tokens").unwrap_or(0);
        to.usage(Usage {
            input_tokens: uncached
                .saturating_add(cache_read_tokens)
                .saturating_add(cache_creation_tokens),
            output_tokens: count("output_tokens").unwrap_or(0),
            cache_read_tokens,
            cache_creation_tokens,
            reasoning_tokens: thinking
                .and_then(|details| details.get("thinking_tokens")?.as_u64())
                .unwrap_or(0),
            estimated: false,
        });
    }

    fn refused(&self, error: &Value) -> ProviderError {
        match refusal::of_value(error, None) {
            Some(refusal) => refusal.into_error(None, None, |text| self.target.quote(text)),
            None => {
                let what = "it reports an error without saying which".to_owned();
                ProviderError::Protocol { what }
            }
        }
    }
}

impl Decoder for Reader {
    fn event(&mut self, data: &[u8], to: &mut Assembler) -> Result<Progress, ProviderError> {
        match serde_json::from_slice::<Frame>(data) {
            Ok(frame) => self.frame(frame, to),
            Err(_) if self.blocks.is_in_call() => {
                let what = "an event inside a tool call is broken".to_owned();
                Err(ProviderError::Protocol { what })
            }
            Err(_) => to.broken(data).map(|()| Progress::More),
        }
    }

    fn body(&mut self, body: &[u8], to: &mut Assembler) -> Result<(), ProviderError> {
        let mut message: Value = serde_json::from_slice(body).map_err(|e| {
            let what = format!("the answer is no message: {}", crate::stream::json_fault(&e));
            ProviderError::Protocol { what }
        })?;
        if let Some(error) = message.get("error").filter(|error| !error.is_null()) {
            return Err(self.refused(error));
        }
        let content = message.get_mut("content").map(Value::take);
        let Some(Value::Array(content)) = content else {
            return Err(ProviderError::Protocol { what: "the answer holds no content".to_owned() });
        };
        self.usage(message.get("usage"), to);
        start(&message, to);
        for block in content {
            self.blocks.whole(block, to)?;
        }
        let details = ["stop_details", "container"]
            .into_iter()
            .filter_map(|field| Some((field, message.get(field)?.clone())));
        other(details, to);
        if let Some(reason) = message.get("stop_reason").and_then(Value::as_str) {
            let sequence = message.get("stop_sequence").and_then(Value::as_str);
            to.reason(FinishReason::from_anthropic(reason, sequence));
        }
        Ok(())
    }
}

fn start(message: &Value, to: &mut Assembler) {
    let text = |field: &str| message.get(field).and_then(Value::as_str).unwrap_or_default();
    to.start(text("id").to_owned(), text("model").to_owned(), None);
}

fn other(fields: impl Iterator<Item = (&'static str, Value)>, to: &mut Assembler) {
    let fields: Map<String, Value> = fields
        .filter(|(_, value)| !value.is_null())
        .map(|(field, value)| (field.to_owned(), value))
        .collect();
    if !fields.is_empty() {
        let value = Value::Object(fields);
        to.other(Other { dialect: Dialect::Anthropic, place: Place::Answer, value });
    }
}

fn incomplete() -> ProviderError {
    ProviderError::Protocol { what: "an event lacks its index or content".to_owned() }
}
