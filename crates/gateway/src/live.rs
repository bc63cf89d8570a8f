//! The releases that are live, loaded and ready.
//!
//! A routing table counts only once every release it names is loaded, so that no request waits for
//! a load. A release that cannot be loaded answers with its own error; the others keep serving.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use knowledge::{
    Embedder, KnowledgeError, KnowledgeModels, NoModels, Reranker, Snapshot, SnapshotCache,
};
use models::{AppConfig, ModelSpec, Passage};
use monitoring::Retrieval;
use prompts::Prompt;
use release::{CanonicalJson, Digest, Release, ReleaseDigest, RoutingTable, SlotName, TenantId};
use security::guardrails::{Guardrails, GuardrailsSpec};
use serde::de::DeserializeOwned;
use store::{Blobs, TenantBlobs};
use tokio::sync::watch;

use crate::answer::passages;

/// How long after a failure a release is loaded again.
const AGAIN: Duration = Duration::from_secs(10);

/// A release with everything it pins, in memory.
#[derive(Debug)]
pub struct Loaded {
    /// The release.
    pub release: Release,
    /// What the system message is made from.
    pub prompt: Prompt,
    /// The model.
    pub model: Arc<ModelSpec>,
    /// What grounds answers, if anything does.
    pub snapshot: Option<Arc<Snapshot>>,
    /// What embeds questions, if the snapshot is asked by vectors.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// What orders passages anew, if the snapshot wants that.
    pub reranker: Option<Arc<dyn Reranker>>,
    /// What screens input and output.
    pub guardrails: Arc<Guardrails>,
    /// The app's settings.
    pub config: AppConfig,
}

impl Loaded {
    /// The passages that an answer of this release was given, by what is recorded of its retrieval.
    /// Those of documents that were erased since are gone.
    ///
    /// # Errors
    /// If the snapshot cannot be read.
    pub fn given(&self, retrieval: &Retrieval) -> Result<Vec<Passage>, KnowledgeError> {
        let Some(snapshot) = &self.snapshot else { return Ok(Vec::new()) };
        let ids = retrieval.chunks.iter().filter_map(|chunk| chunk.id.parse().ok());
        let found = snapshot.find(&ids.collect::<Vec<_>>())?;
        Ok(passages::given(found, self.config.max_passage_tokens))
    }
}

type Models = (Option<Arc<dyn Embedder>>, Option<Arc<dyn Reranker>>);
type LoadedOrNot = Result<Arc<Loaded>, String>;

/// A routing table and the releases it names.
#[derive(Debug, Default)]
pub struct Live {
    /// Where every app is live.
    pub table: Arc<RoutingTable>,
    /// The position of the log up to which what was erased is not in memory any more.
    pub erasures: u64,
    releases: HashMap<(TenantId, ReleaseDigest), LoadedOrNot>,
}

impl Live {
    /// A release of the table; `Err` says why it could not be loaded.
    pub fn release(&self, tenant: &TenantId, release: ReleaseDigest) -> LoadedOrNot {
        let loaded = self.releases.get(&(tenant.clone(), release)).cloned();
        loaded.unwrap_or_else(|| Err("it is not loaded".to_owned()))
    }
}

/// Loads releases, live or not.
#[derive(Debug, Clone)]
pub struct Loader {
    blobs: Blobs,
    snapshots: Arc<SnapshotCache>,
    models: Arc<dyn KnowledgeModels>,
}

/// Keeps [`Live`] up with the routing table.
pub struct LiveReleases {
    loader: Loader,
    table: watch::Receiver<Arc<RoutingTable>>,
    erasures: watch::Receiver<u64>,
    live: watch::Sender<Arc<Live>>,
}

impl LiveReleases {
    /// Follows `table`; releases are read from `blobs`.
    pub fn new(blobs: Blobs, table: watch::Receiver<Arc<RoutingTable>>) -> Self {
        let (snapshots, models) = (Arc::new(SnapshotCache::default()), Arc::new(NoModels));
        let (_, erasures) = watch::channel(0);
        let loader = Loader { blobs, snapshots, models };
        Self { loader, table, erasures, live: watch::Sender::default() }
    }

    /// The same, told of erasures; else nothing in memory is ever looked at again.
    #[must_use]
    pub fn with_erasures(self, erasures: watch::Receiver<u64>) -> Self {
        Self { erasures, ..self }
    }

    /// The same, with models for knowledge; else it has none.
    #[must_use]
    pub fn with_models(self, models: Arc<dyn KnowledgeModels>) -> Self {
        Self { loader: Loader { models, ..self.loader }, ..self }
    }

    /// What loads releases, for those that are not live; segments are shared with those that are.
    pub fn loader(&self) -> Loader {
        self.loader.clone()
    }

    /// What is live, now and whenever it changes.
    pub fn watch(&self) -> watch::Receiver<Arc<Live>> {
        self.live.subscribe()
    }

    /// Loads what the present table names, then follows it until its publisher is gone. What could
    /// not be loaded is tried again: a blob store that was away for a moment comes back.
    pub async fn follow(mut self) {
        loop {
            self.catch_up().await;
            let whole = self.live.borrow().releases.values().all(Result::is_ok);
            tokio::select! {
                changed = self.table.changed() => if changed.is_err() { return },
                Ok(()) = self.erasures.changed() => {}
                () = tokio::time::sleep(AGAIN), if !whole => {}
            }
        }
    }

    /// Loads what the present table names and switches to it.
    pub async fn catch_up(&mut self) {
        let table = Arc::clone(&self.table.borrow_and_update());
        let before = Arc::clone(&self.live.borrow());
        let erasures = *self.erasures.borrow_and_update();
        let erased = erasures != before.erasures;
        let mut releases: HashMap<_, LoadedOrNot> = HashMap::new();
        for (tenant, environment) in table.environments() {
            for digest in environment.releases() {
                let key = (tenant.clone(), digest);
                if releases.contains_key(&key) {
                    continue;
                }
                let loaded = match before.releases.get(&key) {
                    Some(Ok(loaded)) if !erased || self.loader.is_current(tenant, loaded).await => {
                        Ok(Arc::clone(loaded))
                    }
                    _ => self.loader.load(tenant, digest).await.map(Arc::new),
                };
                if let Err(why) = &loaded {
                    tracing::error!(release = %digest, %tenant, why, "release cannot be loaded");
                }
                releases.insert(key, loaded);
            }
        }
        self.live.send_replace(Arc::new(Live { table, erasures, releases }));
    }
}

impl Loader {
    /// Whether nothing was erased of a release's snapshot since it was loaded. If that cannot be told
    /// it is to be loaded anew: what was erased must not be answered with.
    pub async fn is_current(&self, tenant: &TenantId, loaded: &Loaded) -> bool {
        let Some(snapshot) = &loaded.snapshot else { return true };
        match snapshot.is_current(&self.blobs.tenant(tenant)).await {
            Ok(current) => current,
            Err(error) => {
                tracing::warn!(%error, %tenant, "what was erased of a release cannot be told");
                false
            }
        }
    }

    /// Loads a release with everything it pins.
    ///
    /// # Errors
    /// What of it cannot be had, and why.
    pub async fn load(&self, tenant: &TenantId, digest: ReleaseDigest) -> Result<Loaded, String> {
        let blobs = self.blobs.tenant(tenant);
        let bytes = blobs.get(&digest.digest()).await.map_err(|error| error.to_string())?;
        let release = Release::open(bytes.to_vec(), digest).map_err(|error| error.to_string())?;
        let slot = |name: &SlotName| release.slots().get(name).copied();
        let required = |name: SlotName| {
            slot(&name).ok_or_else(|| format!("the release fills no slot `{name}`"))
        };
        let prompt = blobs.get(&required(SlotName::PROMPT)?).await;
        let prompt = String::from_utf8(prompt.map_err(|error| error.to_string())?.to_vec());
        let prompt = Prompt::parse(&prompt.map_err(|error| error.to_string())?);
        let spec: GuardrailsSpec = match slot(&SlotName::GUARDRAILS) {
            Some(digest) => read(&blobs, digest).await?,
            None => GuardrailsSpec::default(),
        };
        let snapshot = match slot(&SlotName::KNOWLEDGE) {
            Some(digest) => {
                let opened = self.snapshots.open(&blobs, digest).await;
                Some(Arc::new(opened.map_err(|error| error.to_string())?))
            }
            None => None,
        };
        let (embedder, reranker) = match &snapshot {
            Some(snapshot) => self.models(tenant, snapshot).await?,
            None => (None, None),
        };
        Ok(Loaded {
            embedder,
            reranker,
            prompt: prompt.map_err(|error| error.to_string())?,
            model: Arc::new(read(&blobs, required(SlotName::MODEL)?).await?),
            snapshot,
            guardrails: Arc::new(Guardrails::compile(&spec).map_err(|error| error.to_string())?),
            config: read(&blobs, required(SlotName::CONFIG)?).await?,
            release,
        })
    }

    /// The models that a snapshot is asked with.
    async fn models(&self, tenant: &TenantId, snapshot: &Snapshot) -> Result<Models, String> {
        let manifest = &snapshot.manifest;
        let embedder = match &manifest.embedding {
            Some(entry) if snapshot.ask("a question", 1).needs_vector() => {
                let opened = entry.open(self.models.as_ref(), tenant).await;
                Some(opened.map_err(|error| error.to_string())?)
            }
            _ => None,
        };
        let reranker = match &manifest.retrieval.rerank {
            Some(spec) => {
                let opened = self.models.reranker(tenant, spec).await;
                Some(opened.map_err(|error| error.to_string())?)
            }
            None => None,
        };
        Ok((embedder, reranker))
    }
}

async fn read<T: DeserializeOwned>(blobs: &TenantBlobs, digest: Digest) -> Result<T, String> {
    let bytes = blobs.get(&digest).await.map_err(|error| error.to_string())?;
    let json = CanonicalJson::from_stored(bytes.to_vec()).map_err(|error| error.to_string())?;
    json.read().map_err(|error| format!("`{digest}` does not have the form expected: {error}"))
}
