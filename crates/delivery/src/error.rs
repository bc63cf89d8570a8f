//! What can go wrong on the release path.

use knowledge::KnowledgeError;
use release::{
    AppName, ArtifactName, ArtifactRef, Diagnostic, DigestMismatch, EnvironmentError,
    EnvironmentName, InvalidName, ReleaseDigest, ReleaseError,
};
use store::{BackupError, BlobError, StoreError};
use workflow::engine::EngineError;

use crate::gate::NotTaken;
use crate::rollout::CannotSteer;

/// An error of the release path.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The project's files hold mistakes; nothing was applied.
    #[error("the project has {} mistake(s); nothing was applied", .0.len())]
    Project(Vec<Diagnostic>),
    /// The project changed since the caller read it.
    #[error(
        "project `{project}` is at generation {found}, not {expected}: somebody applied meanwhile"
    )]
    StaleProject {
        /// The project.
        project: ArtifactName,
        /// The generation the caller had read.
        expected: u64,
        /// The generation it is at.
        found: u64,
    },
    /// No such app.
    #[error("there is no app `{0}`")]
    UnknownApp(AppName),
    /// No such environment.
    #[error("app `{app}` has no environment `{environment}`")]
    UnknownEnvironment {
        /// The app.
        app: AppName,
        /// The environment asked for.
        environment: EnvironmentName,
    },
    /// No release of the app fits the selector.
    #[error("app `{app}` has no release `{selector}`")]
    UnknownRelease {
        /// The app.
        app: AppName,
        /// What was asked for: digits of a digest, a change or a sequence number.
        selector: String,
    },
    /// No such knowledge base.
    #[error("there is no knowledge base `{0}`")]
    UnknownKnowledge(ArtifactName),
    /// A knowledge base has no snapshot yet.
    #[error("knowledge base `{0}` was never refreshed")]
    NeverRefreshed(ArtifactName),
    /// A batch cannot be used as it is asked for.
    #[error("batch {number} of knowledge base `{name}`: {why}")]
    Batch {
        /// The knowledge base.
        name: ArtifactName,
        /// The batch.
        number: u64,
        /// Why not.
        why: String,
    },
    /// Documents cannot be erased or admitted as it is asked for.
    #[error("knowledge base `{name}`: {why}")]
    Erasure {
        /// The knowledge base.
        name: ArtifactName,
        /// Why not.
        why: String,
    },
    /// Backups could not be reached.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// Somebody else does what must be done by one at a time.
    #[error("{0} is under way already: try again later")]
    Busy(&'static str),
    /// No artifact fits, or several do.
    #[error(
        "`{0}` is not exactly one artifact: write `kind/name@digits`, with six digits at least"
    )]
    UnknownArtifact(String),
    /// No such rollout.
    #[error("there is no rollout `{0}`")]
    UnknownRollout(String),
    /// The app's project has no such suite.
    #[error("the project of app `{app}` has no evaluation suite `{suite}`")]
    UnknownSuite {
        /// The app.
        app: AppName,
        /// The suite asked for.
        suite: ArtifactName,
    },
    /// No such evaluation.
    #[error("there is no evaluation `{0}`")]
    UnknownEvaluation(String),
    /// Something is asked of an evaluation that it cannot do.
    #[error("{0}")]
    Evaluation(String),
    /// No such experiment.
    #[error("there is no experiment `{0}`")]
    UnknownExperiment(String),
    /// Something is asked of an experiment that it cannot do.
    #[error("{0}")]
    Experiment(String),
    /// One thing at a time: an environment has one rollout.
    #[error("rollout `{0}` is under way: wait for its end, abort it, or roll it back")]
    RolloutUnderWay(String),
    /// An environment's traffic is split among the variants of an experiment.
    #[error("experiment `{0}` splits the traffic there: pause or stop it first")]
    ExperimentUnderWay(String),
    /// A rollout cannot do what is asked of it.
    #[error(transparent)]
    CannotSteer(#[from] CannotSteer),
    /// Gates of the environment do not let the release in.
    #[error("release `{}` may not enter `{environment}` of `{app}`:{}", release.short(), listed(why))]
    NotEligible {
        /// The app.
        app: AppName,
        /// The environment.
        environment: EnvironmentName,
        /// The release.
        release: ReleaseDigest,
        /// Each gate that does not pass, and why.
        why: Vec<String>,
    },
    /// An approval or a waiver is not taken.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    /// The app has never had another release there.
    #[error("`{app}` in `{environment}` has no earlier release to return to")]
    NothingToRestore {
        /// The app.
        app: AppName,
        /// The environment.
        environment: EnvironmentName,
    },
    /// A rollback returns to what was live, and nothing else.
    #[error(
        "release `{release}` was never live for `{app}` in `{environment}`: promote it instead"
    )]
    NeverLive {
        /// The release asked for.
        release: ReleaseDigest,
        /// The app.
        app: AppName,
        /// The environment.
        environment: EnvironmentName,
    },
    /// Another project defines it.
    #[error("{what} belongs to project `{project}`: rename one, or remove it there first")]
    Taken {
        /// What: `app NAME` or `knowledge base NAME`.
        what: String,
        /// The project that defines it.
        project: ArtifactName,
    },
    /// A workflow, schedule or rule of the project cannot be kept.
    #[error(transparent)]
    Workflows(#[from] EngineError),
    /// A slot's artifact may not go live.
    #[error("`{artifact}` is {state} and may not go live")]
    Unusable {
        /// The artifact.
        artifact: ArtifactRef,
        /// Why: `quarantined`, `deleted` or `missing`.
        state: &'static str,
    },
    /// The environment refuses the move.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// Stored bytes are not what they were.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// A pointer is not what its log says.
    #[error("`{app}` in `{environment}` does not equal its folded deployment log")]
    PointerDiverged {
        /// The app.
        app: AppName,
        /// The environment.
        environment: EnvironmentName,
    },
    /// The knowledge base could not be refreshed or read.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    /// A record could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A blob could not be read or written.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl DeliveryError {
    /// The error's name where a workflow's Retry and Catch see it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::UnknownApp(_)
            | Self::UnknownEnvironment { .. }
            | Self::UnknownRelease { .. }
            | Self::UnknownArtifact(_)
            | Self::UnknownRollout(_)
            | Self::UnknownSuite { .. }
            | Self::UnknownEvaluation(_)
            | Self::UnknownExperiment(_)
            | Self::UnknownKnowledge(_) => "Groundcrew.NotFound",
            Self::Environment(EnvironmentError::Held { .. }) => "Groundcrew.Held",
            Self::Evaluation(_) | Self::Experiment(_) => "Groundcrew.BadInput",
            Self::Unusable { .. } => "Groundcrew.Unusable",
            Self::NotEligible { .. } => "Groundcrew.NotEligible",
            Self::NotTaken(NotTaken::NoGate { .. }) => "Groundcrew.NotFound",
            Self::NotTaken(NotTaken::Waiver(_)) => "Groundcrew.BadInput",
            Self::NotTaken(NotTaken::Stale) => "Groundcrew.Conflict",
            Self::NotTaken(_) => "Groundcrew.MayNotDecide",
            Self::Environment(_)
            | Self::RolloutUnderWay(_)
            | Self::ExperimentUnderWay(_)
            | Self::CannotSteer(_)
            | Self::Taken { .. }
            | Self::Busy(_) => "Groundcrew.Conflict",
            Self::Knowledge(_) => "Groundcrew.Knowledge",
            _ => "Groundcrew.Failed",
        }
    }
}

/// One line for each.
fn listed(why: &[String]) -> String {
    why.iter().map(|why| format!("\n  {why}")).collect()
}

impl From<DigestMismatch> for DeliveryError {
    fn from(error: DigestMismatch) -> Self {
        Self::Release(error.into())
    }
}

impl From<InvalidName> for DeliveryError {
    fn from(error: InvalidName) -> Self {
        let place = release::Place::start_of("request");
        let code = release::Code::new("GC0110");
        Self::Project(vec![Diagnostic::error(code, place, error.to_string())])
    }
}
