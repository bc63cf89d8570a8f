//! How fresh knowledge is.

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::show::{Output, moment, rows, short, table, text};
use super::workflow::seconds;
use crate::client::Client;

#[derive(Debug, Args)]
pub struct LinkArguments {
    /// The knowledge base.
    name: String,
    /// Read only this source. May be given several times.
    #[arg(long)]
    source: Vec<String>,
    /// How long it counts, as `24h` or `90d` (at most 3650d).
    #[arg(long, default_value = "365d", value_parser = seconds)]
    expires: u32,
}

/// Makes a link that starts a refresh.
pub async fn link(client: &Client, asked: LinkArguments, out: &Output) -> Result<()> {
    let path = format!("/api/v1/knowledge/{}/refresh-link", asked.name);
    let body = json!({"sources": asked.source, "expires_seconds": asked.expires});
    let mut made = client.post(&path, &body).await?;
    made["url"] = format!("{}{}", client.url(), text(&made["path"])).into();
    out.value(&made, |made| {
        let (principal, until) = (text(&made["principal"]), moment(&made["expires_at"]));
        format!("{}\nstarts a refresh as {principal} until {until}", text(&made["url"]))
    })
}

/// How fresh a knowledge base is, or each of them.
pub async fn show(client: &Client, name: Option<&str>, out: &Output) -> Result<()> {
    let told = match name {
        Some(name) => json!([of(client, name).await?]),
        None => Value::Array(all(client).await?),
    };
    out.value(&told, |told| {
        let each: Vec<_> = rows(told).map(freshness).collect();
        if each.is_empty() { "none".to_owned() } else { each.join("\n\n") }
    })
}

/// The knowledge bases, their newest snapshots, and how fresh each is.
pub async fn status(client: &Client, out: &Output) -> Result<()> {
    let mut bases = client.get("/api/v1/knowledge", &[]).await?;
    for base in bases.as_array_mut().into_iter().flatten() {
        base["freshness"] = of(client, &text(&base["name"])).await?;
    }
    out.value(&bases, |bases| {
        let cells = rows(bases).map(|base| {
            let freshness = in_short(&base["freshness"]);
            vec![
                text(&base["name"]),
                short(&base["snapshot"]),
                moment(&base["refreshed_at"]),
                freshness,
            ]
        });
        table(&["KNOWLEDGE", "SNAPSHOT", "REFRESHED", "FRESHNESS"], cells.collect())
    })
}

async fn all(client: &Client) -> Result<Vec<Value>> {
    let mut told = Vec::new();
    for base in rows(&client.get("/api/v1/knowledge", &[]).await?) {
        told.push(of(client, &text(&base["name"])).await?);
    }
    Ok(told)
}

async fn of(client: &Client, name: &str) -> Result<Value> {
    client.get(&format!("/api/v1/knowledge/{name}/freshness"), &[]).await
}

/// A knowledge base: how each source is read, and how fresh it is wherever it serves.
fn freshness(told: &Value) -> String {
    let sources = rows(&told["sources"]).map(|source| {
        let failing = &source["failing"];
        let state = match failing["reason"].as_str() {
            Some(reason) => format!("failing since {}: {reason}", moment(&failing["since"])),
            None => String::new(),
        };
        let due = match (source["tier"].as_str(), &source["due_at"]) {
            (None, _) => "by hand".to_owned(),
            (Some("continuous"), _) => "when it changes".to_owned(),
            (Some(_), due) => moment(due),
        };
        let (tier, objective) = (text(&source["tier"]), duration(&source["objective"]));
        vec![text(&source["source"]), tier, objective, moment(&source["read_at"]), due, state]
    });
    let head = ["SOURCE", "TIER", "OBJECTIVE", "READ", "NEXT", ""];
    let mut out =
        vec![format!("{}\n{}", text(&told["knowledge"]), table(&head, sources.collect()))];
    for place in rows(&told["serving"]) {
        let cells = rows(&place["sources"]).map(|source| {
            let lag = &source["lag"];
            vec![
                text(&source["source"]),
                duration(&source["staleness"]),
                text(&source["pending"]),
                duration(&source["unknown_age"]),
                ["p50", "p95", "max"].map(|part| duration(&lag[part])).join(" / "),
                source["burn"].as_f64().map_or("-".to_owned(), |burn| format!("{burn:.2}")),
                promise(source),
            ]
        });
        let head =
            ["SOURCE", "STALE", "WAITING", "UNKNOWN", "LAG P50 / P95 / MAX", "BURN", "PROMISE"];
        out.push(format!(
            "{} in {} since {}: snapshot {}\n{}",
            text(&place["app"]),
            text(&place["environment"]),
            moment(&place["since"]),
            short(&place["snapshot"]),
            table(&head, cells.collect())
        ));
    }
    if rows(&told["serving"]).next().is_none() {
        out.push("it serves nowhere".to_owned());
    }
    out.join("\n\n")
}

/// How a promise stands. What burns now counts, also before it was told of.
fn promise(source: &Value) -> String {
    match source["burn"].as_f64() {
        None => "-".to_owned(),
        Some(burn) if burn >= 1.0 => "broken".to_owned(),
        Some(burn) if burn >= 0.8 => "burning".to_owned(),
        Some(_) => "kept".to_owned(),
    }
}

/// What matters most of how fresh a knowledge base is.
fn in_short(told: &Value) -> String {
    let mut out = Vec::new();
    let failing = rows(&told["sources"]).filter(|source| source["failing"].is_object());
    out.extend(failing.map(|source| format!("{} cannot be read", text(&source["source"]))));
    for place in rows(&told["serving"]) {
        let at = format!("{}@{}", text(&place["app"]), text(&place["environment"]));
        for source in rows(&place["sources"]).filter(|source| source["pending"] != 0) {
            let broken = if promise(source) == "broken" { ", promise broken" } else { "" };
            out.push(format!(
                "{} of {} wait {} for {at}{broken}",
                text(&source["pending"]),
                text(&source["source"]),
                duration(&source["staleness"])
            ));
        }
    }
    match (out.is_empty(), rows(&told["serving"]).next()) {
        (true, None) => "serves nowhere".to_owned(),
        (true, Some(_)) => "nothing waits".to_owned(),
        (false, _) => out.join("; "),
    }
}

/// Seconds, as `2d 3h`, `5m 10s` or `0s`.
fn duration(seconds: &Value) -> String {
    let Some(seconds) = seconds.as_i64() else { return "-".to_owned() };
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let Some(first) = units.iter().position(|(unit, _)| seconds >= *unit) else {
        return "0s".to_owned();
    };
    let mut left = seconds;
    let mut parts = Vec::new();
    for (unit, name) in units.iter().skip(first).take(2) {
        if left / unit > 0 {
            parts.push(format!("{}{name}", left / unit));
        }
        left %= unit;
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests;
