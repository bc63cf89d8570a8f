//! Metrics and top contributors.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::metrics::{PutArguments, put};
use super::show::{Output, moment, rows, table, text};
use super::waterfall::{cut, plain};
use crate::client::Client;

/// The most bars of a series' line.
const BARS: usize = 60;

#[derive(Debug, Subcommand)]
pub enum MetricsCommand {
    /// The metrics that there are, with their dimensions.
    List,
    /// A metric over time.
    Show(ShowArguments),
    /// Keep a measurement, as user satisfaction or the completion of a task.
    Put(PutArguments),
}

#[derive(Debug, Args)]
pub struct ShowArguments {
    /// Its name, as `groundcrew.request.duration`.
    metric: String,
    /// Average, Sum, Minimum, Maximum, SampleCount or a percentile as p95.
    #[arg(long, default_value = "Average")]
    statistic: String,
    /// The seconds of a period: 10, 20, 30 or a multiple of 60.
    #[arg(long, default_value_t = 60)]
    period: u32,
    /// Since when: a moment (RFC 3339) or how long ago, as 90m.
    #[arg(long, default_value = "1h")]
    since: String,
    /// Until when.
    #[arg(long)]
    until: Option<String>,
    /// Only series with this value of a dimension, as `app=support`. May be given several times.
    #[arg(long)]
    dimension: Vec<String>,
    /// A series for each value of this dimension. May be given several times.
    #[arg(long)]
    by: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum ContributorsCommand {
    /// The rules.
    List,
    /// The top contributors by a rule.
    Show {
        /// The rule.
        rule: String,
        /// Since when: a moment (RFC 3339) or how long ago, as 90m.
        #[arg(long, default_value = "1h")]
        since: String,
        /// Until when.
        #[arg(long)]
        until: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 10)]
        top: usize,
    },
}

/// Runs a command about metrics.
pub async fn metrics(client: &Client, command: MetricsCommand, out: &Output) -> Result<()> {
    match command {
        MetricsCommand::List => out.value(&client.get("/api/v1/metrics", &[]).await?, listed),
        MetricsCommand::Show(asked) => {
            let mut query = vec![
                ("statistic", asked.statistic),
                ("period", asked.period.to_string()),
                ("since", asked.since),
            ];
            query.extend(asked.until.map(|until| ("until", until)));
            query.extend(asked.dimension.into_iter().map(|dimension| ("dimension", dimension)));
            query.extend(asked.by.into_iter().map(|by| ("by", by)));
            // Names may have slashes.
            let name: String = form_urlencoded::byte_serialize(asked.metric.as_bytes()).collect();
            let path = format!("/api/v1/metrics/{}", name.replace('+', "%20"));
            out.value(&client.get(&path, &query).await?, shown)
        }
        MetricsCommand::Put(measured) => put(client, measured, out).await,
    }
}

/// Runs a command about top contributors.
pub async fn contributors(
    client: &Client,
    command: ContributorsCommand,
    out: &Output,
) -> Result<()> {
    match command {
        ContributorsCommand::List => {
            out.value(&client.get("/api/v1/contributors", &[]).await?, |listed| {
                let cells = rows(listed).map(|rule| {
                    let value = rule["value_of"].as_str();
                    let counted =
                        value.map_or("events".to_owned(), |value| format!("sum of {value}"));
                    vec![
                        text(&rule["rule"]),
                        joined(&rule["keys"]),
                        counted,
                        moment(&rule["since"]),
                    ]
                });
                table(&["RULE", "BY", "COUNTS", "SINCE"], cells.collect())
            })
        }
        ContributorsCommand::Show { rule, since, until, top } => {
            let mut query = vec![("since", since), ("top", top.to_string())];
            query.extend(until.map(|until| ("until", until)));
            let path = format!("/api/v1/contributors/{rule}");
            out.value(&client.get(&path, &query).await?, report)
        }
    }
}

fn joined(list: &Value) -> String {
    rows(list).map(|item| cut(&plain(&text(item)), 60)).collect::<Vec<_>>().join(", ")
}

/// What metrics there are.
fn listed(told: &Value) -> String {
    let cells = rows(&told["metrics"]).map(|metric| {
        vec![
            plain(&text(&metric["name"])),
            text(&metric["instrument"]),
            plain(&text(&metric["unit"])),
            text(&metric["series"]),
            joined(&metric["dimensions"]),
        ]
    });
    let mut out =
        vec![table(&["METRIC", "INSTRUMENT", "UNIT", "SERIES", "DIMENSIONS"], cells.collect())];
    let held = &told["held"];
    let count = |name: &str| held[name].as_u64().unwrap_or_default();
    out.push(format!("{} series, {} bytes in memory", count("series"), count("bytes")));
    for (name, what) in [
        ("overflowed", "counted without most of their dimensions: there are too many series"),
        ("late", "too old to be counted"),
        ("clamped", "of the future, counted as of when they came"),
    ] {
        if count(name) > 0 {
            out.push(format!("{} sample(s) {what}", count(name)));
        }
    }
    if let Some(from) = held["kept_from"].as_str() {
        out.push(format!("minutes before {from} are only in the table `metrics`: memory is short"));
    }
    out.join("\n")
}

/// A metric over time: for each series a line of bars, and its least, mean, greatest and last.
fn shown(told: &Value) -> String {
    let cells = rows(&told["series"]).map(|series| {
        let values: Vec<Option<f64>> =
            rows(&series["datapoints"]).map(|point| point["value"].as_f64()).collect();
        let known: Vec<f64> = values.iter().copied().flatten().collect();
        let number = |value: Option<f64>| value.map_or("-".to_owned(), short);
        let mean = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
        vec![
            dimensions(&series["dimensions"]),
            bars(&values),
            number(known.iter().copied().reduce(f64::min)),
            number(mean),
            number(known.iter().copied().reduce(f64::max)),
            number(known.last().copied()),
        ]
    });
    format!(
        "{} {} of each {} s from {} to {}\n{}",
        plain(&text(&told["metric"])),
        text(&told["statistic"]),
        text(&told["period"]),
        moment(&told["since"]),
        moment(&told["until"]),
        table(&["SERIES", "", "LEAST", "MEAN", "GREATEST", "LAST"], cells.collect())
    )
}

fn dimensions(told: &Value) -> String {
    let pairs = told.as_object().into_iter().flatten();
    let pairs: Vec<_> =
        pairs.map(|(name, value)| format!("{}={}", plain(name), plain(&text(value)))).collect();
    if pairs.is_empty() { "all".to_owned() } else { cut(&pairs.join(" "), 60) }
}

/// Periods as bars from zero, several of them as their mean where there are many; a gap where
/// nothing was measured.
pub fn bars(values: &[Option<f64>]) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let each = values.len().div_ceil(BARS).max(1);
    let means: Vec<Option<f64>> = values
        .chunks(each)
        .map(|chunk| {
            let known: Vec<f64> = chunk.iter().copied().flatten().collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        })
        .collect();
    let greatest = means.iter().flatten().copied().fold(0.0, f64::max);
    let bar = |mean: &Option<f64>| match mean {
        None => ' ',
        Some(value) if greatest > 0.0 => {
            STEPS[((value / greatest).clamp(0.0, 1.0) * 7.0).round() as usize]
        }
        Some(_) => STEPS[0],
    };
    means.iter().map(bar).collect()
}

/// A number with four digits that count.
pub fn short(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        size => (3 - size.log10().floor() as i32).clamp(0, 9),
    };
    let text = format!("{value:.*}", digits as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn report(told: &Value) -> String {
    let total = told["total"].as_f64().unwrap_or_default();
    let cells = rows(&told["contributors"]).enumerate().map(|(at, contributor)| {
        let value = contributor["value"].as_f64().unwrap_or_default();
        let error = value - contributor["at_least"].as_f64().unwrap_or(value);
        let share = if total > 0.0 { value / total * 100.0 } else { 0.0 };
        vec![
            (at + 1).to_string(),
            joined(&contributor["keys"]),
            if error > 0.0 {
                format!("{} (-{})", short(value), short(error))
            } else {
                short(value)
            },
            format!("{share:.1} %"),
        ]
    });
    let keys = joined(&told["keys"]);
    let mut out = vec![
        format!(
            "{} by {keys} from {} to {}: {} of {} events",
            text(&told["rule"]),
            moment(&told["from"]),
            moment(&told["to"]),
            short(total),
            text(&told["events"])
        ),
        table(
            &["", "CONTRIBUTOR", text(&told["aggregate_on"]).to_uppercase().as_str(), "SHARE"],
            cells.collect(),
        ),
    ];
    let unlisted = told["unlisted_at_most"].as_f64().unwrap_or_default();
    if unlisted > 0.0 {
        out.push(format!(
            "there are too many to count each: values are the most there can be, (-n) by how much \
             too high at most; nobody else has more than {}",
            short(unlisted)
        ));
    }
    out.join("\n")
}

#[cfg(test)]
mod tests;
