//! JUnit's XML, for build servers.
//!
//! Each answer is a test, and one more stands for the run as a whole. Something is a failure or an
//! error exactly if the run's verdict is not a pass: a score that fails within what the pass rate
//! allows, whatever an advisory scorer says, and what is said of answers that cases hold is only
//! output.

use std::fmt::Write;

use super::{escape, number, verdict, why};
use crate::run::{Answered, CaseResult, Run, Summary, Verdict};
use crate::scorers::Outcome;

/// `run` in the form that build servers read.
pub fn junit(run: &Run) -> String {
    let mut tests = Vec::new();
    for result in &run.results {
        let again =
            if result.repeat > 0 { format!(" ({})", result.repeat + 1) } else { String::new() };
        let answer = result.answered.answer();
        let seconds = answer.and_then(|answer| answer.latency).unwrap_or_default();
        tests.push((format!("{}{again}", result.case), seconds, test(run, result)));
    }
    tests.push(("the run as a whole".to_owned(), 0.0, whole(run)));
    let count = |kind: Kind| tests.iter().filter(|(.., test)| test.kind == kind).count();
    let seconds: f64 = tests.iter().map(|(_, seconds, _)| seconds).sum();
    let name = attribute(&run.name);
    let counts = format!(
        "name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{seconds:.3}\"",
        tests.len(),
        count(Kind::Failure),
        count(Kind::Error),
    );
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n<testsuite {counts}>\n"
    );
    xml.push_str(&properties(run));
    for (case, seconds, test) in &tests {
        let case = attribute(case);
        let _ =
            write!(xml, "<testcase classname=\"{name}\" name=\"{case}\" time=\"{seconds:.3}\">");
        let text = escape(&test.lines.join("\n"));
        let message = attribute(test.lines.first().map(String::as_str).unwrap_or_default());
        let _ = match test.kind {
            Kind::Failure => write!(xml, "<failure message=\"{message}\">{text}</failure>"),
            Kind::Error => write!(xml, "<error message=\"{message}\">{text}</error>"),
            Kind::Pass => Ok(()),
        };
        if !test.output.is_empty() {
            let _ = write!(xml, "<system-out>{}</system-out>", escape(&test.output.join("\n")));
        }
        xml.push_str("</testcase>\n");
    }
    xml.push_str("</testsuite>\n</testsuites>\n");
    xml
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pass,
    Failure,
    Error,
}

/// What is said of one test.
struct Test {
    kind: Kind,
    /// Why it does not pass.
    lines: Vec<String>,
    /// What else there is to say.
    output: Vec<String>,
}

fn test(run: &Run, result: &CaseResult) -> Test {
    let (mut failures, mut errors, mut output) = (Vec::new(), Vec::new(), Vec::new());
    if let Answered::Failed { reason } = &result.answered {
        errors.push(format!("no answer: {reason}"));
    }
    for (name, found) in &result.scores {
        let Some(summary) = run.summaries.get(name) else { continue };
        let decides = summary.advisory.is_none() && !result.is_given();
        let explanation = why(Some(found));
        match found {
            Outcome::NotApplicable { reason } => {
                output.push(format!("{name}: not applicable: {reason}"));
            }
            Outcome::Error { reason, .. } => {
                let list = if decides { &mut errors } else { &mut output };
                list.push(format!("{name}: error: {reason}"));
            }
            Outcome::Scored(score) => {
                let fails = score.pass == Some(false);
                let counts = fails && decides && misses(summary);
                let word = if fails { "fails" } else { "is" };
                let line = format!("{name} {word} {}: {explanation}", number(Some(score.value)));
                let list = if counts { &mut failures } else { &mut output };
                list.push(line.trim_end_matches(": ").to_owned());
            }
        }
    }
    let kind = match (failures.is_empty(), errors.is_empty()) {
        (false, _) => Kind::Failure,
        (_, false) => Kind::Error,
        _ => Kind::Pass,
    };
    failures.append(&mut errors);
    Test { kind, lines: failures, output }
}

/// The run's verdict, where it is not that of one of its cases.
fn whole(run: &Run) -> Test {
    let (said, _) = verdict(run);
    let kind = match run.verdict() {
        Verdict::Partial | Verdict::Inconclusive => Kind::Error,
        _ => Kind::Pass,
    };
    match kind {
        Kind::Pass => Test { kind, lines: Vec::new(), output: vec![said] },
        _ => Test { kind, lines: vec![said], output: Vec::new() },
    }
}

fn misses(summary: &Summary) -> bool {
    summary.pass_rate.is_some_and(|rate| rate < summary.required)
}

fn properties(run: &Run) -> String {
    let mut list = String::from("<properties>\n");
    let mut property = |name: &str, value: &str| {
        let (name, value) = (attribute(name), attribute(value));
        let _ = writeln!(list, "<property name=\"{name}\" value=\"{value}\"/>");
    };
    property("release", &run.subject.to_string());
    property("suite", &run.suite.to_string());
    if let Some(judge) = &run.judge {
        property("judge", &format!("{} {}", judge.model, judge.digest));
    }
    for (name, summary) in &run.summaries {
        property(&format!("mean.{name}"), &number(summary.mean));
    }
    list.push_str("</properties>\n");
    list
}

/// `text` as the value of an attribute, where a line break would become a space.
pub fn attribute(text: &str) -> String {
    escape(text).replace('\n', "&#10;").replace('\t', "&#9;")
}
