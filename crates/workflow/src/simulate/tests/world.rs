//! A world drawn from a seed, around the record that the engine keeps: tasks that succeed, fail,
//! fall silent, report late, twice or out of turn; timers that fire for nothing; stops, redrives,
//! and a crash at every commit.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::SignedDuration;
use release::{Digest, Draw, PrincipalId, Timestamp};
use serde_json::json;

use super::invariants;
use crate::Machine;
use crate::definition::{Resource, Waiting};
use crate::engine::{ExecutionKey, ExecutionRecord, OpenTask};
use crate::fault::Fault;
use crate::history::Event;
use crate::interpreter::{About, Effect, Input, Moment, Report, Status, Step, step};

/// How much happens to an execution at most, its late reports included.
const MOST: usize = 5_000;

/// Lives an execution of `machine` through, in the world of `seed`; its record at the end, and its
/// history. With `crashes` every step is lost once before its commit, and what follows from it is
/// known from the record alone.
pub fn live(machine: &Machine, seed: u64, crashes: bool) -> (ExecutionRecord, Vec<Event>) {
    let key = ExecutionKey { machine: "m".to_owned(), name: "e".to_owned() };
    // Waits until the new year begin before it or after it.
    let start = "2025-12-31T23:59:45Z".parse().unwrap();
    let about = About {
        execution_arn: "arn:aws:states:local:000000000000:execution:m:e".to_owned(),
        name: "e".to_owned(),
        input: super::machine::input(),
        role_arn: "arn:aws:iam::000000000000:role/local".to_owned(),
        machine_arn: "arn:aws:states:local:000000000000:stateMachine:m".to_owned(),
        machine_name: "m".to_owned(),
        started_at: start,
        redrives: 0,
    };
    let actor = PrincipalId::system("simulation");
    let node = serde_json::from_value(json!("simulation.1")).unwrap();
    let mut world = World {
        machine,
        record: ExecutionRecord::new(key, actor, (Digest::of(b""), node), about),
        history: Vec::new(),
        now: start,
        seed,
        crashes,
        draw: Draw::seeded(seed ^ 0x5eed),
        pending: Vec::new(),
        timers: Vec::new(),
        begun: HashSet::new(),
        scheduled: BTreeSet::new(),
        redrives: 0,
    };
    if world.draw.unit() < 0.15 {
        let at = world.after(60);
        world.expect(at, Input::Stopped(Fault::new("Stopped", "by hand")));
    }
    world.happen(Input::Started);
    for _ in 0..MOST {
        match world.next() {
            Some((at, input)) => {
                world.now = world.now.max(at);
                world.happen(input);
            }
            None if world.record.run.status == Status::Running => {
                // Tasks that fell silent and have no time-out are waited for until somebody stops it.
                assert!(!world.record.tasks.is_empty(), "it waits for nothing");
                // Timers that fired for nothing are no news.
                world.now = world.history.last().map_or(world.now, |last| last.at);
                world.happen(Input::Stopped(Fault::default()));
            }
            None => return (world.record, world.history),
        }
    }
    panic!("it goes on for ever");
}

/// When something happens, its turn among what happens at the same moment, and what.
type Due = (Timestamp, u64, Input);

struct World<'a> {
    machine: &'a Machine,
    record: ExecutionRecord,
    history: Vec<Event>,
    now: Timestamp,
    seed: u64,
    crashes: bool,
    draw: Draw,
    /// What others will do, whatever becomes of the engine.
    pending: Vec<Due>,
    /// What is due in memory; it may be due no longer.
    timers: Vec<Due>,
    begun: HashSet<String>,
    scheduled: BTreeSet<String>,
    redrives: usize,
}

impl World<'_> {
    /// What happens next: the earliest, and of several at one moment any, but the same ones always.
    fn next(&mut self) -> Option<(Timestamp, Input)> {
        if self.crashes {
            self.timers = self.due();
        }
        let now = self.now;
        let first = |all: &[Due]| {
            all.iter().enumerate().map(|(at, due)| ((due.0.max(now), due.1), at)).min()
        };
        let (all, at) = match (first(&self.timers), first(&self.pending)) {
            (Some(timer), Some(other)) if timer.0 > other.0 => (&mut self.pending, other.1),
            (Some((_, at)), _) => (&mut self.timers, at),
            (None, other) => (&mut self.pending, other?.1),
        };
        let (at, _, input) = all.swap_remove(at);
        Some((at, input))
    }

    /// What the record says is due.
    fn due(&self) -> Vec<Due> {
        let turned = |(at, input)| turn(self.seed, at, input);
        self.record.due().into_iter().map(turned).collect()
    }

    /// Somebody will do something.
    fn expect(&mut self, at: Timestamp, input: Input) {
        self.pending.push(turn(self.seed, at, input));
    }

    /// As the engine commits.
    fn happen(&mut self, input: Input) {
        if let Some(at) = self.record.early(&input, self.now) {
            if !self.crashes {
                self.timers.push(turn(self.seed, at, input));
            }
            return;
        }
        if self.crashes {
            let mut lost = self.record.clone();
            self.take(&mut lost, input.clone());
        }
        let mut record = self.record.clone();
        if let Input::Reported { task, report: Report::Started { .. } } = &input
            && let Some(open) = record.tasks.get_mut(task)
        {
            open.beat(self.now);
        }
        let done = self.take(&mut record, input.clone());
        if done.events.is_empty() && done.effects.is_empty() {
            assert_eq!(record.run, self.record.run, "nothing is told of a change by {input:?}");
            return;
        }
        record.note(&done.effects, self.now);
        self.record = record;
        invariants::hold(&self.record, self.history.last(), &done.events);
        self.history.extend(done.events);
        for effect in &done.effects {
            if let Effect::Schedule(request) = effect {
                assert!(self.scheduled.insert(request.task.clone()), "two attempts have one key");
            }
        }
        if self.crashes {
            self.record = stored(&self.record);
            self.is_no_news(input);
        } else {
            let mut due = self.due();
            due.retain(|due| !self.timers.contains(due));
            self.timers.extend(due);
        }
        let open: Vec<_> = self.record.tasks.values().cloned().collect();
        for open in &open {
            self.begin(open);
        }
        let status = self.record.run.status;
        if !matches!(status, Status::Running | Status::Succeeded)
            && self.redrives < 2
            && self.draw.unit() < 0.4
        {
            self.redrives += 1;
            let at = self.after(40);
            self.expect(at, Input::Redriven);
        }
    }

    fn take(&self, record: &mut ExecutionRecord, input: Input) -> Step {
        let mut count = 0;
        let events = record.run.events;
        let mut token = |_: &str| {
            count += 1;
            format!("token-{events}-{count}")
        };
        let mut moment = Moment { now: self.now, token: &mut token };
        step(self.machine, &mut record.run, input, &mut moment)
    }

    /// What was told before a crash and is told again after it changes nothing.
    fn is_no_news(&self, input: Input) {
        if !matches!(input, Input::Started | Input::Continued | Input::Redriven) {
            let mut again = self.record.clone();
            let done = self.take(&mut again, input.clone());
            assert_eq!(done, Step::default(), "{input:?} is told twice");
        }
    }

    fn after(&mut self, most: u64) -> Timestamp {
        let seconds = (self.draw.bits() % most) as i64;
        self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap()
    }

    /// A task is begun, or begun again: what becomes of it follows from its key alone.
    fn begin(&mut self, open: &OpenTask) {
        if !self.begun.insert(open.task.clone()) {
            return;
        }
        let mut draw = Draw::seeded(hash(self.seed, &open.task));
        let now = self.now;
        let mut after = |draw: &mut Draw, most: u64, report: Report| {
            let seconds = SignedDuration::from_secs((draw.bits() % most) as i64);
            let task = open.task.clone();
            let at = now.checked_add(seconds).unwrap();
            self.expect(at, Input::Reported { task, report });
        };
        if draw.unit() < 0.6 {
            after(&mut draw, 3, Report::Started { worker: None });
        }
        if matches!(&open.resource, Resource::Service { waiting, .. } if *waiting != Waiting::Response)
        {
            after(&mut draw, 5, Report::Submitted(json!({"id": 7})));
        }
        let busy = || Report::Failed(Fault::new("Busy", "later"));
        match draw.bits() % 12 {
            0..=5 => after(&mut draw, 20, Report::Succeeded(json!({"n": 4}))),
            6 | 7 => after(&mut draw, 10, busy()),
            8 => after(&mut draw, 10, Report::Failed(Fault::new("Broken", ""))),
            9 => {
                // Twice, and not of one mind.
                after(&mut draw, 40, Report::Succeeded(json!([1])));
                after(&mut draw, 40, busy());
                after(&mut draw, 40, Report::Succeeded(json!([1])));
            }
            10 => {}
            _ => after(&mut draw, 5, Report::Missing("Nobody does it.".to_owned())),
        }
        if draw.unit() < 0.1 {
            let (task, report) = ("forged".to_owned(), Report::Succeeded(json!(0)));
            self.expect(now, Input::Reported { task, report });
        }
    }
}

/// The record as a store gives it back.
fn stored(record: &ExecutionRecord) -> ExecutionRecord {
    let back = serde_json::from_slice(&serde_json::to_vec(record).unwrap()).unwrap();
    assert_eq!(*record, back, "it is stored as it is");
    back
}

/// Whose turn it is at one moment follows from the seed and from what it is.
fn turn(seed: u64, at: Timestamp, input: Input) -> Due {
    (at, hash(seed, &format!("{input:?}")), input)
}

fn hash(seed: u64, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, text).hash(&mut hasher);
    hasher.finish()
}
