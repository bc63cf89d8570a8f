//! One state on its own: entered with a given input and context, its work pretended, its data
//! looked at on every stage of its way. It is the interpreter's own code that runs; only the frame
//! it runs in is made up.

use serde_json::{Map, Value, json};

use super::run::{About, Effect, FrameId, Phase, Report, Run, Status};
use super::{Moment, Sight, Stepper, container};
use crate::definition::{Kind, Machine, MapState, State};
use crate::fault::{Fault, Origin, Unevaluated};
use crate::template::{Language, Template};

use super::leave::merge;

/// A state to be tried.
pub struct Trial {
    /// The execution it pretends to be in.
    pub about: About,
    /// Where the state is: the states around it, each with its branch.
    pub scope: Vec<(String, usize)>,
    /// Its name.
    pub state: String,
    /// Its input.
    pub input: Value,
    /// The variables it sees.
    pub variables: Map<String, Value>,
    /// The context object it sees.
    pub context: Value,
    /// How often its retriers were used before.
    pub retried: u32,
    /// What its work comes to, where it has work done.
    pub mocked: Option<Mocked>,
    /// Decides all that is drawn at random.
    pub seed: u64,
}

/// What pretended work comes to.
pub type Mocked = Result<Value, Fault>;

/// What came of a trial.
#[derive(Debug, PartialEq)]
pub struct Tried {
    /// How the state ended.
    pub came: Came,
    /// The data on each stage of its way, by the names that `TestState` gives the stages.
    pub stages: Map<String, Value>,
    /// The variables that are seen after it.
    pub variables: Map<String, Value>,
}

/// How a tried state ended.
#[derive(Debug, PartialEq)]
pub enum Came {
    /// Well; with the state after it, if there is one.
    Succeeded { output: Value, next: Option<String> },
    /// Badly.
    Failed(Fault),
    /// It would be tried again.
    Retriable { fault: Fault, retrier: usize, seconds: i64 },
    /// A catcher took the failure.
    Caught { fault: Fault, catcher: usize, output: Value, next: String },
}

/// Tries a state; `None` if the machine has none of that name in that scope.
pub fn try_state(machine: &Machine, trial: Trial, moment: &mut Moment<'_>) -> Option<Tried> {
    let Trial { about, scope, state: name, input, variables, mocked, .. } = trial;
    let state = container(machine, &scope)?.states.get(&name)?;
    let mut run = Run::new(about, trial.seed);
    let id = run.add(None, 0, scope, (name, input));
    let now = moment.now;
    if let Some(frame) = run.frames.get_mut(&id) {
        frame.entered_at = now;
        frame.entries = 1;
        frame.attempts = trial.retried;
        frame.retried = vec![trial.retried; state.retry.len()];
        frame.variables = variables.clone();
    }
    let mut stepper = Stepper::new(machine, &mut run, moment);
    stepper.given = Some(trial.context);
    // Looking draws at random as the work itself does: both begin with the same draw.
    let draw = stepper.run.draw.clone();
    let mut stages = Map::new();
    let result = mocked.as_ref().and_then(|mocked| mocked.as_ref().ok());
    // A stage that has no value is where the state fails, and it is told of that below.
    stepper.look(id, state, result, &mut stages).ok();
    stepper.run.draw = draw;
    stepper.pretend(id, state, mocked);
    let seen = stepper.seen(variables);
    let came = stepper.came(id, state)?;
    Some(Tried { came, stages, variables: seen })
}

impl Stepper<'_, '_> {
    /// Does a state's work, as far as it is its own; whatever others do is pretended.
    fn pretend(&mut self, id: FrameId, state: &State, mocked: Option<Mocked>) {
        if let (Kind::Parallel { .. } | Kind::Map(_), Some(mocked)) = (&state.kind, &mocked) {
            let left = match mocked {
                Ok(result) => {
                    self.given_work(id, state).and_then(|()| self.leave(id, state, result.clone()))
                }
                Err(fault) => {
                    self.failed(id, fault.clone(), Origin::State);
                    Ok(())
                }
            };
            if let Err(error) = left {
                self.unevaluated(id, error);
            }
            return;
        }
        self.work(id);
        match self.frame(id).map(|frame| frame.phase.clone()) {
            Some(Phase::Waiting) => self.waited(id),
            Some(Phase::Working { task, .. }) => {
                let report = match mocked {
                    Some(Ok(result)) => Report::Succeeded(result),
                    Some(Err(fault)) => Report::Failed(fault),
                    None => return,
                };
                self.reported(&task, report);
            }
            _ => {}
        }
    }

    /// What branches and iterations would be given has a value.
    fn given_work(&mut self, id: FrameId, state: &State) -> Result<(), Unevaluated> {
        match &state.kind {
            Kind::Map(map) if map.reader.is_none() => {
                let effective = self.effective(id, state)?;
                self.items(id, state, map, &effective).map(drop)
            }
            _ => self.arguments(id, state, None).map(drop),
        }
    }

    /// Notes the data on its way through a state. Which stages are told of which kind of state is
    /// the service's choice: of branches and iterations only what comes out of them.
    fn look(
        &mut self,
        id: FrameId,
        state: &State,
        result: Option<&Value>,
        stages: &mut Map<String, Value>,
    ) -> Result<(), Unevaluated> {
        let Some(frame) = self.frame(id) else { return Ok(()) };
        let input = frame.input.clone();
        let mut note = |name: &str, value: Value| stages.insert(name.to_owned(), value);
        note("input", input.clone());
        let json_path = state.language == Language::JsonPath;
        let own = match &state.kind {
            Kind::Pass { result } => result.clone(),
            _ => None,
        };
        match &state.kind {
            Kind::Fail { .. } | Kind::Parallel { .. } => {}
            Kind::Map(map) => self.look_at_items(id, state, map, &mut note)?,
            Kind::Task(task) => {
                let name = self.state_name(id);
                let token = task.resource.has_token().then(|| (self.moment.token)(&name));
                if json_path {
                    note("afterInputPath", self.effective(id, state)?);
                }
                let name = if json_path { "afterParameters" } else { "afterArguments" };
                note(name, self.arguments(id, state, token.as_deref())?);
            }
            _ if !json_path => {}
            Kind::Pass { .. } => {
                note("afterInputPath", self.effective(id, state)?);
                note("afterParameters", self.arguments(id, state, None)?);
            }
            _ => {
                note("afterInputPath", self.effective(id, state)?);
            }
        }
        let result = match (&state.kind, result) {
            (Kind::Pass { .. }, _) if json_path => match own {
                Some(own) => own,
                None => self.arguments(id, state, None)?,
            },
            (_, Some(result)) => result.clone(),
            _ => return Ok(()),
        };
        if matches!(state.kind, Kind::Pass { .. } | Kind::Task(_)) {
            note("result", result.clone());
        }
        if !json_path {
            return Ok(());
        }
        let selected = match &state.result_selector {
            Some(template) => self.compute(id, Sight::of(&result), |view| {
                template.evaluate(view, "ResultSelector")
            })?,
            None => result,
        };
        note("afterResultSelector", selected.clone());
        note("afterResultPath", merge(&state.result_path, input, selected)?);
        Ok(())
    }

    fn look_at_items(
        &mut self,
        id: FrameId,
        state: &State,
        map: &MapState,
        note: &mut impl FnMut(&str, Value) -> Option<Value>,
    ) -> Result<(), Unevaluated> {
        let effective = self.effective(id, state)?;
        if state.language == Language::JsonPath {
            note("afterInputPath", effective.clone());
        }
        if map.reader.is_none() {
            let items = self.items(id, state, map, &effective)?;
            if state.language == Language::JsonPath {
                note("afterItemsPath", items.clone().into());
            }
            if let Some(template) = &map.item_selector {
                let mut selected = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let sight = Sight { item: Some((index, item)), ..Sight::of(&effective) };
                    let one =
                        self.compute(id, sight, |view| template.evaluate(view, "ItemSelector"))?;
                    selected.push(one);
                }
                note("afterItemSelector", selected.into());
            }
        }
        let bounds: [(&Option<Template>, &str, &str, Option<f64>); 3] = [
            (&map.max_concurrency, "MaxConcurrency", "maxConcurrency", Some(0.0)),
            (&map.tolerated_count, "ToleratedFailureCount", "toleratedFailureCount", None),
            (
                &map.tolerated_percentage,
                "ToleratedFailurePercentage",
                "toleratedFailurePercentage",
                None,
            ),
        ];
        for (template, field, name, otherwise) in bounds {
            let number = match template {
                Some(template) => Some(self.number(id, &effective, template, field)?),
                None => otherwise,
            };
            if let Some(number) = number {
                let whole = number.fract() == 0.0 && name != "toleratedFailurePercentage";
                note(name, if whole { json!(number as i64) } else { json!(number) });
            }
        }
        Ok(())
    }

    /// The variables after the state: those before it, and those it set.
    fn seen(&self, mut variables: Map<String, Value>) -> Map<String, Value> {
        let exits = self.step.events.iter().filter_map(|event| event.details.as_ref());
        let set = exits.filter_map(|details| details.get("assignedVariables")?.as_object());
        for (name, value) in set.flatten() {
            let value = value.as_str().and_then(|text| serde_json::from_str(text).ok());
            variables.extend(value.map(|value| (name.clone(), value)));
        }
        variables
    }

    /// How the state ended; none if it still waits for work that nobody pretends.
    fn came(&mut self, id: FrameId, state: &State) -> Option<Came> {
        let failure = self.failure.take();
        let outcome = self.run.outcome.take();
        match (self.run.status, outcome) {
            (Status::Succeeded, Some(outcome)) => {
                return Some(Came::Succeeded { output: outcome.output?, next: None });
            }
            (Status::Failed, Some(outcome)) => {
                return Some(Came::Failed(outcome.fault.unwrap_or_default()));
            }
            _ => {}
        }
        let frame = self.frame(id)?;
        let at =
            |errors: &[String], (fault, origin): &(Fault, Origin)| fault.is_among(errors, *origin);
        match (&frame.phase, failure) {
            (Phase::Retrying, Some(failure)) => {
                let retrier = state.retry.iter().position(|one| at(&one.errors, &failure))?;
                let now = self.moment.now;
                let until = self.step.effects.iter().find_map(|effect| match effect {
                    Effect::Timer { at, .. } => Some(*at),
                    _ => None,
                })?;
                let seconds = until.duration_since(now).as_secs();
                Some(Came::Retriable { fault: failure.0, retrier, seconds })
            }
            (Phase::Ready, Some(failure)) => {
                let catcher = state.catch.iter().position(|one| at(&one.errors, &failure))?;
                let (output, next) = (frame.input.clone(), frame.state.clone());
                Some(Came::Caught { fault: failure.0, catcher, output, next })
            }
            (Phase::Ready, None) => {
                let (output, next) = (frame.input.clone(), Some(frame.state.clone()));
                Some(Came::Succeeded { output, next })
            }
            _ => None,
        }
    }
}
