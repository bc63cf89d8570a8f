//! From a response's body to an answer's events, whatever the dialect.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::time::Instant;

use crate::assemble::Assembler;
use crate::http::{Form, Reply};
use crate::sse::EventReader;
use crate::{Event, EventStream, ProviderError, Stage};

/// How long the epilogue of an answer may take once its finish reason has come.
const EPILOGUE: Duration = Duration::from_secs(5);

/// How long the end of a body may take after the answer's end. A body that was read to its end
/// leaves its connection fit for the next request.
const BODY_END: Duration = Duration::from_millis(100);

/// Reads one dialect.
pub(crate) trait Decoder: Send + 'static {
    /// Takes in the data of one server-sent event; `Done` after the dialect's terminator.
    fn event(&mut self, data: &[u8], to: &mut Assembler) -> Result<Progress, ProviderError>;

    /// Takes in a whole JSON answer.
    fn body(&mut self, body: &[u8], to: &mut Assembler) -> Result<(), ProviderError>;
}

/// Whether more events are to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Done,
}

/// The events of the answer in `reply`, read by `decoder`. A JSON body is read here, so that its
/// errors come before any event; a stream of events is read as it is polled. The form is judged
/// by the body, whichever of the two was asked for.
pub(crate) async fn events<D: Decoder>(
    mut reply: Reply,
    mut decoder: D,
    mut assembler: Assembler,
    first_token: Option<Duration>,
) -> Result<EventStream, ProviderError> {
    let mut first = Bytes::new();
    let mut form = reply.form;
    while form == Form::Unclear {
        match reply.chunk().await? {
            None => return Err(ProviderError::Truncated { what: "the body is empty" }),
            Some(chunk) if first.is_empty() => first = chunk,
            Some(chunk) => first = [first, chunk].concat().into(),
        }
        form = Form::guess(&first).unwrap_or(Form::Unclear);
        if form == Form::Unclear && first.len() > 64 {
            break;
        }
    }
    match form {
        Form::Events => {
            let mut reader = EventReader::default();
            reader.push(&first)?;
            let first_token = first_token.map(|limit| (Instant::now() + limit, limit));
            let state =
                Reading { reply, reader, decoder, assembler, first_token, step: Step::Read };
            Ok(state.into_stream())
        }
        Form::Json => {
            let body = reply.body(first).await?;
            if body.trim_ascii().is_empty() {
                return Err(ProviderError::Truncated { what: "the body is empty" });
            }
            decoder.body(&body, &mut assembler)?;
            assembler.finish()?;
            let events = std::iter::from_fn(move || assembler.pop().map(Ok));
            Ok(stream::iter(events).boxed())
        }
        Form::Html => {
            let what = "an HTML page came where an answer was asked for".to_owned();
            Err(ProviderError::Protocol { what })
        }
        Form::Unclear => {
            let what = "the body is neither JSON nor server-sent events".to_owned();
            Err(ProviderError::Protocol { what })
        }
    }
}

struct Reading<D> {
    reply: Reply,
    reader: EventReader,
    decoder: D,
    assembler: Assembler,
    /// When the first piece of content is due, and the limit that says so.
    first_token: Option<(Instant, Duration)>,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// More is to be read.
    Read,
    /// The answer failed.
    Fail(ProviderError),
    /// The answer is complete, the body perhaps not.
    Done,
    /// Nothing follows but what is ready.
    Over,
}

impl<D: Decoder> Reading<D> {
    fn into_stream(self) -> BoxStream<'static, Result<Event, ProviderError>> {
        stream::unfold(self, |mut reading| async move {
            let item = reading.next().await?;
            Some((item, reading))
        })
        .boxed()
    }

    /// The next event; what was read before a failure is given out before it.
    async fn next(&mut self) -> Option<Result<Event, ProviderError>> {
        loop {
            if let Some(event) = self.assembler.pop() {
                return Some(Ok(event));
            }
            match std::mem::replace(&mut self.step, Step::Over) {
                Step::Read => {
                    self.step = Step::Read;
                    if let Err(error) = self.advance().await {
                        self.step = Step::Fail(error);
                    }
                }
                Step::Fail(error) => return Some(Err(error)),
                Step::Done => self.read_to_end().await,
                Step::Over => return None,
            }
        }
    }

    /// Reads until an event is ready or the answer is at its end.
    async fn advance(&mut self) -> Result<(), ProviderError> {
        while let Some(data) = self.reader.next()? {
            if self.decoder.event(data, &mut self.assembler)? == Progress::Done {
                return self.finish();
            }
        }
        if self.assembler.is_ready() {
            return Ok(());
        }
        let chunk = match (self.assembler.has_reason(), self.first_token) {
            (true, _) => {
                let at = Instant::now() + EPILOGUE;
                // The answer itself is complete: a missing terminator changes nothing.
                self.reply.chunk_by(at, Stage::Idle, EPILOGUE).await.unwrap_or_default()
            }
            (false, Some((at, limit))) if !self.assembler.has_content() => {
                self.reply.chunk_by(at, Stage::FirstToken, limit).await.map_err(cut_off)?
            }
            _ => self.reply.chunk().await.map_err(cut_off)?,
        };
        match chunk {
            Some(bytes) => self.reader.push(&bytes),
            None => {
                if let Some(data) = self.reader.finish()? {
                    self.decoder.event(data, &mut self.assembler)?;
                }
                self.finish()
            }
        }
    }

    async fn read_to_end(&mut self) {
        let at = Instant::now() + BODY_END;
        // What follows the answer is of no interest, and neither is how it fails.
        while let Ok(Some(_)) = self.reply.chunk_by(at, Stage::Idle, BODY_END).await {}
    }

    fn finish(&mut self) -> Result<(), ProviderError> {
        self.step = Step::Done;
        self.assembler.finish()
    }
}

/// A connection that breaks in the middle of a stream cuts the answer off.
fn cut_off(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::Transport { .. } => {
            ProviderError::Truncated { what: "the connection broke before the answer's end" }
        }
        other => other,
    }
}

/// Where parsing failed, without quoting the text.
pub(crate) fn json_fault(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "it ends early",
        serde_json::error::Category::Syntax => "its syntax is wrong",
        _ => "a field has an unexpected type",
    };
    format!("{kind} at line {} column {}", error.line(), error.column())
}
