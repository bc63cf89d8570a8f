//! Whether an identity may do something: fixed roles behind one function.
//!
//! `authorize/matrix.snap` (made by the tests) is the whole table, for people to read.

use std::fmt;

use release::{AppName, EnvironmentName, PrincipalId, TenantId};

use crate::{Identity, Role};

/// Something that needs permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Ask an app a question (`/v1`).
    Answer,
    /// Read what answers were made of, questions and answers included.
    ReadTrace,
    /// Read releases, changes, their diffs and the deployment log.
    ReadRelease,
    /// Read and search knowledge bases.
    ReadKnowledge,
    /// Read what is live and how it is.
    ReadStatus,
    /// Upload a project: new artifacts and candidate releases.
    Apply,
    /// Move an environment to another release.
    Promote,
    /// Move an environment back to the release before.
    Rollback,
    /// Let automation promote a rolled-back release again.
    ClearHold,
    /// Make a new snapshot of a knowledge base.
    RefreshKnowledge,
    /// Create, list and revoke keys.
    ManageKeys,
    /// Create and list users and service accounts.
    ManageUsers,
    /// Create and list tenants.
    ManageTenants,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 13] = [
        Self::Answer,
        Self::ReadTrace,
        Self::ReadRelease,
        Self::ReadKnowledge,
        Self::ReadStatus,
        Self::Apply,
        Self::Promote,
        Self::Rollback,
        Self::ClearHold,
        Self::RefreshKnowledge,
        Self::ManageKeys,
        Self::ManageUsers,
        Self::ManageTenants,
    ];

    /// What the action is, after "may not".
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "ask",
            Self::ReadTrace => "read traces of",
            Self::ReadRelease => "read releases of",
            Self::ReadKnowledge => "read knowledge of",
            Self::ReadStatus => "read the status of",
            Self::Apply => "apply to",
            Self::Promote => "promote in",
            Self::Rollback => "roll back in",
            Self::ClearHold => "clear holds in",
            Self::RefreshKnowledge => "refresh knowledge of",
            Self::ManageKeys => "manage keys of",
            Self::ManageUsers => "manage users of",
            Self::ManageTenants => "manage tenants of",
        }
    }
}

/// What an action is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// All tenants together: their list, keys that span them.
    Installation,
    /// Whatever a tenant has.
    Tenant(&'a TenantId),
    /// One app.
    App {
        /// Its tenant.
        tenant: &'a TenantId,
        /// Its name.
        app: &'a AppName,
    },
    /// One environment of one app.
    Environment {
        /// Its tenant.
        tenant: &'a TenantId,
        /// Its app.
        app: &'a AppName,
        /// Its name.
        environment: &'a EnvironmentName,
    },
}

impl<'a> Resource<'a> {
    /// The tenant that owns it; `None` for the installation.
    pub fn tenant(&self) -> Option<&'a TenantId> {
        match *self {
            Self::Installation => None,
            Self::Tenant(tenant) | Self::App { tenant, .. } | Self::Environment { tenant, .. } => {
                Some(tenant)
            }
        }
    }
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installation => write!(f, "the installation"),
            Self::Tenant(tenant) => write!(f, "tenant `{tenant}`"),
            Self::App { app, .. } => write!(f, "app `{app}`"),
            Self::Environment { app, environment, .. } => {
                write!(f, "environment `{environment}` of app `{app}`")
            }
        }
    }
}

/// An action that an identity may not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{principal}` with role `{role}` may not {} {resource}", action.as_str())]
pub struct Denied {
    /// Who asked.
    pub principal: PrincipalId,
    /// With which role.
    pub role: Role,
    /// For what.
    pub action: Action,
    /// To what, in words.
    pub resource: String,
}

/// Whether `identity` may do `action` to `resource`.
///
/// An identity of one tenant is denied everything outside it, whatever its role; an identity of
/// the installation has its role in every tenant.
///
/// # Errors
/// [`Denied`], saying who may not do what. To a caller that may not even know of the resource, a
/// server answers as if it did not exist.
pub fn authorize(
    identity: &Identity,
    action: Action,
    resource: &Resource<'_>,
) -> Result<(), Denied> {
    let reachable = match (&identity.tenant, resource.tenant()) {
        (None, _) => true,
        (Some(own), Some(wanted)) => own == wanted,
        (Some(_), None) => false,
    };
    let spans_tenants = action != Action::ManageTenants || resource.tenant().is_none();
    if reachable && spans_tenants && role_allows(identity.role, action) {
        return Ok(());
    }
    Err(Denied {
        principal: identity.principal.clone(),
        role: identity.role,
        action,
        resource: resource.to_string(),
    })
}

fn role_allows(role: Role, action: Action) -> bool {
    use Action::{
        Answer, Apply, ClearHold, ManageKeys, ManageTenants, ManageUsers, Promote, ReadKnowledge,
        ReadRelease, ReadStatus, ReadTrace, RefreshKnowledge, Rollback,
    };
    match action {
        Answer => role != Role::Viewer,
        ReadTrace | ReadRelease | ReadKnowledge | ReadStatus => role != Role::Client,
        Apply => matches!(role, Role::Admin | Role::Engineer),
        Promote | ClearHold => matches!(role, Role::Admin | Role::Operator),
        Rollback | RefreshKnowledge => {
            matches!(role, Role::Admin | Role::Engineer | Role::Operator)
        }
        ManageKeys | ManageUsers | ManageTenants => role == Role::Admin,
    }
}

#[cfg(test)]
mod tests;
