//! A workflow as a graph, with the state that each step of an execution is in.
//!
//! The graph is a value made from a definition and a history alone; two renderers draw it, in
//! characters for a terminal and as SVG.
//!
//! ```text
//!  Machine ─► Graph::of ─► nodes, edges ─┬─► text  (terminal)
//!  history ─► standing ──────────────────┴─► svg   (browser)
//! ```

mod label;
mod layout;
mod standing;
mod svg;
mod text;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use release::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::definition::{Container, Kind, Machine, Resource, State};
use crate::history::Event;
use crate::interpreter::Status;

pub use svg::escape;
pub use text::Look;

/// A workflow as a graph, or an execution of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// What it is called: the workflow's name, or the execution's.
    pub title: String,
    /// How the execution stands; none for a definition alone.
    pub status: Option<Status>,
    /// The states.
    pub flow: Flow,
}

/// States that belong together: a machine's, a branch's or an iteration's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// The states in the order to read them, the first one first.
    pub nodes: Vec<Node>,
    /// Where they lead.
    pub edges: Vec<Edge>,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its type, as `Task`.
    pub kind: String,
    /// What does its work, or how long it waits.
    pub detail: Option<String>,
    /// How it stands.
    pub standing: Standing,
    /// How often it was entered.
    pub entered: u64,
    /// How often it ended in each way, and how often it is under way.
    pub counts: BTreeMap<Standing, u64>,
    /// How often its work was begun: more often than it was entered where it was tried again.
    pub attempts: u64,
    /// How long it took in all, up to now, in seconds.
    pub seconds: f64,
    /// The error that it met last.
    pub error: Option<String>,
    /// The iterations of a Map state.
    pub items: Option<Items>,
    /// The states within it: those of each branch, or of an iteration.
    pub flows: Vec<Flow>,
}

/// The iterations of a Map state, all times it was entered together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Items {
    /// How many there are.
    pub total: u64,
    /// How many were begun.
    pub begun: u64,
    /// How many succeeded.
    pub succeeded: u64,
    /// How many failed.
    pub failed: u64,
}

/// A way from one state to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The index of the state it leaves.
    pub from: usize,
    /// The index of the state it leads to.
    pub to: usize,
    /// When it is taken.
    pub way: Way,
    /// The condition of a choice or the errors that are caught.
    pub label: Option<String>,
    /// How often it was taken.
    pub taken: u64,
}

/// When an edge is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// When the state is done.
    Next,
    /// When a choice holds, or none does.
    Choice,
    /// When the state failed.
    Catch,
}

/// How a state stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It was not entered yet.
    NotBegun,
    /// Its work is under way.
    Running,
    /// It waits: for a moment, a worker, a person, or whoever has its token.
    Waiting,
    /// It failed and will be tried again.
    Retrying,
    /// It is done.
    Succeeded,
    /// It failed.
    Failed,
    /// It failed, and another state went on from there.
    Caught,
    /// It was cut off.
    Aborted,
}

impl Standing {
    /// The standing in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotBegun => "not begun",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Caught => "caught",
            Self::Aborted => "aborted",
        }
    }
}

impl Graph {
    /// The graph of a definition.
    pub fn of(title: &str, machine: &Machine) -> Self {
        Self { title: title.to_owned(), status: None, flow: flow(&machine.states) }
    }

    /// The graph of an execution, as its history tells it at `now`.
    pub fn of_execution(title: &str, machine: &Machine, history: &[Event], now: Timestamp) -> Self {
        let mut graph = Self::of(title, machine);
        graph.status = Some(standing::tell(machine, &mut graph.flow, (history, now)));
        graph
    }

    /// The graph in characters.
    pub fn text(&self, look: Look) -> String {
        text::draw(self, look)
    }

    /// The graph as an SVG document that stands for itself: no script, no font, no link.
    pub fn svg(&self) -> String {
        svg::draw(self)
    }
}

impl Node {
    /// What there is to tell of how it stands, in words; nothing if it was not entered.
    fn told(&self) -> String {
        if self.entered == 0 {
            return String::new();
        }
        let mut told = vec![self.standing.as_str().to_owned()];
        if let Some(items) = self.items {
            told.push(format!("{}/{} items", items.succeeded, items.total));
            told.extend((items.failed > 0).then(|| format!("{} failed", items.failed)));
        }
        told.extend((self.entered > 1).then(|| format!("×{}", self.entered)));
        match self.attempts.saturating_sub(self.entered) {
            0 => {}
            1 => told.push("1 retry".to_owned()),
            more => told.push(format!("{more} retries")),
        }
        let lasts = !matches!(self.kind.as_str(), "Pass" | "Choice" | "Succeed" | "Fail");
        told.extend(lasts.then(|| length(self.seconds)));
        told.join(" · ")
    }

    /// What there is to tell of its definition.
    fn described(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{} · {detail}", self.kind),
            None => self.kind.clone(),
        }
    }
}

impl Flow {
    /// How many states and ways it has, with all that is within.
    fn size(&self) -> usize {
        let within = self.nodes.iter().flat_map(|node| &node.flows).map(Self::size);
        self.nodes.len() + self.edges.len() + within.sum::<usize>()
    }

    /// What a flow within `node` is called.
    fn title(node: &Node, index: usize) -> String {
        match node.kind.as_str() {
            "Map" => "each item".to_owned(),
            _ => format!("branch {} of {}", index + 1, node.flows.len()),
        }
    }
}

/// A length of time, short.
fn length(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3_600.0 => format!("{:.1} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// A text with at most so many characters, none of which could steer a terminal.
fn cut(text: &str, most: usize) -> String {
    let clean = |c: char| if c.is_control() { '·' } else { c };
    if text.chars().count() <= most {
        return text.chars().map(clean).collect();
    }
    let kept = text.chars().map(clean).take(most.saturating_sub(1));
    kept.chain((most > 0).then_some('…')).collect()
}

fn flow(states: &Container) -> Flow {
    let order = order(states);
    let places: HashMap<&str, usize> = (0..).zip(&order).map(|(at, name)| (*name, at)).collect();
    let mut edges: Vec<Edge> = Vec::new();
    let mut known: HashMap<(usize, usize, Way), usize> = HashMap::new();
    for (from, name) in order.iter().enumerate() {
        for (to, way, label) in leads(&states.states[*name]) {
            let Some(&to) = places.get(to) else { continue };
            let at = *known.entry((from, to, way)).or_insert(edges.len());
            match (edges.get_mut(at), label) {
                (None, label) => edges.push(Edge { from, to, way, label, taken: 0 }),
                (Some(Edge { label: Some(before), .. }), Some(label)) => {
                    before.push_str(" | ");
                    before.push_str(&label);
                }
                (Some(_), _) => {}
            }
        }
    }
    let nodes = order.iter().map(|name| node(name, &states.states[*name])).collect();
    Flow { nodes, edges }
}

/// The states such that each comes before those it leads to, as far as there are no loops, and
/// the first way of each comes right after it, as far as can be.
fn order(states: &Container) -> Vec<&str> {
    let mut done = Vec::new();
    let mut seen = BTreeSet::new();
    // Each with the ways that are left to go, the last first; machines may be deeper than the stack.
    let mut path: Vec<(&str, Vec<&str>)> = Vec::new();
    let begin = |name: &str| {
        let (name, state) = states.states.get_key_value(name)?;
        let ways: Vec<&str> = leads(state).into_iter().map(|(to, ..)| to).collect();
        Some((name.as_str(), ways))
    };
    for start in std::iter::once(&states.start_at).chain(states.states.keys()) {
        if seen.insert(start.as_str()) {
            path.extend(begin(start));
        }
        while let Some((name, ways)) = path.last_mut() {
            match ways.pop() {
                Some(to) if seen.insert(to) => path.extend(begin(to)),
                Some(_) => {}
                None => {
                    done.push(*name);
                    path.pop();
                }
            }
        }
    }
    done.reverse();
    done
}

/// Where a state leads, the ways that are looked at first first.
fn leads(state: &State) -> Vec<(&str, Way, Option<String>)> {
    let mut ways = Vec::new();
    ways.extend(state.next.iter().map(|to| (to.as_str(), Way::Next, None)));
    if let Kind::Choice { choices, default } = &state.kind {
        let told = |choice| Some(label::condition(choice));
        ways.extend(choices.iter().map(|c| (c.next.as_str(), Way::Choice, told(&c.condition))));
        let otherwise = || Some("otherwise".to_owned());
        ways.extend(default.iter().map(|to| (to.as_str(), Way::Choice, otherwise())));
    }
    let caught = state.catch.iter();
    ways.extend(caught.map(|c| (c.next.as_str(), Way::Catch, Some(c.errors.join(", ")))));
    ways
}

fn node(name: &str, state: &State) -> Node {
    Node {
        name: name.to_owned(),
        kind: state.kind.name().to_owned(),
        detail: detail(&state.kind),
        standing: Standing::NotBegun,
        entered: 0,
        counts: BTreeMap::new(),
        attempts: 0,
        seconds: 0.0,
        error: None,
        items: None,
        flows: state.kind.containers().iter().map(flow).collect(),
    }
}

fn detail(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Task(task) => Some(match &task.resource {
            Resource::Activity { arn } | Resource::Function { arn } => {
                let name = arn.splitn(7, ':').nth(6).unwrap_or(arn);
                name.to_owned()
            }
            Resource::Service { service, .. } => format!("{service}:{}", task.resource.shown().0),
        }),
        Kind::Wait(wait) => label::wait(wait),
        Kind::Map(map) if map.distributed => Some("distributed".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
