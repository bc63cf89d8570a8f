//! What people decide before a release enters: approvals, denials and waivers. Each is a record and an
//! event, in the name of whoever decided.

use release::{AppName, Digest, EnvironmentName, PrincipalId, Timestamp};
use security::Role;
use store::Expect;

use crate::gate::file::GateFile;
use crate::gate::{Choice, Decision, NotTaken, Waiver, waiver};
use crate::gates::{DECISIONS, Looked, WAIVERS, kept_for, stream};
use crate::{DeliveryError, TenantDelivery};

/// A person's wish to decide about a release.
#[derive(Debug, Clone)]
pub struct Approval {
    /// The app.
    pub app: AppName,
    /// The environment it is to enter.
    pub environment: EnvironmentName,
    /// The release, as [`TenantDelivery::find_release`] takes it.
    pub release: String,
    /// What was decided.
    pub choice: Choice,
    /// What was looked at, as a report says it; what there is now if none.
    pub evidence: Option<Digest>,
    /// Why.
    pub reason: String,
}

/// A wish that a gate does not count for a release.
#[derive(Debug, Clone)]
pub struct Waiving {
    /// The app.
    pub app: AppName,
    /// The environment it is to enter.
    pub environment: EnvironmentName,
    /// The release, as [`TenantDelivery::find_release`] takes it.
    pub release: String,
    /// The gate's name.
    pub gate: String,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

impl TenantDelivery {
    /// Takes a person's decision about a release, in place of an earlier one. An approval counts as
    /// long as neither the release nor what was seen of it changes.
    ///
    /// # Errors
    /// [`NotTaken`] if it cannot count; as [`TenantDelivery::gates`] otherwise.
    pub async fn approve(&self, wish: &Approval, role: Role) -> Result<Decision, DeliveryError> {
        let Looked { report, gates, authors } =
            self.look_at_gates(&wish.app, &wish.environment, Some(&wish.release)).await?;
        self.may_decide(&authors)?;
        let asks = |gate: &GateFile| match gate {
            GateFile::Approval(gate) => gate.asks(&self.actor, role),
            _ => false,
        };
        if !gates.iter().any(asks) {
            let (environment, principal) = (report.environment, self.actor.clone());
            return Err(NotTaken::NotAsked { environment, principal }.into());
        }
        if wish.evidence.is_some_and(|seen| seen != report.evidence) {
            return Err(NotTaken::Stale.into());
        }
        let decision = Decision {
            choice: wish.choice,
            change: report.change,
            release: report.release,
            environment: report.environment,
            evidence: report.evidence,
            reason: wish.reason.clone(),
            by: self.actor.clone(),
            role,
            at: self.clock.now(),
        };
        let kind = match decision.choice {
            Choice::Approve => "release.approved",
            Choice::Deny => "release.denied",
        };
        let place = kept_for(&wish.app, decision.release, &decision.environment);
        let transaction = self
            .transaction()
            .put(DECISIONS, &format!("{place}{}", decision.by), &decision, Expect::Any)?
            .emit(&stream(&wish.app, &decision.environment), kind, &decision)?;
        self.store.commit(transaction).await?;
        Ok(decision)
    }

    /// Lets a gate not count for a release until a moment, in place of an earlier waiver.
    ///
    /// # Errors
    /// [`NotTaken`] if there is no such gate, the end or the reason is missing, or whoever asks has a
    /// part in the release; as [`TenantDelivery::gates`] otherwise.
    pub async fn waive(&self, wish: &Waiving) -> Result<Waiver, DeliveryError> {
        let Looked { report, authors, .. } =
            self.look_at_gates(&wish.app, &wish.environment, Some(&wish.release)).await?;
        self.may_decide(&authors)?;
        let now = self.clock.now();
        waiver::check(wish.until, &wish.reason, now)?;
        let found = report.gates.iter().find(|judged| judged.gate == wish.gate);
        let Some(version) = found.map(|judged| judged.version) else {
            let (gate, environment) = (wish.gate.clone(), report.environment);
            return Err(NotTaken::NoGate { gate, environment }.into());
        };
        let waiver = Waiver {
            gate: wish.gate.clone(),
            version,
            release: report.release,
            environment: report.environment,
            until: wish.until,
            reason: wish.reason.clone(),
            by: self.actor.clone(),
            at: now,
        };
        let place = kept_for(&wish.app, waiver.release, &waiver.environment);
        let transaction = self
            .transaction()
            .put(WAIVERS, &format!("{place}{}", waiver.gate), &waiver, Expect::Any)?
            .emit(&stream(&wish.app, &waiver.environment), "gate.waived", &waiver)?;
        self.store.commit(transaction).await?;
        Ok(waiver)
    }

    /// Only people decide, and none on what is their own.
    fn may_decide(&self, authors: &[PrincipalId]) -> Result<(), NotTaken> {
        if self.actor.is_automation() {
            return Err(NotTaken::NoPerson(self.actor.clone()));
        }
        match authors.contains(&self.actor) {
            true => Err(NotTaken::Own(self.actor.clone())),
            false => Ok(()),
        }
    }
}
