//! The built-in model: it answers a question with the sentences of the passages that support an
//! answer best, word for word, each with its source. It needs no key, no network and no other
//! process, and the same question with the same passages has the same answer always.

mod rank;
mod sentences;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;

use crate::chat::Usage;
use crate::crossing::Border;
use crate::{
    Call, Citation, Dialect, EmbedCall, Embeddings, Event, EventStream, FinishReason, Passage,
    Provider, ProviderError, ResponseFormat, Span, ToolChoice, estimate,
};
use rank::Found;

const BORDER: Border = Border { dialect: Dialect::OpenAi, provider: Extractive::NAME };

/// How many sentences are quoted where the model's parameters do not say.
const SENTENCES: u32 = 3;

/// What is answered when no sentence supports an answer.
const NOTHING: &str = "I found nothing in the documents that answers this question.";

/// The built-in model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extractive;

impl Extractive {
    /// The name it always has.
    pub const NAME: &str = "extractive";
}

#[async_trait]
impl Provider for Extractive {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn chat(&self, call: Call) -> Result<EventStream, ProviderError> {
        check(&call)?;
        let question = call.request.last_user_text().unwrap_or_default();
        let most = call.model.parameters.sentences.unwrap_or(SENTENCES) as usize;
        let found = rank::best(&question, &call.passages, most);
        Ok(stream::iter(events(&call, &found).into_iter().map(Ok)).boxed())
    }

    async fn embed(&self, _: EmbedCall) -> Result<Embeddings, ProviderError> {
        Err(BORDER.refuse("embeddings"))
    }
}

/// Refuses what would be promised and not kept: tools that must be called, output in a schema.
/// Sampling parameters have nothing to act on and are accepted.
fn check(call: &Call) -> Result<(), ProviderError> {
    let request = &call.request;
    if matches!(request.tool_choice, Some(ToolChoice::Any | ToolChoice::Named(_))) {
        return Err(BORDER.refuse("tool_choice"));
    }
    if request.response_format.as_ref().is_some_and(ResponseFormat::is_json) {
        return Err(BORDER.refuse("response_format"));
    }
    Ok(())
}

/// The answer: each sentence as one delta with a marker `[n]`, and its citation after it. Numbers
/// count the cited passages in the order in which they appear.
fn events(call: &Call, found: &[Found<'_>]) -> Vec<Event> {
    let mut events = vec![Event::Started {
        id: format!("extractive-{}", answer_digest(call, found)),
        model: call.model.model.clone(),
        fingerprint: None,
        usage: None,
    }];
    let mut cited: Vec<&str> = Vec::new();
    let (mut chars, mut bytes) = (0, 0);
    for sentence in found {
        let passage = sentence.passage;
        let number = match cited.iter().position(|id| *id == passage.id) {
            Some(at) => at + 1,
            None => {
                cited.push(&passage.id);
                cited.len()
            }
        };
        let space = if chars == 0 { "" } else { " " };
        let delta = format!("{space}{} [{number}]", sentence.text);
        let start = chars + space.len() as u64;
        let end = start + sentence.text.chars().count() as u64;
        chars += delta.chars().count() as u64;
        bytes += delta.len() as u64;
        events.push(Event::TextDelta(delta));
        events.push(Event::Citation(citation(passage, sentence.text, Span { start, end })));
    }
    if found.is_empty() {
        bytes = NOTHING.len() as u64;
        events.push(Event::TextDelta(NOTHING.to_owned()));
    }
    events.push(Event::Usage(usage(call, bytes)));
    events.push(Event::Finished { reason: FinishReason::Stop });
    events
}

fn citation(passage: &Passage, text: &str, span: Span) -> Citation {
    Citation {
        passages: vec![passage.id.clone()],
        cited_text: text.to_owned(),
        span: Some(span),
        title: Some(passage.title.clone()),
        source: Some(passage.source.clone()),
        ..Citation::default()
    }
}

/// Counted here, hence estimated. The request holds the passages already if the prompt shows
/// them, so they are not counted again.
fn usage(call: &Call, output_bytes: u64) -> Usage {
    estimate::usage(&call.request, output_bytes)
}

/// Twelve hexadecimal digits that are the same for the same answer.
fn answer_digest(call: &Call, found: &[Found<'_>]) -> String {
    let question = call.request.last_user_text().unwrap_or_default();
    let texts = found.iter().flat_map(|f| [f.passage.id.as_bytes(), f.text.as_bytes()]);
    release::Digest::of_fields(std::iter::once(question.as_bytes()).chain(texts)).short()
}

#[cfg(test)]
mod tests;
