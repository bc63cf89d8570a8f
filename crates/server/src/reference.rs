//! The reference pages and the schemas for editors, made from the types they describe.

mod rows;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use delivery::NewExperiment;
use delivery::project::files::{AppFile, ProjectFile};
use delivery::simulate::ScenarioFile;
use evaluation::suite::SuiteFile;
use knowledge::KnowledgeSpec;
use models::ModelSpec;
use monitoring::alarm::slo::SloFile;
use monitoring::alarm::spec::AlarmFile;
use prompts::FrontMatter;
use schemars::{Schema, schema_for};
use security::guardrails::GuardrailsSpec;
use serde_json::Value;
use workflow::engine::ScheduleFile;
use workflow::rule::RuleSpec;

use crate::api;
use crate::cli::Cli;
use crate::config::ServerFile;

/// A kind of file that people write.
struct Kind {
    /// Its schema's name.
    name: &'static str,
    /// Where it stands.
    path: &'static str,
    schema: Schema,
}

fn kinds() -> Vec<Kind> {
    let kind = |name, path, schema| Kind { name, path, schema };
    vec![
        kind("project", "groundcrew.toml", schema_for!(ProjectFile)),
        kind("app", "apps/NAME.toml", schema_for!(AppFile)),
        kind("model", "models/NAME.toml", schema_for!(ModelSpec)),
        kind("prompt", "prompts/NAME.md, between its `+++` lines", schema_for!(FrontMatter)),
        kind("guardrails", "guardrails/NAME.toml", schema_for!(GuardrailsSpec)),
        kind("knowledge", "knowledge/NAME.toml", schema_for!(KnowledgeSpec)),
        kind("suite", "evals/NAME.toml", schema_for!(SuiteFile)),
        kind("schedule", "workflows/NAME.schedule.toml", schema_for!(ScheduleFile)),
        kind("rule", "workflows/NAME.rule.toml", schema_for!(RuleSpec)),
        kind("monitor", "monitors/NAME.toml", schema_for!(AlarmFile)),
        kind("slo", "monitors/NAME.slo.toml", schema_for!(SloFile)),
        kind("experiment", "EXPERIMENT.toml, for `experiment draft`", schema_for!(NewExperiment)),
        kind("scenario", "SCENARIO.toml, for `rollout simulate`", schema_for!(ScenarioFile)),
        kind("server", "server.toml", schema_for!(ServerFile)),
    ]
}

/// Writes every page below `directory`.
///
/// # Errors
/// If a file cannot be written.
pub fn write(directory: &Path) -> anyhow::Result<()> {
    for (name, text) in pages() {
        let path = directory.join(name);
        path.parent().map(fs::create_dir_all).transpose()?;
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

/// Every page, by its path.
fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    pages.insert("files.md".to_owned(), files());
    pages.insert("commands.md".to_owned(), commands());
    pages.insert("openapi.json".to_owned(), pretty(&api::openapi_document()));
    for Kind { name, schema, .. } in kinds() {
        pages.insert(format!("schemas/{name}.schema.json"), pretty(&schema.into()));
    }
    pages
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Every key of every file, with its type, its default and its meaning.
fn files() -> String {
    let mut page = "# Files\n\nEvery key of every file of a project, and of `server.toml`, which \
        the operator owns. Unknown keys are errors. The [schemas](schemas) are for editors.\n"
        .to_owned();
    for Kind { path, schema, .. } in kinds() {
        let schema = Value::from(schema);
        let (path, rest) = path.split_once(',').unwrap_or((path, ""));
        let rest = if rest.is_empty() { String::new() } else { format!(",{rest}") };
        // The first sentence of the type's own words says what the path says already.
        let about = schema["description"].as_str().unwrap_or_default();
        let about = about.split_once(". ").map_or("", |(_, about)| about).replace('\n', " ");
        let _ = write!(page, "\n## `{path}`{rest}\n\n");
        if !about.is_empty() {
            let _ = write!(page, "{about}\n\n");
        }
        page.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
        for row in rows::rows(&schema) {
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} |",
                row.key, row.kind, row.default, row.meaning
            );
        }
    }
    page
}

/// Every command with its help.
fn commands() -> String {
    let mut page =
        "# Commands\n\nEvery command but `init`, `up`, `apply --check`, `workflow validate`, \
        `workflow test`, `alarm simulate`, `rollout simulate`, `experiment analyze`, `explain` and \
        `completions` calls a running server. With `--json` every \
        one prints its answer as JSON.\n\nA command ends with 0 when it did what it was asked, \
        with 1 when it did not (the reason is on the error output, with a code that `explain` \
        knows if the server gave it), with 2 when the command line itself is wrong, and with 3 when \
        an evaluation or a comparison of two does not decide.\n"
            .to_owned();
    let mut root = Cli::command().term_width(100);
    root.build();
    describe(&root, &mut page);
    page
}

fn describe(command: &clap::Command, page: &mut String) {
    let own: Vec<_> = command.get_subcommands().filter(|own| own.get_name() != "help").collect();
    if own.is_empty() {
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
        let help = command.clone().render_long_help().to_string();
        let lines: Vec<_> = help.lines().map(str::trim_end).collect();
        let _ = write!(page, "\n## `{name}`\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
    }
    for command in own.into_iter().filter(|own| !own.is_hide_set()) {
        describe(command, page);
    }
}
