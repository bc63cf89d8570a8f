//! From the answer of `POST /chat/completions`, whole or streamed, to the internal form.

mod wire;

use serde_json::{Map, Value};

use super::refusal;
use crate::assemble::Assembler;
use crate::chat::Usage;
use crate::http::Target;
use crate::stream::{Decoder, Progress};
use crate::{Citation, Dialect, FinishReason, Other, Place, ProviderError, Span};
use wire::{Answer, CallPiece, Choice, Message};

/// Reads one answer. A whole answer has the form of a stream's only chunk.
#[derive(Debug)]
pub(super) struct Reader {
    target: Target,
    /// Their number of each call, and ours.
    calls: Vec<(u32, u32)>,
    /// The answer's own fields as last seen.
    fields: Map<String, Value>,
    /// Those that came before the answer began.
    early: Map<String, Value>,
}

impl Reader {
    pub(super) fn new(target: &Target) -> Self {
        Self { target: target.clone(), calls: Vec::new(), fields: Map::new(), early: Map::new() }
    }

    fn answer(&mut self, mut answer: Answer<'_>, to: &mut Assembler) -> Result<(), ProviderError> {
        if let Some(error) = answer.error.filter(|error| !error.is_null()) {
            return Err(self.refused(&error));
        }
        if !to.has_started() {
            if answer.choices.is_empty() {
                // Azure first tells what its filter thinks of the question, without id or model.
                self.early.append(&mut answer.rest);
                return Ok(());
            }
            answer.rest.append(&mut self.early);
            let fingerprint = answer.system_fingerprint.and_then(wire::string);
            let id = answer.id.and_then(wire::string).unwrap_or_default();
            let model = answer.model.and_then(wire::string).unwrap_or_default();
            to.start(id, model, fingerprint);
        }
        if let Some(usage) = answer.usage.as_ref().and_then(usage) {
            to.usage(usage);
        }
        for choice in answer.choices {
            if choice.index.unwrap_or(0) != 0 {
                let what = "it holds a second choice, which was not asked for".to_owned();
                return Err(ProviderError::Protocol { what });
            }
            self.choice(choice, to)?;
        }
        self.answer_fields(answer.rest, to);
        Ok(())
    }

    fn choice(&mut self, choice: Choice, to: &mut Assembler) -> Result<(), ProviderError> {
        if let Some(message) = choice.delta {
            self.message(message, to)?;
        }
        other(Place::Choice, choice.rest, to);
        if let Some(reason) = choice.finish_reason {
            to.reason(FinishReason::from_openai(&reason));
        }
        Ok(())
    }

    fn message(&mut self, message: Message, to: &mut Assembler) -> Result<(), ProviderError> {
        if let Some(text) = message.reasoning_content.or(message.reasoning) {
            to.reasoning(text);
        }
        if let Some(text) = message.content {
            to.text(text);
        }
        if let Some(text) = message.refusal {
            to.refusal(text);
        }
        for (position, piece) in message.tool_calls.unwrap_or_default().into_iter().enumerate() {
            self.call(position as u32, piece, to)?;
        }
        for annotation in message.annotations.unwrap_or_default() {
            to.citation(citation(annotation));
        }
        other(Place::Message, message.rest, to);
        Ok(())
    }

    /// A piece of a call; the first piece with an index has its id and name.
    fn call(
        &mut self,
        position: u32,
        piece: CallPiece,
        to: &mut Assembler,
    ) -> Result<(), ProviderError> {
        let theirs = piece.index.unwrap_or(position);
        let function = piece.function.unwrap_or_default();
        let known = self.calls.iter().find(|(index, _)| *index == theirs).map(|(_, ours)| *ours);
        let ours = match (known, function.name) {
            (Some(ours), _) => ours,
            (None, Some(name)) if !name.is_empty() => {
                let id = piece.id.unwrap_or_else(|| format!("call_{theirs}"));
                let ours = to.call_started(id, name)?;
                self.calls.push((theirs, ours));
                ours
            }
            (None, _) => {
                let what = "a piece of a tool call came without the call's beginning".to_owned();
                return Err(ProviderError::Protocol { what });
            }
        };
        if let Some(fragment) = function.arguments {
            to.call_delta(ours, fragment)?;
        }
        Ok(())
    }

    /// Fields of the answer itself are repeated in every chunk; only news is passed on.
    fn answer_fields(&mut self, rest: Map<String, Value>, to: &mut Assembler) {
        let news: Map<String, Value> = rest
            .into_iter()
            .filter(|(field, value)| !value.is_null() && self.fields.get(field) != Some(value))
            .collect();
        for (field, value) in &news {
            self.fields.insert(field.clone(), value.clone());
        }
        other(Place::Answer, news, to);
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
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            // Some servers never send a finish reason; their terminator then stands for one.
            if !to.has_reason() && to.has_content() && !self.target.require_finish_reason {
                let called = !self.calls.is_empty();
                to.reason(if called { FinishReason::ToolCalls } else { FinishReason::Stop });
            }
            return Ok(Progress::Done);
        }
        match serde_json::from_slice::<Answer<'_>>(data) {
            Ok(answer) => self.answer(answer, to)?,
            Err(_) => to.broken(data)?,
        }
        Ok(Progress::More)
    }

    fn body(&mut self, body: &[u8], to: &mut Assembler) -> Result<(), ProviderError> {
        let answer: Answer<'_> = serde_json::from_slice(body).map_err(|e| {
            let what =
                format!("the answer is no chat completion: {}", crate::stream::json_fault(&e));
            ProviderError::Protocol { what }
        })?;
        if answer.error.is_none() && answer.choices.is_empty() {
            return Err(ProviderError::Protocol { what: "the answer holds no choice".to_owned() });
        }
        self.answer(answer, to)?;
        if !to.has_reason() && !self.target.require_finish_reason {
            let called = !self.calls.is_empty();
            to.reason(if called { FinishReason::ToolCalls } else { FinishReason::Stop });
        }
        Ok(())
    }
}

/// Usage as OpenAI reports it: totals that include their parts. `None` when it is unreadable.
pub(super) fn usage(value: &Value) -> Option<Usage> {
    let count = |path: &str| value.pointer(path).and_then(Value::as_u64);
    Some(Usage {
        input_tokens: count("/prompt_tokens")?,
        output_tokens: count("/completion_tokens").unwrap_or(0),
        cache_read_tokens: count("/prompt_tokens_details/cached_tokens").unwrap_or(0),
        cache_creation_tokens: count("/prompt_tokens_details/cache_write_tokens").unwrap_or(0),
        reasoning_tokens: count("/completion_tokens_details/reasoning_tokens").unwrap_or(0),
        estimated: false,
    })
}

fn citation(annotation: Value) -> Citation {
    let cited = annotation.get("url_citation").unwrap_or(&Value::Null);
    let text = |field: &str| cited.get(field).and_then(Value::as_str).map(str::to_owned);
    let number = |field: &str| cited.get(field).and_then(Value::as_u64);
    let span = number("start_index").zip(number("end_index"));
    Citation {
        span: span.map(|(start, end)| Span { start, end }),
        title: text("title"),
        url: text("url"),
        original: Some(Box::new((Dialect::OpenAi, annotation))),
        ..Citation::default()
    }
}

fn other(place: Place, mut fields: Map<String, Value>, to: &mut Assembler) {
    fields.retain(|_, value| !value.is_null());
    if !fields.is_empty() {
        to.other(Other { dialect: Dialect::OpenAi, place, value: Value::Object(fields) });
    }
}
