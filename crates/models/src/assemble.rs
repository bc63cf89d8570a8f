//! What every provider's answer goes through: the order of events is enforced, tool calls are
//! checked, usage is believed or counted.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::de::IgnoredAny;

use crate::chat::Usage;
use crate::{
    ChatRequest, Citation, Event, FinishReason, Other, ProviderError, ResponseFormat, estimate,
};

/// Builds the events of one answer from what a provider's decoder reads.
#[derive(Debug)]
pub(crate) struct Assembler {
    request: Arc<ChatRequest>,
    out: VecDeque<Event>,
    started: bool,
    content: bool,
    calls: Vec<OpenCall>,
    text_chars: u64,
    output_bytes: u64,
    usage: Option<Usage>,
    reason: Option<FinishReason>,
    finished: bool,
}

#[derive(Debug)]
struct OpenCall {
    arguments: String,
    finished: bool,
}

impl Assembler {
    pub(crate) fn new(request: Arc<ChatRequest>) -> Self {
        Self {
            request,
            out: VecDeque::new(),
            started: false,
            content: false,
            calls: Vec::new(),
            text_chars: 0,
            output_bytes: 0,
            usage: None,
            reason: None,
            finished: false,
        }
    }

    /// The next event that is ready.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.out.pop_front()
    }

    /// Whether an event is ready.
    pub(crate) fn is_ready(&self) -> bool {
        !self.out.is_empty()
    }

    /// Whether the model has said anything yet.
    pub(crate) fn has_content(&self) -> bool {
        self.content
    }

    /// Whether the answer's beginning was read.
    pub(crate) fn has_started(&self) -> bool {
        self.started
    }

    /// Whether the reason for the end is known, so that only an epilogue can follow.
    pub(crate) fn has_reason(&self) -> bool {
        self.reason.is_some()
    }

    /// How many characters of text have come.
    pub(crate) fn text_chars(&self) -> u64 {
        self.text_chars
    }

    /// The answer begins; later calls are ignored.
    pub(crate) fn start(&mut self, id: String, model: String, fingerprint: Option<String>) {
        if !std::mem::replace(&mut self.started, true) {
            let usage = self.usage;
            self.out.push_back(Event::Started { id, model, fingerprint, usage });
        }
    }

    pub(crate) fn text(&mut self, text: String) {
        if !text.is_empty() {
            self.text_chars += text.chars().count() as u64;
            self.content(text.len());
            self.out.push_back(Event::TextDelta(text));
        }
    }

    pub(crate) fn reasoning(&mut self, text: String) {
        if !text.is_empty() {
            self.content(text.len());
            self.out.push_back(Event::ReasoningDelta(text));
        }
    }

    pub(crate) fn signature(&mut self, signature: String) {
        self.out.push_back(Event::ReasoningSignature(signature));
    }

    pub(crate) fn refusal(&mut self, text: String) {
        if !text.is_empty() {
            self.content(text.len());
            self.out.push_back(Event::RefusalDelta(text));
        }
    }

    pub(crate) fn citation(&mut self, citation: Citation) {
        self.out.push_back(Event::Citation(citation));
    }

    pub(crate) fn other(&mut self, other: Other) {
        self.out.push_back(Event::Other(other));
    }

    /// A call begins; its index counts from 0. The one before it is over: one call at a time is
    /// open, so that every dialect can tell them one after the other.
    pub(crate) fn call_started(&mut self, id: String, name: String) -> Result<u32, ProviderError> {
        if let Some(last) = self.calls.len().checked_sub(1) {
            self.finish_call(last, true)?;
        }
        let index = self.calls.len() as u32;
        self.content(name.len());
        self.calls.push(OpenCall { arguments: String::new(), finished: false });
        self.out.push_back(Event::ToolCallStarted { index, id, name });
        Ok(index)
    }

    /// More of the arguments of the call at `index`, which [`Self::call_started`] gave.
    pub(crate) fn call_delta(&mut self, index: u32, fragment: String) -> Result<(), ProviderError> {
        if fragment.is_empty() {
            return Ok(());
        }
        match self.calls.get_mut(index as usize) {
            Some(call) if !call.finished => call.arguments.push_str(&fragment),
            _ => {
                let what = "a tool call goes on after its end".to_owned();
                return Err(ProviderError::Protocol { what });
            }
        }
        self.content(fragment.len());
        self.out.push_back(Event::ToolCallDelta { index, fragment });
        Ok(())
    }

    /// The provider says that the call at `index` is complete.
    pub(crate) fn call_finished(&mut self, index: u32) -> Result<(), ProviderError> {
        // Whether a call that does not parse was cut short or is wrong shows with the reason.
        self.finish_call(index as usize, false)
    }

    pub(crate) fn usage(&mut self, usage: Usage) {
        self.usage = Some(usage);
    }

    pub(crate) fn reason(&mut self, reason: FinishReason) {
        self.reason = Some(reason);
    }

    /// An event could not be read. It is left out and counted where its loss is a loss of words;
    /// where it would damage a tool call or an output that must be JSON, the answer fails.
    pub(crate) fn broken(&mut self, raw: &[u8]) -> Result<(), ProviderError> {
        let in_call = self.calls.iter().any(|call| !call.finished);
        let json = self.request.response_format.as_ref().is_some_and(ResponseFormat::is_json);
        let holds = |needle: &[u8]| raw.windows(needle.len()).any(|window| window == needle);
        let of_call = holds(b"tool_calls") || holds(b"tool_use") || holds(b"partial_json");
        if in_call || json || of_call {
            let place = if json { "an answer that must be JSON" } else { "a tool call" };
            let what = format!("an event inside {place} is broken");
            return Err(ProviderError::Protocol { what });
        }
        let reason = format!("an event of {} bytes is no JSON of the expected form", raw.len());
        self.out.push_back(Event::Dropped { reason });
        Ok(())
    }

    /// The answer is at its end: closes it, or says what is missing.
    pub(crate) fn finish(&mut self) -> Result<(), ProviderError> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        let Some(reason) = self.reason.take() else {
            let what = match (self.started, self.content) {
                (false, _) => "it ended before an answer began",
                (true, false) => "it ended before the first piece of content",
                (true, true) => "it ended without a finish reason",
            };
            return Err(ProviderError::Truncated { what });
        };
        let whole = matches!(reason, FinishReason::ToolCalls | FinishReason::Stop);
        for index in 0..self.calls.len() {
            self.finish_call(index, whole)?;
        }
        let usage = self.believed_usage();
        self.out.push_back(Event::Usage(usage));
        self.out.push_back(Event::Finished { reason });
        Ok(())
    }

    /// Completes the call at `index` if its arguments are whole. When they must be, since the
    /// answer says it is complete, half of them is an error.
    fn finish_call(&mut self, index: usize, must_be_whole: bool) -> Result<(), ProviderError> {
        let call = &mut self.calls[index];
        if call.finished {
            return Ok(());
        }
        let index = index as u32;
        if call.arguments.trim().is_empty() {
            if !must_be_whole {
                return Ok(());
            }
            self.out.push_back(Event::ToolCallDelta { index, fragment: "{}".to_owned() });
        } else if serde_json::from_str::<IgnoredAny>(&call.arguments).is_err() {
            return if must_be_whole {
                let what = "the arguments of a tool call are not valid JSON".to_owned();
                Err(ProviderError::Protocol { what })
            } else {
                Ok(())
            };
        }
        call.finished = true;
        self.out.push_back(Event::ToolCallFinished { index });
        Ok(())
    }

    /// The provider's usage where it can be true, else our own count, marked as such.
    fn believed_usage(&self) -> Usage {
        let counted = || estimate::usage(&self.request, self.output_bytes);
        match self.usage {
            Some(usage)
                if usage.is_plausible()
                    && (usage.input_tokens > 0 || self.request.messages.is_empty())
                    && (usage.output_tokens > 0 || self.output_bytes == 0) =>
            {
                usage
            }
            _ => counted(),
        }
    }

    fn content(&mut self, bytes: usize) {
        self.content = true;
        self.output_bytes += bytes as u64;
    }
}

#[cfg(test)]
mod tests;
