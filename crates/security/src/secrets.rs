//! Secrets by reference: configuration names where a secret is, never what it is.

use std::fmt;
use std::path::PathBuf;

use release::Secret;
use serde::{Deserialize, Serialize};

use crate::SecurityError;

/// Where a secret is: `env:NAME` or `file:PATH`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretRef {
    /// In an environment variable.
    Env(String),
    /// In a file, white space at its end left out.
    File(PathBuf),
}

impl SecretRef {
    /// Reads the secret.
    ///
    /// # Errors
    /// [`SecurityError::UnreadableSecret`] if it is not there or empty.
    pub fn resolve(&self) -> Result<Secret, SecurityError> {
        let unreadable =
            |why: String| SecurityError::UnreadableSecret { reference: self.to_string(), why };
        let value = match self {
            Self::Env(name) => {
                std::env::var(name).map_err(|error| unreadable(error.to_string()))?
            }
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?
            }
        };
        match value.trim_end() {
            "" => Err(unreadable("it is empty".to_owned())),
            value => Ok(Secret::new(value)),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl TryFrom<String> for SecretRef {
    type Error = SecurityError;

    fn try_from(text: String) -> Result<Self, SecurityError> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            // The text may be the secret itself: it is not repeated.
            _ => Err(SecurityError::PlainSecret),
        }
    }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> String {
        reference.to_string()
    }
}

impl schemars::JsonSchema for SecretRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(env|file):.+$",
            "description": "Where a secret is: `env:NAME` or `file:PATH`.",
        })
    }
}
