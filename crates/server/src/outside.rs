//! Calling what is outside: each answer is bounded in size and time, and nothing is called that was
//! not meant.

use std::time::Duration;

use anyhow::Result;
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode, redirect};

/// The most bytes of an answer: as many as a payload may have.
pub const MAX_BODY: usize = workflow::MAX_PAYLOAD;
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Vec<u8>,
}

/// Why nothing came back that can be used.
#[derive(Debug)]
pub enum Unanswered {
    /// It took too long.
    TimedOut,
    /// The answer is too large.
    TooLarge,
    /// The connection failed; why.
    Failed(String),
}

/// A client that goes where it is sent and nowhere else: no redirect leads it away, no proxy of the
/// environment comes between.
///
/// # Errors
/// If TLS cannot be set up.
pub fn client() -> Result<Client> {
    let client = Client::builder().connect_timeout(CONNECT).redirect(redirect::Policy::none());
    Ok(client.no_proxy().user_agent("Groundcrew").build()?)
}

/// Sends a request, and reads the whole answer within `timeout`: at most `most` bytes.
///
/// # Errors
/// If none comes, or it is too large.
pub async fn send(
    request: RequestBuilder,
    timeout: Duration,
    most: usize,
) -> Result<Answer, Unanswered> {
    let mut response = request.timeout(timeout).send().await.map_err(unanswered)?;
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unanswered)? {
        if body.len() + piece.len() > most {
            return Err(Unanswered::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Answer { status: response.status(), headers: response.headers().clone(), body })
}

fn unanswered(error: reqwest::Error) -> Unanswered {
    if error.is_timeout() {
        return Unanswered::TimedOut;
    }
    // What is wrong is told by the innermost of the causes.
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Unanswered::Failed(cause.to_string())
}

#[cfg(test)]
pub mod tests;
