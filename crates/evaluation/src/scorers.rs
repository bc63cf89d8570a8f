//! Scorers: each measures one thing about an answer, or says why it cannot.
//!
//! What cannot be measured never becomes a number: an error or "not applicable" is its own kind of
//! outcome, counted apart and never averaged in.

mod bleu;
mod bounds;
mod chrf;
mod citations;
mod external;
mod form;
mod grams;
mod grounded;
mod likeness;
mod porter;
mod refusal;
mod retrieval;
mod rouge;
mod tools;
mod withstood;

use async_trait::async_trait;
use jsonschema::Validator;
use regex::Regex;
use release::{ArtifactName, CanonicalJson, Digest};
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Spend};
use crate::judge::{self, CallError, Judge};
use crate::suite::{Case, Measure, ScorerSpec, Wrong};

pub use bleu::bleu;
pub use chrf::chrf;
pub use external::External;
pub(crate) use form::beginning;
pub use likeness::cosine;
pub(crate) use likeness::{average_precision, cosines};
pub use refusal::reads_as_refusal;
pub use rouge::{Overlap, RougeVariant, rouge};

/// What a scorer found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A score.
    Scored(Score),
    /// The measure says nothing about this answer.
    NotApplicable {
        /// Why.
        reason: String,
    },
    /// There should be a score, and there is none.
    Error {
        /// Whose fault it is.
        cause: Cause,
        /// What happened.
        reason: String,
    },
}

/// A score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The score, within the measure's range and finite.
    pub value: f64,
    /// Whether it is good enough; unknown if nothing says what is.
    pub pass: Option<bool>,
    /// How it came about.
    pub explanation: Option<String>,
}

/// Why there is no score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A judge, embedder or program could not be asked, or is not there.
    Unavailable,
    /// It answered something that cannot be read.
    Nonsense,
    /// The measure is undefined here.
    Undefined,
}

impl Outcome {
    /// A score. One that is not finite is undefined.
    pub fn scored(value: f64, explanation: impl Into<String>) -> Self {
        if !value.is_finite() {
            return Self::undefined(format!("the score would be {value}"));
        }
        let explanation = Some(explanation.into()).filter(|text| !text.is_empty());
        Self::Scored(Score { value, pass: None, explanation })
    }

    /// 1 or 0.
    pub fn whether(good: bool, explanation: impl Into<String>) -> Self {
        Self::scored(f64::from(good), explanation)
    }

    /// The share `part` of `whole`, undefined if there is nothing.
    pub fn share(part: usize, whole: usize, what: &str) -> Self {
        if whole == 0 {
            return Self::undefined(format!("there are no {what}"));
        }
        Self::scored(part as f64 / whole as f64, format!("{part} of {whole} {what}"))
    }

    /// The measure says nothing here.
    pub fn not_applicable(reason: impl Into<String>) -> Self {
        Self::NotApplicable { reason: reason.into() }
    }

    /// The measure has no value here.
    pub fn undefined(reason: impl Into<String>) -> Self {
        Self::Error { cause: Cause::Undefined, reason: reason.into() }
    }

    /// Something could not be asked.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Error { cause: Cause::Unavailable, reason: reason.into() }
    }

    /// What was answered cannot be read.
    pub fn nonsense(reason: impl Into<String>) -> Self {
        Self::Error { cause: Cause::Nonsense, reason: reason.into() }
    }

    /// Forgets what was said of the answer: it may quote what the answer does.
    pub(crate) fn forget(&mut self) {
        match self {
            Self::Scored(score) => score.explanation = None,
            Self::NotApplicable { reason } | Self::Error { reason, .. } => {
                reason.clear();
                reason.push_str("erased");
            }
        }
    }

    /// The score, if there is one.
    pub fn score(&self) -> Option<&Score> {
        match self {
            Self::Scored(score) => Some(score),
            _ => None,
        }
    }
}

impl From<CallError> for Outcome {
    fn from(error: CallError) -> Self {
        Self::unavailable(error.to_string())
    }
}

/// What scorers see: a case, and one answer to it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The case.
    pub case: &'a Case,
    /// The answer.
    pub answer: &'a Answer,
}

impl<'a> Seen<'a> {
    /// What is expected.
    pub(crate) fn expected(self) -> Result<&'a str, Outcome> {
        let expected = self.case.expected.as_deref();
        expected.ok_or_else(|| Outcome::not_applicable("the case has no `expected`"))
    }

    /// The texts of the answer's passages; of the case's context if it was given none.
    pub(crate) fn passages(self) -> Result<Vec<&'a str>, Outcome> {
        let given: Vec<&str> = self.answer.passages.iter().map(|it| it.text.as_str()).collect();
        let context = || self.case.context.iter().map(String::as_str).collect();
        let texts = if given.is_empty() { context() } else { given };
        if texts.is_empty() {
            return Err(Outcome::not_applicable("there are no passages"));
        }
        Ok(texts)
    }
}

/// Turns texts into vectors.
#[async_trait]
pub trait Embeds: Send + Sync {
    /// The digest of the model and its parameters.
    fn digest(&self) -> Digest;

    /// A vector for each text, all of one length.
    ///
    /// # Errors
    /// If it cannot be asked.
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, CallError>;
}

/// Finds personal data and secrets.
pub trait FindsPersonalData: Send + Sync {
    /// The kinds it can look for.
    fn entities(&self) -> Vec<String>;

    /// Which of `entities` stand in `text`.
    fn find(&self, text: &str, entities: &[String]) -> Vec<String>;
}

/// What scorers may ask. What is not there gives an error where it is needed.
#[derive(Clone, Copy, Default)]
pub struct Engines<'a> {
    /// The judge.
    pub judge: Option<&'a dyn Judge>,
    /// The embedder.
    pub embeds: Option<&'a dyn Embeds>,
    /// What finds personal data.
    pub personal: Option<&'a dyn FindsPersonalData>,
    /// What the release was told: the text of its prompt.
    pub instructions: Option<&'a str>,
    /// Programs and services outside.
    pub external: Option<&'a dyn External>,
}

/// A scorer that is ready.
#[derive(Debug)]
pub struct Scorer {
    /// Its name in the suite.
    pub name: String,
    /// What it measures, and what passes.
    pub spec: ScorerSpec,
    /// The digest of what it measures, its bounds, and the prompts that it asks a judge by.
    pub digest: Digest,
    compiled: Compiled,
}

#[derive(Debug)]
enum Compiled {
    Nothing,
    Pattern(Regex),
    Schema(Box<Validator>),
}

impl Scorer {
    /// Checks and compiles a scorer.
    ///
    /// # Errors
    /// Every mistake, at pointers within the scorer.
    pub fn compile(name: &ArtifactName, spec: &ScorerSpec) -> Result<Self, Vec<Wrong>> {
        let mut wrong = bounds::wrong(spec);
        let compiled = form::compile(&spec.measure).unwrap_or_else(|found| {
            wrong.push(found);
            Compiled::Nothing
        });
        let ScorerSpec { measure, at_least, at_most, .. } = spec;
        let canonical = CanonicalJson::of(&(measure, at_least, at_most)).map(|json| json.digest());
        match canonical {
            Ok(digest) if wrong.is_empty() => {
                let prompts = judge::prompts(&spec.measure);
                let digests = prompts.iter().map(|prompt| prompt.digest());
                let digests: Vec<Digest> = std::iter::once(digest).chain(digests).collect();
                let digest = Digest::of_fields(digests.iter().map(|it| it.as_bytes().as_slice()));
                Ok(Self { name: name.to_string(), spec: spec.clone(), digest, compiled })
            }
            Ok(_) => Err(wrong),
            Err(error) => {
                wrong.push(Wrong::new("", error.to_string()));
                Err(wrong)
            }
        }
    }

    /// Scores an answer. What it cost is added to `spend`, with or without a score.
    pub async fn score(&self, seen: Seen<'_>, engines: Engines<'_>, spend: &mut Spend) -> Outcome {
        self.score_by(&[], seen, engines, spend).await
    }

    /// As [`Self::score`], with the steps that the judge has written for it before.
    pub(crate) async fn score_by(
        &self,
        steps: &[String],
        seen: Seen<'_>,
        engines: Engines<'_>,
        spend: &mut Spend,
    ) -> Outcome {
        let outcome = if self.spec.measure.needs_judge() {
            judge::score(&self.spec.measure, steps, seen, &mut judge::Bench { engines, spend })
                .await
        } else {
            self.measure(seen, engines).await
        };
        match outcome {
            Outcome::Scored(score) => Outcome::Scored(bounds::judge(&self.spec, score)),
            other => other,
        }
    }

    async fn measure(&self, seen: Seen<'_>, engines: Engines<'_>) -> Outcome {
        let measured = match &self.spec.measure {
            Measure::Exact { ignore_case } => form::exact(seen, *ignore_case),
            Measure::Regex { .. } | Measure::JsonSchema { .. } => self.form(seen),
            Measure::Rouge { variant, stem } => overlap(seen, *variant, *stem),
            Measure::Bleu {} => seen
                .expected()
                .map(|expected| Outcome::scored(bleu(expected, &seen.answer.text), "")),
            Measure::Chrf {} => seen
                .expected()
                .map(|expected| Outcome::scored(chrf(expected, &seen.answer.text), "")),
            Measure::Similarity {} => likeness::similarity(seen, engines).await,
            Measure::Refusal {} => Ok(refusal::refusal(seen)),
            Measure::Withstood {} => Ok(withstood::withstood(seen, engines)),
            Measure::PersonalData { entities } => refusal::personal(seen, entities, engines),
            Measure::Length { unit } => bounds::length(seen, *unit),
            Measure::Latency {} => bounds::latency(seen),
            Measure::Cost {} => bounds::cost(seen),
            Measure::Citations { required } => citations::valid(seen, *required),
            Measure::Quotes { words } => citations::quotes(seen, *words),
            Measure::Grounded { n } => grounded::grounded(seen, *n),
            Measure::Retrieval { figure, k } => retrieval::retrieval(seen, *figure, *k),
            Measure::ContextLikeness { part, alike } => likeness::context(seen, *part, *alike),
            Measure::ToolCalls { arguments } => tools::calls(seen, *arguments),
            Measure::External { uses, parameters } => {
                external::ask(seen, uses, parameters, engines).await
            }
            // A judge's are scored elsewhere.
            Measure::Criteria { .. }
            | Measure::Faithfulness {}
            | Measure::AnswerRelevancy { .. }
            | Measure::ContextPrecision {}
            | Measure::ContextRecall {} => Err(Outcome::unavailable("it needs a judge")),
        };
        measured.unwrap_or_else(|outcome| outcome)
    }

    fn form(&self, seen: Seen<'_>) -> Result<Outcome, Outcome> {
        match (&self.compiled, &self.spec.measure) {
            (Compiled::Pattern(pattern), Measure::Regex { absent, .. }) => {
                Ok(form::pattern(seen, pattern, *absent))
            }
            (Compiled::Schema(schema), _) => Ok(form::schema(seen, schema)),
            _ => Err(Outcome::undefined("it was not compiled")),
        }
    }
}

fn overlap(seen: Seen<'_>, variant: RougeVariant, stem: bool) -> Result<Outcome, Outcome> {
    let measured = rouge(variant, stem, seen.expected()?, &seen.answer.text);
    let Overlap { precision, recall, f1 } =
        measured.ok_or_else(|| Outcome::undefined("the texts are too long to compare"))?;
    Ok(Outcome::scored(f1, format!("precision {precision:.3}, recall {recall:.3}")))
}

#[cfg(test)]
mod tests;
