//! A project's workflows, schedules and event rules, applied with everything else it defines.

use std::collections::BTreeSet;

use store::Transaction;
use workflow::engine::Definitions;

use crate::apply::Applied;
use crate::project::Project;
use crate::{DeliveryError, TenantDelivery};

impl TenantDelivery {
    /// Adds what the project's files say about workflows to `transaction`. What they do not name any
    /// more is kept, or removed with `prune`.
    pub(crate) async fn define_workflows(
        &self,
        project: &Project,
        prune: bool,
        mut transaction: Transaction,
        applied: &mut Applied,
    ) -> Result<Transaction, DeliveryError> {
        let by = (self.actor.clone(), self.clock.now());
        let definitions =
            Definitions::of_project(self.store.clone(), by, project.file.name.clone());
        let mut named = BTreeSet::new();
        let mut note = |label: String, changed: bool| {
            applied.defined.extend(changed.then(|| label.clone()));
            named.insert(label);
        };
        for (name, text) in &project.workflows.definitions {
            let (next, defined) = definitions.workflow(name.as_str(), text, transaction).await?;
            transaction = next;
            note(format!("workflow {name}"), defined.changed);
        }
        for (name, file) in &project.workflows.schedules {
            let (next, defined) =
                definitions.schedule(name.as_str(), file.clone(), transaction).await?;
            transaction = next;
            note(format!("schedule {name}"), defined.changed);
        }
        for (name, rule) in &project.workflows.rules {
            let (next, defined) =
                definitions.rule(name.as_str(), rule.clone(), transaction).await?;
            transaction = next;
            note(format!("rule {name}"), defined.changed);
        }
        let (transaction, beside) = definitions.beside(&named, prune, transaction).await?;
        match prune {
            true => applied.removed.extend(beside),
            false => {
                let kept = |label| format!("{label}: not in the files, remove it with --prune");
                applied.kept.extend(beside.into_iter().map(kept));
            }
        }
        Ok(transaction)
    }
}
