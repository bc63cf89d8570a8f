//! A recorded request, answered again by a release: both answers side by side, and what cannot be
//! the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use delivery::{SavedSuite, TenantDelivery};
use evaluation::answer::{Answer, Spend};
use evaluation::replay::{Likeness, Moved, moved};
use evaluation::scorers::{Outcome as Found, Seen};
use gateway::{Asked, GatewayError, KnownVector, Loaded, Trial};
use knowledge::vector_from_hex;
use monitoring::{AnswerRecord, Outcome, TraceId};
use release::{
    AppName, ArtifactName, EnvironmentName, Money, PrincipalId, ReleaseDigest, Reproducibility,
    TenantId,
};
use serde::Serialize;
use workflow::Fault;

use super::Evaluations;
use super::answerer::answered;
use super::recorded::{Recorded, case};

/// What a replay's answers are marked with, before the trace that is replayed: they are no traffic.
const MARK: &str = "replay/";

/// What is replayed, by whom, and where.
#[derive(Debug)]
pub struct Wish {
    /// Whose trace.
    pub tenant: TenantId,
    /// In whose name.
    pub principal: PrincipalId,
    /// The release that answers.
    pub release: ReleaseDigest,
    /// The environment whose providers answer.
    pub environment: EnvironmentName,
    /// The suite whose scorers score both answers.
    pub suite: Option<ArtifactName>,
}

/// One request answered twice.
#[derive(Debug, Serialize)]
pub struct Replay {
    /// The app.
    pub app: AppName,
    /// What was asked.
    pub question: String,
    /// What was answered then.
    pub recorded: Side,
    /// What is answered now.
    pub replayed: Side,
    /// Where the question's vector came from; none where passages are found without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<VectorFrom>,
    /// The passages that were found for either.
    pub passages: Vec<Moved>,
    /// How alike the answers are; none where one is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likeness: Option<Likeness>,
    /// What the suite's scorers found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scored: Option<Scored>,
    /// What is not the same, or cannot be known to be, beside the answers.
    pub differences: Vec<String>,
}

/// One of both answers.
#[derive(Debug, Serialize)]
pub struct Side {
    /// Its trace.
    pub trace: TraceId,
    /// The release.
    pub release: ReleaseDigest,
    /// Where.
    pub environment: EnvironmentName,
    /// Its text; none if there is no answer to show.
    pub text: Option<String>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The model, as the provider reported it.
    pub model: Option<String>,
    /// The provider's fingerprint of its configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// What it cost, if the price is known.
    pub cost: Option<Money>,
    /// How long it took, in seconds.
    pub latency: f64,
}

/// Where a question's vector came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VectorFrom {
    /// It was recorded with the trace.
    Recorded,
    /// The question was embedded again.
    Embedded,
}

/// What a suite's scorers found of both answers.
#[derive(Debug, Serialize)]
pub struct Scored {
    /// The suite.
    pub suite: SavedSuite,
    /// What each found, by name.
    pub scorers: BTreeMap<String, Pair>,
    /// What scoring cost.
    pub spend: Spend,
}

/// What one scorer found of both answers; nothing of one that is missing.
#[derive(Debug, Serialize)]
pub struct Pair {
    /// Of the recorded one.
    pub recorded: Option<Found>,
    /// Of the new one.
    pub replayed: Option<Found>,
}

impl Evaluations {
    /// Answers a recorded request again.
    ///
    /// # Errors
    /// If the release cannot answer, or what the suite needs is not there. An answer that fails is
    /// told as such, not as an error.
    pub async fn replay(
        &self,
        delivery: &TenantDelivery,
        recorded: &Recorded,
        wish: &Wish,
    ) -> Result<Replay, Fault> {
        let record = &recorded.record;
        let suite = match &wish.suite {
            Some(name) => {
                let saved = delivery.suite(&record.app, name).await?;
                let suite = delivery.open_suite(saved.digest).await?;
                let place = (&wish.tenant, &wish.environment);
                let bench = self.bench(delivery, place, (&saved, &suite)).await?;
                Some((saved, suite, bench))
            }
            None => None,
        };
        let loaded = Arc::new(self.load(&wish.tenant, wish.release).await?);
        let before = match record.release == wish.release {
            true => Ok(Arc::clone(&loaded)),
            false => self.load(&wish.tenant, record.release).await.map(Arc::new),
        };
        let mut differences = Vec::new();
        let vector = known_vector(record, before.as_deref().ok(), &loaded);
        let trial = Trial {
            tenant: wish.tenant.clone(),
            principal: wish.principal.clone(),
            environment: wish.environment.clone(),
            loaded: Arc::clone(&loaded),
            evaluation: format!("{MARK}{}", record.trace),
            asked: Asked::Recorded {
                request: Box::new(recorded.request.clone()),
                set: recorded.set.clone(),
                vector: vector.clone().ok().flatten(),
            },
        };
        let tried = self.gateway.try_release(trial).await.map_err(|error| refused(&error))?;
        let new = tried.record.clone();
        let vector_from = vector_from(&new, &loaded, &vector);
        if let (Some(VectorFrom::Embedded), Err(why)) = (vector_from, &vector) {
            differences.push(format!("the question was embedded again: {why}"));
        }
        let given = match (&before, &record.retrieval) {
            (Ok(before), Some(retrieval)) => before
                .given(retrieval)
                .map_err(|error| Fault::new("Groundcrew.Knowledge", error.to_string()))?,
            _ => Vec::new(),
        };
        if let (Err(why), Some(_)) = (&before, &record.retrieval) {
            let why = why.cause.as_deref().unwrap_or_default();
            differences.push(format!("what the recorded answer was given cannot be read: {why}"));
        }
        let old_seen = recorded.seen(&given);
        let (new_seen, failed) = match answered(tried) {
            Ok(answer) => (Some(answer), None),
            Err(error) => (None, Some(error.to_string())),
        };
        differences.extend(self.differences(delivery, recorded, (&loaded, &new)).await?);
        let scored = match suite {
            None => None,
            Some((saved, suite, bench)) => {
                let case = case(record.trace, &recorded.request).map_err(|why| {
                    let why = format!("the request has no form that scorers know: {why}");
                    Fault::new("Groundcrew.BadInput", why)
                })?;
                let old = (&old_seen, delivery.instructions(record.release).await?);
                let new = (&new_seen, delivery.instructions(wish.release).await?);
                let (mut scorers, mut spend) = (BTreeMap::new(), Spend::default());
                for scorer in &suite.scorers {
                    let mut found = [None, None];
                    for ((answer, told), found) in [&old, &new].into_iter().zip(&mut found) {
                        let Some(answer) = answer else { continue };
                        let seen = Seen { case: &case, answer };
                        *found = Some(scorer.score(seen, bench.engines(told), &mut spend).await);
                    }
                    let [recorded, replayed] = found;
                    scorers.insert(scorer.name.clone(), Pair { recorded, replayed });
                }
                Some(Scored { suite: saved, scorers, spend })
            }
        };
        let likeness = old_seen.as_ref().zip(new_seen.as_ref());
        let likeness = likeness.map(|(old, new)| Likeness::of(&old.text, &new.text));
        Ok(Replay {
            app: record.app.clone(),
            question: recorded.request.question().unwrap_or_default(),
            vector: vector_from,
            passages: moved(&found(record), &found(&new)),
            likeness,
            scored,
            differences,
            recorded: Side::of(record, old_seen, recorded.answer.as_ref().err().copied()),
            replayed: Side::of(&new, new_seen, failed.as_deref()),
        })
    }

    /// What is not the same of both answers, or cannot be known to be, in sentences.
    async fn differences(
        &self,
        delivery: &TenantDelivery,
        recorded: &Recorded,
        (loaded, new): (&Loaded, &AnswerRecord),
    ) -> Result<Vec<String>, Fault> {
        let old = &recorded.record;
        let mut told = by_name(loaded);
        let unknown = |name: &&String| !recorded.set.iter().any(|(_, known)| known == *name);
        let set: Vec<_> =
            old.overrides.iter().filter(unknown).map(|it| format!("`{it}`")).collect();
        if !set.is_empty() {
            told.push(format!(
                "the client set {} itself; what to is not recorded, so the release's own apply",
                set.join(", ")
            ));
        }
        for (whose, record) in [("recorded", old), ("replayed", new)] {
            let Some(retrieval) = &record.retrieval else { continue };
            let erased = delivery.erased_of(retrieval.snapshot).await?;
            match erased.map(|erased| erased.into_iter().collect::<Vec<_>>()) {
                None => told.push(format!(
                    "the snapshot of the {whose} answer is not kept any more: what was erased of \
                     it cannot be told"
                )),
                Some(erased) if !erased.is_empty() => told.push(format!(
                    "documents were erased since from the snapshot of the {whose} answer: {}",
                    erased.join(", ")
                )),
                Some(_) => {}
            }
        }
        if old.environment != new.environment {
            told.push(format!(
                "it was answered in `{}` then, by the providers of `{}` now",
                old.environment, new.environment
            ));
        }
        match &old.outcome {
            Outcome::Answered => {}
            Outcome::Cancelled => {
                told.push("the client hung up before the recorded answer was whole".to_owned());
            }
            Outcome::Blocked { rule } => {
                told.push(format!("the recorded request was blocked by rule `{rule}`"));
            }
            Outcome::Failed { message, .. } => {
                told.push(format!("the recorded request failed: {message}"));
            }
        }
        if let Some((old, new)) = old.generation.as_ref().zip(new.generation.as_ref()) {
            let mut differs = |what: &str, (old, new): (Option<String>, Option<String>)| {
                if old != new {
                    let text = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
                    told.push(format!("{what}: {} then, {} now", text(old), text(new)));
                }
            };
            let named = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
            let binding = |of: &monitoring::Generation| of.binding.map(|it| it.to_string());
            differs("the provider", (named(&old.provider), named(&new.provider)));
            differs("the provider's binding", (binding(old), binding(new)));
            let models = (named(&old.response_model), named(&new.response_model));
            differs("the model, as the provider reports it", models);
            let fingerprints = (old.fingerprint.clone(), new.fingerprint.clone());
            differs("the provider's fingerprint", fingerprints);
        }
        Ok(told)
    }
}

impl Side {
    fn of(record: &AnswerRecord, seen: Option<Answer>, missing: Option<&str>) -> Self {
        let generation = record.generation.clone().unwrap_or_default();
        let nanoseconds = record.steps.iter().map(|step| step.end_ns).max().unwrap_or_default();
        Self {
            trace: record.trace,
            release: record.release,
            environment: record.environment.clone(),
            text: seen.map(|answer| answer.text),
            missing: missing.map(str::to_owned),
            outcome: record.outcome.clone(),
            model: Some(generation.response_model).filter(|model| !model.is_empty()),
            fingerprint: generation.fingerprint,
            input_tokens: generation.input_tokens,
            output_tokens: generation.output_tokens,
            cost: generation.cost,
            latency: nanoseconds as f64 / 1e9,
        }
    }
}

/// What of a release is pinned by its name alone.
fn by_name(loaded: &Loaded) -> Vec<String> {
    let mut told = Vec::new();
    let mut named = |what: &str, model: &str, provider: &str| {
        told.push(format!(
            "{what} `{model}` of `{provider}` is pinned by name: its provider may change what \
             stands behind it"
        ));
    };
    if loaded.model.reproducibility() == Reproducibility::ByName {
        named("the model", loaded.model.id(), loaded.model.provider.as_str());
    }
    if let Some(snapshot) = &loaded.snapshot {
        let embedding = snapshot.manifest.embedding.as_ref().map(|entry| &entry.spec);
        if let Some((spec, provider)) = embedding.and_then(|it| Some((it, it.provider.as_ref()?))) {
            named("the embedder", &spec.model, provider.as_str());
        }
        if let Some(spec) = &snapshot.manifest.retrieval.rerank {
            named("the reranker", &spec.model, spec.provider.as_str());
        }
    }
    told
}

/// The passages that were found, with their documents.
fn found(record: &AnswerRecord) -> Vec<(String, String)> {
    let chunks = record.retrieval.iter().flat_map(|retrieval| &retrieval.chunks);
    chunks.map(|chunk| (chunk.id.clone(), chunk.document.clone())).collect()
}

/// The recorded question's vector, where the release's passages were embedded by the same embedder;
/// else why it cannot be used. None where the release needs none.
fn known_vector(
    record: &AnswerRecord,
    before: Option<&Loaded>,
    after: &Loaded,
) -> Result<Option<KnownVector>, String> {
    let entry = |loaded: &Loaded| {
        loaded.snapshot.as_ref().and_then(|snapshot| snapshot.manifest.embedding.clone())
    };
    let (Some(wanted), true) = (entry(after), after.embedder.is_some()) else { return Ok(None) };
    let hex = record.retrieval.as_ref().and_then(|retrieval| retrieval.vector.as_deref());
    let hex = hex.ok_or("the trace has no vector of it")?;
    let before = before.ok_or("the release that answered cannot be loaded any more")?;
    let made = entry(before).ok_or("the release that answered had no embedder")?;
    if made.identity != wanted.identity {
        return Err("the release has another embedder".to_owned());
    }
    if made.spec.question_prefix != wanted.spec.question_prefix {
        return Err("the release puts another text before questions".to_owned());
    }
    let values = vector_from_hex(hex).map_err(|error| error.to_string())?;
    Ok(Some(KnownVector { embedder: made.identity, values: values.into() }))
}

/// Where the vector came from that the request path has used: one that it made is a step of its own.
fn vector_from(
    new: &AnswerRecord,
    loaded: &Loaded,
    known: &Result<Option<KnownVector>, String>,
) -> Option<VectorFrom> {
    if new.steps.iter().any(|step| step.name == "embed") {
        return Some(VectorFrom::Embedded);
    }
    let used = loaded.embedder.is_some() && matches!(known, Ok(Some(_)));
    used.then_some(VectorFrom::Recorded)
}

/// Why nothing was asked.
fn refused(error: &GatewayError) -> Fault {
    Fault::new("Groundcrew.Unusable", error.to_string())
}
