//! Testing one state: the service's `TestState`, without the service.
//!
//! A state is run with an input, a context and variables of the test's choosing; what it has done
//! elsewhere is pretended. The answer tells how it ended, where it leads, and, if asked, the data on
//! each stage of its way.
//!
//! ```
//! use serde_json::json;
//! use workflow::teststate::{Request, test_state};
//!
//! let request: Request = serde_json::from_value(json!({
//!     "definition": r#"{"Type": "Pass", "Parameters": {"to.$": "$.name"}, "Next": "Greet"}"#,
//!     "input": r#"{"name": "world"}"#,
//! })).unwrap();
//! let answer = test_state(&request, "2026-01-01T00:00:00Z".parse().unwrap(), 0).unwrap();
//! assert_eq!(answer.output.as_deref(), Some(r#"{"to":"world"}"#));
//! assert_eq!(answer.next_state.as_deref(), Some("Greet"));
//! ```

mod accept;
mod results;
mod spaced;

use release::{Draw, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::draw::uuid;
use crate::interpreter::{About, Came, Moment, Trial, try_state};

use accept::{Subject, subject};
use spaced::spaced;

/// A request of the API.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    /// A state, or a machine with `stateName`; JSON text.
    pub definition: String,
    /// Which state of the machine.
    pub state_name: Option<String>,
    /// The state's input, as JSON text; `{}` if absent.
    pub input: Option<String>,
    /// In whose name it acts.
    pub role_arn: Option<String>,
    /// How much of the data's way is told.
    pub inspection_level: Inspection,
    /// Whether secrets of an HTTP call are shown.
    pub reveal_secrets: bool,
    /// The variables that the state sees, as JSON text.
    pub variables: Option<String>,
    /// The context object that it sees, as JSON text.
    pub context: Option<String>,
    /// What its work comes to.
    pub mock: Option<Mock>,
    /// What went before.
    pub state_configuration: Option<Configuration>,
}

/// How much of the data's way is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Inspection {
    /// Nothing of it.
    #[default]
    Info,
    /// Its stages.
    Debug,
    /// Its stages, and for HTTP calls what was sent.
    Trace,
}

/// What a state's work comes to.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mock {
    /// Its result, as JSON text.
    pub result: Option<String>,
    /// Its failure.
    pub error_output: Option<ErrorOutput>,
    /// How closely the result is held to what the called service answers.
    pub field_validation_mode: Validation,
}

/// A pretended failure.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ErrorOutput {
    /// Its name.
    pub error: Option<String>,
    /// What happened.
    pub cause: Option<String>,
}

/// How closely a pretended result is held to what the called service answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Validation {
    /// Required fields are there, and fields are of their type.
    #[default]
    Strict,
    /// Fields that are there are of their type.
    Present,
    /// Not at all.
    None,
}

/// What went before the state is tested.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Configuration {
    /// How often the retrier that takes the failure was used.
    pub retrier_retry_count: u32,
    /// The state within a Parallel or Map state that failed.
    pub error_caused_by_state: Option<String>,
    /// How many iterations failed.
    pub map_iteration_failure_count: u64,
    /// What a Map's reader reads, as JSON text.
    pub map_item_reader_data: Option<String>,
}

/// An answer of the API.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The output, as JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The failure's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The data on each stage of its way: payloads as JSON text, numbers as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inspection_data: Option<Map<String, Value>>,
    /// The state that it leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_state: Option<String>,
    /// How it ended.
    pub status: Status,
}

/// How a tested state ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Well.
    Succeeded,
    /// Badly.
    Failed,
    /// It would be tried again.
    Retriable,
    /// A catcher took the failure.
    CaughtError,
}

/// A request that is not answered, in the service's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// The exception, as `ValidationException`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
}

/// Tests a state. `seed` decides all that is drawn at random.
///
/// # Errors
/// If the request holds something that cannot be tested.
pub fn test_state(request: &Request, now: Timestamp, seed: u64) -> Result<Answer, Refused> {
    let Subject { machine, scope, state, input, variables, context, mocked } = subject(request)?;
    let before = request.state_configuration.clone().unwrap_or_default();
    let about = about(request, &input, now, &mut Draw::seeded(seed));
    let context = context.unwrap_or_else(|| seen_context(&about, request.state_name.as_deref()));
    let retried = before.retrier_retry_count;
    let trial = Trial { about, scope, state, input, variables, context, retried, mocked, seed };
    let mut token = |_: &str| "token".to_owned();
    let mut moment = Moment { now, token: &mut token };
    let tried = try_state(&machine, trial, &mut moment).ok_or_else(|| Refused {
        code: accept::INVALID,
        message: "what this state waits for can only be tested with a mock".to_owned(),
    })?;
    let set = tried.variables;
    let mut stages: Map<String, Value> =
        tried.stages.into_iter().map(|(name, value)| (name, shown(value))).collect();
    if !set.is_empty() {
        stages.insert("variables".to_owned(), spaced(&set.into()).into());
    }
    let mut answer = Answer {
        output: None,
        error: None,
        cause: None,
        inspection_data: None,
        next_state: None,
        status: Status::Succeeded,
    };
    match tried.came {
        Came::Succeeded { output, next } => {
            (answer.output, answer.next_state) = (Some(output.to_string()), next);
        }
        Came::Failed(fault) => {
            answer.status = Status::Failed;
            (answer.error, answer.cause) = (fault.error, fault.cause);
        }
        Came::Retriable { fault, retrier, seconds } => {
            answer.status = Status::Retriable;
            (answer.error, answer.cause) = (fault.error, fault.cause);
            let details = json!({
                "retryIndex": retrier,
                "retryBackoffIntervalSeconds": seconds,
            });
            stages.insert("errorDetails".to_owned(), details);
        }
        Came::Caught { fault, catcher, output, next } => {
            answer.status = Status::CaughtError;
            (answer.error, answer.cause) = (fault.error, fault.cause);
            (answer.output, answer.next_state) = (Some(output.to_string()), Some(next));
            stages.insert("errorDetails".to_owned(), json!({"catchIndex": catcher}));
        }
    }
    answer.inspection_data = (request.inspection_level != Inspection::Info).then_some(stages);
    Ok(answer)
}

/// A stage as the API tells it: numbers as they are, all else as JSON text.
fn shown(value: Value) -> Value {
    match value {
        Value::Number(_) => value,
        other => spaced(&other).into(),
    }
}

/// The execution that a tested state pretends to be in.
fn about(request: &Request, input: &Value, now: Timestamp, draw: &mut Draw) -> About {
    let role = request.role_arn.clone().unwrap_or_default();
    let account = role.split(':').nth(4).unwrap_or("000000000000");
    let (name, machine) = (uuid(draw), uuid(draw));
    About {
        execution_arn: format!("arn:aws:states:local:{account}:express:{machine}:{name}"),
        machine_arn: format!("arn:aws:states:local:{account}:stateMachine:{machine}"),
        machine_name: machine,
        name,
        input: input.clone(),
        role_arn: role,
        started_at: now,
        redrives: 0,
    }
}

/// The context object of a test that gives none.
fn seen_context(about: &About, state: Option<&str>) -> Value {
    let now = format!("{:.3}", about.started_at);
    json!({
        "Execution": {
            "Id": about.execution_arn,
            "Input": about.input,
            "Name": about.name,
            "RoleArn": about.role_arn,
            "StartTime": now,
        },
        "StateMachine": {"Id": about.machine_arn, "Name": about.machine_name},
        "State": {"Name": state.unwrap_or(accept::UNNAMED), "EnteredTime": now, "RetryCount": 0},
    })
}

#[cfg(test)]
mod tests;
