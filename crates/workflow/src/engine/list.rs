//! Lists of executions: the newest first, a page at a time.
//!
//! The store keeps executions by name. A page is found in one pass over a workflow's executions, of
//! which no more are in memory than the page and a few more.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use release::Timestamp;
use store::List;

use super::start::{Qualifier, qualified};
use super::{EXECUTIONS, EngineError, ExecutionRecord, TenantEngine};

/// How many executions are read at once.
const READ: usize = 100;

/// Where an execution stands in a list: by its start, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    started_at: Reverse<Timestamp>,
    name: String,
}

impl Listed {
    /// The place of an execution.
    pub fn of(record: &ExecutionRecord) -> Self {
        let started_at = Reverse(record.run.about.started_at);
        Self { started_at, name: record.key.name.clone() }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.started_at.0.as_nanosecond(), self.name)
    }
}

impl FromStr for Listed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let broken = || format!("`{text}` is not where a page of executions ended");
        let (at, name) = text.split_once('/').ok_or_else(broken)?;
        let at = at.parse().map_err(|_| broken())?;
        let at = Timestamp::from_nanosecond(at).map_err(|_| broken())?;
        Ok(Self { started_at: Reverse(at), name: name.to_owned() })
    }
}

/// Which executions of a workflow are wanted.
#[derive(Debug, Clone)]
pub struct Newest {
    /// Only those that stand so, as `RUNNING`.
    pub status: Option<String>,
    /// Only those after this place: where the page before ended.
    pub after: Option<Listed>,
    /// At most so many.
    pub limit: usize,
}

impl TenantEngine {
    /// Executions of a workflow, or of a version or an alias of it, the newest first, and where to go
    /// on if there are more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn executions(
        &self,
        machine: &str,
        Newest { status, after, limit }: Newest,
    ) -> Result<(Vec<ExecutionRecord>, Option<Listed>), EngineError> {
        let (machine, qualifier) = qualified(machine);
        let wanted = |record: &ExecutionRecord| {
            let qualified = match qualifier {
                None => true,
                Some(Qualifier::Version(version)) => record.version == Some(version),
                Some(Qualifier::Alias(alias)) => record.alias.as_deref() == Some(alias),
            };
            qualified && status.as_deref().is_none_or(|status| record.run.status.as_str() == status)
        };
        let mut newest: BTreeMap<Listed, ExecutionRecord> = BTreeMap::new();
        let mut read = None;
        loop {
            let prefix = format!("{machine}/");
            let list = List { prefix, index: None, after: read, limit: READ };
            let rows = self.store().list(EXECUTIONS, list).await?;
            let Some(last) = rows.last() else { break };
            read = Some(last.key.clone());
            for row in &rows {
                let record: ExecutionRecord = row.read()?;
                let at = Listed::of(&record);
                if wanted(&record) && after.as_ref().is_none_or(|after| at > *after) {
                    newest.insert(at, record);
                    // One more than the page tells that there are more.
                    if newest.len() > limit + 1 {
                        newest.pop_last();
                    }
                }
            }
        }
        let beyond = newest.len() > limit;
        if beyond {
            newest.pop_last();
        }
        let more = newest.keys().next_back().filter(|_| beyond).cloned();
        Ok((newest.into_values().collect(), more))
    }
}

#[cfg(test)]
mod tests;
