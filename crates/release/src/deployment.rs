//! The deployment log: one row per move of an environment.

use serde::{Deserialize, Serialize};

use crate::{
    AppName, ChangeId, Environment, EnvironmentName, PrincipalId, ReleaseDigest, Timestamp,
    TrafficPlan,
};

/// What changed in an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Move {
    /// The stable release changed; a traffic plan, if any, ended with it.
    Stable {
        /// What was stable before.
        from: Option<ReleaseDigest>,
        /// What is stable now.
        to: ReleaseDigest,
        /// A release put on hold by this move: the one rolled back.
        hold: Option<ReleaseDigest>,
    },
    /// The traffic plan was set, moved or removed.
    Plan {
        /// The plan in force; none if it ended.
        to: Option<TrafficPlan>,
    },
    /// A release was put on hold: automation does not promote it.
    Hold {
        /// The release held.
        release: ReleaseDigest,
    },
    /// A person allowed a held release to be promoted by automation again.
    Clear {
        /// The release no longer held.
        release: ReleaseDigest,
    },
}

impl Move {
    /// The releases that requests go to by this move.
    pub fn releases(&self) -> impl Iterator<Item = ReleaseDigest> {
        let (stable, plan) = match self {
            Self::Stable { to, .. } => (Some(*to), None),
            Self::Plan { to } => (None, to.as_ref()),
            Self::Hold { .. } | Self::Clear { .. } => (None, None),
        };
        stable.into_iter().chain(plan.into_iter().flat_map(TrafficPlan::releases))
    }
}

/// Why an environment moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// A change was promoted.
    Promotion {
        /// The change.
        change: ChangeId,
    },
    /// Somebody, or an alarm, took the release back.
    Rollback {
        /// Why, in words.
        reason: String,
    },
    /// A rollout or an experiment took a step.
    Step {
        /// The rollout or experiment.
        owner: String,
        /// Which of its steps, from 0.
        step: u32,
    },
    /// Somebody put a release on hold.
    Held {
        /// Why, in words.
        reason: String,
    },
    /// A person cleared a hold.
    HoldCleared {
        /// Why, in words.
        reason: String,
    },
}

/// One row of the append-only deployment log of (tenant, app, environment).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentEntry {
    /// The app.
    pub app: AppName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The environment's generation after this move.
    pub generation: u64,
    /// What changed.
    pub r#move: Move,
    /// Why.
    pub cause: Cause,
    /// Who.
    pub actor: PrincipalId,
    /// When.
    pub at: Timestamp,
}

/// Replays a deployment log from the empty environment.
pub fn fold<'a>(
    app: AppName,
    name: EnvironmentName,
    log: impl IntoIterator<Item = &'a DeploymentEntry>,
) -> Environment {
    let mut environment = Environment::empty(app, name);
    for entry in log {
        environment.apply(entry);
    }
    environment
}
