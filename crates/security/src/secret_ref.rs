//! Where a secret lies. Configuration holds references, never secrets.

use std::borrow::Cow;
use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::str::FromStr;

use release::Secret;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::SecurityError;

/// The most bytes a secret's file may have.
const MAX_SECRET: u64 = 64 * 1024;

/// Where a secret lies: `env:NAME` or `file:PATH`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretRef {
    /// An environment variable of the server.
    Env(String),
    /// A file that the server can read; a line end at its end is not part of the secret.
    File(PathBuf),
}

impl SecretRef {
    /// Reads the secret, now.
    ///
    /// # Errors
    /// [`SecurityError::SecretNotSet`] or [`SecurityError::SecretFile`]; neither holds the secret.
    pub fn resolve(&self) -> Result<Secret, SecurityError> {
        match self {
            Self::Env(name) => match std::env::var(name) {
                Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
                _ => Err(SecurityError::SecretNotSet { name: name.clone() }),
            },
            Self::File(path) => {
                let failed = |source| SecurityError::SecretFile { path: path.clone(), source };
                let mut text = String::new();
                let file = std::fs::File::open(path).map_err(failed)?;
                file.take(MAX_SECRET + 1).read_to_string(&mut text).map_err(failed)?;
                let secret = text.trim_end_matches(['\r', '\n']);
                if secret.is_empty() || text.len() as u64 > MAX_SECRET {
                    let reason = if secret.is_empty() { "is empty" } else { "is over 64 KiB" };
                    return Err(failed(std::io::Error::other(reason)));
                }
                Ok(Secret::new(secret))
            }
        }
    }
}

impl FromStr for SecretRef {
    type Err = SecurityError;

    fn from_str(text: &str) -> Result<Self, SecurityError> {
        match text.split_once(':') {
            Some(("env", name)) if is_variable_name(name) => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            _ => Err(SecurityError::NotASecretRef),
        }
    }
}

/// As POSIX has it, so that a secret pasted after `env:` is refused instead of printed.
fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl TryFrom<String> for SecretRef {
    type Error = SecurityError;

    fn try_from(text: String) -> Result<Self, SecurityError> {
        text.parse()
    }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> String {
        reference.to_string()
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

impl JsonSchema for SecretRef {
    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where a secret lies: `env:NAME` or `file:PATH`, never the secret itself",
            "type": "string",
            "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$",
        })
    }
}

#[cfg(test)]
mod tests;
