//! Workflows, schedules and event rules among a project's files.

use std::collections::BTreeMap;

use release::{ArtifactName, Code, Diagnostic, Place};
use serde::de::IgnoredAny;
use workflow::Machine;
use workflow::WorkflowRef;
use workflow::definition::{Finding, MAX_FINDINGS, Severity};
use workflow::engine::ScheduleFile;
use workflow::rule::{RuleError, RuleSpec, TargetSpec};
use workflow::schedule::SpecError;

use super::document::{BAD_VALUE, Document, suggestion};
use super::files::Folder;
use super::{DANGLING, Loader};

/// A workflow's definition that cannot run, or probably does not do what was meant.
const BAD_WORKFLOW: Code = Code::new("GC0111");
/// What the names of the product's own workflows begin with.
const OWN: &str = "groundcrew.";

/// The workflows of a project, and what starts them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Workflows {
    /// Definitions, as text.
    pub definitions: BTreeMap<ArtifactName, String>,
    /// Schedules.
    pub schedules: BTreeMap<ArtifactName, ScheduleFile>,
    /// Event rules.
    pub rules: BTreeMap<ArtifactName, RuleSpec>,
}

/// A workflow that a schedule or rule names, and where.
pub(super) struct Named {
    document: Document,
    pointer: String,
    workflow: WorkflowRef,
}

impl Loader {
    pub(super) fn workflow(&mut self, path: &str, name: &str, text: &str) {
        if name.starts_with(OWN) {
            let message = format!("names that begin with `{OWN}` are Groundcrew's own");
            self.error(BAD_VALUE, path, message);
        }
        let findings = match Machine::parse(text) {
            Ok((_, warnings)) => warnings,
            Err(findings) => {
                self.broken.push((Folder::Workflows, name.to_owned()));
                findings
            }
        };
        self.found.extend(told(path, text, &findings));
        if let Some(name) = self.name(path, name) {
            self.workflows.definitions.insert(name, text.to_owned());
        }
    }

    pub(super) fn schedule(&mut self, path: &str, name: &str, text: &str) {
        let Some((document, file)) = self.read::<ScheduleFile>(path, text) else { return };
        for wrong in file.when.compile().err().into_iter().flatten() {
            let pointer = match &wrong {
                SpecError::Expression(_) => "/when/expression",
                SpecError::TimeZone(_) => "/when/time_zone",
                SpecError::EndsBeforeStart { .. } => "/when/end",
                SpecError::Window(_) => "/when/flexible_window_minutes",
            };
            let place = document.place(pointer);
            self.found.push(Diagnostic::error(BAD_VALUE, place, wrong.to_string()));
        }
        if let Err(error) = file.machine() {
            let place = document.place("");
            self.found.push(Diagnostic::error(BAD_VALUE, place, error.to_string()));
        }
        if let Some(workflow) = file.workflow.clone() {
            let pointer = "/workflow".to_owned();
            self.named.push(Named { document, pointer, workflow });
        }
        if let Some(name) = self.name(path, name) {
            self.workflows.schedules.insert(name, file);
        }
    }

    pub(super) fn rule(&mut self, path: &str, name: &str, text: &str) {
        let Some((document, rule)) = self.read::<RuleSpec>(path, text) else { return };
        for wrong in rule.compile().err().into_iter().flatten() {
            let pointer = match &wrong {
                RuleError::Pattern(_) => "/pattern".to_owned(),
                RuleError::Targets(_) | RuleError::Id(_) => "/targets".to_owned(),
                RuleError::Input { number, .. } | RuleError::InputNotJson(number) => {
                    format!("/targets/{}/input", number - 1)
                }
            };
            let place = document.place(&pointer);
            self.found.push(Diagnostic::error(BAD_VALUE, place, wrong.to_string()));
        }
        for (index, target) in rule.targets.iter().enumerate() {
            if let TargetSpec::Execution { workflow, .. } = target {
                let (document, workflow) = (document.clone(), workflow.clone());
                let pointer = format!("/targets/{index}/workflow");
                self.named.push(Named { document, pointer, workflow });
            }
        }
        if let Some(name) = self.name(path, name) {
            self.workflows.rules.insert(name, rule);
        }
    }

    /// Looks up the workflows that schedules and rules start.
    pub(super) fn resolve_workflows(&mut self) -> Workflows {
        let known = &self.workflows.definitions;
        for Named { document, pointer, workflow } in std::mem::take(&mut self.named) {
            let workflow = workflow.name();
            let broken = (Folder::Workflows, workflow.to_owned());
            let own = workflow.starts_with(OWN);
            let is_known = known.keys().any(|name| name.as_str() == workflow);
            if own || is_known || self.broken.contains(&broken) {
                continue;
            }
            let names: Vec<_> = known.keys().map(ToString::to_string).collect();
            let hint = match names.as_slice() {
                [] => format!("add `workflows/{workflow}.asl.json`"),
                names => suggestion(workflow, names),
            };
            let message = format!("there is no `workflows/{workflow}.asl.json`");
            let place = document.place(&pointer);
            self.found.push(Diagnostic::error(DANGLING, place, message).hint(hint));
        }
        std::mem::take(&mut self.workflows)
    }
}

/// What was found in a definition, at its places in the file: the first [`MAX_FINDINGS`], since
/// each is looked for in the whole text.
fn told(path: &str, text: &str, findings: &[Finding]) -> Vec<Diagnostic> {
    let broken = serde_json::from_str::<IgnoredAny>(text).err().map(|error| {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (line, column) = (number(error.line()), number(error.column()));
        Place { file: path.to_owned(), line, column }
    });
    let place = |finding: &Finding| {
        let pointer = finding.location.as_deref().unwrap_or_default();
        broken.clone().unwrap_or_else(|| Place::at(path, text, locate(text, pointer)))
    };
    let told = |finding: &Finding| {
        let told = match finding.severity {
            Severity::Error => Diagnostic::error,
            Severity::Warning => Diagnostic::warning,
        };
        told(BAD_WORKFLOW, place(finding), &finding.message)
    };
    let mut all: Vec<_> = findings.iter().take(MAX_FINDINGS).map(told).collect();
    if let Some(more) = findings.len().checked_sub(MAX_FINDINGS).filter(|more| *more > 0) {
        let message = format!("{more} more findings are not told");
        all.push(Diagnostic::warning(BAD_WORKFLOW, Place::start_of(path), message));
    }
    all
}

/// Where what a JSON pointer names stands in the text of a JSON document: its key, if it has one;
/// as much of the pointer as there is.
pub(super) fn locate(text: &str, pointer: &str) -> usize {
    let mut found = blank(text, 0);
    let mut value = found;
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let Some((key, inner)) = member(text, value, &step) else { break };
        (found, value) = (key, inner);
    }
    found
}

/// Where a member of the object or list at `at` stands, and where its value does.
fn member(text: &str, at: usize, step: &str) -> Option<(usize, usize)> {
    let list = match text.as_bytes().get(at)? {
        b'{' => false,
        b'[' => true,
        _ => return None,
    };
    let (mut at, mut index) = (at, 0_usize);
    loop {
        // Past the bracket, or the comma of the member before.
        let key = blank(text, at + 1);
        let (is, value) = if list {
            (index.to_string() == step, key)
        } else {
            let end = after(text, key)?;
            let name: String = serde_json::from_str(text.get(key..end)?).ok()?;
            (name == step, blank(text, blank(text, end) + 1))
        };
        if is {
            return Some((key, value));
        }
        at = blank(text, after(text, value)?);
        index += 1;
        if text.as_bytes().get(at) != Some(&b',') {
            return None;
        }
    }
}

/// The end of the value that begins at `at`.
fn after(text: &str, at: usize) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_str(text.get(at..)?).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some(at + values.byte_offset())
}

/// The first place from `at` on that is not blank.
fn blank(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + (rest.len() - rest.trim_start().len())
}
