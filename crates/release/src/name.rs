//! Validated names: a value of one of these types cannot hold a name the product would refuse.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that does not follow the rule for names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{value}` is not a valid {noun}: use 1 to 63 of a–z, 0–9, `-`, `_`, `.`, starting with a letter or digit"
)]
pub struct InvalidName {
    /// What the name was meant to name.
    pub noun: &'static str,
    /// The refused text, cut to 80 characters.
    pub value: String,
}

fn check(noun: &'static str, value: &str) -> Result<(), InvalidName> {
    let first_is_alphanumeric = value.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let all_allowed = value
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'));
    if first_is_alphanumeric && all_allowed && value.len() <= 63 {
        Ok(())
    } else {
        Err(InvalidName { noun, value: value.chars().take(80).collect() })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $noun:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Cow<'static, str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(value: &str) -> Result<Self, InvalidName> {
                value.to_owned().try_into()
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(value: String) -> Result<Self, InvalidName> {
                check($noun, &value)?;
                Ok(Self(Cow::Owned(value)))
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.into_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": "^[a-z0-9][a-z0-9._-]{0,62}$",
                })
            }
        }
    };
}

name!(
    /// The wall between customers of one installation; every record, blob and trace has one.
    TenantId,
    "tenant"
);
name!(
    /// What users deploy and what clients send as the OpenAI `model`.
    AppName,
    "app name"
);
name!(
    /// One of the ordered places a release lives in: `dev`, `staging`, `prod`.
    EnvironmentName,
    "environment name"
);
name!(
    /// The name shared by all versions of one artifact.
    ArtifactName,
    "artifact name"
);
name!(
    /// A named place in an app that one artifact fills.
    SlotName,
    "slot name"
);

impl TenantId {
    /// The tenant of an installation that has only one.
    pub const DEFAULT: Self = Self(Cow::Borrowed("default"));
}

impl SlotName {
    /// The model that answers.
    pub const MODEL: Self = Self(Cow::Borrowed("model"));
    /// The prompt that becomes the system message.
    pub const PROMPT: Self = Self(Cow::Borrowed("prompt"));
    /// The knowledge snapshot that grounds answers.
    pub const KNOWLEDGE: Self = Self(Cow::Borrowed("knowledge"));
    /// The rules that screen input and output.
    pub const GUARDRAILS: Self = Self(Cow::Borrowed("guardrails"));
    /// The app's settings that shape answers.
    pub const CONFIG: Self = Self(Cow::Borrowed("config"));
}
