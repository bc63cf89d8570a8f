//! The nouns of the interpreter: a run, its frames, what happens to it and what it has done.

use std::collections::{BTreeMap, VecDeque};

use release::{Draw, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::definition::Resource;
use crate::fault::Fault;

use super::distribute::MapRun;
use super::map::Items;

/// Which execution of which machine a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The execution's ARN.
    pub execution_arn: String,
    /// Its name.
    pub name: String,
    /// Its input.
    pub input: Value,
    /// In whose name it acts.
    pub role_arn: String,
    /// The machine's ARN.
    pub machine_arn: String,
    /// The machine's name.
    pub machine_name: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// How often it was redriven.
    #[serde(default)]
    pub redrives: u32,
}

/// Everything an execution is at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Which execution it is.
    pub about: About,
    /// How it stands.
    pub status: Status,
    /// What came of it, once it is over.
    pub outcome: Option<Outcome>,
    /// How many events its history has.
    pub events: u64,
    /// The states around it, each with its branch, if it is for an item of a distributed Map.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scope: Vec<(String, usize)>,
    pub(super) frames: BTreeMap<FrameId, Frame>,
    pub(super) next_frame: u64,
    /// Frames that a long burst left.
    pub(super) ready: VecDeque<FrameId>,
    pub(super) draw: Draw,
}

/// How an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Under way.
    Running,
    /// Over, with an output.
    Succeeded,
    /// Over, with an error.
    Failed,
    /// Over, since it took too long.
    TimedOut,
    /// Over, since somebody stopped it.
    Aborted,
}

impl Status {
    /// The status as the service's API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }
}

/// What came of an execution: an output, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its output.
    pub output: Option<Value>,
    /// Its failure.
    pub fault: Option<Fault>,
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begun {
    /// It is to be done.
    #[default]
    Scheduled,
    /// Somebody does it.
    Started,
    /// Somebody else was asked to do it, and is waited for.
    Submitted,
}

/// A frame's number within its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FrameId(u64);

impl FrameId {
    /// The frame of the machine's own states.
    pub const ROOT: Self = Self(0);
}

/// One thread of states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// The frame around it.
    pub parent: Option<FrameId>,
    /// Which branch or iteration of its parent's state it is.
    pub index: usize,
    /// Where its states are: the states around it, each with its branch.
    pub scope: Vec<(String, usize)>,
    /// The state it is in.
    pub state: String,
    /// That state's input.
    pub input: Value,
    /// The variables of its scope.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
    /// The event that its next one follows from.
    pub previous: u64,
    /// The event of entering its state, and the one that followed from.
    pub entered: (u64, u64),
    /// When it entered its state.
    pub entered_at: Timestamp,
    /// What it is doing.
    pub phase: Phase,
    /// How often each retrier of its state was used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retried: Vec<u32>,
    /// How often its state was tried again.
    #[serde(default)]
    pub attempts: u32,
    /// How many states it has entered.
    #[serde(default)]
    pub entries: u64,
    /// Grows with every wait, so that a timer of an earlier one is known.
    #[serde(default)]
    pub epoch: u64,
    /// The item it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<(usize, Value)>,
}

/// What a frame is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    /// It is about to enter its state.
    Ready,
    /// It is about to do its state's work (again).
    Again,
    /// It waits.
    Waiting,
    /// It waits to try again.
    Retrying,
    /// A task is under way.
    Working {
        /// The task.
        task: String,
        /// How far it has come.
        #[serde(default)]
        begun: Begun,
    },
    /// Branches are under way.
    Branches {
        /// What came of each.
        results: Vec<Option<Value>>,
    },
    /// Iterations are under way.
    Items(Box<Items>),
    /// Executions of its items are under way.
    MapRun(Box<MapRun>),
    /// It was cut off.
    Halted,
}

/// What happened to a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// It was started.
    Started,
    /// It may go on after a burst.
    Continued,
    /// A task has something to tell.
    Reported {
        /// The task.
        task: String,
        /// What.
        report: Report,
    },
    /// A timer fired.
    TimerFired {
        /// Whose.
        frame: FrameId,
        /// Which of its waits.
        epoch: u64,
    },
    /// A Map run is over.
    MapRunEnded {
        /// Which.
        id: String,
        /// What its state makes of it.
        result: Result<Value, Fault>,
    },
    /// Somebody stopped it.
    Stopped(Fault),
    /// It took too long.
    TimedOut,
    /// What failed is to be tried again.
    Redriven,
}

/// What a task has to tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// A worker has begun.
    Started {
        /// Its name, where it has one.
        worker: Option<String>,
    },
    /// The service has taken it on; its answer.
    Submitted(Value),
    /// It is done; its result.
    Succeeded(Value),
    /// It failed.
    Failed(Fault),
    /// It took too long.
    TimedOut,
    /// It was silent for too long.
    HeartbeatMissed,
    /// Nobody can do it; why.
    Missing(String),
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Commit, then call again with [`Input::Continued`].
    Continue,
    /// Have a task done.
    Schedule(Box<TaskRequest>),
    /// A task's result is no longer wanted.
    Cancel {
        /// The task.
        task: String,
    },
    /// Call again with [`Input::TimerFired`] at that moment.
    Timer {
        /// When.
        at: Timestamp,
        /// Whose.
        frame: FrameId,
        /// Which of its waits.
        epoch: u64,
    },
    /// Call again with [`Input::TimedOut`] at that moment.
    Deadline {
        /// When.
        at: Timestamp,
    },
    /// Begin a Map run, or take up again what failed in it; then call again with
    /// [`Input::MapRunEnded`].
    Distribute {
        /// Which.
        id: String,
        /// Whether it was begun before.
        redriven: bool,
    },
    /// A Map run's results are no longer wanted.
    Withdraw {
        /// Which.
        id: String,
    },
    /// It is over.
    Finished,
}

/// A task that has to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRequest {
    /// Names it: the same for every delivery of one attempt, another for the next attempt.
    pub task: String,
    /// The state it is for.
    pub state: String,
    /// What does it, as the definition says.
    pub resource: Resource,
    /// What it is called with.
    pub arguments: Value,
    /// How long it may take, in seconds.
    pub timeout_seconds: Option<u64>,
    /// How long it may be silent, in seconds.
    pub heartbeat_seconds: Option<u64>,
    /// Whoever has this may report on it.
    pub token: Option<String>,
    /// In whose name it is done.
    pub credentials: Option<Value>,
}

impl Run {
    /// A run that has not begun. `seed` decides all that it draws at random.
    pub fn new(about: About, seed: u64) -> Self {
        Self {
            about,
            status: Status::Running,
            outcome: None,
            events: 0,
            scope: Vec::new(),
            frames: BTreeMap::new(),
            next_frame: 0,
            ready: VecDeque::new(),
            draw: Draw::seeded(seed),
        }
    }

    /// The states that are under way, by name, the innermost last.
    pub fn active_states(&self) -> Vec<&str> {
        self.frames.values().map(|frame| frame.state.as_str()).collect()
    }

    /// The frame that waits for a task's report.
    pub(super) fn waiting_for(&self, task: &str) -> Option<FrameId> {
        let waits =
            |phase: &Phase| matches!(phase, Phase::Working { task: own, .. } if own == task);
        self.frames.iter().find(|(_, frame)| waits(&frame.phase)).map(|(id, _)| *id)
    }

    /// Whether a task's report is waited for.
    pub fn waits_for(&self, task: &str) -> bool {
        self.waiting_for(task).is_some()
    }

    /// The Map runs whose end is waited for.
    pub fn map_runs(&self) -> impl Iterator<Item = &MapRun> {
        let running = self.status == Status::Running;
        self.frames.values().filter(move |_| running).filter_map(|frame| match &frame.phase {
            Phase::MapRun(map_run) => Some(map_run.as_ref()),
            _ => None,
        })
    }

    /// The frame that waits for a Map run.
    pub(super) fn frame_of(&self, map_run: &str) -> Option<FrameId> {
        let waits = |phase: &Phase| matches!(phase, Phase::MapRun(own) if own.id == map_run);
        self.frames.iter().find(|(_, frame)| waits(&frame.phase)).map(|(id, _)| *id)
    }

    /// Whether a timer would still wake a frame.
    pub fn sleeps(&self, frame: FrameId, epoch: u64) -> bool {
        self.frames.get(&frame).is_some_and(|frame| {
            frame.epoch == epoch && matches!(frame.phase, Phase::Waiting | Phase::Retrying)
        })
    }

    /// Adds a frame that is about to enter `state` with `input`.
    pub(super) fn add(
        &mut self,
        parent: Option<FrameId>,
        index: usize,
        scope: Vec<(String, usize)>,
        (state, input): (String, Value),
    ) -> FrameId {
        let id = FrameId(self.next_frame);
        self.next_frame += 1;
        let around = parent.and_then(|parent| self.frames.get(&parent));
        let frame = Frame {
            parent,
            index,
            scope,
            state,
            input,
            variables: Map::new(),
            previous: around.map_or(0, |around| around.previous),
            entered: (0, 0),
            entered_at: self.about.started_at,
            phase: Phase::Ready,
            retried: Vec::new(),
            attempts: 0,
            entries: 0,
            epoch: 0,
            item: None,
        };
        self.frames.insert(id, frame);
        id
    }

    /// The frames below `id`, at any depth.
    pub(super) fn below(&self, id: FrameId) -> Vec<FrameId> {
        let mut all = vec![id];
        let mut at = 0;
        while let Some(parent) = all.get(at).copied() {
            let children = self.frames.iter().filter(|(_, frame)| frame.parent == Some(parent));
            all.extend(children.map(|(id, _)| *id));
            at += 1;
        }
        all.remove(0);
        all
    }
}
