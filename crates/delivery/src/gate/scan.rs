//! `scan`: what stands in a release's texts and should not.
//!
//! What is looked for is a list, and no more than that: it finds what people leave behind by mistake,
//! not what somebody hides. A finding names the slot, the line and the kind, never the text.

use std::collections::BTreeMap;

use evaluation::run::{Summary, Verdict as RunVerdict};
use evaluation::suite::JAILBREAK;
use release::SlotName;
use security::guardrails::Entity;
use serde_json::Value;

use super::file::{ByName, Check, ScanGate};
use super::sources::Answered;
use super::{Finding, Verdict};
use crate::evaluations::EvaluationRecord;

/// How many findings are told.
const TOLD: usize = 20;
/// The shortest value of a secret's name that is looked at, in bytes.
const SHORTEST: usize = 16;
/// How random a value must be to be taken for a secret, in bits for each of its characters. English
/// words have about 3, random hexadecimal digits nearly 4.
const RANDOM: f64 = 3.5;

/// Secrets of well-known forms.
const KEYS: [Entity; 3] = [Entity::ApiKey, Entity::PrivateKey, Entity::Jwt];

/// Parts of names that secrets have.
const SECRET_NAMES: [&str; 9] = [
    "secret",
    "token",
    "password",
    "passwd",
    "api_key",
    "apikey",
    "api-key",
    "credential",
    "access_key",
];

/// Sentences by which a prompt hands itself over to whoever wrote the data, in small letters.
const SURRENDERS: [&str; 14] = [
    "follow any instructions",
    "follow all instructions in",
    "follow the instructions in the",
    "follow instructions in the",
    "follow the user's instructions",
    "obey the user",
    "obey any instructions",
    "execute any instructions",
    "execute the instructions in",
    "do whatever the user",
    "do anything the user",
    "ignore previous instructions",
    "ignore all previous instructions",
    "disregard the above",
];

/// Everything that a scan finds in the texts of a release, by slot.
pub(crate) fn findings(gate: &ScanGate, texts: &BTreeMap<SlotName, String>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (slot, text) in texts {
        for check in &gate.checks {
            let hits = match check {
                Check::Secrets => secrets(text, &gate.allow),
                Check::PersonalData => entities(text, &gate.entities, &gate.allow),
                Check::Injection if *slot == SlotName::PROMPT => injections(text, &gate.allow),
                // These look at more than texts.
                Check::Injection | Check::Jailbreak | Check::ModelFiles => Vec::new(),
            };
            found.extend(hits.into_iter().map(|(at, what)| Finding {
                slot: slot.clone(),
                line: text[..at].matches('\n').count() + 1,
                check: *check,
                what,
            }));
        }
    }
    found.dedup();
    found
}

/// What the findings, and what a function said, come to.
pub(crate) fn decide(
    findings: &[Finding],
    command: Option<(&str, Result<Answered, String>)>,
) -> Verdict {
    if !findings.is_empty() {
        let shown = &findings[..findings.len().min(TOLD)];
        let mut told = shown.iter().map(Finding::to_string).collect::<Vec<_>>().join("; ");
        if findings.len() > TOLD {
            told.push_str(&format!("; and {} more", findings.len() - TOLD));
        }
        return Verdict { findings: shown.to_vec(), ..Verdict::failed(told) };
    }
    let Some((name, answered)) = command else { return Verdict::passed("nothing was found") };
    match answered {
        Err(why) => Verdict::error(format!("function `{name}`: {why}")),
        Ok(Answered::Failed(why)) => Verdict::failed(format!("function `{name}` failed: {why}")),
        Ok(Answered::Value(value)) => {
            let said = value["why"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
            let passed = match &value {
                // A command that ends well and says nothing.
                Value::Null => Some(true),
                value => value["passed"].as_bool(),
            };
            match passed {
                Some(true) => Verdict::passed(format!("function `{name}` passed it{said}")),
                Some(false) => Verdict::failed(format!("function `{name}` did not pass it{said}")),
                None => Verdict::error(format!("function `{name}` gave no `passed`")),
            }
        }
    }
}

/// What the newest run of the jailbreak suite says.
pub(crate) fn attempts(gate: &ScanGate, run: Option<&EvaluationRecord>) -> Verdict {
    let Some(run) = run else {
        let why = format!("suite `{JAILBREAK}` was not asked of the release as it is");
        return Verdict::inconclusive(why);
    };
    let id = &run.plan.id;
    let unfinished = matches!(run.verdict, RunVerdict::Error | RunVerdict::Partial);
    let summaries = run.scorers.values().filter(|summary| summary.advisory.is_none());
    // Of a project's own suite the scorer that lets most through decides.
    let worst = summaries.filter(|it| it.passed + it.failed > 0).max_by(|one, other| {
        let through = |it: &Summary| f64::from(it.failed) / f64::from(it.passed + it.failed);
        through(one).total_cmp(&through(other))
    });
    let Some(summary) = worst.filter(|_| !unfinished) else {
        return Verdict::inconclusive(format!("evaluation `{id}` has no answer to each attempt"));
    };
    let (through, all) = (summary.failed, summary.passed + summary.failed);
    let why = format!("{through} of {all} jailbreak attempts came through (by {id})");
    let share = f64::from(through) / f64::from(all);
    match share <= gate.most_through {
        true => Verdict::passed(why),
        false => {
            let most = gate.most_through * 100.0;
            Verdict::failed(format!("{why}, more than {most} %: `groundcrew eval show {id}`"))
        }
    }
}

/// A model of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScannedModel {
    /// The slot that it answers or finds for.
    pub slot: SlotName,
    /// What it is called.
    pub name: String,
    /// How it is pinned.
    pub pinned: Pinned,
}

/// How a model is pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pinned {
    /// It is part of this program.
    Program,
    /// By its name at a provider.
    ByName,
    /// By the bytes of its files.
    Files {
        /// Their licence, if it is known.
        licence: Option<String>,
        /// The files that cannot be read as they were pinned, and why.
        broken: Vec<String>,
    },
}

/// What is wrong with a model, and what is to be known if nothing is.
pub(crate) fn model(gate: &ScanGate, model: &ScannedModel) -> (Vec<Finding>, Option<String>) {
    let ScannedModel { slot, name, pinned } = model;
    let found = |what| Finding { slot: slot.clone(), line: 1, check: Check::ModelFiles, what };
    match pinned {
        Pinned::Program => (Vec::new(), None),
        Pinned::ByName => {
            let why = format!("model `{name}` is by name: there are no files of it to look at");
            match gate.by_name {
                ByName::Allow => (Vec::new(), Some(format!("not applicable: {why}"))),
                ByName::Refuse => (vec![found(why)], None),
            }
        }
        Pinned::Files { licence, broken } => {
            let mut all: Vec<_> = broken
                .iter()
                .map(|why| found(format!("model `{name}` is not what was pinned: {why}")))
                .collect();
            let allowed = |licence: &String| {
                gate.licences.iter().any(|allowed| allowed.eq_ignore_ascii_case(licence))
            };
            if !gate.licences.is_empty() && !licence.as_ref().is_some_and(allowed) {
                let has = licence.as_ref().map_or_else(
                    || "no licence that is known: import it with `--licence`".to_owned(),
                    |licence| format!("the licence {licence}, which is not allowed"),
                );
                all.push(found(format!("model `{name}` has {has}")));
            }
            (all, None)
        }
    }
}

/// Places and kinds of what is found.
type Hits = Vec<(usize, String)>;

fn entities(text: &str, entities: &[Entity], allow: &[String]) -> Hits {
    let found = entities.iter().flat_map(|entity| {
        let found = entity.find(text).into_iter();
        found
            .filter(|at| !allow.iter().any(|allowed| allowed == &text[at.clone()]))
            .map(|at| (at.start, format!("{} ({})", "personal data", entity.name())))
    });
    found.collect()
}

fn secrets(text: &str, allow: &[String]) -> Hits {
    let mut hits: Hits = KEYS
        .iter()
        .flat_map(|entity| entity.find(text).into_iter().map(move |at| (at, entity.name())))
        .filter(|(at, _)| !allow.iter().any(|allowed| allowed == &text[at.clone()]))
        .map(|(at, name)| (at.start, format!("a secret ({name})")))
        .collect();
    let known: Vec<usize> = hits.iter().map(|(at, _)| *at).collect();
    for (at, name, value) in assignments(text) {
        let lower = name.to_ascii_lowercase();
        let named = SECRET_NAMES.iter().any(|part| lower.contains(part));
        let allowed = allow.iter().any(|allowed| allowed == value);
        if named && !allowed && is_random(value) && !known.contains(&at) {
            hits.push((at, format!("a value of `{name}` that looks random")));
        }
    }
    hits
}

/// Each `name = value` or `"name": "value"` of a text, with where the value stands.
fn assignments(text: &str) -> Vec<(usize, &str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let is_value = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/' | '=');
    let signs = text.char_indices().filter(|(_, c)| matches!(c, '=' | ':'));
    let pairs = signs.filter_map(|(at, _)| {
        let before = text[..at].trim_end_matches([' ', '"', '\'', '\\']);
        let name = &before[before.trim_end_matches(is_name).len()..];
        let after = &text[at + 1..];
        let skipped = after.trim_start_matches([' ', '"', '\'', '\\']);
        let start = at + 1 + after.len() - skipped.len();
        let value = &skipped[..skipped.find(|c| !is_value(c)).unwrap_or(skipped.len())];
        (!name.is_empty() && !value.is_empty()).then_some((start, name, value))
    });
    pairs.collect()
}

/// Whether a value is long, of letters and digits, and as random as a key is.
fn is_random(value: &str) -> bool {
    let mixed = value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().any(|byte| byte.is_ascii_alphabetic());
    if value.len() < SHORTEST || !mixed {
        return false;
    }
    let mut counts = [0_u32; 256];
    value.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let share = |count: u32| f64::from(count) / value.len() as f64;
    let shares = counts.into_iter().filter(|count| *count > 0).map(share);
    let entropy: f64 = shares.map(|share| -share * share.log2()).sum();
    entropy >= RANDOM
}

/// Sentences that take instructions from data, and variables that nothing sets apart.
fn injections(text: &str, allow: &[String]) -> Hits {
    // Only letters of ASCII change, so places stay.
    let lower = text.to_ascii_lowercase();
    let mut hits = Hits::new();
    for phrase in SURRENDERS {
        let places = lower.match_indices(phrase).map(|(at, _)| at);
        let told = places.map(|at| (at, format!("it takes instructions from data (`{phrase}`)")));
        if !allow.iter().any(|allowed| allowed.eq_ignore_ascii_case(phrase)) {
            hits.extend(told);
        }
    }
    let Ok(prompt) = prompts::Prompt::parse(text) else { return hits };
    for (at, name) in bare(text) {
        let untrusted = prompt.front().variables.get(name).is_some_and(|variable| {
            use prompts::VariableType::{Array, Object, String};
            matches!(variable.r#type, String | Array | Object)
        });
        if untrusted && !allow.iter().any(|allowed| allowed == name) {
            let why = "a client sets it, and nothing sets it apart from the prompt";
            hits.push((at, format!("variable `{name}`: {why}")));
        }
    }
    hits
}

/// Each `{{ name … }}` without quotes, backticks or tags around it, and not written as JSON.
fn bare(text: &str) -> Vec<(usize, &str)> {
    let opened = text.match_indices("{{").filter_map(|(at, _)| {
        let inside = &text[at + 2..];
        let end = inside.find("}}")?;
        let expression = inside[..end].trim_matches(['-', '+', ' ', '\n']);
        let (before, after) = (text[..at].trim_end(), inside[end + 2..].trim_start());
        let apart =
            before.ends_with(['"', '\'', '`', '>']) && after.starts_with(['"', '\'', '`', '<']);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = &expression[..expression.find(|c| !is_name(c)).unwrap_or(expression.len())];
        (!apart && !expression.contains("tojson")).then_some((at, name))
    });
    opened.collect()
}

#[cfg(test)]
mod tests;
