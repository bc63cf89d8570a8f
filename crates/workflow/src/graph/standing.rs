//! How each state stands, from the history.
//!
//! Most events do not name their state. Each follows from an event before it, so the entry of a
//! state that an event belongs to is that event's, or one around it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use release::Timestamp;

use super::{Flow, Items, Node, Standing, Way};
use crate::definition::{Container, Kind, Machine, Resource, Waiting};
use crate::history::Event;
use crate::interpreter::Status;

/// Writes how each state stands into `flow`; gives how the execution stands.
pub fn tell(machine: &Machine, flow: &mut Flow, (history, now): (&[Event], Timestamp)) -> Status {
    let mut told = Told {
        status: Status::Running,
        states: Vec::new(),
        names: Vec::new(),
        by_name: HashMap::new(),
        entries: Vec::new(),
        open: BTreeSet::new(),
        events: HashMap::new(),
        redriven: None,
        taken: BTreeMap::new(),
    };
    told.know(&machine.states, None);
    for event in history {
        told.take(event);
    }
    told.write(flow, None, now);
    told.status
}

/// Whom a task that was begun waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// Nobody: its work is done here.
    Nothing,
    /// A worker outside, until one has taken it, or a person.
    Worker,
    /// Whoever has the token.
    Token,
}

/// A state of the definition.
struct Known<'a> {
    around: Option<usize>,
    next: Option<&'a str>,
    waits: For,
}

/// One time that a state was entered.
struct Entry {
    state: usize,
    /// The entry of the state around it.
    around: Option<usize>,
    entered: Timestamp,
    /// The event that entering it followed from.
    before: u64,
    /// Its last event.
    last: String,
    attempts: u64,
    /// Why it failed, if it did since it was begun last.
    fault: Option<String>,
    items: Items,
    closed: Option<(Standing, Timestamp)>,
}

struct Told<'a> {
    status: Status,
    states: Vec<Known<'a>>,
    names: Vec<(&'a str, &'static str)>,
    by_name: HashMap<&'a str, Vec<usize>>,
    entries: Vec<Entry>,
    open: BTreeSet<usize>,
    /// The entries of events, and whether what follows is within that state.
    events: HashMap<u64, (usize, bool)>,
    redriven: Option<u64>,
    taken: BTreeMap<(usize, usize, bool), u64>,
}

impl<'a> Told<'a> {
    fn know(&mut self, states: &'a Container, around: Option<usize>) {
        for (name, state) in &states.states {
            let waits = match &state.kind {
                Kind::Task(task) => waits(&task.resource),
                _ => For::Nothing,
            };
            let index = self.states.len();
            self.states.push(Known { around, next: state.next.as_deref(), waits });
            self.names.push((name, state.kind.name()));
            self.by_name.entry(name).or_default().push(index);
            for below in state.kind.containers() {
                self.know(below, Some(index));
            }
        }
    }

    fn take(&mut self, event: &Event) {
        let kind = event.kind.as_str();
        let named = event.details.as_ref().and_then(|details| details["name"].as_str());
        if kind.ends_with("StateEntered") {
            self.enter(event, named.unwrap_or_default());
            return;
        }
        if let Some(end) = kind.strip_prefix("Execution") {
            return self.execution(event, end);
        }
        let before = self.events.get(&event.previous).map(|(entry, _)| *entry);
        let family = ["Map", "Parallel"].into_iter().find(|family| kind.starts_with(family));
        let found = if kind == "EvaluationFailed" {
            // It follows from what came before its state.
            let state = event.details.as_ref().and_then(|details| details["state"].as_str());
            let own = |entry: &Entry| {
                entry.before == event.previous && Some(self.names[entry.state].0) == state
            };
            self.open.iter().copied().find(|entry| own(&self.entries[*entry]))
        } else {
            self.up(before, |(name, kind)| {
                named.is_none_or(|named| named == name)
                    && family.is_none_or(|family| family == kind)
            })
        };
        let Some(at) = found else { return };
        self.events.insert(event.id, (at, false));
        let error = || {
            let error = event.details.as_ref().and_then(|details| details["error"].as_str());
            Some(error.unwrap_or_default().to_owned())
        };
        let entry = &mut self.entries[at];
        kind.clone_into(&mut entry.last);
        if kind.ends_with("StateExited") {
            let failed = entry.fault.is_some();
            let standing = if failed { Standing::Caught } else { Standing::Succeeded };
            self.close(at, standing, event.at);
        } else if kind.ends_with("StateStarted") || kind.ends_with("Scheduled") {
            entry.attempts += 1;
            entry.fault = None;
            let length = event.details.as_ref().and_then(|details| details["length"].as_u64());
            entry.items = Items { total: length.unwrap_or_default(), ..Items::default() };
            self.events.insert(event.id, (at, kind.ends_with("StateStarted")));
            self.close_below(at, event.at);
        } else if kind == "MapIterationStarted" {
            entry.items.begun += 1;
            self.events.insert(event.id, (at, true));
        } else if kind == "MapIterationSucceeded" {
            entry.items.succeeded += 1;
        } else if kind.ends_with("StateAborted") {
            entry.fault = entry.fault.take().or_else(error);
            self.close(at, Standing::Failed, event.at);
            self.failed_below(at);
        } else if kind.ends_with("Failed") || kind.ends_with("TimedOut") {
            entry.fault = error().filter(|error| !error.is_empty()).or(entry.fault.take());
            entry.fault.get_or_insert_default();
            entry.items.failed += u64::from(kind == "MapIterationFailed");
            if kind.ends_with("StateFailed") {
                self.close_below(at, event.at);
            }
        } else if kind.ends_with("Succeeded") {
            entry.fault = None;
        }
    }

    fn enter(&mut self, event: &Event, name: &str) {
        let before = self.events.get(&event.previous).copied();
        let around = match before {
            Some((entry, true)) => Some(entry),
            Some((entry, false)) => self.entries[entry].around,
            None => None,
        };
        let within = around.map(|around| self.entries[around].state);
        let Some(states) = self.by_name.get(name) else { return };
        let own = |state: &&usize| self.states[**state].around == within;
        // What is redriven does not follow from what is around it.
        let Some(&state) = states.iter().find(own).or(states.first()) else { return };
        let mut around = around;
        if self.redriven == Some(event.previous) {
            let outer = self.states[state].around;
            let of = |entry: &&usize| Some(self.entries[**entry].state) == outer;
            around = self.open.iter().rev().find(of).copied();
            let again = |entry: &&usize| self.entries[**entry].state == state;
            if let Some(again) = self.open.iter().find(again).copied() {
                self.close(again, Standing::Aborted, event.at);
            }
        }
        if let Some((left, false)) = before.filter(|_| self.redriven != Some(event.previous)) {
            let from = &mut self.entries[left];
            let works = matches!(self.names[from.state].1, "Task" | "Parallel" | "Map");
            if let Some((standing, _)) = &mut from.closed
                && works
                && self.states[from.state].next != Some(name)
            {
                // Some failures are told by nothing but where they lead.
                *standing = Standing::Caught;
            }
            let caught = matches!(from.closed, Some((Standing::Caught, _)));
            *self.taken.entry((from.state, state, caught)).or_default() += 1;
        }
        let index = self.entries.len();
        self.entries.push(Entry {
            state,
            around,
            entered: event.at,
            before: event.previous,
            last: event.kind.clone(),
            attempts: 0,
            fault: None,
            items: Items::default(),
            closed: None,
        });
        self.open.insert(index);
        self.events.insert(event.id, (index, false));
        if event.kind == "FailStateEntered" {
            self.failed_below(index);
        }
    }

    /// What happened to the execution as a whole.
    fn execution(&mut self, event: &Event, what: &str) {
        self.status = match what {
            "Succeeded" => Status::Succeeded,
            "Failed" => Status::Failed,
            "Aborted" => Status::Aborted,
            "TimedOut" => Status::TimedOut,
            _ => Status::Running,
        };
        if what == "Redriven" {
            // What is around the states that are entered again goes on.
            self.redriven = Some(event.id);
            for (index, entry) in self.entries.iter_mut().enumerate() {
                let within = matches!(self.names[entry.state].1, "Map" | "Parallel");
                let cut = matches!(entry.closed, Some((Standing::Failed | Standing::Aborted, _)));
                if within && cut {
                    (entry.closed, entry.fault) = (None, None);
                    self.open.insert(index);
                }
            }
        }
        if self.status == Status::Running {
            return;
        }
        let mut at = self.events.get(&event.previous).map(|(entry, _)| *entry);
        while let Some(entry) = at.filter(|_| self.status == Status::Failed) {
            let error = event.details.as_ref().and_then(|details| details["error"].as_str());
            self.entries[entry].fault.get_or_insert_with(|| error.unwrap_or_default().to_owned());
            at = self.entries[entry].around;
        }
        for entry in self.open.clone() {
            self.cut(entry, event.at);
        }
    }

    /// The open entry of such a state that is `from` or around it.
    fn up(&self, from: Option<usize>, wanted: impl Fn((&str, &str)) -> bool) -> Option<usize> {
        let mut at = from;
        while let Some(entry) = at {
            if self.open.contains(&entry) && wanted(self.names[self.entries[entry].state]) {
                break;
            }
            at = self.entries[entry].around;
        }
        at
    }

    fn close(&mut self, entry: usize, standing: Standing, now: Timestamp) {
        if self.open.remove(&entry) {
            self.entries[entry].closed = Some((standing, now));
        }
        self.close_below(entry, now);
    }

    /// Everything within a state that goes on no longer ends with it.
    fn close_below(&mut self, around: usize, now: Timestamp) {
        let below: Vec<_> = self.open.range(around + 1..).copied().collect();
        for entry in below {
            let mut at = self.entries[entry].around;
            while at.is_some_and(|at| at > around) {
                at = at.and_then(|at| self.entries[at].around);
            }
            if at == Some(around) {
                self.cut(entry, now);
            }
        }
    }

    /// An entry that will not go on: it failed itself, or was cut off.
    fn cut(&mut self, entry: usize, now: Timestamp) {
        let Entry { fault, state, .. } = &self.entries[entry];
        let failed = self.status != Status::Aborted && fault.is_some();
        let failed = failed || self.names[*state].1 == "Fail";
        let standing = if failed { Standing::Failed } else { Standing::Aborted };
        if self.open.remove(&entry) {
            self.entries[entry].closed = Some((standing, now));
        }
    }

    /// A state fails the one around it, which may be tried again.
    fn failed_below(&mut self, entry: usize) {
        if let Some(around) = self.entries[entry].around {
            self.entries[around].fault.get_or_insert_default();
        }
    }

    fn write(&self, flow: &mut Flow, around: Option<usize>, now: Timestamp) {
        let state = |node: &Node| {
            let states = self.by_name.get(node.name.as_str())?;
            // Branches of one state may not hold the same name twice without a warning.
            states.iter().copied().find(|state| self.states[*state].around == around)
        };
        let states: Vec<_> = flow.nodes.iter().map(state).collect();
        for (node, state) in flow.nodes.iter_mut().zip(&states) {
            let Some(state) = *state else { continue };
            let entries = self.entries.iter().filter(|entry| entry.state == state);
            let mut ended = None;
            for entry in entries {
                node.entered += 1;
                node.attempts += entry.attempts;
                let (standing, until) = entry.closed.unwrap_or((self.under_way(entry), now));
                *node.counts.entry(standing).or_default() += 1;
                node.seconds += until.duration_since(entry.entered).as_secs_f64().max(0.0);
                let error = entry.fault.clone().filter(|error| !error.is_empty());
                node.error = error.or(node.error.take());
                ended = entry.closed.map(|(standing, _)| standing).or(ended);
                let all = node.items.get_or_insert_default();
                all.total += entry.items.total;
                all.begun += entry.items.begun;
                all.succeeded += entry.items.succeeded;
                all.failed += entry.items.failed;
            }
            node.items = node.items.filter(|_| node.kind == "Map");
            let open = [Standing::Running, Standing::Retrying, Standing::Waiting];
            let open = open.into_iter().find(|open| node.counts.contains_key(open));
            node.standing = open.or(ended).unwrap_or(Standing::NotBegun);
            for below in &mut node.flows {
                self.write(below, Some(state), now);
            }
        }
        for edge in &mut flow.edges {
            let (Some(from), Some(to)) = (states[edge.from], states[edge.to]) else { continue };
            let caught = edge.way == Way::Catch;
            edge.taken = self.taken.get(&(from, to, caught)).copied().unwrap_or_default();
        }
    }

    /// How an entry that is open stands.
    fn under_way(&self, entry: &Entry) -> Standing {
        if entry.fault.is_some() {
            return Standing::Retrying;
        }
        let last = entry.last.as_str();
        match (self.names[entry.state].1, self.states[entry.state].waits) {
            ("Wait", _) => Standing::Waiting,
            (_, For::Worker) if last.ends_with("Scheduled") => Standing::Waiting,
            (_, For::Token) if last.ends_with("Submitted") => Standing::Waiting,
            _ => Standing::Running,
        }
    }
}

fn waits(resource: &Resource) -> For {
    match resource {
        Resource::Activity { arn } => {
            let own = arn.contains(":activity:groundcrew.");
            if own && !arn.ends_with(":groundcrew.approval") { For::Nothing } else { For::Worker }
        }
        Resource::Service { waiting: Waiting::Token, .. } => For::Token,
        _ => For::Nothing,
    }
}
