//! What tests and benchmarks stand on instead of the outside world: a model provider that
//! answers, misbehaves and keeps a log as told, and a clock that moves only when told.
//! It depends on no crate of the product, so every one of them can be tested with it.
//!
//! - [`ModelServer`](model_server::ModelServer): an OpenAI- and Anthropic-compatible provider on
//!   a raw socket. The *model name* of a request chooses what it does.
//! - [`Script`](model_server::Script): its speed, its time scale and where it logs.
//! - [`Attempt`](model_server::Attempt): one request as the provider saw it.
//! - [`Fault`](model_server::faults::Fault): one way to misbehave, a row of one table.
//! - [`ManualClock`](clock::ManualClock): the fake clock.
//!
//! ```text
//! socket ─► http (parse) ─► route ─► check ─► answer ─► dialect (render) ─► fault ─► reply
//!                             │        └─ the provider's own 400                      │
//!                             └──────────────► log ◄── when the client hung up ◄──────┘
//! ```
//!
//! Start reading at `model_server/route.rs`: from a parsed request to a planned reply.
//!
//! ```
//! use testkit::model_server::{ModelServer, Script};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let provider = ModelServer::start(Script::default()).await?;
//! let endpoint = provider.openai_url(); // "http://127.0.0.1:PORT/v1"
//! // …ask `endpoint` for the model `fault-s08`, then look at what it saw:
//! assert!(endpoint.ends_with("/v1"));
//! assert_eq!(provider.requests().len(), 0);
//! # Ok(()) })
//! # }
//! ```

pub mod clock;
pub mod model_server;
