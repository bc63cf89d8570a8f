//! The commands about experiments. Planning one and analysing a file of results need no server.

mod view;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use delivery::NewExperiment;
use delivery::experiment::design::{Expected, Needed};
use evaluation::analysis::{Analysis, Conclusion, InputError, Report};
use evaluation::statistics::planning::Plan;
use evaluation::statistics::{Direction, Scale};
use serde::de::DeserializeOwned;
use serde_json::json;

use self::view::{listed, shown};
use super::Refused;
use super::files::document;
use super::rollouts::Place;
use super::show::Output;
use crate::client::Client;

#[derive(Debug, Subcommand)]
pub enum ExperimentCommand {
    /// Tell what results say: win, no_harm, harm, flat, invalid or inconclusive, and why. It needs no
    /// server, and ends with 0 whatever the verdict, unless `--gate` is given.
    Analyze(AnalyzeArguments),
    /// Tell how many sessions and days an experiment needs. It needs no server.
    Plan(PlanArguments),
    /// Draft an experiment from a file: its hypothesis, its variants and its metrics. Nothing is
    /// assigned before it is started.
    Draft {
        #[command(flatten)]
        place: Place,
        /// The file, as TOML.
        file: PathBuf,
    },
    /// The experiments of an app's environment, newest first.
    List(Place),
    /// One experiment: what was seen of it, what that says, and what it went through.
    Show(Named),
    /// Split the environment's traffic among the variants.
    Start(Steered),
    /// Let the stable release answer everything for now.
    Pause(Steered),
    /// Go on after a pause.
    Resume(Steered),
    /// End it: the verdict is what was seen last.
    Stop(Steered),
    /// Draw the conclusion once it has stopped.
    Conclude {
        #[command(flatten)]
        named: Named,
        /// Roll out the variant that won, as the environment's rules say; else all stays as it is.
        #[arg(long)]
        adopt: bool,
    },
}

#[derive(Debug, Args)]
pub struct Named {
    /// Its id, as `support/prod/short-answers`.
    id: String,
}

#[derive(Debug, Args)]
pub struct Steered {
    #[command(flatten)]
    named: Named,
    /// Why.
    #[arg(long, short = 'm', default_value = "")]
    reason: String,
}

#[derive(Debug, Args)]
pub struct PlanArguments {
    /// The smallest difference that is to be found, in the metric's unit.
    #[arg(long)]
    difference: f64,
    /// By how much sessions spread around their mean (the standard deviation; 0.5 for a share around
    /// one half).
    #[arg(long)]
    deviation: f64,
    /// New sessions in a day, of all variants.
    #[arg(long)]
    sessions_per_day: f64,
    /// The variants' parts of the sessions.
    #[arg(long, value_delimiter = ',', default_values_t = [50.0, 50.0])]
    weights: Vec<f64>,
    /// The probability of a false finding.
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
    /// The probability of finding the difference.
    #[arg(long, default_value_t = 0.8)]
    power: f64,
}

#[derive(Debug, Args)]
pub struct AnalyzeArguments {
    /// The results: counts per arm, values per unit, two samples or pairs, as JSON or CSV (by the
    /// file's name).
    file: PathBuf,
    /// End with 1 if the verdict is harm or invalid, and with 3 if it is inconclusive.
    #[arg(long)]
    gate: bool,
    #[command(flatten)]
    settings: SettingArguments,
}

/// How results are judged; each goes before what the file says.
#[derive(Debug, Default, Args)]
struct SettingArguments {
    /// The metric's name, for the report.
    #[arg(long)]
    metric: Option<String>,
    /// The probability of a false finding, below 0.5 (0.05 if the file does not say).
    #[arg(long)]
    alpha: Option<f64>,
    /// Which way the metric gets better (higher if the file does not say). Counts have their own.
    #[arg(long, value_parser = words::<Direction>(["higher_is_better", "lower_is_better"]))]
    direction: Option<Direction>,
    /// How much worse is tolerated, and how small a difference counts as none (0 if the file does not
    /// say).
    #[arg(long)]
    margin: Option<f64>,
    /// What the margin is measured in: the metric's own unit, or parts of the control's mean.
    #[arg(long, value_parser = words::<Scale>(["absolute", "relative"]))]
    scale: Option<Scale>,
    /// The planned part of an arm's units; only their proportion matters. Repeat it for each arm.
    #[arg(long, value_name = "ARM=PART", value_parser = share)]
    share: Vec<(String, f64)>,
    /// The number of units at which anytime intervals are about as narrow as can be (5000 if the file
    /// does not say).
    #[arg(long)]
    n_star: Option<f64>,
    /// What the bootstrap draws by (1 if the file does not say).
    #[arg(long)]
    seed: Option<u64>,
}

/// One of these words, as the type that it stands for.
fn words<T>(known: [&'static str; 2]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(known).try_map(|word| serde_json::from_value::<T>(word.into()))
}

fn share(text: &str) -> Result<(String, f64), String> {
    let parts = text.rsplit_once('=');
    let (arm, part) = parts.ok_or("write ARM=PART, as `control=0.5`")?;
    let part = part.parse().map_err(|_| format!("`{part}` is no number"))?;
    Ok((arm.to_owned(), part))
}

/// Runs a command.
pub async fn run(
    command: ExperimentCommand,
    client: impl Fn() -> Result<Client>,
    out: &Output,
) -> Result<()> {
    match command {
        ExperimentCommand::Analyze(asked) => {
            let report = analyzed(&asked.file, &asked.settings)?;
            out.value(&serde_json::to_value(&report)?, |_| report.to_string())?;
            if asked.gate { gate(&report) } else { Ok(()) }
        }
        ExperimentCommand::Plan(asked) => plan(&asked, out),
        ExperimentCommand::Draft { place, file } => {
            let wish: NewExperiment = document(&file)?;
            let drafted = client()?.post(&all(&place), &json!(wish)).await?;
            out.value(&drafted, shown)
        }
        ExperimentCommand::List(place) => {
            out.value(&client()?.get(&all(&place), &[]).await?, listed)
        }
        ExperimentCommand::Show(named) => {
            out.value(&client()?.get(&path(&named)?, &[]).await?, shown)
        }
        ExperimentCommand::Start(asked) => steer(&client()?, "start", asked, out).await,
        ExperimentCommand::Pause(asked) => steer(&client()?, "pause", asked, out).await,
        ExperimentCommand::Resume(asked) => steer(&client()?, "resume", asked, out).await,
        ExperimentCommand::Stop(asked) => steer(&client()?, "stop", asked, out).await,
        ExperimentCommand::Conclude { named, adopt } => {
            let path = format!("{}/conclude", path(&named)?);
            out.value(&client()?.post(&path, &json!({"adopt": adopt})).await?, shown)
        }
    }
}

async fn steer(client: &Client, deed: &str, asked: Steered, out: &Output) -> Result<()> {
    let path = format!("{}/{deed}", path(&asked.named)?);
    out.value(&client.post(&path, &json!({"reason": asked.reason})).await?, shown)
}

fn all(Place { app, env }: &Place) -> String {
    format!("/api/v1/apps/{app}/environments/{env}/experiments")
}

fn path(Named { id }: &Named) -> Result<String> {
    match id.split('/').collect::<Vec<_>>().as_slice() {
        [app, env, name] => Ok(format!("/api/v1/apps/{app}/environments/{env}/experiments/{name}")),
        _ => bail!("`{id}` is no experiment: write app/environment/name, as `support/prod/short`"),
    }
}

fn plan(asked: &PlanArguments, out: &Output) -> Result<()> {
    let PlanArguments { difference, deviation, sessions_per_day, weights, alpha, power } = asked;
    let numbers = [*difference, *deviation, *sessions_per_day].into_iter();
    if weights.len() < 2 || !numbers.chain(weights.iter().copied()).all(|it| it > 0.0) {
        bail!("a plan has two weights or more, and numbers above 0");
    }
    let plan = Plan { alpha: *alpha, power: *power };
    plan.check()?;
    let (deviation, difference) = (*deviation, *difference);
    let expected = Expected { deviation, difference, sessions_per_day: *sessions_per_day };
    let needed = Needed::of(weights, &expected, &plan);
    out.value(&serde_json::to_value(needed)?, |_| {
        let Needed { sessions, days } = needed;
        format!("{sessions} sessions of each variant, {days:.1} days")
    })
}

fn analyzed(file: &Path, asked: &SettingArguments) -> Result<Report> {
    let named = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {named}"))?;
    let wrong = |error: InputError| anyhow!("{named}: {error}\n  hint: {}", error.hint);
    let mut analysis = match file.extension().and_then(|it| it.to_str()) {
        Some("json") => Analysis::parse_json(&text).map_err(wrong)?,
        Some("csv") => Analysis::parse_csv(&text).map_err(wrong)?,
        _ => bail!("{named}: a file of results is named .json or .csv"),
    };
    asked.apply(&mut analysis);
    analysis.check().map_err(wrong)?;
    Ok(analysis.report())
}

impl SettingArguments {
    fn apply(&self, analysis: &mut Analysis) {
        let settings = &mut analysis.settings;
        settings.metric = self.metric.clone().or_else(|| settings.metric.take());
        settings.alpha = self.alpha.unwrap_or(settings.alpha);
        settings.direction = self.direction.or(settings.direction);
        settings.margin = self.margin.unwrap_or(settings.margin);
        settings.scale = self.scale.unwrap_or(settings.scale);
        settings.n_star = self.n_star.unwrap_or(settings.n_star);
        settings.seed = self.seed.unwrap_or(settings.seed);
        if !self.share.is_empty() {
            settings.shares = self.share.iter().cloned().collect::<BTreeMap<_, _>>();
        }
    }
}

/// Whether a verdict lets something pass.
fn gate(report: &Report) -> Result<()> {
    let code = match report.verdict {
        Conclusion::Win | Conclusion::NoHarm | Conclusion::Flat => return Ok(()),
        Conclusion::Harm | Conclusion::Invalid => 1,
        Conclusion::Inconclusive => 3,
    };
    Err(Refused { code, why: format!("the verdict is {}", report.verdict) }.into())
}

#[cfg(test)]
mod tests;
