//! SARIF 2.1.0 (OASIS, 2020): what is wrong with a project's files, and what scans found, for
//! services that show findings beside the code.

use std::collections::BTreeMap;

use release::{Diagnostic, Severity};
use serde_json::{Value, json};

use super::Told;
use crate::cli::show::{rows, text};
use crate::explain;

/// The schema of the format.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/\
    sarif-schema-2.1.0.json";

/// One finding.
struct Found {
    rule: String,
    level: &'static str,
    message: String,
    /// The file, relative to the project, and the line and column where they are known.
    file: String,
    at: Option<(u64, u64)>,
}

/// The log of one run.
pub fn sarif(told: &Told) -> Value {
    let prefix = told.checkout.as_ref().map_or("", |checkout| checkout.prefix.as_str());
    let mut found: Vec<Found> = told.diagnostics.iter().map(diagnostic).collect();
    found.extend(told.pipelines.iter().flat_map(scans));
    let about: BTreeMap<String, String> =
        found.iter().map(|found| (found.rule.clone(), title(&found.rule))).collect();
    let index = |rule: &str| about.keys().position(|known| known == rule);
    let results: Vec<Value> = found
        .iter()
        .map(|found| {
            let mut place = json!({"artifactLocation": {
                "uri": encoded(&format!("{prefix}{}", found.file)), "uriBaseId": "%SRCROOT%",
            }});
            if let Some((line, column)) = found.at {
                place["region"] = json!({"startLine": line, "startColumn": column});
            }
            json!({
                "ruleId": found.rule, "ruleIndex": index(&found.rule), "level": found.level,
                "message": {"text": found.message}, "locations": [{"physicalLocation": place}],
            })
        })
        .collect();
    let rules: Vec<Value> = about
        .iter()
        .map(|(rule, title)| json!({"id": rule, "shortDescription": {"text": title}}))
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "groundcrew", "version": env!("CARGO_PKG_VERSION"), "rules": rules,
            }},
            // Columns are counted so.
            "columnKind": "unicodeCodePoints",
            "invocations": [{"executionSuccessful": told.failure.is_none()}],
            "results": results,
        }],
    })
}

fn diagnostic(finding: &Diagnostic) -> Found {
    let hint = finding.hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"));
    Found {
        rule: finding.code.to_string(),
        level: match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        message: format!("{}{hint}", finding.message),
        file: finding.place.file.clone(),
        at: Some((finding.place.line.into(), finding.place.column.into())),
    }
}

/// What the scans of a pipeline found. Several environments may say the same.
fn scans(report: &Value) -> Vec<Found> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    let gates = rows(&report["stages"]).flat_map(|stage| rows(&stage["gates"]));
    for finding in gates.flat_map(|gate| rows(&gate["findings"])) {
        if seen.contains(&finding) {
            continue;
        }
        seen.push(finding);
        let slot = text(&finding["slot"]);
        let name = text(&report["slots"][&slot]["name"]);
        // Only a prompt is pinned as it is written.
        let (file, at) = match slot.as_str() {
            "prompt" => (format!("prompts/{name}.md"), finding["line"].as_u64().map(|it| (it, 1))),
            "guardrails" => (format!("guardrails/{name}.toml"), None),
            "model" => (format!("models/{name}.toml"), None),
            _ => (format!("apps/{}.toml", text(&report["app"])), None),
        };
        let rule = format!("scan/{}", text(&finding["check"]));
        let message = format!("{slot}: {}", text(&finding["what"]));
        found.push(Found { rule, level: "error", message, file, at });
    }
    found
}

/// What a rule is about.
fn title(rule: &str) -> String {
    let page = explain::page(rule).and_then(|page| page.lines().next());
    let title = page.and_then(|line| line.split_once(": ")).map(|(_, title)| title.to_owned());
    title.unwrap_or_else(|| match rule.strip_prefix("scan/") {
        Some(check) => format!("A scan found {}", check.replace('_', " ")),
        None => rule.to_owned(),
    })
}

/// A path as a relative URI.
fn encoded(path: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
    let parts = path.bytes().map(|byte| match plain(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    parts.collect()
}
