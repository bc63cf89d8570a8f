//! Suites: what is asked, how often, and by what an answer is measured.
//!
//! A suite is a file `evals/NAME.toml` and the cases beside it. [`Suite::read`] puts both together
//! and reports every mistake at once; its digest is the suite's version.

mod case;
mod jailbreak;
mod measure;

use std::collections::BTreeMap;

use release::{
    AppName, ArtifactName, CanonicalError, CanonicalJson, Currency, Diagnostic, Digest,
    EnvironmentName, Money,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scorers::Scorer;

pub use case::{Case, Input, Label, MAX_CASES, MAX_LINE, Message, read_cases};
pub use jailbreak::{JAILBREAK, WITHSTOOD, jailbreak};
pub use measure::{Figure, LengthUnit, Measure, Part};

/// The most times that one case is asked.
const MAX_REPEATS: u32 = 100;
/// The most answers of one run: cases times repeats.
const MAX_ANSWERS: usize = 100_000;
/// The most cases that are asked at once.
const MAX_CONCURRENCY: u32 = 256;

/// A suite: `evals/NAME.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuiteFile {
    /// What it is about, for people. Nothing by default.
    #[serde(default)]
    pub description: String,
    /// The file of cases beside it, as `NAME.jsonl`: a case in JSON per line.
    pub cases: String,
    /// How often each case is asked, 1 to 100. Once by default.
    #[serde(default = "one")]
    pub repeats: u32,
    /// How many cases are asked at the same time, 1 to 256. 4 by default.
    #[serde(default = "four")]
    pub concurrency: u32,
    /// After how many cases in a row whose answer or scores could not be had the run stops. 10 by
    /// default.
    #[serde(default = "ten")]
    pub errors_in_a_row: u32,
    /// The most that a run may cost, answers and judges together. No limit by default. What is
    /// under way when it is reached is still paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_cap: Option<CostCap>,
    /// Who judges. None by default: then no scorer may need a judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<JudgeSpec>,
    /// Who turns texts into vectors. Nobody by default: then no scorer may need that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedder: Option<EmbedderSpec>,
    /// Which answers of production are scored, too. None by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<OnlineSpec>,
    /// By what answers are measured, each by its own name.
    pub scorers: BTreeMap<ArtifactName, ScorerSpec>,
}

fn one() -> u32 {
    1
}

fn four() -> u32 {
    4
}

fn ten() -> u32 {
    10
}

/// The most that a run may cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CostCap {
    /// How much.
    pub amount: f64,
    /// In which currency, as ISO 4217 has it. `USD` by default. Prices must be in it too.
    #[serde(default = "dollars")]
    pub currency: String,
}

fn dollars() -> String {
    Currency::USD.to_string()
}

impl CostCap {
    /// The amount, exactly.
    ///
    /// # Errors
    /// What is wrong with it, at a pointer within it.
    pub fn money(&self) -> Result<Money, Wrong> {
        let wrong = |key: &str, why: String| Wrong::new(&format!("/{key}"), why);
        let currency = self.currency.parse().map_err(|why| wrong("currency", why))?;
        let nanos = self.amount * 1e9;
        if !(nanos >= 1.0 && nanos < i64::MAX as f64) {
            return Err(wrong("amount", format!("{} is no amount to pay", self.amount)));
        }
        Ok(Money { currency, nanos: nanos.round() as i64 })
    }
}

/// Who judges, and when the judge may decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JudgeSpec {
    /// The model, as a file in `models/` names it.
    pub model: ArtifactName,
    /// How many answers people must have labelled before its scores may decide. 50 by default.
    #[serde(default = "fifty")]
    pub min_labels: u32,
    /// How well it must agree with them, as Cohen's κ, above 0 and up to 1. 0.6 by default, the
    /// beginning of what Landis and Koch (1977) call substantial.
    #[serde(default = "substantial")]
    pub min_kappa: f64,
}

fn fifty() -> u32 {
    50
}

fn substantial() -> f64 {
    0.6
}

/// Who turns texts into vectors: the suite's own, so that releases are measured alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbedderSpec {
    /// The provider in `server.toml` that serves the model. By default it is a model that was
    /// imported with `groundcrew models import`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ArtifactName>,
    /// The model: the provider's id of it, or the name under which it was imported.
    pub model: String,
}

/// A scorer: what it measures, and which scores are good enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScorerSpec {
    /// What it measures.
    pub measure: Measure,
    /// The least score that passes. By default what the measure says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// The highest score that passes. No limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// The share of scores that must pass for the suite to pass, 0 to 1. All of them by default.
    #[serde(default = "all")]
    pub pass_rate: f64,
}

/// Which answers of production a suite's scorers score, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnlineSpec {
    /// The app.
    #[schemars(with = "String")]
    pub app: AppName,
    /// The environment.
    #[schemars(with = "String")]
    pub environment: EnvironmentName,
    /// The share of its answers that are scored, above 0 and up to 1. All of them by default.
    #[serde(default = "all")]
    pub sample: f64,
    /// The most that scoring may cost in a day (UTC). No limit by default. What is under way when it
    /// is reached is still paid; scorers that cost nothing go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_cap: Option<CostCap>,
}

fn all() -> f64 {
    1.0
}

/// What is wrong in a suite's file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wrong {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What, in one lower-case sentence without a full stop.
    pub message: String,
}

impl Wrong {
    /// A finding at `pointer`.
    pub fn new(pointer: &str, message: impl Into<String>) -> Self {
        Self { pointer: pointer.to_owned(), message: message.into() }
    }

    /// The finding, from where `pointer` leads.
    pub fn within(self, pointer: &str) -> Self {
        Self { pointer: format!("{pointer}{}", self.pointer), ..self }
    }
}

/// A suite that is ready to run.
#[derive(Debug)]
pub struct Suite {
    /// Its version: the digest of [`Self::bytes`].
    pub digest: Digest,
    /// The file.
    pub file: SuiteFile,
    /// The cases, in the file's order.
    pub cases: Vec<Case>,
    /// The scorers, by name.
    pub scorers: Vec<Scorer>,
    /// The most that a run may cost.
    pub cost_cap: Option<Money>,
    /// The digest of the cases that were drawn from traces, where they are not its own.
    pub drawn: Option<Digest>,
    bytes: Vec<u8>,
}

/// Why there is no suite.
#[derive(Debug)]
pub enum BadSuite {
    /// Mistakes in the suite's file.
    File(Vec<Wrong>),
    /// Mistakes in the file of cases.
    Cases(Vec<Diagnostic>),
    /// It has no canonical form: a number is too large.
    Form(CanonicalError),
}

/// What is hashed and stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    r#type: String,
    suite: SuiteFile,
    cases: Vec<Case>,
}

const FORM: &str = "eval_suite/v1";

impl Suite {
    /// Puts a suite's file and the text of its cases together.
    ///
    /// # Errors
    /// Every mistake in the suite's file; if there is none, every mistake in the cases.
    pub fn read(file: SuiteFile, cases: &str) -> Result<Self, BadSuite> {
        let compiled = file.compile();
        let path = format!("evals/{}", file.cases);
        let (scorers, cost_cap) = compiled.map_err(BadSuite::File)?;
        let names: Vec<&str> = scorers.iter().map(|scorer| scorer.name.as_str()).collect();
        let cases = read_cases(&path, cases, &names).map_err(BadSuite::Cases)?;
        let answers = cases.len().saturating_mul(file.repeats as usize);
        if answers > MAX_ANSWERS {
            let why = format!("{answers} answers are more than the {MAX_ANSWERS} of a run");
            return Err(BadSuite::File(vec![Wrong::new("/repeats", why)]));
        }
        Self::of(file, cases, (scorers, cost_cap))
    }

    /// Reads what [`Self::bytes`] gave.
    ///
    /// # Errors
    /// If the bytes are not those of a suite.
    pub fn open(bytes: Vec<u8>) -> Result<Self, BadSuite> {
        let json = CanonicalJson::from_stored(bytes).map_err(BadSuite::Form)?;
        let unacceptable = |error| BadSuite::Form(CanonicalError::Unacceptable(error));
        let stored: Stored = json.read().map_err(unacceptable)?;
        if stored.r#type != FORM {
            let why = format!("form `{}` is not `{FORM}`", stored.r#type);
            return Err(BadSuite::File(vec![Wrong::new("/type", why)]));
        }
        let compiled = stored.suite.compile().map_err(BadSuite::File)?;
        Self::of(stored.suite, stored.cases, compiled)
    }

    fn of(
        file: SuiteFile,
        cases: Vec<Case>,
        (scorers, cost_cap): (Vec<Scorer>, Option<Money>),
    ) -> Result<Self, BadSuite> {
        let stored = Stored { r#type: FORM.to_owned(), suite: file, cases };
        let bytes = CanonicalJson::of(&stored).map_err(BadSuite::Form)?.into_bytes();
        let Stored { suite: file, cases, .. } = stored;
        let (digest, drawn) = (Digest::of(&bytes), None);
        Ok(Self { digest, file, cases, scorers, cost_cap, drawn, bytes })
    }

    /// The same suite with cases that were drawn from traces, of that digest, in place of its own.
    /// It stays the version that it is.
    #[must_use]
    pub fn with_drawn(self, (digest, cases): (Digest, Vec<Case>)) -> Self {
        Self { cases, drawn: Some(digest), ..self }
    }

    /// The same suite with each case asked so often. It stays the version that it is.
    ///
    /// # Errors
    /// If that is never, or too often.
    pub fn with_repeats(mut self, repeats: u32) -> Result<Self, Wrong> {
        if repeats == 0 || repeats > MAX_REPEATS {
            let why = format!("{repeats} is not between 1 and {MAX_REPEATS}");
            return Err(Wrong::new("/repeats", why));
        }
        let answers = self.cases.len().saturating_mul(repeats as usize);
        if answers > MAX_ANSWERS {
            let why = format!("{answers} answers are more than the {MAX_ANSWERS} of a run");
            return Err(Wrong::new("/repeats", why));
        }
        self.file.repeats = repeats;
        Ok(self)
    }

    /// The canonical bytes: the file and its cases, the artifact's content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl SuiteFile {
    /// Checks all that types do not, and compiles the scorers.
    ///
    /// # Errors
    /// Every mistake.
    pub fn compile(&self) -> Result<(Vec<Scorer>, Option<Money>), Vec<Wrong>> {
        let mut wrong = Vec::new();
        let mut within = |key: &str, value: u32, most: u32| {
            if value == 0 || value > most {
                let why = format!("{value} is not between 1 and {most}");
                wrong.push(Wrong::new(&format!("/{key}"), why));
            }
        };
        within("repeats", self.repeats, MAX_REPEATS);
        within("concurrency", self.concurrency, MAX_CONCURRENCY);
        within("errors_in_a_row", self.errors_in_a_row, u32::MAX);
        let is_beside = !self.cases.contains(['/', '\\']) && self.cases.ends_with(".jsonl");
        if !is_beside {
            let why = format!("`{}` is not the name of a `.jsonl` file beside it", self.cases);
            wrong.push(Wrong::new("/cases", why));
        }
        if self.scorers.is_empty() {
            wrong.push(Wrong::new("/scorers", "a suite needs at least one scorer"));
        }
        if let Some(judge) = &self.judge
            && !(judge.min_kappa > 0.0 && judge.min_kappa <= 1.0)
        {
            let why = format!("{} is not above 0 and up to 1", judge.min_kappa);
            wrong.push(Wrong::new("/judge/min_kappa", why));
        }
        let cap = self.cost_cap.as_ref().map(CostCap::money).transpose();
        let cap = cap.unwrap_or_else(|found| {
            wrong.push(found.within("/cost_cap"));
            None
        });
        if let Some(online) = &self.online {
            if !(online.sample > 0.0 && online.sample <= 1.0) {
                let why = format!("{} is not above 0 and up to 1", online.sample);
                wrong.push(Wrong::new("/online/sample", why));
            }
            let cap = online.daily_cap.as_ref().map(CostCap::money).transpose();
            wrong.extend(cap.err().map(|found| found.within("/online/daily_cap")));
        }
        let mut scorers = Vec::new();
        for (name, spec) in &self.scorers {
            let unwritten =
                matches!(&spec.measure, Measure::Criteria { steps, .. } if steps.is_empty());
            if self.online.is_some() && unwritten {
                // Written anew for each answer they would cost twice, and no two scores would compare.
                let why = "criteria need their steps written down to score online";
                wrong.push(Wrong::new(&format!("/scorers/{name}/measure/steps"), why));
            }
            if spec.measure.needs_judge() && self.judge.is_none() {
                let why = format!("scorer `{name}` needs a judge, and the suite has none");
                wrong.push(Wrong::new(&format!("/scorers/{name}/measure"), why));
            }
            if spec.measure.needs_embedder() && self.embedder.is_none() {
                let why = format!("scorer `{name}` needs an embedder, and the suite has none");
                wrong.push(Wrong::new(&format!("/scorers/{name}/measure"), why));
            }
            match Scorer::compile(name, spec) {
                Ok(scorer) => scorers.push(scorer),
                Err(found) => {
                    let at = format!("/scorers/{name}");
                    wrong.extend(found.into_iter().map(|found| found.within(&at)));
                }
            }
        }
        if wrong.is_empty() { Ok((scorers, cap)) } else { Err(wrong) }
    }
}

#[cfg(test)]
mod tests;
