//! Who acts: every event names one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::InvalidName;

/// What kind of actor a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A program with its own keys.
    Service,
    /// Groundcrew itself: a reconciler, the start-up, an alarm's action.
    System,
}

/// The identity of an actor, written `user:ada`, `service:ci` or `system:start`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PrincipalId {
    kind: PrincipalKind,
    name: String,
}

impl PrincipalId {
    /// A person's identity.
    ///
    /// # Errors
    /// [`InvalidName`] unless `name` is 1 to 120 of letters, digits and `-_.@+`.
    pub fn user(name: &str) -> Result<Self, InvalidName> {
        Self::new(PrincipalKind::User, name)
    }

    /// A service account's identity.
    ///
    /// # Errors
    /// As [`PrincipalId::user`].
    pub fn service(name: &str) -> Result<Self, InvalidName> {
        Self::new(PrincipalKind::Service, name)
    }

    /// A part of Groundcrew acting on its own; `part` is a name fixed in code.
    pub fn system(part: &'static str) -> Self {
        Self { kind: PrincipalKind::System, name: part.to_owned() }
    }

    fn new(kind: PrincipalKind, name: &str) -> Result<Self, InvalidName> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@+".contains(c);
        if name.is_empty() || name.len() > 120 || !name.chars().all(allowed) {
            return Err(InvalidName { noun: "principal", value: name.chars().take(80).collect() });
        }
        Ok(Self { kind, name: name.to_owned() })
    }

    /// Whether this is a person, a service account or Groundcrew itself.
    pub fn kind(&self) -> PrincipalKind {
        self.kind
    }

    /// The name without its kind.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether no person stands behind the act: automation never promotes a held release.
    pub fn is_automation(&self) -> bool {
        self.kind != PrincipalKind::User
    }
}

impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            PrincipalKind::User => "user",
            PrincipalKind::Service => "service",
            PrincipalKind::System => "system",
        };
        write!(f, "{kind}:{}", self.name)
    }
}

impl fmt::Debug for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for PrincipalId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let kind_and_name = match text.split_once(':') {
            Some(("user", name)) => Some((PrincipalKind::User, name)),
            Some(("service", name)) => Some((PrincipalKind::Service, name)),
            Some(("system", name)) => Some((PrincipalKind::System, name)),
            _ => None,
        };
        let (kind, name) = kind_and_name.ok_or_else(|| InvalidName {
            noun: "principal",
            value: text.chars().take(80).collect(),
        })?;
        Self::new(kind, name)
    }
}

impl TryFrom<String> for PrincipalId {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<PrincipalId> for String {
    fn from(principal: PrincipalId) -> String {
        principal.to_string()
    }
}
