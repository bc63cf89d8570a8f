//! The commands about experiments. Analysing a file of results needs no server.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use evaluation::analysis::{Analysis, Conclusion, InputError, Report};
use evaluation::statistics::{Direction, Scale};
use serde::de::DeserializeOwned;

use super::Refused;
use super::show::Output;

#[derive(Debug, Subcommand)]
pub enum ExperimentCommand {
    /// Tell what results say: win, no_harm, harm, flat, invalid or inconclusive, and why. It needs no
    /// server, and ends with 0 whatever the verdict, unless `--gate` is given.
    Analyze(AnalyzeArguments),
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
pub fn run(command: &ExperimentCommand, out: &Output) -> Result<()> {
    match command {
        ExperimentCommand::Analyze(asked) => {
            let report = analyzed(&asked.file, &asked.settings)?;
            out.value(&serde_json::to_value(&report)?, |_| report.to_string())?;
            if asked.gate { gate(&report) } else { Ok(()) }
        }
    }
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
