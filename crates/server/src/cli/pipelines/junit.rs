//! JUnit's XML of pipelines: a suite for each environment, a test for each gate and rollout.

use std::fmt::Write;

use evaluation::report::attribute;
use serde_json::Value;

use super::{Told, next_of, why_of};
use crate::cli::show::{rows, text};

/// A test, and what came of it.
struct Test {
    name: String,
    came: Came,
}

enum Came {
    Passed(String),
    Failed(String),
    Error(String),
    Skipped(String),
}

/// All pipelines in the form that build servers read.
pub fn junit(told: &Told) -> String {
    let mut suites = Vec::new();
    if let Some(why) = &told.failure {
        let test = Test { name: "apply".to_owned(), came: Came::Error(why.clone()) };
        suites.push(("groundcrew".to_owned(), vec![test]));
    }
    for report in &told.pipelines {
        let app = text(&report["app"]);
        if rows(&report["stages"]).next().is_none() {
            let came = Came::Error(why_of(report));
            suites.push((app.clone(), vec![Test { name: "release".to_owned(), came }]));
        }
        for stage in rows(&report["stages"]) {
            let name = format!("{app}.{}", text(&stage["environment"]));
            suites.push((name, tests(report, stage)));
        }
    }
    let all = || suites.iter().flat_map(|(_, tests)| tests);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(xml, "<testsuites name=\"groundcrew pipeline\" {}>", counts(all()));
    for (name, tests) in &suites {
        let name = attribute(name);
        let _ = writeln!(xml, "<testsuite name=\"{name}\" {}>", counts(tests.iter()));
        for test in tests {
            let case = attribute(&test.name);
            let _ = write!(xml, "<testcase classname=\"{name}\" name=\"{case}\">");
            let _ = match &test.came {
                Came::Passed(why) => write!(xml, "<system-out>{}</system-out>", attribute(why)),
                Came::Failed(why) => write!(xml, "<failure message=\"{}\"/>", attribute(why)),
                Came::Error(why) => write!(xml, "<error message=\"{}\"/>", attribute(why)),
                Came::Skipped(why) => write!(xml, "<skipped message=\"{}\"/>", attribute(why)),
            };
            xml.push_str("</testcase>\n");
        }
        xml.push_str("</testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn counts<'a>(tests: impl Iterator<Item = &'a Test>) -> String {
    let (mut all, mut failures, mut errors, mut skipped) = (0, 0, 0, 0);
    for test in tests {
        all += 1;
        match test.came {
            Came::Passed(_) => {}
            Came::Failed(_) => failures += 1,
            Came::Error(_) => errors += 1,
            Came::Skipped(_) => skipped += 1,
        }
    }
    format!("tests=\"{all}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")
}

/// The gates of an environment, its rollout, and whether the release is live there.
fn tests(report: &Value, stage: &Value) -> Vec<Test> {
    let mut tests = Vec::new();
    let why = text(&stage["why"]);
    for gate in rows(&stage["gates"]) {
        let why = text(&gate["why"]);
        let came = match gate["state"].as_str() {
            Some("passed" | "waived") => Came::Passed(why),
            Some("failed") => Came::Failed(why),
            Some("error") => Came::Error(why),
            _ => Came::Skipped(format!("{}: {why}", text(&gate["state"]))),
        };
        tests.push(Test { name: format!("gate {}", text(&gate["gate"])), came });
    }
    if let Some(id) = stage["rollout"].as_str() {
        let came = match stage["state"].as_str() {
            Some("live") => Came::Passed("completed".to_owned()),
            Some("taken_back") => Came::Failed(why.clone()),
            _ => Came::Skipped(why.clone()),
        };
        tests.push(Test { name: format!("rollout {id}"), came });
    }
    let next = next_of(report).map_or_else(String::new, |next| format!("; next: {next}"));
    let came = match stage["state"].as_str() {
        Some("live") => Came::Passed(format!("since {}", text(&stage["since"]))),
        Some("not_reached") => Came::Skipped("it did not come so far".to_owned()),
        _ => Came::Failed(format!("{why}{next}")),
    };
    tests.push(Test { name: "live".to_owned(), came });
    tests
}
