//! Experiments as text.

use serde_json::Value;

use super::super::show::{moment, rows, short, table, text};

/// Experiments, one a line.
pub fn listed(all: &Value) -> String {
    let cells = rows(all).map(|it| {
        vec![
            text(&it["id"]),
            state(it),
            moment(&it["drafted_at"]),
            text(&it["by"]),
            text(&it["design"]["hypothesis"]),
        ]
    });
    table(&["EXPERIMENT", "STATE", "DRAFTED", "BY", "HYPOTHESIS"], cells.collect())
}

/// One experiment: its variants with what was measured of them, what that says, and what it went
/// through.
pub fn shown(it: &Value) -> String {
    let design = &it["design"];
    let mut out = vec![format!(
        "{}: {}\n{}, at most {} days",
        text(&it["id"]),
        state(it),
        text(&design["hypothesis"]),
        text(&design["days"])
    )];
    let metrics: Vec<&Value> = rows(&design["guardrails"]).collect();
    let names = [&design["primary"]].into_iter().chain(metrics.iter().copied());
    let names: Vec<String> = names.map(|metric| text(&metric["name"]).to_uppercase()).collect();
    let mut head = vec!["VARIANT", "RELEASE", "WEIGHT", "ASSIGNED"];
    head.extend(names.iter().map(String::as_str));
    let seen = &it["looked"]["seen"];
    let cells = rows(&design["variants"]).enumerate().map(|(at, variant)| {
        let assigned: u64 = rows(&seen["assigned"]).filter_map(|run| run[at].as_u64()).sum();
        let weight = variant["weight"].as_f64().unwrap_or_default() / 100.0;
        let mut cells = vec![
            text(&variant["name"]),
            short(&variant["release"]),
            format!("{weight} %"),
            assigned.to_string(),
        ];
        let measured = &seen["variants"][at];
        cells.push(mean(&measured["primary"]));
        cells.extend((0..metrics.len()).map(|metric| mean(&measured["guardrails"][metric])));
        cells
    });
    out.push(table(&head, cells.collect()));
    if let Some(looked) = it["looked"].as_object() {
        let judged = &looked["judged"];
        let (said, why) = (text(&judged["verdict"]).replace('_', " "), text(&judged["why"]));
        out.push(format!("{}: {said}: {why}", moment(&looked["at"])));
        if let Some(trouble) = looked["trouble"].as_str() {
            out.push(format!("  not looked at since: {trouble}"));
        }
    }
    out.extend(rows(&it["passed"]).map(|step| {
        let (at, by, why) = (moment(&step["at"]), text(&step["by"]), text(&step["why"]));
        format!("{at}  {} ({by}) {why}", state(step)).trim_end().to_owned()
    }));
    out.join("\n")
}

/// The mean of what was measured, and of how many sessions.
fn mean(moments: &Value) -> String {
    match (moments["n"].as_f64(), moments["sum"].as_f64()) {
        (Some(n), Some(sum)) if n > 0.0 => format!("{:.4} of {n}", sum / n),
        _ => "-".to_owned(),
    }
}

/// The state, with its verdict where there is one.
fn state(it: &Value) -> String {
    let state = &it["state"];
    let name = text(&state["state"]);
    match state["verdict"].as_str() {
        Some(verdict) => format!("{name}, {}", verdict.replace('_', " ")),
        None => name,
    }
}
