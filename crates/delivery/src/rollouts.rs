//! Rollouts under way: begun, looked at, steered, and every decision carried out in the transaction
//! that records it.
//!
//! A rollout is open exactly as long as its environment has its traffic plan, so the environments
//! are the list of what is to be looked at, and there is never more than one in each.

use async_trait::async_trait;
use monitoring::arms::{ArmMeasure, ArmOutcomes, Copies};
use release::{
    AppName, Cause, Change, Currency, DeploymentEntry, Environment, EnvironmentName, Move,
    MoveRequest, PlanId, PlanOwner, PrincipalId, ReleaseDigest, TenantId, Timestamp,
};
use serde::Serialize;
use store::{Collection, Expect, Transaction};

use crate::catalog::{AppRecord, ENVIRONMENTS, Versioned};
use crate::moves::{record_move, undisturbed};
use crate::rollout::evidence::Looked;
use crate::rollout::rules::Rules;
use crate::rollout::{Command, Event, Next, Passed, Rollout, State, next};
use crate::{Delivery, DeliveryError, TenantDelivery};

pub(crate) const ROLLOUTS: Collection = Collection("rollouts");

/// Who moves rollouts on.
const KEEPER: &str = "rollouts";
/// What the log tells of each change of a rollout.
const MOVED: &str = "rollout.moved";

/// What there is to be known of rollouts.
#[async_trait]
pub trait Observed: std::fmt::Debug + Send + Sync {
    /// What came of a plan's arms since a moment; an answer is slow above so many nanoseconds.
    ///
    /// # Errors
    /// Why it is not known.
    async fn outcomes(
        &self,
        tenant: &TenantId,
        plan: (&PlanId, Timestamp),
        slow: Option<u64>,
    ) -> Result<Vec<ArmOutcomes>, String>;

    /// What was measured of the sessions of a plan's arms since a moment.
    ///
    /// # Errors
    /// Why it is not known.
    async fn measures(
        &self,
        tenant: &TenantId,
        plan: (&PlanId, Timestamp),
    ) -> Result<Vec<ArmMeasure>, String>;

    /// What came of a plan's copies since a moment, as [`monitoring::arms::copies`] tells it: priced in
    /// a currency, and of those without a price since another moment.
    ///
    /// # Errors
    /// Why it is not known.
    async fn copies(
        &self,
        tenant: &TenantId,
        plan: (&PlanId, Timestamp),
        slow: Option<u64>,
        priced: (Currency, Timestamp),
    ) -> Result<(Vec<ArmOutcomes>, Copies), String>;

    /// Within how many nanoseconds the `share` fastest answers of a release were given between two
    /// moments; none if it gave none.
    ///
    /// # Errors
    /// Why it is not known.
    async fn latency(
        &self,
        tenant: &TenantId,
        release: (&AppName, &EnvironmentName, ReleaseDigest),
        share: f64,
        between: (Timestamp, Timestamp),
    ) -> Result<Option<u64>, String>;

    /// An alarm of an app's environment that went off since a moment and has not gone.
    ///
    /// # Errors
    /// Why it is not known.
    async fn alarm(
        &self,
        tenant: &TenantId,
        of: (&AppName, &EnvironmentName),
        since: Timestamp,
    ) -> Result<Option<String>, String>;
}

/// What is told when a rollout changes.
#[derive(Debug, Serialize)]
struct Told<'a> {
    id: &'a str,
    app: &'a AppName,
    environment: &'a EnvironmentName,
    candidate: ReleaseDigest,
    passed: &'a Passed,
}

/// The key of the rollout with this id, `app/environment/number`: an environment's are in the order in
/// which they began.
fn key_of(id: &str) -> Option<String> {
    let (place, number) = id.rsplit_once('/')?;
    let (app, environment) = place.split_once('/')?;
    let app: AppName = app.parse().ok()?;
    let environment: EnvironmentName = environment.parse().ok()?;
    Some(format!("{app}/{environment}/{:012}", number.parse::<u64>().ok()?))
}

impl Delivery {
    /// Looks at every rollout that is under way and moves it on; how many changed. One that cannot be
    /// moved does not keep the others.
    ///
    /// # Errors
    /// If the environments of a tenant cannot be read.
    pub async fn keep_rollouts(
        &self,
        tenants: &[TenantId],
        observed: &dyn Observed,
    ) -> Result<usize, DeliveryError> {
        let mut changed = 0;
        for tenant in tenants {
            let own = self.tenant(tenant, PrincipalId::system(KEEPER));
            for environment in own.all::<Environment>(ENVIRONMENTS, "").await? {
                let Some(id) = under_way(&environment.value) else { continue };
                match own.keep_rollout(id, observed).await {
                    Ok(moved) => changed += usize::from(moved),
                    Err(error) => {
                        tracing::warn!(%tenant, rollout = id, %error, "a rollout could not be looked at");
                    }
                }
            }
        }
        Ok(changed)
    }
}

/// The rollout that an environment is in.
pub(crate) fn under_way(environment: &Environment) -> Option<&str> {
    match environment.plan.as_ref().map(|plan| &plan.owner) {
        Some(PlanOwner::Rollout(id)) => Some(id),
        _ => None,
    }
}

impl TenantDelivery {
    /// A rollout by its id, as `support/prod/17`.
    ///
    /// # Errors
    /// [`DeliveryError::UnknownRollout`] if there is none.
    pub async fn rollout(&self, id: &str) -> Result<Rollout, DeliveryError> {
        Ok(self.stored_rollout(id).await?.value)
    }

    /// An environment's rollouts, newest first.
    ///
    /// # Errors
    /// If there is no such app or environment, or the records cannot be read.
    pub async fn rollouts(
        &self,
        app: &AppName,
        environment: &EnvironmentName,
    ) -> Result<Vec<Rollout>, DeliveryError> {
        let found = self.all_in::<Rollout>(ROLLOUTS, (app, environment)).await?;
        Ok(found.into_iter().rev().collect())
    }

    async fn stored_rollout(&self, id: &str) -> Result<Versioned<Rollout>, DeliveryError> {
        let unknown = || DeliveryError::UnknownRollout(id.to_owned());
        let key = key_of(id).ok_or_else(unknown)?;
        self.find(ROLLOUTS, &key).await?.ok_or_else(unknown)
    }

    /// A rollout of a change over the stable release, which begins with the environment's next
    /// generation.
    pub(crate) fn new_rollout(
        &self,
        environment: &Environment,
        change: &Change,
        (rules, control): (Rules, ReleaseDigest),
        at: Timestamp,
    ) -> Rollout {
        let Environment { app, name, generation, .. } = environment;
        let (state, by) = (State::Progressing { step: 0, since: at }, self.actor.clone());
        let why = format!("step 1 begins: {}", rules.steps.first().copied().unwrap_or_default());
        Rollout {
            id: format!("{app}/{name}/{}", generation + 1),
            app: app.clone(),
            environment: name.clone(),
            change: change.id.clone(),
            candidate: change.release,
            control,
            rules,
            slow: None,
            state,
            by: by.clone(),
            began_at: at,
            looked: None,
            passed: vec![Passed { at, by, state, why, looked: None }],
        }
    }

    /// Does to a rollout what a person asks; the move of the environment that came of it, if any.
    ///
    /// # Errors
    /// If there is no such rollout, or its state does not allow it.
    pub async fn steer(
        &self,
        id: &str,
        event: &Event,
    ) -> Result<(Rollout, Option<DeploymentEntry>), DeliveryError> {
        undisturbed(|| async {
            let mut stored = self.stored_rollout(id).await?;
            if *event == Event::Resume {
                // What copies may cost is the one rule that may change: else a rollout that paused at
                // its cap could only be begun anew.
                let app = self.app(&stored.value.app).await?.value;
                let rules = Self::rules(&app, &stored.value.environment);
                stored.value.rules.copies = rules.map_or(stored.value.rules.copies, |it| it.copies);
            }
            match next(&stored.value, event, self.clock.now())? {
                Some(next) => self.carry_out(stored, next).await,
                None => Ok((stored.value, None)),
            }
        })
        .await
    }

    /// Looks at a rollout and moves it on; whether it changed.
    async fn keep_rollout(&self, id: &str, observed: &dyn Observed) -> Result<bool, DeliveryError> {
        let mut stored = self.stored_rollout(id).await?;
        let looked = self.look_at(&mut stored.value, observed).await;
        let decided = next(&stored.value, &Event::Look(Box::new(looked.clone())), looked.at)?;
        stored.value.looked = Some(looked);
        let Some(next) = decided else {
            let put = put(self.transaction(), &stored.value, stored.expect())?;
            self.store.commit(put).await?;
            return Ok(false);
        };
        self.carry_out(stored, next).await?;
        Ok(true)
    }

    /// What is known of a rollout now.
    async fn look_at(&self, rollout: &mut Rollout, observed: &dyn Observed) -> Looked {
        let evidence = rollout.rules.evidence;
        let mut trouble = None;
        if evidence.latency_quantile > 0.0 && rollout.slow.is_none() {
            let release = (&rollout.app, &rollout.environment, rollout.control);
            let hours = std::time::Duration::from_secs(evidence.latency_hours * 3_600);
            let between = (rollout.began_at - hours, rollout.began_at);
            let share = evidence.latency_quantile;
            match observed.latency(&self.tenant, release, share, between).await {
                Ok(slow) => rollout.slow = slow,
                Err(why) => trouble = Some(why),
            }
        }
        let plan = PlanId(rollout.id.clone());
        let counted = (&plan, rollout.began_at);
        let mut outcomes = observed.outcomes(&self.tenant, counted, rollout.slow).await;
        let mut copies = None;
        if rollout.mirrors() {
            let lately = rollout.passed.last().map_or(rollout.began_at, |passed| passed.at);
            let priced = (rollout.rules.copies.currency, lately);
            match observed.copies(&self.tenant, counted, rollout.slow, priced).await {
                Ok((arms, told)) => {
                    outcomes = outcomes.map(|outcomes| [outcomes, arms].concat());
                    copies = Some(told);
                }
                Err(why) => trouble = Some(why),
            }
        }
        let mut alarm = None;
        if rollout.rules.alarms {
            let of = (&rollout.app, &rollout.environment);
            match observed.alarm(&self.tenant, of, rollout.began_at).await {
                Ok(found) => alarm = found,
                Err(why) => trouble = Some(why),
            }
        }
        if let Some(why) = trouble {
            outcomes = outcomes.and(Err(why));
        }
        Looked { copies, ..Looked::at(self.clock.now(), rollout, outcomes, alarm) }
    }

    /// Makes a decision and its effect one transaction.
    async fn carry_out(
        &self,
        Versioned { value: mut rollout, version }: Versioned<Rollout>,
        Next { state, command, why }: Next,
    ) -> Result<(Rollout, Option<DeploymentEntry>), DeliveryError> {
        let (at, by) = (self.clock.now(), self.actor.clone());
        let looked = rollout.looked.clone();
        rollout.state = state;
        rollout.passed.push(Passed { at, by, state, why: why.clone(), looked });
        let mut transaction = self.transaction();
        let mut entry = None;
        if let Some(command) = command {
            let app = self.app(&rollout.app).await?.value;
            let read = self.environment(&app, &rollout.environment).await?;
            let (make, cause) = effect(&rollout, command, why);
            let (expected, actor) = (read.0.generation, self.actor.clone());
            let request = MoveRequest { expected, make, cause, actor, at };
            let moved = record_move(transaction, read, request)?;
            (transaction, entry) = (moved.0, Some(moved.1));
        }
        let transaction = record_rollout(transaction, &rollout, Expect::Version(version))?;
        self.store.commit(transaction).await?;
        tracing::info!(rollout = rollout.id, state = state.as_str(), "a rollout has changed");
        Ok((rollout, entry))
    }

    /// The rules by which releases come into an environment; none if they go live at once.
    pub(crate) fn rules(app: &AppRecord, environment: &EnvironmentName) -> Option<Rules> {
        // What was applied was checked.
        let rules = app.policy.environments.get(environment)?.rules().ok()?;
        (!rules.steps.is_empty()).then_some(rules)
    }
}

/// What a command does to the environment, and why.
fn effect(rollout: &Rollout, command: Command, why: String) -> (Move, Cause) {
    let (control, candidate) = (rollout.control, rollout.candidate);
    match command {
        Command::Weigh(step) => {
            let cause = Cause::Step { owner: rollout.id.clone(), step };
            (Move::Plan { to: Some(rollout.plan(step)) }, cause)
        }
        Command::Promote => {
            let cause = Cause::Promotion { change: rollout.change.clone() };
            (Move::Stable { from: Some(control), to: candidate, hold: None }, cause)
        }
        Command::RollBack => {
            let make = Move::Stable { from: Some(control), to: control, hold: Some(candidate) };
            (make, Cause::Rollback { reason: why })
        }
        Command::Abort => (Move::Plan { to: None }, Cause::Rollback { reason: why }),
    }
}

fn put(
    transaction: Transaction,
    rollout: &Rollout,
    expect: Expect,
) -> Result<Transaction, DeliveryError> {
    let unknown = || DeliveryError::UnknownRollout(rollout.id.clone());
    Ok(transaction.put(ROLLOUTS, &key_of(&rollout.id).ok_or_else(unknown)?, rollout, expect)?)
}

/// The rollout, and what the log tells of its newest change, in one transaction.
pub(crate) fn record_rollout(
    transaction: Transaction,
    rollout: &Rollout,
    expect: Expect,
) -> Result<Transaction, DeliveryError> {
    let transaction = put(transaction, rollout, expect)?;
    let Some(passed) = rollout.passed.last() else { return Ok(transaction) };
    let Rollout { id, app, environment, candidate, .. } = rollout;
    let told = Told { id, app, environment, candidate: *candidate, passed };
    Ok(transaction.emit(&format!("rollouts/{app}/{environment}"), MOVED, &told)?)
}

#[cfg(test)]
pub(crate) mod tests;
