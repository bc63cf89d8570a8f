//! What follows from how a release stands before the gates.

use super::MissingRun;
use crate::gate::{GateReport, GateState, Judged};

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Every gate lets it in.
    Enter,
    /// These runs are missing.
    Evaluate(Vec<MissingRun>),
    /// Only time is needed.
    Wait(String),
    /// A person must act, by this command.
    Ask(String, String),
    /// A gate could not be looked at.
    Trouble(String),
    /// A gate speaks against it.
    Fail(String),
}

/// What a gate that does not let in needs, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Person,
    Time,
    Trouble,
    Run,
    Other,
}

/// Decides on a report. What speaks against a release comes before anything is paid for, and what
/// needs time before what needs a person, who decides on what the others say.
pub fn decide(report: &GateReport, missing: Vec<MissingRun>) -> Step {
    let wants_run = |judged: &Judged| missing.iter().any(|run| run.gate == judged.gate);
    let mut needs: Vec<(Need, &Judged)> = Vec::new();
    for judged in report.gates.iter().filter(|judged| !judged.verdict.state.lets_in()) {
        let need = match (judged.kind.as_str(), judged.verdict.state) {
            (_, GateState::Pending | GateState::Inconclusive | GateState::Error)
                if wants_run(judged) =>
            {
                Need::Run
            }
            (_, GateState::Failed) => Need::Other,
            (_, GateState::Error) => Need::Trouble,
            ("approval", _) => Need::Person,
            // Answers and drills still come; suites do not grow by themselves.
            (_, GateState::Inconclusive) if matches!(judged.kind.as_str(), "budget" | "drill") => {
                Need::Time
            }
            (_, GateState::Inconclusive) => Need::Person,
            _ => Need::Time,
        };
        needs.push((need, judged));
    }
    let Some(gravest) = needs.iter().map(|(need, _)| *need).max() else { return Step::Enter };
    let those = || needs.iter().filter(|(need, _)| *need == gravest).map(|(_, judged)| *judged);
    let why = those().map(told).collect::<Vec<_>>().join("; ");
    match gravest {
        Need::Other => Step::Fail(why),
        Need::Run => Step::Evaluate(missing),
        Need::Trouble => Step::Trouble(why),
        Need::Time => Step::Wait(why),
        Need::Person => {
            let next = those().next().map(|judged| command(report, judged));
            Step::Ask(why, next.unwrap_or_default())
        }
    }
}

/// A gate, as people are told of it.
fn told(judged: &Judged) -> String {
    let verdict = &judged.verdict;
    format!("{} ({}): {}", judged.gate, verdict.state.as_str(), verdict.why)
}

/// What a person does about a gate.
fn command(report: &GateReport, judged: &Judged) -> String {
    let GateReport { app, environment, release, evidence, .. } = report;
    let release = release.short();
    match judged.kind.as_str() {
        "approval" => format!(
            "groundcrew release approve {app} {release} --env {environment} --evidence {evidence}"
        ),
        _ => format!(
            "groundcrew release waive {app} {release} '{}' --env {environment} --until MOMENT \
             -m REASON",
            judged.gate.replace('\'', r"'\''")
        ),
    }
}

#[cfg(test)]
mod tests;
