//! A project: the files from which artifacts and definitions are made.
//!
//! [`Project::load`] reads all files before anything is stored and reports every mistake at once.

mod contributors;
pub mod document;
pub mod files;
mod gates;
mod monitors;
mod queries;
mod suites;
mod workflows;

use std::collections::BTreeMap;

use knowledge::{KnowledgeSpec, Mode};
use models::ModelSpec;
use release::{
    AppName, ArtifactKind, ArtifactName, ArtifactRef, CanonicalJson, Code, Diagnostic, Digest,
    EnvironmentName, Place, Reproducibility, Severity, SlotName,
};
use schemars::JsonSchema;
use security::guardrails::{Guardrails, GuardrailsSpec};
use serde::{Serialize, de::DeserializeOwned};

use crate::evaluations::SavedSuite;
use crate::queries::SavedQuery;
use document::{BAD_VALUE, Document, suggestion};
use files::{AppFile, Files, Folder, ProjectFile};
use workflows::Named;

pub use monitors::Monitors;
pub use workflows::Workflows;

/// A file that is not UTF-8, too large or wrongly named.
const UNREADABLE: Code = Code::new("GC0106");
/// A project without `groundcrew.toml`.
const NO_PROJECT: Code = Code::new("GC0107");
/// Something is named that no file defines.
const DANGLING: Code = Code::new("GC0108");
/// Guardrails whose rules do not compile.
const BAD_RULES: Code = Code::new("GC0109");

/// The most bytes one project file may have.
pub const MAX_FILE: usize = 1 << 20;
/// The most files a project may have.
pub const MAX_FILES: usize = 5_000;

/// An artifact made from a file, not yet stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Kind, name and digest.
    pub artifact: ArtifactRef,
    /// What is hashed and stored.
    pub bytes: Vec<u8>,
    /// Whether its bytes or only a name is pinned.
    pub reproducible: Reproducibility,
}

impl Prepared {
    fn new(kind: ArtifactKind, name: ArtifactName, bytes: Vec<u8>) -> Self {
        let artifact = ArtifactRef { kind, name, digest: Digest::of(&bytes) };
        Self { artifact, bytes, reproducible: Reproducibility::Bytes }
    }
}

/// One app of the project.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// Its file.
    pub file: AppFile,
    /// What its files fill: every slot but `knowledge`.
    pub filled: BTreeMap<SlotName, ArtifactRef>,
}

/// A project that was read without error.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// `groundcrew.toml`.
    pub file: ProjectFile,
    /// Its apps.
    pub apps: BTreeMap<AppName, App>,
    /// Its knowledge bases.
    pub knowledge: BTreeMap<ArtifactName, KnowledgeSpec>,
    /// What these must find, of those that have golden queries: the files' text.
    pub golden: BTreeMap<ArtifactName, String>,
    /// Its workflows, and what starts them.
    pub workflows: Workflows,
    /// Its alarms and service-level objectives, those that every app has included.
    pub monitors: Monitors,
    /// Its queries.
    pub queries: BTreeMap<ArtifactName, SavedQuery>,
    /// Its rules of top contributors, as they are written.
    pub contributors: BTreeMap<ArtifactName, String>,
    /// Its evaluation suites.
    pub suites: BTreeMap<ArtifactName, SavedSuite>,
    /// The artifacts its files make.
    pub artifacts: Vec<Prepared>,
    /// The digest of each file.
    pub digests: BTreeMap<String, Digest>,
}

impl Project {
    /// Reads `files`. The project is there unless a finding is an error.
    pub fn load(files: &Files) -> (Option<Self>, Vec<Diagnostic>) {
        let mut loader = Loader::default();
        let project = loader.load(files);
        loader.found.sort();
        let failed = loader.found.iter().any(|finding| finding.severity == Severity::Error);
        (project.filter(|_| !failed), loader.found)
    }
}

#[derive(Default)]
struct Loader {
    found: Vec<Diagnostic>,
    models: BTreeMap<ArtifactName, Prepared>,
    prompts: BTreeMap<ArtifactName, Prepared>,
    guardrails: BTreeMap<ArtifactName, Prepared>,
    knowledge: BTreeMap<ArtifactName, KnowledgeSpec>,
    golden: BTreeMap<ArtifactName, String>,
    apps: BTreeMap<AppName, (String, Document, AppFile)>,
    workflows: Workflows,
    queries: BTreeMap<ArtifactName, SavedQuery>,
    contributors: BTreeMap<ArtifactName, String>,
    suites: Vec<suites::Read>,
    named: Vec<Named>,
    written: Vec<monitors::Written>,
    objectives: BTreeMap<ArtifactName, monitoring::alarm::slo::SloFile>,
    /// Names whose file is there but broken: naming them is not one more mistake.
    broken: Vec<(Folder, String)>,
}

impl Loader {
    fn load(&mut self, files: &Files) -> Option<Project> {
        if files.len() > MAX_FILES {
            let message = format!("{} files are more than the {MAX_FILES} allowed", files.len());
            self.error(UNREADABLE, "groundcrew.toml", message);
            return None;
        }
        let texts = self.texts(files);
        let fragments = prompt_texts(&texts);
        let mut project = None;
        for (path, text) in &texts {
            let Some((folder, name)) = Folder::of(path) else { continue };
            match folder {
                Folder::Project => {
                    project = self.read::<ProjectFile>(path, text).map(|read| read.1)
                }
                Folder::Apps => self.app(path, name, text),
                Folder::Models => self.model(path, name, text),
                Folder::Prompts => self.prompt(path, name, text, &fragments),
                Folder::Guardrails => self.guardrails(path, name, text),
                Folder::Knowledge => self.knowledge(path, name, text, &texts),
                Folder::Suites => self.suite(path, name, text, &texts),
                // Read with the knowledge base or the suite that names it.
                Folder::Golden | Folder::Cases => {}
                Folder::Workflows => self.workflow(path, name, text),
                Folder::Schedules => self.schedule(path, name, text),
                Folder::Rules => self.rule(path, name, text),
                Folder::Monitors => self.monitor(path, name, text),
                Folder::Objectives => self.objective(path, name, text),
                Folder::Queries => self.query(path, name, text),
                Folder::Contributors => self.contributors(path, name, text),
            }
        }
        if !files.contains_key("groundcrew.toml") {
            let place = Place::start_of("groundcrew.toml");
            let finding =
                Diagnostic::error(NO_PROJECT, place, "the project has no `groundcrew.toml`");
            self.found
                .push(finding.hint("run `groundcrew init`, or change to the project's folder"));
        }
        if let Some(file) = &project {
            self.check_delivery(&file.environments);
        }
        let apps = self.resolve_slots();
        let workflows = self.resolve_workflows();
        let environment = project.as_ref().and_then(|file: &ProjectFile| file.environments.last());
        let names: Vec<AppName> = apps.keys().cloned().collect();
        let monitors = self.resolve_monitors(&names, environment);
        let environments = project.as_ref().map(|file| file.environments.as_slice());
        let (suites, of_suites) = self.resolve_suites(&names, environments.unwrap_or_default());
        let artifacts = [&self.models, &self.prompts, &self.guardrails];
        let artifacts = artifacts.into_iter().flat_map(BTreeMap::values).cloned();
        let configs = apps.values().filter_map(|(_, config)| config.clone());
        Some(Project {
            file: project?,
            artifacts: artifacts.chain(configs).chain(of_suites).collect(),
            apps: apps.into_iter().map(|(name, (app, _))| (name, app)).collect(),
            knowledge: std::mem::take(&mut self.knowledge),
            golden: std::mem::take(&mut self.golden),
            workflows,
            monitors,
            queries: std::mem::take(&mut self.queries),
            contributors: std::mem::take(&mut self.contributors),
            suites,
            digests: files.iter().map(|(path, bytes)| (path.clone(), Digest::of(bytes))).collect(),
        })
    }

    /// The readable files as text with LF line ends.
    fn texts(&mut self, files: &Files) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for (path, bytes) in files {
            let Some((folder, name)) = Folder::of(path) else { continue };
            let text = if bytes.len() > MAX_FILE {
                Err((0, format!("{} bytes are more than the {MAX_FILE} allowed", bytes.len())))
            } else {
                std::str::from_utf8(bytes)
                    .map_err(|error| (error.valid_up_to(), "not valid UTF-8".to_owned()))
            };
            match text {
                Ok(text) => {
                    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
                    texts.insert(path.clone(), text.replace("\r\n", "\n"));
                }
                Err((offset, message)) => {
                    let valid = String::from_utf8_lossy(&bytes[..offset]);
                    let place = Place::at(path, &valid, offset);
                    self.found.push(Diagnostic::error(UNREADABLE, place, message));
                    self.broken.push((folder, name.to_owned()));
                }
            }
        }
        texts
    }

    fn read<T: DeserializeOwned + JsonSchema>(
        &mut self,
        path: &str,
        text: &str,
    ) -> Option<(Document, T)> {
        let document = Document::parse(path, text);
        match document.and_then(|document| document.read().map(|typed| (document, typed))) {
            Ok(read) => Some(read),
            Err(found) => {
                self.found.extend(found);
                let broken = Folder::of(path).map(|(folder, name)| (folder, name.to_owned()));
                self.broken.extend(broken);
                None
            }
        }
    }

    fn app(&mut self, path: &str, name: &str, text: &str) {
        let read = self.read::<AppFile>(path, text);
        let name = self.name(path, name);
        if let (Some(name), Some((document, file))) = (name, read) {
            self.apps.insert(name, (path.to_owned(), document, file));
        }
    }

    fn model(&mut self, path: &str, name: &str, text: &str) {
        let Some((document, spec)) = self.read::<ModelSpec>(path, text) else { return };
        let reproducible = spec.reproducibility();
        if let Some(mut prepared) = self.prepare(ArtifactKind::Model, &document, name, &spec) {
            prepared.reproducible = reproducible;
            self.models.insert(prepared.artifact.name.clone(), prepared);
        }
    }

    fn guardrails(&mut self, path: &str, name: &str, text: &str) {
        let Some((document, spec)) = self.read::<GuardrailsSpec>(path, text) else { return };
        if let Err(error) = Guardrails::compile(&spec) {
            let place = document.place("/rules");
            self.found.push(Diagnostic::error(BAD_RULES, place, error.to_string()));
        }
        if let Some(prepared) = self.prepare(ArtifactKind::Guardrails, &document, name, &spec) {
            self.guardrails.insert(prepared.artifact.name.clone(), prepared);
        }
    }

    fn knowledge(&mut self, path: &str, name: &str, text: &str, texts: &BTreeMap<String, String>) {
        let read = self.read::<KnowledgeSpec>(path, text);
        let name = self.name(path, name);
        if let (Some(name), Some((document, spec))) = (name, read) {
            if let (Some(mode), None) = (spec.retrieval.mode, &spec.embedding)
                && mode != Mode::Bm25
            {
                let message = format!("mode `{mode}` needs vectors, and there is no [embedding]");
                let place = document.place("/retrieval/mode");
                self.found.push(Diagnostic::error(BAD_VALUE, place, message));
            }
            for (index, source) in spec.sources.iter().enumerate() {
                if let Err(why) = crate::due::check(source) {
                    let place = document.place(&format!("/sources/{index}/tier"));
                    self.found.push(Diagnostic::error(BAD_VALUE, place, why));
                }
            }
            if let Err(error) = spec.check() {
                self.error(BAD_VALUE, path, error.to_string());
            }
            if let Some(file) = &spec.quality.golden {
                self.golden(&name, &document, file, texts);
            }
            self.knowledge.insert(name, spec);
        }
    }

    /// Reads the golden queries that a knowledge base names.
    fn golden(
        &mut self,
        name: &ArtifactName,
        document: &Document,
        file: &str,
        texts: &BTreeMap<String, String>,
    ) {
        let path = format!("knowledge/{file}");
        let Some(text) = texts.get(&path) else {
            let unreadable = |broken: &(Folder, String)| {
                broken.0 == Folder::Golden && Some(broken.1.as_str()) == file.strip_suffix(".jsonl")
            };
            if !self.broken.iter().any(unreadable) {
                let place = document.place("/quality/golden");
                let finding = Diagnostic::error(DANGLING, place, format!("there is no `{path}`"));
                self.found.push(finding.hint(format!("add `{path}`")));
            }
            return;
        };
        match knowledge::read_golden(text) {
            Ok(_) => {
                self.golden.insert(name.clone(), text.clone());
            }
            Err((line, why)) => {
                let at = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
                self.found.push(Diagnostic::error(BAD_VALUE, Place::at(&path, text, at), why));
            }
        }
    }

    fn prompt(&mut self, path: &str, name: &str, text: &str, fragments: &BTreeMap<String, String>) {
        // Files that start with `_` exist to be included.
        if name.rsplit('/').next().is_some_and(|name| name.starts_with('_')) {
            return;
        }
        let resolved = match prompts::resolve_includes(name, fragments) {
            Ok(resolved) => resolved,
            Err(error) => {
                self.error(BAD_VALUE, path, error.to_string());
                self.broken.push((Folder::Prompts, name.to_owned()));
                return;
            }
        };
        let mut found = prompts::Prompt::check(path, text);
        if found.is_empty() && resolved != text {
            found = prompts::Prompt::check(path, &resolved);
        }
        self.found.extend(found);
        if let Some(name) = self.name::<ArtifactName>(path, name) {
            let prepared = Prepared::new(ArtifactKind::Prompt, name.clone(), resolved.into_bytes());
            self.prompts.insert(name, prepared);
        }
    }

    fn prepare(
        &mut self,
        kind: ArtifactKind,
        document: &Document,
        name: &str,
        spec: &impl Serialize,
    ) -> Option<Prepared> {
        let file = document.place("").file;
        let name = self.name(&file, name)?;
        match CanonicalJson::of(spec) {
            Ok(json) => Some(Prepared::new(kind, name, json.into_bytes())),
            Err(error) => {
                self.error(BAD_VALUE, &file, error.to_string());
                None
            }
        }
    }

    /// Rules of delivery are of environments that there are, and can be followed.
    fn check_delivery(&mut self, environments: &[EnvironmentName]) {
        // A suite whose file is broken is there all the same.
        let broken = self.broken.iter().filter(|(folder, _)| *folder == Folder::Suites);
        let suites = self.suites.iter().map(|read| read.name.as_str());
        let suites: Vec<&str> = suites.chain(broken.map(|(_, name)| name.as_str())).collect();
        for (_, document, file) in self.apps.values() {
            for (name, rules) in &file.delivery.environments {
                let at = format!("/delivery/environments/{name}");
                if !environments.contains(name) {
                    let names: Vec<_> = environments.iter().map(ToString::to_string).collect();
                    let message = format!("there is no environment `{name}`");
                    let finding = Diagnostic::error(DANGLING, document.key_place(&at), message);
                    self.found.push(finding.hint(suggestion(name.as_str(), &names)));
                }
                if let Err((key, why)) = rules.rules() {
                    let place = document.place(&format!("{at}/{key}"));
                    self.found.push(Diagnostic::error(BAD_VALUE, place, why));
                }
                let gates = (rules.gates.as_slice(), at.as_str());
                let place = (name, environments);
                self.found.extend(gates::mistakes(document, gates, place, &suites));
            }
        }
    }

    /// Looks up what every app's slots name; the app's settings become its `config` artifact.
    fn resolve_slots(&mut self) -> BTreeMap<AppName, (App, Option<Prepared>)> {
        let mut resolved = BTreeMap::new();
        for (name, (_, document, file)) in std::mem::take(&mut self.apps) {
            let mut filled = BTreeMap::new();
            for (slot, wanted) in file.slots.named() {
                if let Some(artifact) = self.filler(&document, &slot, wanted) {
                    filled.insert(slot, artifact);
                }
            }
            let config = self.prepare(ArtifactKind::Config, &document, name.as_str(), &file.config);
            let reference = config.as_ref().map(|config| config.artifact.clone());
            filled.extend(reference.map(|artifact| (SlotName::CONFIG, artifact)));
            resolved.insert(name, (App { file, filled }, config));
        }
        resolved
    }

    /// What fills `slot`; `None` for knowledge, whose snapshots are not files, and for mistakes.
    fn filler(
        &mut self,
        document: &Document,
        slot: &SlotName,
        wanted: &ArtifactName,
    ) -> Option<ArtifactRef> {
        let (folder, directory, artifacts) = match slot.as_str() {
            "model" => (Folder::Models, "models", &self.models),
            "prompt" => (Folder::Prompts, "prompts", &self.prompts),
            "guardrails" => (Folder::Guardrails, "guardrails", &self.guardrails),
            _ => (Folder::Knowledge, "knowledge", &BTreeMap::new()),
        };
        if let Some(prepared) = artifacts.get(wanted) {
            return Some(prepared.artifact.clone());
        }
        let defined = folder == Folder::Knowledge && self.knowledge.contains_key(wanted);
        let broken = self.broken.iter().any(|(f, name)| *f == folder && name == wanted.as_str());
        if !defined && !broken {
            let extension = if folder == Folder::Prompts { "md" } else { "toml" };
            let names = match folder {
                Folder::Knowledge => self.knowledge.keys().map(ToString::to_string).collect(),
                _ => artifacts.keys().map(ToString::to_string).collect::<Vec<_>>(),
            };
            let place = document.place(&format!("/slots/{slot}"));
            let message = format!("there is no `{directory}/{wanted}.{extension}`");
            let finding = Diagnostic::error(DANGLING, place, message);
            let hint = if names.is_empty() {
                format!("add `{directory}/{wanted}.{extension}`")
            } else {
                suggestion(wanted.as_str(), &names)
            };
            self.found.push(finding.hint(hint));
        }
        None
    }

    fn name<N: std::str::FromStr<Err = release::InvalidName>>(
        &mut self,
        path: &str,
        name: &str,
    ) -> Option<N> {
        name.parse().map_err(|error| self.error(UNREADABLE, path, format!("{error}"))).ok()
    }

    fn error(&mut self, code: Code, path: &str, message: String) {
        self.found.push(Diagnostic::error(code, Place::start_of(path), message));
    }
}

/// The texts of `prompts/`, by the name other prompts include them by.
fn prompt_texts(texts: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let prompts = texts.iter().filter_map(|(path, text)| match Folder::of(path)? {
        (Folder::Prompts, name) => Some((name.to_owned(), text.clone())),
        _ => None,
    });
    prompts.collect()
}

#[cfg(test)]
mod tests;
