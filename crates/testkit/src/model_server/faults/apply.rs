//! From an answer to what happens on the socket, with the fault's damage done.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Broken, Cut, RetryAfter, Shape};
use crate::model_server::Script;
use crate::model_server::answer::{Answer, Conversation, Stop, Usage};
use crate::model_server::dialect::{Dialect, Event, EventKind, Failure};
use crate::model_server::http::{Head, LAST_CHUNK, push_chunk};
use crate::model_server::reply::{Reply, Step, Then};
use crate::model_server::{anthropic, openai};

/// What a reply depends on besides the answer.
#[derive(Clone, Copy)]
pub(in crate::model_server) struct Exchange<'a> {
    pub dialect: Dialect,
    pub script: &'a Script,
    pub number: u64,
}

/// A well-formed answer, ready for damage.
enum Payload {
    Json(Value),
    Events(Vec<Event>),
}

impl Exchange<'_> {
    fn head(self, status: u16, content_type: &str) -> Head {
        let id = anthropic::request_id(self.number);
        let name = match self.dialect {
            Dialect::OpenAi => "x-request-id",
            Dialect::Anthropic => "request-id",
        };
        Head::new(status, content_type).header(name, &id)
    }

    /// A whole JSON body.
    pub fn json(self, status: u16, body: &Value) -> Reply {
        self.text(status, "application/json", &body.to_string())
    }

    fn text(self, status: u16, content_type: &str, body: &str) -> Reply {
        let mut reply = Reply::new(status);
        reply.send(&self.head(status, content_type).with_length(body.len()));
        reply.send(body.as_bytes());
        reply
    }

    fn error(self, failure: Failure) -> Value {
        self.dialect.error(failure, self.number)
    }

    fn scaled(self, wait: Duration) -> Duration {
        self.script.scaled(wait)
    }

    /// A stream, each token after its pause. `end`: whether the last chunk is sent.
    fn stream(self, events: &[Event], end: bool) -> Reply {
        let mut reply = Reply::new(200);
        reply.send(&self.head(200, "text/event-stream; charset=utf-8").chunked());
        let pause = self.script.tokens_per_second.map_or(Duration::ZERO, |rate| {
            Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX)
        });
        let mut chunks = Vec::new();
        for event in events {
            if event.kind == EventKind::Token && !pause.is_zero() {
                reply.send(&std::mem::take(&mut chunks));
                reply.pause(pause);
            }
            push_chunk(&mut chunks, &event.frame);
        }
        if end {
            chunks.extend_from_slice(LAST_CHUNK);
        }
        reply.send(&chunks);
        reply
    }
}

/// The reply to a conversation.
pub(in crate::model_server) fn reply(
    exchange: Exchange<'_>,
    asked: &Conversation,
    answer: Answer,
    shape: Option<Shape>,
) -> Reply {
    let Some(shape) = shape else {
        return exchange.whole(&exchange.render(asked, &answer, asked.stream));
    };
    if let Some(reply) = exchange.without_answer(shape, asked.stream) {
        return reply;
    }
    if let (Shape::NoPrefill(_), true) = (shape, asked.prefill.is_some()) {
        return exchange.json(400, &exchange.error(Failure::PrefillRefused));
    }
    let answer = rewritten(answer, shape);
    let stream = match shape {
        Shape::JsonForSse => false,
        Shape::SseForJson => true,
        _ => asked.stream,
    };
    match exchange.render(asked, &answer, stream) {
        Payload::Json(body) => exchange.damaged_json(&body, shape),
        Payload::Events(events) => exchange.damaged_stream(events, shape),
    }
}

impl Exchange<'_> {
    /// The reply to a request that has no conversation, such as embeddings: `body` is its answer.
    pub fn plain(self, body: &Value, shape: Option<Shape>) -> Reply {
        match shape {
            None => self.json(200, body),
            Some(shape) => match self.without_answer(shape, false) {
                Some(reply) => reply,
                None => self.damaged_json(body, shape),
            },
        }
    }

    fn render(self, asked: &Conversation, answer: &Answer, stream: bool) -> Payload {
        match (self.dialect, stream) {
            (Dialect::OpenAi, false) => {
                Payload::Json(openai::completion(asked, answer, self.number))
            }
            (Dialect::OpenAi, true) => Payload::Events(openai::chunks(asked, answer, self.number)),
            (Dialect::Anthropic, false) => {
                Payload::Json(anthropic::message(asked, answer, self.number))
            }
            (Dialect::Anthropic, true) => {
                Payload::Events(anthropic::events(asked, answer, self.number))
            }
        }
    }

    fn whole(self, payload: &Payload) -> Reply {
        match payload {
            Payload::Json(body) => self.json(200, body),
            Payload::Events(events) => self.stream(events, true),
        }
    }

    /// The faults that need no answer to damage.
    fn without_answer(self, shape: Shape, stream: bool) -> Option<Reply> {
        Some(match shape {
            Shape::Error(status, failure, retry_after) => {
                self.refusal(status, failure, retry_after)
            }
            Shape::Reset => Reply::without_head(Then::Reset),
            Shape::Silent(time) => Reply::without_head(Then::Cut).delayed(self.scaled(time)),
            Shape::Html(status) => self.text(status, "text/html", HTML),
            Shape::Error200 => self.json(200, &self.error(Failure::Server)),
            Shape::Empty200 if stream => self.stream(&[], true),
            Shape::Empty200 => self.text(200, "application/json", ""),
            Shape::Redirect => {
                let mut reply = Reply::new(307);
                let head = self.head(307, "text/plain").header("location", "/v1/elsewhere");
                reply.send(&head.with_length(0));
                reply
            }
            Shape::EndlessLine => self.endless_line(),
            Shape::OversizedHeaders => self.oversized_headers(),
            Shape::DecompressionBomb => {
                let bomb = gzip_of_zeros();
                let mut reply = Reply::new(200);
                let head = self.head(200, "application/json").header("content-encoding", "gzip");
                reply.send(&head.with_length(bomb.len()));
                reply.send(&bomb);
                reply
            }
            _ => return None,
        })
    }

    fn refusal(self, status: u16, failure: Failure, retry_after: RetryAfter) -> Reply {
        let body = self.error(failure).to_string();
        let head = self.head(status, "application/json");
        let head = match retry_after {
            RetryAfter::Nothing => head,
            RetryAfter::Header(name, value) => head.header(name, value),
            RetryAfter::Date(ahead) => head.header("retry-after", &http_date(ahead)),
        };
        let mut reply = Reply::new(status);
        reply.send(&head.with_length(body.len()));
        reply.send(body.as_bytes());
        reply
    }

    fn endless_line(self) -> Reply {
        let mut reply = Reply::new(200);
        reply.send(&self.head(200, "text/event-stream; charset=utf-8").chunked());
        let mut first = Vec::new();
        push_chunk(&mut first, b"data: {\"choices\":[{\"delta\":{\"content\":\"");
        reply.send(&first);
        let mut bytes = Vec::new();
        push_chunk(&mut bytes, &[b'a'; 64 * 1024]);
        reply.steps.push(Step::Repeat { bytes, times: 1024, every: Duration::ZERO });
        reply.then = Then::Cut;
        reply
    }

    fn oversized_headers(self) -> Reply {
        let mut reply = Reply::new(200);
        let value = "a".repeat(8 * 1024);
        let mut head = self.head(200, "application/json");
        for index in 0..256 {
            head = head.header(&format!("x-padding-{index}"), &value);
        }
        reply.send(&head.with_length(2));
        reply.send(b"{}");
        reply
    }

    fn damaged_json(self, body: &Value, shape: Shape) -> Reply {
        let body = body.to_string();
        let head = || self.head(200, "application/json").with_length(body.len());
        match shape {
            Shape::SlowFirstToken(time) => self.late_body(head(), &body, time),
            Shape::PingsOnly(times) => {
                self.late_body(head(), &body, Duration::from_secs(u64::from(times)))
            }
            Shape::Cut(cut) | Shape::NoPrefill(Some(cut)) => {
                self.short_body(&body, self.scaled(cut.silence), cut.how)
            }
            Shape::ShortBody | Shape::ErrorEvent(_) => {
                self.short_body(&body, Duration::ZERO, Broken::Unterminated)
            }
            Shape::BrokenEvent => self.text(200, "application/json", &body[..body.len() - 1]),
            Shape::DoneOnly => self.text(200, "application/json", "null"),
            Shape::DribbleHead(every) => self.dribble(0, &[head(), body.into_bytes()], every),
            Shape::DribbleBody(every) => {
                let head = head();
                self.dribble(head.len(), &[head, body.into_bytes()], every)
            }
            _ => {
                let mut reply = self.text(200, "application/json", &body);
                if shape == Shape::StaleConnection {
                    reply.then = Then::Close;
                }
                reply
            }
        }
    }

    fn late_body(self, head: Vec<u8>, body: &str, wait: Duration) -> Reply {
        let mut reply = Reply::new(200);
        reply.send(&head);
        reply.pause(self.scaled(wait));
        reply.send(body.as_bytes());
        reply
    }

    /// Two thirds of a body whose length was announced in full. A body cannot end cleanly there,
    /// so a clean end announces only what it sends.
    fn short_body(self, body: &str, silence: Duration, how: Broken) -> Reply {
        let mut length = body.len() * 2 / 3;
        while !body.is_char_boundary(length) {
            length -= 1;
        }
        let announced = if how == Broken::CleanEnd { length } else { body.len() };
        let mut reply = Reply::new(200);
        reply.send(&self.head(200, "application/json").with_length(announced));
        reply.send(&body.as_bytes()[..length]);
        reply.pause(silence);
        reply.then = match how {
            Broken::Unterminated => Then::Cut,
            Broken::Reset => Then::Reset,
            Broken::CleanEnd => Then::KeepAlive,
        };
        reply
    }

    /// Sends the first `at_once` bytes, then the rest a byte at a time.
    fn dribble(self, at_once: usize, parts: &[Vec<u8>], every: Duration) -> Reply {
        let bytes = parts.concat();
        let every = self.scaled(every);
        let mut reply = Reply::new(200);
        if at_once > 0 {
            reply.send(&bytes[..at_once]);
        }
        for byte in &bytes[at_once..] {
            reply.pause(every);
            reply.steps.push(Step::Send(vec![*byte]));
        }
        reply
    }

    fn damaged_stream(self, mut events: Vec<Event>, shape: Shape) -> Reply {
        match shape {
            Shape::SlowFirstToken(time) => {
                let split = first_token(&events);
                self.interrupted(&events, split, |reply| reply.pause(self.scaled(time)))
            }
            Shape::PingsOnly(times) => {
                let split = first_token(&events);
                let mut bytes = Vec::new();
                let ping: &[u8] = match self.dialect {
                    Dialect::OpenAi => b": keep-alive\n\n",
                    Dialect::Anthropic => b"event: ping\ndata: {\"type\":\"ping\"}\n\n",
                };
                push_chunk(&mut bytes, ping);
                let every = self.scaled(Duration::from_secs(1));
                let times = usize::try_from(times).unwrap_or(usize::MAX);
                self.interrupted(&events, split, move |reply| {
                    reply.steps.push(Step::Repeat { bytes, times, every });
                })
            }
            Shape::Cut(cut) | Shape::NoPrefill(Some(cut)) => self.cut_stream(events, cut),
            Shape::ShortBody => self.cut_stream(events, super::cut(40, 0, Broken::Unterminated)),
            Shape::BrokenEvent => {
                let position = after_tokens(&events, 20);
                events.insert(position, self.dialect.broken_event());
                self.stream(&events, true)
            }
            Shape::NoDone => {
                events.retain(|event| event.kind != EventKind::Done);
                self.stream(&events, true)
            }
            Shape::DoneOnly => {
                events.retain(|event| event.kind == EventKind::Done);
                self.stream(&events, true)
            }
            Shape::NoFinish if self.dialect == Dialect::Anthropic => {
                events.retain(|event| event.kind != EventKind::Finish);
                self.stream(&events, true)
            }
            Shape::ErrorEvent(tokens) => {
                let position = if tokens == 0 { 0 } else { after_tokens(&events, tokens) };
                events.truncate(position);
                events.push(self.dialect.error_event(Failure::Overloaded, self.number));
                self.stream(&events, true)
            }
            Shape::DribbleHead(every) => {
                let head = self.head(200, "text/event-stream; charset=utf-8").chunked();
                self.dribble(0, &[head, chunked(&events)], every)
            }
            Shape::DribbleBody(every) => {
                let head = self.head(200, "text/event-stream; charset=utf-8").chunked();
                self.dribble(head.len(), &[head, chunked(&events)], every)
            }
            _ => {
                let mut reply = self.stream(&events, true);
                if shape == Shape::StaleConnection {
                    reply.then = Then::Close;
                }
                reply
            }
        }
    }

    /// A whole stream with something between two of its events.
    fn interrupted(
        self,
        events: &[Event],
        split: usize,
        interrupt: impl FnOnce(&mut Reply),
    ) -> Reply {
        let (before, after) = events.split_at(split);
        let mut reply = self.stream(before, false);
        interrupt(&mut reply);
        reply.steps.push(Step::Send(chunked(after)));
        reply
    }

    fn cut_stream(self, mut events: Vec<Event>, cut: Cut) -> Reply {
        events.truncate(after_tokens(&events, cut.after_tokens));
        let mut reply = self.stream(&events, cut.how == Broken::CleanEnd);
        reply.pause(self.scaled(cut.silence));
        match cut.how {
            Broken::Unterminated => reply.then = Then::Cut,
            Broken::CleanEnd => {}
            Broken::Reset => {
                // A RST discards what the client has not read yet: give it a moment to read.
                reply.pause(Duration::from_millis(50));
                reply.then = Then::Reset;
            }
        }
        reply
    }
}

/// The damage done to the answer itself.
fn rewritten(mut answer: Answer, shape: Shape) -> Answer {
    match shape {
        Shape::NoUsage => answer.usage = None,
        Shape::AbsurdUsage => {
            let output = 9_007_199_254_740_993;
            answer.usage = Some(Usage { input: -7, cached: 0, output, reasoning: 0 });
        }
        Shape::NoFinish => answer.stop = None,
        Shape::LengthEmpty => {
            answer.text.clear();
            answer.calls.clear();
            answer.stop = Some(Stop::Length);
            if let Some(usage) = &mut answer.usage {
                usage.reasoning = usage.output;
            }
        }
        Shape::HalfToolCall => {
            if let Some(call) = answer.calls.last_mut() {
                let whole = call.fragments.concat();
                call.fragments = vec![whole.chars().take(whole.chars().count() / 2).collect()];
            }
        }
        _ => {}
    }
    answer
}

fn first_token(events: &[Event]) -> usize {
    let first = events.iter().position(|event| event.kind == EventKind::Token);
    first.unwrap_or(events.len())
}

/// The position just after this many tokens; of a shorter answer, after two thirds of it.
fn after_tokens(events: &[Event], tokens: usize) -> usize {
    let places: Vec<usize> = events
        .iter()
        .enumerate()
        .filter(|(_, event)| event.kind == EventKind::Token)
        .map(|(place, _)| place + 1)
        .collect();
    let wanted = tokens.min(places.len() * 2 / 3);
    match wanted.checked_sub(1) {
        Some(last) => places.get(last).copied().unwrap_or(events.len()),
        None => first_token(events),
    }
}

fn chunked(events: &[Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        push_chunk(&mut bytes, &event.frame);
    }
    bytes.extend_from_slice(LAST_CHUNK);
    bytes
}

fn http_date(seconds_ahead: i64) -> String {
    let moment = Timestamp::now()
        .checked_add(SignedDuration::from_secs(seconds_ahead))
        .unwrap_or(Timestamp::MAX);
    moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

const HTML: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

/// A gzip member (RFC 1952) of zeros in one fixed-Huffman block (RFC 1951): a literal zero, then
/// copies of 258 bytes from one byte back, 13 bits each. It has no end.
fn gzip_of_zeros() -> Vec<u8> {
    const COPIES: usize = 670_000;
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut pending, mut count) = (0_u32, 0_u32);
    let mut push = |bits: &str| {
        for bit in bits.bytes() {
            pending |= u32::from(bit - b'0') << count;
            count += 1;
            if count == 8 {
                bytes.push(pending as u8);
                (pending, count) = (0, 0);
            }
        }
    };
    // Last block, fixed codes (type 01, low bit first), literal 0.
    push("110");
    push("00110000");
    for _ in 0..COPIES {
        // Length code 285, distance code 0.
        push("11000101");
        push("00000");
    }
    bytes
}
