//! Measures and scores in plain JSON.

use axum::http::Method;
use monitoring::answers;
use monitoring::receive::{Judgement, Measure, judgements, measures};
use monitoring::rows::Span;
use schemars::JsonSchema;
use security::Action;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::handlers::Handler;
use super::{Call, Problem, Route};

/// The most measures or scores of one request.
const MOST: usize = 1_000;

/// Measurements to keep.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasuresBody {
    /// At most 1,000.
    pub metrics: Vec<Measure>,
}

/// Scores to keep.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoresBody {
    /// At most 1,000.
    pub scores: Vec<Judgement>,
}

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::POST,
            "/api/v1/metrics",
            Action::WriteTelemetry,
            "Keep measurements: user satisfaction, task completion, whatever an app measures.",
        )
        .body::<MeasuresBody>()
        .to(put_metrics),
        Route::new(
            Method::POST,
            "/api/v1/scores",
            Action::WriteTelemetry,
            "Keep what people or evaluators thought of answers.",
        )
        .body::<ScoresBody>()
        .to(put_scores),
    ]
}

async fn put_metrics(call: Call) -> Result<Value, Problem> {
    let MeasuresBody { metrics } = call.body()?;
    few(metrics.len())?;
    let wrong = |measure: &&Measure| measure.name.is_empty() || !measure.value.is_finite();
    if let Some(measure) = metrics.iter().find(wrong) {
        let why = format!("metric `{}` needs a `name` and a finite `value`", measure.name);
        return Err(Problem::bad_request(why));
    }
    let export = measures(metrics, call.api.clock.now());
    let taken = call.api.receiver.take_export(&call.tenant, export).await?;
    Ok(json!({"accepted": taken.items}))
}

/// A score of an answer of ours is one of its app, environment and release too.
async fn put_scores(call: Call) -> Result<Value, Problem> {
    let ScoresBody { mut scores } = call.body()?;
    few(scores.len())?;
    let traces: Vec<_> = scores.iter().filter_map(|score| score.trace).collect();
    let answers = answers::roots(&call.api.telemetry.queries, &call.tenant, &traces).await?;
    for score in &mut scores {
        // What is not found is another service's, or came before its answer.
        let trace = score.trace.map(|trace| trace.to_string());
        if let Some(answer) = answers.iter().find(|it| trace.as_ref() == Some(&it.trace_id)) {
            complete(score, answer);
        }
    }
    let export = judgements(scores, call.api.clock.now()).map_err(Problem::bad_request)?;
    let taken = call.api.receiver.take_export(&call.tenant, export).await?;
    Ok(json!({"accepted": taken.items}))
}

fn complete(score: &mut Judgement, answer: &Span) {
    let origin = &answer.origin;
    let known = [
        ("service", &origin.app),
        ("app", &origin.app),
        ("environment", &origin.environment),
        ("release", &origin.release),
    ];
    for (name, value) in known {
        score.attributes.entry(name.to_owned()).or_insert_with(|| value.clone());
    }
    if score.response.is_empty() {
        score.response.clone_from(&answer.response_id);
    }
}

fn few(count: usize) -> Result<(), Problem> {
    if count > MOST {
        let why = format!("the list has {count} entries; at most {MOST} may be sent at once");
        return Err(Problem::bad_request(why));
    }
    Ok(())
}
