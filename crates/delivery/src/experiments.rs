//! Experiments under way: drafted and steered by people, looked at and stopped by whoever keeps
//! rollouts, every decision carried out in the transaction that records it.
//!
//! A running experiment owns its environment's traffic plan, so that neither a rollout nor another
//! experiment is there with it. A rollback ends the plan, whatever owned it: the experiment is then
//! found without, and rests until a person decides.

mod draft;

use std::time::Duration;

use evaluation::statistics::means::Moments;
use monitoring::arms::ArmMeasure;
use release::{
    AppName, Cause, Change, DeploymentEntry, Environment, EnvironmentName, Move, MoveRequest,
    PlanId, PlanOwner, PrincipalId, ReleaseDigest, TenantId, Timestamp,
};
use serde::{Deserialize, Serialize};
use store::{Collection, Expect, List, Transaction};

use crate::catalog::{AppRecord, PAGE, Versioned, versioned};
use crate::experiment::design::Variant;
use crate::experiment::verdict::{Judged, Measured, Seen, judge};
use crate::experiment::{Command, Event, Experiment, Next, State, next};
use crate::moves::{record_move, undisturbed};
use crate::{Delivery, DeliveryError, Observed, TenantDelivery};

pub use draft::{NewExperiment, NewMetric, NewVariant};

const EXPERIMENTS: Collection = Collection("experiments");
/// Who stops experiments.
const KEEPER: &str = "experiments";
/// What the log tells of each change of an experiment.
const MOVED: &str = "experiment.moved";
/// How often an experiment is looked at, at most.
const LOOK: Duration = Duration::from_secs(10);

/// An experiment as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentRecord {
    /// What it is to find out, and how far it is.
    #[serde(flatten)]
    pub experiment: Experiment,
    /// Who drafted it.
    pub by: PrincipalId,
    /// When.
    pub drafted_at: Timestamp,
    /// What was last seen of it.
    pub looked: Option<Look>,
    /// What it went through, oldest first.
    pub passed: Vec<Step>,
}

/// What was seen of an experiment at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// When.
    pub at: Timestamp,
    /// What was counted, when that was last known.
    pub seen: Seen,
    /// What it says.
    pub judged: Judged,
    /// Why it is not known what came of it since, if it is not. That stops nothing and decides
    /// nothing.
    pub trouble: Option<String>,
}

/// One thing that an experiment went through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: PrincipalId,
    /// The state it led to.
    pub state: State,
    /// Why.
    pub why: String,
}

/// What is told when an experiment changes.
#[derive(Debug, Serialize)]
struct Told<'a> {
    id: &'a str,
    app: &'a AppName,
    environment: &'a EnvironmentName,
    passed: &'a Step,
}

/// The experiment that splits an environment's traffic.
pub(crate) fn split_by(environment: &Environment) -> Option<&str> {
    match environment.plan.as_ref().map(|plan| &plan.owner) {
        Some(PlanOwner::Experiment(id)) => Some(id),
        _ => None,
    }
}

impl Delivery {
    /// Looks at every experiment that is under way and stops those that have told; how many changed.
    /// One that cannot be looked at does not keep the others.
    ///
    /// # Errors
    /// If the experiments of a tenant cannot be read.
    pub async fn keep_experiments(
        &self,
        tenants: &[TenantId],
        observed: &dyn Observed,
    ) -> Result<usize, DeliveryError> {
        let mut changed = 0;
        for tenant in tenants {
            let own = self.tenant(tenant, PrincipalId::system(KEEPER));
            let index = Some(("state", UNDER_WAY.to_owned()));
            let list = List { prefix: String::new(), index, after: None, limit: PAGE };
            for record in own.store.list(EXPERIMENTS, list).await? {
                let key = record.key.clone();
                match own.keep_experiment(versioned(record)?, observed).await {
                    Ok(moved) => changed += usize::from(moved),
                    Err(error) => {
                        tracing::warn!(%tenant, experiment = key, %error, "an experiment could not be looked at");
                    }
                }
            }
        }
        Ok(changed)
    }
}

/// What an experiment's records are found by as long as it runs or rests.
const UNDER_WAY: &str = "under_way";

impl TenantDelivery {
    /// Drafts an experiment. Nothing is assigned before it is started.
    ///
    /// # Errors
    /// If its design cannot be run, a release is unknown, or there is one of its name already.
    pub async fn draft_experiment(
        &self,
        (app, environment): (&AppName, &EnvironmentName),
        wish: &NewExperiment,
    ) -> Result<ExperimentRecord, DeliveryError> {
        let record = self.app(app).await?.value;
        self.environment(&record, environment).await?;
        let mut variants = Vec::new();
        for variant in &wish.variants {
            let NewVariant { name, release, .. } = variant;
            let release = self.find_release(app, release).await?.release;
            variants.push(Variant { name: name.to_string(), release, weight: variant.weight() });
        }
        let design = wish.design(variants).map_err(DeliveryError::Experiment)?;
        let (state, at, by) = (State::Draft, self.clock.now(), self.actor.clone());
        let id = format!("{app}/{environment}/{}", wish.name);
        let (app, environment) = (app.clone(), environment.clone());
        let experiment = Experiment { id, app, environment, design, state };
        let why = wish.hypothesis.clone();
        let passed = vec![Step { at, by: by.clone(), state, why }];
        let record = ExperimentRecord { experiment, by, drafted_at: at, looked: None, passed };
        let put = record_experiment(self.transaction(), &record, Expect::Absent)?;
        self.store.commit(put).await?;
        Ok(record)
    }

    /// An experiment by its id, as `support/prod/short-answers`.
    ///
    /// # Errors
    /// [`DeliveryError::UnknownExperiment`] if there is none.
    pub async fn experiment(&self, id: &str) -> Result<ExperimentRecord, DeliveryError> {
        Ok(self.stored_experiment(id).await?.value)
    }

    /// An environment's experiments, newest first.
    ///
    /// # Errors
    /// If there is no such app or environment, or the records cannot be read.
    pub async fn experiments(
        &self,
        app: &AppName,
        environment: &EnvironmentName,
    ) -> Result<Vec<ExperimentRecord>, DeliveryError> {
        let mut found = self.all_in::<ExperimentRecord>(EXPERIMENTS, (app, environment)).await?;
        found.sort_by_key(|record| std::cmp::Reverse(record.drafted_at));
        Ok(found)
    }

    async fn stored_experiment(
        &self,
        id: &str,
    ) -> Result<Versioned<ExperimentRecord>, DeliveryError> {
        let found = self.find(EXPERIMENTS, id).await?;
        found.ok_or_else(|| DeliveryError::UnknownExperiment(id.to_owned()))
    }

    /// Does to an experiment what a person asks; the move of the environment that came of it, if any.
    ///
    /// # Errors
    /// If there is no such experiment, its state does not allow it, a variant may not answer there, or
    /// the environment's traffic is split already.
    pub async fn steer_experiment(
        &self,
        id: &str,
        deed: impl Fn(&ExperimentRecord) -> Event,
    ) -> Result<(ExperimentRecord, Option<DeploymentEntry>), DeliveryError> {
        undisturbed(|| async {
            let stored = self.stored_experiment(id).await?;
            let event = deed(&stored.value);
            match next(&stored.value.experiment, &event, self.clock.now())? {
                Some(next) => self.carry_out_experiment(stored, next).await,
                None => Ok((stored.value, None)),
            }
        })
        .await
    }

    /// Looks at an experiment, and stops it if it has told; whether it changed.
    async fn keep_experiment(
        &self,
        mut stored: Versioned<ExperimentRecord>,
        observed: &dyn Observed,
    ) -> Result<bool, DeliveryError> {
        let now = self.clock.now();
        let Experiment { id, app, environment, state, .. } = &stored.value.experiment;
        let app = self.app(app).await?.value;
        let (place, _) = self.environment(&app, environment).await?;
        let lost = matches!(state, State::Running { .. }) && split_by(&place) != Some(id);
        let event = if lost {
            Event::Interrupt("the environment was moved, which ended its traffic plan".to_owned())
        } else {
            let looked = stored.value.looked.as_ref().map(|looked| looked.at + LOOK);
            if looked.is_some_and(|next| now < next) {
                return Ok(false);
            }
            let look = self.look_at_experiment(&stored.value, observed).await;
            let known = look.trouble.is_none();
            let seen = look.seen.clone();
            stored.value.looked = Some(look);
            if !known {
                return self.keep_looked(&stored).await;
            }
            Event::Look(seen)
        };
        match next(&stored.value.experiment, &event, now)? {
            Some(next) => self.carry_out_experiment(stored, next).await.map(|_| true),
            None => self.keep_looked(&stored).await,
        }
    }

    /// Keeps what was seen, which changes nothing.
    async fn keep_looked(
        &self,
        stored: &Versioned<ExperimentRecord>,
    ) -> Result<bool, DeliveryError> {
        let put = put(self.transaction(), &stored.value, stored.expect())?;
        self.store.commit(put).await?;
        Ok(false)
    }

    /// What is known of an experiment now.
    async fn look_at_experiment(&self, record: &ExperimentRecord, observed: &dyn Observed) -> Look {
        let (seen, trouble) = match self.see(&record.experiment, observed).await {
            Ok(seen) => (seen, None),
            Err(why) => {
                let before = record.looked.as_ref().map(|looked| looked.seen.clone());
                (before.unwrap_or_default(), Some(why))
            }
        };
        let judged = judge(&record.experiment.design, &seen);
        Look { at: self.clock.now(), seen, judged, trouble }
    }

    /// What came of an experiment's variants since it was started.
    async fn see(&self, experiment: &Experiment, observed: &dyn Observed) -> Result<Seen, String> {
        let Some((since, run)) = experiment.state.under_way() else { return Ok(Seen::default()) };
        let plan = PlanId(experiment.id.clone());
        let outcomes = observed.outcomes(&self.tenant, (&plan, since), None).await?;
        let measures = observed.measures(&self.tenant, (&plan, since)).await?;
        let design = &experiment.design;
        let assigned = |run: u32| {
            let of = |variant: &Variant| {
                let own = outcomes.iter().filter(|it| it.arm == variant.name && it.step == run);
                own.map(|arm| arm.assigned).sum()
            };
            design.variants.iter().map(of).collect()
        };
        let measured = |variant: &Variant| {
            let of = |measure: &str| {
                let fits = |it: &&ArmMeasure| it.arm == variant.name && it.measure == measure;
                measures.iter().filter(fits).map(moments).fold(Moments::default(), Moments::merge)
            };
            Measured {
                primary: of(&design.primary.name),
                guardrails: design.guardrails.iter().map(|metric| of(&metric.name)).collect(),
            }
        };
        Ok(Seen {
            assigned: (0..=run).map(assigned).collect(),
            variants: design.variants.iter().map(measured).collect(),
        })
    }

    /// Makes a decision and its effect one transaction.
    async fn carry_out_experiment(
        &self,
        stored: Versioned<ExperimentRecord>,
        Next { state, command, why }: Next,
    ) -> Result<(ExperimentRecord, Option<DeploymentEntry>), DeliveryError> {
        let expect = stored.expect();
        let mut record = stored.value;
        record.experiment.state = state;
        let (at, by) = (self.clock.now(), self.actor.clone());
        record.passed.push(Step { at, by, state, why });
        let transaction = self.transaction();
        let (transaction, moved) = match command {
            None => (transaction, None),
            Some(command) => self.effect(&record.experiment, command, transaction).await?,
        };
        let transaction = record_experiment(transaction, &record, expect)?;
        self.store.commit(transaction).await?;
        let id = &record.experiment.id;
        tracing::info!(experiment = id, state = state.as_str(), "an experiment has changed");
        Ok((record, moved))
    }

    /// Adds to `transaction` what a command does to the environment.
    async fn effect(
        &self,
        experiment: &Experiment,
        command: Command,
        transaction: Transaction,
    ) -> Result<(Transaction, Option<DeploymentEntry>), DeliveryError> {
        let app = self.app(&experiment.app).await?.value;
        let read = self.environment(&app, &experiment.environment).await?;
        let owner = experiment.id.clone();
        let (make, step) = match command {
            Command::Split => {
                self.admit_variants(experiment, (&app, &read.0)).await?;
                let plan = experiment.plan();
                let step = plan.step;
                (Move::Plan { to: Some(plan) }, step)
            }
            Command::Unsplit => match read.0.plan.as_ref() {
                Some(plan) if split_by(&read.0) == Some(&owner) => {
                    (Move::Plan { to: None }, plan.step)
                }
                // What took the plan away has done it already.
                _ => return Ok((transaction, None)),
            },
            Command::RollOut(release) => {
                let change = self.admitted((&app, &read.0), release).await?;
                let rules = Self::rules(&app, &experiment.environment);
                let (transaction, entry) =
                    self.bring_in(read, &change, (rules, None), transaction)?;
                return Ok((transaction, Some(entry)));
            }
        };
        let (expected, cause) = (read.0.generation, Cause::Step { owner, step });
        let (actor, at) = (self.actor.clone(), self.clock.now());
        let request = MoveRequest { expected, make, cause, actor, at };
        let (transaction, entry) = record_move(transaction, read, request)?;
        Ok((transaction, Some(entry)))
    }

    /// The change of a release that may be used, and that gates let in.
    async fn admitted(
        &self,
        (app, environment): (&AppRecord, &Environment),
        release: ReleaseDigest,
    ) -> Result<Change, DeliveryError> {
        let release = self.find_release(&app.name, &release.to_string()).await?;
        self.check_usable(&release).await?;
        let change = self.change(&release.change).await?;
        self.eligible((app, environment), &change).await?;
        Ok(change)
    }

    /// Variants answer people, so they pass what every release must that does.
    async fn admit_variants(
        &self,
        experiment: &Experiment,
        (app, environment): (&AppRecord, &Environment),
    ) -> Result<(), DeliveryError> {
        let variants = &experiment.design.variants;
        let refused = |why: String| Err(DeliveryError::Experiment(why));
        if let Some(control) = variants.first().filter(|it| environment.stable != Some(it.release))
        {
            return refused(format!(
                "variant `{}` is the control and must be the stable release of `{}`, which it is \
                 not: draft the experiment anew",
                control.name, environment.name
            ));
        }
        for variant in variants {
            if environment.held.contains(&variant.release) {
                return refused(format!(
                    "variant `{}` is a release that is held there: clear the hold first",
                    variant.name
                ));
            }
            self.admitted((app, environment), variant.release).await?;
        }
        Ok(())
    }
}

fn moments(measure: &ArmMeasure) -> Moments {
    let ArmMeasure { sessions, sum, sum_of_squares, .. } = *measure;
    Moments { n: sessions, sum, sum_of_squares }
}

fn put(
    transaction: Transaction,
    record: &ExperimentRecord,
    expect: Expect,
) -> Result<Transaction, DeliveryError> {
    let under_way = [("state", UNDER_WAY.to_owned())];
    let index = match record.experiment.state.under_way() {
        Some(_) => &under_way[..],
        None => &[],
    };
    let at = (EXPERIMENTS, record.experiment.id.as_str());
    Ok(transaction.put_indexed(at, record, expect, index)?)
}

/// The experiment, and what the log tells of its newest change, in one transaction.
fn record_experiment(
    transaction: Transaction,
    record: &ExperimentRecord,
    expect: Expect,
) -> Result<Transaction, DeliveryError> {
    let transaction = put(transaction, record, expect)?;
    let Some(passed) = record.passed.last() else { return Ok(transaction) };
    let Experiment { id, app, environment, .. } = &record.experiment;
    let told = Told { id, app, environment, passed };
    Ok(transaction.emit(&format!("experiments/{app}/{environment}"), MOVED, &told)?)
}

#[cfg(test)]
mod tests;
