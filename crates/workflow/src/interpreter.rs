//! The interpreter: a pure step function.
//!
//! [`step`] takes a [`Run`] (all that an execution is at one moment), what happened ([`Input`]) and
//! the present moment, and changes the run. What it did is told as history events; what others
//! have to do now, as effects. It reads no clock, no generator and no database, so that production,
//! tests of single states, recorded cases and simulations run the same code.
//!
//! A run is a tree of frames: the root's states are the machine's; a Parallel state has a frame
//! below it for each branch, a Map state one for each iteration that is under way. A frame is in
//! one state at a time. It goes on until it has to wait for a task, a timer or its children.
//!
//! Read `run.rs` for the nouns, then `enter.rs` (what each kind of state does), `leave.rs` (how
//! data flows out of it) and `fail.rs` (what happens to errors).

mod distribute;
mod enter;
mod fail;
mod leave;
mod map;
mod reader;
mod run;
mod single;
mod task;

use std::collections::VecDeque;

use release::Timestamp;
use serde_json::{Map, Value, json};

use crate::definition::{Container, Kind, Machine, State};
use crate::fault::{Fault, Origin, Unevaluated, name};
use crate::history::{Event, payload};
use crate::template::{Template, View};
use crate::weight::Allowance;

pub(crate) use single::{Came, Mocked, Trial, try_state};

use distribute::MAX_ITEMS;
pub(crate) use distribute::portions;
pub use distribute::{MapRun, Portion};
pub(crate) use reader::LIST;
pub use run::{About, Effect, FrameId, Input, Outcome, Report, Run, Status, TaskRequest};
use run::{Frame, Phase};

/// The most bytes of a payload.
pub const MAX_PAYLOAD: usize = 262_144;
/// The most events of a history.
pub const MAX_EVENTS: u64 = 25_000;
/// How many states are entered before the caller commits: a loop of choices never ends.
const BURST: usize = 1_000;

/// When a step happens, and where its tokens come from.
pub struct Moment<'a> {
    /// The present moment.
    pub now: Timestamp,
    /// The token of a task, by its key, which nobody can guess.
    pub token: &'a mut dyn FnMut(&str) -> String,
}

/// What a step did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// What happened, to be appended to the history.
    pub events: Vec<Event>,
    /// What others have to do now.
    pub effects: Vec<Effect>,
}

/// Goes on with `run` after `input`, until it has to wait or is over. What no longer fits (a timer
/// of a state that was left, a report of a task that is over) changes nothing.
pub fn step(machine: &Machine, run: &mut Run, input: Input, moment: &mut Moment<'_>) -> Step {
    let queue = std::mem::take(&mut run.ready);
    let mut stepper = Stepper::new(machine, run, moment);
    stepper.queue = queue;
    stepper.take(input);
    stepper.go();
    stepper.step
}

struct Stepper<'a, 'm> {
    machine: &'a Machine,
    run: &'a mut Run,
    moment: &'a mut Moment<'m>,
    /// Frames that can go on.
    queue: VecDeque<FrameId>,
    step: Step,
    /// The context object, where it is given and not the run's own.
    given: Option<Value>,
    /// The last failure of a state, whatever became of it.
    failure: Option<(Fault, Origin)>,
}

impl<'a, 'm> Stepper<'a, 'm> {
    fn new(machine: &'a Machine, run: &'a mut Run, moment: &'a mut Moment<'m>) -> Self {
        let (queue, step) = (VecDeque::new(), Step::default());
        Self { machine, run, moment, queue, step, given: None, failure: None }
    }

    fn take(&mut self, input: Input) {
        if self.run.status != Status::Running && !matches!(input, Input::Redriven) {
            return;
        }
        match input {
            Input::Started => self.begin(),
            Input::Continued => {}
            Input::Reported { task, report } => self.reported(&task, report),
            Input::TimerFired { frame, epoch } => self.timer(frame, epoch),
            Input::MapRunEnded { id, result } => self.map_run_ended(&id, result),
            Input::Stopped(fault) => self.end(Status::Aborted, None, fault),
            Input::TimedOut => self.end(Status::TimedOut, None, Fault::default()),
            Input::Redriven => self.redrive(),
        }
    }

    fn begin(&mut self) {
        let mut details = Map::new();
        payload(&mut details, "input", &self.run.about.input);
        details.insert("roleArn".to_owned(), self.run.about.role_arn.clone().into());
        self.event(0, "ExecutionStarted", Some(details));
        self.set_deadline();
        let scope = self.run.scope.clone();
        let Some(states) = container(self.machine, &scope) else { return };
        let (start, input) = (states.start_at.clone(), self.run.about.input.clone());
        let root = self.run.add(None, 0, scope, (start, input));
        self.queue.push_back(root);
    }

    /// The machine's bound on an execution counts from now. It is none on those of single items.
    fn set_deadline(&mut self) {
        if let Some(seconds) = self.machine.timeout_seconds.filter(|_| self.run.scope.is_empty()) {
            let at = later(self.moment.now, seconds as f64);
            self.step.effects.push(Effect::Deadline { at });
        }
    }

    fn go(&mut self) {
        for _ in 0..BURST {
            if self.run.status != Status::Running {
                return;
            }
            let Some(id) = self.queue.pop_front() else { return };
            if self.run.events >= MAX_EVENTS {
                let why = format!(
                    "The execution reached the maximum number of history events ({MAX_EVENTS})."
                );
                return self.end(Status::Failed, None, Fault::new(name::RUNTIME, why));
            }
            match self.run.frames.get(&id).map(|frame| &frame.phase) {
                Some(Phase::Ready) => self.enter(id),
                Some(Phase::Again) => self.work(id),
                _ => {}
            }
        }
        if !self.queue.is_empty() {
            self.run.ready = std::mem::take(&mut self.queue);
            self.step.effects.push(Effect::Continue);
        }
    }

    fn timer(&mut self, id: FrameId, epoch: u64) {
        let Some(frame) = self.run.frames.get_mut(&id).filter(|frame| frame.epoch == epoch) else {
            return;
        };
        match std::mem::replace(&mut frame.phase, Phase::Again) {
            Phase::Waiting => self.waited(id),
            Phase::Retrying => self.queue.push_back(id),
            other => frame.phase = other,
        }
    }

    /// Everything that failed or was cut off is entered again; what succeeded is kept.
    fn redrive(&mut self) {
        if matches!(self.run.status, Status::Running | Status::Succeeded) {
            return;
        }
        self.run.status = Status::Running;
        self.run.outcome = None;
        self.run.about.redrives += 1;
        let previous = self.run.events;
        let details = json!({"redriveCount": self.run.about.redrives});
        let id = self.event(previous, "ExecutionRedriven", details.as_object().cloned());
        let mut again = Vec::new();
        for (frame_id, frame) in &mut self.run.frames {
            match &mut frame.phase {
                Phase::Halted => {
                    frame.phase = Phase::Ready;
                    frame.previous = id;
                    self.queue.push_back(*frame_id);
                }
                Phase::MapRun(map_run) => again.push((*frame_id, map_run.id.clone())),
                _ => {}
            }
        }
        for (frame_id, map_run) in again {
            self.redrive_map_run(frame_id, map_run, id);
        }
        self.set_deadline();
    }

    /// The execution is over.
    fn end(&mut self, status: Status, output: Option<Value>, fault: Fault) {
        let previous = self.run.frames.get(&FrameId::ROOT).map_or(0, |root| root.previous);
        let mut details = Map::new();
        let kind = match status {
            Status::Running => return,
            Status::Succeeded => "ExecutionSucceeded",
            Status::Failed => "ExecutionFailed",
            Status::TimedOut => "ExecutionTimedOut",
            Status::Aborted => "ExecutionAborted",
        };
        if let Some(output) = &output {
            payload(&mut details, "output", output);
        }
        fault_details(&mut details, &fault);
        self.halt();
        self.event(previous, kind, Some(details));
        self.run.status = status;
        if status == Status::Succeeded {
            // Nothing of it can be tried again.
            self.run.frames.clear();
        }
        let fault = if output.is_some() { None } else { Some(fault) };
        self.run.outcome = Some(Outcome { output, fault });
        self.step.effects.push(Effect::Finished);
    }

    /// Cuts off whatever is under way; it can be redriven.
    fn halt(&mut self) {
        for frame in self.run.frames.values_mut() {
            frame.epoch += 1;
            match std::mem::replace(&mut frame.phase, Phase::Halted) {
                Phase::Working { task, .. } => self.step.effects.push(Effect::Cancel { task }),
                parent @ Phase::MapRun(_) => {
                    if let Phase::MapRun(map_run) = &parent {
                        let id = map_run.id.clone();
                        self.step.effects.push(Effect::Withdraw { id });
                    }
                    frame.phase = parent;
                }
                // Its children are halted themselves.
                parent @ (Phase::Branches { .. } | Phase::Items(_)) => frame.phase = parent,
                _ => {}
            }
        }
    }

    /// Appends an event that follows from `previous`; its id.
    fn event(&mut self, previous: u64, kind: &str, details: Option<Map<String, Value>>) -> u64 {
        self.run.events += 1;
        let id = self.run.events;
        let details = details.map(Value::Object);
        let (at, kind) = (self.moment.now, kind.to_owned());
        self.step.events.push(Event { id, previous, at, kind, details });
        id
    }

    /// Tells an event of a frame, which the frame's next event follows from.
    fn tell(&mut self, id: FrameId, kind: &str, details: Option<Map<String, Value>>) {
        let told = self.aside(id, kind, details);
        if let (Some(told), Some(frame)) = (told, self.run.frames.get_mut(&id)) {
            frame.previous = told;
        }
    }

    /// Tells an event of a frame beside its thread: what comes next follows from what came before.
    fn aside(
        &mut self,
        id: FrameId,
        kind: &str,
        details: Option<Map<String, Value>>,
    ) -> Option<u64> {
        let previous = self.run.frames.get(&id)?.previous;
        Some(self.event(previous, kind, details))
    }

    fn frame(&self, id: FrameId) -> Option<&Frame> {
        self.run.frames.get(&id)
    }

    /// The name of the state that a frame is in.
    fn state_name(&self, id: FrameId) -> String {
        self.frame(id).map(|frame| frame.state.clone()).unwrap_or_default()
    }

    /// The state that a frame is in.
    fn state(&self, id: FrameId) -> Option<&'a State> {
        let frame = self.run.frames.get(&id)?;
        container(self.machine, &frame.scope)?.states.get(&frame.state)
    }

    /// The variables a frame sees: its own, and those of the frames around it.
    fn variables(&self, id: FrameId) -> Map<String, Value> {
        let mut chain = Vec::new();
        let mut at = Some(id);
        while let Some(frame) = at.and_then(|id| self.frame(id)) {
            chain.push(&frame.variables);
            at = frame.parent;
        }
        let mut seen = Map::new();
        for variables in chain.into_iter().rev() {
            seen.extend(variables.clone());
        }
        seen
    }

    /// Computes with what a frame sees. `input` is `$`; `states` is `$states` without the context.
    fn compute<T>(
        &mut self,
        id: FrameId,
        sight: Sight<'_>,
        work: impl FnOnce(&mut View<'_>) -> Result<T, Unevaluated>,
    ) -> Result<T, Unevaluated> {
        let variables = self.variables(id);
        let mut context = self.context(id);
        if let (Some(token), Some(context)) = (sight.token, context.as_object_mut()) {
            context.insert("Task".to_owned(), json!({"Token": token}));
        }
        if let (Some((index, value)), Some(context)) = (sight.item, context.as_object_mut()) {
            context.insert("Map".to_owned(), json!({"Item": {"Index": index, "Value": value}}));
        }
        let mut states = Map::new();
        if let Some(frame) = self.frame(id) {
            states.insert("input".to_owned(), frame.input.clone());
        }
        states.insert("context".to_owned(), context.clone());
        states.extend(sight.result.map(|result| ("result".to_owned(), result.clone())));
        states.extend(sight.error.map(|error| ("errorOutput".to_owned(), error.clone())));
        let states = Value::Object(states);
        let mut draw = self.run.draw.clone();
        let mut view = View {
            input: sight.input,
            context: &context,
            variables: &variables,
            states: &states,
            now: self.moment.now,
            draw: &mut draw,
            allowance: Allowance::default(),
        };
        let value = work(&mut view);
        self.run.draw = draw;
        value
    }

    /// The context object of a frame.
    fn context(&self, id: FrameId) -> Value {
        if let Some(given) = &self.given {
            return given.clone();
        }
        let About { execution_arn, name, input, role_arn, machine_arn, machine_name, .. } =
            &self.run.about;
        let mut context = json!({
            "Execution": {
                "Id": execution_arn,
                "Input": input,
                "Name": name,
                "RoleArn": role_arn,
                "StartTime": format!("{:.3}", self.run.about.started_at),
                "RedriveCount": self.run.about.redrives,
            },
            "StateMachine": {"Id": machine_arn, "Name": machine_name},
        });
        if let (Some(frame), Some(context)) = (self.frame(id), context.as_object_mut()) {
            let state = json!({
                "EnteredTime": format!("{:.3}", frame.entered_at),
                "Name": frame.state,
                "RetryCount": frame.attempts,
            });
            context.insert("State".to_owned(), state);
            let mut at = Some(frame);
            while let Some(frame) = at {
                if let Some((index, value)) = &frame.item {
                    let item = json!({"Item": {"Index": index, "Value": value}});
                    context.insert("Map".to_owned(), item);
                    break;
                }
                at = frame.parent.and_then(|id| self.frame(id));
            }
        }
        context
    }
}

/// What is to be seen besides the frame's own input.
struct Sight<'a> {
    /// `$` in JSONPath.
    input: &'a Value,
    /// `$states.result`.
    result: Option<&'a Value>,
    /// `$states.errorOutput`.
    error: Option<&'a Value>,
    /// `$$.Task.Token`.
    token: Option<&'a str>,
    /// `$$.Map.Item`.
    item: Option<(usize, &'a Value)>,
}

impl<'a> Sight<'a> {
    fn of(input: &'a Value) -> Self {
        Self { input, result: None, error: None, token: None, item: None }
    }
}

/// The states that a frame's scope leads to.
fn container<'m>(machine: &'m Machine, scope: &[(String, usize)]) -> Option<&'m Container> {
    let mut at = &machine.states;
    for (state, branch) in scope {
        at = match &at.states.get(state)?.kind {
            Kind::Parallel { branches } => branches.get(*branch)?,
            Kind::Map(map) => &map.processor,
            _ => return None,
        };
    }
    Some(at)
}

fn fault_details(details: &mut Map<String, Value>, fault: &Fault) {
    details.extend(fault.error.iter().map(|error| ("error".to_owned(), error.clone().into())));
    details.extend(fault.cause.iter().map(|cause| ("cause".to_owned(), cause.clone().into())));
}

/// `now` and so many seconds; the end of time if that is beyond it.
pub(crate) fn later(now: Timestamp, seconds: f64) -> Timestamp {
    let wait = std::time::Duration::try_from_secs_f64(seconds.max(0.0));
    let wait = wait.ok().and_then(|wait| jiff::SignedDuration::try_from(wait).ok());
    wait.and_then(|wait| now.checked_add(wait).ok()).unwrap_or(Timestamp::MAX)
}

/// A field that a path beside it may fill.
fn field(template: &Template, view: &mut View<'_>, name: &str) -> Result<Value, Unevaluated> {
    match template {
        Template::Path(by_path, path) => path.select(view.scope())?.ok_or_else(|| {
            let cause =
                format!("The {by_path} parameter does not reference an input value: {path}");
            Unevaluated::runtime(cause)
        }),
        other => other.evaluate(view, name),
    }
}
