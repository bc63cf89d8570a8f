//! Why an app is slow or fails.

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::series::short;
use super::show::{Output, moment, rows, table, text};
use super::waterfall::{cut, plain};
use crate::client::Client;

#[derive(Debug, Args)]
pub struct DiagnoseArguments {
    /// The app.
    app: String,
    /// Only in this environment.
    #[arg(long)]
    env: Option<String>,
    /// Since when: a moment (RFC 3339) or how long ago, as 90m.
    #[arg(long, default_value = "1h")]
    since: String,
    /// Until when.
    #[arg(long)]
    until: Option<String>,
}

/// Asks for a diagnosis.
pub async fn run(client: &Client, asked: DiagnoseArguments, out: &Output) -> Result<()> {
    let mut query = vec![("since", asked.since)];
    query.extend(asked.until.map(|until| ("until", until)));
    query.extend(asked.env.map(|environment| ("environment", environment)));
    let path = format!("/api/v1/apps/{}/diagnosis", asked.app);
    out.value(&client.get(&path, &query).await?, diagnosis)
}

fn diagnosis(told: &Value) -> String {
    let place = told["environment"].as_str().map_or(String::new(), |name| format!(" in {name}"));
    let mut out = vec![format!(
        "{}{place} from {} to {}",
        text(&told["app"]),
        moment(&told["since"]),
        moment(&told["until"])
    )];
    out.push(format!("WHAT CHANGED\n{}", timeline(&told["timeline"])));
    let graph = &told["graph"];
    if graph["spans"] == 0 {
        out.push("no spans in this time".to_owned());
        return out.join("\n\n");
    }
    let of =
        format!("{} spans of the newest {} traces", text(&graph["spans"]), text(&graph["traces"]));
    out.push(format!("WHAT TRACES WAIT FOR ({of})\n{}", waiting(&told["waiting"])));
    out.push(format!("WHERE ERRORS BEGIN\n{}", hot_spots(&graph["hot_spots"])));
    out.push(format!("WHO CALLS WHOM\n{}", edges(&graph["edges"])));
    out.join("\n\n")
}

/// Moments in order; below each change what may have caused it.
fn timeline(moments: &Value) -> String {
    let mut out = Vec::new();
    for one in rows(moments) {
        let at = moment(&one["at"]);
        if one["type"] == "happened" {
            out.push(format!("{at}    {}, by {}", plain(&text(&one["what"])), text(&one["actor"])));
            continue;
        }
        let level = |name: &str| one[name].as_f64().unwrap_or_default();
        let (before, after) = (level("before"), level("after"));
        let direction = if after > before { '▲' } else { '▼' };
        let factor = match before {
            0.0 => String::new(),
            _ => format!(" ({:+.0} %)", (after / before - 1.0) * 100.0),
        };
        out.push(format!(
            "{at}  {direction} {} {} → {}{factor}",
            text(&one["metric"]),
            short(before),
            short(after)
        ));
        for suspect in rows(&one["suspects"]) {
            let seconds = suspect["seconds_before"].as_i64().unwrap_or_default();
            let when = match seconds {
                ..0 => "in the same minute".to_owned(),
                0..120 => format!("{seconds} s before"),
                _ => format!("{} min before", seconds / 60),
            };
            out.push(format!("{:24}after {}, {when}", "", plain(&text(&suspect["what"]))));
        }
    }
    if out.is_empty() { "nothing changed, and nothing happened".to_owned() } else { out.join("\n") }
}

fn seconds(value: &Value) -> String {
    super::waterfall::took((value.as_f64().unwrap_or_default() * 1e9) as i64)
}

fn cell(value: &Value) -> String {
    cut(&plain(value.as_str().filter(|it| !it.is_empty()).unwrap_or("-")), 40)
}

fn waiting(told: &Value) -> String {
    let cells = rows(told).map(|it| {
        vec![
            format!("{:.0} %", it["share"].as_f64().unwrap_or_default() * 100.0),
            seconds(&it["seconds"]),
            cell(&it["service"]),
            cell(&it["name"]),
            cell(&it["dependency"]),
            text(&it["traces"]),
        ]
    });
    table(&["SHARE", "IN ALL", "SERVICE", "SPAN", "ASKS", "TRACES"], cells.collect())
}

fn hot_spots(told: &Value) -> String {
    let cells = rows(told).map(|it| {
        vec![
            text(&it["errors"]),
            cell(&it["service"]),
            cell(&it["name"]),
            cell(&it["dependency"]),
            cell(&it["error"]),
            cell(&it["example"]),
        ]
    });
    table(&["ERRORS", "SERVICE", "SPAN", "ASKS", "WHY", "FOR EXAMPLE"], cells.collect())
}

fn edges(told: &Value) -> String {
    let cells = rows(told).map(|it| {
        let caller = it["caller"].as_str().filter(|name| !name.is_empty());
        let caller = caller.map_or("(outside)".to_owned(), |name| cut(&plain(name), 40));
        vec![
            format!("{caller} → {}", cell(&it["callee"])),
            text(&it["calls"]),
            text(&it["errors"]),
            seconds(&it["p50"]),
            seconds(&it["p95"]),
            seconds(&it["p99"]),
        ]
    });
    table(&["CALL", "CALLS", "ERRORS", "P50", "P95", "P99"], cells.collect())
}

#[cfg(test)]
mod tests;
