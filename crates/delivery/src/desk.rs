//! A project that tests of knowledge stand on: an app that is grounded on a directory and on what is
//! put, a clock that stands still, and a store that several servers may share.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use knowledge::source::{Directory, Offer};
use knowledge::{
    Embedder, EmbeddingSpec, Extractor, KnowledgeError, KnowledgeModels, Limits, NoModels, NoSteps,
    Offered, OpenEmbedder, RerankSpec, Reranker, Watch, Workshop,
};
use release::{ArtifactName, Clock, Digest, PrincipalId, Secret, TenantId, Timestamp};
use store::{Blobs, Store};
use workflow::engine::{Engine, Task, TenantEngine};

use crate::{
    Delivery, DeliveryError, Promotion, Refresh, RefreshTask, Refreshed, Rollback, TenantDelivery,
    Upload,
};

/// A clock that is set by hand.
#[derive(Debug)]
pub struct Hands(pub Mutex<Timestamp>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Models that embed with one embedder, and order nothing.
#[derive(Debug)]
pub struct Embeds<E>(pub Arc<E>);

#[async_trait]
impl<E: Embedder + 'static> KnowledgeModels for Embeds<E> {
    async fn embedder(
        &self,
        _: &TenantId,
        _: &EmbeddingSpec,
        artifact: Option<Digest>,
    ) -> Result<OpenEmbedder, KnowledgeError> {
        let embedder: Arc<dyn Embedder> = self.0.clone();
        Ok(OpenEmbedder { embedder, artifact })
    }

    async fn reranker(
        &self,
        tenant: &TenantId,
        spec: &RerankSpec,
    ) -> Result<Arc<dyn Reranker>, KnowledgeError> {
        NoModels.reranker(tenant, spec).await
    }
}

/// The project, as ada sees it.
pub struct Desk {
    _home: tempfile::TempDir,
    pub docs: PathBuf,
    pub ada: TenantDelivery,
    pub name: ArtifactName,
    pub store: Store,
    blobs: Blobs,
    offered: Offered,
    clock: Arc<Hands>,
}

/// A moment of the first of January, as `10:30`.
pub fn at(time: &str) -> Timestamp {
    format!("2026-01-01T{time}:00Z").parse().unwrap()
}

impl Desk {
    /// A project whose knowledge base has these sources, at midnight. `files` is the name of the
    /// directory.
    pub async fn new(sources: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let docs = home.path().join("docs");
        fs::create_dir(&docs).unwrap();
        let store = Store::open_sqlite(&home.path().join("control.db")).await.unwrap();
        let blobs = Blobs::disk(home.path().join("blobs"));
        let files = Offer { what: Directory(docs.clone()), tenants: vec![TenantId::DEFAULT] };
        let offered = Offered {
            directories: [("files".to_owned(), files)].into(),
            pushed: Some((store.clone(), blobs.clone())),
            ..Offered::default()
        };
        let clock = Arc::new(Hands(Mutex::new(at("00:00"))));
        let server = server((&store, &blobs), &offered, &clock);
        let ada = server.tenant(&TenantId::DEFAULT, PrincipalId::user("ada").unwrap());
        let name = "handbook".parse().unwrap();
        let desk = Self { _home: home, docs, ada, name, store, blobs, offered, clock };
        desk.apply(sources).await.unwrap();
        desk
    }

    /// Applies the project with these sources.
    pub async fn apply(&self, sources: &str) -> Result<(), DeliveryError> {
        let app = "[slots]\nmodel = \"m\"\nprompt = \"p\"\nknowledge = \"handbook\"\n\
            [delivery]\nenter = \"manual\"\n";
        let files = [
            ("groundcrew.toml", "name = \"p\"\nenvironments = [\"prod\"]\n"),
            ("apps/support.toml", app),
            ("models/m.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
            ("prompts/p.md", "Hello.\n"),
            ("knowledge/handbook.toml", sources),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        self.ada.apply(&Upload { files: files.into(), ..Upload::default() }).await.map(drop)
    }

    /// One more server over the same store, acting by itself.
    pub fn server(&self) -> TenantDelivery {
        self.keeper().tenant(&TenantId::DEFAULT, PrincipalId::system("freshness"))
    }

    /// The release path of one more server.
    pub fn keeper(&self) -> Delivery {
        server((&self.store, &self.blobs), &self.offered, &self.clock)
    }

    /// The workflows of a server of that name.
    pub fn engine(&self, name: &str) -> TenantEngine {
        let engine = self.engine_with(name, vec![Arc::new(RefreshTask(self.keeper()))]);
        engine.tenant(&TenantId::DEFAULT, PrincipalId::system("freshness"))
    }

    /// An engine of a server of that name, which does these tasks.
    pub fn engine_with(&self, name: &str, tasks: Vec<Arc<dyn Task>>) -> Engine {
        let clock: Arc<dyn Clock> = self.clock.clone();
        Engine::new(self.store.clone(), clock, name, Secret::new("secret"), tasks)
    }

    /// It is that moment.
    pub fn set(&self, moment: Timestamp) {
        *self.clock.0.lock().unwrap() = moment;
    }

    /// So many seconds pass.
    pub fn pass(&self, seconds: u64) {
        *self.clock.0.lock().unwrap() += Duration::from_secs(seconds);
    }

    /// What the clock shows.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Writes a document, changed at a moment.
    pub fn write(&self, path: &str, text: &str, changed_at: Timestamp) {
        let file = self.docs.join(path);
        fs::write(&file, text).unwrap();
        let file = File::options().write(true).open(file).unwrap();
        let since = Duration::from_secs(changed_at.as_second().unsigned_abs());
        file.set_modified(SystemTime::UNIX_EPOCH + since).unwrap();
    }

    /// Reads these sources; all if none are named.
    pub async fn refresh(&self, sources: &[&str]) -> Result<Refreshed, DeliveryError> {
        let sources = sources.iter().map(|source| (*source).to_owned()).collect();
        let wish = Refresh { knowledge: self.name.clone(), sources, approved: false };
        self.ada.refresh(&wish, &Arc::new(Watch::default())).await
    }

    /// Makes the newest candidate live.
    pub async fn promote(&self) {
        let (app, environment) = ("support".parse().unwrap(), "prod".parse().unwrap());
        let wish = Promotion { app, environment, release: None, expected: None, now: false };
        self.ada.promote(&wish).await.unwrap();
    }

    /// Returns to the release before.
    pub async fn roll_back(&self) {
        let (app, environment) = ("support".parse().unwrap(), "prod".parse().unwrap());
        let reason = String::new();
        let wish = Rollback { app, environment, release: None, expected: None, reason };
        self.ada.roll_back(&wish).await.unwrap();
    }

    /// What the event log tells of these kinds, as `kind: source`.
    pub async fn told(&self, kinds: &str) -> Vec<String> {
        let events = self.store.tenant(&TenantId::DEFAULT).log(0, 10_000).await.unwrap();
        let events = events.iter().filter(|event| event.kind.starts_with(kinds));
        let told = events.map(|event| {
            let told: serde_json::Value = event.read().unwrap();
            format!("{}: {}", event.kind, told["source"].as_str().unwrap_or("-"))
        });
        told.collect()
    }
}

/// A release path over what keeps it, which reads what is offered.
pub fn server((store, blobs): (&Store, &Blobs), offered: &Offered, clock: &Arc<Hands>) -> Delivery {
    let extractor = Extractor::new("no-program".into(), Limits::default());
    let workshop = Arc::new(Workshop { extractor, steps: Arc::new(NoSteps) });
    let clock: Arc<dyn Clock> = clock.clone();
    Delivery::new((store.clone(), blobs.clone()), Arc::new(offered.clone()), workshop, clock)
}
