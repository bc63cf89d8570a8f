//! The request path: a request is bound to one release, answered, and recorded before it counts.
//!
//! Clients speak OpenAI's or Anthropic's API, with an app's name as the model. Keys, routes and
//! releases are in memory: no step reads the database.
//!
//! The nouns: [`Gateway`], [`LiveReleases`], [`release::Binding`], [`monitoring::AnswerRecord`].
//!
//! ```text
//!  routes ─► dialect (parse) ─► answer: admit ─► bind (─► mirror) ─► ground ─► compose ─► screen
//!                                        ─► generate + screen ─► settle ─► record ─► client
//!                               dialect (encode) ◄── events ◄───────────────────────────┘
//! ```
//!
//! Start reading at `answer.rs`.

mod answer;
mod dialect;
mod error;
mod live;
mod routes;

use std::sync::Arc;

use cost::PriceBook;
use knowledge::QuestionVectors;
use models::Providers;
use monitoring::{TelemetryLog, TraceId};
use release::{Clock, EnvironmentName};
use security::KeyRing;
use tokio::sync::{Semaphore, watch};

pub use answer::{Asked, KnownVector, Settings, Trial, Tried};
pub use dialect::key;
pub use error::GatewayError;
pub use live::{Live, LiveReleases, Loaded, Loader};

/// Bounds on what one request may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most bytes of a request's body.
    pub body_bytes: usize,
    /// The most values in a request's JSON.
    pub json_values: usize,
    /// How many retrievals run at once.
    pub retrievals: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes: 32 << 20, json_values: 200_000, retrievals: 4 }
    }
}

/// What the gateway works with.
pub struct Parts {
    /// Who may ask.
    pub keys: Arc<KeyRing>,
    /// What is live.
    pub live: watch::Receiver<Arc<Live>>,
    /// Who answers.
    pub providers: Arc<Providers>,
    /// What answers cost.
    pub prices: PriceBook,
    /// Where answers are recorded.
    pub traces: TelemetryLog,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Makes trace ids.
    pub trace_ids: Box<dyn Fn() -> TraceId + Send + Sync>,
    /// The environment of an app that is called without one.
    pub environment: EnvironmentName,
    /// Bounds.
    pub limits: Limits,
}

/// The request path.
pub struct Gateway {
    parts: Parts,
    retrievals: Semaphore,
    copied_retrievals: Semaphore,
    copies: answer::Copies,
    questions: QuestionVectors,
    /// Whoever answers holds one end; none is left when nothing is under way.
    under_way: watch::Sender<()>,
}

impl Gateway {
    /// A gateway of these parts.
    pub fn new(parts: Parts) -> Arc<Self> {
        let retrievals = Semaphore::new(parts.limits.retrievals);
        Arc::new(Self {
            parts,
            retrievals,
            copied_retrievals: Semaphore::new(1),
            copies: answer::Copies::default(),
            questions: QuestionVectors::default(),
            under_way: watch::channel(()).0,
        })
    }

    /// Held by a request until it is recorded.
    fn under_way(&self) -> watch::Receiver<()> {
        self.under_way.subscribe()
    }

    /// Waits until every request is recorded, those too whose clients are gone.
    pub async fn idle(&self) {
        self.under_way.closed().await;
    }

    /// The routes below `/v1`.
    pub fn router(self: &Arc<Self>) -> axum::Router {
        routes::router(Arc::clone(self))
    }
}
