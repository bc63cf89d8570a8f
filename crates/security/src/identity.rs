//! Who a request speaks for.

use std::fmt;
use std::str::FromStr;

use release::{InvalidName, PrincipalId, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a key allows its holder to do; the roles are fixed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, including keys and users.
    Admin,
    /// Changes apps and knowledge; does not promote.
    Engineer,
    /// Promotes, rolls back and keeps knowledge fresh; does not change apps.
    Operator,
    /// Looks.
    Viewer,
    /// Asks questions of apps, nothing else: the role of an application's key.
    Client,
}

impl Role {
    /// All roles, from the most to the least able.
    pub const ALL: [Self; 5] =
        [Self::Admin, Self::Engineer, Self::Operator, Self::Viewer, Self::Client];

    /// The role as users write it.
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

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| InvalidName { noun: "role", value: text.chars().take(80).collect() })
    }
}

/// The public half of a key: names it in lists, logs and events.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

impl KeyId {
    /// Letters and digits of an id.
    pub const LENGTH: usize = 16;

    /// An id of 80 random bits, five from each byte.
    pub(crate) fn from_random(bytes: [u8; Self::LENGTH]) -> Self {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        Self(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl FromStr for KeyId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.len() == Self::LENGTH && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName { noun: "key id", value: text.chars().take(80).collect() })
        }
    }
}

impl TryFrom<String> for KeyId {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> String {
        id.0
    }
}

/// Who a request speaks for, as its key says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user or service account.
    pub principal: PrincipalId,
    /// Its tenant; `None` is the whole installation.
    pub tenant: Option<TenantId>,
    /// What it may do there.
    pub role: Role,
    /// The key that was presented.
    pub key: KeyId,
}
