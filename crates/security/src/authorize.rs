//! What each role may do. Fixed now; the evaluator behind [`authorize`] can be replaced.

use std::fmt;

use release::{PrincipalId, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::KeyId;

/// What a principal is there for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the tenant (or, without a tenant, the installation): may do everything there.
    Admin,
    /// Builds and releases apps.
    Engineer,
    /// Keeps apps running: may promote and roll back, not change.
    Operator,
    /// Looks.
    Viewer,
    /// An application that asks for answers, and nothing else.
    Client,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] =
        [Self::Admin, Self::Engineer, Self::Operator, Self::Viewer, Self::Client];

    /// The role as written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Engineer => "engineer",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
            Self::Client => "client",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or_else(|| {
            format!("`{text}` is not a role: use admin, engineer, operator, viewer or client")
        })
    }
}

/// Declares the actions and the list of all of them.
macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident,)*) => {
        /// Something that is done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $($(#[$doc])* $action,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$action,)*];
        }
    };
}

actions! {
    /// Ask an app for an answer.
    Answer,
    /// See releases, environments and their history.
    ReadReleases,
    /// See knowledge and search it.
    ReadKnowledge,
    /// Run evaluations, which ask apps and judges.
    Evaluate,
    /// See traces.
    ReadTraces,
    /// Send traces, metrics, logs and scores.
    WriteTelemetry,
    /// See how the server is.
    ReadStatus,
    /// Apply a project.
    Apply,
    /// Promote a release.
    Promote,
    /// Say that a release is good, or not, where a gate asks for it.
    Approve,
    /// Let a gate not count for a release.
    Waive,
    /// Roll back.
    RollBack,
    /// Allow automation to promote a held release again.
    ClearHold,
    /// Refresh knowledge.
    RefreshKnowledge,
    /// Put documents into knowledge, and remove them.
    WriteKnowledge,
    /// Erase documents from everything that was ever made of them, and admit them again.
    EraseKnowledge,
    /// Take people out of what was recorded.
    EraseTelemetry,
    /// Drop what is not kept any more.
    PruneStorage,
    /// Have contents kept whatever their age, and end that.
    ManageHolds,
    /// See workflows and their executions.
    ReadWorkflows,
    /// Define workflows.
    DefineWorkflows,
    /// Start, stop and redrive executions, whose tasks act in one's name.
    RunWorkflows,
    /// Decide approvals that name the principal or its role.
    DecideApprovals,
    /// Create, list and revoke keys.
    ManageKeys,
    /// Create and list users and service accounts.
    ManageUsers,
    /// Create and list tenants.
    ManageTenants,
    /// Take, list, prove and delete backups of the installation.
    ManageBackups,
}

/// What it is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// Something of this tenant.
    Tenant(&'a TenantId),
    /// The installation.
    Installation,
}

/// A principal that proved itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who it is.
    pub principal: PrincipalId,
    /// Where it belongs; none for the whole installation.
    pub tenant: Option<TenantId>,
    /// What it is there for.
    pub role: Role,
    /// The key it used.
    pub key: KeyId,
}

/// An action that the principal may not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{principal}` ({}) may not {action:?} here", role.as_str())]
pub struct Denied {
    /// Who.
    pub principal: PrincipalId,
    /// With which role.
    pub role: Role,
    /// What.
    pub action: Action,
}

/// Whether `identity` may do `action` to `resource`.
///
/// # Errors
/// [`Denied`] if it may not.
pub fn authorize(
    identity: &Identity,
    action: Action,
    resource: Resource<'_>,
) -> Result<(), Denied> {
    let within = match (&identity.tenant, resource) {
        (None, _) => true,
        (Some(own), Resource::Tenant(tenant)) => own == tenant,
        (Some(_), Resource::Installation) => false,
    };
    if within && allowed(identity.role, action) && !installation_only(identity, action) {
        Ok(())
    } else {
        let principal = identity.principal.clone();
        Err(Denied { principal, role: identity.role, action })
    }
}

/// Tenants, and backups of all of them, are managed from outside any of them.
fn installation_only(identity: &Identity, action: Action) -> bool {
    matches!(action, Action::ManageTenants | Action::ManageBackups) && identity.tenant.is_some()
}

fn allowed(role: Role, action: Action) -> bool {
    use Action::{
        Answer, Apply, Approve, ClearHold, DecideApprovals, DefineWorkflows, EraseKnowledge,
        EraseTelemetry, Evaluate, ManageBackups, ManageHolds, ManageKeys, ManageTenants,
        ManageUsers, Promote, PruneStorage, ReadKnowledge, ReadReleases, ReadStatus, ReadTraces,
        ReadWorkflows, RefreshKnowledge, RollBack, RunWorkflows, Waive, WriteKnowledge,
        WriteTelemetry,
    };
    match action {
        Answer | WriteTelemetry => role != Role::Viewer,
        ReadReleases | ReadKnowledge | ReadTraces | ReadStatus | ReadWorkflows => {
            role != Role::Client
        }
        Apply | DefineWorkflows | WriteKnowledge => matches!(role, Role::Admin | Role::Engineer),
        // The approval itself says who.
        DecideApprovals => role != Role::Client,
        // What tasks do in somebody's name, these roles may do themselves.
        Promote | Approve | RollBack | ClearHold | RefreshKnowledge | PruneStorage
        | RunWorkflows | Evaluate => {
            matches!(role, Role::Admin | Role::Engineer | Role::Operator)
        }
        Waive | EraseKnowledge | EraseTelemetry | ManageBackups | ManageHolds | ManageKeys
        | ManageUsers | ManageTenants => role == Role::Admin,
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests;
