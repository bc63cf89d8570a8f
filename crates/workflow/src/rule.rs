//! Event rules: what begins when an event comes.
//!
//! Work that an event begins makes events of its own, so rules can run in circles. Every event
//! carries its [`Causation`], the rules that led to it; a rule adds itself before it acts, and
//! where the chain has grown too long it does not act.

use std::fmt;

use release::ArtifactName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::name::{WorkflowRef, is_name};
use crate::pattern::{Pattern, PatternError};
use crate::transform::{Transform, TransformError, TransformSpec};

/// The longest id of a target, in characters.
const MAX_ID: usize = 64;
/// The most targets of a rule.
pub const MAX_TARGETS: usize = 5;
/// The most rules that may act in consequence of each other.
pub const MAX_CHAIN: usize = 8;

/// An event rule: `workflows/NAME.rule.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// What the rule is for, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether it acts (default true).
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// Which events it is for, in EventBridge's language.
    pub pattern: PatternSpec,
    /// What to do with each: one to five.
    #[schemars(length(min = 1, max = 5))]
    pub targets: Vec<TargetSpec>,
}

fn enabled() -> bool {
    true
}

/// An event pattern, as a table or, where it needs `null`, as a text of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PatternSpec {
    /// A text of JSON.
    Text(String),
    /// A table.
    Table(Map<String, Value>),
}

/// What to do with an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TargetSpec {
    /// Start an execution.
    Execution {
        /// What the target is called among the rule's (default: its number).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The workflow, as `NAME` (of `workflows/NAME.asl.json`), `NAME:VERSION` or `NAME:ALIAS`.
        workflow: WorkflowRef,
        /// How old an event may be, in seconds: an older one is kept as a dead letter instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_age_seconds: Option<u32>,
        /// What of the event is its input (default: all).
        #[serde(default)]
        input: TransformSpec,
    },
    /// Call a webhook, by `POST`.
    Webhook {
        /// What the target is called among the rule's (default: its number).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The connection, as `server.toml` names it.
        connection: ArtifactName,
        /// Where below the connection's address (default: that address itself).
        #[serde(default)]
        path: String,
        /// What of the event is sent (default: all).
        #[serde(default)]
        input: TransformSpec,
    },
}

/// Something outside that is told, by `POST`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The connection, as `server.toml` names it.
    pub connection: ArtifactName,
    /// Where below the connection's address (default: that address itself).
    #[serde(default)]
    pub path: String,
}

/// A rule that can be applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Whether it acts.
    pub enabled: bool,
    /// Which events it is for.
    pub pattern: Pattern,
    /// What to do with each.
    pub targets: Vec<Target>,
}

/// A target and what it is given.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// What it is called among the rule's: what its executions are named after.
    pub id: String,
    /// How old an event may be, in seconds.
    pub max_age_seconds: Option<u32>,
    /// What is done.
    pub action: Action,
    /// What of the event it is given.
    pub input: Transform,
}

/// What a target does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Starts an execution of the workflow.
    StartExecution(WorkflowRef),
    /// Calls the webhook.
    CallWebhook(Webhook),
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The pattern is none.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// No targets, or too many.
    #[error("a rule has 1 to {MAX_TARGETS} targets, not {0}")]
    Targets(usize),
    /// Two targets of one name, or a name that none may have.
    #[error("`{0}` is not the id of one target: use 1 to 64 of letters, digits, `-`, `_` and `.`")]
    Id(String),
    /// What a target is given.
    #[error("target {number}: {why}")]
    Input {
        /// Which target, from 1.
        number: usize,
        /// What is wrong.
        why: TransformError,
    },
    /// An execution that would be given lines of text.
    #[error("target {0}: the input of an execution is JSON, not lines of text")]
    InputNotJson(usize),
}

impl RuleSpec {
    /// Reads pattern and targets.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn compile(&self) -> Result<Rule, Vec<RuleError>> {
        let rule = self.compile_any()?;
        if rule.targets.is_empty() { Err(vec![RuleError::Targets(0)]) } else { Ok(rule) }
    }

    /// As [`RuleSpec::compile`], but there may be no targets yet.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn compile_any(&self) -> Result<Rule, Vec<RuleError>> {
        let mut wrong = Vec::new();
        let pattern = match &self.pattern {
            PatternSpec::Text(text) => text.parse(),
            PatternSpec::Table(fields) => Pattern::parse(&Value::Object(fields.clone())),
        };
        let pattern = pattern.map_err(|error| wrong.push(error.into())).ok();
        if self.targets.len() > MAX_TARGETS {
            wrong.push(RuleError::Targets(self.targets.len()));
        }
        let mut targets = Vec::new();
        for (index, target) in self.targets.iter().enumerate() {
            match target.compile(index + 1) {
                Ok(target) if targets.iter().any(|one: &Target| one.id == target.id) => {
                    wrong.push(RuleError::Id(target.id));
                }
                Ok(target) => targets.push(target),
                Err(error) => wrong.push(error),
            }
        }
        match pattern {
            Some(pattern) if wrong.is_empty() => {
                Ok(Rule { enabled: self.enabled, pattern, targets })
            }
            _ => Err(wrong),
        }
    }
}

impl RuleSpec {
    /// Gives each target without an id its number, so that it keeps it when others go.
    pub fn name_targets(&mut self) {
        for (index, target) in self.targets.iter_mut().enumerate() {
            let name = target.id(index + 1);
            let (TargetSpec::Execution { id, .. } | TargetSpec::Webhook { id, .. }) = target;
            *id = Some(name);
        }
    }
}

impl TargetSpec {
    /// What the target of that number is called.
    pub fn id(&self, number: usize) -> String {
        let (Self::Execution { id, .. } | Self::Webhook { id, .. }) = self;
        id.clone().unwrap_or_else(|| number.to_string())
    }

    fn compile(&self, number: usize) -> Result<Target, RuleError> {
        let (action, input, max_age_seconds) = match self {
            Self::Execution { workflow, input, max_age_seconds, .. } => {
                (Action::StartExecution(workflow.clone()), input, *max_age_seconds)
            }
            Self::Webhook { connection, path, input, .. } => {
                let (connection, path) = (connection.clone(), path.clone());
                (Action::CallWebhook(Webhook { connection, path }), input, None)
            }
        };
        let id = self.id(number);
        if id.len() > MAX_ID || !is_name(&id) {
            return Err(RuleError::Id(id));
        }
        let input = input.compile().map_err(|why| RuleError::Input { number, why })?;
        if matches!(action, Action::StartExecution(_)) && !input.gives_json() {
            return Err(RuleError::InputNotJson(number));
        }
        Ok(Target { id, max_age_seconds, action, input })
    }
}

/// Why there is an event: the rules that led to it, the first one first. Empty for an event that
/// no rule had a part in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Causation(Vec<String>);

/// Why a rule does not act on an event that it matches.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{rule}` does not act on this event: {MAX_CHAIN} rules led to it already ({chain})")]
pub struct Loop {
    /// The rule.
    pub rule: String,
    /// What led to the event.
    pub chain: Causation,
}

impl Causation {
    /// The causation of what `rule` does in answer to an event of this causation.
    ///
    /// # Errors
    /// The chain would grow too long.
    pub fn then(&self, rule: &str) -> Result<Self, Loop> {
        if self.0.len() >= MAX_CHAIN {
            return Err(Loop { rule: rule.to_owned(), chain: self.clone() });
        }
        let mut chain = self.0.clone();
        chain.push(rule.to_owned());
        Ok(Self(chain))
    }

    /// How many rules led to the event.
    pub fn depth(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Causation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" → "))
    }
}

#[cfg(test)]
mod tests;
