//! Scoring whole files of cases: recorded executions, choices, refusals, patterns, schedules.
//!
//! A file holds one case a line, as JSON. What a case is follows from its fields, so that files of
//! several kinds may be mixed. Status, output and error are compared first (`A`), then the cause
//! (`B`), then the sequence of the history's events (`C`).

mod compare;
mod events;
mod execution;
mod refusal;
mod teststate;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

pub use compare::fits;
#[cfg(test)]
pub(crate) use execution::Mocks;

/// How one case went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// Its name.
    pub id: String,
    /// The kind it belongs to.
    pub tier: String,
    /// Whether the case counts: recorded against the service, paired and deterministic.
    pub core: bool,
    /// Status, output and error, or whatever its kind compares.
    pub result: bool,
    /// And the cause.
    pub cause: bool,
    /// The history's events and how they follow from each other; none where none is known.
    pub history: Option<bool>,
    /// What differs.
    pub difference: Option<String>,
}

/// What a file of cases came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Score {
    /// Every case that was run.
    pub verdicts: Vec<Verdict>,
    /// Cases that cannot be run, each with its reason.
    pub skipped: Vec<(String, String)>,
}

/// Passed and counted.
pub type Share = (usize, usize);

impl Score {
    /// Runs every case of `text`, one a line.
    pub fn of(text: &str) -> Self {
        let mut score = Self::default();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match serde_json::from_str::<Value>(line) {
                Ok(case) => score.run(&case),
                Err(error) => {
                    score.skipped.push((format!("line {}", number + 1), error.to_string()));
                }
            }
        }
        score
    }

    /// Adds what another file came to.
    pub fn extend(&mut self, other: Self) {
        self.verdicts.extend(other.verdicts);
        self.skipped.extend(other.skipped);
    }

    /// How many cases that count missed their result.
    pub fn misses(&self) -> usize {
        self.verdicts.iter().filter(|verdict| verdict.core && !verdict.result).count()
    }

    fn run(&mut self, case: &Value) {
        let id = case.get("id").or_else(|| case.get("expression"));
        let id = id.and_then(Value::as_str).unwrap_or("(unnamed)").to_owned();
        match judge(case) {
            Ok(Judged { result, cause, history, difference }) => {
                let tier = case.get("tier").and_then(Value::as_str).unwrap_or_else(|| kind(case));
                let core = case.get("core").and_then(Value::as_bool).unwrap_or(true);
                let tier = tier.to_owned();
                let verdict = Verdict { id, tier, core, result, cause, history, difference };
                self.verdicts.push(verdict);
            }
            Err(why) => self.skipped.push((id, why)),
        }
    }

    /// Of the cases of each tier that count: how many had the right result, the right cause and
    /// the right history.
    pub fn tiers(&self) -> BTreeMap<&str, [Share; 3]> {
        let mut tiers: BTreeMap<&str, [Share; 3]> = BTreeMap::new();
        for verdict in self.verdicts.iter().filter(|verdict| verdict.core) {
            let shares = tiers.entry(verdict.tier.as_str()).or_default();
            let marks = [Some(verdict.result), Some(verdict.cause), verdict.history];
            for (share, mark) in shares.iter_mut().zip(marks) {
                share.0 += usize::from(mark == Some(true));
                share.1 += usize::from(mark.is_some());
            }
        }
        tiers
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for verdict in self.verdicts.iter().filter(|verdict| verdict.difference.is_some()) {
            let difference = verdict.difference.as_deref().unwrap_or_default();
            let counts = if verdict.core { "" } else { " (does not count)" };
            writeln!(f, "miss {} {}{counts}\n  {difference}", verdict.tier, verdict.id)?;
        }
        for (id, why) in &self.skipped {
            writeln!(f, "skipped {id}: {why}")?;
        }
        writeln!(f, "{:<28}{:>12}{:>12}{:>12}", "TIER", "RESULT", "CAUSE", "HISTORY")?;
        for (tier, shares) in self.tiers() {
            let [result, cause, history] = shares.map(|(passed, all)| format!("{passed}/{all}"));
            writeln!(f, "{tier:<28}{result:>12}{cause:>12}{history:>12}")?;
        }
        Ok(())
    }
}

/// How a case went, before it is known which it is.
struct Judged {
    result: bool,
    cause: bool,
    history: Option<bool>,
    difference: Option<String>,
}

impl Judged {
    /// Of a case that has nothing but a result.
    fn plain(difference: Option<String>) -> Self {
        let right = difference.is_none();
        Self { result: right, cause: right, history: None, difference }
    }
}

/// A case's definition as text; it is text where the text itself is under test.
pub(crate) fn definition(case: &Value) -> String {
    match case.get("definition") {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn kind(case: &Value) -> &'static str {
    let has = |name: &str| case.get(name).is_some();
    match () {
        () if has("create_args") => "v_create_errors",
        () if has("definition") && case.pointer("/expected/diagnostics").is_some() => {
            "v_validate_definition"
        }
        () if has("definition") => "execution",
        () if has("request") => "t_teststate",
        () if has("pattern") => "event_patterns",
        () if has("expression") => "schedule_expressions",
        () => "unknown",
    }
}

fn judge(case: &Value) -> Result<Judged, String> {
    match kind(case) {
        "v_create_errors" => refusal::create(case),
        "v_validate_definition" => Ok(refusal::validate(case)),
        "execution" => execution::judge(case),
        "t_teststate" => teststate::judge(case),
        "event_patterns" => Ok(events::pattern(case)),
        "schedule_expressions" => Ok(events::schedule(case)),
        other => Err(format!("cases of this kind ({other}) are not run")),
    }
}

#[cfg(test)]
mod tests;
