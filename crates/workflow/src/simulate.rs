//! Running a machine to its end under a virtual clock, with tasks that only pretend.
//!
//! Tests of definitions, recorded cases and simulations all come through here: the interpreter is
//! the one that production runs, only the world around it is made up.

mod mocks;

use std::collections::BTreeMap;

use release::Timestamp;
use serde_json::{Value, json};

use crate::definition::Machine;
use crate::fault::Fault;
use crate::history::Event;
use crate::interpreter::{
    About, Effect, Input, Moment, Report, Run, Status, Step, TaskRequest, later, step,
};

pub use mocks::Mocks;

/// How many steps a simulation takes at most.
const STEPS: usize = 200_000;

/// What tasks, readers and writers of a simulated execution meet.
pub trait World {
    /// What a task reports, in order. If the last report is no end, the task is silent from then
    /// on and only its timers end it.
    fn task(&mut self, request: &TaskRequest) -> Vec<Report>;

    /// What a reader gets.
    ///
    /// # Errors
    /// If there is nothing to read.
    fn read(&mut self, resource: &str, arguments: &Value) -> Result<String, Fault>;
}

/// How a simulated execution went.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// The run as it ended; still running if nothing was left that could move it.
    pub run: Run,
    /// Its whole history.
    pub history: Vec<Event>,
}

/// Which execution is simulated, and how.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The execution's input.
    pub input: Value,
    /// When it starts.
    pub start: Timestamp,
    /// Decides all that is drawn at random.
    pub seed: u64,
    /// Whether there is a crash at every commit: before it, so that the step is lost and taken again,
    /// and after it, so that the run is read back and what happened is told once more.
    pub crashes: bool,
}

impl Setting {
    /// An execution with `input`, in the order of its events.
    pub fn of(input: Value) -> Self {
        let start = Timestamp::UNIX_EPOCH;
        Self { input, start, seed: 0, crashes: false }
    }
}

/// Runs `machine` until it is over or nothing can happen any more.
pub fn simulate(machine: &Machine, setting: &Setting, world: &mut dyn World) -> Simulated {
    let name = "simulation";
    let about = About {
        execution_arn: format!("arn:aws:states:local:000000000000:execution:machine:{name}"),
        name: name.to_owned(),
        input: setting.input.clone(),
        role_arn: "arn:aws:iam::000000000000:role/local".to_owned(),
        machine_arn: "arn:aws:states:local:000000000000:stateMachine:machine".to_owned(),
        machine_name: "machine".to_owned(),
        started_at: setting.start,
        redrives: 0,
    };
    let mut simulation = Simulation {
        machine,
        run: Run::new(about, setting.seed),
        history: Vec::new(),
        agenda: Agenda::default(),
        now: setting.start,
        tokens: 0,
        crashes: setting.crashes,
    };
    simulation.happen(Input::Started, world);
    for _ in 0..STEPS {
        let Some((at, input)) = simulation.agenda.next() else { break };
        simulation.now = simulation.now.max(at);
        simulation.happen(input, world);
        if simulation.run.status != Status::Running {
            break;
        }
    }
    Simulated { run: simulation.run, history: simulation.history }
}

struct Simulation<'a> {
    machine: &'a Machine,
    run: Run,
    history: Vec<Event>,
    agenda: Agenda,
    now: Timestamp,
    tokens: u64,
    crashes: bool,
}

impl Simulation<'_> {
    fn happen(&mut self, input: Input, world: &mut dyn World) {
        let mut again = None;
        if self.crashes {
            let tokens = self.tokens;
            let mut stored = self.stored();
            std::mem::swap(&mut self.run, &mut stored);
            self.take(input.clone());
            (self.run, self.tokens) = (stored, tokens);
            // A start is told once: the name of an execution is taken by then.
            again = Some(input.clone()).filter(|input| *input != Input::Started);
        }
        let done = self.take(input);
        self.history.extend(done.events);
        if let Some(input) = again {
            self.run = self.stored();
            let nothing = self.take(input);
            self.history.extend(nothing.events);
            for effect in nothing.effects {
                self.act(effect, world);
            }
        }
        for effect in done.effects {
            self.act(effect, world);
        }
    }

    /// One step, and nothing more.
    fn take(&mut self, input: Input) -> Step {
        let tokens = &mut self.tokens;
        let mut token = |_: &str| {
            *tokens += 1;
            format!("token-{tokens}")
        };
        let mut moment = Moment { now: self.now, token: &mut token };
        step(self.machine, &mut self.run, input, &mut moment)
    }

    /// The run as a store gives it back. One that cannot be stored is left as it is, and the first
    /// comparison shows it.
    fn stored(&self) -> Run {
        let stored = serde_json::to_vec(&self.run).and_then(|json| serde_json::from_slice(&json));
        stored.unwrap_or_else(|_| self.run.clone())
    }

    fn act(&mut self, effect: Effect, world: &mut dyn World) {
        match effect {
            Effect::Continue => self.agenda.add(self.now, Input::Continued),
            Effect::Schedule(request) => {
                let reports = world.task(&request);
                let ends = reports
                    .iter()
                    .any(|report| !matches!(report, Report::Started { .. } | Report::Submitted(_)));
                let task = request.task.clone();
                for report in reports {
                    let task = task.clone();
                    self.agenda.add(self.now, Input::Reported { task, report });
                }
                if ends {
                    return;
                }
                let limits = [
                    (request.heartbeat_seconds, Report::HeartbeatMissed),
                    (request.timeout_seconds, Report::TimedOut),
                ];
                for (seconds, report) in limits {
                    if let Some(at) = seconds.map(|seconds| later(self.now, seconds as f64)) {
                        let task = task.clone();
                        self.agenda.add(at, Input::Reported { task, report });
                    }
                }
            }
            Effect::Timer { at, frame, epoch } => {
                self.agenda.add(at, Input::TimerFired { frame, epoch });
            }
            Effect::Deadline { at } => self.agenda.add(at, Input::TimedOut),
            Effect::Read { frame, resource, arguments } => {
                let body = world.read(&resource, &arguments);
                self.agenda.add(self.now, Input::Read { frame, body });
            }
            Effect::Write { frame, arguments, .. } => {
                let details = Ok(json!({
                    "Bucket": arguments.get("Bucket"),
                    "Key": arguments.get("Prefix"),
                }));
                self.agenda.add(self.now, Input::Written { frame, details });
            }
            // A pretended task needs no cancelling, and an end no telling.
            Effect::Cancel { .. } | Effect::Finished => {}
        }
    }
}

/// What is going to happen, by its time; at one moment in the order it was noted.
#[derive(Default)]
struct Agenda {
    due: BTreeMap<(Timestamp, u64), Input>,
    count: u64,
}

impl Agenda {
    fn add(&mut self, at: Timestamp, input: Input) {
        self.count += 1;
        self.due.insert((at, self.count), input);
    }

    fn next(&mut self) -> Option<(Timestamp, Input)> {
        let ((at, _), input) = self.due.pop_first()?;
        Some((at, input))
    }
}

#[cfg(test)]
mod tests;
