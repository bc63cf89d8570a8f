//! The scripted model server: a provider that does what the model name says.
//!
//! It speaks HTTP/1.1 by hand, because a web framework can neither reset a connection, nor fall
//! silent in the middle of a head, nor leave out a terminator.

mod answer;
mod anthropic;
mod attempt;
mod connection;
mod dialect;
mod embedding;
pub mod faults;
mod http;
mod openai;
mod reply;
mod route;
mod schema;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use answer::{ANSWER, MODELS};
pub use attempt::{Attempt, Ending};

use attempt::Log;
use faults::FaultStates;

/// How the server behaves apart from what a model name asks for.
#[derive(Clone, Debug)]
pub struct Script {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Silence before every answer. It is not scaled by `time_scale`.
    pub latency: Duration,
    /// Tokens of a stream per second, each then written on its own. `None`: no pauses, and the
    /// whole stream leaves in one write.
    pub tokens_per_second: Option<f64>,
    /// Multiplies every wait of a fault and of the model `slow`, so that a test need not sit
    /// through 120 s of silence. It does not change what headers say (`Retry-After`).
    pub time_scale: f64,
    /// How many attempts [`ModelServer::requests`] remembers, the latest ones; 0 keeps none.
    pub kept_attempts: usize,
    /// A file that gets one JSON line per finished attempt, appended; credentials are masked.
    pub log: Option<PathBuf>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            port: 0,
            latency: Duration::ZERO,
            tokens_per_second: None,
            time_scale: 1.0,
            kept_attempts: 10_000,
            log: None,
        }
    }
}

impl Script {
    /// `wait` under this script's time scale.
    fn scaled(&self, wait: Duration) -> Duration {
        Duration::try_from_secs_f64(wait.as_secs_f64() * self.time_scale).unwrap_or(Duration::MAX)
    }

    fn check(&self) -> io::Result<()> {
        let invalid = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        if !(0.0..=1_000.0).contains(&self.time_scale) {
            return invalid("`time_scale` must lie between 0 and 1000");
        }
        if self.tokens_per_second.is_some_and(|rate| !(0.001..=1e6).contains(&rate)) {
            return invalid("`tokens_per_second` must lie between 0.001 and 1000000");
        }
        Ok(())
    }
}

/// What all connections of one server share.
struct Shared {
    script: Script,
    log: Log,
    faults: FaultStates,
}

/// A running scripted provider. Dropping it stops it.
pub struct ModelServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    accepting: Option<tokio::task::JoinHandle<()>>,
}

impl ModelServer {
    /// Binds 127.0.0.1 and serves on a task of the current tokio runtime.
    ///
    /// # Errors
    /// When the script is out of range, the port is taken or the log file cannot be opened.
    pub async fn start(script: Script) -> io::Result<Self> {
        script.check()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, script.port)).await?;
        let address = listener.local_addr()?;
        let log = Log::open(script.kept_attempts, script.log.as_deref())?;
        let shared = Arc::new(Shared { script, log, faults: FaultStates::default() });
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), stopped));
        Ok(Self { address, shared, stop, accepting: Some(accepting) })
    }

    /// `http://127.0.0.1:PORT`: the base that Anthropic's SDKs want.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `http://127.0.0.1:PORT/v1`: the base that OpenAI's SDKs want.
    pub fn openai_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The attempts so far in order of arrival, those still being answered included.
    pub fn requests(&self) -> Vec<Attempt> {
        self.shared.log.attempts()
    }

    /// Waits until the log satisfies `enough` and returns it.
    ///
    /// # Errors
    /// `TimedOut` with the number of attempts when that takes longer than ten seconds.
    pub async fn requests_until(
        &self,
        enough: impl Fn(&[Attempt]) -> bool,
    ) -> io::Result<Vec<Attempt>> {
        let mut changes = self.shared.log.changes();
        let waiting = async {
            loop {
                changes.mark_unchanged();
                let attempts = self.requests();
                if enough(&attempts) || changes.changed().await.is_err() {
                    return attempts;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.map_err(|_elapsed| {
            let seen = self.requests().len();
            io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the log of the scripted model server never got there: {seen} attempts"),
            )
        })
    }

    /// Stops accepting, drops every open connection and returns once the port is free.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(accepting) = self.accepting.take() {
            // A cancelled task is as stopped as a finished one.
            drop(accepting.await);
        }
    }

    /// Serves until [`shutdown`](Self::shutdown) is called elsewhere or the runtime ends: what
    /// the process does after its start.
    pub async fn serve_forever(mut self) {
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.await);
        }
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A failed accept (the peer left, no descriptor free) concerns that peer alone.
                if let Ok((stream, _peer)) = accepted {
                    connections.spawn(converse(stream, Arc::clone(&shared)));
                } else {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            Some(_ended) = connections.join_next(), if !connections.is_empty() => {}
            _stop = stopped.changed() => break,
        }
    }
    connections.shutdown().await;
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    if stream.set_nodelay(true).is_ok() {
        connection::serve(stream, &shared).await;
    }
}

/// An address that refuses connections for as long as this value lives: the port is taken, but
/// nobody listens.
pub struct RefusingAddress {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl RefusingAddress {
    /// Takes a free port on 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be taken.
    pub fn take() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self { address: socket.local_addr()?, _socket: socket })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}
