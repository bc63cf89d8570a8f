//! The files of a project and their types.

use std::collections::BTreeMap;

use models::AppConfig;
use release::{ArtifactName, EnvironmentName, SlotName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rollout::rules::RulesFile;

/// `groundcrew.toml`: the project itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectFile {
    /// The project's name; apps and knowledge bases belong to it.
    pub name: ArtifactName,
    /// What the project is for, for people.
    #[serde(default)]
    pub description: String,
    /// The environments a release passes, first to last.
    #[serde(default = "default_environments")]
    pub environments: Vec<EnvironmentName>,
}

fn default_environments() -> Vec<EnvironmentName> {
    ["dev", "staging", "prod"].into_iter().filter_map(|name| name.parse().ok()).collect()
}

/// `apps/NAME.toml`: what fills an app's slots and how it is delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppFile {
    /// What the app is for, for people.
    #[serde(default)]
    pub description: String,
    /// What shapes its answers.
    pub slots: Slots,
    /// Settings that shape its answers; they fill the slot `config`.
    #[serde(default)]
    pub config: AppConfig,
    /// How its releases reach the environments.
    #[serde(default)]
    pub delivery: Policy,
}

/// The artifacts that fill an app's slots, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slots {
    /// The model that answers: a file in `models/`.
    pub model: ArtifactName,
    /// The prompt that becomes the system message: a file in `prompts/`.
    pub prompt: ArtifactName,
    /// The knowledge base that grounds answers: a file in `knowledge/`. Without it the app
    /// answers from its model alone.
    pub knowledge: Option<ArtifactName>,
    /// The rules that screen input and output: a file in `guardrails/`.
    pub guardrails: Option<ArtifactName>,
}

impl Slots {
    /// Slot by slot, the name of what fills it.
    pub fn named(&self) -> impl Iterator<Item = (SlotName, &ArtifactName)> {
        let optional = [
            (SlotName::KNOWLEDGE, self.knowledge.as_ref()),
            (SlotName::GUARDRAILS, self.guardrails.as_ref()),
        ];
        [(SlotName::MODEL, &self.model), (SlotName::PROMPT, &self.prompt)]
            .into_iter()
            .chain(optional.into_iter().filter_map(|(slot, name)| Some((slot, name?))))
    }
}

/// How an app's releases reach the environments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// How a candidate enters the first environment.
    pub enter: Entry,
    /// How releases come into an environment, by its name; at once where nothing is said.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environments: BTreeMap<EnvironmentName, RulesFile>,
}

/// How a candidate enters the first environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Promoted as soon as it is proposed, unless it is held there.
    #[default]
    Automatic,
    /// Waits until somebody promotes it.
    Manual,
}

/// Which of a project's folders a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Folder {
    /// `groundcrew.toml` at the top.
    Project,
    /// `apps/NAME.toml`.
    Apps,
    /// `models/NAME.toml`.
    Models,
    /// `prompts/NAME.md`.
    Prompts,
    /// `guardrails/NAME.toml`.
    Guardrails,
    /// `knowledge/NAME.toml`.
    Knowledge,
    /// `knowledge/NAME.jsonl`: golden queries.
    Golden,
    /// `workflows/NAME.asl.json`.
    Workflows,
    /// `workflows/NAME.schedule.toml`.
    Schedules,
    /// `workflows/NAME.rule.toml`.
    Rules,
    /// `monitors/NAME.toml`: alarms.
    Monitors,
    /// `monitors/NAME.slo.toml`: service-level objectives.
    Objectives,
    /// `queries/NAME.sql` and `queries/NAME.insights`.
    Queries,
    /// `contributors/NAME.json`.
    Contributors,
    /// `evals/NAME.toml`.
    Suites,
    /// `evals/NAME.jsonl`: the cases of suites.
    Cases,
}

impl Folder {
    /// The folders of a project, by name.
    pub const NAMES: [&str; 10] = [
        "apps",
        "models",
        "prompts",
        "guardrails",
        "knowledge",
        "workflows",
        "monitors",
        "queries",
        "contributors",
        "evals",
    ];

    /// The folder of `path` (relative to the project, with `/`) and the name the file gives its
    /// contents; `None` for files that are not the project's own.
    pub fn of(path: &str) -> Option<(Self, &str)> {
        if path == "groundcrew.toml" {
            return Some((Self::Project, "groundcrew"));
        }
        let (folder, file) = path.split_once('/')?;
        let (folder, extension) = match folder {
            "apps" => (Self::Apps, ".toml"),
            "models" => (Self::Models, ".toml"),
            "prompts" => (Self::Prompts, ".md"),
            "guardrails" => (Self::Guardrails, ".toml"),
            "knowledge" if file.ends_with(".jsonl") => (Self::Golden, ".jsonl"),
            "knowledge" => (Self::Knowledge, ".toml"),
            "workflows" if file.ends_with(".schedule.toml") => (Self::Schedules, ".schedule.toml"),
            "workflows" if file.ends_with(".rule.toml") => (Self::Rules, ".rule.toml"),
            "workflows" => (Self::Workflows, ".asl.json"),
            "monitors" if file.ends_with(".slo.toml") => (Self::Objectives, ".slo.toml"),
            "monitors" => (Self::Monitors, ".toml"),
            "queries" if file.ends_with(".sql") => (Self::Queries, ".sql"),
            "queries" => (Self::Queries, ".insights"),
            "contributors" => (Self::Contributors, ".json"),
            "evals" if file.ends_with(".jsonl") => (Self::Cases, ".jsonl"),
            "evals" => (Self::Suites, ".toml"),
            _ => return None,
        };
        file.strip_suffix(extension).map(|name| (folder, name))
    }
}

/// The contents of a project's files by path, relative to the project and with `/`.
pub type Files = BTreeMap<String, Vec<u8>>;
