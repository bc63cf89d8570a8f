//! The way back to the client: events out, and whether anybody still listens.

use models::{Event, FinishReason};
use monitoring::TraceId;
use release::ReleaseDigest;
use tokio::sync::mpsc;

use crate::GatewayError;

/// How many pieces may wait for a slow client; beyond that, the model's answer waits too.
const BUFFER: usize = 64;

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
        self.out.send((self.bound, Out::Events(events))).await.map_err(|_| GatewayError::HungUp)
    }

    /// Waits until nobody listens any more.
    pub async fn gone(&self) {
        self.out.closed().await;
    }

    pub async fn finish(self, finish: FinishReason) {
        // Whoever asked may have gone; the answer is recorded all the same.
        let _gone = self.out.send((self.bound, Out::Finished(finish))).await;
    }

    pub async fn fail(self, error: GatewayError) {
        let _gone = self.out.send((self.bound, Out::Failed(error))).await;
    }
}
