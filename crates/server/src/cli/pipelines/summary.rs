//! A summary of pipelines in Markdown, as GitHub shows it beside a job.

use std::fmt::Write;

use serde_json::Value;

use super::{Told, next_of, why_of, words};
use crate::cli::show::{rows, short, text};

/// How all pipelines ended.
pub fn summary(told: &Told) -> String {
    let mut out = String::from("## groundcrew pipeline\n");
    if let Some(checkout) = &told.checkout {
        let dirty = if checkout.dirty { ", with changes that it has not" } else { "" };
        let author = checkout.author.as_deref().unwrap_or("somebody");
        let _ = write!(out, "\nCommit `{}` by {}{dirty}.\n", checkout.commit, cell(author));
    }
    if let Some(why) = &told.failure {
        let _ = write!(out, "\n**failed**: {}\n", cell(why));
    }
    for finding in &told.diagnostics {
        let _ = write!(out, "\n- {}", cell(&finding.to_string()));
    }
    if !told.diagnostics.is_empty() {
        out.push('\n');
    }
    for report in &told.pipelines {
        app(&mut out, report);
    }
    out.push('\n');
    out
}

fn app(out: &mut String, report: &Value) {
    let _ = write!(out, "\n### {}: {}\n", cell(&text(&report["app"])), words(report));
    if report["release"].is_string() {
        let (release, change) = (short(&report["release"]), text(&report["change"]));
        let _ = write!(out, "\nRelease `{release}` ({}).\n", cell(&change));
    }
    if rows(&report["stages"]).next().is_none() {
        let _ = write!(out, "\n{}\n", cell(&why_of(report)));
    } else {
        out.push_str("\n| environment | | state | why |\n|---|---|---|---|\n");
    }
    for stage in rows(&report["stages"]) {
        let (name, why) = (cell(&text(&stage["environment"])), cell(&text(&stage["why"])));
        let _ = writeln!(out, "| **{name}** | | **{}** | {why} |", words(stage));
        for gate in rows(&stage["gates"]) {
            let (gate, state, why) = (&gate["gate"], &gate["state"], &gate["why"]);
            let [gate, state, why] = [gate, state, why].map(|it| cell(&text(it)));
            let _ = writeln!(out, "| | {gate} | {state} | {why} |");
        }
    }
    if let Some(next) = next_of(report) {
        let _ = write!(out, "\nTo go on, and then run the same again:\n\n```sh\n{next}\n```\n");
    }
}

/// A text that is shown as it stands, in one line.
fn cell(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match c {
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' => shown.extend(['\\', c]),
            '<' => shown.push_str("&lt;"),
            '&' => shown.push_str("&amp;"),
            '\n' | '\r' => shown.push_str("<br>"),
            c => shown.push(c),
        }
    }
    shown
}
