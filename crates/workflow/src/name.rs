//! Names of workflows, and of the executions that schedules and rules start.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use release::Digest;
use serde::{Deserialize, Serialize};

/// The most characters of a name.
const MOST: usize = 80;

/// What schedules and rules start: a workflow (`NAME`), a version of it (`NAME:3`) or what an alias
/// leads to (`NAME:PROD`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkflowRef(String);

/// A text that names no workflow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no workflow: use 1 to {MOST} of letters, digits, `-`, `_` and `.`, and after a \
     `:` a version or an alias"
)]
pub struct NotAWorkflow(String);

/// Whether workflows, executions, schedules and rules may be called so.
pub fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && text.len() <= MOST && text.chars().all(allowed)
}

/// The name of an execution that a schedule or rule starts: its own name, and what tells this start
/// from its others, which may not be long. Too long a name is cut and told from others by a digest.
pub fn started_by(name: &str, which: &str) -> String {
    let whole = format!("{name}-{which}");
    if whole.len() <= MOST {
        return whole;
    }
    let digest = short_digest(name);
    let room = MOST.saturating_sub(which.len() + digest.len() + 2);
    let kept: String = name.chars().take(room).collect();
    format!("{kept}.{digest}-{which}")
}

/// Twelve hexadecimal digits that tell texts apart.
pub fn short_digest(text: &str) -> String {
    Digest::of(text.as_bytes())
        .as_bytes()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl WorkflowRef {
    /// The whole as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The workflow's name alone.
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(name, _)| name)
    }
}

impl TryFrom<String> for WorkflowRef {
    type Error = NotAWorkflow;

    fn try_from(text: String) -> Result<Self, NotAWorkflow> {
        if text.splitn(2, ':').all(is_name) {
            Ok(Self(text))
        } else {
            Err(NotAWorkflow(text.chars().take(2 * MOST).collect()))
        }
    }
}

impl FromStr for WorkflowRef {
    type Err = NotAWorkflow;

    fn from_str(text: &str) -> Result<Self, NotAWorkflow> {
        text.to_owned().try_into()
    }
}

impl From<WorkflowRef> for String {
    fn from(name: WorkflowRef) -> Self {
        name.0
    }
}

impl fmt::Display for WorkflowRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl schemars::JsonSchema for WorkflowRef {
    fn schema_name() -> Cow<'static, str> {
        "WorkflowRef".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,80}(:[A-Za-z0-9._-]{1,80})?$"})
    }
}
