//! Evaluations as tables and sentences.

use serde_json::Value;

use super::super::show::{moment, rows, short, table, text};

/// The verdict in words.
pub fn said(record: &Value) -> String {
    let of = |name: &str| text(&record[name]);
    match record["verdict"].as_str().unwrap_or_default() {
        "passed" => "passed".to_owned(),
        "failed" => "failed".to_owned(),
        "error" => "answers or scores are missing through errors".to_owned(),
        "inconclusive" => "inconclusive: no scorer decides".to_owned(),
        "partial" => {
            let why = &record["state"]["stopped"]["reason"];
            let why = why.as_str().map_or_else(|| why.to_string(), |why| why.replace('_', " "));
            format!("stopped after {} of {} answers: {why}", of("done"), of("planned"))
        }
        other => other.to_owned(),
    }
}

pub fn listed(evaluations: &Value) -> String {
    let row = |record: &Value| {
        vec![
            text(&record["id"]),
            text(&record["app"]),
            short(&record["release"]),
            text(&record["verdict"]),
            moment(&record["ended_at"]),
            text(&record["by"]),
        ]
    };
    let head = ["EVALUATION", "APP", "RELEASE", "VERDICT", "ENDED", "BY"];
    table(&head, rows(evaluations).map(row).collect())
}

/// What was scored of production, suite by suite.
pub fn online(scores: &Value) -> String {
    let told = rows(scores).map(|scores| {
        let day = &scores["day"];
        let cost = &day["spend"]["cost"];
        let cost = if cost.is_null() { "no known cost".to_owned() } else { money(cost) };
        let head = format!(
            "{}: {} in {}, up to {}\n  today {} answers, {} of them without content, {} calls, {cost}",
            text(&scores["suite"]),
            text(&scores["app"]),
            text(&scores["environment"]),
            moment(&scores["until"]),
            text(&day["answers"]),
            text(&day["unreadable"]),
            text(&day["spend"]["calls"]),
        );
        let trouble = scores["trouble"].as_str();
        let trouble = trouble.map_or_else(String::new, |why| format!("\n  nothing is scored: {why}"));
        let row = |(name, tally): (&String, &Value)| {
            let counts =
                ["scored", "passed", "failed", "not_applicable", "errors", "over_budget", "interrupted"];
            let counts = counts.into_iter().map(|count| text(&tally[count]));
            let error = tally["last_error"].as_str().unwrap_or_default().to_owned();
            [name.clone()].into_iter().chain(counts).chain([error]).collect()
        };
        let scorers = day["scorers"].as_object().into_iter().flatten();
        let head_row = [
            "SCORER", "SCORED", "PASS", "FAIL", "NOT APPLICABLE", "ERRORS", "OVER BUDGET",
            "INTERRUPTED", "LAST ERROR",
        ];
        format!("{head}{trouble}\n\n{}", table(&head_row, scorers.map(row).collect()))
    });
    let told: Vec<_> = told.collect();
    if told.is_empty() { "no suite scores production".to_owned() } else { told.join("\n\n") }
}

pub fn suites(suites: &Value) -> String {
    let row = |suite: &Value| {
        let scorers: Vec<_> = rows(&suite["scorers"]).map(text).collect();
        vec![
            text(&suite["name"]),
            text(&suite["project"]),
            short(&suite["digest"]),
            text(&suite["cases"]),
            scorers.join(", "),
        ]
    };
    table(&["SUITE", "PROJECT", "VERSION", "CASES", "SCORERS"], rows(suites).map(row).collect())
}

/// An evaluation: what was run, what came out, and what each scorer found together.
pub fn shown(record: &Value) -> String {
    let cost = &record["spend"]["cost"];
    let cost = if cost.is_null() { "cost unknown".to_owned() } else { money(cost) };
    let drawn = &record["drawn"];
    let drawn = match drawn.is_object() {
        false => String::new(),
        true => format!(
            "\n  {} requests of clients since {} (seed {}, {} left out) instead of its cases",
            text(&drawn["count"]),
            moment(&drawn["since"]),
            text(&drawn["seed"]),
            text(&drawn["left_out"]),
        ),
    };
    let head = format!(
        "{}: {}\n  suite {} ({}), release {} of {} in {}{drawn}\n  {} of {} answers, {} calls, {cost}",
        text(&record["id"]),
        said(record),
        text(&record["suite"]["name"]),
        short(&record["suite"]["digest"]),
        short(&record["release"]),
        text(&record["app"]),
        text(&record["environment"]),
        text(&record["done"]),
        text(&record["planned"]),
        text(&record["spend"]["calls"]),
    );
    let scorers = record["scorers"].as_object().into_iter().flatten();
    let row = |(name, summary): (&String, &Value)| {
        let count = |name: &str| text(&summary[name]);
        let decides = match summary["advisory"].as_str() {
            Some(why) => format!("advisory: {why}"),
            None => match (summary["pass_rate"].as_f64(), summary["required"].as_f64()) {
                (Some(rate), Some(required)) if rate < required => "fails".to_owned(),
                (Some(_), _) => "passes".to_owned(),
                (None, _) => "no bound, or no score".to_owned(),
            },
        };
        vec![
            name.clone(),
            number(&summary["mean"]),
            passes(summary),
            number(&summary["required"]),
            count("errors"),
            count("not_applicable"),
            decides,
        ]
    };
    let head_row = ["SCORER", "MEAN", "PASS", "REQUIRED", "ERRORS", "NOT APPLICABLE", ""];
    format!("{head}\n\n{}", table(&head_row, scorers.map(row).collect()))
}

/// How many scores pass, of those that a bound says it of.
fn passes(summary: &Value) -> String {
    let count = |name: &str| summary[name].as_u64().unwrap_or_default();
    match count("passed") + count("failed") {
        0 => "-".to_owned(),
        all => format!("{} of {all}", count("passed")),
    }
}

/// Money as `0.0123 USD`.
pub fn money(value: &Value) -> String {
    match serde_json::from_value::<release::Money>(value.clone()) {
        Ok(money) => money.to_string(),
        Err(_) => text(value),
    }
}

/// A number to three places; a dash for none.
pub fn number(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

/// Every case with its scores.
pub fn every(run: &Value) -> String {
    let row = |result: &Value| {
        let scores = result["scores"].as_object().into_iter().flatten();
        let scores = scores.map(|(name, outcome)| format!("{name} {}", outcome_of(outcome).0));
        vec![case(result), scores.collect::<Vec<_>>().join(", ")]
    };
    format!("\n\n{}", table(&["CASE", "SCORES"], rows(&run["results"]).map(row).collect()))
}

fn case(result: &Value) -> String {
    match result["repeat"].as_u64() {
        None | Some(0) => text(&result["case"]),
        Some(repeat) => format!("{} ({})", text(&result["case"]), repeat + 1),
    }
}

/// A score in a few words, whether it is bad, and how it came about.
pub fn outcome_of(outcome: &Value) -> (String, bool, String) {
    if let Some(score) = outcome.get("scored") {
        let why = score["explanation"].as_str().unwrap_or_default();
        return (number(&score["value"]), score["pass"] == false, why.to_owned());
    }
    if let Some(error) = outcome.get("error") {
        return ("error".to_owned(), true, text(&error["reason"]));
    }
    ("not applicable".to_owned(), false, text(&outcome["not_applicable"]["reason"]))
}

/// The cases that do not pass, `most` of them.
pub fn failing(record: &Value, run: &Value, most: usize) -> String {
    let mut lines = Vec::new();
    for result in rows(&run["results"]) {
        if let Some(failed) = result["answered"].get("failed") {
            lines.push(format!("  {}: no answer: {}", case(result), text(&failed["reason"])));
        }
        for (name, outcome) in result["scores"].as_object().into_iter().flatten() {
            let (score, bad, why) = outcome_of(outcome);
            if bad {
                lines.push(
                    format!("  {}: {name} {score} {why}", case(result)).trim_end().to_owned(),
                );
            }
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    let more = lines.len().saturating_sub(most);
    lines.truncate(most);
    if more > 0 {
        let id = text(&record["id"]);
        lines.push(format!("  {more} more: `groundcrew eval show {id} --cases`"));
    }
    format!("\n\nnot passed:\n{}", lines.join("\n"))
}

/// A comparison, scorer by scorer.
pub fn side_by_side(compared: &Value) -> String {
    let comparison = &compared["comparison"];
    let head = format!(
        "{}: {} ({}) against {} ({}), margin {}\n{}: {}",
        text(&compared["suite"]),
        text(&compared["candidate"]),
        short(&comparison["candidate"]),
        text(&compared["base"]),
        short(&comparison["base"]),
        text(&comparison["margin"]),
        text(&comparison["gate"]),
        text(&comparison["reason"]),
    );
    let row = |(name, scorer): (&String, &Value)| {
        let difference = &scorer["difference"];
        let interval = match (difference["lower"].as_f64(), difference["upper"].as_f64()) {
            (Some(lower), Some(upper)) => format!("{lower:+.3} to {upper:+.3}"),
            _ => "-".to_owned(),
        };
        let count = |name: &str| text(&scorer["outcomes"][name]);
        let lost = match scorer["outcomes"].is_object() {
            true => format!("{} lost, {} gained", count("lost"), count("gained")),
            false => "-".to_owned(),
        };
        let decides = match scorer["advisory"].as_str() {
            Some(why) => format!("advisory: {why}"),
            None => text(&scorer["decision"]["gate"]),
        };
        vec![
            name.clone(),
            text(&scorer["cases"]),
            number(&scorer["before"]),
            number(&scorer["after"]),
            interval,
            lost,
            number(&scorer["p"]),
            decides,
        ]
    };
    let scorers = comparison["scorers"].as_object().into_iter().flatten();
    let head_row =
        ["SCORER", "CASES", "BASE", "CANDIDATE", "DIFFERENCE (95 %)", "PASSES", "McNEMAR P", ""];
    format!("{head}\n\n{}", table(&head_row, scorers.map(row).collect()))
}
