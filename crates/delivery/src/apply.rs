//! Applying a project: files become artifact versions, definitions and candidate releases, all in
//! one transaction.

use std::collections::BTreeMap;

use knowledge::KnowledgeSpec;
use release::{
    AppName, ArtifactName, ArtifactRef, Change, DeploymentEntry, Diagnostic, Digest, SlotName,
};
use serde::{Deserialize, Serialize};
use store::{Expect, Transaction};

use crate::catalog::{
    APPS, AppRecord, BATCHES, BatchRecord, Filled, KNOWLEDGE, KnowledgeRecord, PROJECTS,
    ProjectRecord, Versioned, expect,
};
use crate::contributors::CONTRIBUTORS;
use crate::due::DUE;
use crate::evaluations::SUITES;
use crate::listed::Listed;
use crate::project::files::Files;
use crate::project::{App, Project};
use crate::propose::{Proposal, Proposed};
use crate::queries::QUERIES;
use crate::waiting::Waits;
use crate::{DeliveryError, TenantDelivery};

/// A project's files, as a client sends them.
#[derive(Debug, Clone, Default)]
pub struct Upload {
    /// Contents by path.
    pub files: Files,
    /// The generation of the project the files were read against; none to apply over whatever is
    /// there.
    pub generation: Option<u64>,
    /// The commit they were read from, where known.
    pub commit: Option<String>,
    /// Who wrote that commit, as git has it.
    pub commit_author: Option<String>,
    /// Why, in the author's words.
    pub reason: String,
    /// Whether what the files no longer define is removed.
    pub prune: bool,
}

/// What an upload changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Applied {
    /// The project.
    pub project: ArtifactName,
    /// Its generation now.
    pub generation: u64,
    /// Artifact versions that were new.
    pub artifacts: Vec<ArtifactRef>,
    /// Changes proposed, each with its candidate release.
    pub changes: Vec<Change>,
    /// Moves into the first environment that the apps' policy made at once.
    pub promoted: Vec<DeploymentEntry>,
    /// Candidates that gates do not let into the first environment yet.
    #[serde(default)]
    pub gated: Vec<Waits>,
    /// Apps that wait for the first snapshot of a knowledge base.
    pub waiting: Vec<Pending>,
    /// Workflows, schedules, event rules, alarms, objectives, queries, rules of contributors and suites
    /// that are new or changed, as `workflow NAME`.
    pub defined: Vec<String>,
    /// Apps, knowledge bases, workflows, schedules, rules, alarms, objectives and queries removed
    /// (only with `prune`).
    pub removed: Vec<String>,
    /// What the files no longer define and was kept.
    pub kept: Vec<String>,
    /// Findings that did not prevent applying.
    pub warnings: Vec<Diagnostic>,
}

/// An app that cannot be released yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The app.
    pub app: AppName,
    /// The knowledge base that has no snapshot.
    pub knowledge: ArtifactName,
}

impl TenantDelivery {
    /// Applies a project. Nothing is stored unless every file is right.
    ///
    /// # Errors
    /// [`DeliveryError::Project`] with every mistake; [`DeliveryError::StaleProject`] if somebody
    /// applied since the caller read the project.
    pub async fn apply(&self, upload: &Upload) -> Result<Applied, DeliveryError> {
        let (project, found) = Project::load(&upload.files);
        let Some(project) = project else { return Err(DeliveryError::Project(found)) };
        let name = &project.file.name;
        let known = self.find::<ProjectRecord>(PROJECTS, name.as_str()).await?;
        let generation = known.as_ref().map_or(0, |known| known.value.generation);
        if let Some(expected) = upload.generation.filter(|expected| *expected != generation) {
            let project = name.clone();
            return Err(DeliveryError::StaleProject { project, expected, found: generation });
        }
        let record = ProjectRecord {
            name: name.clone(),
            generation: generation + 1,
            environments: project.file.environments.clone(),
            files: project.digests.clone(),
            commit: upload.commit.clone(),
            applied_at: self.clock.now(),
        };
        let mut applied = Applied {
            project: name.clone(),
            generation: record.generation,
            artifacts: Vec::new(),
            changes: Vec::new(),
            promoted: Vec::new(),
            gated: Vec::new(),
            waiting: Vec::new(),
            defined: Vec::new(),
            removed: Vec::new(),
            kept: Vec::new(),
            warnings: found,
        };
        let mut transaction = self
            .transaction()
            .put(PROJECTS, name.as_str(), &record, expect(&known))?
            .emit(&format!("projects/{name}"), "project.applied", &record)?;

        for prepared in &project.artifacts {
            let (next, new) = self.register(prepared, Vec::new(), transaction).await?;
            transaction = next;
            applied.artifacts.extend(new.then(|| prepared.artifact.clone()));
        }
        for (base, spec) in &project.knowledge {
            let golden = match project.golden.get(base) {
                Some(text) => Some(self.blobs.put(text.clone().into()).await?),
                None => None,
            };
            let defined = (base, spec, golden);
            transaction = self.define_knowledge(name, defined, transaction).await?;
        }
        let proposal = Proposal {
            commit: upload.commit.clone(),
            commit_author: upload.commit_author.clone(),
            reason: upload.reason.clone(),
        };
        for (app, defined) in &project.apps {
            let record = self.app_record(&project, app, defined).await?;
            transaction = self.release_app(record, &proposal, transaction, &mut applied).await?;
        }
        transaction = self.prune(&project, upload.prune, transaction, &mut applied).await?;
        transaction =
            self.define_workflows(&project, upload.prune, transaction, &mut applied).await?;
        transaction =
            self.define_monitors(&project, upload.prune, transaction, &mut applied).await?;
        let of = (&project, upload.prune);
        let listed = Listed { noun: "query", collection: QUERIES, files: &project.queries };
        transaction = self.define_listed(&listed, of, transaction, &mut applied).await?;
        let (noun, files) = ("contributors", &project.contributors);
        let listed = Listed { noun, collection: CONTRIBUTORS, files };
        transaction = self.define_listed(&listed, of, transaction, &mut applied).await?;
        let listed = Listed { noun: "suite", collection: SUITES, files: &project.suites };
        transaction = self.define_listed(&listed, of, transaction, &mut applied).await?;
        self.store.commit(transaction).await?;
        Ok(applied)
    }

    /// Proposes what fills an app's slots and, if its policy says so, promotes it into the first
    /// environment.
    async fn release_app(
        &self,
        record: Versioned<AppRecord>,
        proposal: &Proposal,
        transaction: Transaction,
        applied: &mut Applied,
    ) -> Result<Transaction, DeliveryError> {
        let (transaction, record, proposed) =
            self.propose(record, &BTreeMap::new(), proposal, transaction).await?;
        match proposed {
            Proposed::Unchanged { .. } => Ok(transaction),
            Proposed::Waiting { app, knowledge } => {
                applied.waiting.push(Pending { app, knowledge });
                Ok(transaction)
            }
            Proposed::Candidate(change) => {
                let (transaction, entered) = self.enter(&record, &change, transaction).await?;
                applied.promoted.extend(entered.moved);
                applied.gated.extend(entered.waits);
                applied.changes.push(*change);
                Ok(transaction)
            }
        }
    }

    async fn define_knowledge(
        &self,
        project: &ArtifactName,
        (name, spec, golden): (&ArtifactName, &KnowledgeSpec, Option<Digest>),
        transaction: Transaction,
    ) -> Result<Transaction, DeliveryError> {
        let known = self.find::<KnowledgeRecord>(KNOWLEDGE, name.as_str()).await?;
        if let Some(known) = known.as_ref().filter(|known| known.value.project != *project) {
            let (what, project) = (format!("knowledge base {name}"), known.value.project.clone());
            return Err(DeliveryError::Taken { what, project });
        }
        let same = |known: &KnowledgeRecord| known.spec == *spec && known.golden == golden;
        if known.as_ref().is_some_and(|known| same(&known.value)) {
            return Ok(transaction);
        }
        let record = match &known {
            Some(known) => KnowledgeRecord { spec: spec.clone(), golden, ..known.value.clone() },
            None => {
                // One that was removed and comes back goes on counting: its batches are still there.
                let batches = self.all::<BatchRecord>(BATCHES, &format!("{name}/")).await?;
                let batches = batches.last().map_or(0, |last| last.value.number);
                let new = KnowledgeRecord::new(name.clone(), project.clone(), spec.clone());
                KnowledgeRecord { golden, batches, ..new }
            }
        };
        Ok(transaction.put(KNOWLEDGE, name.as_str(), &record, expect(&known))?.emit(
            &format!("knowledge/{name}"),
            "knowledge.defined",
            &record,
        )?)
    }

    async fn app_record(
        &self,
        project: &Project,
        name: &AppName,
        app: &App,
    ) -> Result<Versioned<AppRecord>, DeliveryError> {
        let known = self.find::<AppRecord>(APPS, name.as_str()).await?;
        if let Some(known) = known.as_ref().filter(|k| k.value.project != project.file.name) {
            let (what, project) = (format!("app {name}"), known.value.project.clone());
            return Err(DeliveryError::Taken { what, project });
        }
        // An app that was removed and comes back goes on counting: its changes are still there.
        let changes = match &known {
            Some(known) => known.value.changes,
            None => self.changes(name).await?.len() as u64,
        };
        let mut slots: BTreeMap<SlotName, Filled> = app
            .filled
            .iter()
            .map(|(slot, artifact)| (slot.clone(), Filled::Artifact(artifact.clone())))
            .collect();
        let knowledge = app.file.slots.knowledge.clone();
        slots.extend(knowledge.map(|base| (SlotName::KNOWLEDGE, Filled::Knowledge(base))));
        let value = AppRecord {
            name: name.clone(),
            project: project.file.name.clone(),
            description: app.file.description.clone(),
            slots,
            policy: app.file.delivery.clone(),
            environments: project.file.environments.clone(),
            changes,
            head: known.as_ref().and_then(|known| known.value.head),
        };
        Ok(Versioned { value, version: known.map_or(0, |known| known.version) })
    }

    /// Finds what the project no longer defines. With `prune` it is removed, unless it is live.
    async fn prune(
        &self,
        project: &Project,
        prune: bool,
        mut transaction: Transaction,
        applied: &mut Applied,
    ) -> Result<Transaction, DeliveryError> {
        for found in self.all::<AppRecord>(APPS, "").await? {
            let app = &found.value;
            if app.project != project.file.name || project.apps.contains_key(&app.name) {
                continue;
            }
            let label = format!("app {}", app.name);
            if !prune {
                applied.kept.push(format!("{label}: not in the files, remove it with --prune"));
            } else if let Some(environment) = self.live_in(app).await? {
                applied.kept.push(format!("{label}: live in {environment}"));
            } else {
                transaction = transaction
                    .delete(APPS, app.name.as_str(), Expect::Version(found.version))
                    .emit(&format!("changes/{}", app.name), "app.removed", &app)?;
                applied.removed.push(label);
            }
        }
        for found in self.all::<KnowledgeRecord>(KNOWLEDGE, "").await? {
            let base = &found.value;
            if base.project != project.file.name || project.knowledge.contains_key(&base.name) {
                continue;
            }
            let label = format!("knowledge base {}", base.name);
            if prune {
                transaction = transaction
                    .delete(KNOWLEDGE, base.name.as_str(), Expect::Version(found.version))
                    .delete(DUE, base.name.as_str(), Expect::Any)
                    .emit(&format!("knowledge/{}", base.name), "knowledge.removed", &base)?;
                applied.removed.push(label);
            } else {
                applied.kept.push(format!("{label}: not in the files, remove it with --prune"));
            }
        }
        Ok(transaction)
    }

    async fn live_in(
        &self,
        app: &AppRecord,
    ) -> Result<Option<release::EnvironmentName>, DeliveryError> {
        for name in &app.environments {
            if self.environment(app, name).await?.0.stable.is_some() {
                return Ok(Some(name.clone()));
            }
        }
        Ok(None)
    }
}
