//! What a request leaves behind: its record in the making.

use std::sync::Arc;
use std::time::Instant;

use cost::Cost;
use knowledge::{Found, Reranked, vector_to_hex};
use models::{
    Answer, CapturePolicy, Event, FinishReason, ModelSpec, Part, Passage, Usage, estimate,
};
use monitoring::{
    AnswerRecord, Captured, Finding, Generation, Outcome, Retrieval, RetrievedChunk, Step, TraceId,
};
use release::Digest;
use security::guardrails::{Hit, RuleAction};

use super::{Bound, Settings};
use crate::{Gateway, GatewayError};

/// A record in the making.
pub struct Trail {
    began: Instant,
    record: AnswerRecord,
    capture: CapturePolicy,
    answer: Answer,
    /// What grounded the answer.
    passages: Arc<[Passage]>,
    /// The request's size in tokens, as we count.
    input_estimate: u64,
    first_piece: Option<f64>,
    blocked: Option<String>,
}

impl Trail {
    /// Begins at the moment a request is bound.
    pub fn begin(gateway: &Gateway, bound: &Bound) -> Self {
        let binding = &bound.binding;
        let capture = bound.loaded.config.capture;
        let input = serde_json::to_string(&bound.request.messages).unwrap_or_default();
        let record = AnswerRecord {
            trace: bound.trace,
            tenant: bound.tenant.clone(),
            app: bound.app.clone(),
            environment: binding.environment.clone(),
            release: binding.release,
            plan: binding.plan.clone(),
            step: binding.step,
            arm: binding.arm.clone(),
            unit: binding.unit.clone(),
            principal: bound.principal.clone(),
            dialect: match bound.request.dialect {
                models::Dialect::OpenAi => "openai".to_owned(),
                models::Dialect::Anthropic => "anthropic".to_owned(),
            },
            stream: bound.request.stream,
            aside: bound.aside.clone(),
            copy_dropped: bound.copy_dropped.map(str::to_owned),
            started_at: gateway.parts.clock.now(),
            steps: Vec::new(),
            retrieval: None,
            generation: None,
            findings: Vec::new(),
            overrides: bound.set.iter().map(|(_, name)| name.clone()).collect(),
            settings: Settings::kept(capture, bound),
            outcome: Outcome::Answered,
            input: keep(capture, input),
            output: Captured::Length { bytes: 0 },
        };
        Self {
            began: Instant::now(),
            record,
            capture,
            answer: Answer::default(),
            passages: Arc::new([]),
            input_estimate: bound.request.estimate(),
            first_piece: None,
            blocked: None,
        }
    }

    pub fn trace(&self) -> TraceId {
        self.record.trace
    }

    /// Nanoseconds since the request was bound.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub fn step(&mut self, name: &str, begin_ns: u64) {
        let end_ns = self.now();
        self.record.steps.push(Step { name: name.to_owned(), begin_ns, end_ns });
    }

    /// What was found, and by which vector of the question: with it the retrieval can be done again
    /// without its embedder. It tells about as much as the question, so it is kept only with it.
    pub fn retrieved(&mut self, snapshot: Digest, found: &Found, vector: Option<&[f32]>) {
        let chunks = found.passages.iter().map(|found| RetrievedChunk {
            id: found.id.to_string(),
            document: found.document.clone(),
            score: f64::from(found.score),
            start: found.start,
            end: found.end,
        });
        let vector = vector.filter(|_| self.capture == CapturePolicy::Full).map(vector_to_hex);
        let rerank_failure = match &found.reranked {
            Some(Reranked::Failed(why)) => Some(why.clone()),
            _ => None,
        };
        let chunks = chunks.collect();
        self.record.retrieval = Some(Retrieval { snapshot, chunks, vector, rerank_failure });
    }

    pub fn grounded_on(&mut self, passages: &Arc<[Passage]>) {
        self.passages = Arc::clone(passages);
    }

    pub fn findings(&mut self, on: &str, hits: &[Hit]) {
        for hit in hits {
            let action = match hit.action {
                RuleAction::Block => "block",
                RuleAction::Flag => "flag",
            };
            let finding =
                Finding { rule: hit.rule.clone(), on: on.to_owned(), action: action.to_owned() };
            if !self.record.findings.contains(&finding) {
                self.record.findings.push(finding);
            }
        }
    }

    pub fn blocked(&mut self, rule: &str) {
        self.blocked = Some(rule.to_owned());
    }

    pub fn called(&mut self, model: &ModelSpec, binding: Option<Digest>) {
        self.record.generation = Some(Generation {
            provider: model.provider.to_string(),
            binding,
            request_model: model.id().to_owned(),
            ..Generation::default()
        });
    }

    pub fn event(&mut self, event: &Event) {
        if self.first_piece.is_none() && event.says_something() {
            self.first_piece = Some(self.began.elapsed().as_secs_f64());
        }
        self.answer.push(event);
    }

    /// What was used up to now. A provider tells it at the end: before that, what was said is
    /// counted here, and nothing said is nothing used.
    pub fn usage_so_far(&self) -> Usage {
        let words = self.answer.content.iter().map(|block| match &block.part {
            Part::Text { text } | Part::Reasoning { text, .. } | Part::Refusal { text } => {
                estimate(text)
            }
            Part::ToolCall { arguments, .. } => estimate(arguments),
            _ => 0,
        });
        let (told, written) = (self.answer.usage, words.sum::<u64>());
        if written <= told.output_tokens {
            return told;
        }
        let input_tokens =
            if told.input_tokens > 0 { told.input_tokens } else { self.input_estimate };
        Usage { input_tokens, output_tokens: written, estimated: true, ..told }
    }

    /// What it used, what that cost, and how it ended.
    pub fn settle(&mut self, gateway: &Gateway, result: Result<&FinishReason, &GatewayError>) {
        let at = self.record.started_at;
        if self.answer.finish.is_none() {
            self.answer.usage = self.usage_so_far();
        }
        if let Some(generation) = &mut self.record.generation {
            let Answer { started, usage, .. } = &self.answer;
            generation.response_model.clone_from(&started.model);
            generation.response_id.clone_from(&started.id);
            generation.fingerprint.clone_from(&started.fingerprint);
            generation.time_to_first_chunk = self.first_piece;
            generation.input_tokens = usage.input_tokens;
            generation.output_tokens = usage.output_tokens;
            generation.cache_read_tokens = usage.cache_read_tokens;
            generation.cache_creation_tokens = usage.cache_creation_tokens;
            generation.reasoning_tokens = usage.reasoning_tokens;
            generation.usage_estimated = usage.estimated;
            generation.unreadable_events = self.answer.unreadable;
            let model = match generation.response_model.as_str() {
                "" => &generation.request_model,
                model => model,
            };
            match gateway.parts.prices.price(&generation.provider, model, usage, at) {
                Cost::Priced { money } => generation.cost = Some(money),
                Cost::Unpriced { reason } => generation.unpriced = Some(reason.as_str().to_owned()),
            }
            generation.finish = result.ok().map(|finish| finish.as_str().to_owned());
        }
        self.record.outcome = match (result, self.blocked.take()) {
            (_, Some(rule)) => Outcome::Blocked { rule },
            (Ok(_), None) => Outcome::Answered,
            (Err(GatewayError::Blocked { rule, .. }), None) => {
                Outcome::Blocked { rule: rule.clone() }
            }
            (Err(GatewayError::HungUp), None) => Outcome::Cancelled,
            (Err(error), None) => {
                let message = match error {
                    GatewayError::Provider(error) => error.detail(),
                    error => error.to_string(),
                };
                Outcome::Failed { kind: error.kind().to_owned(), message }
            }
        };
        let output = serde_json::to_string(&self.answer).unwrap_or_default();
        self.record.output = keep(self.capture, output);
    }

    pub fn into_record(self) -> (AnswerRecord, Arc<[Passage]>) {
        (self.record, self.passages)
    }
}

/// What the capture policy keeps of a text.
fn keep(capture: CapturePolicy, json: String) -> Captured {
    let bytes = json.len() as u64;
    match capture {
        CapturePolicy::Full => Captured::Full { json },
        CapturePolicy::Hashed => Captured::Hashed { digest: Digest::of(json.as_bytes()), bytes },
        CapturePolicy::None => Captured::Length { bytes },
    }
}
