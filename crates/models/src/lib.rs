//! A model version is something you can call.
//!
//! Every model, wherever it runs and whatever API it speaks, is called through [`Provider`] with
//! one form of request and answers with one form of event. What a request holds that cannot
//! cross from one dialect to another is refused by name; hints that change no answer are left behind.
//!
//! The nouns: [`ModelSpec`] (what a release pins), [`ProviderBinding`] (where it is reached, outside
//! the digest), [`ChatRequest`], [`Event`] and [`Answer`].
//!
//! ```text
//!  gateway's dialects ─► ChatRequest ─► Provider ─► Event, Event, … ─► gateway's dialects
//!                                        ├── openai      any server with Chat Completions
//!                                        ├── anthropic   Messages
//!                                        └── extractive  sentences of the passages, cited
//! ```
//!
//! Start reading at `chat.rs`, then `provider.rs`.
//!
//! ```
//! use models::{Answer, Event, FinishReason};
//!
//! let mut answer = Answer::default();
//! answer.push(&Event::TextDelta { text: "Thirty days.".into() });
//! answer.push(&Event::Finished(FinishReason::Stop));
//! assert_eq!(answer.text(), "Thirty days.");
//! ```

mod anthropic;
mod calls;
mod chat;
mod error;
mod extractive;
mod http;
mod openai;
mod provider;
mod spec;
mod sse;
mod tokens;

pub use chat::{
    Answer, Block, ChatRequest, Citation, Dialect, EmbedRequest, Embeddings, Event, FinishReason,
    Function, Image, Message, Part, Passage, RerankRequest, ResponseFormat, RestPlace, Role,
    Sampling, Started, Tool, ToolChoice, Usage, strings,
};
pub use error::{ProviderError, Refusal, RefusalKind, Stage};
pub use extractive::NO_ANSWER;
pub use openai::openai_messages;
pub use provider::{
    Bound, Call, EventStream, Provider, ProviderBinding, ProviderEntry, ProviderKind, Providers,
    Timers, TokenLimitField,
};
pub use spec::{
    AppConfig, CapturePolicy, ClientSystemMessage, EXTRACTIVE, ModelSpec, Parameters, RequestField,
};
pub use tokens::estimate;
