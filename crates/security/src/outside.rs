//! Calling what is outside: each answer is bounded in size and time, and nothing is called that was
//! not meant.
//!
//! An address that a tenant wrote may lead to this machine or its network (server-side request
//! forgery). So names are resolved once, every address is checked, and the connection is made to a
//! checked address; an address that is written out is checked before. No redirect is followed here:
//! whoever follows one asks again, and is checked again.

mod network;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode, redirect};

pub use network::{Network, is_public};
pub use reqwest::{Method, Url};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// Which addresses may be called.
#[derive(Debug, Clone)]
pub enum Reach {
    /// Any: the operator wrote the address.
    Any,
    /// Those of the public internet and of these networks: somebody else wrote the address.
    Public(Vec<Network>),
}

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
    /// The address may not be called; why.
    Refused(String),
    /// The connection failed; why.
    Failed(String),
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("no answer came in time"),
            Self::TooLarge => f.write_str("the answer is too large"),
            Self::Refused(why) | Self::Failed(why) => f.write_str(why),
        }
    }
}

/// A client that goes where it is sent and nowhere else: no redirect leads it away, no proxy of the
/// environment comes between.
#[derive(Debug, Clone)]
pub struct Outside {
    http: Client,
    reach: Reach,
}

impl Outside {
    /// A client that may call what `reach` says.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(reach: Reach) -> Result<Self, reqwest::Error> {
        let client = Client::builder().connect_timeout(CONNECT).redirect(redirect::Policy::none());
        let client = client.no_proxy().user_agent("Groundcrew");
        let client = client.dns_resolver(Arc::new(Checked(reach.clone())));
        Ok(Self { http: client.build()?, reach })
    }

    /// A request to be filled and sent.
    ///
    /// # Errors
    /// [`Unanswered::Refused`] if the address is written out and may not be called.
    pub fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, Unanswered> {
        let literal = match url.host() {
            Some(url::Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(url::Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if let Some(address) = literal {
            self.reach.check(url.host_str().unwrap_or_default(), address)?;
        }
        Ok(self.http.request(method, url))
    }
}

impl Reach {
    fn check(&self, host: &str, address: IpAddr) -> Result<(), Unanswered> {
        let allowed = match self {
            Self::Any => true,
            Self::Public(networks) => {
                is_public(address) || networks.iter().any(|network| network.holds(address))
            }
        };
        if allowed {
            return Ok(());
        }
        let why = format!(
            "`{host}` leads to {address}, which is not of the public internet: \
             if it is meant, offer its network in server.toml"
        );
        Err(Unanswered::Refused(why))
    }
}

/// Resolves names to addresses that may be called.
struct Checked(Reach);

/// Why a name was not resolved, as it passes through the client.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<_> = found.collect();
            // A name that leads both inside and outside is a trap: none of its addresses is used.
            for address in &found {
                reach
                    .check(name.as_str(), address.ip())
                    .map_err(|refused| Refusal(refused.to_string()))?;
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Sends a request, and reads the whole answer, of at most `most` bytes, within `timeout`.
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
    let mut cause: &(dyn std::error::Error + 'static) = &error;
    while let Some(source) = cause.source() {
        if let Some(refusal) = source.downcast_ref::<Refusal>() {
            return Unanswered::Refused(refusal.0.clone());
        }
        cause = source;
    }
    Unanswered::Failed(cause.to_string())
}

#[cfg(test)]
mod tests;
