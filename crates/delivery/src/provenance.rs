//! From a commit to production and out again: who changed what, on which evidence it went live,
//! when, and until when. Nothing is kept for this: it is read off changes, rollouts and the
//! deployment logs.

use std::collections::BTreeMap;

use release::{
    AppName, Cause, Change, DeploymentEntry, EnvironmentName, Move, PrincipalId, ReleaseDigest,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::catalog::{ReleaseRecord, Versioned};
use crate::evaluations::Evaluations;
use crate::gate::{Decision, GateRecord, Waiver};
use crate::gates::{DECISIONS, VERDICTS, WAIVERS, kept_for};
use crate::rollout::Rollout;
use crate::{DeliveryError, TenantDelivery};

/// What became of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The release, and what fills its slots.
    pub release: ReleaseRecord,
    /// Every change that proposed it, the oldest first: who, which commit, why, and what differs.
    pub changes: Vec<Change>,
    /// The evaluations of it, the oldest first.
    pub evaluations: Vec<Evaluated>,
    /// What became of it in each environment where anything did.
    pub environments: Vec<Whereabouts>,
}

/// An evaluation of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// Its id.
    pub id: String,
    /// What it said.
    pub verdict: evaluation::run::Verdict,
    /// When it ended.
    pub ended_at: Timestamp,
    /// In whose name it was made.
    pub by: PrincipalId,
}

/// What became of a release in one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// The environment.
    pub environment: EnvironmentName,
    /// What each gate said last.
    pub gates: Vec<GateRecord>,
    /// What people decided.
    pub decisions: Vec<Decision>,
    /// The gates that were let not count.
    pub waivers: Vec<Waiver>,
    /// Its rollouts there, the oldest first, with what was seen whenever that decided.
    pub rollouts: Vec<Rollout>,
    /// When it was the stable release.
    pub live: Vec<Live>,
}

/// A time during which a release was the stable one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// From when.
    pub from: Timestamp,
    /// Who made it so.
    pub by: PrincipalId,
    /// Why.
    pub cause: Cause,
    /// How that ended; none if it has not.
    pub end: Option<End>,
}

/// How a release's time as the stable one ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: PrincipalId,
    /// Why.
    pub cause: Cause,
    /// What came after it.
    pub after: ReleaseDigest,
}

impl TenantDelivery {
    /// What became of a release, as [`TenantDelivery::find_release`] takes it.
    ///
    /// # Errors
    /// If there is no such app or release, or a record cannot be read.
    pub async fn provenance(
        &self,
        app: &AppName,
        selector: &str,
    ) -> Result<Provenance, DeliveryError> {
        let record = self.app(app).await?.value;
        let release = self.find_release(app, selector).await?;
        let digest = release.release;
        let mut changes = self.changes(app).await?;
        changes.retain(|change| change.release == digest);
        changes.reverse();
        let mut environments = Vec::new();
        for environment in record.environments {
            let live = stays(&self.deployments(app, &environment).await?, digest);
            let mut rollouts = self.rollouts(app, &environment).await?;
            rollouts.retain(|rollout| rollout.candidate == digest);
            rollouts.reverse();
            let kept = kept_for(app, digest, &environment);
            let gates = newest(self.all::<GateRecord>(VERDICTS, &kept).await?);
            let decisions = by_time(self.all::<Decision>(DECISIONS, &kept).await?, |it| it.at);
            let waivers = by_time(self.all::<Waiver>(WAIVERS, &kept).await?, |it| it.at);
            if !live.is_empty() || !rollouts.is_empty() || !gates.is_empty() {
                environments.push(Whereabouts {
                    environment,
                    gates,
                    decisions,
                    waivers,
                    rollouts,
                    live,
                });
            }
        }
        let (app, suite, of) = (Some(app.clone()), None, Some(digest));
        let runs = self.evaluations(&Evaluations { app, suite, release: of }).await?;
        let evaluations = runs.into_iter().rev().map(|run| Evaluated {
            id: run.plan.id,
            verdict: run.verdict,
            ended_at: run.ended_at,
            by: run.by,
        });
        let evaluations = evaluations.collect();
        Ok(Provenance { release, changes, evaluations, environments })
    }
}

/// Each gate's newest word, in the order of their names.
fn newest(records: Vec<Versioned<GateRecord>>) -> Vec<GateRecord> {
    let records = by_time(records, |record| record.at).into_iter();
    let by_gate: BTreeMap<_, _> = records.map(|record| (record.gate.clone(), record)).collect();
    by_gate.into_values().collect()
}

/// Records, the oldest first.
fn by_time<T>(found: Vec<Versioned<T>>, at: impl Fn(&T) -> Timestamp) -> Vec<T> {
    let mut records: Vec<_> = found.into_iter().map(|found| found.value).collect();
    records.sort_by_key(at);
    records
}

/// When `release` was the stable one, by the log.
fn stays(log: &[DeploymentEntry], release: ReleaseDigest) -> Vec<Live> {
    let mut stays: Vec<Live> = Vec::new();
    for entry in log {
        let Move::Stable { to, .. } = entry.r#move else { continue };
        let (at, by, cause) = (entry.at, entry.actor.clone(), entry.cause.clone());
        let open = stays.last_mut().filter(|live| live.end.is_none());
        match (open, to == release) {
            (None, true) => stays.push(Live { from: at, by, cause, end: None }),
            (Some(live), false) => live.end = Some(End { at, by, cause, after: to }),
            _ => {}
        }
    }
    stays
}

#[cfg(test)]
mod tests;
