//! A model version is something you can call. This crate owns the one message-and-event form that
//! every API dialect and every provider translates to and from, and the providers themselves.
//!
//! Its nouns: [`ChatRequest`] (what is asked), [`Event`] (one piece of an answer as it comes),
//! [`Provider`] (something that answers), [`ModelSpec`] (the artifact that names a model and its
//! parameters), [`ProviderBinding`] (where a provider's name leads in one installation).
//!
//! ```text
//!  ModelSpec ─► name ─► Providers::resolve(tenant, environment, name) ─► dyn Provider + digest
//!                                                                          │ chat(Call)
//!  ChatRequest ──────────────── translated once, serialised once ─────────►│
//!       Started · TextDelta … ToolCall… Citation … Usage · Finished ◄──────┘ EventStream
//! ```
//!
//! A stream that ends without [`Event::Finished`] ended in an error; there is no third way.
//! What a provider cannot express is refused by name ([`ProviderError::Unsupported`]), and fields
//! we do not know travel unchanged to a provider that speaks the dialect they came in.
//!
//! Start reading at `chat.rs`, then `provider.rs`, then `openai.rs`.
//!
//! ```
//! use std::sync::Arc;
//!
//! use futures::TryStreamExt;
//! use models::{Answer, Call, ChatRequest, Message, ModelSpec, Passage, Providers, Role};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let providers = Providers::new([].into())?;
//! let (tenant, environment) = ("default".parse().unwrap(), "prod".parse().unwrap());
//! let (provider, _binding) = providers.resolve(&tenant, &environment, "extractive")?;
//!
//! let question = Message::of_text(Role::User, "How long do refunds take?");
//! let events = provider
//!     .chat(Call {
//!         model: Arc::new(ModelSpec::new("extractive", "extractive")),
//!         request: Arc::new(ChatRequest { messages: vec![question], ..Default::default() }),
//!         passages: Arc::new([Passage {
//!             id: "chunk-1".to_owned(),
//!             title: "Refunds".to_owned(),
//!             text: "Refunds take 5 working days.".to_owned(),
//!             source: "handbook/refunds.md".to_owned(),
//!         }]),
//!         deadline: None,
//!     })
//!     .await?;
//! let answer = Answer::fold(events.try_collect::<Vec<_>>().await?);
//! assert_eq!(answer.text(), "Refunds take 5 working days. [1]");
//! assert_eq!(answer.citations[0].passages, ["chunk-1"]);
//! # Ok::<(), models::ProviderError>(())
//! # }).unwrap();
//! ```

pub mod anthropic;
mod assemble;
mod binding;
pub mod chat;
mod config;
mod crossing;
mod error;
mod estimate;
pub mod extractive;
#[cfg(test)]
mod fixtures;
mod http;
pub mod openai;
mod provider;
mod refusal;
mod spec;
mod sse;
mod stream;

pub use binding::{
    BindingDigest, BindingOverride, ProviderBinding, ProviderKind, Providers, Timeouts,
};
pub use chat::{
    Answer, ChatRequest, Citation, Content, Dialect, Event, FinishReason, Image, ImageSource,
    Message, Other, Part, Place, Reasoning, ResponseFormat, Rest, Role, Sampling, Span, Tool,
    ToolCall, ToolChoice, ToolResult, Usage,
};
pub use config::{AppConfig, Capture, ClientSystemMessage, RequestField};
pub use error::{ErrorKind, ProviderError, Stage};
pub use provider::{Call, EmbedCall, Embeddings, EventStream, Passage, Provider};
pub use spec::{ModelSpec, Parameters};
