//! Requests that were recorded, ready to be asked again or scored.

use delivery::{DeliveryError, TenantDelivery};
use evaluation::answer::Answer;
use evaluation::suite::{Case, Input};
use gateway::Settings;
use models::{ChatRequest, Dialect, Message, Passage, RequestField, openai_messages};
use monitoring::query::QueryError;
use monitoring::{AnswerRecord, Captured, Outcome, TraceId, answers};
use release::TenantId;
use serde_json::json;

use super::Evaluations;
use super::answerer::seen;

/// Why a trace cannot be asked again.
#[derive(Debug, thiserror::Error)]
pub enum NotRecorded {
    /// The tenant has no such trace.
    #[error("there is no trace `{0}`")]
    Unknown(TraceId),
    /// No app of ours answered.
    #[error("trace `{0}` is of other services: only what an app answered here can be asked again")]
    Foreign(TraceId),
    /// It was a call for vectors.
    #[error("trace `{0}` is of a call for embeddings: there is no answer that could be compared")]
    Embeddings(TraceId),
    /// Only its length or digest was kept.
    #[error(
        "what trace `{0}` asked was not recorded: the app's `capture` kept no content, or the log \
         was short of room"
    )]
    NotCaptured(TraceId),
    /// It was recorded, and is no longer there.
    #[error("what trace `{0}` asked is gone: it was erased, or its time was over")]
    Gone(TraceId),
    /// What is there is no conversation.
    #[error("what trace `{trace}` asked cannot be read: {why}")]
    Unreadable {
        /// The trace.
        trace: TraceId,
        /// What is wrong with it.
        why: String,
    },
    /// Telemetry could not be asked.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// What was erased could not be told.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

/// A request that was recorded, and what was answered.
#[derive(Debug)]
pub struct Recorded {
    /// Its record.
    pub record: AnswerRecord,
    /// What was asked, in the dialect that it came in.
    pub request: ChatRequest,
    /// The request fields that the client set itself, as far as what to is recorded.
    pub set: Vec<(RequestField, String)>,
    /// What was answered, or why that cannot be told.
    pub answer: Result<models::Answer, &'static str>,
}

impl Evaluations {
    /// What was recorded of a tenant's trace.
    ///
    /// # Errors
    /// If it cannot be asked again.
    pub async fn recorded(
        &self,
        delivery: &TenantDelivery,
        (tenant, trace): (&TenantId, TraceId),
    ) -> Result<Recorded, NotRecorded> {
        let spans = answers::spans(&self.queries, tenant, trace).await?;
        let Some(record) = answers::answer(&self.queries, tenant, &spans).await? else {
            return Err(match spans.is_empty() {
                true => NotRecorded::Unknown(trace),
                false => NotRecorded::Foreign(trace),
            });
        };
        let (request, set) = asked(&record)?;
        let erased = match &record.retrieval {
            None => false,
            Some(retrieval) => {
                let erased = delivery.erased_since(retrieval.snapshot, record.started_at).await?;
                retrieval.chunks.iter().any(|chunk| erased.contains(&chunk.document))
            }
        };
        let answer = match &record.output {
            // It may quote them.
            _ if erased => Err("a document that grounded it was erased"),
            Captured::Full { json } => {
                serde_json::from_str(json).map_err(|_| "what is recorded of it cannot be read")
            }
            Captured::Gone => Err("it was erased, or its time was over"),
            _ => Err("it was not recorded"),
        };
        Ok(Recorded { record, request, set, answer })
    }
}

/// A request, and the fields of it that the client set itself.
pub type Request = (ChatRequest, Vec<(RequestField, String)>);

/// What was asked, as it is recorded.
///
/// # Errors
/// If it is not.
pub fn asked(record: &AnswerRecord) -> Result<Request, NotRecorded> {
    let trace = record.trace;
    // Every request for an answer is composed before a model is called or a rule blocks.
    let composed = record.steps.iter().any(|step| step.name == "compose");
    let went_on = record.generation.is_some() || matches!(record.outcome, Outcome::Blocked { .. });
    if went_on && !composed {
        return Err(NotRecorded::Embeddings(trace));
    }
    let json = match &record.input {
        Captured::Full { json } => json,
        Captured::Gone => return Err(NotRecorded::Gone(trace)),
        Captured::Hashed { .. } | Captured::Length { .. } => {
            return Err(NotRecorded::NotCaptured(trace));
        }
    };
    let unreadable =
        |error: serde_json::Error| NotRecorded::Unreadable { trace, why: error.to_string() };
    let messages: Vec<Message> = serde_json::from_str(json).map_err(unreadable)?;
    let settings = Settings::of(record).map_err(unreadable)?;
    let (request, set) = settings.map_or_else(
        || {
            let anthropic = record.dialect == "anthropic";
            let dialect = if anthropic { Dialect::Anthropic } else { Dialect::OpenAi };
            (ChatRequest::new(dialect), Vec::new())
        },
        |settings| (settings.request, settings.set),
    );
    Ok((ChatRequest { messages, ..request }, set))
}

/// A recorded request as a case of a suite: nobody has said what a good answer is.
///
/// # Errors
/// What of it has no place in a case.
pub fn case(trace: TraceId, request: &ChatRequest) -> Result<Case, String> {
    let messages = openai_messages(request)?;
    let single = match messages.as_slice() {
        [only] if only["role"] == "user" => only["content"].as_str(),
        _ => None,
    };
    let input = single.map_or_else(|| json!(messages), |text| json!(text));
    let input: Input = serde_json::from_value(input).map_err(|error| error.to_string())?;
    if let Some(wrong) = input.wrong() {
        return Err(wrong.to_owned());
    }
    let metadata = request.metadata.clone().into_iter().collect();
    Ok(Case::recorded(trace.to_string(), input, metadata))
}

impl Recorded {
    /// The answer as scorers see it, with the passages that it was given.
    pub fn seen(&self, passages: &[Passage]) -> Option<Answer> {
        self.answer.as_ref().ok().map(|answer| seen(answer, &self.record, passages))
    }
}

#[cfg(test)]
mod tests;
