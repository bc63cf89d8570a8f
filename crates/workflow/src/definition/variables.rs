//! Which variables a definition reads before anything can have assigned them.
//!
//! A variable counts as assigned at a state if some way from the start to it assigns it, so what is
//! told fails whenever the state is entered.

use std::collections::{BTreeMap, BTreeSet};

use super::check::targets;
use super::{Choice, Condition, Container, Finding, Kind, Selected, Severity, State, Wait, place};
use crate::template::Template;

/// The most work: ways between states, times variables, times variables again.
const WORK: usize = 20_000_000;

type Names<'a> = BTreeSet<&'a str>;

/// Tells every variable that is read and cannot be assigned. `outer` are those of the states
/// around.
pub fn check<'a>(states: &'a Container, outer: &Names<'a>, at: &str, findings: &mut Vec<Finding>) {
    let ways: usize = states.states.values().map(|state| targets(state).len()).sum();
    let named: Names<'_> = states.states.values().flat_map(assigned).collect();
    let count = named.len() + outer.len();
    if ways.saturating_mul(count).saturating_mul(count) > WORK {
        return;
    }
    let mut before = BTreeMap::from([(states.start_at.as_str(), outer.clone())]);
    let mut open = vec![states.start_at.as_str()];
    while let Some(name) = open.pop() {
        let (Some(state), Some(known)) = (states.states.get(name), before.get(name)) else {
            continue;
        };
        let after: Names<'_> = known.iter().copied().chain(assigned(state)).collect();
        for (to, ..) in targets(state) {
            let fresh = !before.contains_key(to);
            let known = before.entry(to).or_default();
            let count = known.len();
            known.extend(&after);
            if fresh || known.len() > count {
                open.push(to);
            }
        }
    }
    for (name, known) in &before {
        let Some(state) = states.states.get(*name) else { continue };
        let place = place(&format!("{at}/States"), name);
        for variable in read(state).difference(known) {
            let message = format!("Nothing assigns the variable '{variable}' before this state.");
            let code = "UNASSIGNED_VARIABLE";
            findings.push(Finding::new(Severity::Warning, code, message, &place));
        }
        let none = Names::new();
        let seen = match &state.kind {
            Kind::Map(map) if map.distributed => &none,
            _ => known,
        };
        for (below, field) in state.kind.containers().iter().zip(state.kind.fields()) {
            check(below, seen, &format!("{place}/{field}"), findings);
        }
    }
}

/// The variables that a state may assign.
fn assigned(state: &State) -> Names<'_> {
    let choices = match &state.kind {
        Kind::Choice { choices, .. } => choices.as_slice(),
        _ => &[],
    };
    let choices = choices.iter().filter_map(|choice| choice.assign.as_ref());
    let caught = state.catch.iter().filter_map(|catcher| catcher.assign.as_ref());
    state.assign.iter().chain(choices).chain(caught).flat_map(Template::names).collect()
}

/// The variables that a state reads itself.
fn read(state: &State) -> Names<'_> {
    let mut names = Names::new();
    for path in [&state.input_path, &state.output_path] {
        if let Selected::Path(path) = path {
            path.variables(&mut names);
        }
    }
    let mut templates = vec![&state.arguments, &state.result_selector, &state.output];
    templates.push(&state.assign);
    templates.extend(state.catch.iter().flat_map(|catcher| [&catcher.assign, &catcher.output]));
    match &state.kind {
        Kind::Choice { choices, .. } => {
            for Choice { condition, assign, output, .. } in choices {
                match condition {
                    Condition::Rule(rule) => rule.variables(&mut names),
                    Condition::Expression(expression) => names.extend(expression.variables()),
                    Condition::Fixed(_) => {}
                }
                templates.extend([assign, output]);
            }
        }
        Kind::Fail { error, cause } => templates.extend([error, cause]),
        Kind::Wait(Wait::Seconds(template) | Wait::Timestamp(template)) => {
            template.variables(&mut names);
        }
        Kind::Task(task) => templates.extend([&task.timeout, &task.heartbeat, &task.credentials]),
        Kind::Map(map) => {
            if let Some(path) = &map.items_path {
                path.variables(&mut names);
            }
            templates.extend([&map.items, &map.item_selector, &map.max_concurrency]);
            templates.extend([&map.tolerated_count, &map.tolerated_percentage]);
            templates.extend(map.reader.iter().flat_map(|one| [&one.arguments, &one.max_items]));
            templates.extend(map.writer.iter().map(|writer| &writer.arguments));
            let batcher = map.batcher.iter();
            templates.extend(batcher.flat_map(|b| [&b.max_items, &b.max_bytes, &b.batch_input]));
        }
        _ => {}
    }
    templates.into_iter().flatten().for_each(|template| template.variables(&mut names));
    names
}
