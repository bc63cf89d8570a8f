//! Taking a person out of the tables.
//!
//! Their texts go, and what is left of their traces names nobody: that something was answered, when,
//! by which release and at what cost stays, since the numbers of all rest on it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::logical_expr::{Expr, col, in_list, lit};
use futures::StreamExt;
use release::TenantId;
use serde::Serialize;

use super::back;
use super::columns::Writer;
use super::manifest::{Edit, File};
use super::provider::View;
use super::schema::Table;
use super::{Tables, TablesError};
use crate::attributes as name;
use crate::log::LogError;
use crate::query;
use crate::rows::{Attribute, Batch};

/// What stands in place of a name.
pub(crate) const ERASED: &str = "erased";
/// How long rows that were acknowledged before may take to be seen.
const CATCH_UP: Duration = Duration::from_secs(60);
/// The attributes that stay: they tell what was done, not who asked or what.
const KEPT: [&str; 14] = [
    name::DIALECT,
    name::STREAM,
    name::PLAN,
    name::STEP,
    name::EVALUATION_RUN,
    name::COPY_OF,
    name::COPY_DROPPED,
    name::UNIT_STUCK,
    name::OUTCOME_RULE,
    name::BINDING,
    name::FINGERPRINT,
    name::USAGE_ESTIMATED,
    name::UNPRICED,
    name::OVERRIDES,
];

/// Who is taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Users, as traces name them.
    pub users: BTreeSet<String>,
    /// Conversations.
    pub conversations: BTreeSet<String>,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Traces that name nobody any more.
    pub traces: u64,
    /// Texts that are gone.
    pub texts: u64,
    /// Files that were written anew.
    pub files: u64,
}

/// A subject and the traces that are theirs.
struct Theirs<'a> {
    subject: &'a Subject,
    traces: BTreeSet<String>,
}

impl Subject {
    fn condition(&self) -> Expr {
        one_of("user", &self.users).or(one_of("conversation", &self.conversations))
    }
}

fn one_of(column: &str, values: &BTreeSet<String>) -> Expr {
    in_list(col(column), values.iter().map(lit).collect(), false)
}

impl Theirs<'_> {
    /// Whether a row of the table is theirs.
    fn condition(&self, table: Table) -> Option<Expr> {
        let traces = one_of("trace_id", &self.traces);
        match table {
            Table::Spans | Table::RetrievalEdges => Some(self.subject.condition().or(traces)),
            Table::Payloads => {
                let (users, conversations) = (&self.subject.users, &self.subject.conversations);
                Some(one_of("subject", users).or(one_of("subject", conversations)))
            }
            Table::Scores | Table::Logs => Some(traces),
            Table::Metrics => None,
        }
    }

    fn names(&self, user: &str, conversation: &str, trace: &str) -> bool {
        self.subject.users.contains(user)
            || self.subject.conversations.contains(conversation)
            || self.traces.contains(trace)
    }

    /// The rows without what is theirs, in the same order.
    fn without(&self, table: Table, batch: &RecordBatch, erased: &mut Erased) -> RecordBatch {
        let mut rows = Batch::default();
        match table {
            Table::Spans => {
                rows.spans = back::spans(batch);
                let theirs = |span: &&mut crate::rows::Span| {
                    self.names(&span.user, &span.conversation, &span.trace_id)
                };
                for span in rows.spans.iter_mut().filter(theirs) {
                    span.conversation = blank(&span.conversation);
                    span.user = match span.user.is_empty() {
                        true => String::new(),
                        // Users of our own are written with their kind.
                        false => format!("user:{ERASED}"),
                    };
                    span.status_message.clear();
                    span.input_preview.clear();
                    span.output_preview.clear();
                    span.events.clear();
                    span.links.clear();
                    keep_some(&mut span.attributes);
                }
            }
            Table::RetrievalEdges => {
                rows.retrieval_edges = back::retrieval_edges(batch);
                for edge in &mut rows.retrieval_edges {
                    if self.names(&edge.user, &edge.conversation, &edge.trace_id) {
                        edge.user.clear();
                        edge.conversation = blank(&edge.conversation);
                    }
                }
            }
            Table::Payloads => {
                rows.payloads = back::payloads(batch);
                let before = rows.payloads.len();
                let Subject { users, conversations } = self.subject;
                rows.payloads.retain(|it| {
                    !users.contains(&it.subject) && !conversations.contains(&it.subject)
                });
                erased.texts += (before - rows.payloads.len()) as u64;
            }
            Table::Scores => {
                rows.scores = back::scores(batch);
                for score in &mut rows.scores {
                    if self.traces.contains(&score.trace_id) {
                        score.explanation.clear();
                        score.attributes.clear();
                    }
                }
            }
            Table::Logs => {
                rows.logs = back::logs(batch);
                for entry in &mut rows.logs {
                    if self.traces.contains(&entry.trace_id) {
                        ERASED.clone_into(&mut entry.body);
                        entry.attributes.clear();
                    }
                }
            }
            Table::Metrics => return batch.clone(),
        }
        table.columns(&rows)
    }
}

fn blank(text: &str) -> String {
    if text.is_empty() { String::new() } else { ERASED.to_owned() }
}

fn keep_some(attributes: &mut Vec<Attribute>) {
    attributes.retain(|(key, _)| KEPT.contains(&key.as_str()));
    attributes.push((name::UNIT.to_owned(), ERASED.to_owned()));
}

impl Tables {
    /// Takes a subject out of all that was recorded before. Nobody else may change files meanwhile.
    ///
    /// # Errors
    /// If something cannot be read or written; then it is to be done again.
    pub async fn erase(&self, tenant: &TenantId, subject: &Subject) -> Result<Erased, TablesError> {
        // Into files first, so that neither memory nor the log has anything.
        let parts = &self.shared.parts;
        parts.log.rotate()?;
        if !self.catch_up(CATCH_UP).await {
            let behind = "its rows are not all seen yet: ask again later".to_owned();
            return Err(LogError::Io(behind).into());
        }
        self.flush().await?;
        self.shared.state().remembered = super::Remembered::default();
        let theirs = Theirs { subject, traces: self.traces(tenant, subject).await? };
        let mut erased = Erased { traces: theirs.traces.len() as u64, ..Erased::default() };
        for table in Table::ALL {
            let Some(condition) = theirs.condition(table) else { continue };
            let key = (tenant.clone(), table);
            let files = self.shared.state().files.get(&key).cloned().unwrap_or_default();
            for file in files {
                let view = self.only(table, &file);
                if query::count(view, condition.clone()).await? > 0 {
                    self.write_without((tenant, table), &file, (&theirs, &mut erased)).await?;
                }
            }
        }
        Ok(erased)
    }

    fn only(&self, table: Table, file: &Arc<File>) -> View {
        let (files, live) = (vec![Arc::clone(file)], Vec::new());
        View { table, files, live, readers: self.shared.readers.clone() }
    }

    async fn traces(
        &self,
        tenant: &TenantId,
        subject: &Subject,
    ) -> Result<BTreeSet<String>, TablesError> {
        let view = self.view(tenant, Table::Spans, super::Span::ALL);
        let mut rows = query::column(view, "trace_id", subject.condition()).await?;
        let mut traces = BTreeSet::new();
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let ids = batch.column(0).as_string_opt::<i32>();
            traces.extend(ids.iter().flat_map(|ids| ids.iter().flatten()).map(str::to_owned));
        }
        Ok(traces)
    }

    async fn write_without(
        &self,
        (tenant, table): (&TenantId, Table),
        file: &Arc<File>,
        (theirs, erased): (&Theirs<'_>, &mut Erased),
    ) -> Result<(), TablesError> {
        let mut rows = query::sorted(self.only(table, file)).await?;
        let mut writer = Writer::new(table)?;
        while let Some(batch) = rows.next().await {
            writer.write(&theirs.without(table, &batch?, erased))?;
        }
        let mut added = Vec::new();
        if writer.rows() > 0 {
            added.push(self.shared.put((tenant, table), writer.finish()?, file.level).await?);
        }
        let old = file.as_ref().clone();
        let dropped = vec![old.clone()];
        self.shared.edit(Edit { added, dropped, watermark: None }).await?;
        // At once: a query that still reads it is asked again without it.
        self.shared.parts.files.tenant(tenant).delete(&old.table, &old.name).await?;
        self.shared.manifest.forget(&[old], self.shared.parts.clock.now()).await?;
        erased.files += 1;
        Ok(())
    }
}
