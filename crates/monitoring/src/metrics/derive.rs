//! Metrics from spans and scores: rate, errors and duration of requests; tokens, cost and quality.
//!
//! A sample counts when its span ended. Requests are spans that something came in by: the root of
//! a trace, or a server's or a consumer's span. What counts with 0 or 1 has a sum (how many), a
//! sample count (of how many) and an average (the rate); it is 0, not missing, while all is well.
//! Answers that nobody waited for are no traffic: those that an evaluation asked for count nowhere,
//! and copies of requests only as copies.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use release::Timestamp;

use super::declared::{self, Declared};
use super::rollup::Dimensions;
use crate::attributes as name;
use crate::rows::{Batch, Origin, Score, Span};

/// Operations that call a model once. Agents and workflows only sum such calls up.
const CALLS: [&str; 4] = ["chat", "text_completion", "generate_content", "embeddings"];

/// One number, as it was derived.
#[derive(Debug)]
pub struct Derived {
    /// Of which metric.
    pub metric: &'static Declared,
    /// Of which series.
    pub dimensions: Arc<Dimensions>,
    /// When.
    pub at: Timestamp,
    /// The number.
    pub value: f64,
}

/// Whoever takes what is derived of one span.
struct To<'a> {
    emit: &'a mut dyn FnMut(Derived),
    dimensions: Arc<Dimensions>,
    at: Timestamp,
}

impl To<'_> {
    fn count(&mut self, metric: &'static Declared, value: f64) {
        let dimensions = Arc::clone(&self.dimensions);
        (self.emit)(Derived { metric, dimensions, at: self.at, value });
    }

    /// The same, with one more dimension.
    fn count_by(&mut self, metric: &'static Declared, (by, what): (&str, &str), value: f64) {
        let mut dimensions = (*self.dimensions).clone();
        dimensions.insert(by.to_owned(), what.to_owned());
        let dimensions = Arc::new(dimensions);
        (self.emit)(Derived { metric, dimensions, at: self.at, value });
    }

    fn flag(&mut self, metric: &'static Declared, flag: bool) {
        self.count(metric, f64::from(u8::from(flag)));
    }
}

/// Derives all that a batch tells.
pub fn derive(batch: &Batch, emit: &mut dyn FnMut(Derived)) {
    // Our own record of an answer is one trace of one batch. Its root has everything.
    let is_answer = |span: &&Span| !span.outcome.is_empty();
    let answers: HashSet<&str> =
        batch.spans.iter().filter(is_answer).map(|span| span.trace_id.as_str()).collect();
    // A passage belongs to the span that retrieved it, and to the trace's answer.
    let grounded: HashSet<&str> = batch
        .retrieval_edges
        .iter()
        .flat_map(|edge| [edge.trace_id.as_str(), edge.span_id.as_str()])
        .collect();
    let aside = batch.aside();
    for span in &batch.spans {
        let at = ended(span);
        if aside.contains(span.trace_id.as_str()) {
            if span.attribute(name::COPY_OF).is_some() {
                copy(span, &mut To { emit: &mut *emit, dimensions: Arc::new(of_span(span)), at });
            }
            continue;
        }
        if is_answer(&span) {
            let mut to = To { emit: &mut *emit, dimensions: Arc::new(of_span(span)), at };
            request(span, &mut to);
            calls(span, &mut to);
            to.flag(&declared::BLOCKED, span.outcome == "blocked");
            if let Some(why) = span.attribute(name::COPY_DROPPED) {
                to.count_by(&declared::COPIES_DROPPED, ("why", why), 1.0);
            }
            if !span.snapshot.is_empty() {
                let found = grounded.contains(span.trace_id.as_str());
                to.flag(&declared::RETRIEVAL_EMPTY, !found);
            }
            to.dimensions = Arc::new(of_convention(span));
            usage(span, &mut to);
        } else if answers.contains(span.trace_id.as_str()) {
            if !span.provider.is_empty() {
                let dimensions = Arc::new(of_convention(span));
                let mut to = To { emit: &mut *emit, dimensions, at };
                to.count(&declared::OPERATION_DURATION, seconds(span));
            }
        } else if let Some(counts) = Counts::of(span) {
            let mut to = To { emit: &mut *emit, dimensions: Arc::new(of_span(span)), at };
            foreign(span, (counts, grounded.contains(span.span_id.as_str())), &mut to);
        }
    }
    for score in &batch.scores {
        scored(score, emit);
    }
}

/// A copy of a request: that it was made, and what it cost.
fn copy(span: &Span, to: &mut To<'_>) {
    to.count(&declared::COPIES, 1.0);
    if let Some(cost) = span.cost {
        to.count_by(&declared::COPIES_COST, ("currency", &span.currency), cost);
    }
}

/// What a span of another service counts as.
#[derive(Clone, Copy)]
struct Counts {
    call: bool,
    retrieval: bool,
    request: bool,
}

impl Counts {
    /// `None` for most spans: they are steps of something that counts.
    fn of(span: &Span) -> Option<Self> {
        let call = match span.operation.as_str() {
            "" => span.input_tokens.is_some() || span.output_tokens.is_some(),
            operation => CALLS.contains(&operation),
        };
        let retrieval = span.operation == "retrieval" && !failed(span);
        let entered = matches!(span.kind.as_str(), "server" | "consumer");
        let request = entered || span.parent_span_id.is_empty();
        (call || retrieval || request).then_some(Self { call, retrieval, request })
    }
}

/// A span of another service.
fn foreign(span: &Span, (counts, found): (Counts, bool), to: &mut To<'_>) {
    if counts.call {
        calls(span, to);
    }
    if counts.retrieval {
        to.flag(&declared::RETRIEVAL_EMPTY, !found);
    }
    if counts.request {
        if !span.name.is_empty() {
            Arc::make_mut(&mut to.dimensions).insert("route".to_owned(), span.name.clone());
        }
        request(span, to);
    }
}

/// Rate, errors, duration.
fn request(span: &Span, to: &mut To<'_>) {
    to.count(&declared::REQUESTS, 1.0);
    to.count(&declared::DURATION, seconds(span));
    if failed(span) {
        let why = [&span.error_type, &span.outcome].into_iter().find(|why| !why.is_empty());
        let why = why.map_or("error", String::as_str);
        to.count_by(&declared::ERRORS, ("error_type", why), 1.0);
    } else {
        to.count(&declared::ERRORS, 0.0);
    }
}

/// What the call of a model took.
fn calls(span: &Span, to: &mut To<'_>) {
    if let Some(seconds) = span.time_to_first_chunk {
        to.count(&declared::FIRST_CHUNK, seconds);
    }
    // Most calls have nothing to do with a cache or with reasoning, and then say 0.
    let parts = [
        (&declared::INPUT_TOKENS, span.input_tokens),
        (&declared::OUTPUT_TOKENS, span.output_tokens),
        (&declared::CACHE_READ_TOKENS, span.cache_read_tokens.filter(|count| *count > 0)),
        (&declared::CACHE_CREATION_TOKENS, span.cache_creation_tokens.filter(|count| *count > 0)),
        (&declared::REASONING_TOKENS, span.reasoning_tokens.filter(|count| *count > 0)),
    ];
    for (metric, count) in parts {
        if let Some(count) = count {
            to.count(metric, count.max(0) as f64);
        }
    }
    if let Some(cost) = span.cost {
        to.count_by(&declared::COST, ("currency", &span.currency), cost);
    }
}

/// Tokens as the GenAI conventions count them.
fn usage(span: &Span, to: &mut To<'_>) {
    for (kind, count) in [("input", span.input_tokens), ("output", span.output_tokens)] {
        if let Some(count) = count {
            to.count_by(&declared::TOKEN_USAGE, ("gen_ai.token.type", kind), count.max(0) as f64);
        }
    }
}

fn scored(score: &Score, emit: &mut dyn FnMut(Derived)) {
    let mut dimensions = of_origin(&score.origin);
    dimensions.insert("evaluator".to_owned(), score.name.clone());
    let mut to = To { emit, dimensions: Arc::new(dimensions), at: score.at };
    match score.value {
        Some(value) => {
            to.count(&declared::SCORE, value);
            to.count(&declared::SCORE_ERRORS, 0.0);
        }
        None if !score.label.is_empty() && score.error_type.is_empty() => {
            to.count(&declared::SCORE_ERRORS, 0.0);
        }
        None => {
            let why = if score.error_type.is_empty() { "no_value" } else { &score.error_type };
            to.count_by(&declared::SCORE_ERRORS, ("error_type", why), 1.0);
        }
    }
}

fn failed(span: &Span) -> bool {
    match span.outcome.as_str() {
        "" => span.status == "error" || (span.status.is_empty() && !span.error_type.is_empty()),
        outcome => outcome == "failed",
    }
}

fn seconds(span: &Span) -> f64 {
    span.duration_ns.max(0) as f64 / 1e9
}

fn ended(span: &Span) -> Timestamp {
    let duration = jiff::SignedDuration::from_nanos(span.duration_ns.max(0));
    span.started_at.checked_add(duration).unwrap_or(span.started_at)
}

/// App or service, environment, release.
pub fn of_origin(origin: &Origin) -> Dimensions {
    let mut dimensions = Dimensions::new();
    // The app says whose a span is; only without one is the service of interest.
    match origin.app.is_empty() {
        true => put(&mut dimensions, "service", &origin.service),
        false => put(&mut dimensions, "app", &origin.app),
    }
    put(&mut dimensions, "environment", &origin.environment);
    put(&mut dimensions, "release", &origin.release);
    dimensions
}

fn of_span(span: &Span) -> Dimensions {
    let mut dimensions = of_origin(&span.origin);
    put(&mut dimensions, "arm", &span.arm);
    put(&mut dimensions, "provider", &span.provider);
    let model = match span.response_model.is_empty() {
        true => &span.request_model,
        false => &span.response_model,
    };
    put(&mut dimensions, "model", model);
    dimensions
}

/// The dimensions that the GenAI conventions name, and whose it is.
fn of_convention(span: &Span) -> Dimensions {
    let mut dimensions = of_origin(&span.origin);
    let operation = if span.operation.is_empty() { "chat" } else { &span.operation };
    put(&mut dimensions, name::OPERATION, operation);
    put(&mut dimensions, name::PROVIDER, &span.provider);
    put(&mut dimensions, name::REQUEST_MODEL, &span.request_model);
    put(&mut dimensions, name::RESPONSE_MODEL, &span.response_model);
    put(&mut dimensions, name::ERROR_TYPE, &span.error_type);
    dimensions
}

fn put(dimensions: &mut BTreeMap<String, String>, name: &str, value: &str) {
    if !value.is_empty() {
        dimensions.insert(name.to_owned(), value.to_owned());
    }
}

#[cfg(test)]
mod tests;
