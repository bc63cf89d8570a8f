//! A planned reply, and carrying it out on a socket while watching for the client to leave.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::attempt::{Departure, Ending};

/// What to do on the socket, step by step.
pub(super) struct Reply {
    /// The status in the head, if one is sent at all.
    pub status: Option<u16>,
    pub steps: Vec<Step>,
    pub then: Then,
}

pub(super) enum Step {
    Send(Vec<u8>),
    Pause(Duration),
    /// Sends the same bytes `times` times, with a pause before each.
    Repeat {
        bytes: Vec<u8>,
        times: usize,
        every: Duration,
    },
}

/// What happens to the connection after the last step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The answer is whole: the next request may come.
    KeepAlive,
    /// The answer is whole: close.
    Close,
    /// Break off with a FIN.
    Cut,
    /// Break off with a RST.
    Reset,
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Self { status: Some(status), steps: Vec::with_capacity(2), then: Then::KeepAlive }
    }

    pub fn without_head(then: Then) -> Self {
        Self { status: None, steps: Vec::new(), then }
    }

    /// Adds bytes, joined with what is sent just before.
    pub fn send(&mut self, bytes: &[u8]) {
        if let Some(Step::Send(last)) = self.steps.last_mut() {
            last.extend_from_slice(bytes);
        } else {
            self.steps.push(Step::Send(bytes.to_vec()));
        }
    }

    pub fn pause(&mut self, time: Duration) {
        if !time.is_zero() {
            self.steps.push(Step::Pause(time));
        }
    }

    /// A silence before everything else.
    pub fn delayed(mut self, time: Duration) -> Self {
        if !time.is_zero() {
            self.steps.insert(0, Step::Pause(time));
        }
        self
    }

    /// Carries it out. The connection itself is closed by the caller.
    pub async fn perform(self, stream: &mut TcpStream, since: Instant) -> Departure {
        let mut bytes_sent = 0;
        for step in self.steps {
            if perform_step(stream, step, &mut bytes_sent).await.is_err() {
                return Departure { ending: Ending::HungUp { after: since.elapsed() }, bytes_sent };
            }
        }
        let ending = match self.then {
            Then::KeepAlive | Then::Close => Ending::Sent,
            Then::Cut | Then::Reset => Ending::Cut,
        };
        Departure { ending, bytes_sent }
    }
}

struct ClientLeft;

async fn perform_step(
    stream: &mut TcpStream,
    step: Step,
    bytes_sent: &mut u64,
) -> Result<(), ClientLeft> {
    match step {
        Step::Send(bytes) => send(stream, &bytes, bytes_sent).await,
        Step::Pause(time) => pause(stream, time).await,
        Step::Repeat { bytes, times, every } => {
            for _ in 0..times {
                pause(stream, every).await?;
                send(stream, &bytes, bytes_sent).await?;
            }
            Ok(())
        }
    }
}

async fn send(stream: &mut TcpStream, bytes: &[u8], sent: &mut u64) -> Result<(), ClientLeft> {
    stream.write_all(bytes).await.map_err(|_broken| ClientLeft)?;
    *sent += bytes.len() as u64;
    Ok(())
}

async fn pause(stream: &TcpStream, time: Duration) -> Result<(), ClientLeft> {
    if time.is_zero() {
        return Ok(());
    }
    tokio::select! {
        biased;
        () = client_leaves(stream) => Err(ClientLeft),
        () = tokio::time::sleep(time) => Ok(()),
    }
}

/// Resolves when the peer has closed or reset. Once it has sent more instead (a pipelined
/// request), its leaving can no longer be told from here.
async fn client_leaves(stream: &TcpStream) {
    match stream.peek(&mut [0]).await {
        Ok(0) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}
