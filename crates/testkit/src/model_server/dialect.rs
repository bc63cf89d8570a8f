//! What the two dialects have in common: events of a stream and reasons to refuse.

use serde_json::Value;

use super::anthropic;
use super::openai;

/// Whose API a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    OpenAi,
    Anthropic,
}

impl Dialect {
    /// The provider's own error envelope.
    pub fn error(self, failure: Failure, number: u64) -> Value {
        match self {
            Self::OpenAi => openai::failure(failure),
            Self::Anthropic => anthropic::failure(failure, number),
        }
    }

    /// An error as an event of a stream.
    pub fn error_event(self, failure: Failure, number: u64) -> Event {
        let error = self.error(failure, number);
        match self {
            Self::OpenAi => openai::event(EventKind::Failure, &error),
            Self::Anthropic => anthropic::event(EventKind::Failure, "error", &error),
        }
    }

    /// An event of the dialect whose JSON breaks off.
    pub fn broken_event(self) -> Event {
        let frame = match self {
            Self::OpenAi => "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"brok\n\n",
            Self::Anthropic => {
                "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"ind\n\n"
            }
        };
        Event { kind: EventKind::Failure, frame: frame.as_bytes().to_vec() }
    }
}

/// One server-sent event.
pub(super) struct Event {
    pub kind: EventKind,
    /// With its empty line.
    pub frame: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventKind {
    /// Says who speaks or which block comes; no token yet.
    Start,
    Ping,
    /// One token of text or reasoning, or one fragment of a tool call's arguments.
    Token,
    /// The end of a block.
    Stop,
    /// The reason why it stopped.
    Finish,
    Usage,
    /// `[DONE]` or `message_stop`.
    Done,
    Failure,
}

/// A reason to refuse that both providers know, each in its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    RateLimit,
    /// A 429 that waiting does not cure.
    QuotaSpent,
    Server,
    Unavailable,
    Overloaded,
    ContextLength,
    ContentPolicy,
    WrongKey,
    Forbidden,
    PrefillRefused,
    /// The server's clock ran out.
    Timeout,
}

/// A request that the provider's validation turned down.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: u16,
    pub body: Value,
}
