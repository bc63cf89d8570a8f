//! The commands about workflows that need no server: look at a definition, run it with pretended
//! tasks, score files of cases.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use workflow::Machine;
use workflow::cases::Score;
use workflow::definition::{Finding, Severity};
use workflow::simulate::{Mocks, Setting, Simulated, simulate};

use super::show::Output;

#[derive(Debug, Subcommand)]
pub enum WorkflowCommand {
    /// Look for mistakes in a definition; all of them are told at once.
    Validate {
        /// The definition, in the Amazon States Language.
        file: PathBuf,
    },
    /// Run a definition under a virtual clock with pretended tasks, or score files of cases.
    Test {
        /// The definition.
        #[arg(required_unless_present = "cases")]
        file: Option<PathBuf>,
        /// The input: JSON, or `@FILE`.
        #[arg(long, default_value = "{}")]
        input: String,
        /// What each state's tasks report: `{"states": {"NAME": [{"result": …}, {"error": {"error":
        /// …, "cause": …}}, {"silent": {}}]}, "objects": [{"bucket": …, "key": …, "body": …}]}`.
        #[arg(long)]
        mocks: Option<PathBuf>,
        /// Files of recorded cases, one a line.
        #[arg(long, num_args = 1.., conflicts_with_all = ["input", "mocks"])]
        cases: Vec<PathBuf>,
    },
}

/// Runs one.
pub fn run(command: &WorkflowCommand, out: &Output) -> Result<()> {
    match command {
        WorkflowCommand::Validate { file } => validate(file, out),
        WorkflowCommand::Test { file: Some(file), input, mocks, .. } => {
            test(file, input, mocks.as_deref(), out)
        }
        WorkflowCommand::Test { file: None, cases, .. } => score(cases, out),
    }
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))
}

fn validate(file: &Path, out: &Output) -> Result<()> {
    let (findings, refused) = match Machine::parse(&read(file)?) {
        Ok((_, warnings)) => (warnings, false),
        Err(findings) => (findings, true),
    };
    let result = if refused { "FAIL" } else { "OK" };
    out.value(&json!({"result": result, "diagnostics": findings}), |_| {
        let mut lines: Vec<_> = findings.iter().map(finding).collect();
        if !refused {
            lines.push(format!("`{}` is right", file.display()));
        }
        lines.join("\n")
    })?;
    if refused {
        bail!("`{}` is not a state machine that can run", file.display());
    }
    Ok(())
}

fn finding(Finding { severity, code, message, location }: &Finding) -> String {
    let severity = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let location = location.as_deref().unwrap_or("/");
    format!("{location}: {severity}[{code}]: {message}")
}

fn test(file: &Path, input: &str, mocks: Option<&Path>, out: &Output) -> Result<()> {
    let machine = match Machine::parse(&read(file)?) {
        Ok((machine, _)) => machine,
        Err(findings) => {
            bail!("{}", findings.iter().map(finding).collect::<Vec<_>>().join("\n"))
        }
    };
    let input = match input.strip_prefix('@') {
        Some(file) => read(Path::new(file))?,
        None => input.to_owned(),
    };
    let input: Value = serde_json::from_str(&input).context("the input is not JSON")?;
    let mut mocks = match mocks {
        Some(file) => serde_json::from_str(&read(file)?)
            .with_context(|| format!("`{}` does not hold mocks", file.display()))?,
        None => Mocks::default(),
    };
    let simulated = simulate(&machine, &Setting::of(input), &mut mocks);
    let outcome = simulated.run.outcome.clone();
    let (output, fault) = outcome.map_or((None, None), |ended| (ended.output, ended.fault));
    let fault = fault.unwrap_or_default();
    let told = json!({
        "status": simulated.run.status,
        "output": output,
        "error": fault.error,
        "cause": fault.cause,
        "history": simulated.history.iter().map(workflow::Event::shown).collect::<Vec<_>>(),
    });
    out.value(&told, |told| shown(told, &simulated))?;
    let missing: Vec<_> = mocks.missing().collect();
    if !missing.is_empty() {
        bail!("these states have no mock: {}", missing.join(", "));
    }
    Ok(())
}

/// The history as a table, and what came of it.
fn shown(told: &Value, simulated: &Simulated) -> String {
    let start = simulated.history.first().map(|event| event.at);
    let mut lines = vec![format!("{:>6} {:>6} {:>10}  {}", "EVENT", "AFTER", "TIME", "WHAT")];
    for event in &simulated.history {
        let passed = start.map_or(0.0, |start| event.at.duration_since(start).as_secs_f64());
        let details = event.details.as_ref();
        let name = details.and_then(|details| details.get("name")).and_then(Value::as_str);
        let line = format!(
            "{:>6} {:>6} {passed:>8.1} s  {} {}",
            event.id,
            event.previous,
            event.kind,
            name.unwrap_or_default()
        );
        lines.push(line.trim_end().to_owned());
    }
    lines.push(String::new());
    for name in ["status", "output", "error", "cause"] {
        if !told[name].is_null() {
            lines.push(format!("{name}: {}", super::show::text(&told[name])));
        }
    }
    lines.join("\n")
}

fn score(files: &[PathBuf], out: &Output) -> Result<()> {
    let mut score = Score::default();
    for file in files {
        score.extend(Score::of(&read(file)?));
    }
    out.value(&serde_json::to_value(&score)?, |_| score.to_string())?;
    match score.misses() {
        0 => Ok(()),
        misses => bail!("{misses} case(s) that count did not come out as recorded"),
    }
}
