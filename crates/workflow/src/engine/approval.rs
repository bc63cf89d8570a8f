//! A person's word in the middle of an execution.
//!
//! The task `groundcrew.approval` waits until somebody who may decides. Who asked, that is, whoever
//! started the execution or made the schedule or rule that did, never may. It always has an end: a
//! state without `TimeoutSeconds` fails.

use std::sync::Arc;

use release::{Digest, PrincipalId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::perform::Doer;
use super::rows::Which;
use super::transition::Change;
use super::{EXECUTIONS, EngineError, ExecutionKey, ExecutionRecord, OpenTask, TenantEngine};
use crate::fault::Fault;
use crate::interpreter::{Input, Report};

/// The index of executions that wait for one.
pub const WAITING: (&str, &str) = ("approval", "waiting");

/// What somebody is asked to approve: the arguments of the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What is to be approved, for people.
    pub message: String,
    /// Who may decide: principals (`user:ada`) and roles (`role:operator`).
    pub approvers: Vec<String>,
    /// What the decision is to rest on. Its digest is on the record of the decision.
    #[serde(default)]
    pub evidence: Value,
}

impl Asked {
    /// Reads what a task asks.
    ///
    /// # Errors
    /// If it does not say what and whom it asks, or until when.
    pub fn of(open: &OpenTask) -> Result<Self, Fault> {
        let bad = |why: String| Fault::new("Groundcrew.BadInput", why);
        let asked: Self = serde_json::from_value(open.arguments.clone())
            .map_err(|error| bad(format!("the arguments of an approval do not fit: {error}")))?;
        if open.times_out_at.is_none() {
            return Err(bad("an approval needs `TimeoutSeconds`".to_owned()));
        }
        let known = |who: &String| who.starts_with("role:") || who.parse::<PrincipalId>().is_ok();
        if let Some(who) = asked.approvers.iter().find(|who| !known(who)) {
            return Err(bad(format!("`{who}` is neither a principal nor `role:NAME`")));
        }
        if asked.approvers.is_empty() {
            return Err(bad("an approval names at least one of `approvers`".to_owned()));
        }
        Ok(asked)
    }
}

/// An approval that is waited for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Approval {
    /// The execution.
    pub execution: ExecutionKey,
    /// The state that waits.
    pub state: String,
    /// Who asks.
    pub requester: PrincipalId,
    /// What is asked.
    #[serde(flatten)]
    pub asked: Asked,
    /// When it is too late.
    pub times_out_at: Option<Timestamp>,
}

/// What somebody decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The state that waits; may be left out where only one does.
    pub state: Option<String>,
    /// Whether it is approved; else it is rejected.
    pub approved: bool,
    /// Why.
    pub reason: String,
    /// The role of whoever decides.
    pub role: String,
    /// The link they decide with, if it is by one.
    pub link: Option<Link>,
}

/// A link to decide an approval with, in somebody's name. It is worth nothing but with a signature,
/// which others make and check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The tenant.
    pub tenant: TenantId,
    /// The execution.
    pub execution: ExecutionKey,
    /// When that was started: a later one may have its name.
    pub started_at: Timestamp,
    /// The task that waits; it is decided once.
    pub task: String,
    /// In whose name it decides.
    pub principal: PrincipalId,
    /// Who had it made.
    pub issuer: PrincipalId,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl OpenTask {
    /// Whether it waits for a person's word.
    pub fn waits_for_approval(&self) -> bool {
        Doer::of(&self.resource) == Doer::Person
    }
}

impl TenantEngine {
    /// The approvals that are waited for.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn approvals(&self) -> Result<Vec<Approval>, EngineError> {
        let index = Some((WAITING.0, WAITING.1.to_owned()));
        let records: Vec<ExecutionRecord> =
            self.read(EXECUTIONS, Which { prefix: "", index }).await?;
        let mut all = Vec::new();
        for record in &records {
            for open in record.tasks.values().filter(|open| open.waits_for_approval()) {
                // One that does not say whom it asks fails by itself.
                let Ok(asked) = Asked::of(open) else { continue };
                all.push(Approval {
                    execution: record.key.clone(),
                    state: open.state.clone(),
                    requester: record.requester().clone(),
                    asked,
                    times_out_at: open.times_out_at,
                });
            }
        }
        Ok(all)
    }

    /// Decides an approval. The decision, with who made it, when and on what, is on the event log in
    /// the transaction that lets the execution go on.
    ///
    /// # Errors
    /// If nothing waits for it, or the principal may not decide.
    pub async fn decide(
        &self,
        key: &ExecutionKey,
        decision: &Decision,
    ) -> Result<ExecutionRecord, EngineError> {
        let now = self.engine.shared.clock.now();
        let decided = self.engine.change(&self.tenant, key, |record| {
            let (state, link) = (decision.state.as_deref(), decision.link.as_ref());
            let (open, asked) = waiting(record, state, link)?;
            may_decide(record, &asked, (&self.actor, &decision.role))?;
            let who = self.actor.to_string();
            let verdict = if decision.approved { "approved" } else { "rejected" };
            let mut told = json!({
                "execution": key, "state": open.state, "requester": record.requester(),
                "decision": verdict, "by": who, "at": now, "reason": decision.reason,
                "evidence": Digest::of(asked.evidence.to_string().as_bytes()),
            });
            if let Some(link) = link {
                told["link"] = json!({"issued_by": link.issuer});
            }
            let report = match decision.approved {
                true => Report::Succeeded(told.clone()),
                false => Report::Failed(Fault::new(
                    "Groundcrew.Rejected",
                    format!("{who} rejected it: {}", decision.reason),
                )),
            };
            let input = Some(Input::Reported { task: open.task.clone(), report });
            Ok(Change { input, told: Some((self.actor.clone(), "approval.decided", told)) })
        });
        decided.await.map(Arc::unwrap_or_clone)
    }

    /// A link for `principal`, who has `role`, to decide an approval with; that it was made is on
    /// the event log.
    ///
    /// # Errors
    /// If nothing waits for it, the principal may not decide, or who asked for it wants the link.
    pub async fn approval_link(
        &self,
        (key, state): (&ExecutionKey, Option<&str>),
        (principal, role): (&PrincipalId, &str),
        expires_at: Timestamp,
    ) -> Result<Link, EngineError> {
        let record = self.execution(key).await?;
        let (open, asked) = waiting(&record, state, None)?;
        may_decide(&record, &asked, (principal, role))?;
        if record.is_wanted_by(&self.actor) {
            let why = format!(
                "`{}` asked for it and may not have a link to decide it: another has it made",
                self.actor
            );
            return Err(EngineError::MayNotDecide(why));
        }
        let link = Link {
            tenant: self.tenant.clone(),
            execution: key.clone(),
            started_at: record.run.about.started_at,
            task: open.task.clone(),
            principal: principal.clone(),
            issuer: self.actor.clone(),
            expires_at: open.times_out_at.map_or(expires_at, |end| end.min(expires_at)),
        };
        let told = json!({"execution": key, "state": open.state, "for": principal,
            "expires_at": link.expires_at});
        let transaction = self.transaction().emit("workflow", "approval.link_made", &told)?;
        self.store().commit(transaction).await?;
        Ok(link)
    }

    /// What a link is about, if it can still be decided by it; `role` is its principal's.
    ///
    /// # Errors
    /// If it was decided or is over, or the principal may not decide any more.
    pub async fn linked_approval(&self, link: &Link, role: &str) -> Result<Approval, EngineError> {
        let record = self.execution(&link.execution).await?;
        let (open, asked) = waiting(&record, None, Some(link))?;
        may_decide(&record, &asked, (&link.principal, role))?;
        Ok(Approval {
            execution: record.key.clone(),
            state: open.state.clone(),
            requester: record.requester().clone(),
            asked,
            times_out_at: open.times_out_at,
        })
    }
}

/// The task of an execution that waits for a person's word: of that state, or that a link is for.
fn waiting<'a>(
    record: &'a ExecutionRecord,
    state: Option<&str>,
    link: Option<&Link>,
) -> Result<(&'a OpenTask, Asked), EngineError> {
    let none = || EngineError::NoApproval(record.key.clone());
    let linked = |open: &OpenTask| {
        link.is_none_or(|link| {
            link.task == open.task && link.started_at == record.run.about.started_at
        })
    };
    let mut all = record.tasks.values().filter(|open| {
        open.waits_for_approval() && linked(open) && state.is_none_or(|state| state == open.state)
    });
    let open = all.next().ok_or_else(none)?;
    if let Some(other) = all.next() {
        let (one, other) = (open.state.clone(), other.state.clone());
        return Err(EngineError::SeveralApprovals { one, other });
    }
    Ok((open, Asked::of(open).map_err(|_| none())?))
}

/// Whether a principal of that role is among those who are asked, and did not ask itself.
fn may_decide(
    record: &ExecutionRecord,
    asked: &Asked,
    (principal, role): (&PrincipalId, &str),
) -> Result<(), EngineError> {
    if record.is_wanted_by(principal) {
        let why = format!("`{principal}` asked for it and may not decide it");
        return Err(EngineError::MayNotDecide(why));
    }
    let (who, role) = (principal.to_string(), format!("role:{role}"));
    if !asked.approvers.iter().any(|one| *one == who || *one == role) {
        let why = format!("`{who}` is not among {}", asked.approvers.join(", "));
        return Err(EngineError::MayNotDecide(why));
    }
    Ok(())
}
