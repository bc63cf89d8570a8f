//! Entering a state and doing its work.

use release::Timestamp;
use serde_json::{Map, Value, json};

use super::leave::data_limit;
use super::run::{Effect, FrameId, Phase, Status};
use super::{Sight, Stepper, field, later};
use crate::choice::timestamp;
use crate::definition::{Choice, Condition, Container, Kind, Selected, State, Wait};
use crate::fault::{Fault, Unevaluated, name};
use crate::history::payload;
use crate::path::Path;
use crate::template::{Language, Template, View};
use crate::weight::too_large;

/// The longest wait, in seconds.
const MAX_WAIT: f64 = 2_147_483_647.0;

/// The most branches and iterations of an execution at once, however they nest.
const THREADS: usize = 10_000;
/// The most bytes of input that branches or iterations of one state hold together.
const HELD: usize = 64 << 20;

impl Stepper<'_, '_> {
    /// Enters the state a frame is about to be in, and does its work.
    pub(super) fn enter(&mut self, id: FrameId) {
        let Some(state) = self.state(id) else { return };
        let retriers = state.retry.len();
        let now = self.moment.now;
        let Some(frame) = self.run.frames.get_mut(&id) else { return };
        frame.entered_at = now;
        frame.entries += 1;
        frame.attempts = 0;
        frame.retried = vec![0; retriers];
        let before = frame.previous;
        let mut details = Map::new();
        payload(&mut details, "input", &frame.input);
        details.insert("name".to_owned(), frame.state.clone().into());
        self.tell(id, &format!("{}StateEntered", state.kind.name()), Some(details));
        if let Some(frame) = self.run.frames.get_mut(&id) {
            frame.entered = (frame.previous, before);
        }
        self.work(id);
    }

    /// Does the work of the state a frame is in; whatever fails goes the way of failures.
    pub(super) fn work(&mut self, id: FrameId) {
        let Some(state) = self.state(id) else { return };
        let done = match &state.kind {
            Kind::Pass { result } => self.pass(id, state, result.as_ref()),
            Kind::Choice { choices, default } => self.choose(id, state, choices, default.as_ref()),
            Kind::Succeed => self.succeed(id, state),
            Kind::Fail { error, cause } => self.fail_state(id, error.as_ref(), cause.as_ref()),
            Kind::Wait(wait) => self.wait(id, state, wait),
            Kind::Task(task) => self.schedule(id, state, task),
            Kind::Parallel { branches } => self.branch(id, state, branches),
            Kind::Map(map) => self.map(id, state, map),
        };
        if let Err(error) = done {
            self.unevaluated(id, error);
        }
    }

    /// What a state works on: the part of its input that it selects, in JSONata all of it.
    pub(super) fn effective(&mut self, id: FrameId, state: &State) -> Result<Value, Unevaluated> {
        let Some(frame) = self.frame(id) else { return Ok(Value::Null) };
        let input = frame.input.clone();
        match &state.input_path {
            Selected::All => Ok(input),
            Selected::Nothing => Ok(json!({})),
            Selected::Path(path) => self.part(id, path, &input),
        }
    }

    /// The part of a payload that `InputPath` or `OutputPath` selects.
    pub(super) fn part(
        &mut self,
        id: FrameId,
        path: &Path,
        payload: &Value,
    ) -> Result<Value, Unevaluated> {
        self.compute(id, Sight::of(payload), |view| {
            let why = || format!("Invalid path '{path}' : {}", path.missing(payload));
            path.select(view.scope())?.ok_or_else(|| Unevaluated::runtime(why()))
        })
    }

    /// What a state's work is given: its `Parameters` or `Arguments`, made from its input.
    pub(super) fn arguments(
        &mut self,
        id: FrameId,
        state: &State,
        token: Option<&str>,
    ) -> Result<Value, Unevaluated> {
        let effective = self.effective(id, state)?;
        let Some(template) = &state.arguments else { return Ok(effective) };
        let location = match state.language {
            Language::JsonPath => "Parameters",
            Language::Jsonata => "Arguments",
        };
        let sight = Sight { token, ..Sight::of(&effective) };
        let arguments = self.compute(id, sight, |view| template.evaluate(view, location))?;
        if too_large(&arguments) {
            return Err(data_limit(&self.state_name(id)));
        }
        Ok(arguments)
    }

    fn pass(
        &mut self,
        id: FrameId,
        state: &State,
        result: Option<&Value>,
    ) -> Result<(), Unevaluated> {
        let arguments = self.arguments(id, state, None)?;
        let result = result.cloned().unwrap_or(arguments);
        self.leave(id, state, result)
    }

    fn choose(
        &mut self,
        id: FrameId,
        state: &State,
        choices: &[Choice],
        default: Option<&String>,
    ) -> Result<(), Unevaluated> {
        let effective = self.effective(id, state)?;
        let taken = self.compute(id, Sight::of(&effective), |view| {
            for (index, choice) in choices.iter().enumerate() {
                if holds(&choice.condition, view, index)? {
                    return Ok(Some(choice));
                }
            }
            Ok(None)
        })?;
        let (next, assign, output) = match (taken, default) {
            (Some(choice), _) => (&choice.next, choice.assign.as_ref(), choice.output.as_ref()),
            (None, Some(default)) => (default, state.assign.as_ref(), state.output.as_ref()),
            (None, None) => {
                let error = name::NO_CHOICE;
                let cause = "No choice rule matched and there is no Default.".to_owned();
                return Err(Unevaluated { error, cause, location: None });
            }
        };
        let variables = self.assigned(id, assign, Sight::of(&effective))?;
        let output = match (state.language, output) {
            (Language::JsonPath, _) => self.output_path(id, state, effective)?,
            (Language::Jsonata, Some(template)) => {
                self.compute(id, Sight::of(&effective), |view| template.evaluate(view, "Output"))?
            }
            (Language::Jsonata, None) => effective,
        };
        self.exit(id, output, variables, Some(next.clone()))
    }

    fn succeed(&mut self, id: FrameId, state: &State) -> Result<(), Unevaluated> {
        let effective = self.effective(id, state)?;
        self.leave(id, state, effective)
    }

    fn fail_state(
        &mut self,
        id: FrameId,
        error: Option<&Template>,
        cause: Option<&Template>,
    ) -> Result<(), Unevaluated> {
        let Some(frame) = self.frame(id) else { return Ok(()) };
        let input = frame.input.clone();
        let mut text = |template: Option<&Template>, name: &str| {
            let Some(template) = template else { return Ok::<_, Unevaluated>(None) };
            let value = self.compute(id, Sight::of(&input), |view| field(template, view, name))?;
            Ok(Some(match value {
                Value::String(text) => text,
                other => other.to_string(),
            }))
        };
        let fault = Fault { error: text(error, "Error")?, cause: text(cause, "Cause")? };
        self.fail_scope(id, fault);
        Ok(())
    }

    fn wait(&mut self, id: FrameId, state: &State, wait: &Wait) -> Result<(), Unevaluated> {
        let effective = self.effective(id, state)?;
        let (template, name) = match wait {
            Wait::Seconds(template) => (template, "Seconds"),
            Wait::Timestamp(template) => (template, "Timestamp"),
        };
        let value = self.compute(id, Sight::of(&effective), |view| field(template, view, name))?;
        let now = self.moment.now;
        let until = match wait {
            Wait::Seconds(template) => {
                let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0);
                let seconds = seconds.ok_or_else(|| not_a(template, name, "number", &value))?;
                if seconds > MAX_WAIT {
                    return Err(Unevaluated::runtime("Wait state delay is too long."));
                }
                later(now, seconds)
            }
            Wait::Timestamp(template) => {
                let at = value.as_str().and_then(timestamp);
                let at = at.ok_or_else(|| not_a(template, name, "timestamp", &value))?;
                let seconds = at.duration_since(now).as_secs_f64();
                if seconds > MAX_WAIT {
                    return Err(Unevaluated::runtime("Wait state delay is too long."));
                }
                at
            }
        };
        if until <= now {
            return self.leave(id, state, effective);
        }
        self.set_timer(id, Phase::Waiting, until);
        Ok(())
    }

    /// A wait is over.
    pub(super) fn waited(&mut self, id: FrameId) {
        let Some(state) = self.state(id) else { return };
        let left = self.effective(id, state).and_then(|input| self.leave(id, state, input));
        if let Err(error) = left {
            self.unevaluated(id, error);
        }
    }

    /// Puts a frame to sleep.
    pub(super) fn set_timer(&mut self, id: FrameId, phase: Phase, at: Timestamp) {
        if let Some(frame) = self.run.frames.get_mut(&id) {
            frame.epoch += 1;
            frame.phase = phase;
            let epoch = frame.epoch;
            self.step.effects.push(Effect::Timer { at, frame: id, epoch });
        }
    }

    fn branch(
        &mut self,
        id: FrameId,
        state: &State,
        branches: &[Container],
    ) -> Result<(), Unevaluated> {
        let input = self.arguments(id, state, None)?;
        if branches.len() > together(&input) {
            return Err(data_limit(&self.state_name(id)));
        }
        self.tell(id, "ParallelStateStarted", None);
        let Some(frame) = self.run.frames.get_mut(&id) else { return Ok(()) };
        frame.phase = Phase::Branches { results: vec![None; branches.len()] };
        for (index, branch) in branches.iter().enumerate() {
            let scope = self.scope_below(id, index);
            let start = (branch.start_at.clone(), input.clone());
            self.begin_thread(id, index, scope, start)?;
        }
        Ok(())
    }

    /// Begins a thread of states below the state that `id` is in.
    pub(super) fn begin_thread(
        &mut self,
        id: FrameId,
        index: usize,
        scope: Vec<(String, usize)>,
        start: (String, Value),
    ) -> Result<FrameId, Unevaluated> {
        if self.run.frames.len() >= THREADS {
            let cause = format!("More than {THREADS} branches and iterations would run at once.");
            return Err(Unevaluated::runtime(cause));
        }
        let child = self.run.add(Some(id), index, scope, start);
        self.queue.push_back(child);
        Ok(child)
    }

    /// The scope of a frame below the state that `id` is in.
    pub(super) fn scope_below(&self, id: FrameId, branch: usize) -> Vec<(String, usize)> {
        let Some(frame) = self.frame(id) else { return Vec::new() };
        let mut scope = frame.scope.clone();
        scope.push((frame.state.clone(), branch));
        scope
    }

    /// A thread of states has come to its end.
    pub(super) fn scope_ended(&mut self, id: FrameId, output: Value) {
        let Some(frame) = self.frame(id) else { return };
        let (parent, index, previous) = (frame.parent, frame.index, frame.previous);
        let Some(parent) = parent else {
            return self.end(Status::Succeeded, Some(output), Fault::default());
        };
        let Some(around) = self.run.frames.get_mut(&parent) else { return };
        if let Phase::Items(_) = &around.phase {
            return self.item_ended(id, parent, Ok(output));
        }
        let Phase::Branches { results } = &mut around.phase else { return };
        if let Some(result) = results.get_mut(index) {
            *result = Some(output);
        }
        around.previous = previous;
        let all = results.iter().cloned().collect::<Option<Vec<Value>>>();
        self.run.frames.remove(&id);
        let (Some(all), Some(state)) = (all, self.state(parent)) else { return };
        self.aside(parent, "ParallelStateSucceeded", None);
        if let Err(error) = self.leave(parent, state, all.into()) {
            self.unevaluated(parent, error);
        }
    }
}

/// How many threads may begin with an input together.
pub(super) fn together(input: &Value) -> usize {
    (HELD / input.to_string().len().max(1)).max(1)
}

/// Whether a choice is taken.
fn holds(condition: &Condition, view: &mut View<'_>, index: usize) -> Result<bool, Unevaluated> {
    match condition {
        Condition::Fixed(fixed) => Ok(*fixed),
        Condition::Rule(rule) => rule.holds(view.scope()),
        Condition::Expression(expression) => {
            let location = format!("Choices[{index}]/Condition");
            let value = expression.evaluate(&mut view.sight(), &location)?;
            value.as_bool().ok_or_else(|| expression.mistyped(&location, "boolean", &value))
        }
    }
}

/// The error of a field that is not of the kind it must be.
pub(super) fn not_a(template: &Template, name: &str, kind: &str, value: &Value) -> Unevaluated {
    match template {
        Template::Expression(expression) => expression.mistyped(name, kind, value),
        Template::Path(field, path) if kind == "timestamp" => {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Unevaluated::runtime(format!(
                "The {field} parameter does not reference a valid ISO-8601 extended offset \
                 date-time format string: {path} == {value}"
            ))
        }
        Template::Path(field, path) => Unevaluated::runtime(format!(
            "The {field} parameter '{path}' does not reference a {kind}: {value}"
        )),
        _ => Unevaluated::runtime(format!("The field {name} is not a {kind}: {value}")),
    }
}
