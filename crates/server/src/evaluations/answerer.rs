//! A release that answers cases as it would answer clients.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use delivery::EvaluationPlan;
use evaluation::answer::{Answer, Passage, ToolCall, Usage};
use evaluation::judge::CallError;
use evaluation::run::Answerer;
use evaluation::suite::Case;
use gateway::{Asked, Gateway, GatewayError, Loaded, Loader, Trial, Tried};
use models::{FinishReason, Part};
use monitoring::{AnswerRecord, Outcome};
use release::{EnvironmentName, PrincipalId, TenantId};
use serde_json::{Map, Value, json};

/// A release that is evaluated.
pub struct Candidate {
    gateway: Arc<Gateway>,
    loader: Loader,
    tenant: TenantId,
    principal: PrincipalId,
    environment: EnvironmentName,
    evaluation: String,
    loaded: Mutex<Arc<Loaded>>,
}

impl Candidate {
    /// The release of a plan, once it is loaded.
    pub fn new(
        (gateway, loader): (Arc<Gateway>, Loader),
        plan: &EvaluationPlan,
        (tenant, principal): (&TenantId, &PrincipalId),
        loaded: Loaded,
    ) -> Self {
        let (environment, evaluation) = (plan.environment.clone(), plan.id.clone());
        let (tenant, principal) = (tenant.clone(), principal.clone());
        let loaded = Mutex::new(Arc::new(loaded));
        Self { gateway, loader, tenant, principal, environment, evaluation, loaded }
    }

    /// The release, loaded anew if documents of it were erased meanwhile.
    async fn current(&self) -> Result<Arc<Loaded>, CallError> {
        let known = Arc::clone(&self.loaded.lock().unwrap_or_else(PoisonError::into_inner));
        if self.loader.is_current(&self.tenant, &known).await {
            return Ok(known);
        }
        let anew = self.loader.load(&self.tenant, known.release.digest()).await;
        let anew = Arc::new(anew.map_err(CallError)?);
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&anew);
        Ok(anew)
    }
}

#[async_trait]
impl Answerer for Candidate {
    async fn answer(&self, case: &Case, _: u32) -> Result<Answer, CallError> {
        let trial = Trial {
            tenant: self.tenant.clone(),
            principal: self.principal.clone(),
            environment: self.environment.clone(),
            loaded: self.current().await?,
            evaluation: self.evaluation.clone(),
            asked: Asked::Body(body(case)),
        };
        let tried = self.gateway.try_release(trial).await;
        answered(tried.map_err(|error| CallError(error.to_string()))?)
    }
}

/// A case as a request.
fn body(case: &Case) -> Map<String, Value> {
    let messages = case.input.messages().into_iter();
    let messages: Vec<Value> = messages.map(|message| message.fields().clone().into()).collect();
    let mut body = Map::from_iter([("messages".to_owned(), messages.into())]);
    if !case.metadata.is_empty() {
        body.insert("metadata".to_owned(), json!(case.metadata));
    }
    body
}

/// What came of it, as scorers see it. A refusal by a guardrail is an answer.
pub fn answered(tried: Tried) -> Result<Answer, CallError> {
    let Tried { answer, failed, record, passages } = tried;
    match failed {
        Some(GatewayError::Blocked { message, .. }) => {
            Ok(Answer { text: message, ..seen(&answer, &record, &passages) })
        }
        // The record tells more than clients are told.
        Some(error) => Err(CallError(match record.outcome {
            Outcome::Failed { message, .. } => message,
            _ => error.to_string(),
        })),
        None => Ok(seen(&answer, &record, &passages)),
    }
}

/// An answer as scorers see it, with its record and the passages that it was given.
pub fn seen(
    answer: &models::Answer,
    record: &AnswerRecord,
    passages: &[models::Passage],
) -> Answer {
    let blocked = matches!(record.outcome, Outcome::Blocked { .. });
    let refusal: String = answer.content.iter().filter_map(|it| refusal(&it.part)).collect();
    let declined =
        matches!(answer.finish, Some(FinishReason::Refusal | FinishReason::ContentFilter));
    let text = answer.text();
    let refused = blocked || declined || !refusal.is_empty();
    let text = if text.is_empty() { refusal } else { text };
    let chunks = record.retrieval.iter().flat_map(|retrieval| &retrieval.chunks);
    let scores: HashMap<&str, f64> = chunks.map(|chunk| (chunk.id.as_str(), chunk.score)).collect();
    let passages = passages.iter().map(|passage| Passage {
        id: passage.id.clone(),
        document: passage.source.clone(),
        text: passage.text.clone(),
        score: scores.get(passage.id.as_str()).copied(),
    });
    let generation = record.generation.as_ref();
    let nanoseconds = record.steps.iter().map(|step| step.end_ns).max().unwrap_or_default();
    Answer {
        text,
        citations: answer.citations.iter().map(|citation| citation.id.clone()).collect(),
        passages: passages.collect(),
        tool_calls: answer.content.iter().filter_map(|it| tool_call(&it.part)).collect(),
        refused,
        finish_reason: answer.finish.as_ref().map(|finish| finish.as_str().to_owned()),
        model: generation.map(|it| it.response_model.clone()).filter(|model| !model.is_empty()),
        usage: generation
            .map(|it| Usage { input_tokens: it.input_tokens, output_tokens: it.output_tokens }),
        cost: generation.and_then(|it| it.cost),
        latency: Some(nanoseconds as f64 / 1e9),
        trace: Some(record.trace.to_string()),
    }
}

fn refusal(part: &Part) -> Option<&str> {
    match part {
        Part::Refusal { text } => Some(text),
        _ => None,
    }
}

fn tool_call(part: &Part) -> Option<ToolCall> {
    let Part::ToolCall { name, arguments, .. } = part else { return None };
    // Arguments that are no JSON are compared as they are.
    let parsed = serde_json::from_str(arguments);
    let arguments = parsed.unwrap_or_else(|_| Value::String(arguments.clone()));
    Some(ToolCall { name: name.clone(), arguments })
}
