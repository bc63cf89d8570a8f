//! What the runs that are there say of a release: drawn from them alone, nothing is run.

use evaluation::comparison::{Comparison, compare};
use evaluation::run::Verdict;
use evaluation::statistics::paired::{Gate, NonInferiority};
use release::{AppName, ArtifactName, EnvironmentName, ReleaseDigest};
use serde::{Deserialize, Serialize};

use super::{EvaluationRecord, Evaluations, SavedSuite};
use crate::{DeliveryError, TenantDelivery};

/// What runs say of a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluationVerdict {
    /// The conclusion.
    pub gate: Gate,
    /// Why, in a sentence.
    pub reason: String,
    /// The runs it was drawn from: the candidate's, then the live release's.
    pub runs: Vec<String>,
}

impl TenantDelivery {
    /// What a suite, as last applied, says of a candidate: its own newest run must pass, and be no
    /// worse than that of the release that is live in `environment` by more than `margin`, a share
    /// of passes. Runs of other versions of the suite do not count, and nothing is run here. Without
    /// a live release, or of the live one itself, the candidate's own verdict is all there is.
    ///
    /// # Errors
    /// If there is no such app, suite or environment, `margin` is not above 0, or a run cannot be
    /// read.
    pub async fn evaluation_verdict(
        &self,
        (app, suite): (&AppName, &ArtifactName),
        candidate: ReleaseDigest,
        environment: &EnvironmentName,
        margin: f64,
    ) -> Result<EvaluationVerdict, DeliveryError> {
        rule(margin)?;
        let record = self.app(app).await?.value;
        let suite = self.suite(app, suite).await?;
        let live = self.environment(&record, environment).await?.0.stable;
        let Some(own) = self.newest_run(app, &suite, candidate).await? else {
            return Ok(without_run(&suite, "the candidate", candidate, Vec::new()));
        };
        let mut runs = vec![own.plan.id.clone()];
        let own_gate = match own.verdict {
            Verdict::Failed => Gate::Fail,
            Verdict::Error | Verdict::Partial => Gate::Inconclusive,
            Verdict::Passed | Verdict::Inconclusive => Gate::Pass,
        };
        let live = live.filter(|live| *live != candidate);
        let (Gate::Pass, Some(live)) = (own_gate, live) else {
            let gate = match own.verdict {
                Verdict::Inconclusive => Gate::Inconclusive,
                _ => own_gate,
            };
            return Ok(EvaluationVerdict { gate, reason: own_reason(&own), runs });
        };
        let Some(base) = self.newest_run(app, &suite, live).await? else {
            return Ok(without_run(&suite, "the live release", live, runs));
        };
        runs.push(base.plan.id.clone());
        let compared = self.compare_evaluations(&base, &own, margin).await?;
        let Comparison { gate, reason, .. } = compared;
        Ok(EvaluationVerdict { gate, reason, runs })
    }

    /// Compares a candidate's evaluation with a base's, case by case.
    ///
    /// # Errors
    /// If `margin` is not above 0, or a run cannot be read.
    pub async fn compare_evaluations(
        &self,
        base: &EvaluationRecord,
        candidate: &EvaluationRecord,
        margin: f64,
    ) -> Result<Comparison, DeliveryError> {
        let rule = rule(margin)?;
        let suite = self.open_suite(candidate.plan.suite.digest).await?;
        let (before, after) =
            (self.evaluation_run(base).await?, self.evaluation_run(candidate).await?);
        Ok(compare(&suite, &before, &after, &rule))
    }

    /// The newest run of this version of a suite, with its own cases, by a release.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn newest_run(
        &self,
        app: &AppName,
        suite: &SavedSuite,
        release: ReleaseDigest,
    ) -> Result<Option<EvaluationRecord>, DeliveryError> {
        let (app, name) = (Some(app.clone()), Some(suite.name.clone()));
        let wanted = Evaluations { app, suite: name, release: Some(release) };
        let mut runs = self.evaluations(&wanted).await?.into_iter();
        let fits = |run: &EvaluationRecord| run.plan.suite.digest == suite.digest;
        Ok(runs.find(|run| fits(run) && run.plan.drawn.is_none()))
    }
}

/// No worse than by `margin`.
fn rule(margin: f64) -> Result<NonInferiority, DeliveryError> {
    let rule = NonInferiority { margin, ..NonInferiority::default() };
    rule.check().map_err(|error| DeliveryError::Evaluation(error.to_string()))?;
    Ok(rule)
}

fn without_run(
    suite: &SavedSuite,
    which: &str,
    release: ReleaseDigest,
    runs: Vec<String>,
) -> EvaluationVerdict {
    let reason =
        format!("{which} `{release}` was not evaluated by suite `{}` as it is", suite.name);
    EvaluationVerdict { gate: Gate::Inconclusive, reason, runs }
}

/// The candidate's own verdict, in words.
fn own_reason(own: &EvaluationRecord) -> String {
    let EvaluationRecord { plan, verdict, done, planned, .. } = own;
    let said = match verdict {
        Verdict::Passed => "every scorer that decides passes".to_owned(),
        Verdict::Failed => {
            let failed = own.scorers.iter().filter(|(_, it)| {
                it.advisory.is_none() && it.pass_rate.is_some_and(|rate| rate < it.required)
            });
            let failed = failed.map(|(name, it)| {
                let rate = it.pass_rate.unwrap_or_default();
                format!("`{name}` passes {rate:.3} of answers, not {:.3}", it.required)
            });
            failed.collect::<Vec<_>>().join("; ")
        }
        Verdict::Error => "answers or scores are missing through errors".to_owned(),
        Verdict::Inconclusive => "no scorer decides".to_owned(),
        Verdict::Partial => format!("the run stopped after {done} of {planned} answers"),
    };
    format!("evaluation `{}`: {said}", plan.id)
}
