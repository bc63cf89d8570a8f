//! Alarms and service-level objectives among a project's files.

use std::collections::{BTreeMap, BTreeSet};

use monitoring::alarm::composite::{Rule, cycles};
use monitoring::alarm::defaults;
use monitoring::alarm::slo::SloFile;
use monitoring::alarm::spec::{AlarmFile, Watch, Wrong};
use release::{AppName, ArtifactName, Diagnostic, EnvironmentName};
use serde_json::Value;

use super::document::{BAD_VALUE, Document, suggestion};
use super::files::Folder;
use super::{DANGLING, Loader};

/// The alarms and service-level objectives of a project.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Monitors {
    /// Alarms, those that every app has included.
    pub alarms: BTreeMap<String, AlarmFile>,
    /// Which of them are as every app has them.
    pub defaults: BTreeSet<String>,
    /// Service-level objectives.
    pub objectives: BTreeMap<ArtifactName, SloFile>,
}

/// An alarm's file, of which it is not known yet whether it changes one that an app has anyway.
pub(super) struct Written {
    name: ArtifactName,
    document: Document,
    file: AlarmFile,
}

impl Loader {
    pub(super) fn monitor(&mut self, path: &str, name: &str, text: &str) {
        let Some((document, file)) = self.read::<AlarmFile>(path, text) else { return };
        if let Some(name) = self.name(path, name) {
            self.written.push(Written { name, document, file });
        }
    }

    pub(super) fn objective(&mut self, path: &str, name: &str, text: &str) {
        let Some((document, file)) = self.read::<SloFile>(path, text) else { return };
        if let Err(wrong) = file.compile() {
            self.wrong(&document, &wrong);
        }
        if let Some(name) = self.name(path, name) {
            self.objectives.insert(name, file);
        }
    }

    fn wrong(&mut self, document: &Document, wrong: &[Wrong]) {
        let found = |wrong: &Wrong| {
            Diagnostic::error(BAD_VALUE, document.place(&wrong.pointer), &wrong.message)
        };
        self.found.extend(wrong.iter().map(found));
    }

    /// The alarms: what is written, over those that every app has in its last environment.
    pub(super) fn resolve_monitors(
        &mut self,
        apps: &[AppName],
        environment: Option<&EnvironmentName>,
    ) -> Monitors {
        let mut alarms = BTreeMap::new();
        for (app, environment) in apps.iter().zip(environment.into_iter().cycle()) {
            alarms.extend(defaults::alarms(app.as_str(), environment.as_str()));
        }
        let mut defaults: BTreeSet<String> = alarms.keys().cloned().collect();
        let mut rules = Vec::new();
        for Written { name, document, file } in std::mem::take(&mut self.written) {
            let over = alarms.get(name.as_str()).and_then(|base| changed(base, document.value()));
            let file = over.unwrap_or(file);
            defaults.remove(name.as_str());
            match file.compile() {
                Ok(alarm) => {
                    if let Watch::Composite(rule, suppressor) = alarm.watch {
                        let suppressor = suppressor.map(|suppressor| suppressor.alarm);
                        rules.push((name.to_string(), document, rule, suppressor));
                    }
                }
                // One that is turned off needs to be nothing else.
                Err(wrong) if file.is_enabled() => self.wrong(&document, &wrong),
                Err(_) => {}
            }
            alarms.insert(name.to_string(), file);
        }
        let objectives = std::mem::take(&mut self.objectives);
        self.check_rules(&rules, (&alarms, &objectives));
        Monitors { alarms, defaults, objectives }
    }

    /// Looks up the alarms that rules name, and refuses those that name themselves.
    fn check_rules(
        &mut self,
        rules: &[(String, Document, Rule, Option<String>)],
        (alarms, objectives): (&BTreeMap<String, AlarmFile>, &BTreeMap<ArtifactName, SloFile>),
    ) {
        let of_objective = |(name, file): (&ArtifactName, &SloFile)| -> Vec<String> {
            let alarms = file.alarms().unwrap_or_default().into_iter();
            alarms.map(|alarm| format!("{name}.{}", alarm.suffix)).collect()
        };
        let on = alarms.iter().filter(|(_, file)| file.is_enabled()).map(|(name, _)| name.clone());
        let known: Vec<String> = on.chain(objectives.iter().flat_map(of_objective)).collect();
        let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, document, rule, suppressor) in rules {
            let children = rule.children();
            let named = children.iter().map(|child| (*child, "/rule"));
            let suppressor = suppressor.iter().map(|it| (it.as_str(), "/suppressor/alarm"));
            for (alarm, pointer) in named.chain(suppressor) {
                let broken = |it: &(Folder, String)| it.0 == Folder::Monitors && it.1 == alarm;
                if known.iter().any(|known| known == alarm) || self.broken.iter().any(broken) {
                    continue;
                }
                let message = format!("there is no alarm `{alarm}`");
                let finding = Diagnostic::error(DANGLING, document.place(pointer), message);
                self.found.push(finding.hint(suggestion(alarm, &known)));
            }
            graph.insert(name, children);
        }
        let found = cycles(&graph);
        for (name, document, ..) in rules {
            if let Some(way) = found.get(name.as_str()) {
                let message = format!("the alarm depends on itself: {}", way.join(" → "));
                let place = document.place("/rule");
                self.found.push(Diagnostic::error(BAD_VALUE, place, message));
            }
        }
    }
}

/// An alarm with what a file says of it, if that does not say what else it watches.
fn changed(base: &AlarmFile, written: &Value) -> Option<AlarmFile> {
    let written = written.as_object()?;
    if ["metric", "metrics", "query", "rule"].iter().any(|key| written.contains_key(*key)) {
        return None;
    }
    let mut value = serde_json::to_value(base).ok()?;
    value.as_object_mut()?.extend(written.clone());
    serde_json::from_value(value).ok()
}
