//! Evaluations: the suites of projects, what a run of one found, and what two runs say of a release.
//!
//! Whoever answers and judges is not known here: a run is begun, its ledger and its result are kept,
//! and verdicts are drawn from results that are there. A run is named after the execution that does
//! it, so that one that is begun again after a crash is the same run, with the same plan and what it
//! has paid for.

mod drawn;
mod erasure;
mod ledger;
mod online;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use evaluation::answer::Spend;
use evaluation::run::{Run, State, Summary, Verdict};
use evaluation::suite::{BadSuite, JAILBREAK, OnlineSpec, Suite, jailbreak};
use release::{
    AppName, ArtifactName, ArtifactRef, Digest, EnvironmentName, PrincipalId, ReleaseDigest,
    SlotName, Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{Collection, Expect, StoreError};

use crate::{DeliveryError, TenantDelivery};

pub use drawn::{Draw, DrawnCases, FromTraces};
pub(crate) use erasure::Gone;
pub use ledger::StoredLedger;
pub use online::{OnlineAnswer, OnlineScores};
pub use verdict::EvaluationVerdict;

/// A project's suites are one record, named as the project is.
pub(crate) const SUITES: Collection = Collection("eval_suites");
/// Evaluations that are over.
const EVALUATIONS: Collection = Collection("evaluations");
/// Those that are under way.
const UNDER_WAY: Collection = Collection("evaluations.under_way");
/// How many digits of a run's name tell it from others of its suite.
const DIGITS: usize = 12;

/// A suite of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedSuite {
    /// Its name.
    pub name: ArtifactName,
    /// Its version: the digest of its file and its cases.
    pub digest: Digest,
    /// What it is about.
    pub description: String,
    /// How many cases it has.
    pub cases: usize,
    /// The names of its scorers.
    pub scorers: Vec<String>,
    /// The model that judges, as applied with it.
    pub judge: Option<ArtifactRef>,
    /// Which answers of production are scored, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<OnlineSpec>,
}

/// A suite to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEvaluation {
    /// The suite.
    pub suite: ArtifactName,
    /// The app whose release answers; the suite is one of its project.
    pub app: AppName,
    /// The release: a change, a sequence number or a digest; the newest candidate if absent.
    #[serde(default)]
    pub release: Option<String>,
    /// The environment whose providers answer; the app's first if absent.
    #[serde(default)]
    pub environment: Option<EnvironmentName>,
    /// How often each case is asked; as the suite says if absent.
    #[serde(default)]
    pub repeats: Option<u32>,
    /// Recorded requests to ask instead of the suite's cases.
    #[serde(default)]
    pub traces: Option<FromTraces>,
    /// An evaluation whose drawn requests are asked, instead of the suite's cases.
    #[serde(default)]
    pub cases_of: Option<String>,
}

/// What is run: decided when a run begins, and the same when it goes on after a crash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationPlan {
    /// The run's name.
    pub id: String,
    /// The suite.
    pub suite: SavedSuite,
    /// The app.
    pub app: AppName,
    /// The release that answers.
    pub release: ReleaseDigest,
    /// The environment whose providers answer.
    pub environment: EnvironmentName,
    /// How often each case is asked.
    pub repeats: u32,
    /// The cases that were drawn from traces, where the suite's own are not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<DrawnCases>,
    /// When it began.
    pub began_at: Timestamp,
    /// Documents that were erased while it was under way: what it found is kept without them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub erased: BTreeSet<String>,
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// What was run.
    #[serde(flatten)]
    pub plan: EvaluationPlan,
    /// When it ended.
    pub ended_at: Timestamp,
    /// In whose name.
    pub by: PrincipalId,
    /// What it says of the release.
    pub verdict: Verdict,
    /// Whether all of it was done.
    pub state: State,
    /// How many answers were to be scored.
    pub planned: usize,
    /// How many were.
    pub done: usize,
    /// How many questions have no answer.
    pub unanswered: usize,
    /// What each scorer found together, but for the steps that a judge wrote.
    pub scorers: BTreeMap<String, Summary>,
    /// What it cost.
    pub spend: Spend,
    /// All of it, every answer with its scores: a blob.
    pub run: Digest,
}

/// Which evaluations to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evaluations {
    /// Only of this app.
    pub app: Option<AppName>,
    /// Only of this suite.
    pub suite: Option<ArtifactName>,
    /// Only of this release.
    pub release: Option<ReleaseDigest>,
}

type Saved = BTreeMap<ArtifactName, SavedSuite>;

impl TenantDelivery {
    /// The suites of all projects, by project and name.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn suites(&self) -> Result<BTreeMap<String, Vec<SavedSuite>>, DeliveryError> {
        let saved = self.all_keyed::<Saved>(SUITES).await?.into_iter();
        Ok(saved.map(|(project, suites)| (project, suites.into_values().collect())).collect())
    }

    /// A suite of an app's project, as last applied.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub async fn suite(
        &self,
        app: &AppName,
        name: &ArtifactName,
    ) -> Result<SavedSuite, DeliveryError> {
        let project = self.app(app).await?.value.project;
        let saved = self.find::<Saved>(SUITES, project.as_str()).await?;
        let suite = saved.and_then(|saved| saved.value.get(name).cloned());
        // A project may have one of its own instead.
        let suite = suite.or_else(|| own(name));
        let (app, suite_name) = (app.clone(), name.clone());
        suite.ok_or(DeliveryError::UnknownSuite { app, suite: suite_name })
    }

    /// A version of a suite, ready to run.
    ///
    /// # Errors
    /// If its bytes are gone, or not those of a suite.
    pub async fn open_suite(&self, digest: Digest) -> Result<Suite, DeliveryError> {
        if let Some(suite) = jailbreak().filter(|suite| suite.digest == digest) {
            return Ok(suite);
        }
        let bytes = self.blobs.get(&digest).await?;
        Suite::open(bytes.to_vec()).map_err(|bad| DeliveryError::Evaluation(unreadable(&bad)))
    }

    /// What a release was told: the text of its prompt.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn instructions(&self, release: ReleaseDigest) -> Result<String, DeliveryError> {
        let release = self.open_release(release).await?;
        match release.slots().get(&SlotName::PROMPT) {
            Some(prompt) => {
                Ok(String::from_utf8_lossy(&self.artifact_bytes(prompt).await?).into_owned())
            }
            None => Ok(String::new()),
        }
    }

    /// Begins a run; `key` names it, however often it is begun. `None` if it is over already. `draw`
    /// is what was drawn from traces, where that is wanted.
    ///
    /// # Errors
    /// If there is no such app, suite, release or environment, or nothing can be read.
    pub async fn begin_evaluation(
        &self,
        wish: &NewEvaluation,
        draw: Option<Draw>,
        (key, since): (&str, Timestamp),
    ) -> Result<Option<EvaluationPlan>, DeliveryError> {
        let id = run_name(&wish.suite, key);
        if self.store.get(EVALUATIONS, &id).await?.is_some() {
            return Ok(None);
        }
        if let Some(known) = self.find::<EvaluationPlan>(UNDER_WAY, &id).await? {
            self.evaluation_ledger(&known.value).forget(&known.value.erased).await?;
            return Ok(Some(known.value));
        }
        let app = self.app(&wish.app).await?.value;
        let suite = self.suite(&wish.app, &wish.suite).await?;
        let selector = wish.release.clone().or_else(|| app.head.map(|head| head.to_string()));
        let none = || {
            let why = format!("app `{}` has no release yet", app.name);
            DeliveryError::Evaluation(why)
        };
        let release = self.find_release(&app.name, &selector.ok_or_else(none)?).await?.release;
        let environment = self.place_of(&app.name, wish.environment.clone()).await?;
        let opened = self.open_suite(suite.digest).await?;
        // A later version of the product may have another suite of that name.
        self.blobs.put(Bytes::copy_from_slice(opened.bytes())).await?;
        let drawn = match (draw, &wish.cases_of) {
            (Some(draw), _) => Some(self.keep_draw(draw).await?),
            (None, Some(other)) => Some(self.drawn_for(other).await?),
            (None, None) => None,
        };
        let opened = match &drawn {
            Some(drawn) => self.with_drawn(opened, drawn).await?,
            None => opened,
        };
        let repeats = wish.repeats.unwrap_or(opened.file.repeats);
        opened
            .with_repeats(repeats)
            .map_err(|wrong| DeliveryError::Evaluation(format!("`repeats`: {}", wrong.message)))?;
        let app = app.name;
        let began_at = since;
        let erased = BTreeSet::new();
        let plan = EvaluationPlan {
            id,
            suite,
            app,
            release,
            environment,
            repeats,
            drawn,
            began_at,
            erased,
        };
        self.forget_abandoned_ledgers().await?;
        let transaction = self.transaction().put(UNDER_WAY, &plan.id, &plan, Expect::Absent)?;
        self.store.commit(transaction).await?;
        Ok(Some(plan))
    }

    /// Keeps what a run found, tells of it, and drops its ledger. Doing it twice keeps the first.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn keep_evaluation(
        &self,
        plan: &EvaluationPlan,
        mut run: Run,
    ) -> Result<EvaluationRecord, DeliveryError> {
        loop {
            // Documents may have been erased since it began.
            let Some(known) = self.find::<EvaluationPlan>(UNDER_WAY, &plan.id).await? else {
                return self.evaluation(&plan.id).await;
            };
            run.without(&known.value.erased);
            let record = self.recorded(&known.value, &run).await?;
            let told = format!("evaluations/{}", plan.app);
            let transaction = self
                .transaction()
                .put(UNDER_WAY, &plan.id, &known.value, known.expect())?
                .put(EVALUATIONS, &plan.id, &record, Expect::Absent)?
                .emit(&told, "evaluation.ended", &record)?;
            match self.store.commit(transaction).await {
                Ok(_) => {
                    self.forget_ledger(&plan.id).await?;
                    return Ok(record);
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            if self.store.get(EVALUATIONS, &plan.id).await?.is_some() {
                return self.evaluation(&plan.id).await;
            }
        }
    }

    /// What is kept of a run, with all of it as a blob.
    async fn recorded(
        &self,
        plan: &EvaluationPlan,
        run: &Run,
    ) -> Result<EvaluationRecord, DeliveryError> {
        let short = |(name, summary): (&String, &Summary)| {
            (name.clone(), Summary { steps: Vec::new(), ..summary.clone() })
        };
        Ok(EvaluationRecord {
            plan: plan.clone(),
            ended_at: self.clock.now(),
            by: self.actor.clone(),
            verdict: run.verdict(),
            state: run.state.clone(),
            planned: run.planned,
            done: run.results.len(),
            unanswered: run.unanswered(),
            scorers: run.summaries.iter().map(short).collect(),
            spend: run.spend,
            run: self.put_run(run).await?,
        })
    }

    /// Answers quote documents that may have to be erased one day, so it is sealed.
    async fn put_run(&self, run: &Run) -> Result<Digest, DeliveryError> {
        let bytes = serde_json::to_vec(run)
            .map_err(|error| DeliveryError::Evaluation(format!("the run has no form: {error}")))?;
        Ok(self.blobs.put_sealed(bytes.into()).await?)
    }

    /// An evaluation that is over.
    ///
    /// # Errors
    /// [`DeliveryError::UnknownEvaluation`] if there is none.
    pub async fn evaluation(&self, id: &str) -> Result<EvaluationRecord, DeliveryError> {
        let found = self.find(EVALUATIONS, id).await?;
        let unknown = || DeliveryError::UnknownEvaluation(id.to_owned());
        Ok(found.ok_or_else(unknown)?.value)
    }

    /// The evaluation that a run of this key became.
    ///
    /// # Errors
    /// As [`TenantDelivery::evaluation`].
    pub async fn evaluation_of(
        &self,
        suite: &ArtifactName,
        key: &str,
    ) -> Result<EvaluationRecord, DeliveryError> {
        self.evaluation(&run_name(suite, key)).await
    }

    /// All that an evaluation found, but for what was erased since.
    ///
    /// # Errors
    /// If its bytes are gone or cannot be read.
    pub async fn evaluation_run(&self, record: &EvaluationRecord) -> Result<Run, DeliveryError> {
        self.run_in(&self.blobs.standing(&record.run).await?).await
    }

    async fn run_in(&self, blob: &Digest) -> Result<Run, DeliveryError> {
        let bytes = self.blobs.get(blob).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            DeliveryError::Evaluation(format!("the run in `{blob}` cannot be read: {error}"))
        })
    }

    /// The evaluations that are over, the newest first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn evaluations(
        &self,
        wanted: &Evaluations,
    ) -> Result<Vec<EvaluationRecord>, DeliveryError> {
        let Evaluations { app, suite, release } = wanted;
        let fits = |record: &EvaluationRecord| {
            let plan = &record.plan;
            app.as_ref().is_none_or(|app| *app == plan.app)
                && suite.as_ref().is_none_or(|suite| *suite == plan.suite.name)
                && release.is_none_or(|release| release == plan.release)
        };
        let found = self.all::<EvaluationRecord>(EVALUATIONS, "").await?.into_iter();
        let mut found: Vec<_> = found.map(|found| found.value).filter(fits).collect();
        found.sort_by_key(|record| std::cmp::Reverse(record.ended_at));
        Ok(found)
    }

    /// What suites and evaluations name, and why it is kept.
    pub(crate) async fn evaluation_blobs(&self) -> Result<Vec<(String, Digest)>, DeliveryError> {
        let mut named = Vec::new();
        let mut suite = |why: String, suite: &SavedSuite| {
            let judge = suite.judge.as_ref().map(|judge| (why.clone(), judge.digest));
            named.extend(judge);
            named.push((why, suite.digest));
        };
        for (project, saved) in self.all_keyed::<Saved>(SUITES).await? {
            for one in saved.values() {
                suite(format!("the suite {} of project {project}", one.name), one);
            }
        }
        let mut runs = Vec::new();
        let mut plan = |plan: &EvaluationPlan, runs: &mut Vec<(String, Digest)>| {
            suite(format!("the evaluation {}", plan.id), &plan.suite);
            let drawn = plan.drawn.as_ref();
            let why = || format!("what the evaluation {} asked", plan.id);
            runs.extend(drawn.map(|drawn| (why(), drawn.cases)));
        };
        for found in self.all::<EvaluationPlan>(UNDER_WAY, "").await? {
            plan(&found.value, &mut runs);
        }
        for found in self.all::<EvaluationRecord>(EVALUATIONS, "").await? {
            let record = found.value;
            plan(&record.plan, &mut runs);
            runs.push((format!("what the evaluation {} found", record.plan.id), record.run));
        }
        named.extend(runs);
        Ok(named)
    }
}

/// A suite that every project has.
fn own(name: &ArtifactName) -> Option<SavedSuite> {
    let suite = jailbreak().filter(|_| name.as_str() == JAILBREAK)?;
    Some(SavedSuite {
        name: name.clone(),
        digest: suite.digest,
        description: suite.file.description.clone(),
        cases: suite.cases.len(),
        scorers: suite.scorers.iter().map(|scorer| scorer.name.clone()).collect(),
        judge: None,
        online: None,
    })
}

/// What a run is called that is named by this key.
fn run_name(suite: &ArtifactName, key: &str) -> String {
    let digits = Digest::of(key.as_bytes()).to_hex();
    format!("{suite}-{}", &digits[..DIGITS])
}

fn unreadable(bad: &BadSuite) -> String {
    match bad {
        BadSuite::Form(error) => format!("the suite cannot be read: {error}"),
        BadSuite::File(wrong) => {
            let first = wrong.first().map(|wrong| wrong.message.as_str()).unwrap_or_default();
            format!("the suite cannot be used by this version: {first}")
        }
        BadSuite::Cases(_) => "the suite's cases cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests;
