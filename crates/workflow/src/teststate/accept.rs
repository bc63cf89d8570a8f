//! What a request must hold before its state is tried.

use serde_json::{Map, Value};

use super::{Mock, Refused, Request, Validation, results};
use crate::definition::{Container, Kind, Machine, Resource, State, Waiting, refusal};
use crate::fault::{Fault, name};
use crate::interpreter::Mocked;
use crate::template::Template;

/// The exception of most refusals.
pub const INVALID: &str = "ValidationException";
/// What a state is called that is tested without a name.
pub const UNNAMED: &str = "StateName";

/// What is tested, and with what.
pub struct Subject {
    pub machine: Machine,
    pub scope: Vec<(String, usize)>,
    pub state: String,
    pub input: Value,
    pub variables: Map<String, Value>,
    pub context: Option<Value>,
    pub mocked: Option<Mocked>,
}

/// Reads a request.
pub fn subject(request: &Request) -> Result<Subject, Refused> {
    let machine = machine(request)?;
    let state = request.state_name.clone().unwrap_or_else(|| UNNAMED.to_owned());
    let mut scope = Vec::new();
    let Some(found) = find(&machine.states, &state, &mut scope).cloned() else {
        return Err(invalid("State not found in definition"));
    };
    if request.mock.is_some() && request.reveal_secrets {
        let message = "TestState does not support RevealSecrets when a mock is specified.";
        return Err(invalid(message));
    }
    let input = match &request.input {
        Some(text) => serde_json::from_str(text).map_err(|error| Refused {
            code: "InvalidExecutionInput",
            message: format!("Invalid State Input: '{error}'"),
        })?,
        None => Value::Object(Map::new()),
    };
    let context = object(request.context.as_deref(), "Invalid Context object provided")?;
    if context.as_ref().is_some_and(|context| context.contains_key("Task")) && !awaits(&found) {
        return Err(invalid(
            "Invalid Context object provided: Context object contains 'Task' when state is not a \
             Task state with a '.sync' or '.waitForTaskToken' service integration pattern",
        ));
    }
    configured(request, &found)?;
    let variables = object(request.variables.as_deref(), "Invalid variables provided")?;
    let mocked = match &request.mock {
        Some(mock) => Some(mocked(mock, &found, request)?),
        None => {
            unmocked(&found, request)?;
            None
        }
    };
    let (variables, context) = (variables.unwrap_or_default(), context.map(Value::Object));
    Ok(Subject { machine, scope, state, input, variables, context, mocked })
}

fn machine(request: &Request) -> Result<Machine, Refused> {
    let read = match &request.state_name {
        Some(_) => Machine::parse(&request.definition).map(|(machine, _)| machine),
        None => match serde_json::from_str::<Value>(&request.definition) {
            Ok(state) => Machine::parse_state(UNNAMED, &state),
            // Told in the words for a text that is no definition.
            Err(_) => Machine::parse(&request.definition).map(|(machine, _)| machine),
        },
    };
    read.map_err(|findings| Refused { code: "InvalidDefinition", message: refusal(&findings) })
}

/// A state by its name, however deep; `scope` becomes the way to it.
fn find<'m>(
    within: &'m Container,
    wanted: &str,
    scope: &mut Vec<(String, usize)>,
) -> Option<&'m State> {
    if let Some(state) = within.states.get(wanted) {
        return Some(state);
    }
    for (name, state) in &within.states {
        for (branch, container) in state.kind.containers().iter().enumerate() {
            scope.push((name.clone(), branch));
            if let Some(state) = find(container, wanted, scope) {
                return Some(state);
            }
            scope.pop();
        }
    }
    None
}

fn object(text: Option<&str>, what: &str) -> Result<Option<Map<String, Value>>, Refused> {
    match text.map(serde_json::from_str::<Value>) {
        None => Ok(None),
        Some(Ok(Value::Object(fields))) => Ok(Some(fields)),
        Some(Ok(_)) => Err(invalid(format!("{what}: it must be a JSON object"))),
        Some(Err(error)) => Err(invalid(format!("{what}: {error}"))),
    }
}

/// Whether a state has a task token, or waits for a job's end.
fn awaits(state: &State) -> bool {
    match &state.kind {
        Kind::Task(task) => matches!(
            task.resource,
            Resource::Service { waiting: Waiting::Job | Waiting::JobJson | Waiting::Token, .. }
        ),
        _ => false,
    }
}

/// What went before must fit the state; what cannot be taken into account is not passed over.
fn configured(request: &Request, state: &State) -> Result<(), Refused> {
    let Some(before) = &request.state_configuration else { return Ok(()) };
    if before.map_item_reader_data.is_some() {
        return Err(invalid(
            "MapItemReaderData cannot be given: what a reader reads is not tested",
        ));
    }
    let Some(wanted) = &before.error_caused_by_state else { return Ok(()) };
    let mut within = state.kind.containers().iter();
    if within.any(|container| find(container, wanted, &mut Vec::new()).is_some()) {
        return Ok(());
    }
    Err(invalid(format!("ErrorCausedByState '{wanted}' is no state within the tested state")))
}

fn mocked(mock: &Mock, state: &State, request: &Request) -> Result<Mocked, Refused> {
    let kind = state.kind.name();
    if !matches!(state.kind, Kind::Task(_) | Kind::Parallel { .. } | Kind::Map(_)) {
        let message = format!("State type '{kind}' is not supported when a mock is specified");
        return Err(invalid(message));
    }
    let result = match (&mock.result, &mock.error_output) {
        (Some(result), None) => result,
        (None, Some(failure)) => {
            let (error, cause) = (failure.error.clone(), failure.cause.clone());
            return Ok(Err(Fault { error, cause }));
        }
        _ => {
            return Err(invalid(
                "A test mock should have only one of the following fields: [result, errorOutput].",
            ));
        }
    };
    let result: Value =
        serde_json::from_str(result).map_err(|_| invalid("Mocked result must be valid JSON"))?;
    match &state.kind {
        Kind::Map(map) if map.exports() && !result.is_object() => {
            return Err(invalid("Mocked result must be an object."));
        }
        // Where results are written, what comes out is where.
        Kind::Map(map) if map.exports() => {}
        Kind::Parallel { .. } | Kind::Map(_) if !result.is_array() => {
            return Err(invalid("Mocked result must be an array."));
        }
        Kind::Task(task) if mock.field_validation_mode != Validation::None => {
            results::check(&task.resource, &result, mock.field_validation_mode)
                .map_err(|why| invalid(format!("Mock result schema validation error: {why}")))?;
        }
        _ => {}
    }
    Ok(tolerated(state, request, result))
}

/// A Map's pretended result, unless more of its iterations are said to have failed than may.
fn tolerated(state: &State, request: &Request, result: Value) -> Mocked {
    let configured = request.state_configuration.as_ref();
    let failed = configured.map_or(0, |before| before.map_iteration_failure_count) as f64;
    let fixed = |template: &Option<Template>| match template {
        Some(Template::Value(value)) => value.as_f64(),
        _ => None,
    };
    let Kind::Map(map) = &state.kind else { return Ok(result) };
    let share = fixed(&map.tolerated_percentage).zip(result.as_array());
    let share = share.map(|(share, all)| all.len() as f64 * share / 100.0);
    let most = match (fixed(&map.tolerated_count), share) {
        (Some(count), Some(share)) => count.min(share),
        (count, share) => count.or(share).unwrap_or(0.0),
    };
    if failed > most {
        let cause = "The specified tolerated failure threshold was exceeded";
        return Err(Fault::new(name::THRESHOLD, cause));
    }
    Ok(result)
}

/// A state whose work is not pretended must have none.
fn unmocked(state: &State, request: &Request) -> Result<(), Refused> {
    match &state.kind {
        Kind::Task(_) if request.role_arn.is_none() => {
            Err(invalid("RoleArn must be specified when testing a Task state"))
        }
        Kind::Task(_) | Kind::Parallel { .. } | Kind::Map(_) => {
            let kind = state.kind.name();
            Err(invalid(format!("State type '{kind}' is only supported when a mock is specified")))
        }
        _ => Ok(()),
    }
}

fn invalid(message: impl Into<String>) -> Refused {
    Refused { code: INVALID, message: message.into() }
}
