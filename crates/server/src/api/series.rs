//! Metrics and top contributors, as they are in memory.

use std::time::Duration;

use axum::http::Method;
use monitoring::metrics::{Datapoint, Dimensions, MetricStat};
use release::Timestamp;
use security::Action;
use serde_json::{Value, json};

use super::handlers::Handler;
use super::{Call, Problem, Route, json as to_json};
use crate::cli::seconds;

/// How far back is looked where nothing is said.
const HOUR: Duration = Duration::from_secs(3_600);
/// The most numbers of an answer.
const MAX_POINTS: usize = 100_000;

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::GET,
            "/api/v1/metrics",
            Action::ReadTraces,
            "The metrics that there are, with their dimensions.",
        )
        .to(list),
        Route::new(
            Method::GET,
            "/api/v1/metrics/{metric}",
            Action::ReadTraces,
            "A metric's numbers by period: of all series, or by dimensions (`by`, several times). \
             `dimension` (`app=support`, several times) selects; `since` and `until` are moments or \
             lengths of time.",
        )
        .query(&["statistic", "period", "since", "until", "dimension", "by"])
        .to(show),
        Route::new(
            Method::GET,
            "/api/v1/contributors",
            Action::ReadTraces,
            "The rules that tell top contributors.",
        )
        .to(rules),
        Route::new(
            Method::GET,
            "/api/v1/contributors/{rule}",
            Action::ReadTraces,
            "The top contributors by a rule.",
        )
        .query(&["since", "until", "top"])
        .to(contributors),
    ]
}

/// A moment (RFC 3339), or a length of time before `now`.
pub fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    now.checked_sub(Duration::from_secs(seconds(text).ok()?.into())).ok()
}

/// From when to when is asked: `since` and `until`, each a moment (RFC 3339) or how long ago.
pub fn span_of_time(call: &Call) -> Result<(Timestamp, Timestamp), Problem> {
    let now = call.api.clock.now();
    let read = |name: &str| -> Result<Option<Timestamp>, Problem> {
        let Some(text) = call.query::<String>(name)? else { return Ok(None) };
        let moment = moment(&text, now).ok_or_else(|| {
            Problem::bad_request(format!(
                "`{name}` is no moment (RFC 3339) and no length of time (90m)"
            ))
        })?;
        Ok(Some(moment))
    };
    let until = read("until")?.unwrap_or(now);
    let hour_before = until.checked_sub(HOUR).unwrap_or(until);
    let since = read("since")?.unwrap_or(hour_before);
    if since >= until {
        return Err(Problem::bad_request("`since` is not before `until`"));
    }
    Ok((since, until))
}

async fn list(call: Call) -> Result<Value, Problem> {
    let rollups = &call.api.rollups;
    Ok(json!({
        "metrics": rollups.describe(&call.tenant),
        "held": rollups.stats(&call.tenant),
    }))
}

async fn show(call: Call) -> Result<Value, Problem> {
    let (since, until) = span_of_time(&call)?;
    let metric: String = call.path("metric")?;
    let statistic = call.query::<String>("statistic")?.unwrap_or_else(|| "Average".to_owned());
    let period = call.query("period")?.unwrap_or(60);
    if !matches!(period, 10 | 20 | 30) && (period == 0 || period % 60 != 0) {
        let message = "`period` is 10, 20, 30 or a multiple of 60 seconds";
        return Err(Problem::bad_request(message));
    }
    let mut dimensions = Dimensions::new();
    for dimension in call.every("dimension") {
        let pair = dimension.split_once('=');
        let (name, value) = pair.ok_or_else(|| {
            Problem::bad_request(format!("`dimension`: write NAME=VALUE, not `{dimension}`"))
        })?;
        dimensions.insert(name.to_owned(), value.to_owned());
    }
    let statistic = statistic.parse().map_err(Problem::bad_request)?;
    let asked = MetricStat { metric, dimensions, statistic, period };
    let by: Vec<String> = call.every("by").map(str::to_owned).collect();
    let known = call.api.rollups.describe(&call.tenant);
    if !known.iter().any(|known| known.name == asked.metric) {
        return Err(Problem::not_found(format!(
            "there is no metric `{}`, or it had no sample in the last fifteen days",
            asked.metric
        )));
    }
    let periods = (until.as_second() - since.as_second()) / i64::from(period) + 1;
    let series = match by.is_empty() {
        true => {
            let all = call.api.rollups.datapoints(&call.tenant, &asked, since, until);
            vec![json!({"dimensions": {}, "datapoints": points(&all)})]
        }
        false => {
            let series = call.api.rollups.series(&call.tenant, &asked, &by, (since, until));
            if series.len() * usize::try_from(periods).unwrap_or(usize::MAX) > MAX_POINTS {
                return Err(Problem::bad_request(format!(
                    "that is more than {MAX_POINTS} numbers: ask for less time, a longer `period` \
                     or fewer series"
                )));
            }
            let shown = series.iter().map(|series| {
                json!({"dimensions": series.dimensions, "datapoints": points(&series.datapoints)})
            });
            shown.collect()
        }
    };
    Ok(json!({
        "metric": asked.metric, "statistic": asked.statistic, "period": period,
        "since": since, "until": until, "series": series,
    }))
}

/// Datapoints as they are answered.
fn points(points: &[Datapoint]) -> Vec<Value> {
    let shown = points.iter().map(
        |point| json!({"timestamp": point.at, "value": point.value, "samples": point.samples}),
    );
    shown.collect()
}

async fn rules(call: Call) -> Result<Value, Problem> {
    to_json(&call.api.contributors.list(&call.tenant))
}

async fn contributors(call: Call) -> Result<Value, Problem> {
    let rule: String = call.path("rule")?;
    let span = span_of_time(&call)?;
    let top = call.query("top")?.unwrap_or(10).min(monitoring::contributors::CAPACITY);
    let report = call.api.contributors.report(&call.tenant, &rule, span, top);
    to_json(&report.ok_or_else(|| Problem::not_found(format!("there is no rule `{rule}`")))?)
}
