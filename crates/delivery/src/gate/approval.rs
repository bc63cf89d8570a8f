//! `approval`: whether enough people said that a release is good.

use std::collections::BTreeMap;

use release::{ChangeId, Digest, EnvironmentName, PrincipalId, ReleaseDigest, Timestamp};
use security::Role;
use serde::{Deserialize, Serialize};

use super::file::ApprovalGate;
use super::{Verdict, is_ahead};

/// What a person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// It is good.
    Approve,
    /// It is not; an approval of the same person is withdrawn.
    Deny,
}

/// A person's decision about a release. It counts for exactly what it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What.
    pub choice: Choice,
    /// The change.
    pub change: ChangeId,
    /// The release.
    pub release: ReleaseDigest,
    /// The environment it is to enter.
    pub environment: EnvironmentName,
    /// What was seen of it: the other gates' verdicts and the rules, by digest.
    pub evidence: Digest,
    /// Why, in words.
    pub reason: String,
    /// Who.
    pub by: PrincipalId,
    /// In which role.
    pub role: Role,
    /// When.
    pub at: Timestamp,
}

/// What decisions must name to count, and who has a part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub change: ChangeId,
    pub release: ReleaseDigest,
    pub environment: EnvironmentName,
    pub evidence: Digest,
    /// Whose work would enter: none of them decides.
    pub authors: Vec<PrincipalId>,
}

impl ApprovalGate {
    /// Whether it asks this person.
    pub(crate) fn asks(&self, principal: &PrincipalId, role: Role) -> bool {
        let anybody = self.from.is_empty() && self.roles.is_empty();
        anybody || self.from.contains(principal) || self.roles.contains(&role)
    }
}

/// Counts the decisions, the oldest first; each person's last one counts.
pub(crate) fn decide(
    gate: &ApprovalGate,
    subject: &Subject,
    decisions: &[Decision],
    now: Timestamp,
) -> Verdict {
    let mut last: BTreeMap<&PrincipalId, &Decision> = BTreeMap::new();
    for decision in decisions.iter().filter(|decision| is_asked(gate, subject, decision)) {
        last.insert(&decision.by, decision);
    }
    let (mut approved, mut void) = (Vec::new(), Vec::new());
    for decision in last.into_values() {
        let by = decision.by.to_string();
        let stale = why_void(gate, subject, decision, now);
        match (decision.choice, stale) {
            (Choice::Deny, None) => {
                return Verdict::failed(format!("denied by {by}: {}", decision.reason));
            }
            (Choice::Deny, Some(_)) => {}
            (Choice::Approve, None) => approved.push(by),
            (Choice::Approve, Some(why)) => void.push(format!("{by}'s is void: {why}")),
        }
    }
    let mut why = format!("{} of {} approval(s)", approved.len(), gate.approvals);
    if !approved.is_empty() {
        why.push_str(&format!(", by {}", approved.join(", ")));
    }
    if approved.len() >= gate.approvals.max(1) {
        return Verdict::passed(why);
    }
    for void in void {
        why.push_str(&format!("; {void}"));
    }
    Verdict::pending(why)
}

/// Whether a decision is about this release here, and of somebody who may decide.
fn is_asked(gate: &ApprovalGate, subject: &Subject, decision: &Decision) -> bool {
    decision.release == subject.release
        && decision.environment == subject.environment
        && !decision.by.is_automation()
        && !subject.authors.contains(&decision.by)
        && gate.asks(&decision.by, decision.role)
}

/// Why a decision does not count any more. A denial stands whatever is seen since.
fn why_void(
    gate: &ApprovalGate,
    subject: &Subject,
    decision: &Decision,
    now: Timestamp,
) -> Option<&'static str> {
    let hours = i64::try_from(gate.expires_hours).unwrap_or(i64::MAX);
    let age = now.as_second() - decision.at.as_second();
    if age >= hours.saturating_mul(3_600) {
        return Some("it has expired");
    }
    if decision.choice == Choice::Deny {
        return None;
    }
    if is_ahead(decision.at, now) {
        return Some("it was given later than now");
    }
    if decision.change != subject.change {
        return Some("the release was proposed anew since");
    }
    (decision.evidence != subject.evidence).then_some("what it rests on has changed since")
}

#[cfg(test)]
mod tests;
