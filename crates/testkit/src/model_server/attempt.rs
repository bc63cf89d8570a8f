//! The log: one [`Attempt`] per request that reached the server.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::http::Request;

/// One request as the provider saw it.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// Counts from 1 in order of arrival.
    pub number: u64,
    /// When the whole request had been read, by the wall clock.
    pub at: Timestamp,
    /// The same moment since the server started, in seconds: subtract two for an honest gap.
    #[serde(rename = "since_start_s", serialize_with = "seconds")]
    pub since_start: Duration,
    /// `POST`, `GET`, …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The request's model name, if it has one.
    pub model: Option<String>,
    /// Header names in lower case; credentials included here, masked in the log file.
    #[serde(serialize_with = "masked")]
    pub headers: Vec<(String, String)>,
    /// The body as JSON; null when it was empty or no JSON.
    pub body: Arc<Value>,
    /// Size of the body in bytes.
    pub body_bytes: usize,
    /// The status that was sent; `None` when no head was sent (a reset, a silence) or not yet.
    pub status: Option<u16>,
    /// How it ended.
    pub ending: Ending,
    /// Bytes handed to the socket, head included.
    pub bytes_sent: u64,
}

impl Attempt {
    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It is still being answered.
    Answering,
    /// Everything planned was handed to the socket.
    Sent,
    /// The server broke the answer off, as the fault says.
    Cut,
    /// The client closed or reset the connection before the answer was over.
    HungUp {
        /// Time from the end of the request to the moment it was noticed.
        #[serde(rename = "after_s", serialize_with = "seconds")]
        after: Duration,
    },
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

fn masked<S: serde::Serializer>(
    headers: &[(String, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(headers.iter().map(|(name, value)| match name.as_str() {
        "authorization" | "x-api-key" | "cookie" => (name, "***"),
        _ => (name, value.as_str()),
    }))
}

/// What is known when the request has been read.
pub(super) struct Arrival {
    pub number: u64,
    pub instant: Instant,
}

/// What is known when its answer is over.
pub(super) struct Departure {
    pub ending: Ending,
    pub bytes_sent: u64,
}

/// The attempts of one server: the latest in memory, all of them in a file if asked.
pub(super) struct Log {
    started: Instant,
    count: AtomicU64,
    keep: usize,
    attempts: Mutex<VecDeque<Attempt>>,
    file: Option<Mutex<File>>,
    version: watch::Sender<u64>,
}

impl Log {
    pub fn open(keep: usize, path: Option<&Path>) -> io::Result<Self> {
        let file = match path {
            Some(path) => {
                Some(Mutex::new(OpenOptions::new().create(true).append(true).open(path)?))
            }
            None => None,
        };
        Ok(Self {
            started: Instant::now(),
            count: AtomicU64::new(0),
            // The file's lines are written from memory when an attempt ends.
            keep: if file.is_some() { keep.max(1_000) } else { keep },
            attempts: Mutex::new(VecDeque::new()),
            file,
            version: watch::Sender::new(0),
        })
    }

    pub fn begin(&self, request: &Request, body: &Arc<Value>) -> Arrival {
        let instant = Instant::now();
        let number = if self.keep == 0 {
            self.count.fetch_add(1, Ordering::Relaxed) + 1
        } else {
            let mut attempts = self.lock();
            // Counted under the lock, so that the queue is in order of its numbers.
            let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
            if attempts.len() == self.keep {
                attempts.pop_front();
            }
            attempts.push_back(Attempt {
                number,
                at: Timestamp::now(),
                since_start: instant - self.started,
                method: request.method.clone(),
                path: request.path.clone(),
                model: body.get("model").and_then(Value::as_str).map(str::to_owned),
                headers: request.headers.clone(),
                body: Arc::clone(body),
                body_bytes: request.body.len(),
                status: None,
                ending: Ending::Answering,
                bytes_sent: 0,
            });
            number
        };
        self.changed();
        Arrival { number, instant }
    }

    pub fn answering(&self, arrival: &Arrival, status: Option<u16>) {
        self.update(arrival, |attempt| attempt.status = status);
    }

    pub fn end(&self, arrival: &Arrival, departure: &Departure) {
        let line = self.update(arrival, |attempt| {
            attempt.ending = departure.ending;
            attempt.bytes_sent = departure.bytes_sent;
            self.file.is_some().then(|| serde_json::to_vec(attempt))
        });
        if let (Some(Some(Ok(mut line))), Some(file)) = (line, &self.file) {
            line.push(b'\n');
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = file.write_all(&line) {
                // There is no one else to tell: the log is what tests read.
                let _told = writeln!(io::stderr().lock(), "the log cannot be written: {error}");
            }
        }
    }

    pub fn attempts(&self) -> Vec<Attempt> {
        self.lock().iter().cloned().collect()
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn update<T>(&self, arrival: &Arrival, change: impl FnOnce(&mut Attempt) -> T) -> Option<T> {
        if self.keep == 0 {
            return None;
        }
        let changed = {
            let mut attempts = self.lock();
            let first = attempts.front()?.number;
            let index = usize::try_from(arrival.number.checked_sub(first)?).ok()?;
            attempts.get_mut(index).map(change)
        };
        self.changed();
        changed
    }

    fn changed(&self) {
        if self.keep != 0 {
            self.version.send_modify(|version| *version += 1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
