//! Cases that are whole executions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Judged, definition, fits};
use crate::definition::{Machine, refusal};
use crate::fault::{Fault, name};
use crate::history::Event;
use crate::interpreter::{LIST, Report, TaskRequest};
use crate::simulate::{Setting, Simulated, World, simulate};

/// Runs a case and compares.
pub fn judge(case: &Value) -> Result<Judged, String> {
    let expected = case.get("expected").ok_or("it expects nothing")?;
    Ok(match simulated(case, false)? {
        Ok(simulated) => compare(expected, case, &simulated),
        Err(refused) => Judged::plain(Some(format!("refused: {refused}"))),
    })
}

/// Runs a case, with or without a crash at every commit; the inner error is why its definition was
/// refused.
pub fn simulated(case: &Value, crashes: bool) -> Result<Result<Simulated, String>, String> {
    let mut mocks = Mocks::of(case)?;
    let machine = match Machine::parse(&mocks.named(&definition(case))) {
        Ok((machine, _)) => machine,
        Err(findings) => return Ok(Err(refusal(&findings))),
    };
    let input = case.get("input").cloned().unwrap_or_else(|| json!({}));
    let start = "2026-01-01T00:00:00Z".parse().unwrap_or_default();
    let setting = Setting { start, crashes, ..Setting::of(input) };
    Ok(Ok(simulate(&machine, &setting, &mut mocks)))
}

fn compare(expected: &Value, case: &Value, simulated: &Simulated) -> Judged {
    let status = simulated.run.status.as_str();
    let outcome = simulated.run.outcome.as_ref();
    let output = outcome.and_then(|outcome| outcome.output.clone());
    let fault = outcome.and_then(|outcome| outcome.fault.clone()).unwrap_or_default();
    let mut differences = Vec::new();
    let mut check = |what: &str, expected: Option<&Value>, found: Value| {
        let expected = expected.unwrap_or(&Value::Null);
        let same = fits(expected, &found);
        if !same {
            differences.push(format!("{what}: expected {expected}\n    found {found}"));
        }
        same
    };
    let mut result = check("status", expected.get("status"), status.into());
    if expected.get("output").is_some() || output.is_some() {
        let output = match (expected.get("output_is_json"), output) {
            (Some(Value::Bool(false)), Some(output)) => output.to_string().into(),
            (_, output) => output.unwrap_or(Value::Null),
        };
        result &= check("output", expected.get("output"), output);
    }
    result &= check("error", expected.get("error"), json!(fault.error));
    let cause = result & check("cause", expected.get("cause"), json!(fault.cause));
    let recorded = case.get("history").and_then(Value::as_array);
    let history = recorded.map(|recorded| {
        let multiset = case.get("parallel_order_normalised") == Some(&Value::Bool(true));
        let difference = history_difference(recorded, &simulated.history, multiset);
        let same = difference.is_none();
        differences.extend(difference);
        same
    });
    let difference = Some(differences.join("\n  ")).filter(|all| !all.is_empty());
    Judged { result, cause, history, difference }
}

fn history_difference(recorded: &[Value], found: &[Event], multiset: bool) -> Option<String> {
    let told = |event: &Value| {
        let number = |name: &str| event.get(name).and_then(Value::as_u64).unwrap_or(0);
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        (number("id"), number("previousEventId"), kind)
    };
    let mut recorded: Vec<_> = recorded.iter().map(told).collect();
    let mut found: Vec<_> =
        found.iter().map(|event| (event.id, event.previous, event.kind.clone())).collect();
    if multiset {
        let kinds = |all: &mut Vec<(u64, u64, String)>| {
            for event in all.iter_mut() {
                (event.0, event.1) = (0, 0);
            }
            all.sort();
        };
        kinds(&mut recorded);
        kinds(&mut found);
        // Where events were sorted, this one was left out.
        for all in [&mut recorded, &mut found] {
            all.retain(|(_, _, kind)| kind != "ParallelStateSucceeded");
        }
    }
    let length = recorded.len().max(found.len());
    let at = (0..length).find(|at| recorded.get(*at) != found.get(*at))?;
    let show = |event: Option<&(u64, u64, String)>| match event {
        Some((id, previous, kind)) => format!("{id} after {previous} {kind}"),
        None => "nothing".to_owned(),
    };
    Some(format!("history: expected {}, found {}", show(recorded.get(at)), show(found.get(at))))
}

/// What the tasks of a case report, as recorded.
#[derive(Debug)]
pub struct Mocks {
    by_state: BTreeMap<String, Vec<Value>>,
    objects: Vec<Value>,
    /// Names in the definition that are no ARNs, with the ARN to read instead.
    names: Vec<(String, String)>,
}

impl Mocks {
    pub fn of(case: &Value) -> Result<Self, String> {
        let list = |name: &str| case.get(name).and_then(Value::as_array).cloned();
        let mocks = list("mocks").unwrap_or_default();
        if case.get("mocks") == Some(&Value::Null) && definition(case).contains("\"Task\"") {
            return Err("what its tasks report was not recorded".to_owned());
        }
        let mut by_state: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for mock in mocks {
            let state = mock.get("state").and_then(Value::as_str).unwrap_or_default().to_owned();
            by_state.entry(state).or_default().push(mock);
        }
        let mut names = Vec::new();
        let document = case.get("definition").cloned().unwrap_or_default();
        placeholders(&document, &mut names);
        Ok(Self { by_state, objects: list("s3_objects").unwrap_or_default(), names })
    }

    pub fn named(&self, definition: &str) -> String {
        self.names.iter().fold(definition.to_owned(), |text, (from, to)| {
            text.replace(&format!("\"{from}\""), &format!("\"{to}\""))
        })
    }
}

/// Resources that were replaced by a bare name when recorded: they were activities.
fn placeholders(value: &Value, names: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            if fields.get("Type").and_then(Value::as_str) == Some("Task")
                && let Some(resource) = fields.get("Resource").and_then(Value::as_str)
                && !resource.contains(':')
            {
                let arn = format!("arn:aws:states:local:000000000000:activity:{resource}");
                names.push((resource.to_owned(), arn));
            }
            fields.values().for_each(|value| placeholders(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| placeholders(item, names)),
        _ => {}
    }
}

impl World for Mocks {
    fn task(&mut self, request: &TaskRequest) -> Vec<Report> {
        let waiting = self.by_state.entry(request.state.clone()).or_default();
        let same = |mock: &Value| {
            mock.get("request").is_some_and(|recorded| fits(recorded, &request.arguments))
        };
        let at = waiting.iter().position(same).unwrap_or(0);
        if at >= waiting.len() {
            let arn = request.resource.arn();
            let shown = self.names.iter().find(|(_, known)| *known == arn);
            let shown = shown.map_or(arn.as_str(), |(name, _)| name);
            return vec![Report::Missing(format!("The activity {shown} does not exist."))];
        }
        reports(&waiting.remove(at))
    }

    fn read(&mut self, resource: &str, arguments: &Value) -> Result<Vec<u8>, Fault> {
        let is = |object: &&Value, name: &str| object.get(name) == arguments.get(name);
        if resource == LIST {
            let key = |object: &Value| object.get("Key").and_then(Value::as_str).map(str::to_owned);
            let after = arguments.get("StartAfter").and_then(Value::as_str);
            let listed = self.objects.iter().filter(|object| is(object, "Bucket")).filter_map(key);
            let listed = listed.filter(|key| after.is_none_or(|after| key.as_str() > after));
            let listed: BTreeSet<_> = listed.collect();
            let listed = listed.into_iter().map(|key| json!({"Key": key}));
            return Ok(Value::Array(listed.collect()).to_string().into_bytes());
        }
        let found = self.objects.iter().find(|object| is(object, "Bucket") && is(object, "Key"));
        let body = found.and_then(|object| object.get("Body")).and_then(Value::as_str);
        let missing = || Fault::new(name::ITEM_READER, "The specified key does not exist.");
        body.map(|body| body.as_bytes().to_vec()).ok_or_else(missing)
    }
}

/// The reports of a recorded task.
fn reports(mock: &Value) -> Vec<Report> {
    let steps = mock.get("steps").and_then(Value::as_array).into_iter().flatten();
    let mut reports: Vec<Report> = steps.filter_map(report).collect();
    reports.extend(mock.get("outcome").and_then(report));
    reports
}

fn report(event: &Value) -> Option<Report> {
    let kind = event.get("event").and_then(Value::as_str)?;
    // Only objects were parsed when recorded; any other output is JSON text still.
    let output = || match event.get("output") {
        Some(Value::String(text)) => {
            serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into())
        }
        output => output.cloned().unwrap_or(Value::Null),
    };
    let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(match kind {
        kind if kind.ends_with("Started") => Report::Started { worker: text("workerName") },
        kind if kind.ends_with("Submitted") => Report::Submitted(output()),
        kind if kind.ends_with("Succeeded") => Report::Succeeded(output()),
        kind if kind.ends_with("TimedOut") => match text("error").as_deref() {
            Some(name::HEARTBEAT_TIMEOUT) => Report::HeartbeatMissed,
            _ => Report::TimedOut,
        },
        kind if kind.ends_with("Failed") => {
            Report::Failed(Fault { error: text("error"), cause: text("cause") })
        }
        _ => return None,
    })
}
