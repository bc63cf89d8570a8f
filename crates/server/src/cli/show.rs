//! Answers of the API, in plain sentences and tables for people.

use std::io::Write;

use anyhow::Result;
use serde_json::Value;

use super::waterfall::{spans_of_answer, waterfall};

/// How a command prints.
pub struct Output {
    /// As JSON.
    pub json: bool,
}

impl Output {
    /// Prints a value: as JSON, or as `shown` for people.
    pub fn value(&self, value: &Value, shown: impl FnOnce(&Value) -> String) -> Result<()> {
        if self.json {
            self.text(&serde_json::to_string_pretty(value)?)
        } else {
            self.text(&shown(value))
        }
    }

    /// Prints text. A reader that has gone, as `head`, is no error.
    pub fn text(&self, text: &str) -> Result<()> {
        match writeln!(std::io::stdout(), "{}", text.trim_end()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// A value as text: strings bare, nothing as `-`.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// One field of every row.
pub fn column(rows: &Value, field: &str) -> String {
    let rows = rows.as_array().into_iter().flatten();
    rows.map(|row| text(&row[field])).collect::<Vec<_>>().join("\n")
}

/// A digest's first digits.
pub fn short(value: &Value) -> String {
    match value.as_str().and_then(|text| text.strip_prefix("sha256:")) {
        Some(digits) => digits.chars().take(12).collect(),
        None => text(value),
    }
}

/// A moment to the second.
pub fn moment(value: &Value) -> String {
    let moment = text(value);
    match moment.split_once('.') {
        Some((second, _)) => format!("{second}Z"),
        None => moment,
    }
}

/// The rows of a list.
pub fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Columns padded to their widest cell.
pub fn table(head: &[&str], cells: Vec<Vec<String>>) -> String {
    if cells.is_empty() {
        return "none".to_owned();
    }
    let lines: Vec<Vec<String>> =
        std::iter::once(head.iter().map(|cell| (*cell).to_owned()).collect())
            .chain(cells)
            .collect();
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let line = |cells: &Vec<String>| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What an upload changed.
pub fn applied(applied: &Value) -> String {
    let mut out = vec![format!(
        "project {} is at generation {}",
        text(&applied["project"]),
        text(&applied["generation"])
    )];
    for artifact in rows(&applied["artifacts"]) {
        out.push(format!(
            "  new {} {} {}",
            text(&artifact["kind"]),
            text(&artifact["name"]),
            short(&artifact["digest"])
        ));
    }
    out.extend(proposals(applied));
    for waiting in rows(&applied["waiting"]) {
        let base = text(&waiting["knowledge"]);
        out.push(format!(
            "  app {} waits for the first snapshot of {base}: run `groundcrew knowledge refresh {base}`",
            text(&waiting["app"])
        ));
    }
    out.extend(rows(&applied["defined"]).map(|item| format!("  defined {}", text(item))));
    out.extend(rows(&applied["removed"]).map(|item| format!("  removed {}", text(item))));
    out.extend(rows(&applied["kept"]).map(|item| format!("  kept {}", text(item))));
    for warning in rows(&applied["warnings"]) {
        let warning = serde_json::from_value::<release::Diagnostic>(warning.clone());
        out.extend(warning.ok().map(|warning| warning.to_string()));
    }
    if out.len() == 1 {
        out.push("  nothing changed".to_owned());
    }
    out.join("\n")
}

/// The changes that something proposed, and the moves that were made at once.
pub fn proposals(value: &Value) -> Vec<String> {
    let changes = rows(&value["changes"]).map(|change| {
        if change["release"].is_null() {
            return format!("  change {}", text(&change["id"]));
        }
        let slots = rows(&change["diff"]).map(|diff| text(&diff["slot"])).collect::<Vec<_>>();
        format!(
            "  change {} proposes release {} ({})",
            text(&change["id"]),
            short(&change["release"]),
            slots.join(", ")
        )
    });
    let promoted = rows(&value["promoted"]).map(|entry| format!("  {}", moved(entry)));
    let gated = rows(&value["gated"]).map(|waits| format!("  {}", self::waits(waits)));
    changes.chain(promoted).chain(gated).collect()
}

/// A candidate that gates do not let in yet.
fn waits(waits: &Value) -> String {
    let why = rows(&waits["why"]).map(|why| format!("\n    {}", text(why))).collect::<String>();
    format!(
        "{} ({}) waits before {} of {}:{why}",
        text(&waits["change"]),
        short(&waits["release"]),
        text(&waits["environment"]),
        text(&waits["app"])
    )
}

/// A move of an environment.
pub fn moved(entry: &Value) -> String {
    let step = &entry["move"];
    let place = format!("{} in {}", text(&entry["app"]), text(&entry["environment"]));
    let mut out = match step["kind"].as_str() {
        Some("stable") => match &step["from"] {
            Value::Null => format!("{place}: {} is live", short(&step["to"])),
            from => format!("{place}: {} is live instead of {}", short(&step["to"]), short(from)),
        },
        Some("hold") => format!("{place}: {} is held", short(&step["release"])),
        Some("clear") => format!("{place}: {} is no longer held", short(&step["release"])),
        _ => match &step["to"] {
            Value::Null => format!("{place}: the stable release answers everything again"),
            plan => {
                let id = text(&plan["owner"]["id"]);
                format!("{id}: {}; look at it with `groundcrew rollout watch {id}`", split(plan))
            }
        },
    };
    if let Some(held) = step["hold"].as_str() {
        out.push_str(&format!(" ({} is held)", short(&held.into())));
    }
    out
}

/// Who answers how much under a traffic plan.
fn split(plan: &Value) -> String {
    let share = |arm: &Value| -> f64 {
        let bounds = |range: &Value| Some(range["to"].as_f64()? - range["from"].as_f64()?);
        rows(&arm["ranges"]).filter_map(bounds).sum::<f64>() / 100.0
    };
    let arms = rows(&plan["arms"]).map(|arm| {
        format!("{} answers {} % ({})", short(&arm["release"]), share(arm), text(&arm["name"]))
    });
    let mirror = plan["mirror"].as_object().map(|mirror| {
        let share = mirror["share"].as_f64().unwrap_or_default() / 100.0;
        format!("{} is asked copies of {share} % and answers nobody", short(&mirror["release"]))
    });
    arms.chain(mirror).collect::<Vec<_>>().join(", ")
}

/// How the server and its apps are.
pub fn status(status: &Value) -> String {
    let mut cells = Vec::new();
    for app in rows(&status["apps"]) {
        let sequence = |release: &Value| {
            let known = release.as_str().and_then(|digest| app["releases"].get(digest));
            known.map_or_else(String::new, |record| format!("#{} ", text(&record["sequence"])))
        };
        for environment in rows(&app["environments"]) {
            let stable = &environment["stable"];
            let held: Vec<_> = rows(&environment["held"]).map(short).collect();
            cells.push(vec![
                text(&app["app"]["name"]),
                text(&environment["name"]),
                format!("{}{}", sequence(stable), short(stable)),
                held.join(" "),
            ]);
        }
    }
    let traces = &status["traces"];
    let mut out = vec![
        format!("groundcrew {}, tenant {}", text(&status["version"]), text(&status["tenant"])),
        table(&["APP", "ENVIRONMENT", "LIVE", "HELD"], cells),
        knowledge(&status["knowledge"]),
    ];
    if traces.is_object() {
        out.push(format!(
            "traces: {} written, {} refused, {} corrupt, {} bytes",
            text(&traces["appended"]),
            text(&traces["refused"]),
            text(&traces["corrupt"]),
            text(&traces["bytes"])
        ));
    }
    for (signal, counts) in status["telemetry"].as_object().into_iter().flatten() {
        out.push(format!(
            "{signal} received: {} kept, {} rejected; messages: {} refused, {} to be sent again",
            text(&counts["accepted"]),
            text(&counts["rejected"]),
            text(&counts["refused"]),
            text(&counts["postponed"])
        ));
    }
    let export = &status["export"];
    if export.is_object() {
        let mut line = format!(
            "export: {} messages sent, {} behind, {} refused",
            text(&export["sent"]),
            text(&export["behind"]),
            text(&export["refused"])
        );
        if let Some(failure) = export["failure"].as_str() {
            line.push_str(&format!("; held up: {failure}"));
        }
        out.push(line);
    }
    for broken in rows(&status["cannot_answer"]) {
        out.push(format!(
            "CANNOT ANSWER: {} in {}: {}",
            text(&broken["app"]),
            text(&broken["environment"]),
            text(&broken["why"])
        ));
    }
    out.join("\n\n")
}

/// Releases, newest first.
pub fn releases(releases: &Value) -> String {
    let cells = rows(releases).map(|release| {
        vec![
            format!("#{}", text(&release["sequence"])),
            short(&release["release"]),
            text(&release["change"]),
            moment(&release["created_at"]),
        ]
    });
    table(&["RELEASE", "DIGEST", "CHANGE", "PROPOSED"], cells.collect())
}

/// One release.
pub fn release(value: &Value) -> String {
    let record = &value["release"];
    let slots = record["slots"].as_object().into_iter().flatten().map(|(slot, artifact)| {
        vec![
            slot.clone(),
            format!("{} {}", text(&artifact["kind"]), text(&artifact["name"])),
            text(&artifact["digest"]),
        ]
    });
    let changes = rows(&value["changes"]).map(|change| {
        let reason = Some(text(&change["reason"])).filter(|reason| !reason.is_empty());
        format!(
            "{} by {} at {}{}{}",
            text(&change["id"]),
            text(&change["author"]),
            moment(&change["proposed_at"]),
            commit(change),
            reason.map_or_else(String::new, |reason| format!(": {reason}"))
        )
    });
    let gone = rows(&value["redacted"]).flat_map(|redacted| rows(&redacted["documents"])).map(text);
    let gone = gone.collect::<Vec<_>>().join(", ");
    let redacted = if gone.is_empty() { gone } else { format!(" (redacted: {gone} erased)") };
    let held = rows(&value["held"]).map(|entry| {
        let (place, by) = (text(&entry["environment"]), text(&entry["actor"]));
        let (at, why) = (moment(&entry["at"]), text(&entry["cause"]["reason"]));
        format!("\nheld in {place} by {by} at {at}: {why}")
    });
    format!(
        "release #{} of {}{redacted}\n{}\n\n{}\n\nproposed by\n{}{}",
        text(&record["sequence"]),
        text(&record["app"]),
        text(&record["release"]),
        table(&["SLOT", "ARTIFACT", "DIGEST"], slots.collect()),
        changes.map(|change| format!("  {change}")).collect::<Vec<_>>().join("\n"),
        held.collect::<String>(),
    )
}

/// The commit of a change, and who wrote it.
pub fn commit(change: &Value) -> String {
    let author = change["commit_author"].as_str();
    let author = author.map_or_else(String::new, |author| format!(" by {author}"));
    let commit = change["commit"].as_str();
    commit.map_or_else(String::new, |commit| format!(", commit {commit}{author}"))
}

/// What differs between two releases.
pub fn diff(diff: &Value) -> String {
    let slots = rows(&diff["slots"]).map(|slot| {
        let artifact = |side: &Value| match side {
            Value::Null => "nothing".to_owned(),
            side => format!("{} {}", text(&side["name"]), short(&side["digest"])),
        };
        format!(
            "{}: {} → {}\n{}",
            text(&slot["slot"]),
            artifact(&slot["from"]),
            artifact(&slot["to"]),
            text(&slot["text"])
        )
    });
    let slots: Vec<_> = slots.collect();
    if slots.is_empty() { "the same".to_owned() } else { slots.join("\n") }
}

/// An environment's moves.
pub fn history(history: &Value) -> String {
    let cells = rows(&history["log"]).map(|entry| {
        let cause = &entry["cause"];
        let why = match cause["kind"].as_str() {
            Some("promotion") => format!("promotion of {}", text(&cause["change"])),
            Some(kind) => format!("{} {}", kind.replace('_', " "), text(&cause["reason"])),
            None => "-".to_owned(),
        };
        vec![
            text(&entry["generation"]),
            moment(&entry["at"]),
            moved(entry),
            why.trim_end_matches([' ', '-']).to_owned(),
            text(&entry["actor"]),
        ]
    });
    format!(
        "{}\n\nlive: {}",
        table(&["MOVE", "AT", "WHAT", "WHY", "WHO"], cells.collect()),
        text(&history["pointer"]["stable"])
    )
}

/// Knowledge bases.
pub fn knowledge(bases: &Value) -> String {
    let cells = rows(bases).map(|base| {
        vec![text(&base["name"]), short(&base["snapshot"]), moment(&base["refreshed_at"])]
    });
    table(&["KNOWLEDGE", "SNAPSHOT", "REFRESHED"], cells.collect())
}

/// Batches of a knowledge base.
pub fn batches(batches: &Value) -> String {
    let cells = rows(batches).map(|batch| {
        let verdict = if batch["accepted"] == true { "accepted" } else { "rejected" };
        let (number, actor) = (text(&batch["number"]), text(&batch["actor"]));
        let (snapshot, at) = (short(&batch["snapshot"]), moment(&batch["at"]));
        vec![number, at, cause(batch), verdict.to_owned(), snapshot, actor]
    });
    table(&["BATCH", "AT", "CAUSE", "GATES", "SNAPSHOT", "BY"], cells.collect())
}

/// What is held.
pub fn holds(holds: &Value) -> String {
    let cells = rows(holds).map(|hold| {
        let (digest, reason) = (text(&hold["digest"]), text(&hold["reason"]));
        vec![digest, text(&hold["by"]), moment(&hold["at"]), reason]
    });
    table(&["DIGEST", "BY", "AT", "REASON"], cells.collect())
}

/// What a batch was for.
pub fn cause(batch: &Value) -> String {
    let cause = &batch["cause"];
    let what = ["what", "batch", "erasure"].map(|field| &cause[field]).into_iter();
    let what = what.filter(|what| !what.is_null()).map(|what| format!(" {}", text(what)));
    format!("{}{}", text(&cause["kind"]), what.collect::<String>())
}

/// What is different between two snapshots.
pub fn documents_between(diff: &Value) -> String {
    let kinds = [("added", '+'), ("changed", '~'), ("removed", '-')];
    let lines = kinds.iter().flat_map(|(kind, mark)| {
        rows(&diff[*kind]).map(move |path| format!("{mark} {}", text(path)))
    });
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() { "no document is different".to_owned() } else { lines.join("\n") }
}

/// What a proposal led to.
pub fn proposed(proposed: &Value) -> String {
    let mut out = match proposed["outcome"].as_str() {
        Some("unchanged") => format!(
            "{}: {} is the newest candidate, with the same slots",
            text(&proposed["app"]),
            short(&proposed["release"])
        ),
        Some("waiting") => {
            let base = text(&proposed["knowledge"]);
            let app = text(&proposed["app"]);
            format!("app {app} waits for the first snapshot of {base}")
        }
        _ => format!("{}: {} is a candidate", text(&proposed["id"]), short(&proposed["release"])),
    };
    if !proposed["promoted"].is_null() {
        out.push_str(&format!("\n{}", moved(&proposed["promoted"])));
    }
    if !proposed["waits"].is_null() {
        out.push_str(&format!("\n{}", waits(&proposed["waits"])));
    }
    out
}

/// Passages that were found.
pub fn passages(found: &Value) -> String {
    let passages = rows(&found["passages"]).enumerate().map(|(index, passage)| {
        let page = match passage["page"].as_u64() {
            Some(page) => format!("  page {page}"),
            None => String::new(),
        };
        let head = format!(
            "{}. {:.3}  {} [{}..{}]{page}  {}",
            index + 1,
            passage["score"].as_f64().unwrap_or_default(),
            text(&passage["document"]),
            text(&passage["start"]),
            text(&passage["end"]),
            text(&passage["title"]),
        );
        let lines = [vec![head], reasons(&passage["why"]), vec![text(&passage["text"])]];
        lines.concat().join("\n")
    });
    let mut out: Vec<_> = passages.collect();
    if out.is_empty() {
        out.push("nothing fits".to_owned());
    }
    if let Some(why) = found["reranked"]["failed"].as_str() {
        out.push(format!("not ordered anew: {why}"));
    }
    out.join("\n\n")
}

/// Where a passage's score comes from, a line each.
fn reasons(why: &Value) -> Vec<String> {
    let number = |value: &Value| format!("{:.4}", value.as_f64().unwrap_or_default());
    let rank = |ranked: &Value| match (ranked["rank"].as_u64(), &ranked["share"]) {
        (Some(rank), Value::Null) => format!("rank {rank}"),
        (Some(rank), share) => format!("rank {rank}, share {}", number(share)),
        (None, _) => "not among the first".to_owned(),
    };
    let mut lines = Vec::new();
    let words = &why["bm25"];
    if !words.is_null() {
        lines.push(format!(
            "   bm25 {}, {}, {} terms of {} on average",
            number(&words["score"]),
            rank(words),
            text(&words["length"]),
            number(&words["average_length"])
        ));
        lines.extend(rows(&words["terms"]).map(|term| {
            let (name, score) = (text(&term["term"]), number(&term["score"]));
            format!("     {score}  {name}: idf {}, tf {}", number(&term["idf"]), text(&term["tf"]))
        }));
    }
    for (name, ranked) in [("vector", &why["vector"]), ("before reranking", &why["reranked"])] {
        if !ranked.is_null() {
            lines.push(format!("   {name} {}, {}", number(&ranked["score"]), rank(ranked)));
        }
    }
    lines.extend(rows(&why["filters"]).map(|verdict| {
        format!("   passed {}: it has {}", text(&verdict["filter"]), verdict["value"])
    }));
    lines
}

/// How well a knowledge base finds what is relevant, a mode a line.
pub fn evaluation(found: &Value) -> String {
    let k = text(&found["k"]);
    let mut out = vec![format!("{} queries, {k} passages each", text(&found["queries"]))];
    let names = [
        (format!("hit@{k}"), "hit_at_k"),
        ("MRR@10".to_owned(), "mrr_at_10"),
        ("nDCG@10".to_owned(), "ndcg_at_10"),
        (format!("recall@{k}"), "recall_at_k"),
    ];
    for (mode, scores) in found["modes"].as_object().into_iter().flatten() {
        let figures = names.iter().map(|(name, key)| {
            let part = |of: &str| scores[*key][of].as_f64().unwrap_or_default();
            format!("{name} {:.3} ({:.3}–{:.3})", part("mean"), part("low"), part("high"))
        });
        out.push(format!("{mode:7} {}", figures.collect::<Vec<_>>().join("  ")));
    }
    let unknown: Vec<_> = rows(&found["unknown"]).map(text).collect();
    if !unknown.is_empty() {
        let count = text(&found["unknown_count"]);
        out.push(format!("{count} relevant are not in the snapshot: {}", unknown.join(", ")));
    }
    out.join("\n")
}

/// A model that was imported.
pub fn imported(made: &Value) -> String {
    format!(
        "model {} imported as {}: {} dimensions, {} tokens a text",
        text(&made["name"]),
        short(&made["model"]),
        text(&made["dimension"]),
        text(&made["max_tokens"])
    )
}

/// An answer with what it rests on.
pub fn answer(answer: &Value) -> String {
    let message = &answer["choices"][0]["message"];
    let mut out = vec![text(&message["content"])];
    let cited: Vec<_> = rows(&message["annotations"])
        .map(|annotation| {
            let citation = &annotation["url_citation"];
            format!("  {}: {}", text(&citation["url"]), text(&citation["title"]))
        })
        .collect();
    if !cited.is_empty() {
        out.push(cited.join("\n"));
    }
    out.push(format!("release {}, trace {}", short(&answer["release"]), text(&answer["trace"])));
    out.join("\n\n")
}

/// The newest answers.
pub fn traces(traces: &Value) -> String {
    let cells = rows(traces).map(|trace| {
        let milliseconds = trace["duration_ns"].as_f64().unwrap_or_default() / 1e6;
        vec![
            text(&trace["trace"]),
            moment(&trace["started_at"]),
            format!("{}@{}", text(&trace["app"]), text(&trace["environment"])),
            short(&trace["release"]),
            text(&trace["outcome"]),
            format!("{milliseconds:.1} ms"),
            format!("{}/{}", text(&trace["input_tokens"]), text(&trace["output_tokens"])),
        ]
    });
    table(&["TRACE", "AT", "APP", "RELEASE", "OUTCOME", "TOOK", "TOKENS"], cells.collect())
}

/// One answer: what produced it.
pub fn trace(trace: &Value) -> String {
    let generation = &trace["generation"];
    if trace["outcome"].is_null() {
        // Of other services; there is no answer of ours in it.
        return format!("trace {}\n{}", text(&trace["trace"]), waterfall(&trace["spans"]));
    }
    let mut out = vec![
        format!("trace {}", text(&trace["trace"])),
        format!(
            "{} in {} by {} at {}: {}",
            text(&trace["app"]),
            text(&trace["environment"]),
            text(&trace["principal"]),
            moment(&trace["started_at"]),
            text(&trace["outcome"]["outcome"])
        ),
        format!("release {}", text(&trace["release"])),
    ];
    if let Some(original) = trace["aside"]["copy_of"].as_str() {
        out.push(format!("a copy of the request of {original}: nobody saw the answer"));
    }
    if let Some(message) = trace["outcome"]["message"].as_str() {
        out.push(format!("failed: {message}"));
    }
    if let Some(snapshot) = trace["retrieval"]["snapshot"].as_str() {
        let redacted = if trace["redacted"] == true { "  [redacted]" } else { "" };
        out.push(format!("knowledge {snapshot}{redacted}"));
        for chunk in rows(&trace["retrieval"]["chunks"]) {
            out.push(format!(
                "  {:>7.3}  {} [{}..{}]  chunk {}{}",
                chunk["score"].as_f64().unwrap_or_default(),
                text(&chunk["document"]),
                text(&chunk["start"]),
                text(&chunk["end"]),
                short(&chunk["id"]),
                if chunk["redacted"] == true { "  erased since" } else { "" }
            ));
        }
    }
    if generation.is_object() {
        let cost = match (&generation["cost"]["nanos"], generation["unpriced"].as_str()) {
            (Value::Number(nanos), _) => {
                let amount = nanos.as_f64().unwrap_or_default() / 1e9;
                format!("{amount} {}", text(&generation["cost"]["currency"]))
            }
            (_, reason) => format!("unpriced ({})", reason.unwrap_or("unknown")),
        };
        out.push(format!(
            "model {} of {}: {}, {} tokens in, {} out{}, {cost}",
            text(&generation["response_model"]),
            text(&generation["provider"]),
            text(&generation["finish"]),
            text(&generation["input_tokens"]),
            text(&generation["output_tokens"]),
            if generation["usage_estimated"] == true { " (estimated)" } else { "" },
        ));
        if generation["unreadable_events"].as_u64().is_some_and(|count| count > 0) {
            let count = text(&generation["unreadable_events"]);
            out.push(format!("{count} event(s) of the provider could not be read"));
        }
    }
    for finding in rows(&trace["findings"]) {
        out.push(format!(
            "guardrail {} on {}: {}",
            text(&finding["rule"]),
            text(&finding["on"]),
            text(&finding["action"])
        ));
    }
    for score in rows(&trace["scores"]) {
        let value = if score["value"].is_null() { &score["error_type"] } else { &score["value"] };
        let label = score["label"].as_str().unwrap_or_default();
        out.push(
            format!("score {}: {} {label}", text(&score["name"]), text(value))
                .trim_end()
                .to_owned(),
        );
    }
    out.push(match &trace["spans"] {
        Value::Array(_) => waterfall(&trace["spans"]),
        _ => waterfall(&spans_of_answer(trace)),
    });
    out.push(format!("asked    {}", kept(&trace["input"])));
    out.push(format!("answered {}", kept(&trace["output"])));
    out.join("\n")
}

/// What was kept of a text.
fn kept(captured: &Value) -> String {
    match captured["captured"].as_str() {
        Some("full") => text(&captured["json"]),
        Some("hashed") => {
            format!("{} bytes, {}", text(&captured["bytes"]), text(&captured["digest"]))
        }
        _ => format!("{} bytes, not kept", text(&captured["bytes"])),
    }
}

/// A key just made: the only time its secret is seen.
pub fn key_made(made: &Value) -> String {
    let id = text(&made["id"]);
    match &made["secret"] {
        Value::Null => format!("{}\n(shown this once; its id is {id})", text(&made["key"])),
        secret => format!(
            "export AWS_ACCESS_KEY_ID={id}\nexport AWS_SECRET_ACCESS_KEY={}\n\
             (shown this once; for the AWS CLI: --endpoint-url and any --region)",
            text(secret)
        ),
    }
}

/// Keys.
pub fn keys(keys: &Value) -> String {
    let cells = rows(keys).map(|key| {
        let state = match (&key["revoked_at"], &key["expires_at"]) {
            (Value::String(_), _) => format!("revoked {}", moment(&key["revoked_at"])),
            (_, Value::String(_)) => format!("until {}", moment(&key["expires_at"])),
            _ => "valid".to_owned(),
        };
        vec![text(&key["id"]), text(&key["principal"]), moment(&key["created_at"]), state]
    });
    table(&["KEY", "PRINCIPAL", "MADE", "STATE"], cells.collect())
}

/// Users and service accounts.
pub fn users(users: &Value) -> String {
    let cells = rows(users).map(|user| {
        let tenant = user["tenant"].as_str().unwrap_or("(installation)");
        vec![text(&user["id"]), text(&user["role"]), tenant.to_owned()]
    });
    table(&["PRINCIPAL", "ROLE", "TENANT"], cells.collect())
}
