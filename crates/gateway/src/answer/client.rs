//! The way back to the client: events out, and whether anybody still listens.

use std::time::Duration;

use models::{Event, FinishReason};
use monitoring::TraceId;
use release::ReleaseDigest;
use tokio::sync::mpsc;

use crate::GatewayError;

/// How many pieces may wait for a slow client; beyond that, the model's answer waits too.
const BUFFER: usize = 64;

/// How long a client may take nothing of what waits for it.
const STALL: Duration = Duration::from_secs(60);

/// What a request was bound to, for the response's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Responding {
    /// The trace.
    pub trace: TraceId,
    /// The release.
    pub release: ReleaseDigest,
}

/// What comes back for a request.
#[derive(Debug)]
pub enum Out {
    /// A piece of the answer: events that came together.
    Events(Vec<Event>),
    /// The answer is complete and recorded.
    Finished(FinishReason),
    /// There is no (whole) answer.
    Failed(GatewayError),
}

/// The sending end.
#[derive(Debug)]
pub struct Client {
    out: mpsc::Sender<(Option<Responding>, Out)>,
    bound: Option<Responding>,
}

/// The receiving end.
pub type Receiver = mpsc::Receiver<(Option<Responding>, Out)>;

impl Client {
    /// Both ends.
    pub fn pair() -> (Self, Receiver) {
        let (out, receiver) = mpsc::channel(BUFFER);
        (Self { out, bound: None }, receiver)
    }

    pub fn bound(&mut self, trace: TraceId, release: ReleaseDigest) {
        self.bound = Some(Responding { trace, release });
    }

    pub async fn send(&self, events: Vec<Event>) -> Result<(), GatewayError> {
        self.give(Out::Events(events)).await
    }

    /// Waits until nobody listens any more.
    pub async fn gone(&self) {
        self.out.closed().await;
    }

    pub async fn finish(self, finish: FinishReason) {
        // Whoever asked may have gone; the answer is recorded all the same.
        let _gone = self.give(Out::Finished(finish)).await;
    }

    pub async fn fail(self, error: GatewayError) {
        let _gone = self.give(Out::Failed(error)).await;
    }

    /// Whoever takes nothing for so long has as good as hung up: nothing is held for it any longer.
    async fn give(&self, out: Out) -> Result<(), GatewayError> {
        let sent = tokio::time::timeout(STALL, self.out.send((self.bound, out))).await;
        sent.map_err(|_| GatewayError::HungUp)?.map_err(|_| GatewayError::HungUp)
    }
}
