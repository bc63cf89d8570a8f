//! What a definition must hold together: every target is there, every state can be reached.

use std::collections::BTreeSet;

use super::parse::SCHEMA;
use super::{Condition, Container, Finding, Kind, Machine, Severity, State, place, variables};
use crate::fault::name::{self, ALL};

const TARGET: &str = "MISSING_TRANSITION_TARGET";

/// Checks a machine whose parts could be read.
pub fn machine(machine: &Machine, findings: &mut Vec<Finding>) {
    container(&machine.states, "", findings);
    variables::check(&machine.states, &BTreeSet::new(), "", findings);
    let mut names = BTreeSet::new();
    named_once(&machine.states, "", &mut names, findings);
}

/// A name is unique in the whole machine, not only among the states it stands with.
fn named_once<'a>(
    states: &'a Container,
    at: &str,
    names: &mut BTreeSet<&'a str>,
    findings: &mut Vec<Finding>,
) {
    for (name, state) in &states.states {
        let place = place(&format!("{at}/States"), name);
        if !names.insert(name) {
            let message = format!("Another state is named \"{name}\" as well.");
            let code = "DUPLICATE_STATE_NAME";
            findings.push(Finding::new(Severity::Warning, code, message, &place));
        }
        for (below, field) in state.kind.containers().iter().zip(state.kind.fields()) {
            named_once(below, &format!("{place}/{field}"), names, findings);
        }
    }
}

fn container(states: &Container, at: &str, findings: &mut Vec<Finding>) {
    let Container { start_at, states: all } = states;
    let target = |name: &str, field: &str, place: String, findings: &mut Vec<Finding>| {
        if !all.contains_key(name) {
            let message = format!("Missing '{field}' target: {name}");
            findings.push(Finding::new(Severity::Error, TARGET, message, &place));
        }
    };
    target(start_at, "StartAt", format!("{at}/StartAt"), findings);
    for (name, state) in all {
        let place = place(&format!("{at}/States"), name);
        for (to, field, below) in targets(state) {
            target(to, field, format!("{place}/{below}"), findings);
        }
        within(state, &place, findings);
    }
    let reached = reached(states);
    for name in all.keys().filter(|name| !reached.contains(name.as_str())) {
        let message = format!("State \"{name}\" is not reachable.");
        let place = place(&format!("{at}/States"), name);
        let severity = if all.contains_key(start_at) { Severity::Error } else { Severity::Warning };
        findings.push(Finding::new(severity, TARGET, message, &place));
    }
    let ends = |state: &State| match &state.kind {
        Kind::Succeed | Kind::Fail { .. } => true,
        Kind::Choice { .. } => false,
        _ => state.next.is_none(),
    };
    if !all.values().any(ends) && !all.is_empty() {
        let message = "No terminal state: nothing ends this workflow.".to_owned();
        let place = format!("{at}/States");
        findings.push(Finding::new(Severity::Warning, "NO_TERMINAL_STATE", message, &place));
    }
}

/// Tells what executions of type Express do not have: whatever outlasts them.
pub fn express(states: &Container, at: &str, findings: &mut Vec<Finding>) {
    for (name, state) in &states.states {
        let place = place(&format!("{at}/States"), name);
        let unfit = match &state.kind {
            Kind::Task(task) => task.resource.outlasting().map(|what| (what, "Resource")),
            Kind::Map(map) if map.distributed => {
                Some(("distributed Maps".to_owned(), map.processor_field))
            }
            _ => None,
        };
        if let Some((what, field)) = unfit {
            let message = format!("Express state machines do not support {what}.");
            let place = format!("{place}/{field}");
            findings.push(Finding::new(Severity::Error, SCHEMA, message, &place));
        }
        for (below, field) in state.kind.containers().iter().zip(state.kind.fields()) {
            express(below, &format!("{place}/{field}"), findings);
        }
    }
}

/// Where a state leads: the target, its field, and where that is below the state.
pub fn targets(state: &State) -> Vec<(&str, &'static str, String)> {
    let mut targets: Vec<(&str, &'static str, String)> = Vec::new();
    if let Some(next) = &state.next {
        targets.push((next, "Next", "Next".to_owned()));
    }
    if let Kind::Choice { choices, default } = &state.kind {
        let all = choices.iter().enumerate();
        targets.extend(all.map(|(n, c)| (c.next.as_str(), "Next", format!("Choices[{n}]/Next"))));
        targets.extend(default.iter().map(|to| (to.as_str(), "Default", "Default".to_owned())));
    }
    let caught = state.catch.iter().enumerate();
    targets.extend(caught.map(|(n, c)| (c.next.as_str(), "Next", format!("Catch[{n}]/Next"))));
    targets
}

fn within(state: &State, place: &str, findings: &mut Vec<Finding>) {
    match &state.kind {
        Kind::Task(task) => {
            let mut warn = |code: &str, message: &str| {
                findings.push(Finding::new(Severity::Warning, code, message.to_owned(), place));
            };
            if task.timeout.is_none() {
                let message = "Without 'TimeoutSeconds', a task that never reports is waited for \
                               as long as the execution may run.";
                warn("NO_TIMEOUT", message);
            }
            if state.retry.is_empty() && state.catch.is_empty() {
                let message = "Without 'Retry' and 'Catch', the first failure of this task fails \
                               the execution.";
                warn("NO_FALLBACK", message);
            }
        }
        Kind::Choice { choices, default: None } => {
            let always = choices.iter().any(|choice| choice.condition == Condition::Fixed(true));
            if !always {
                let message = "Without 'Default', an input that fits no choice fails the \
                               execution with States.NoChoiceMatched."
                    .to_owned();
                findings.push(Finding::new(Severity::Warning, "NO_DEFAULT", message, place));
            }
        }
        _ => {}
    }
    let retried = state.retry.iter().map(|retrier| &retrier.errors).collect::<Vec<_>>();
    let caught = state.catch.iter().map(|catcher| &catcher.errors).collect::<Vec<_>>();
    for (all, one, field) in [(caught, "catcher", "Catch"), (retried, "retrier", "Retry")] {
        let before_last = all.iter().rev().skip(1);
        if before_last.flat_map(|errors| errors.iter()).any(|name| name == ALL) {
            let message = format!("States.ALL must be in the last {one}.");
            let place = format!("{place}/{field}");
            findings.push(Finding::new(Severity::Error, SCHEMA, message, &place));
        }
        shadowed(&all, &format!("{place}/{field}"), findings);
    }
    for (below, field) in state.kind.containers().iter().zip(state.kind.fields()) {
        container(below, &format!("{place}/{field}"), findings);
    }
}

/// Tells every error that one before it takes already.
fn shadowed(all: &[&Vec<String>], place: &str, findings: &mut Vec<Finding>) {
    let mut taken = BTreeSet::new();
    for (index, errors) in all.iter().enumerate() {
        for error in *errors {
            let by_class = match error.as_str() {
                name::HEARTBEAT_TIMEOUT => taken.contains(name::TIMEOUT),
                other => !other.starts_with("States.") && taken.contains(name::TASK_FAILED),
            };
            if by_class || taken.contains(error.as_str()) {
                let message = format!("'{error}' is taken by an entry before this one.");
                let place = format!("{place}[{index}]/ErrorEquals");
                findings.push(Finding::new(Severity::Warning, "SHADOWED_ERROR", message, &place));
            }
        }
        taken.extend(errors.iter().map(String::as_str));
    }
}

fn reached(states: &Container) -> BTreeSet<&str> {
    let mut open = vec![states.start_at.as_str()];
    let mut reached = BTreeSet::new();
    while let Some(name) = open.pop() {
        if let Some(state) = states.states.get(name).filter(|_| reached.insert(name)) {
            open.extend(targets(state).into_iter().map(|(to, ..)| to));
        }
    }
    reached
}
