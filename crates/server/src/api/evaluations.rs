//! Evaluations: suites, runs of them, and what two runs say of a release.

use axum::http::Method;
use delivery::{EvaluationRecord, Evaluations, FromTraces, NewEvaluation, OnlineScores};
use evaluation::report;
use release::{AppName, ArtifactName, EnvironmentName};
use security::Action;
use serde_json::{Value, json};

use super::handlers::{Answer, Handler};
use super::tasks::Done;
use super::{Call, Problem, Route, json as to_json};

/// How many evaluations are listed where nothing else is said.
const LISTED: usize = 50;
/// The most that are.
const MOST: usize = 1_000;
/// How many cases are drawn where nothing else is said.
const CASES: u32 = 100;
/// How much worse a candidate may be where nothing else is said, in shares of passes.
const MARGIN: f64 = 0.03;

/// The routes.
pub fn routes() -> Vec<(Route, Handler)> {
    vec![
        Route::new(
            Method::GET,
            "/api/v1/suites",
            Action::ReadReleases,
            "The evaluation suites of all projects.",
        )
        .to(suites),
        Route::new(
            Method::POST,
            "/api/v1/evaluations",
            Action::Evaluate,
            "Ask a suite of a release, and score what it answers.",
        )
        .query(&["wait"])
        .body::<NewEvaluation>()
        .to(evaluate),
        Route::new(
            Method::GET,
            "/api/v1/evaluations",
            Action::ReadReleases,
            "Evaluations that are over, newest first.",
        )
        .query(&["app", "suite", "release", "limit"])
        .to(list),
        Route::new(
            Method::GET,
            "/api/v1/evaluations/online",
            Action::ReadReleases,
            "What suites have scored of production today, what that cost, and what was left out.",
        )
        .to(online),
        Route::new(
            Method::GET,
            "/api/v1/evaluations/{id}",
            Action::ReadReleases,
            "One evaluation: its verdict, and what each scorer found together.",
        )
        .to(show),
        Route::new(
            Method::GET,
            "/api/v1/evaluations/{id}/run",
            Action::ReadTraces,
            "All that an evaluation found: every answer with its scores.",
        )
        .to(run),
        Route::new(
            Method::GET,
            "/api/v1/evaluations/{id}/report",
            Action::ReadTraces,
            "An evaluation as a page (`format=html`, beside another with `base`), or as JUnit's XML \
             (`format=junit`).",
        )
        .query(&["format", "base"])
        .to(report),
        Route::new(
            Method::GET,
            "/api/v1/evaluations/{id}/comparison",
            Action::ReadReleases,
            "Whether an evaluation is worse than another of the same suite, case by case.",
        )
        .query(&["base", "margin"])
        .to(compare),
        Route::new(
            Method::GET,
            "/api/v1/apps/{app}/suites/{suite}/comparison",
            Action::ReadReleases,
            "Whether a release is worse than another, by their newest evaluations of a suite.",
        )
        .query(&["base", "release", "margin"])
        .to(compare_releases),
        Route::new(
            Method::GET,
            "/api/v1/apps/{app}/cases",
            Action::ReadTraces,
            "Recorded requests of an app's clients, drawn as cases of a suite.",
        )
        .query(&["environment", "since", "limit", "seed"])
        .to(cases),
    ]
}

async fn suites(call: Call) -> Result<Value, Problem> {
    let mut listed = Vec::new();
    for (project, suites) in call.delivery().suites().await? {
        for suite in suites {
            let mut row = to_json(&suite)?;
            row["project"] = project.clone().into();
            listed.push(row);
        }
    }
    Ok(listed.into())
}

async fn evaluate(call: Call) -> Result<Value, Problem> {
    let wish: NewEvaluation = call.body()?;
    match call.done("eval.run", to_json(&wish)?).await? {
        Done::Begun(execution) => Ok(execution),
        Done::Result(record) => Ok(record),
    }
}

async fn list(call: Call) -> Result<Value, Problem> {
    let app: Option<AppName> = call.query("app")?;
    let release = match (&app, call.query::<String>("release")?) {
        (Some(app), Some(selector)) => {
            Some(call.delivery().find_release(app, &selector).await?.release)
        }
        (None, Some(_)) => return Err(Problem::bad_request("`release` needs its `app`")),
        (_, None) => None,
    };
    let limit = call.query("limit")?.unwrap_or(LISTED).min(MOST);
    let wanted = Evaluations { app, suite: call.query("suite")?, release };
    let mut found = call.delivery().evaluations(&wanted).await?;
    found.truncate(limit);
    to_json(&found)
}

async fn online(call: Call) -> Result<Value, Problem> {
    let now = call.api.clock.now();
    let today = |scores: OnlineScores| OnlineScores { day: scores.day.at(now), ..scores };
    let scores = call.delivery().all_online_scores().await?.into_iter().map(today);
    to_json(&scores.collect::<Vec<_>>())
}

async fn show(call: Call) -> Result<Value, Problem> {
    to_json(&found(&call).await?)
}

async fn found(call: &Call) -> Result<EvaluationRecord, Problem> {
    Ok(call.delivery().evaluation(&call.path::<String>("id")?).await?)
}

async fn run(call: Call) -> Result<Value, Problem> {
    let record = found(&call).await?;
    to_json(&call.delivery().evaluation_run(&record).await?)
}

async fn report(call: Call) -> Result<Answer, Problem> {
    let record = found(&call).await?;
    let run = call.delivery().evaluation_run(&record).await?;
    let format: Option<String> = call.query("format")?;
    let base: Option<String> = call.query("base")?;
    let (kind, text) = match (format.as_deref().unwrap_or("html"), base) {
        ("html", None) => ("text/html; charset=utf-8", report::html(&run)),
        ("html", Some(base)) => {
            let base = call.delivery().evaluation(&base).await?;
            let base = call.delivery().evaluation_run(&base).await?;
            ("text/html; charset=utf-8", report::html_compared(&base, &run))
        }
        ("junit", None) => ("application/xml", report::junit(&run)),
        ("junit", Some(_)) => {
            return Err(Problem::bad_request("JUnit's XML tells of one evaluation alone"));
        }
        (other, _) => {
            return Err(Problem::bad_request(format!("`{other}` is neither `html` nor `junit`")));
        }
    };
    Ok(Answer::File(kind, text.into_bytes(), Vec::new()))
}

async fn compare(call: Call) -> Result<Value, Problem> {
    let base: Option<String> = call.query("base")?;
    let base = base.ok_or_else(|| Problem::bad_request("`base` names no evaluation"))?;
    let base = call.delivery().evaluation(&base).await?;
    let candidate = found(&call).await?;
    compared(&call, &base, &candidate).await
}

async fn compare_releases(call: Call) -> Result<Value, Problem> {
    let (app, name): (AppName, ArtifactName) = (call.path("app")?, call.path("suite")?);
    let delivery = call.delivery();
    let suite = delivery.suite(&app, &name).await?;
    let mut runs = Vec::new();
    for parameter in ["base", "release"] {
        let selector: Option<String> = call.query(parameter)?;
        let none = || Problem::bad_request(format!("`{parameter}` names no release"));
        let release = delivery.find_release(&app, &selector.ok_or_else(none)?).await?;
        let found = delivery.newest_run(&app, &suite, release.release).await?;
        let number = release.sequence;
        let unknown = || {
            let what = format!("release #{number} was not evaluated by suite `{name}` as it is");
            Problem::not_found(format!(
                "{what}: run `groundcrew eval run {name} --app {app} --release {number}`"
            ))
        };
        runs.push(found.ok_or_else(unknown)?);
    }
    match runs.as_slice() {
        [base, candidate] => compared(&call, base, candidate).await,
        _ => Err(Problem::internal("two releases have two evaluations")),
    }
}

async fn cases(call: Call) -> Result<Value, Problem> {
    let app: AppName = call.path("app")?;
    let environment: Option<EnvironmentName> = call.query("environment")?;
    let environment = call.delivery().place_of(&app, environment).await?;
    let from = FromTraces {
        count: call.query("limit")?.unwrap_or(CASES),
        since: call.query("since")?,
        seed: call.query("seed")?.unwrap_or_default(),
    };
    let place = (&call.tenant, &app, &environment);
    let drawn = call.api.evaluations.draw(place, (&from, call.api.clock.now())).await?;
    Ok(json!({
        "app": app, "environment": environment, "since": drawn.since, "until": drawn.until,
        "seed": drawn.seed, "left_out": drawn.left_out, "cases": drawn.cases,
    }))
}

async fn compared(
    call: &Call,
    base: &EvaluationRecord,
    candidate: &EvaluationRecord,
) -> Result<Value, Problem> {
    let margin = call.query("margin")?.unwrap_or(MARGIN);
    let compared = call.delivery().compare_evaluations(base, candidate, margin).await?;
    Ok(json!({
        "suite": candidate.plan.suite.name,
        "base": base.plan.id,
        "candidate": candidate.plan.id,
        "comparison": compared,
    }))
}
