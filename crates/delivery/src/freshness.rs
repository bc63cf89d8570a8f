//! How fresh a knowledge base is where it serves: in each environment whose stable release pins a
//! snapshot of it.
//!
//! What is kept of each such place follows from the deployment log, the batches and the ledgers, so
//! it is brought up to date by whoever looks, with the moments that the log names: late or twice
//! gives the same. What was told of a promise is kept in the same record, written by
//! compare-and-swap with the event, so each crossing is told once, by one of all servers.

use std::collections::{BTreeMap, BTreeSet};

use knowledge::{Alert, Failing, Freshness, Ledger, Polls, SourceSpec, Standing, backlog, lags};
use release::{
    AppName, ArtifactKind, ArtifactName, Digest, Environment, EnvironmentName, Move, ReleaseDigest,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use store::{BlobError, Collection, Expect, StoreError, Transaction};

use crate::catalog::{
    ENVIRONMENTS, KnowledgeRecord, PAGE, RELEASES, ReleaseRecord, Versioned, deployments, expect,
    release_key,
};
use crate::{DeliveryError, TenantDelivery};

const SERVING: Collection = Collection("knowledge.serving");

/// How a knowledge base stands where it serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ServingRecord {
    knowledge: ArtifactName,
    app: AppName,
    environment: EnvironmentName,
    /// Up to which move of the environment it is.
    generation: u64,
    /// The snapshot that serves; none only in between.
    snapshot: Option<Digest>,
    /// Since when.
    since: Timestamp,
    /// What was known of the documents, as it is compared with.
    observed: Option<Digest>,
    /// What is known of the newest snapshot's documents, which tells what was taken out.
    newest: Option<Digest>,
    /// Its sources, by name.
    sources: BTreeMap<String, Standing>,
}

/// How fresh a knowledge base is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KnowledgeFreshness {
    /// The knowledge base.
    pub knowledge: ArtifactName,
    /// How its sources are read.
    pub sources: Vec<SourceFreshness>,
    /// Where it serves, and how fresh it is there.
    pub serving: Vec<ServingFreshness>,
}

/// How a source is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SourceFreshness {
    /// The source.
    pub source: String,
    /// Its kind.
    pub kind: String,
    /// How often it is read; by hand only if absent.
    pub tier: Option<String>,
    /// How old a change may be before it is served, in seconds.
    pub objective: Option<i64>,
    /// When it was last read whole, or looked at and found to be the same.
    pub read_at: Option<Timestamp>,
    /// Why it cannot be read, and since when.
    pub failing: Option<Failing>,
    /// When it is read next; none if nobody knows.
    pub due_at: Option<Timestamp>,
}

/// How fresh a knowledge base is where it serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServingFreshness {
    /// The app that it grounds.
    pub app: AppName,
    /// Where.
    pub environment: EnvironmentName,
    /// The snapshot that serves.
    pub snapshot: Digest,
    /// Since when.
    pub since: Timestamp,
    /// Each source.
    pub sources: Vec<Freshness>,
}

/// What is told when a promise is used up, broken or kept again.
#[derive(Debug, Serialize)]
struct Told<'a> {
    knowledge: &'a ArtifactName,
    app: &'a AppName,
    environment: &'a EnvironmentName,
    snapshot: Option<Digest>,
    /// Why the source cannot be read, if it cannot.
    failing: Option<&'a Failing>,
    #[serde(flatten)]
    freshness: &'a Freshness,
}

fn key(base: &ArtifactName, environment: &Environment) -> String {
    format!("{base}/{}/{}", environment.app, environment.name)
}

/// How each of a knowledge base's sources is read, with what is promised.
type Promises = BTreeMap<String, (Option<i64>, Polls)>;

impl ServingRecord {
    fn new(base: &ArtifactName, environment: &Environment) -> Self {
        Self {
            knowledge: base.clone(),
            app: environment.app.clone(),
            environment: environment.name.clone(),
            generation: 0,
            snapshot: None,
            since: Timestamp::UNIX_EPOCH,
            observed: None,
            newest: None,
            sources: BTreeMap::new(),
        }
    }

    /// How fresh each source is.
    fn freshness(&self, promises: &Promises, now: Timestamp) -> Vec<Freshness> {
        let each = self.sources.iter().filter_map(|(source, standing)| {
            let (objective, polls) = promises.get(source)?;
            Some(standing.freshness(source, (*objective, polls), now))
        });
        each.collect()
    }

    /// Notes what is to be told of each promise now, and adds it to `transaction`.
    fn tell(
        &mut self,
        promises: &Promises,
        now: Timestamp,
        mut transaction: Transaction,
    ) -> Result<Transaction, StoreError> {
        let Self { knowledge, app, environment, snapshot, sources, .. } = self;
        for (source, standing) in sources.iter_mut() {
            let nothing = (None, Polls::default());
            let (objective, polls) = promises.get(source).unwrap_or(&nothing);
            let mut freshness = standing.freshness(source, (*objective, polls), now);
            let next = standing.alert.next(freshness.burn);
            if next == standing.alert {
                continue;
            }
            (standing.alert, freshness.alert) = (next, next);
            let kind = match next {
                Alert::Kept => "knowledge.freshness.restored",
                Alert::Burning => "knowledge.freshness.burning",
                Alert::Broken => "knowledge.freshness.broken",
            };
            let failing = polls.failing.as_ref();
            let (freshness, snapshot) = (&freshness, *snapshot);
            let told = Told { knowledge, app, environment, snapshot, failing, freshness };
            transaction = transaction.emit(&format!("knowledge/{knowledge}"), kind, &told)?;
        }
        sources.retain(|source, _| promises.contains_key(source));
        Ok(transaction)
    }
}

impl TenantDelivery {
    /// How fresh a knowledge base is wherever it serves.
    ///
    /// # Errors
    /// If there is no such knowledge base, or something cannot be read.
    pub async fn freshness(
        &self,
        name: &ArtifactName,
    ) -> Result<KnowledgeFreshness, DeliveryError> {
        let base = self.knowledge_base(name).await?.value;
        let now = self.clock.now();
        let (dealt, promises) = (self.dealt(name).await?, self.promises(&base).await?);
        let source = |spec: &SourceSpec| {
            let (objective, polls) = promises.get(spec.name()).cloned().unwrap_or_default();
            SourceFreshness {
                source: spec.name().to_owned(),
                kind: spec.kind().to_owned(),
                tier: spec.tier().map(ToString::to_string),
                objective,
                read_at: polls.succeeded_at,
                failing: polls.failing,
                due_at: dealt.next(spec, now),
            }
        };
        let mut serving = Vec::new();
        for (environment, grounds) in self.grounded().await? {
            if !grounds.contains(name) {
                continue;
            }
            let known = self.find::<ServingRecord>(SERVING, &key(name, &environment)).await?;
            let known = known.map(|known| known.value);
            let Some(place) = self.stands(&base, &environment, known).await? else { continue };
            let Some(snapshot) = place.snapshot else { continue };
            serving.push(ServingFreshness {
                sources: place.freshness(&promises, now),
                app: place.app,
                environment: place.environment,
                snapshot,
                since: place.since,
            });
        }
        let sources = base.spec.sources.iter().map(source).collect();
        Ok(KnowledgeFreshness { knowledge: name.clone(), sources, serving })
    }

    /// Brings what is known of every place up to date, and tells of promises that are used up,
    /// broken or kept again. One place that fails holds up no other.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn keep_freshness(&self) -> Result<(), DeliveryError> {
        let mut known: BTreeMap<String, Versioned<ServingRecord>> = BTreeMap::new();
        for found in self.all::<ServingRecord>(SERVING, "").await? {
            let ServingRecord { knowledge, app, environment, .. } = &found.value;
            let environment = Environment::empty(app.clone(), environment.clone());
            known.insert(key(knowledge, &environment), found);
        }
        let environments = self.grounded().await?;
        for base in self.knowledge_bases().await? {
            let promises = self.promises(&base).await?;
            for (environment, grounds) in &environments {
                let place = key(&base.name, environment);
                let before = known.remove(&place);
                if before.is_none() && !grounds.contains(&base.name) {
                    continue;
                }
                let kept = self.keep_place(&base, environment, (before, &promises)).await;
                if let Err(error) = kept {
                    tracing::warn!(%error, place, "how fresh knowledge is could not be told");
                }
            }
        }
        // The knowledge base is gone: nothing is promised any more.
        for (place, before) in known {
            let Versioned { value: mut record, version } = before;
            let nothing = Promises::new();
            let transaction = record.tell(&nothing, self.clock.now(), self.transaction())?;
            let transaction = transaction.delete(SERVING, &place, Expect::Version(version));
            self.unless_another(transaction).await?;
        }
        Ok(())
    }

    async fn keep_place(
        &self,
        base: &KnowledgeRecord,
        environment: &Environment,
        (before, promises): (Option<Versioned<ServingRecord>>, &Promises),
    ) -> Result<(), DeliveryError> {
        let place = key(&base.name, environment);
        let known = before.as_ref().map(|before| before.value.clone());
        let stands = self.stands(base, environment, known.clone()).await?;
        let (serves, nothing) = (stands.is_some(), Promises::new());
        let Some(mut record) = stands.or_else(|| known.clone()) else { return Ok(()) };
        // Where it does not serve any more nothing is promised.
        let promises = if serves { promises } else { &nothing };
        let transaction = record.tell(promises, self.clock.now(), self.transaction())?;
        let transaction = match (serves, expect(&before)) {
            (true, _) if known.as_ref() == Some(&record) => return Ok(()),
            (true, expected) => transaction.put(SERVING, &place, &record, expected)?,
            (false, expected) => transaction.delete(SERVING, &place, expected),
        };
        self.unless_another(transaction).await
    }

    /// The environments in which something is live, and the knowledge bases that ground it.
    async fn grounded(&self) -> Result<Vec<(Environment, BTreeSet<ArtifactName>)>, DeliveryError> {
        let mut grounded = Vec::new();
        for environment in self.all::<Environment>(ENVIRONMENTS, "").await? {
            let environment = environment.value;
            if let Some(stable) = environment.stable {
                let snapshots = self.snapshots(&environment.app, stable).await?;
                grounded.push((environment, snapshots.into_keys().collect()));
            }
        }
        Ok(grounded)
    }

    /// Commits, unless another server was faster.
    async fn unless_another(&self, transaction: Transaction) -> Result<(), DeliveryError> {
        match self.store.commit(transaction).await {
            Err(StoreError::Conflict { .. }) => Ok(()),
            committed => Ok(committed.map(drop)?),
        }
    }

    async fn promises(&self, base: &KnowledgeRecord) -> Result<Promises, DeliveryError> {
        let dealt = self.dealt(&base.name).await?;
        let promise = |source: &SourceSpec| {
            let objective = source.objective().map(|objective| objective.0.as_secs() as i64);
            let polls = base.polls.get(source.name()).cloned().unwrap_or_default();
            (source.name().to_owned(), (objective, polls.and(&dealt.looks(source.name()))))
        };
        Ok(base.spec.sources.iter().map(promise).collect())
    }

    /// How a knowledge base stands in an environment, if it serves there, beginning with what is
    /// `known`.
    async fn stands(
        &self,
        base: &KnowledgeRecord,
        environment: &Environment,
        known: Option<ServingRecord>,
    ) -> Result<Option<ServingRecord>, DeliveryError> {
        let fresh = known.is_none();
        let mut record = known.unwrap_or_else(|| ServingRecord::new(&base.name, environment));
        let compared = |record: &ServingRecord| (record.snapshot, record.observed, record.newest);
        let before = compared(&record);
        if record.generation != environment.generation {
            self.follow(base, environment, &mut record).await?;
        }
        let Some(snapshot) = record.snapshot else { return Ok(None) };
        (record.observed, record.newest) = (base.observed.or(base.ledger), base.ledger);
        let names = base.spec.sources.iter().map(SourceSpec::name);
        for name in names {
            record.sources.entry(name.to_owned()).or_default();
        }
        if fresh || before != compared(&record) {
            let known = self.known(record.observed).await?;
            let newest = match record.newest == record.observed {
                true => known.clone(),
                false => self.known(record.newest).await?,
            };
            let serving = self.manifest(snapshot).await?;
            let mut waiting = backlog(&known, &newest, Some(&serving));
            for (source, standing) in &mut record.sources {
                standing.backlog = waiting.remove(source).unwrap_or_default();
            }
        }
        Ok(Some(record))
    }

    async fn known(&self, ledger: Option<Digest>) -> Result<Ledger, DeliveryError> {
        match ledger {
            Some(digest) => self.ledger(digest).await,
            None => Ok(Ledger::default()),
        }
    }

    /// Follows an environment's moves since the last one that was taken account of.
    async fn follow(
        &self,
        base: &KnowledgeRecord,
        environment: &Environment,
        record: &mut ServingRecord,
    ) -> Result<(), DeliveryError> {
        let Environment { app, name, .. } = environment;
        loop {
            // Each move is one row.
            let page = self.store.stream(&deployments(app, name), record.generation, PAGE).await?;
            let complete = page.len() < PAGE;
            for event in page {
                let entry: release::DeploymentEntry = event.read()?;
                record.generation = entry.generation;
                let Move::Stable { to, .. } = entry.r#move else { continue };
                let snapshot = self.snapshots(app, to).await?.remove(&base.name);
                if snapshot == record.snapshot {
                    continue;
                }
                if let (Some(from), Some(to)) = (record.snapshot, snapshot) {
                    let lags = self.lags(&base.name, (from, to), entry.at).await?;
                    for (source, lags) in lags {
                        record.sources.entry(source).or_default().lags.extend(lags);
                    }
                }
                (record.snapshot, record.since) = (snapshot, entry.at);
            }
            if complete {
                return Ok(());
            }
        }
    }

    /// The snapshots that a release pins, by knowledge base.
    async fn snapshots(
        &self,
        app: &AppName,
        release: ReleaseDigest,
    ) -> Result<BTreeMap<ArtifactName, Digest>, DeliveryError> {
        let found = self.find::<ReleaseRecord>(RELEASES, &release_key(app, release)).await?;
        let slots = found.map(|found| found.value.slots).unwrap_or_default().into_values();
        let own = slots.filter(|artifact| artifact.kind == ArtifactKind::Knowledge);
        Ok(own.map(|artifact| (artifact.name, artifact.digest)).collect())
    }

    /// How long each change took that a move from one snapshot to another serves.
    async fn lags(
        &self,
        base: &ArtifactName,
        (from, to): (Digest, Digest),
        at: Timestamp,
    ) -> Result<BTreeMap<String, Vec<i64>>, DeliveryError> {
        let batches = self.batches(base).await?;
        let made = |snapshot: Digest, before: &dyn Fn(u64, Timestamp) -> bool| {
            let made = |batch: &&crate::BatchRecord| {
                batch.accepted && batch.snapshot == snapshot && before(batch.number, batch.at)
            };
            batches.iter().find(made)
        };
        // Going back serves no change.
        let Some(now) = made(to, &|_, made_at| made_at <= at) else { return Ok(BTreeMap::new()) };
        let Some(before) = made(from, &|number, _| number < now.number) else {
            return Ok(BTreeMap::new());
        };
        let read = async {
            let (earlier, later) =
                (self.ledger(before.ledger).await?, self.ledger(now.ledger).await?);
            Ok(lags(&later, (&earlier, before.at), at))
        };
        match read.await {
            Err(DeliveryError::Blob(BlobError::Missing(digest))) => {
                tracing::warn!(%digest, knowledge = %base, "how long changes took is lost");
                Ok(BTreeMap::new())
            }
            read => read,
        }
    }
}

#[cfg(test)]
mod tests;
