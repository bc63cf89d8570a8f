//! What a refresh or another batch did, for people: on the terminal, and as Markdown.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use super::Waiting;
use super::progress::{self, Bar};
use super::show::{self, Output, moment, rows, short, text};
use crate::client::Client;

/// How many documents of a kind a refresh names on the terminal.
const NAMED: usize = 20;

#[derive(Debug, Args)]
pub struct RefreshArguments {
    /// The knowledge base.
    name: String,
    /// Read only this source, and leave the others as they are. May be given several times.
    #[arg(long)]
    source: Vec<String>,
    /// As many documents as are gone are to go.
    #[arg(long)]
    approve_removals: bool,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub struct ReportArguments {
    /// The knowledge base.
    name: String,
    /// The batch's number (default: the newest).
    batch: Option<u64>,
    /// Write it to this file, as Markdown.
    #[arg(long)]
    markdown: Option<PathBuf>,
}

/// Has a knowledge base refreshed, and reports what that did.
pub async fn refresh(client: &Client, asked: RefreshArguments, out: &Output) -> Result<()> {
    let path = format!("/api/v1/knowledge/{}/refresh", asked.name);
    let mut query: Vec<_> = asked.source.iter().map(|source| ("source", source.clone())).collect();
    query.extend(asked.approve_removals.then(|| ("approved", true.to_string())));
    let request = client.request(reqwest::Method::POST, &path).query(&query).json(&json!({}));
    if asked.waiting.no_wait {
        let begun = client.send(request.query(&[("wait", "false")])).await?;
        return out.value(&begun, |begun| text(&begun["execution"]));
    }
    let refreshed = match Bar::new(out, &format!("refreshing {}", asked.name)) {
        Some(bar) => progress::done(client, request, bar).await?,
        None => client.send(request).await?,
    };
    let reported = match refreshed["batch"].as_u64().filter(|_| !out.json) {
        Some(batch) => {
            let query = [("batch", batch.to_string())];
            client.get(&format!("/api/v1/knowledge/{}/report", asked.name), &query).await?
        }
        None => Value::Null,
    };
    out.value(&refreshed, |refreshed| told(refreshed, &reported["documents"], NAMED))
}

/// Shows what a batch did.
pub async fn report(client: &Client, asked: ReportArguments, out: &Output) -> Result<()> {
    let query: Vec<_> = asked.batch.iter().map(|batch| ("batch", batch.to_string())).collect();
    let reported = client.get(&format!("/api/v1/knowledge/{}/report", asked.name), &query).await?;
    if let Some(file) = &asked.markdown {
        let write = || fs::write(file, markdown(&reported));
        return write().with_context(|| format!("cannot write {}", file.display()));
    }
    out.value(&reported, |reported| {
        let batch = &reported["batch"];
        let head = format!(
            "batch {} of {}, {}, by {} ({})",
            text(&batch["number"]),
            text(&batch["knowledge"]),
            moment(&batch["at"]),
            text(&batch["actor"]),
            show::cause(batch)
        );
        format!("{head}\n{}", told(&landed(reported), &reported["documents"], usize::MAX))
    })
}

/// A batch in the form of what a refresh gives.
fn landed(reported: &Value) -> Value {
    let batch = &reported["batch"];
    let changes = rows(&batch["changes"]).map(|change| json!({"id": change})).collect::<Vec<_>>();
    json!({
        "knowledge": batch["knowledge"], "batch": batch["number"], "snapshot": batch["snapshot"],
        "accepted": batch["accepted"], "unchanged": false, "report": reported["report"],
        "changes": changes, "promoted": batch["promoted"],
    })
}

/// What a batch led to, with at most `most` of the `documents` of each kind.
pub fn told(refreshed: &Value, documents: &Value, most: usize) -> String {
    let report = &refreshed["report"];
    let mut out = vec![headline(refreshed)];
    let read: Vec<_> = rows(&report["read"]).map(text).collect();
    if !read.is_empty() {
        out.push(format!("  sources read: {}", read.join(", ")));
    }
    for unread in rows(&report["unread"]) {
        let (source, reason) = (text(&unread["source"]), text(&unread["reason"]));
        out.push(format!("  source {source} could not be read: {reason}"));
    }
    for (kind, mark) in [("added", '+'), ("changed", '~'), ("removed", '-')] {
        let own = rows(documents).filter(|document| document["what"] == kind).take(most);
        let lines: Vec<_> = own.map(|one| format!("  {mark} {}", document(one))).collect();
        let (shown, all) = (lines.len() as u64, count(report, kind));
        out.extend(lines);
        if documents.is_array() && all > shown {
            out.push(format!("  {mark} {} more", all - shown));
        }
    }
    for skipped in rows(&report["skipped"]) {
        out.push(format!("  skipped {}: {}", text(&skipped["document"]), text(&skipped["reason"])));
    }
    let left_off = report["left_off"]["skipped"].as_u64().unwrap_or_default();
    if left_off > 0 {
        out.push(format!("  skipped {left_off} more"));
    }
    if refreshed["accepted"] == false {
        out.push("  rejected: the snapshot before stays the newest".to_owned());
    }
    out.extend(rows(&report["golden"]["missed"]).map(missed));
    let checks = rows(&report["quality"]["checks"]);
    let (passed, failed): (Vec<_>, Vec<_>) = checks.partition(|check| check["passed"] == true);
    out.extend(failed.iter().map(|check| format!("  gate {} FAILED{}", gate(check), named(check))));
    if !passed.is_empty() {
        let figures: Vec<_> = passed.iter().map(|check| gate(check)).collect();
        out.push(format!("  gates passed: {}", figures.join("; ")));
    }
    out.extend(embedded(report).map(|line| format!("  {line}")));
    out.extend(show::proposals(refreshed));
    out.join("\n")
}

fn headline(refreshed: &Value) -> String {
    let report = &refreshed["report"];
    let batch = match refreshed["batch"].as_u64() {
        Some(batch) => format!("batch {batch}, "),
        None => String::new(),
    };
    format!(
        "{}: {batch}snapshot {}{}, {} documents, {} passages ({} added, {} changed, {} removed)",
        text(&refreshed["knowledge"]),
        short(&refreshed["snapshot"]),
        if refreshed["unchanged"] == true { " (unchanged)" } else { "" },
        text(&report["documents"]),
        text(&report["chunks"]),
        count(report, "added"),
        count(report, "changed"),
        count(report, "removed")
    )
}

/// How many documents of a kind there are, named or left off.
fn count(report: &Value, kind: &str) -> u64 {
    rows(&report[kind]).count() as u64 + report["left_off"][kind].as_u64().unwrap_or_default()
}

fn document(one: &Value) -> String {
    let when = match (one["what"].as_str(), one["estimated"] == true) {
        (Some("removed"), _) => "last seen",
        (_, true) => "first seen",
        _ => "changed",
    };
    let (path, source, why) = (text(&one["document"]), text(&one["source"]), text(&one["why"]));
    format!("{path}  ({source}, {when} {}: {why})", moment(&one["at"]))
}

/// What a golden query must find and does not.
fn missed(missed: &Value) -> String {
    let rank = |rank: &Value| match rank.as_u64() {
        Some(rank) => format!("at rank {rank}"),
        None => "not found".to_owned(),
    };
    let (query, wanted) = (text(&missed["query"]), text(&missed["wanted"]));
    let (before, after) = (rank(&missed["before"]), rank(&missed["after"]));
    format!("  golden query \"{query}\" misses {wanted}: {before} before, {after} now")
}

fn gate(check: &Value) -> String {
    let figure = |value: &Value| {
        let figure = value.as_f64().map(|figure| format!("{figure:.3}"));
        let figure = figure.unwrap_or_else(|| "-".to_owned());
        figure.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let (measured, limit) = (figure(&check["measured"]), figure(&check["limit"]));
    format!("{} {measured} of {limit} allowed", text(&check["gate"]))
}

fn named(check: &Value) -> String {
    let documents: Vec<_> = rows(&check["documents"]).map(text).collect();
    if documents.is_empty() { String::new() } else { format!(": {}", documents.join(", ")) }
}

fn embedded(report: &Value) -> Option<String> {
    let embedding = report.get("embedding").filter(|embedding| embedding.is_object())?;
    let count = |name: &str| text(&embedding[name]);
    let (embedded, cached, tokens) = (count("embedded"), count("cached"), count("tokens"));
    let cost = match embedding["cost"]["nanos"].as_f64() {
        Some(nanos) => format!(", {} {}", nanos / 1e9, text(&embedding["cost"]["currency"])),
        None => String::new(),
    };
    Some(format!("{embedded} texts embedded ({tokens} tokens{cost}), {cached} known before"))
}

/// A batch's report as Markdown, for a ticket or a pull request.
fn markdown(reported: &Value) -> String {
    let (batch, report) = (&reported["batch"], &reported["report"]);
    let verdict = if batch["accepted"] == true { "accepted" } else { "**rejected**" };
    let mut out = vec![
        format!("# Knowledge `{}`, batch {}", text(&batch["knowledge"]), text(&batch["number"])),
        String::new(),
        format!(
            "{} at {} by {}: {verdict}. {} documents, {} passages, snapshot `{}`.",
            cell(&show::cause(batch)),
            moment(&batch["at"]),
            cell(&text(&batch["actor"])),
            text(&report["documents"]),
            text(&report["chunks"]),
            short(&batch["snapshot"])
        ),
    ];
    let mut section = |title: &str, head: [&str; 3], lines: Vec<[String; 3]>| {
        if lines.is_empty() {
            return;
        }
        out.extend([String::new(), format!("## {title}"), String::new()]);
        out.push(format!("| {} |", head.join(" | ")));
        out.push("|---|---|---|".to_owned());
        let row = |line: [String; 3]| format!("| {} |", line.map(|text| cell(&text)).join(" | "));
        out.extend(lines.into_iter().map(row));
    };
    for (kind, title) in [("added", "Added"), ("changed", "Changed"), ("removed", "Removed")] {
        let own = rows(&reported["documents"]).filter(|document| document["what"] == kind);
        let mut lines: Vec<_> = own
            .map(|one| [text(&one["document"]), text(&one["source"]), text(&one["why"])])
            .collect();
        let (shown, all) = (lines.len() as u64, count(report, kind));
        if all > shown {
            lines.push([format!("{} more", all - shown), String::new(), String::new()]);
        }
        section(&format!("{title} ({all})"), ["Document", "Source", "Why"], lines);
    }
    let skipped = rows(&report["skipped"])
        .map(|one| [text(&one["document"]), String::new(), text(&one["reason"])]);
    let unread = rows(&report["unread"])
        .map(|one| ["the whole source".to_owned(), text(&one["source"]), text(&one["reason"])]);
    let head = ["Document", "Source", "Why"];
    section("Not read", head, unread.chain(skipped).collect());
    let gates = rows(&report["quality"]["checks"]).map(|check| {
        let passed = if check["passed"] == true { "passed" } else { "FAILED" };
        [
            gate(check),
            passed.to_owned(),
            rows(&check["documents"]).map(text).collect::<Vec<_>>().join(", "),
        ]
    });
    section("Gates", ["Gate", "Verdict", "Documents"], gates.collect());
    out.extend(embedded(report).map(|line| format!("\nEmbedding: {line}.")));
    let changes: Vec<_> = rows(&batch["changes"]).map(text).collect();
    if !changes.is_empty() {
        out.push(format!("\nProposed: {}.", changes.join(", ")));
    }
    out.extend(
        rows(&batch["promoted"]).map(|entry| format!("\nPromoted: {}.", show::moved(entry))),
    );
    out.join("\n") + "\n"
}

/// A text that a table can hold as it is: a path may have any character.
fn cell(text: &str) -> String {
    let fit = |c: char| match c {
        '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '\\' => format!("\\{c}"),
        c if c.is_control() => " ".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(fit).collect()
}

#[cfg(test)]
mod tests;
