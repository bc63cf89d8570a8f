//! Reading each source when its tier says so.
//!
//! What is due is noted first, by compare-and-swap, together with the execution that is to read it,
//! and then started: so a moment is kept once, however many servers look, and after a crash. While
//! that execution runs nothing more is started; what falls due meanwhile, or was missed while no
//! server ran, is read once for all.
//!
//! A source that is `continuous` is looked at instead, and read when it looks different.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use knowledge::{Polls, SourceSpec, Tier, source};
use release::{ArtifactName, Digest, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Collection, StoreError};
use workflow::Status;
use workflow::engine::{EngineError, ExecutionKey, TenantEngine};
use workflow::schedule::{CatchUp, Overlap, ScheduleSpec, Timetable, due};

use crate::catalog::{KnowledgeRecord, expect};
use crate::{DeliveryError, TenantDelivery};

pub(crate) const DUE: Collection = Collection("knowledge.due");
/// What reads a knowledge base's sources.
const WORKFLOW: &str = "groundcrew.knowledge.refresh";
/// How often a source is looked at that is not a directory of this machine, or cannot be looked at;
/// and how soon one is read again that could not be.
const MINUTE: i64 = 60;
/// How long looking at a source may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Up to when the sources of a knowledge base are dealt with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DueRecord {
    /// By name.
    sources: BTreeMap<String, Dealt>,
    /// How many executions were started.
    begun: u64,
    /// The last of them.
    newest: Option<Begun>,
}

/// Up to when a source is dealt with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Dealt {
    /// The last moment that it was due.
    last: Option<Timestamp>,
    /// What it looked like then.
    look: Option<Digest>,
    /// When it was last looked at, about.
    looked_at: Option<Timestamp>,
    /// How looking at it goes.
    looks: Polls,
}

/// An execution that reads sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Begun {
    execution: String,
    sources: BTreeSet<String>,
}

/// Checks that a source can be read as its tier says.
///
/// # Errors
/// Why not.
pub(crate) fn check(source: &SourceSpec) -> Result<(), String> {
    let Some(tier) = source.tier() else { return Ok(()) };
    let readable = matches!(
        source,
        SourceSpec::Directory(_) | SourceSpec::Git(_) | SourceSpec::Bucket(_) | SourceSpec::Push(_)
    );
    match timetable(tier)? {
        None if !readable => Err(format!(
            "a source of kind `{}` can only be read as a whole, and not be looked at: use \
             `hourly`, or a `rate(…)`",
            source.kind()
        )),
        _ => Ok(()),
    }
}

/// When a source is due; none if it is looked at instead.
fn timetable(tier: &Tier) -> Result<Option<Timetable>, String> {
    let expression = match tier {
        Tier::Continuous => return Ok(None),
        Tier::Hourly => "rate(1 hour)",
        Tier::Daily => "rate(1 day)",
        Tier::Weekly => "rate(7 days)",
        Tier::Monthly => "rate(30 days)",
        Tier::Schedule(expression) => expression,
    };
    let spec = ScheduleSpec {
        expression: expression.to_owned(),
        time_zone: "UTC".to_owned(),
        start: None,
        end: None,
        flexible_window_minutes: 0,
        catch_up: CatchUp::Latest,
        overlap: Overlap::Skip,
    };
    spec.compile()
        .map(Some)
        .map_err(|wrong| wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

fn seconds(from: Option<Timestamp>, to: Timestamp) -> i64 {
    from.map_or(i64::MAX, |from| to.duration_since(from).as_secs())
}

impl DueRecord {
    /// How looking at a source goes.
    pub fn looks(&self, source: &str) -> Polls {
        self.sources.get(source).map(|dealt| dealt.looks.clone()).unwrap_or_default()
    }

    /// When a source is due next; none if nobody knows. One that was never read is due at once.
    pub fn next(&self, source: &SourceSpec, now: Timestamp) -> Option<Timestamp> {
        let timetable = timetable(source.tier()?).ok()??;
        match self.sources.get(source.name()).and_then(|dealt| dealt.last) {
            Some(last) => timetable.next_after(last),
            None => Some(now),
        }
    }
}

impl Dealt {
    /// Notes whether the source is due by its tier.
    fn is_due(&mut self, timetable: &Timetable, now: Timestamp) -> bool {
        let moment = match self.last {
            None => Some(now),
            Some(last) => due(timetable, last, now, CatchUp::Latest).pop(),
        };
        self.last = moment.or(self.last);
        moment.is_some()
    }

    /// Whether the source is to be looked at now.
    fn wants_look(&self, source: &SourceSpec, now: Timestamp) -> bool {
        let near = matches!(source, SourceSpec::Directory(_)) && self.looks.failing.is_none();
        near || seconds(self.looked_at, now) >= MINUTE
    }

    /// Notes how a look went; whether the source is due by it. `polls` are how reading it went.
    fn looked(&mut self, look: Result<Digest, String>, polls: &Polls, now: Timestamp) -> bool {
        let look = match look {
            Ok(look) => look,
            Err(reason) => {
                self.looked_at = Some(now);
                self.looks.failed(now, reason);
                return false;
            }
        };
        // None that was started since has read it whole.
        let unread = polls.succeeded_at < self.last;
        let same = self.look == Some(look) && !unread;
        // Looks are many: how they go is written down now and then.
        if self.looks.failing.is_some() || seconds(self.looked_at, now) >= MINUTE {
            self.looked_at = Some(now);
            match same {
                true => self.looks.succeeded(now),
                false => self.looks.failing = None,
            }
        }
        let again = unread && seconds(self.last, now) >= MINUTE;
        let is_due = self.look != Some(look) || again;
        if is_due {
            (self.look, self.last) = (Some(look), Some(now));
        }
        is_due
    }
}

impl TenantDelivery {
    /// Starts reading what is due. One knowledge base that fails holds up no other.
    ///
    /// # Errors
    /// If the knowledge bases cannot be read.
    pub async fn start_due(&self, engine: &TenantEngine) -> Result<(), DeliveryError> {
        for base in self.knowledge_bases().await? {
            if base.spec.sources.iter().all(|source| source.tier().is_none()) {
                continue;
            }
            if let Err(error) = self.start_due_of(&base, engine).await {
                tracing::warn!(%error, knowledge = %base.name, "a refresh could not be started");
            }
        }
        Ok(())
    }

    async fn start_due_of(
        &self,
        base: &KnowledgeRecord,
        engine: &TenantEngine,
    ) -> Result<(), DeliveryError> {
        let known = self.find::<DueRecord>(DUE, base.name.as_str()).await?;
        let mut record = known.as_ref().map(|known| known.value.clone()).unwrap_or_default();
        if let Some(newest) = &record.newest
            && runs(engine, base, newest).await?
        {
            return Ok(());
        }
        let now = self.clock.now();
        let mut due = BTreeSet::new();
        for source in &base.spec.sources {
            let Some(tier) = source.tier() else { continue };
            let dealt = record.sources.entry(source.name().to_owned()).or_default();
            let is_due = match timetable(tier) {
                Ok(Some(timetable)) => dealt.is_due(&timetable, now),
                Ok(None) if dealt.wants_look(source, now) => {
                    let polls = base.polls.get(source.name()).cloned().unwrap_or_default();
                    match self.look(base, source).await {
                        Ok(Some(look)) => dealt.looked(Ok(look), &polls, now),
                        Ok(None) => false,
                        Err(reason) => dealt.looked(Err(reason), &polls, now),
                    }
                }
                Ok(None) => false,
                Err(why) => {
                    let (knowledge, source) = (base.name.as_str(), source.name());
                    tracing::warn!(%why, knowledge, source, "a source is never due");
                    false
                }
            };
            due.extend(is_due.then(|| source.name().to_owned()));
        }
        let named = |name: &String| base.spec.sources.iter().any(|source| source.name() == name);
        record.sources.retain(|name, _| named(name));
        if !due.is_empty() {
            record.begun += 1;
            let execution = execution(&base.name, now, record.begun);
            record.newest = Some(Begun { execution, sources: due.clone() });
        }
        if known.as_ref().map(|known| &known.value) == Some(&record) {
            return Ok(());
        }
        let transaction = self.transaction();
        let transaction = transaction.put(DUE, base.name.as_str(), &record, expect(&known))?;
        match self.store.commit(transaction).await {
            // Another server looks as well.
            Err(StoreError::Conflict { .. }) => return Ok(()),
            committed => committed?,
        };
        if let Some(newest) = record.newest.filter(|_| !due.is_empty()) {
            runs(engine, base, &newest).await?;
        }
        Ok(())
    }

    /// What a source looks like, as far as it can be looked at.
    async fn look(
        &self,
        base: &KnowledgeRecord,
        source: &SourceSpec,
    ) -> Result<Option<Digest>, String> {
        let look = source::look(source, &self.offered, &self.tenant, &base.name);
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(looked) => looked.map_err(|error| error.to_string()),
            Err(_) => Err(format!("it did not answer within {} s", PATIENCE.as_secs())),
        }
    }

    /// Up to when the sources of a knowledge base are dealt with.
    pub(crate) async fn dealt(&self, name: &ArtifactName) -> Result<DueRecord, DeliveryError> {
        let found = self.find::<DueRecord>(DUE, name.as_str()).await?;
        Ok(found.map(|found| found.value).unwrap_or_default())
    }
}

/// Whether an execution is under way. One that was noted and never started is started.
async fn runs(
    engine: &TenantEngine,
    base: &KnowledgeRecord,
    begun: &Begun,
) -> Result<bool, DeliveryError> {
    let name = begun.execution.clone();
    let key = ExecutionKey { machine: WORKFLOW.to_owned(), name };
    match engine.execution(&key).await {
        Ok(found) => Ok(found.run.status == Status::Running),
        Err(EngineError::UnknownExecution(_)) => {
            let input = json!({"knowledge": base.name, "sources": begun.sources});
            match engine.start(WORKFLOW, Some(&begun.execution), input).await {
                // Another server was faster.
                Ok(_) | Err(EngineError::Exists(_)) => Ok(true),
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// What the execution is called that reads what is due at a moment.
fn execution(name: &ArtifactName, moment: Timestamp, number: u64) -> String {
    let digest = Digest::of(name.as_str().as_bytes()).short();
    let shown: String =
        name.as_str().chars().filter(|c| c.is_ascii_alphanumeric()).take(30).collect();
    format!("{shown}-{digest}-{}-{number}", moment.strftime("%Y%m%dT%H%M%SZ"))
}

#[cfg(test)]
mod tests;
