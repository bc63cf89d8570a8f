//! State machines as they are defined: the Amazon States Language, parsed.
//!
//! [`Machine::parse`] reads a whole definition and tells every mistake at once, in the words and
//! with the codes of the service.

mod check;
mod parse;
mod resource;
mod variables;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::choice::Rule;
use crate::jsonata::Expression;
use crate::path::Path;
use crate::template::{Language, Template};

pub use resource::{Resource, Waiting};

/// The most bytes of a definition.
pub const MAX_DEFINITION: usize = 1 << 20;
/// How many findings about one definition are told at most.
pub const MAX_FINDINGS: usize = 100;

/// A state machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Its states.
    pub states: Container,
    /// How long an execution may take.
    pub timeout_seconds: Option<u64>,
    /// Whether any state is in JSONata, whose expressions may take long.
    pub jsonata: bool,
}

/// States that belong together: a machine's, a branch's or an iteration's.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// Where to begin.
    pub start_at: String,
    /// The states, by name.
    pub states: BTreeMap<String, State>,
}

impl Container {
    fn has_jsonata(&self) -> bool {
        self.states.values().any(|state| {
            let below = state.kind.containers();
            state.language == Language::Jsonata || below.iter().any(Self::has_jsonata)
        })
    }
}

/// One state.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// What it does.
    pub kind: Kind,
    /// Its query language.
    pub language: Language,
    /// Which part of its input it works on (JSONPath).
    pub input_path: Selected,
    /// What it works on, made from that: `Parameters` or `Arguments`.
    pub arguments: Option<Template>,
    /// What is kept of its result (JSONPath).
    pub result_selector: Option<Template>,
    /// Where in its input the result is put (JSONPath).
    pub result_path: Selected,
    /// Which part of that goes on (JSONPath).
    pub output_path: Selected,
    /// What goes on (JSONata).
    pub output: Option<Template>,
    /// The variables it sets.
    pub assign: Option<Template>,
    /// The state after it; none if it is the last, or chooses.
    pub next: Option<String>,
    /// What is tried again.
    pub retry: Vec<Retrier>,
    /// Where failures lead.
    pub catch: Vec<Catcher>,
}

/// A path, `$` where there is none, or nothing at all (`null`).
#[derive(Debug, Clone, PartialEq)]
pub enum Selected {
    /// Everything.
    All,
    /// Nothing.
    Nothing,
    /// What the path selects.
    Path(Path),
}

/// What a state does.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Passes its input, or a fixed result, on.
    Pass {
        /// The fixed result.
        result: Option<Value>,
    },
    /// Goes where the first rule that holds leads.
    Choice {
        /// The rules.
        choices: Vec<Choice>,
        /// Where to go if none holds.
        default: Option<String>,
    },
    /// Ends the states around it well.
    Succeed,
    /// Ends them with a failure.
    Fail {
        /// The error's name.
        error: Option<Template>,
        /// What happened.
        cause: Option<Template>,
    },
    /// Waits.
    Wait(Wait),
    /// Has work done.
    Task(Box<Task>),
    /// Runs branches side by side.
    Parallel {
        /// The branches.
        branches: Vec<Container>,
    },
    /// Runs states for each item.
    Map(Box<MapState>),
}

impl Kind {
    /// The type as the language and the history name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pass { .. } => "Pass",
            Self::Choice { .. } => "Choice",
            Self::Succeed => "Succeed",
            Self::Fail { .. } => "Fail",
            Self::Wait(_) => "Wait",
            Self::Task(_) => "Task",
            Self::Parallel { .. } => "Parallel",
            Self::Map(_) => "Map",
        }
    }

    /// The fields that hold the states within it, as findings name them.
    pub fn fields(&self) -> impl Iterator<Item = String> {
        let field = |index| match self {
            Self::Map(map) => map.processor_field.to_owned(),
            _ => format!("Branches[{index}]"),
        };
        (0..self.containers().len()).map(field)
    }

    /// The states within it: those of each branch, or of an iteration.
    pub fn containers(&self) -> &[Container] {
        match self {
            Self::Parallel { branches } => branches,
            Self::Map(map) => std::slice::from_ref(&map.processor),
            _ => &[],
        }
    }
}

/// One choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// When it is taken.
    pub condition: Condition,
    /// Where it leads.
    pub next: String,
    /// The variables it sets.
    pub assign: Option<Template>,
    /// What goes on (JSONata).
    pub output: Option<Template>,
}

/// When a choice is taken.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A rule (JSONPath).
    Rule(Rule),
    /// An expression that is true (JSONata).
    Expression(Expression),
    /// A fixed truth value.
    Fixed(bool),
}

/// How long a Wait state waits.
#[derive(Debug, Clone, PartialEq)]
pub enum Wait {
    /// So many seconds.
    Seconds(Template),
    /// Until a moment.
    Timestamp(Template),
}

/// Work that is done elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// What does it.
    pub resource: Resource,
    /// How long it may take, in seconds.
    pub timeout: Option<Template>,
    /// How long it may be silent, in seconds.
    pub heartbeat: Option<Template>,
    /// In whose name it is done.
    pub credentials: Option<Template>,
}

/// States for each of many items.
#[derive(Debug, Clone, PartialEq)]
pub struct MapState {
    /// The states.
    pub processor: Container,
    /// Where they are: in `ItemProcessor`, or in `Iterator` as before.
    pub processor_field: &'static str,
    /// Whether each item is an execution of its own.
    pub distributed: bool,
    /// Where the items are in the input (JSONPath).
    pub items_path: Option<Path>,
    /// The items (JSONata).
    pub items: Option<Template>,
    /// What each iteration gets.
    pub item_selector: Option<Template>,
    /// How many run at once; 0 for no bound.
    pub max_concurrency: Option<Template>,
    /// Where items are read from.
    pub reader: Option<Reader>,
    /// How items are put together.
    pub batcher: Option<Batcher>,
    /// Where results are written.
    pub writer: Option<Writer>,
    /// How many items may fail.
    pub tolerated_count: Option<Template>,
    /// How many in a hundred may fail.
    pub tolerated_percentage: Option<Template>,
    /// What its runs are called.
    pub label: Option<String>,
}

impl MapState {
    /// Whether its results are written somewhere, and its own result tells only where.
    pub fn exports(&self) -> bool {
        self.writer.as_ref().is_some_and(|writer| !writer.resource.is_empty())
    }
}

/// Where items are read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Reader {
    /// The call that reads them, as `arn:aws:states:::s3:getObject`.
    pub resource: String,
    /// What it is called with.
    pub arguments: Option<Template>,
    /// The form of what is read.
    pub input_type: Option<String>,
    /// The most items.
    pub max_items: Option<Template>,
    /// The names of the columns; the first row's if absent.
    pub csv_headers: Option<Vec<String>>,
    /// What separates columns.
    pub csv_delimiter: char,
}

/// How items are put together.
#[derive(Debug, Clone, PartialEq)]
pub struct Batcher {
    /// The most items of a batch.
    pub max_items: Option<Template>,
    /// The most bytes of a batch.
    pub max_bytes: Option<Template>,
    /// What every batch gets besides.
    pub batch_input: Option<Template>,
}

/// Where results are written.
#[derive(Debug, Clone, PartialEq)]
pub struct Writer {
    /// The call that writes them; empty where they are only put into another form.
    pub resource: String,
    /// What it is called with.
    pub arguments: Option<Template>,
    /// What is told of each result, if that is said.
    pub transformation: Option<Transformation>,
    /// Whether results are JSON lines, not a JSON array.
    pub lines: bool,
}

/// What is told of each result of a Map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Transformation {
    /// The execution with its input, output and times.
    None,
    /// The output.
    Compact,
    /// The output, its items one by one where it is an array.
    Flatten,
}

/// What is tried again, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Retrier {
    /// The errors it is for.
    pub errors: Vec<String>,
    /// Seconds to the first retry.
    pub interval: f64,
    /// How often at most.
    pub max_attempts: u32,
    /// By how much the interval grows.
    pub backoff_rate: f64,
    /// The longest interval.
    pub max_delay: Option<f64>,
    /// Whether the interval is drawn from zero up to itself.
    pub full_jitter: bool,
}

/// Where failures lead.
#[derive(Debug, Clone, PartialEq)]
pub struct Catcher {
    /// The errors it is for.
    pub errors: Vec<String>,
    /// Where they lead.
    pub next: String,
    /// Where in the input the error is put (JSONPath).
    pub result_path: Selected,
    /// The variables it sets.
    pub assign: Option<Template>,
    /// What goes on (JSONata).
    pub output: Option<Template>,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    /// The definition is refused.
    Error,
    /// It is probably not what was meant.
    Warning,
}

/// A finding about a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Its code, as `SCHEMA_VALIDATION_FAILED`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// Where: a JSON pointer, or a place in the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

impl Finding {
    fn new(severity: Severity, code: &str, message: String, location: &str) -> Self {
        let location = Some(location.to_owned());
        Self { severity, code: code.to_owned(), message, location }
    }
}

/// The JSON pointer of what `name` names below `at`.
pub(crate) fn place(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

impl Machine {
    fn new(states: Container, timeout_seconds: Option<u64>) -> Self {
        let jsonata = states.has_jsonata();
        Self { states, timeout_seconds, jsonata }
    }

    /// Reads a definition. Warnings come with the machine; a definition with an error is refused,
    /// with all that was found.
    ///
    /// # Errors
    /// The findings, errors first.
    pub fn parse(text: &str) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let (machine, mut findings) = parse::machine(text);
        if let Some(machine) = &machine {
            check::machine(machine, &mut findings);
        }
        findings.sort_by_key(|finding| finding.severity == Severity::Warning);
        let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
        match machine.filter(|_| !refused) {
            Some(machine) => Ok((machine, findings)),
            None => Err(findings),
        }
    }

    /// What of it a machine of type Express cannot have.
    pub fn unfit_for_express(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        check::express(&self.states, "", &mut findings);
        findings
    }

    /// Reads a single state, as tests of one state hold it.
    ///
    /// # Errors
    /// The findings.
    pub fn parse_state(name: &str, state: &Value) -> Result<Self, Vec<Finding>> {
        let (machine, findings) = parse::single(name, state);
        match machine.filter(|_| findings.is_empty()) {
            Some(machine) => Ok(machine),
            None => Err(findings),
        }
    }
}

/// The text of a refusal at creation, from what was found.
pub fn refusal(findings: &[Finding]) -> String {
    let told = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let told =
        told.take(MAX_FINDINGS).map(|Finding { code, message, location, .. }| match location {
            Some(location) => format!("{code}: {message} at {location}"),
            None => format!("{code}: {message}"),
        });
    format!("Invalid State Machine Definition: '{}'", told.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
