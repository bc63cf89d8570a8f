//! Cases drawn from traces: kept with the run that asks them, so that it can go on after a crash and
//! another can ask the same.

use evaluation::suite::{Case, Suite};
use release::{AppName, Digest, EnvironmentName, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EVALUATIONS, EvaluationPlan, NewEvaluation, UNDER_WAY, run_name};
use crate::{DeliveryError, TenantDelivery};

/// Which recorded requests are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FromTraces {
    /// How many.
    pub count: u32,
    /// Since when: a moment (RFC 3339), or how long before the run began, as `7d`. 7 days if absent.
    #[serde(default)]
    pub since: Option<String>,
    /// Which of all draws; the same seed draws the same from the same requests. 0 if absent.
    #[serde(default)]
    pub seed: u64,
}

/// Requests that were drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// As cases; the id of each is its trace.
    pub cases: Vec<Case>,
    /// How many were wanted.
    pub wanted: u32,
    /// Which draw.
    pub seed: u64,
    /// From which moment on they were asked.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// How many were drawn and left out, since they have no form as a case or are gone.
    pub left_out: usize,
}

/// Drawn requests, as a run's plan names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawnCases {
    /// The cases: a blob, sealed, since they are what people asked.
    pub cases: Digest,
    /// How many they are.
    pub count: usize,
    /// How many were wanted.
    pub wanted: u32,
    /// Which draw.
    pub seed: u64,
    /// From which moment on they were asked.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// How many were drawn and left out.
    pub left_out: usize,
}

impl TenantDelivery {
    /// Whether a run of this key is under way or over: then its cases are what they are.
    ///
    /// # Errors
    /// If that cannot be read.
    pub async fn has_begun(&self, wish: &NewEvaluation, key: &str) -> Result<bool, DeliveryError> {
        let id = run_name(&wish.suite, key);
        Ok(self.store.get(EVALUATIONS, &id).await?.is_some()
            || self.store.get(UNDER_WAY, &id).await?.is_some())
    }

    /// The environment of an app that is meant: the one named, else its first.
    ///
    /// # Errors
    /// If there is no such app or environment.
    pub async fn place_of(
        &self,
        app: &AppName,
        named: Option<EnvironmentName>,
    ) -> Result<EnvironmentName, DeliveryError> {
        let app = self.app(app).await?.value;
        let environment = named.or_else(|| app.environments.first().cloned());
        let none = || DeliveryError::Evaluation(format!("app `{}` has no environment", app.name));
        let environment = environment.ok_or_else(none)?;
        self.environment(&app, &environment).await?;
        Ok(environment)
    }

    /// Keeps what was drawn.
    pub(super) async fn keep_draw(&self, draw: Draw) -> Result<DrawnCases, DeliveryError> {
        let Draw { cases, wanted, seed, since, until, left_out } = draw;
        let bytes = serde_json::to_vec(&cases).map_err(|error| {
            DeliveryError::Evaluation(format!("the drawn cases have no form: {error}"))
        })?;
        let count = cases.len();
        let cases = self.blobs.put_sealed(bytes.into()).await?;
        Ok(DrawnCases { cases, count, wanted, seed, since, until, left_out })
    }

    /// What another run asked.
    pub(super) async fn drawn_for(&self, other: &str) -> Result<DrawnCases, DeliveryError> {
        let drawn = self.evaluation(other).await?.plan.drawn;
        drawn.ok_or_else(|| {
            let why = format!("evaluation `{other}` asked its suite's cases, and drew none");
            DeliveryError::Evaluation(why)
        })
    }

    /// A suite with the drawn cases in place of its own.
    pub(super) async fn with_drawn(
        &self,
        suite: Suite,
        drawn: &DrawnCases,
    ) -> Result<Suite, DeliveryError> {
        let bytes = self.blobs.get(&drawn.cases).await?;
        let cases = serde_json::from_slice(&bytes).map_err(|error| {
            DeliveryError::Evaluation(format!("the drawn cases cannot be read: {error}"))
        })?;
        Ok(suite.with_drawn((drawn.cases, cases)))
    }

    /// The suite of a plan, with the cases and repeats that are asked.
    ///
    /// # Errors
    /// If its bytes are gone, or not those of a suite.
    pub async fn planned_suite(&self, plan: &EvaluationPlan) -> Result<Suite, DeliveryError> {
        let suite = self.open_suite(plan.suite.digest).await?;
        let suite = match &plan.drawn {
            Some(drawn) => self.with_drawn(suite, drawn).await?,
            None => suite,
        };
        let repeated = suite.with_repeats(plan.repeats);
        repeated.map_err(|wrong| DeliveryError::Evaluation(format!("`repeats`: {}", wrong.message)))
    }
}
