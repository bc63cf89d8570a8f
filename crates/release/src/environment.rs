//! Environments and the traffic plans that split them.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::deployment::Move;
use crate::{AppName, BUCKETS, Cause, DeploymentEntry, EnvironmentName, Money, PrincipalId};
use crate::{ReleaseDigest, TenantId, bucket};

/// A share in hundredths of a percent; 10,000 is everything.
pub type BasisPoints = u16;

/// The buckets `[from, to)` of 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BucketRange {
    /// First bucket inside.
    pub from: BasisPoints,
    /// First bucket outside.
    pub to: BasisPoints,
}

impl BucketRange {
    /// Whether `bucket` lies inside.
    pub fn contains(self, bucket: u16) -> bool {
        (self.from..self.to).contains(&bucket)
    }
}

/// One release's share of an environment's traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// `control`, `canary`, or a variant's name.
    pub name: String,
    /// The release its units are bound to.
    pub release: ReleaseDigest,
    /// The buckets it owns.
    pub ranges: Vec<BucketRange>,
}

/// The arm that copies of requests belong to.
pub const SHADOW: &str = "shadow";

/// A release that gets copies of requests; its answers are discarded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// The release that is asked the copies.
    pub release: ReleaseDigest,
    /// The share of units whose requests are copied, all of them; none while copying rests.
    pub share: BasisPoints,
    /// No copy is made once the copies have cost so much.
    pub cap: Money,
    /// How many copies one server has under way at most.
    pub in_flight: u32,
}

/// What makes a request take a [`Route`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteMatch {
    /// A request header (name in lower case) has exactly this value.
    Header {
        /// The header's name, in lower case.
        name: String,
        /// The value it must have.
        value: String,
    },
    /// The caller belongs to this tenant.
    Tenant(TenantId),
}

/// A request that matches goes to `release`, whatever its bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// What must hold.
    pub when: RouteMatch,
    /// Where it goes.
    pub release: ReleaseDigest,
}

/// The identity of a traffic plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanId(pub String);

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who owns a traffic plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum PlanOwner {
    /// A rollout, by id.
    Rollout(String),
    /// An experiment, by id.
    Experiment(String),
}

/// How an environment's traffic is split while a rollout or an experiment runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficPlan {
    /// Its identity; also the seed of the assignment.
    pub id: PlanId,
    /// The rollout or experiment that moves it.
    pub owner: PlanOwner,
    /// Which step of its owner it is, from 0: what requests are counted by.
    #[serde(default)]
    pub step: u32,
    /// The arms; together they own every bucket once.
    pub arms: Vec<Arm>,
    /// The release that gets copies of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// Requests that bypass the arms; the first match wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
}

/// Why a traffic plan cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A range is empty, backwards or reaches past 10,000.
    #[error("arm `{arm}` has the impossible bucket range [{from}, {to})")]
    Range {
        /// The arm.
        arm: String,
        /// Its range's first bucket.
        from: BasisPoints,
        /// Its range's end.
        to: BasisPoints,
    },
    /// A bucket belongs to two arms.
    #[error("arms overlap at bucket {bucket}")]
    Overlap {
        /// The first bucket owned twice.
        bucket: BasisPoints,
    },
    /// The arms own fewer than all buckets.
    #[error("the arms' weights sum to {sum} basis points instead of 10000")]
    Sum {
        /// What they own together.
        sum: u32,
    },
    /// A mirror copies more than everything.
    #[error("a mirror's share of {share} basis points exceeds 10000")]
    Mirror {
        /// The share asked for.
        share: BasisPoints,
    },
}

impl TrafficPlan {
    /// Checks that the arms own every bucket exactly once.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check(&self) -> Result<(), PlanError> {
        let mut ranges = Vec::new();
        for arm in &self.arms {
            for range in &arm.ranges {
                if range.from >= range.to || range.to > BUCKETS {
                    let (from, to) = (range.from, range.to);
                    return Err(PlanError::Range { arm: arm.name.clone(), from, to });
                }
                ranges.push(*range);
            }
        }
        ranges.sort();
        if let Some(pair) = ranges.windows(2).find(|pair| pair[1].from < pair[0].to) {
            return Err(PlanError::Overlap { bucket: pair[1].from });
        }
        let sum = ranges.iter().map(|range| u32::from(range.to - range.from)).sum();
        if sum != u32::from(BUCKETS) {
            return Err(PlanError::Sum { sum });
        }
        match self.mirror.as_ref().filter(|mirror| mirror.share > BUCKETS) {
            Some(mirror) => Err(PlanError::Mirror { share: mirror.share }),
            None => Ok(()),
        }
    }

    /// The arm that owns `bucket`.
    pub fn arm(&self, bucket: u16) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.ranges.iter().any(|range| range.contains(bucket)))
    }

    /// The mirror that gets copies of a unit's requests. The seed is its own, so that who is copied
    /// has nothing to do with who is in which arm; raising the share keeps everybody who is copied.
    pub fn mirror_of(&self, unit: &str) -> Option<&Mirror> {
        let mirror = self.mirror.as_ref().filter(|mirror| mirror.share > 0)?;
        let seed = format!("{}/{SHADOW}/", self.id);
        (bucket(&seed, unit) < mirror.share).then_some(mirror)
    }

    /// Every release that the plan may send a request, or a copy of one, to.
    pub fn releases(&self) -> impl Iterator<Item = ReleaseDigest> {
        let arms = self.arms.iter().map(|arm| arm.release);
        let mirror = self.mirror.iter().map(|mirror| mirror.release);
        let routes = self.routes.iter().map(|route| route.release);
        arms.chain(mirror).chain(routes)
    }
}

/// Why an environment does not make a move.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// Somebody else moved first.
    #[error("`{app}` in `{environment}` is at generation {found}, the move expected {expected}")]
    Conflict {
        /// The app.
        app: AppName,
        /// The environment.
        environment: EnvironmentName,
        /// The generation that the caller had read.
        expected: u64,
        /// The generation it has.
        found: u64,
    },
    /// Automation tried to send requests to a release that is held.
    #[error("release `{release}` is held: a person must clear it first")]
    Held {
        /// The held release.
        release: ReleaseDigest,
    },
    /// Requests go to a release that is to be held.
    #[error("release `{release}` answers in `{environment}`: roll it back, which holds it too")]
    Answers {
        /// The release.
        release: ReleaseDigest,
        /// The environment.
        environment: EnvironmentName,
    },
    /// Automation tried to clear a hold.
    #[error("only a person may clear the hold on release `{release}`")]
    Unattended {
        /// The held release.
        release: ReleaseDigest,
    },
    /// A plan that does not own every bucket exactly once.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A second plan while one is in place.
    #[error("`{app}` in `{environment}` already has the traffic plan `{plan}`")]
    Occupied {
        /// The app.
        app: AppName,
        /// The environment.
        environment: EnvironmentName,
        /// The plan in place.
        plan: PlanId,
    },
}

/// Where an app is live: the stable release and at most one traffic plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The app.
    pub app: AppName,
    /// The environment.
    pub name: EnvironmentName,
    /// The release that answers; none until the first promotion.
    pub stable: Option<ReleaseDigest>,
    /// How traffic is split, while a rollout or experiment runs.
    pub plan: Option<TrafficPlan>,
    /// Releases that were rolled back here, or put on hold: automation does not promote them.
    pub held: BTreeSet<ReleaseDigest>,
    /// Counts the moves; every move is made against the generation that was read.
    pub generation: u64,
}

impl Environment {
    /// An environment in which nothing was ever deployed.
    pub fn empty(app: AppName, name: EnvironmentName) -> Self {
        Self { app, name, stable: None, plan: None, held: BTreeSet::new(), generation: 0 }
    }

    /// Decides a move: the row for the deployment log. [`Environment::apply`] then makes it.
    ///
    /// # Errors
    /// If `expected` is not the present generation, automation sends requests to a held release or
    /// clears it, a release that answers is held, or a plan is not whole or meets another one.
    pub fn decide(&self, request: MoveRequest) -> Result<DeploymentEntry, EnvironmentError> {
        if request.expected != self.generation {
            return Err(EnvironmentError::Conflict {
                app: self.app.clone(),
                environment: self.name.clone(),
                expected: request.expected,
                found: self.generation,
            });
        }
        if request.actor.is_automation() {
            if let Move::Clear { release } = request.make {
                return Err(EnvironmentError::Unattended { release });
            }
            if let Some(release) = request.make.releases().find(|to| self.held.contains(to)) {
                return Err(EnvironmentError::Held { release });
            }
        }
        if let Move::Hold { release } = request.make
            && self.releases().any(|there| there == release)
        {
            return Err(EnvironmentError::Answers { release, environment: self.name.clone() });
        }
        if let Move::Plan { to: Some(plan) } = &request.make {
            plan.check()?;
            if let Some(present) = self.plan.as_ref().filter(|present| present.owner != plan.owner)
            {
                return Err(EnvironmentError::Occupied {
                    app: self.app.clone(),
                    environment: self.name.clone(),
                    plan: present.id.clone(),
                });
            }
        }
        debug_assert!(match request.make {
            Move::Stable { from, .. } => from == self.stable,
            _ => true,
        });
        Ok(DeploymentEntry {
            app: self.app.clone(),
            environment: self.name.clone(),
            generation: self.generation + 1,
            r#move: request.make,
            cause: request.cause,
            actor: request.actor,
            at: request.at,
        })
    }

    /// Makes the move of one log row. Folding every row from the empty environment gives the
    /// present one.
    pub fn apply(&mut self, entry: &DeploymentEntry) {
        match &entry.r#move {
            Move::Stable { to, hold, .. } => {
                self.stable = Some(*to);
                self.plan = None;
                self.held.remove(to);
                self.held.extend(*hold);
            }
            Move::Plan { to } => {
                self.plan.clone_from(to);
                // Automation may not; so a person did.
                to.iter().flat_map(TrafficPlan::releases).for_each(|release| {
                    self.held.remove(&release);
                });
            }
            Move::Hold { release } => {
                self.held.insert(*release);
            }
            Move::Clear { release } => {
                self.held.remove(release);
            }
        }
        self.generation = entry.generation;
    }

    /// Every release that this environment may bind a request, or a copy of one, to.
    pub fn releases(&self) -> impl Iterator<Item = ReleaseDigest> {
        self.stable.into_iter().chain(self.plan.iter().flat_map(TrafficPlan::releases))
    }
}

/// A move that somebody asks an environment to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveRequest {
    /// The generation the caller read.
    pub expected: u64,
    /// The move.
    pub make: Move,
    /// Why.
    pub cause: Cause,
    /// Who.
    pub actor: PrincipalId,
    /// When.
    pub at: crate::Timestamp,
}

#[cfg(test)]
mod tests;
