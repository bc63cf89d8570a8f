//! Queries over telemetry, and those that projects save.

use axum::http::Method;
use monitoring::ask::{Ask, Asked, ask};
use monitoring::tables::Span;
use monitoring::{Language, insights};
use release::Timestamp;
use schemars::JsonSchema;
use security::Action;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::handlers::{Answer, Handler};
use super::{Call, Problem, Route, json as to_json};

/// How far back a query looks that does not say.
const USUAL_TIME: &str = "1h";

/// A query.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueryBody {
    /// The query; or `saved`.
    pub query: Option<String>,
    /// The name of a query that a project saves; or `query`.
    pub saved: Option<String>,
    /// Its language; what it begins as if absent.
    pub language: Option<Language>,
    /// From when: a moment (RFC 3339), or how long ago, as `15m`, `3h`, `7d`; an hour ago if absent.
    pub since: Option<String>,
    /// To before when, written in the same way; now if absent.
    pub until: Option<String>,
    /// The most rows, up to 100,000; what the query says or 10,000 if absent.
    pub limit: Option<usize>,
    /// What is answered.
    pub format: Format,
}

/// What a query is answered as. Where there are no `notes`, they are in the header
/// `x-groundcrew-notes`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `{columns, rows, notes}`.
    #[default]
    Json,
    /// CSV, as RFC 4180 has it.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::POST,
            "/api/v1/query",
            Action::ReadTraces,
            "Query telemetry, in SQL or the language of CloudWatch Logs Insights.",
        )
        .body::<QueryBody>()
        .to(query),
        Route::new(
            Method::GET,
            "/api/v1/queries",
            Action::ReadTraces,
            "The queries that projects save.",
        )
        .to(saved),
    ]
}

async fn saved(call: Call) -> Result<Value, Problem> {
    to_json(&call.delivery().queries().await?)
}

async fn query(call: Call) -> Result<Answer, Problem> {
    let body: QueryBody = call.body()?;
    let (text, language) = match (&body.query, &body.saved) {
        (Some(text), None) => (text.clone(), body.language),
        (None, Some(name)) => {
            let saved = call.delivery().queries().await?;
            let found = saved.into_iter().find(|query| query.name.as_str() == name);
            let found = found.ok_or_else(|| {
                Problem::not_found(format!("no project saves a query named `{name}`"))
            })?;
            (found.text, Some(found.language))
        }
        _ => return Err(Problem::bad_request("give either `query` or `saved`")),
    };
    let now = call.api.clock.now();
    let moment = |name: &str, given: Option<&str>| match given {
        Some(given) => {
            moment(given, now).map_err(|error| Problem::bad_request(format!("`{name}`: {error}")))
        }
        None => Ok(now),
    };
    let from = moment("since", Some(body.since.as_deref().unwrap_or(USUAL_TIME)))?;
    let until = moment("until", body.until.as_deref())?;
    if from >= until {
        return Err(Problem::bad_request(format!("the time from {from} to {until} is empty")));
    }
    if let Some(limit) = body.limit.filter(|limit| *limit > insights::MAX_LIMIT) {
        let most = insights::MAX_LIMIT;
        return Err(Problem::bad_request(format!("{limit} rows are more than {most}")));
    }
    let asked = Ask { text, language, span: Span { from, until }, now, limit: body.limit };
    let queries = &call.api.telemetry.queries;
    let Asked { results, notes } = ask(queries, &call.tenant, &asked).await?;
    Ok(match body.format {
        Format::Json => {
            let columns = results.columns().into_iter();
            let columns: Vec<_> =
                columns.map(|(name, kind)| json!({"name": name, "type": kind})).collect();
            Answer::Json(json!({"columns": columns, "rows": results.json(), "notes": notes}))
        }
        Format::Csv => Answer::File("text/csv; charset=utf-8", results.csv().into_bytes(), notes),
        Format::Arrow => {
            let bytes = results.arrow();
            let bytes = bytes.map_err(|error| Problem::internal(error.to_string()))?;
            Answer::File("application/vnd.apache.arrow.stream", bytes, notes)
        }
    })
}

/// A moment, or how long before `now` it is.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    const UNITS: [(&str, i64); 5] =
        [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("w", 604_800)];
    let ago = UNITS.into_iter().find_map(|(unit, seconds)| {
        text.strip_suffix(unit)?.trim().parse::<i64>().ok()?.checked_mul(seconds)
    });
    let ago = ago
        .filter(|seconds| *seconds >= 0)
        .and_then(|seconds| Timestamp::from_second(now.as_second().checked_sub(seconds)?).ok());
    ago.ok_or_else(|| {
        format!(
            "`{text}` is no moment: write 2026-11-27T14:05:00Z, or 15m, 3h, 7d for how long ago"
        )
    })
}

#[cfg(test)]
mod tests;
