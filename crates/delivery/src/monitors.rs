//! A project's alarms and service-level objectives, applied with everything else it defines.

use std::collections::BTreeSet;

use monitoring::alarm::records::{AlarmRecord, Defined, Outcome, SloRecord, define, remove};
use store::Transaction;

use crate::apply::Applied;
use crate::project::Project;
use crate::{DeliveryError, TenantDelivery};

impl TenantDelivery {
    /// Adds what the project's files say about alarms to `transaction`. What they do not name any
    /// more is kept, or removed with `prune`.
    pub(crate) async fn define_monitors(
        &self,
        project: &Project,
        prune: bool,
        mut transaction: Transaction,
        applied: &mut Applied,
    ) -> Result<Transaction, DeliveryError> {
        let mut alarms = BTreeSet::new();
        for (name, definition) in &project.monitors.alarms {
            let record = AlarmRecord {
                name: name.clone(),
                project: project.file.name.clone(),
                definition: definition.clone(),
                by_default: project.monitors.defaults.contains(name),
                objective: None,
            };
            let mut defined = Vec::new();
            transaction = self.keep(&record, transaction, &mut defined).await?;
            // What every app has is not worth a word.
            applied.defined.extend(defined.into_iter().filter(|_| !record.by_default));
            alarms.insert(name.clone());
        }
        let mut objectives = BTreeSet::new();
        for (name, definition) in &project.monitors.objectives {
            let record = SloRecord {
                name: name.to_string(),
                project: project.file.name.clone(),
                definition: definition.clone(),
            };
            transaction = self.keep(&record, transaction, &mut applied.defined).await?;
            objectives.insert(name.to_string());
        }
        let step = (project, prune);
        transaction = self.gone::<AlarmRecord>(step, &alarms, transaction, applied).await?;
        self.gone::<SloRecord>(step, &objectives, transaction, applied).await
    }

    async fn keep<T: Defined>(
        &self,
        record: &T,
        transaction: Transaction,
        defined: &mut Vec<String>,
    ) -> Result<Transaction, DeliveryError> {
        let (transaction, outcome) = define(&self.store, record, transaction).await?;
        let what = format!("{} {}", T::NOUN, record.name());
        match outcome {
            Outcome::Same => {}
            Outcome::Changed => defined.push(what),
            Outcome::Taken(project) => return Err(DeliveryError::Taken { what, project }),
        }
        Ok(transaction)
    }

    async fn gone<T: Defined>(
        &self,
        (project, prune): (&Project, bool),
        named: &BTreeSet<String>,
        mut transaction: Transaction,
        applied: &mut Applied,
    ) -> Result<Transaction, DeliveryError> {
        for row in self.store.all(T::COLLECTION, "").await? {
            let record: T = row.read()?;
            if *record.project() != project.file.name || named.contains(record.name()) {
                continue;
            }
            let what = format!("{} {}", T::NOUN, record.name());
            if prune {
                transaction = remove((&record, row.version), transaction)?;
                applied.removed.push(what);
            } else {
                applied.kept.push(format!("{what}: not in the files, remove it with --prune"));
            }
        }
        Ok(transaction)
    }
}
