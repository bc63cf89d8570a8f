//! Asking sites for pages, politely and within bounds.

mod robots;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::fmt::rfc2822;
use release::{Digest, TenantId, Timestamp};
use reqwest::header::{
    CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
    LOCATION,
};
use reqwest::{Method, StatusCode};
use security::outside::{self, Answer, Outside, Unanswered, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep_until};

use super::MAX_DOCUMENT;
use crate::KnowledgeError;

use robots::Robots;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How many redirects in a row are followed.
pub const MAX_REDIRECTS: usize = 10;
/// How many redirects of a `robots.txt` are followed, and how much of one is read (RFC 9309, 2.3.1.2
/// and 2.5).
const ROBOTS_REDIRECTS: usize = 5;
const MAX_ROBOTS: usize = 1 << 20;

/// How much may be read.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// In how much time.
    pub time: Duration,
    /// How many bytes.
    pub bytes: u64,
    /// How long to wait between two requests to a host.
    pub delay: Duration,
}

/// Asks sites for pages.
#[derive(Debug)]
pub struct Fetcher {
    outside: Outside,
    bounds: Bounds,
    ends: Instant,
    bytes: AtomicU64,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

/// What is known of a host.
#[derive(Debug)]
struct Host {
    /// What it lets one read; else why that is not known.
    robots: OnceCell<Result<Robots, String>>,
    /// When it may be asked again.
    next: tokio::sync::Mutex<Instant>,
}

/// What tells a server that one has its newest version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

/// A page as it came.
#[derive(Debug)]
pub struct Page {
    pub body: Bytes,
    pub media_type: Option<String>,
    pub validators: Validators,
}

/// What came of asking for a page.
#[derive(Debug)]
pub enum Fetched {
    /// The page.
    Page(Page),
    /// It is what one has.
    Same,
    /// It is elsewhere.
    Moved(Url),
    /// There is none.
    Gone,
    /// The site's `robots.txt` forbids to read it.
    Excluded,
    /// There is one, but it cannot be had; why.
    Refused(String),
    /// Whether there is one cannot be told now; why.
    Broken(String),
}

impl Fetcher {
    pub fn new(outside: Outside, bounds: Bounds) -> Self {
        let (ends, hosts) = (Instant::now() + bounds.time, Mutex::default());
        Self { outside, bounds, ends, bytes: AtomicU64::new(0), hosts }
    }

    /// Why nothing more may be read, if so.
    pub fn exhausted(&self) -> Option<String> {
        let Bounds { time, bytes, .. } = self.bounds;
        if Instant::now() >= self.ends {
            return Some(format!("reading it takes longer than {} seconds", time.as_secs()));
        }
        let read = self.bytes.load(Ordering::Relaxed);
        (read >= bytes).then(|| format!("it has more than {bytes} bytes"))
    }

    /// Asks for a page; twice, if it cannot be told the first time whether there is one.
    pub async fn get(&self, url: &Url, known: Option<&Validators>) -> Fetched {
        let host = self.host(url);
        let robots = host.robots.get_or_init(|| self.robots(url)).await;
        let robots = match robots {
            Ok(robots) => robots,
            Err(why) => return Fetched::Broken(format!("`robots.txt` of its host: {why}")),
        };
        if !robots.allows(url) {
            return Fetched::Excluded;
        }
        let delay = robots.delay.unwrap_or_default().max(self.bounds.delay);
        match self.ask(url, known, (&host, delay)).await {
            Fetched::Broken(_) if self.exhausted().is_none() => {
                self.ask(url, known, (&host, delay)).await
            }
            fetched => fetched,
        }
    }

    /// Asks for a page wherever it has moved to.
    pub async fn follow(&self, url: &Url, known: Option<&Validators>) -> Fetched {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            match self.get(&url, known).await {
                Fetched::Moved(to) => url = to,
                fetched => return fetched,
            }
        }
        Fetched::Refused(too_often())
    }

    async fn ask(
        &self,
        url: &Url,
        known: Option<&Validators>,
        (host, delay): (&Host, Duration),
    ) -> Fetched {
        let mut next = host.next.lock().await;
        // A host that wants long pauses does not make anybody wait beyond the end.
        sleep_until((*next).min(self.ends)).await;
        *next = Instant::now() + delay;
        drop(next);
        if let Some(why) = self.exhausted() {
            return Fetched::Broken(why);
        }
        let left = self.bounds.bytes.saturating_sub(self.bytes.load(Ordering::Relaxed));
        let most = usize::try_from(left.min(MAX_DOCUMENT)).unwrap_or(usize::MAX);
        match self.send(url, known, most).await {
            Ok(answer) => {
                self.bytes.fetch_add(answer.body.len() as u64, Ordering::Relaxed);
                told(url, answer)
            }
            Err(Unanswered::TooLarge) if left < MAX_DOCUMENT => {
                self.bytes.fetch_add(left, Ordering::Relaxed);
                Fetched::Broken(self.exhausted().unwrap_or_default())
            }
            Err(Unanswered::TooLarge) => {
                Fetched::Refused(format!("it has more than the {MAX_DOCUMENT} bytes allowed"))
            }
            Err(Unanswered::Refused(why)) => Fetched::Refused(why),
            Err(unanswered) => Fetched::Broken(unanswered.to_string()),
        }
    }

    async fn send(
        &self,
        url: &Url,
        known: Option<&Validators>,
        most: usize,
    ) -> Result<Answer, Unanswered> {
        let mut request = self.outside.request(Method::GET, url.clone())?;
        if let Some(Validators { etag, last_modified }) = known {
            let conditions = [(IF_NONE_MATCH, etag), (IF_MODIFIED_SINCE, last_modified)];
            for (name, value) in conditions {
                request = match value {
                    Some(value) => request.header(name, value),
                    None => request,
                };
            }
        }
        let left = self.ends.saturating_duration_since(Instant::now());
        outside::send(request, left.min(ANSWER), most).await
    }

    fn host(&self, url: &Url) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry(url.origin().ascii_serialization()).or_insert_with(|| {
            let next = tokio::sync::Mutex::new(Instant::now());
            Arc::new(Host { robots: OnceCell::new(), next })
        });
        Arc::clone(host)
    }

    /// What a host lets one read (RFC 9309, 2.3.1): everything if it has no such file, nothing can
    /// be told if it does not answer.
    async fn robots(&self, url: &Url) -> Result<Robots, String> {
        let mut url = url.join("/robots.txt").map_err(|error| error.to_string())?;
        for _ in 0..=ROBOTS_REDIRECTS {
            let answer = self.send(&url, None, MAX_ROBOTS).await.map_err(|why| why.to_string())?;
            match answer.status {
                status if status.is_success() => {
                    return Ok(Robots::read(&String::from_utf8_lossy(&answer.body)));
                }
                StatusCode::TOO_MANY_REQUESTS => return Err("it answers 429".to_owned()),
                status if status.is_client_error() => return Ok(Robots::default()),
                status if status.is_redirection() => match moved(&url, &answer.headers) {
                    Some(to) => url = to,
                    None => return Ok(Robots::default()),
                },
                status => return Err(format!("it answers {status}")),
            }
        }
        Ok(Robots::default())
    }
}

/// Why a page that is always elsewhere is not read.
pub fn too_often() -> String {
    format!("it redirects more than {MAX_REDIRECTS} times")
}

fn told(url: &Url, answer: Answer) -> Fetched {
    let Answer { status, headers, body } = answer;
    match status {
        StatusCode::NOT_MODIFIED => Fetched::Same,
        StatusCode::NOT_FOUND | StatusCode::GONE => Fetched::Gone,
        status if status.is_success() => Fetched::Page(Page {
            body: body.into(),
            media_type: header(&headers, &CONTENT_TYPE),
            validators: Validators {
                etag: header(&headers, &ETAG),
                last_modified: header(&headers, &LAST_MODIFIED),
            },
        }),
        status if status.is_redirection() => match moved(url, &headers) {
            Some(to) => Fetched::Moved(to),
            None => Fetched::Refused(format!("it answers {status} and leads nowhere")),
        },
        // Too many, too early, or out of time: another time.
        StatusCode::TOO_MANY_REQUESTS | StatusCode::TOO_EARLY | StatusCode::REQUEST_TIMEOUT => {
            Fetched::Broken(format!("it answers {status}"))
        }
        status if status.is_client_error() => Fetched::Refused(format!("it answers {status}")),
        status => Fetched::Broken(format!("it answers {status}")),
    }
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Where a redirect leads, if that is a page.
fn moved(url: &Url, headers: &HeaderMap) -> Option<Url> {
    url.join(&header(headers, &LOCATION)?).ok().and_then(page)
}

/// An address as that of a page: over HTTP, without a fragment or a credential.
pub fn page(mut url: Url) -> Option<Url> {
    url.set_fragment(None);
    let plain = url.username().is_empty() && url.password().is_none();
    let http = matches!(url.scheme(), "http" | "https") && url.has_host();
    (http && plain && url.as_str().len() <= super::MAX_PATH).then_some(url)
}

/// The path of a page's document: its address without `http`.
pub fn path(url: &Url) -> String {
    let (_, path) = url.as_str().split_once("://").unwrap_or_default();
    path.to_owned()
}

impl Page {
    /// When it was last changed, if its server says so.
    pub fn modified_at(&self) -> Option<Timestamp> {
        let date = self.validators.last_modified.as_deref()?;
        rfc2822::parse(date).ok().map(|date| date.timestamp())
    }
}

/// What is remembered of a site between two times, in a file that may be lost.
#[derive(Debug)]
pub struct Memory(PathBuf);

impl Memory {
    pub fn new(
        cache: &Path,
        tenant: &TenantId,
        of: &impl Serialize,
    ) -> Result<Self, KnowledgeError> {
        let of = release::CanonicalJson::of(of)?.into_bytes();
        let name = Digest::of_fields([tenant.as_str().as_bytes(), &of]).to_hex();
        Ok(Self(cache.join("sites").join(format!("{name}.json"))))
    }

    /// What was remembered; nothing, if it is lost or was written by another version.
    pub fn recall<T: DeserializeOwned + Default>(&self) -> T {
        let text = fs::read(&self.0).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub fn keep(&self, what: &impl Serialize) -> Result<(), KnowledgeError> {
        let failed = |source: io::Error| KnowledgeError::Listing {
            path: self.0.display().to_string(),
            source,
        };
        let text = serde_json::to_vec(what).map_err(|error| failed(error.into()))?;
        let aside = self.0.with_extension("new");
        fs::create_dir_all(self.0.parent().unwrap_or(Path::new("."))).map_err(failed)?;
        fs::write(&aside, text).and_then(|()| fs::rename(&aside, &self.0)).map_err(failed)
    }
}
