//! The ways a provider misbehaves, in one table. A request names one as its model.
//!
//! Waits are given unscaled; [`Script::time_scale`](super::Script::time_scale) shortens them.
//! "Once" and "for 60 s" are counted per server and model name; `NAME:anything` misbehaves as
//! `NAME` with a count of its own. A plain (not streaming) request gets what comes closest: an
//! answer that breaks off is a body cut short.

mod apply;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::answer::MODELS;
use super::dialect::Failure;

pub(super) use apply::{Exchange, reply};

/// One row of the table.
#[derive(Debug)]
pub struct Fault {
    /// The model name that asks for it.
    pub name: &'static str,
    /// What the server does.
    pub effect: &'static str,
    when: When,
    shape: Shape,
}

/// Which attempts of a fault are faulty.
#[derive(Clone, Copy, Debug)]
enum When {
    Always,
    Once,
    For(Duration),
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape {
    /// An error of the provider's.
    Error(u16, Failure, RetryAfter),
    /// RST before a byte of the answer.
    Reset,
    /// Not a byte for this long, then FIN.
    Silent(Duration),
    /// Head and role at once, then a silence, then the whole answer.
    SlowFirstToken(Duration),
    /// The answer breaks off.
    Cut(Cut),
    /// One event is broken JSON, between two good ones.
    BrokenEvent,
    /// Everything but `[DONE]` or `message_stop`.
    NoDone,
    /// 400 when the conversation ends with the assistant; else as the cut, if any.
    NoPrefill(Option<Cut>),
    /// A page for people instead of JSON.
    Html(u16),
    /// The head, a byte at a time.
    DribbleHead(Duration),
    /// The body, a byte at a time.
    DribbleBody(Duration),
    /// Less body than `Content-Length` says, then FIN.
    ShortBody,
    /// Status 200 and an error object.
    Error200,
    /// An error event after this many tokens, then the clean end of the body.
    ErrorEvent(usize),
    JsonForSse,
    SseForJson,
    Empty200,
    DoneOnly,
    NoUsage,
    AbsurdUsage,
    HalfToolCall,
    NoFinish,
    LengthEmpty,
    Redirect,
    EndlessLine,
    OversizedHeaders,
    DecompressionBomb,
    /// A whole answer, then FIN although nothing announced it.
    StaleConnection,
    /// Comments and pings before the first token, one per second for this many seconds.
    PingsOnly(u32),
}

/// Where and how an answer breaks off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cut {
    after_tokens: usize,
    silence: Duration,
    how: Broken,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Broken {
    /// FIN without the last chunk.
    Unterminated,
    /// RST.
    Reset,
    /// The last chunk as if all were well.
    CleanEnd,
}

/// How an error says when to come back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RetryAfter {
    Nothing,
    Header(&'static str, &'static str),
    /// An HTTP date this many seconds ahead.
    Date(i64),
}

const fn fault(name: &'static str, effect: &'static str, shape: Shape) -> Fault {
    Fault { name, effect, when: When::Always, shape }
}

const fn passing(name: &'static str, effect: &'static str, when: When, shape: Shape) -> Fault {
    Fault { name, effect, when, shape }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn cut(after_tokens: usize, silence: u64, how: Broken) -> Cut {
    Cut { after_tokens, silence: seconds(silence), how }
}

const UNAVAILABLE: Shape = Shape::Error(503, Failure::Unavailable, RetryAfter::Nothing);
/// A plain 500.
pub(super) const SERVER_ERROR: Shape = error(500, Failure::Server);
const DIES: Cut = cut(40, 0, Broken::Unterminated);

const fn rate_limited(name: &'static str, value: &'static str) -> Shape {
    Shape::Error(429, Failure::RateLimit, RetryAfter::Header(name, value))
}

const fn error(status: u16, failure: Failure) -> Shape {
    Shape::Error(status, failure, RetryAfter::Nothing)
}

/// All faults: the sixteen of failoverbench, then the shapes beyond them.
#[rustfmt::skip]
pub static FAULTS: &[Fault] = &[
    passing("fault-s01", "429 with `Retry-After: 2` once, then well", When::Once, rate_limited("retry-after", "2")),
    fault("fault-s02", "429 always, without a header", error(429, Failure::RateLimit)),
    passing("fault-s03", "500 once, then well", When::Once, error(500, Failure::Server)),
    fault("fault-s04", "503 always", UNAVAILABLE),
    passing("fault-s05", "RST before headers once, then well", When::Once, Shape::Reset),
    fault("fault-s06", "accepts, silent for 120 s, then closes", Shape::Silent(seconds(120))),
    fault("fault-s07", "head and role now, first token after 20 s", Shape::SlowFirstToken(seconds(20))),
    fault("fault-s08", "dies after 40 of 60 tokens: FIN without a terminator", Shape::Cut(DIES)),
    fault("fault-s09", "silent for 30 s after 20 tokens, then closes", Shape::Cut(cut(20, 30, Broken::Unterminated))),
    fault("fault-s10", "one event is broken JSON, the rest is whole", Shape::BrokenEvent),
    fault("fault-s11", "whole answer without `[DONE]` or `message_stop`", Shape::NoDone),
    fault("fault-s12", "400 context length exceeded", error(400, Failure::ContextLength)),
    fault("fault-s13", "400 content policy", error(400, Failure::ContentPolicy)),
    fault("fault-s14", "as s08, and 400 when asked to continue a prefilled answer", Shape::NoPrefill(Some(DIES))),
    passing("fault-s15", "503 for 60 s from the first attempt, then well", When::For(seconds(60)), UNAVAILABLE),
    fault("fault-s16", "503 always (the fallback's model and usage must be reported)", UNAVAILABLE),

    passing("fault-retry-after-fraction", "429 with `Retry-After: 0.5` once", When::Once, rate_limited("retry-after", "0.5")),
    passing("fault-retry-after-ms", "429 with `retry-after-ms: 300` once", When::Once, rate_limited("retry-after-ms", "300")),
    passing("fault-retry-after-date", "429 with an HTTP date 2 s ahead once", When::Once, Shape::Error(429, Failure::RateLimit, RetryAfter::Date(2))),
    fault("fault-retry-after-hour", "429 with `Retry-After: 3600` always", rate_limited("retry-after", "3600")),
    fault("fault-html-502", "502 with a page of HTML", Shape::Html(502)),
    fault("fault-html-504", "504 with a page of HTML", Shape::Html(504)),
    fault("fault-html-200", "200 with a page of HTML", Shape::Html(200)),
    fault("fault-529", "529 overloaded", error(529, Failure::Overloaded)),
    fault("fault-insufficient-quota", "429 that waiting does not cure: quota or spend limit", error(429, Failure::QuotaSpent)),
    fault("fault-401", "401 wrong key", error(401, Failure::WrongKey)),
    fault("fault-403", "403 not allowed for this key", error(403, Failure::Forbidden)),
    fault("fault-408", "408 request timeout", error(408, Failure::Timeout)),
    fault("fault-dribble", "the head at one byte per 10 s", Shape::DribbleHead(seconds(10))),
    fault("fault-dribble-body", "the body at one byte per 10 s", Shape::DribbleBody(seconds(10))),
    fault("fault-short-body", "less body than `Content-Length` says", Shape::ShortBody),
    fault("fault-error-200", "200 whose body is an error object", Shape::Error200),
    fault("fault-error-in-stream", "an error event after 20 tokens of a 200 stream", Shape::ErrorEvent(20)),
    fault("fault-error-first-in-stream", "an error event before any token of a 200 stream", Shape::ErrorEvent(0)),
    fault("fault-wrong-content-type-json-for-sse", "one JSON answer where a stream was asked for", Shape::JsonForSse),
    fault("fault-sse-for-json", "a stream where one JSON answer was asked for", Shape::SseForJson),
    fault("fault-empty-200", "200 with an empty body", Shape::Empty200),
    fault("fault-done-only", "a stream of nothing but its end", Shape::DoneOnly),
    fault("fault-no-usage", "no usage reported", Shape::NoUsage),
    fault("fault-absurd-usage", "negative and enormous token counts", Shape::AbsurdUsage),
    fault("fault-half-tool-call", "a tool call whose arguments break off, ended as if whole (needs tools)", Shape::HalfToolCall),
    fault("fault-no-finish", "all tokens and the end, but never a reason to stop", Shape::NoFinish),
    fault("fault-length-empty", "an empty answer with reason `length`: reasoning ate the budget", Shape::LengthEmpty),
    fault("fault-redirect", "307 to another path of this server", Shape::Redirect),
    fault("fault-endless-line", "64 MiB of one event without a line end", Shape::EndlessLine),
    fault("fault-oversized-headers", "2 MiB of response headers", Shape::OversizedHeaders),
    fault("fault-decompression-bomb", "1 MiB of gzip that unpacks to 165 MiB", Shape::DecompressionBomb),
    fault("fault-reset", "RST before headers always", Shape::Reset),
    fault("fault-reset-in-stream", "RST after 40 tokens", Shape::Cut(cut(40, 0, Broken::Reset))),
    fault("fault-clean-cut", "40 tokens, then the clean end of the body: no reason, no `[DONE]`", Shape::Cut(cut(40, 0, Broken::CleanEnd))),
    fault("fault-no-prefill", "400 when asked to continue a prefilled answer, else well", Shape::NoPrefill(None)),
    fault("fault-stale-connection", "a whole answer, then FIN although keep-alive was promised", Shape::StaleConnection),
    fault("fault-pings-only", "a comment or ping each second for 30 s, then the whole answer", Shape::PingsOnly(30)),
];

/// Every model name that means something here.
pub(super) fn model_names() -> impl Iterator<Item = &'static str> {
    let models = MODELS.iter().map(|(name, _)| *name).filter(|name| *name != "missing");
    models.chain(FAULTS.iter().map(|fault| fault.name))
}

/// The row of a model name. `Err`: it claims to be a fault, but there is no such row.
pub(super) fn find(model: &str) -> Result<Option<&'static Fault>, ()> {
    if !model.starts_with("fault-") {
        return Ok(None);
    }
    let name = model.split(':').next().unwrap_or(model);
    FAULTS.iter().find(|fault| fault.name == name).map(Some).ok_or(())
}

/// When each fault was first met: what "once" and "for 60 s" are counted from.
#[derive(Default)]
pub(super) struct FaultStates {
    first_met: Mutex<HashMap<String, Instant>>,
}

impl FaultStates {
    /// What this attempt gets: the fault's shape, or `None` once it is over.
    pub fn meet(
        &self,
        fault: &Fault,
        model: &str,
        scaled: impl Fn(Duration) -> Duration,
    ) -> Option<Shape> {
        let faulty = match fault.when {
            When::Always => true,
            When::Once => self.first_met(model).is_none(),
            When::For(time) => {
                self.first_met(model).is_none_or(|first| first.elapsed() < scaled(time))
            }
        };
        faulty.then_some(fault.shape)
    }

    /// The first meeting with this model name; `None` if it is this one.
    fn first_met(&self, model: &str) -> Option<Instant> {
        let mut met = self.first_met.lock().unwrap_or_else(PoisonError::into_inner);
        let first = met.get(model).copied();
        if first.is_none() {
            met.insert(model.to_owned(), Instant::now());
        }
        first
    }
}

#[cfg(test)]
mod tests;
