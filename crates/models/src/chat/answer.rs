//! A whole answer: its events, folded.

use serde::{Deserialize, Serialize};

use super::{
    Citation, Content, Event, FinishReason, Message, Other, Part, Place, Reasoning, Role, ToolCall,
    Usage,
};

/// A whole answer, or as much of it as came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The provider's id for it.
    pub id: String,
    /// The model that the provider says answered.
    pub model: String,
    /// OpenAI's `system_fingerprint`.
    pub fingerprint: Option<String>,
    /// What was said, in order: text, refusal, reasoning, the calls that are complete, and blocks
    /// of kinds that only the provider's dialect knows.
    pub parts: Vec<Part>,
    /// What supports it.
    pub citations: Vec<Citation>,
    /// Fields that only the provider's dialect has a name for, in order.
    pub others: Vec<Other>,
    /// Provider's events that could not be read.
    pub dropped_events: u64,
    /// What it used; `None` while incomplete.
    pub usage: Option<Usage>,
    /// Why it ended; `None` while incomplete.
    pub reason: Option<FinishReason>,
    #[serde(skip)]
    open_calls: Vec<(u32, ToolCall)>,
    #[serde(skip)]
    reasoning_sealed: bool,
}

impl Answer {
    /// The answer that `events` make.
    pub fn fold(events: impl IntoIterator<Item = Event>) -> Self {
        let mut answer = Self::default();
        for event in events {
            answer.push(event);
        }
        answer
    }

    /// Adds one event.
    pub fn push(&mut self, event: Event) {
        match event {
            Event::Started { id, model, fingerprint, .. } => {
                self.id = id;
                self.model = model;
                self.fingerprint = fingerprint;
            }
            Event::TextDelta(text) => self.push_text(text),
            Event::RefusalDelta(text) => match self.last() {
                Some(Content::Refusal(refusal)) => refusal.push_str(&text),
                _ => self.parts.push(Content::Refusal(text).into()),
            },
            Event::ReasoningDelta(text) => {
                self.push_reasoning(|reasoning| reasoning.text.push_str(&text))
            }
            Event::ReasoningSignature(signature) => {
                self.push_reasoning(|reasoning| reasoning.signature = Some(signature));
                self.reasoning_sealed = true;
            }
            Event::ToolCallStarted { index, id, name } => {
                self.open_calls.push((index, ToolCall { id, name, arguments: String::new() }));
            }
            Event::ToolCallDelta { index, fragment } => {
                if let Some((_, call)) = self.open_calls.iter_mut().find(|(i, _)| *i == index) {
                    call.arguments.push_str(&fragment);
                }
            }
            Event::ToolCallFinished { index } => {
                if let Some(at) = self.open_calls.iter().position(|(i, _)| *i == index) {
                    let (_, call) = self.open_calls.remove(at);
                    self.parts.push(Content::ToolCall(call).into());
                }
            }
            Event::Citation(citation) => self.citations.push(citation),
            Event::Other(Other { dialect, place: Place::Block, value }) => {
                self.parts.push(Content::Other { dialect, value }.into());
            }
            Event::Other(other) => self.others.push(other),
            Event::Dropped { .. } => self.dropped_events += 1,
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Finished { reason } => self.reason = Some(reason),
        }
    }

    /// Whether the answer came to its end.
    pub fn is_complete(&self) -> bool {
        self.reason.is_some()
    }

    /// All its text.
    pub fn text(&self) -> String {
        self.parts
            .iter()
            .filter_map(|part| match &part.content {
                Content::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Its complete tool calls.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match &part.content {
            Content::ToolCall(call) => Some(call),
            _ => None,
        })
    }

    /// The answer as a turn of the conversation.
    pub fn message(&self) -> Message {
        Message::new(Role::Assistant, self.parts.clone())
    }

    fn push_text(&mut self, text: String) {
        match self.last() {
            Some(Content::Text(so_far)) => so_far.push_str(&text),
            _ => self.parts.push(Content::Text(text).into()),
        }
    }

    fn push_reasoning(&mut self, add: impl FnOnce(&mut Reasoning)) {
        if !self.reasoning_sealed
            && let Some(Content::Reasoning(reasoning)) = self.last()
        {
            return add(reasoning);
        }
        self.reasoning_sealed = false;
        let mut reasoning = Reasoning::default();
        add(&mut reasoning);
        self.parts.push(Content::Reasoning(reasoning).into());
    }

    fn last(&mut self) -> Option<&mut Content> {
        self.parts.last_mut().map(|part| &mut part.content)
    }
}
