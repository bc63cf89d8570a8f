//! Gates: what a release must pass before it may enter an environment.
//!
//! ```text
//!  rules of the environment ──► the gates that its changed slots select
//!  log, telemetry, drills, texts, functions ──► one verdict each ──► evidence (a digest)
//!                                                                        │ is what an
//!  waivers ──► Waived                     approvals ◄────────────────────┘ approval is bound to
//! ```
//!
//! Each kind decides purely, in a file of its own; what it decides on is fetched in `gates.rs`. A new
//! kind is an arm of [`GateFile`], a decision here, and a function there.

pub(crate) mod approval;
pub(crate) mod budget;
pub(crate) mod drill;
pub mod file;
pub(crate) mod scan;
pub(crate) mod soak;
pub mod sources;
pub(crate) mod waiver;
pub(crate) mod window;

use std::collections::BTreeMap;
use std::fmt;

use release::{
    AppName, CanonicalError, CanonicalJson, ChangeId, Digest, EnvironmentName, PrincipalId,
    ReleaseDigest, SlotName, Timestamp,
};
use serde::{Deserialize, Serialize};

pub use approval::{Choice, Decision};
pub use waiver::Waiver;

use crate::rollout::rules::RulesFile;
use file::{Check, GateFile};

/// How far two servers' clocks may be apart, in seconds: what comes from further in the future than
/// that was written before a clock went back.
pub(crate) const SKEW: i64 = 60;

/// How a gate stands. Only `Passed` and `Waived` let a release in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateState {
    /// It will pass by itself, or when somebody acts.
    Pending,
    /// It passes.
    Passed,
    /// It does not pass.
    Failed,
    /// It could not be looked at.
    Error,
    /// There is too little to decide on.
    Inconclusive,
    /// It does not count until a moment, since somebody said so.
    Waived,
}

impl GateState {
    /// As written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Inconclusive => "inconclusive",
            Self::Waived => "waived",
        }
    }

    /// Whether a release may enter, as far as this gate is concerned.
    pub const fn lets_in(self) -> bool {
        matches!(self, Self::Passed | Self::Waived)
    }
}

/// What a gate says, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// How it stands.
    pub state: GateState,
    /// Why, in a sentence.
    pub why: String,
    /// What a scan found, and where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// Something that a scan found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The slot in whose text it stands.
    pub slot: SlotName,
    /// The line of that text, from 1.
    pub line: usize,
    /// The check that found it.
    pub check: Check,
    /// What it is, without its text.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.slot, self.line, self.what)
    }
}

impl Verdict {
    pub(crate) fn of(state: GateState, why: impl Into<String>) -> Self {
        Self { state, why: why.into(), findings: Vec::new() }
    }

    /// The same, with what else is to be known.
    pub(crate) fn noted(self, notes: Vec<String>) -> Self {
        let why = std::iter::once(self.why).chain(notes).collect::<Vec<_>>().join("; ");
        Self { why, ..self }
    }

    pub(crate) fn pending(why: impl Into<String>) -> Self {
        Self::of(GateState::Pending, why)
    }

    pub(crate) fn passed(why: impl Into<String>) -> Self {
        Self::of(GateState::Passed, why)
    }

    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self::of(GateState::Failed, why)
    }

    pub(crate) fn error(why: impl Into<String>) -> Self {
        Self::of(GateState::Error, why)
    }

    pub(crate) fn inconclusive(why: impl Into<String>) -> Self {
        Self::of(GateState::Inconclusive, why)
    }
}

/// What a gate said last of a release on the same inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRecord {
    /// The gate's name.
    pub gate: String,
    /// Its kind.
    pub kind: String,
    /// The app.
    pub app: AppName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The release.
    pub release: ReleaseDigest,
    /// The gate's settings, by digest.
    pub version: Digest,
    /// What it was decided on, settings included, by digest.
    pub inputs: Digest,
    /// What it said.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Since when it has stood so.
    pub since: Timestamp,
    /// When it was decided.
    pub at: Timestamp,
    /// On whose behalf.
    pub by: PrincipalId,
}

/// A gate in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Its name.
    pub gate: String,
    /// Its kind.
    pub kind: String,
    /// Its settings, by digest.
    pub version: Digest,
    /// How it stands.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Since when it has stood so.
    pub since: Timestamp,
    /// The waiver, while one counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<Waiver>,
}

/// How a release stands before the gates of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateReport {
    /// The app.
    pub app: AppName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The release.
    pub release: ReleaseDigest,
    /// The newest change that proposed it.
    pub change: ChangeId,
    /// Whether it may enter now.
    pub eligible: bool,
    /// What approvals are bound to: the verdicts and the rules, by digest.
    pub evidence: Digest,
    /// The gates that apply, in the order of the file.
    pub gates: Vec<Judged>,
    /// The gates that do not, since none of their slots is different from what is stable.
    pub not_needed: Vec<String>,
    /// When it was looked at.
    pub at: Timestamp,
}

impl GateReport {
    /// Each gate that does not pass, and why.
    pub fn missing(&self) -> Vec<String> {
        let missing = self.gates.iter().filter(|judged| !judged.verdict.state.lets_in());
        let told = missing.map(|judged| {
            let Verdict { state, why, .. } = &judged.verdict;
            format!("{} ({}): {why}", judged.gate, state.as_str())
        });
        told.collect()
    }
}

/// Why an approval or a waiver is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Nobody decides on what is their own.
    #[error("`{0}` has a part in what would enter: somebody else must decide")]
    Own(PrincipalId),
    /// Only people decide.
    #[error("`{0}` is not a person: only people decide")]
    NoPerson(PrincipalId),
    /// No gate asks this person.
    #[error("no approval gate of `{environment}` asks `{principal}`")]
    NotAsked {
        /// The environment.
        environment: EnvironmentName,
        /// Who.
        principal: PrincipalId,
    },
    /// Something changed since it was looked at.
    #[error("what the decision rests on has changed since it was looked at")]
    Stale,
    /// No such gate applies.
    #[error("no gate `{gate}` applies in `{environment}`")]
    NoGate {
        /// The name asked for.
        gate: String,
        /// The environment.
        environment: EnvironmentName,
    },
    /// A waiver without an end in sight, or without a reason.
    #[error("a waiver needs {0}")]
    Waiver(&'static str),
}

/// What of a verdict is part of the evidence.
#[derive(Serialize)]
struct Seen<'a> {
    version: Digest,
    state: GateState,
    /// Where the words themselves are a finding about the release.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

/// What approvals are bound to: the rules in force, and what the gates say of the release. What the
/// calendar says is no evidence.
pub(crate) fn evidence(rules: &RulesFile, judged: &[Judged]) -> Result<Digest, CanonicalError> {
    let seen = judged.iter().filter_map(|judged| {
        let why = match judged.kind.as_str() {
            "approval" | "window" => return None,
            "scan" => Some(judged.verdict.why.as_str()),
            _ => None,
        };
        let (version, state) = (judged.version, judged.verdict.state);
        Some((judged.gate.as_str(), Seen { version, state, why }))
    });
    let seen: BTreeMap<_, _> = seen.collect();
    Ok(CanonicalJson::of(&(rules, seen))?.digest())
}

/// A gate's version: its settings, by digest.
pub(crate) fn version(gate: &GateFile) -> Result<Digest, CanonicalError> {
    Ok(CanonicalJson::of(gate)?.digest())
}

/// Whether something was written further in the future than clocks differ.
pub(crate) fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at.as_second() - now.as_second() > SKEW
}

#[cfg(test)]
mod tests;
