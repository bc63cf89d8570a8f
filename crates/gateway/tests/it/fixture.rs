//! A gateway of real parts around one app.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::body::Body;
use cost::{PriceBook, PriceRow};
use gateway::{Gateway, Limits, Live, LiveReleases, Parts};
use http::{Request, Response, StatusCode};
use models::{ProviderBinding, ProviderEntry, ProviderKind, Providers, Timers, TokenLimitField};
use monitoring::{AnswerRecord, LogOptions, TelemetryLog, TraceId, answers, receive};
use release::{
    Arm, BUCKETS, BucketRange, CanonicalJson, Clock, Currency, Digest, Environment, Mirror, Money,
    PlanId, PlanOwner, PrincipalId, Release, RoutingTable, Secret, SlotName, TenantId, Timestamp,
    TrafficPlan,
};
use security::{KeyRing, Role};
use serde_json::{Value, json};
use store::{Blobs, Store};
use tempfile::TempDir;
use testkit::clock::ManualClock;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::grounded::{self, Models, Words};

/// A clock that stands still.
#[derive(Debug, Default)]
struct Still(ManualClock);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// What the app's release is made of.
pub struct App {
    pub provider: ProviderKind,
    /// The provider's base address.
    pub endpoint: String,
    pub model: &'static str,
    pub guardrails: Value,
    pub config: Value,
    /// What embeds its knowledge, and how that is asked; it has none without.
    pub knowledge: Option<(Arc<Words>, Value)>,
    /// A candidate that is asked a copy of every request.
    pub shadow: Option<Shadow>,
    pub traces: LogOptions,
    pub timers: Timers,
}

/// A candidate that is asked copies.
#[derive(Clone, Copy)]
pub struct Shadow {
    pub model: &'static str,
    /// What its copies may cost, in billionths of a dollar.
    pub cap: i64,
    pub in_flight: u32,
    /// Whether its model has a price, of a dollar for a million tokens.
    pub priced: bool,
}

impl App {
    pub fn over(provider: ProviderKind, endpoint: &str) -> Self {
        Self {
            provider,
            endpoint: endpoint.to_owned(),
            model: "up",
            guardrails: json!({}),
            // Whatever a client may send goes on, so that every field's way can be followed.
            config: json!({"overridable": ["temperature", "top_p", "top_k", "max_tokens", "stop",
                "seed", "tools", "tool_choice", "response_format", "other"]}),
            knowledge: None,
            shadow: None,
            traces: LogOptions::default(),
            timers: Timers { first_byte: 2.0, idle: 2.0, total: 5.0, ..Timers::default() },
        }
    }
}

/// A gateway that serves `app` in `prod`.
pub struct Served {
    pub gateway: Arc<Gateway>,
    pub router: axum::Router,
    pub live: watch::Receiver<Arc<Live>>,
    pub traces: TelemetryLog,
    pub key: String,
    pub blobs: Blobs,
    /// Kept as long as the gateway is.
    _directory: TempDir,
}

pub async fn serve(app: App) -> Served {
    // Another test of this process may have installed it already.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(Still::default());
    let (keys, key) = keys(directory.path(), &clock).await;
    let blobs = Blobs::disk(directory.path().join("blobs"));
    let mut slots = Vec::new();
    if let Some((words, retrieval)) = &app.knowledge {
        let asked = (words, retrieval);
        let made = grounded::snapshot(directory.path(), &blobs, Arc::clone(&clock), asked).await;
        slots.push((SlotName::KNOWLEDGE, made));
    }
    let table = table(&blobs, &app, slots).await;
    let (_publisher, table) = watch::channel(Arc::new(table));
    let mut live = LiveReleases::new(blobs.clone(), table);
    if let Some((words, _)) = &app.knowledge {
        live = live.with_models(Arc::new(Models(Arc::clone(words))));
    }
    live.catch_up().await;
    let prices = app.shadow.filter(|shadow| shadow.priced).map(|shadow| PriceRow {
        provider: "upstream".to_owned(),
        model: shadow.model.to_owned(),
        currency: Currency::USD,
        input: 1.0,
        output: 1.0,
        cache_read: None,
        cache_creation: None,
        effective_from: None,
    });
    let trace = AtomicU8::new(7);
    // Without copies every request is told by the same trace.
    let apart = u8::from(app.shadow.is_some());
    let live_now = live.watch();
    let traces = TelemetryLog::open(&directory.path().join("traces"), app.traces).unwrap();
    let gateway = Gateway::new(Parts {
        keys,
        live: live_now.clone(),
        providers: Arc::new(providers(&app)),
        prices: PriceBook::new(prices.into_iter().collect()),
        traces: traces.clone(),
        clock,
        trace_ids: Box::new(move || {
            TraceId::from_bytes([trace.fetch_add(apart, Ordering::Relaxed); 16])
        }),
        environment: "prod".parse().unwrap(),
        limits: Limits { body_bytes: 1 << 20, json_values: 10_000, ..Limits::default() },
    });
    let router = gateway.router();
    Served { router, gateway, live: live_now, traces, key, blobs, _directory: directory }
}

async fn keys(directory: &Path, clock: &Arc<dyn Clock>) -> (Arc<KeyRing>, String) {
    let store = Store::open_sqlite(&directory.join("control.db")).await.unwrap();
    let pepper = Secret::new("pepper");
    let keys = KeyRing::open(store, Arc::clone(clock), &pepper).await.unwrap();
    let (system, ada) = (PrincipalId::system("test"), PrincipalId::user("ada").unwrap());
    keys.create_tenant(&system, TenantId::DEFAULT).await.unwrap();
    let tenant = Some(TenantId::DEFAULT);
    keys.create_principal(&system, ada.clone(), tenant, Role::Admin).await.unwrap();
    let key = keys.issue(&system, &ada, None).await.unwrap().key.expose().to_owned();
    (Arc::new(keys), key)
}

async fn table(blobs: &Blobs, app: &App, more: Vec<(SlotName, Digest)>) -> RoutingTable {
    let release = release_of(blobs, (app, app.model), more).await;
    let mut environment = Environment::empty("app".parse().unwrap(), "prod".parse().unwrap());
    environment.stable = Some(release.digest());
    if let Some(shadow) = app.shadow {
        let candidate = release_of(blobs, (app, shadow.model), Vec::new()).await.digest();
        let cap = Money { currency: Currency::USD, nanos: shadow.cap };
        let in_flight = shadow.in_flight;
        environment.plan = Some(TrafficPlan {
            id: PlanId("app/prod/2".to_owned()),
            owner: PlanOwner::Rollout("app/prod/2".to_owned()),
            step: 0,
            arms: vec![Arm {
                name: "control".to_owned(),
                release: release.digest(),
                ranges: vec![BucketRange { from: 0, to: BUCKETS }],
            }],
            mirror: Some(Mirror { release: candidate, share: BUCKETS, cap, in_flight }),
            routes: Vec::new(),
        });
    }
    let mut table = RoutingTable::at(1);
    table.insert(TenantId::DEFAULT, environment);
    table
}

/// The app's release with this model.
async fn release_of(
    blobs: &Blobs,
    (app, model): (&App, &str),
    more: Vec<(SlotName, Digest)>,
) -> Release {
    let blobs = blobs.tenant(&TenantId::DEFAULT);
    let json = |value: &Value| CanonicalJson::of(value).unwrap().into_bytes().into();
    let model = json!({"provider": "upstream", "model": model});
    let slots = [
        (SlotName::MODEL, blobs.put(json(&model)).await.unwrap()),
        (SlotName::PROMPT, blobs.put("You are helpful.\n".into()).await.unwrap()),
        (SlotName::GUARDRAILS, blobs.put(json(&app.guardrails)).await.unwrap()),
        (SlotName::CONFIG, blobs.put(json(&app.config)).await.unwrap()),
    ];
    let release = Release::seal("app".parse().unwrap(), slots.into_iter().chain(more)).unwrap();
    blobs.put(release.bytes().to_vec().into()).await.unwrap();
    release
}

fn providers(app: &App) -> Providers {
    let binding = ProviderBinding {
        kind: app.provider,
        endpoint: app.endpoint.clone(),
        region: None,
        credential: Some(Secret::new("upstream-key")),
        timers: app.timers,
        token_limit_field: TokenLimitField::default(),
    };
    let (tenants, environments) = (vec![TenantId::DEFAULT], BTreeMap::new());
    let entry = ProviderEntry { tenants, default: binding, environments };
    Providers::new(BTreeMap::from([("upstream".to_owned(), entry)])).unwrap()
}

impl Served {
    /// A request with the key and the content type that it needs.
    pub fn request(&self, path: &str) -> http::request::Builder {
        Request::post(path)
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
    }

    pub async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Posts `body`; gives the status, the content type and the whole body.
    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, String, String) {
        let request = self.request(path).body(Body::from(body.to_string())).unwrap();
        read(self.send(request).await).await
    }

    /// The records of the app, newest first.
    pub fn records(&self) -> Vec<AnswerRecord> {
        let frames = self.traces.cursor(0).next(self.traces.last()).unwrap();
        let records = frames.into_iter().map(|frame| {
            let rows = receive::decode(frame.signal, &frame.otlp, frame.received_at);
            let texts = rows.payloads.iter().map(|text| (text.digest, text.text.clone()));
            let rows_of = (rows.spans.as_slice(), rows.retrieval_edges.as_slice());
            answers::record(&frame.tenant, rows_of, &texts.collect()).unwrap()
        });
        records.rev().collect()
    }
}

pub async fn read(response: Response<Body>) -> (StatusCode, String, String) {
    let (parts, body) = response.into_parts();
    let kind = parts.headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let bytes = axum::body::to_bytes(body, 1 << 24).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    (parts.status, kind.unwrap_or_default(), text)
}
