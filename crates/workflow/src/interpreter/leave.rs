//! How data flows out of a state: `ResultSelector`, `Assign`, `ResultPath` and `OutputPath` in
//! JSONPath; `Assign` and `Output` in JSONata.

use serde_json::{Map, Value, json};

use super::run::{FrameId, Phase};
use super::{Sight, Stepper};
use crate::definition::{Kind, Selected, State};
use crate::fault::{Unevaluated, name};
use crate::history::payload;
use crate::template::{Language, Template};
use crate::weight::too_large;

/// The most bytes of all the variables of an execution.
const VARIABLES: usize = 10 << 20;

impl Stepper<'_, '_> {
    /// Leaves a state with what came of its work.
    pub(super) fn leave(
        &mut self,
        id: FrameId,
        state: &State,
        result: Value,
    ) -> Result<(), Unevaluated> {
        let Some(frame) = self.frame(id) else { return Ok(()) };
        let input = frame.input.clone();
        let (output, variables) = match state.language {
            Language::JsonPath => {
                let result = match &state.result_selector {
                    Some(template) => self.compute(id, Sight::of(&result), |view| {
                        template.evaluate(view, "ResultSelector")
                    })?,
                    None => result,
                };
                let variables = self.assigned(id, state.assign.as_ref(), Sight::of(&result))?;
                let merged = merge(&state.result_path, input, result)?;
                (self.output_path(id, state, merged)?, variables)
            }
            Language::Jsonata => {
                let told = match state.kind {
                    Kind::Task(_) | Kind::Parallel { .. } | Kind::Map(_) | Kind::Pass { .. } => {
                        Some(&result)
                    }
                    _ => None,
                };
                let sight = || Sight { result: told, ..Sight::of(&input) };
                let variables = self.assigned(id, state.assign.as_ref(), sight())?;
                let output = match &state.output {
                    Some(template) => {
                        self.compute(id, sight(), |view| template.evaluate(view, "Output"))?
                    }
                    None => result,
                };
                (output, variables)
            }
        };
        self.exit(id, output, variables, state.next.clone())
    }

    /// The variables that an `Assign` sets, from the values before any of them is set.
    pub(super) fn assigned(
        &mut self,
        id: FrameId,
        assign: Option<&Template>,
        sight: Sight<'_>,
    ) -> Result<Map<String, Value>, Unevaluated> {
        let Some(template) = assign else { return Ok(Map::new()) };
        let set = self.compute(id, sight, |view| template.evaluate(view, "Assign"))?;
        let held = self.run.frames.values().flat_map(|frame| frame.variables.values());
        if too_large(&set) || held.map(|value| value.to_string().len()).sum::<usize>() > VARIABLES {
            return Err(data_limit(&self.state_name(id)));
        }
        match set {
            Value::Object(variables) => Ok(variables),
            _ => Ok(Map::new()),
        }
    }

    /// The part of a state's output that goes on.
    pub(super) fn output_path(
        &mut self,
        id: FrameId,
        state: &State,
        output: Value,
    ) -> Result<Value, Unevaluated> {
        match &state.output_path {
            Selected::All => Ok(output),
            Selected::Nothing => Ok(json!({})),
            Selected::Path(path) => self.part(id, path, &output),
        }
    }

    /// Leaves a state: tells it, sets its variables, and goes on or ends the thread.
    pub(super) fn exit(
        &mut self,
        id: FrameId,
        output: Value,
        variables: Map<String, Value>,
        next: Option<String>,
    ) -> Result<(), Unevaluated> {
        let Some(state) = self.state(id) else { return Ok(()) };
        let Some(frame) = self.frame(id) else { return Ok(()) };
        if too_large(&output) {
            return Err(data_limit(&frame.state));
        }
        let mut details = Map::new();
        details.insert("name".to_owned(), frame.state.clone().into());
        payload(&mut details, "output", &output);
        if !variables.is_empty() {
            let told =
                variables.iter().map(|(name, value)| (name.clone(), json!(value.to_string())));
            let told: Map<String, Value> = told.collect();
            details.insert("assignedVariables".to_owned(), told.into());
            details.insert("assignedVariablesDetails".to_owned(), json!({"truncated": false}));
        }
        self.tell(id, &format!("{}StateExited", state.kind.name()), Some(details));
        let Some(frame) = self.run.frames.get_mut(&id) else { return Ok(()) };
        frame.variables.extend(variables);
        match next {
            Some(next) => {
                frame.state = next;
                frame.input = output;
                frame.phase = Phase::Ready;
                self.queue.push_back(id);
            }
            None => self.scope_ended(id, output),
        }
        Ok(())
    }
}

/// The failure of a state or task whose result is too large.
pub(super) fn data_limit(name: &str) -> Unevaluated {
    let cause = format!(
        "The state/task '{name}' returned a result with a size exceeding the maximum number of \
         bytes service limit."
    );
    Unevaluated { error: name::DATA_LIMIT, cause, location: None }
}

/// A result put where `ResultPath` says, into the input as it came.
pub(super) fn merge(to: &Selected, input: Value, result: Value) -> Result<Value, Unevaluated> {
    match to {
        Selected::All => Ok(result),
        Selected::Nothing => Ok(input),
        Selected::Path(path) => {
            let cause = format!("Unable to apply ReferencePath {path} to input {input}");
            let merged = path.put(input, result);
            merged.ok_or(Unevaluated { error: name::RESULT_PATH, cause, location: None })
        }
    }
}
