//! What came of a pipeline.

use std::collections::BTreeMap;

use release::{
    AppName, ArtifactRef, Change, ChangeId, EnvironmentName, ReleaseDigest, SlotName, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::catalog::ReleaseRecord;
use crate::gate::Judged;

/// What came of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineReport {
    /// The app.
    pub app: AppName,
    /// The release.
    pub release: ReleaseDigest,
    /// The newest change that proposed it.
    pub change: ChangeId,
    /// What fills its slots.
    pub slots: BTreeMap<SlotName, ArtifactRef>,
    /// The commit of that change.
    pub commit: Option<String>,
    /// Where it was to go.
    pub to: EnvironmentName,
    /// What came of it.
    pub outcome: Outcome,
    /// The environments, first to last.
    pub stages: Vec<Stage>,
}

/// What came of a pipeline, or of as much of it as is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is live wherever it was to be.
    Live,
    /// A gate speaks against it, or could not be looked at.
    GateFailed,
    /// A rollout or a person took it back.
    TakenBack,
    /// A newer change is there already.
    Overtaken,
    /// A person must act, or the time ran out.
    Waiting,
}

/// How a release stands in an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageState {
    /// It did not come so far.
    NotReached,
    /// It is the stable release.
    Live,
    /// A gate speaks against it, or could not be looked at.
    Failed,
    /// A rollout or a person took it back.
    TakenBack,
    /// A newer change is there already.
    Overtaken,
    /// A person must act, or the time ran out.
    Waiting,
}

/// One environment of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The environment.
    pub environment: EnvironmentName,
    /// How the release stands there.
    pub state: StageState,
    /// Why, in a sentence.
    pub why: String,
    /// The command by which a person lets it go on, if one must.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The gates that apply, as they were seen last.
    pub gates: Vec<Judged>,
    /// The evaluations that were made for them.
    pub evaluations: Vec<String>,
    /// The rollout that brought it in, or did not.
    pub rollout: Option<String>,
    /// Since when it is the stable release.
    pub since: Option<Timestamp>,
}

impl PipelineReport {
    /// Nothing has been done.
    pub(super) fn new(change: &Change, release: &ReleaseRecord, to: EnvironmentName) -> Self {
        Self {
            app: change.app.clone(),
            release: change.release,
            change: change.id.clone(),
            slots: release.slots.clone(),
            commit: change.commit.clone(),
            to,
            outcome: Outcome::Live,
            stages: Vec::new(),
        }
    }

    /// Adds what came of the next environment.
    pub(super) fn add(&mut self, stage: Stage) {
        self.outcome = match stage.state {
            StageState::NotReached => self.outcome,
            StageState::Live => Outcome::Live,
            StageState::Failed => Outcome::GateFailed,
            StageState::TakenBack => Outcome::TakenBack,
            StageState::Overtaken => Outcome::Overtaken,
            StageState::Waiting => Outcome::Waiting,
        };
        self.stages.push(stage);
    }
}

impl Stage {
    /// An environment that was not reached.
    pub(super) fn new(environment: EnvironmentName) -> Self {
        Self {
            environment,
            state: StageState::NotReached,
            why: String::new(),
            next: None,
            gates: Vec::new(),
            evaluations: Vec::new(),
            rollout: None,
            since: None,
        }
    }

    pub(super) fn live(self, since: Timestamp) -> Self {
        let why = "it is the stable release".to_owned();
        Self { since: Some(since), ..self.ended(StageState::Live, why, None) }
    }

    pub(super) fn ended(self, state: StageState, why: String, next: Option<String>) -> Self {
        Self { state, why, next, ..self }
    }
}
