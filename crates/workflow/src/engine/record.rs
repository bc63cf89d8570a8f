//! What is stored of workflows and their executions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use release::{Digest, PrincipalId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::map_runs::{BY_MAP_RUN, Place};
use super::nested::Parent;
use super::perform::Doer;
use super::{NodeId, approval, nested, retention};
use crate::definition::Resource;
use crate::interpreter::{About, Effect, FrameId, Input, Report, Run, Status, later};
use crate::rule::Causation;

/// The account in the names that this installation gives: it has none.
pub const ACCOUNT: &str = "000000000000";

/// Which execution: `WORKFLOW/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExecutionKey {
    /// The workflow.
    pub machine: String,
    /// The execution's own name.
    pub name: String,
}

impl fmt::Display for ExecutionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.machine, self.name)
    }
}

impl FromStr for ExecutionKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (machine, name) =
            text.split_once('/').ok_or_else(|| format!("`{text}` is not WORKFLOW/NAME"))?;
        Ok(Self { machine: machine.to_owned(), name: name.to_owned() })
    }
}

impl TryFrom<String> for ExecutionKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ExecutionKey> for String {
    fn from(key: ExecutionKey) -> Self {
        key.to_string()
    }
}

/// An execution: its run, and what is due.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutionRecord {
    /// Which.
    pub key: ExecutionKey,
    /// Who started it, and in whose name its tasks act.
    pub actor: PrincipalId,
    /// Whoever made the schedule or rule that started it.
    #[serde(default)]
    pub author: Option<PrincipalId>,
    /// The rules that led to it.
    #[serde(default)]
    pub caused_by: Causation,
    /// The Map run it is of, and where in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Whether somebody asked for exactly its one task, and waits for it as for their own deed.
    #[serde(default)]
    pub by_hand: bool,
    /// The task of another execution that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// The definition it keeps to its end.
    pub definition: Digest,
    /// The version that it was started as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The alias that led to that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The server that moved it last: it sees to what is due.
    pub node: NodeId,
    /// What it is at this moment.
    pub run: Run,
    /// When it ended.
    pub stopped_at: Option<Timestamp>,
    /// The tasks under way.
    pub tasks: BTreeMap<String, OpenTask>,
    timers: Vec<Timer>,
    deadline: Option<Timestamp>,
    /// Whether a long burst is to go on.
    unfinished: bool,
}

/// A task under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenTask {
    /// Its key: the same however often it is begun.
    pub task: String,
    /// The state it is for.
    pub state: String,
    /// What does it.
    pub resource: Resource,
    /// What it is called with.
    pub arguments: Value,
    /// When it was scheduled.
    #[serde(default)]
    pub scheduled_at: Timestamp,
    /// When it has taken too long.
    pub times_out_at: Option<Timestamp>,
    /// How often whoever does it must give a sign of life, in seconds.
    pub heartbeat_seconds: Option<u64>,
    /// When the next one is due at the latest.
    pub heartbeat_due: Option<Timestamp>,
    /// The digest of the token that reports for it; the token itself is not kept.
    pub token: Option<Digest>,
    /// The server that does it, or has it done.
    pub node: NodeId,
    /// What the service answered that has taken it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted: Option<Value>,
    /// How far it is, in the words of whoever does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
}

impl OpenTask {
    /// What comes due for it.
    pub fn due(&self) -> impl Iterator<Item = (Timestamp, Input)> {
        let late = |at: Option<Timestamp>, report: Report| {
            let task = self.task.clone();
            at.map(|at| (at, Input::Reported { task, report })).into_iter()
        };
        late(self.times_out_at, Report::TimedOut)
            .chain(late(self.heartbeat_due, Report::HeartbeatMissed))
    }

    /// The activity whose workers do it, if it is one and none has taken it yet.
    pub fn waits_for_worker(&self) -> Option<&str> {
        match Doer::of(&self.resource) {
            Doer::Worker(activity) if self.token.is_none() => Some(activity),
            _ => None,
        }
    }

    /// Whoever does it takes it, or gave a sign of life. Whether the next one is due sooner than was
    /// known, since the clock was set back.
    pub fn beat(&mut self, now: Timestamp) -> bool {
        let known = self.heartbeat_due;
        let seconds = self.heartbeat_seconds;
        self.heartbeat_due = seconds.map(|seconds| later(now, seconds as f64));
        self.heartbeat_due < known
    }
}

/// What decides all that is drawn for what has this name.
pub fn seed(name: &str) -> u64 {
    let digest = Digest::of(name.as_bytes()).to_string();
    digest.bytes().fold(0, |seed, byte| seed.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte))
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Timer {
    at: Timestamp,
    frame: FrameId,
    epoch: u64,
}

impl ExecutionRecord {
    /// An execution that has not begun. What it draws at random follows from its name and start.
    pub fn new(
        key: ExecutionKey,
        actor: PrincipalId,
        (definition, node): (Digest, NodeId),
        about: About,
    ) -> Self {
        let seed = seed(&format!("{}@{}", about.execution_arn, about.started_at));
        Self {
            key,
            actor,
            author: None,
            caused_by: Causation::default(),
            place: None,
            by_hand: false,
            parent: None,
            definition,
            version: None,
            alias: None,
            node,
            run: Run::new(about, seed),
            stopped_at: None,
            tasks: BTreeMap::new(),
            timers: Vec::new(),
            deadline: None,
            unfinished: false,
        }
    }

    /// Notes what a step wants to have done, so that it is done even if this process is gone.
    pub fn note(&mut self, effects: &[Effect], now: Timestamp) {
        self.unfinished = false;
        for effect in effects {
            match effect {
                Effect::Schedule(request) => {
                    let at = request.timeout_seconds.map(|seconds| later(now, seconds as f64));
                    // A worker of an activity gets its token, and its time, when it takes the task.
                    let called = request.resource.activity().is_none();
                    let token = request.token.as_ref().filter(|_| called);
                    let mut open = OpenTask {
                        task: request.task.clone(),
                        state: request.state.clone(),
                        resource: request.resource.clone(),
                        arguments: request.arguments.clone(),
                        scheduled_at: now,
                        times_out_at: at,
                        heartbeat_seconds: request.heartbeat_seconds,
                        heartbeat_due: None,
                        token: token.map(|token| Digest::of(token.as_bytes())),
                        node: self.node.clone(),
                        submitted: None,
                        progress: None,
                    };
                    // Whoever has a token owes signs of life from now on, a task that is done here
                    // from its first one.
                    if open.token.is_some() {
                        open.beat(now);
                    }
                    self.tasks.insert(request.task.clone(), open);
                }
                Effect::Timer { at, frame, epoch } => {
                    self.timers.push(Timer { at: *at, frame: *frame, epoch: *epoch });
                }
                Effect::Deadline { at } => self.deadline = Some(*at),
                Effect::Continue => self.unfinished = true,
                Effect::Finished => self.stopped_at = Some(now),
                Effect::Cancel { .. } | Effect::Distribute { .. } | Effect::Withdraw { .. } => {}
            }
        }
        let Self { run, tasks, timers, .. } = self;
        tasks.retain(|task, _| run.waits_for(task));
        timers.retain(|timer| run.sleeps(timer.frame, timer.epoch));
        if self.run.status == Status::Running && self.stopped_at.take().is_some() {
            // Tried again, it is on its own: the task that waited for it is over.
            self.parent.iter_mut().for_each(|parent| parent.waits = false);
        }
        if self.run.status != Status::Running {
            self.deadline = None;
        }
    }

    /// Who wanted it.
    pub fn requester(&self) -> &PrincipalId {
        self.author.as_ref().unwrap_or(&self.actor)
    }

    /// Whether somebody had a part in wanting it, and so may not approve it: whoever delivers what a
    /// schedule or rule could not start has one beside its author.
    pub fn is_wanted_by(&self, principal: &PrincipalId) -> bool {
        self.actor == *principal || self.author.as_ref() == Some(principal)
    }

    /// What stood under a server's name stands under another's from now on.
    pub fn hand_over(&mut self, from: &NodeId, to: &NodeId) {
        let tasks = self.tasks.values_mut().map(|open| &mut open.node);
        for node in tasks.chain([&mut self.node]).filter(|node| *node == from) {
            *node = to.clone();
        }
    }

    /// What it is found by: the servers that hold it or a task of it while it is under way or its
    /// end is not told, and then the day it ended; the activities whose workers it waits for, whether it waits for a person,
    /// and the task that waits for it.
    pub fn indexes(&self) -> Vec<(&'static str, String)> {
        let parent = self.parent.as_ref().filter(|parent| parent.waits);
        let held = self.run.status == Status::Running || parent.is_some();
        let nodes = self.tasks.values().map(|open| &open.node).chain([&self.node]);
        let nodes: BTreeSet<_> = nodes.filter(|_| held).collect();
        let nodes = nodes.into_iter().map(|node| (super::NODE, node.to_string()));
        // An execution of a Map run is deleted with the one that began that.
        let ended = self.stopped_at.filter(|_| !held && self.place.is_none());
        let ended = ended.map(|at| (retention::ENDED, retention::day(at).to_string()));
        let waiting = self.tasks.values().filter_map(OpenTask::waits_for_worker);
        let waiting = waiting.map(|name| (super::ACTIVITY, name.to_owned()));
        let asks = self.tasks.values().any(OpenTask::waits_for_approval);
        let asks = asks.then(|| (approval::WAITING.0, approval::WAITING.1.to_owned()));
        let waited_for = parent.map(|_| (nested::WAITED_FOR, self.node.to_string()));
        let parent = parent.map(|parent| (nested::PARENT, parent.task.clone()));
        let place = self.place.as_ref().map(|place| (BY_MAP_RUN, place.map_run.clone()));
        let waited_for = parent.into_iter().chain(waited_for);
        nodes.chain(ended).chain(waiting).chain(asks).chain(waited_for).chain(place).collect()
    }

    /// When a sign of life or the end is due, if `input` says too early that it was missed: a worker
    /// may have given one, and a redrive sets another end.
    pub fn early(&self, input: &Input, now: Timestamp) -> Option<Timestamp> {
        match input {
            Input::TimedOut => self.deadline.filter(|due| *due > now),
            Input::Reported { task, report: Report::HeartbeatMissed } => {
                self.tasks.get(task)?.heartbeat_due.filter(|due| *due > now)
            }
            _ => None,
        }
    }

    /// What comes due, and when.
    pub fn due(&self) -> Vec<(Timestamp, Input)> {
        let timers = self
            .timers
            .iter()
            .map(|timer| (timer.at, Input::TimerFired { frame: timer.frame, epoch: timer.epoch }));
        let deadline = self.deadline.map(|at| (at, Input::TimedOut));
        let more = self.unfinished.then_some((Timestamp::MIN, Input::Continued));
        let tasks = self.tasks.values().flat_map(OpenTask::due);
        timers.chain(deadline).chain(more).chain(tasks).collect()
    }
}
