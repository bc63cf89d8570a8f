//! Asking a release that need not be live, as evaluations and replays do.
//!
//! It is bound by hand; from there on it goes the way of every request, and leaves the same record,
//! marked with the evaluation or the replay that asked.

use std::sync::Arc;

use models::{Answer, ChatRequest, Passage, RequestField};
use monitoring::{AnswerRecord, Aside};
use release::{
    AppName, Binding, Digest, EnvironmentName, PrincipalId, ReleaseDigest, TenantId, Unit,
};
use serde_json::{Map, Value};

use super::{Bound, Client, Out, answer_bound};
use crate::dialect::Dialect;
use crate::dialect::openai::OpenAi;
use crate::{Gateway, GatewayError, Loaded};

/// One question of an evaluation.
#[derive(Debug, Clone)]
pub struct Trial {
    /// For whom.
    pub tenant: TenantId,
    /// In whose name.
    pub principal: PrincipalId,
    /// The environment whose providers answer.
    pub environment: EnvironmentName,
    /// The release.
    pub loaded: Arc<Loaded>,
    /// The evaluation or the replay that asks.
    pub evaluation: String,
    /// The question.
    pub asked: Asked,
}

/// What is asked.
#[derive(Debug, Clone)]
pub enum Asked {
    /// A request of OpenAI's Chat Completions without its `model`.
    Body(Map<String, Value>),
    /// A request that was recorded.
    Recorded {
        /// The request.
        request: Box<ChatRequest>,
        /// The request fields that the client set itself.
        set: Vec<(RequestField, String)>,
        /// Its question's vector, where that is known.
        vector: Option<KnownVector>,
    },
}

/// A question's vector that was made before.
#[derive(Debug, Clone)]
pub struct KnownVector {
    /// The identity of the embedder that made it: it says nothing to another's passages.
    pub embedder: Digest,
    /// Its numbers.
    pub values: Arc<[f32]>,
}

/// What came of a question.
#[derive(Debug)]
pub struct Tried {
    /// The answer, as a client would have got it.
    pub answer: Answer,
    /// Why it is not whole, if it is not.
    pub failed: Option<GatewayError>,
    /// Its record.
    pub record: AnswerRecord,
    /// The passages that the model was given, best first.
    pub passages: Arc<[Passage]>,
}

impl Gateway {
    /// Asks a release, whether or not it is live. It runs in a task of its own: whoever stops
    /// waiting for it loses the answer, not the record of it.
    ///
    /// # Errors
    /// If it cannot be asked at all; then it has no record.
    pub async fn try_release(self: &Arc<Self>, trial: Trial) -> Result<Tried, GatewayError> {
        let bound = self.bind_by_hand(trial)?;
        let (client, mut back) = Client::pair();
        let (gateway, under_way) = (Arc::clone(self), self.under_way());
        let answering = tokio::spawn(async move {
            let told = answer_bound(&gateway, bound, client).await;
            drop(under_way);
            told
        });
        let (mut answer, mut failed) = (Answer::default(), None);
        while let Some((_, out)) = back.recv().await {
            match out {
                Out::Events(events) => events.iter().for_each(|event| answer.push(event)),
                Out::Finished(finish) => answer.finish = Some(finish),
                Out::Failed(error) => failed = Some(error),
            }
        }
        let (record, passages) = answering.await.map_err(|_| GatewayError::Stopped)?;
        Ok(Tried { answer, failed, record, passages })
    }

    fn bind_by_hand(&self, trial: Trial) -> Result<Bound, GatewayError> {
        let Trial { tenant, principal, environment, loaded, evaluation, asked } = trial;
        self.parts.traces.admits().map_err(GatewayError::Unrecorded)?;
        let app: AppName = loaded.release.app().clone();
        let (request, set, vector) = match asked {
            Asked::Body(mut body) => {
                body.insert("model".to_owned(), app.to_string().into());
                let parsed = OpenAi::parse(body)?;
                (parsed.request, parsed.set, None)
            }
            Asked::Recorded { request, set, vector } => (*request, set, vector),
        };
        let trace = (self.parts.trace_ids)();
        let release: ReleaseDigest = loaded.release.digest();
        let unit = Unit::Unstuck(trace.to_string());
        let binding = Binding { release, environment, plan: None, step: None, arm: None, unit };
        let (aside, copy_dropped) = (Some(Aside::Evaluation(evaluation)), None);
        Ok(Bound {
            trace,
            principal,
            aside,
            copy_dropped,
            tenant,
            app,
            binding,
            loaded,
            request,
            set,
            vector,
        })
    }
}
