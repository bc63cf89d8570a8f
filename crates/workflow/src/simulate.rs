//! Running a machine to its end under a virtual clock, with tasks that only pretend.
//!
//! Tests of definitions, recorded cases and simulations all come through here: the interpreter is
//! the one that production runs, only the world around it is made up.

mod maps;
mod mocks;

use std::collections::BTreeMap;

use release::Timestamp;
use serde_json::Value;

use crate::definition::Machine;
use crate::fault::Fault;
use crate::history::Event;
use crate::interpreter::{
    About, Effect, Input, Moment, Report, Run, Status, Step, TaskRequest, later, step,
};

use maps::MapRuns;
pub use mocks::Mocks;

/// How many steps a simulation takes at most.
const STEPS: usize = 200_000;

/// What tasks, readers and writers of a simulated execution meet.
pub trait World {
    /// What a task reports, in order. If the last report is no end, the task is silent from then
    /// on and only its timers end it.
    fn task(&mut self, request: &TaskRequest) -> Vec<Report>;

    /// What a reader gets: an object's bytes, or the part of a listing after `StartAfter` as a JSON
    /// array.
    ///
    /// # Errors
    /// If there is nothing to read.
    fn read(&mut self, resource: &str, arguments: &Value) -> Result<Vec<u8>, Fault>;
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
    let run = Run::new(about, setting.seed);
    let mut simulation = Simulation {
        machine,
        runs: BTreeMap::from([(MAIN, run.clone())]),
        begun: 1,
        map_runs: MapRuns::default(),
        history: Vec::new(),
        agenda: Agenda::default(),
        now: setting.start,
        tokens: 0,
        crashes: setting.crashes,
    };
    simulation.happen(MAIN, Input::Started, world);
    for _ in 0..STEPS {
        let Some((at, who, input)) = simulation.agenda.next() else { break };
        simulation.now = simulation.now.max(at);
        simulation.happen(who, input, world);
        if simulation.runs.get(&MAIN).is_none_or(|run| run.status != Status::Running) {
            break;
        }
    }
    Simulated { run: simulation.runs.remove(&MAIN).unwrap_or(run), history: simulation.history }
}

/// A run of the simulation: the execution itself, or one of an item.
type Who = u64;
/// The execution itself.
const MAIN: Who = 0;

struct Simulation<'a> {
    machine: &'a Machine,
    runs: BTreeMap<Who, Run>,
    /// How many runs have begun.
    begun: Who,
    map_runs: MapRuns,
    history: Vec<Event>,
    agenda: Agenda,
    now: Timestamp,
    tokens: u64,
    crashes: bool,
}

impl Simulation<'_> {
    fn happen(&mut self, who: Who, input: Input, world: &mut dyn World) {
        let Some(before) = self.runs.get(&who) else { return };
        let mut again = None;
        if self.crashes {
            let (tokens, stored) = (self.tokens, stored(before));
            self.take(who, input.clone());
            self.tokens = tokens;
            self.runs.insert(who, stored);
            // A start is told once: the name of an execution is taken by then.
            again = Some(input.clone()).filter(|input| *input != Input::Started);
        }
        let mut done = self.take(who, input);
        if let Some(input) = again {
            if let Some(run) = self.runs.get_mut(&who) {
                *run = stored(run);
            }
            let nothing = self.take(who, input);
            done.events.extend(nothing.events);
            // Nothing of it may be new: what is told twice is done once.
            done.effects.splice(0..0, nothing.effects);
        }
        if who == MAIN {
            self.history.extend(done.events);
        }
        for effect in done.effects {
            self.act(who, effect, world);
        }
    }

    /// One step, and nothing more.
    fn take(&mut self, who: Who, input: Input) -> Step {
        let tokens = &mut self.tokens;
        let mut token = |_: &str| {
            *tokens += 1;
            format!("token-{tokens}")
        };
        let mut moment = Moment { now: self.now, token: &mut token };
        let Some(run) = self.runs.get_mut(&who) else { return Step::default() };
        step(self.machine, run, input, &mut moment)
    }

    fn act(&mut self, who: Who, effect: Effect, world: &mut dyn World) {
        match effect {
            Effect::Continue => self.agenda.add(self.now, who, Input::Continued),
            Effect::Schedule(request) => {
                let reports = world.task(&request);
                let ends = reports
                    .iter()
                    .any(|report| !matches!(report, Report::Started { .. } | Report::Submitted(_)));
                let task = request.task.clone();
                for report in reports {
                    let task = task.clone();
                    self.agenda.add(self.now, who, Input::Reported { task, report });
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
                        self.agenda.add(at, who, Input::Reported { task, report });
                    }
                }
            }
            Effect::Timer { at, frame, epoch } => {
                self.agenda.add(at, who, Input::TimerFired { frame, epoch });
            }
            Effect::Deadline { at } => self.agenda.add(at, who, Input::TimedOut),
            Effect::Distribute { id, .. } => self.distribute(who, &id, world),
            Effect::Withdraw { id } => self.withdraw(&id),
            Effect::Finished => self.finished(who),
            // A pretended task needs no cancelling.
            Effect::Cancel { .. } => {}
        }
    }
}

/// The run as a store gives it back. One that cannot be stored is left as it is, and the first
/// comparison shows it.
fn stored(run: &Run) -> Run {
    let stored = serde_json::to_vec(run).and_then(|json| serde_json::from_slice(&json));
    stored.unwrap_or_else(|_| run.clone())
}

/// What is going to happen, by its time; at one moment in the order it was noted.
#[derive(Default)]
struct Agenda {
    due: BTreeMap<(Timestamp, u64), (Who, Input)>,
    count: u64,
}

impl Agenda {
    fn add(&mut self, at: Timestamp, who: Who, input: Input) {
        self.count += 1;
        self.due.insert((at, self.count), (who, input));
    }

    fn next(&mut self) -> Option<(Timestamp, Who, Input)> {
        let ((at, _), (who, input)) = self.due.pop_first()?;
        Some((at, who, input))
    }
}

#[cfg(test)]
mod tests;
