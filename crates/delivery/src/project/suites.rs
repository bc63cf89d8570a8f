//! Evaluation suites in a project: each is read with its cases, and every mistake told at its place.

use std::collections::BTreeMap;

use evaluation::suite::{BadSuite, OnlineSpec, Suite, SuiteFile, Wrong, read_cases};
use release::{
    AppName, ArtifactKind, ArtifactName, ArtifactRef, Diagnostic, EnvironmentName, Reproducibility,
};

use super::document::{BAD_VALUE, Document, suggestion};
use super::files::Folder;
use super::{DANGLING, Loader, Prepared};
use crate::evaluations::SavedSuite;

/// A suite's file that was read; its judge is looked up when all models are known.
pub(super) struct Read {
    pub(super) name: ArtifactName,
    document: Document,
    judge: Option<ArtifactName>,
    /// None if it has a mistake.
    suite: Option<Suite>,
}

impl Loader {
    /// Reads `evals/NAME.toml` with the cases beside it.
    pub(super) fn suite(
        &mut self,
        path: &str,
        name: &str,
        text: &str,
        texts: &BTreeMap<String, String>,
    ) {
        let read = self.read::<SuiteFile>(path, text);
        let name = self.name::<ArtifactName>(path, name);
        let (Some(name), Some((document, file))) = (name, read) else { return };
        let judge = file.judge.as_ref().map(|judge| judge.model.clone());
        let cases = format!("evals/{}", file.cases);
        let suite = match texts.get(&cases) {
            Some(text) => self.put_together(&document, file, (&cases, text)),
            None => {
                let wrong = file.compile().err().unwrap_or_default();
                let beside = !wrong.iter().any(|wrong| wrong.pointer == "/cases");
                if beside && !self.is_broken(Folder::Cases, file.cases.strip_suffix(".jsonl")) {
                    let place = document.place("/cases");
                    let message = format!("there is no `{cases}`");
                    let finding = Diagnostic::error(DANGLING, place, message);
                    self.found.push(finding.hint(format!("add `{cases}`: a case per line")));
                }
                self.wrong_suite(&document, wrong);
                None
            }
        };
        self.suites.push(Read { name, document, judge, suite });
    }

    /// A suite of its file and its cases, or all that is wrong with both.
    fn put_together(
        &mut self,
        document: &Document,
        file: SuiteFile,
        (path, cases): (&str, &str),
    ) -> Option<Suite> {
        let scorers: Vec<String> = file.scorers.keys().map(ToString::to_string).collect();
        match Suite::read(file, cases) {
            Ok(suite) => return Some(suite),
            Err(BadSuite::File(wrong)) => {
                self.wrong_suite(document, wrong);
                // The cases were not looked at yet.
                let scorers: Vec<&str> = scorers.iter().map(String::as_str).collect();
                self.found.extend(read_cases(path, cases, &scorers).err().unwrap_or_default());
            }
            Err(BadSuite::Cases(found)) => self.found.extend(found),
            Err(BadSuite::Form(error)) => {
                let place = document.place("");
                self.found.push(Diagnostic::error(BAD_VALUE, place, error.to_string()));
            }
        }
        None
    }

    fn wrong_suite(&mut self, document: &Document, wrong: Vec<Wrong>) {
        let finding = |Wrong { pointer, message }| {
            Diagnostic::error(BAD_VALUE, document.place(&pointer), message)
        };
        self.found.extend(wrong.into_iter().map(finding));
    }

    /// Looks up the judges of all suites, and whose answers they score; each suite becomes an artifact.
    pub(super) fn resolve_suites(
        &mut self,
        apps: &[AppName],
        environments: &[EnvironmentName],
    ) -> (BTreeMap<ArtifactName, SavedSuite>, Vec<Prepared>) {
        let (mut saved, mut artifacts) = (BTreeMap::new(), Vec::new());
        for Read { name, document, judge, suite } in std::mem::take(&mut self.suites) {
            let judge = judge.and_then(|model| self.judge(&document, &model));
            let Some(suite) = suite else { continue };
            if let Some(online) = &suite.file.online {
                self.place(&document, online, (apps, environments));
            }
            let (kind, digest) = (ArtifactKind::EvalSuite, suite.digest);
            let of_suite = SavedSuite {
                name: name.clone(),
                digest,
                description: suite.file.description.clone(),
                cases: suite.cases.len(),
                scorers: suite.scorers.iter().map(|scorer| scorer.name.clone()).collect(),
                judge,
                online: suite.file.online.clone(),
            };
            saved.insert(name.clone(), of_suite);
            let artifact = ArtifactRef { kind, name, digest };
            let (bytes, reproducible) = (suite.bytes().to_vec(), Reproducibility::Bytes);
            artifacts.push(Prepared { artifact, bytes, reproducible });
        }
        (saved, artifacts)
    }

    /// Findings where there is no such app or environment.
    fn place(
        &mut self,
        document: &Document,
        online: &OnlineSpec,
        (apps, environments): (&[AppName], &[EnvironmentName]),
    ) {
        let mut known = |what: &str, name: &str, names: Vec<String>| {
            if names.iter().any(|known| known == name) {
                return;
            }
            let message = format!("the project has no {what} `{name}`");
            let place = document.place(&format!("/online/{what}"));
            let finding = Diagnostic::error(DANGLING, place, message);
            self.found.push(finding.hint(suggestion(name, &names)));
        };
        known("app", online.app.as_str(), apps.iter().map(ToString::to_string).collect());
        let names = environments.iter().map(ToString::to_string).collect();
        known("environment", online.environment.as_str(), names);
    }

    /// The model that judges, or a finding.
    fn judge(&mut self, document: &Document, model: &ArtifactName) -> Option<ArtifactRef> {
        if let Some(prepared) = self.models.get(model) {
            return Some(prepared.artifact.clone());
        }
        if !self.is_broken(Folder::Models, Some(model.as_str())) {
            let names: Vec<_> = self.models.keys().map(ToString::to_string).collect();
            let place = document.place("/judge/model");
            let message = format!("there is no `models/{model}.toml`");
            let finding = Diagnostic::error(DANGLING, place, message);
            self.found.push(finding.hint(suggestion(model.as_str(), &names)));
        }
        None
    }

    /// Whether a file is there, and could not be read.
    fn is_broken(&self, folder: Folder, name: Option<&str>) -> bool {
        self.broken.iter().any(|(of, broken)| *of == folder && Some(broken.as_str()) == name)
    }
}

#[cfg(test)]
mod tests;
