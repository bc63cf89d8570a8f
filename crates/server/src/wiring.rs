//! Putting the parts together.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::routing::get;
use cost::PriceBook;
use delivery::{
    CompactTask, Completed, Delivery, PipelineTask, PromoteTask, ProposeTask, PruneTask,
    Reconciler, RefreshTask,
};
use gateway::{Gateway, Limits, LiveReleases, Parts};
use knowledge::{Extractor, Workshop};
use models::Providers;
use monitoring::alarm::engine::Alarms;
use monitoring::alarm::sources::Sources;
use monitoring::contributors::Contributors;
use monitoring::export::Cursor;
use monitoring::metrics::{RollupLimits, Rollups};
use monitoring::receive::Receiver;
use monitoring::tables::{Retention, TablesOptions};
use monitoring::{Telemetry, TelemetryParts, TraceId};
use release::{Clock, PrincipalId, Secret, TenantId};
use security::{KeyRing, Role};
use store::{Blobs, Files, Store, SystemStore};
use tokio::task::JoinSet;
use workflow::engine::{Engine, Task};

use crate::alarms::NotifyTask;
use crate::api::{self, Api};
use crate::aws;
use crate::backups::{self, DrillTask, Keeper, TakeTask};
use crate::clock::SystemClock;
use crate::config::{ServerFile, StoreFile};
use crate::evaluations::{EvaluateTask, Evaluations};
use crate::holder::Holder;
use crate::links;
use crate::steps::Steps;
use crate::{
    alarms, contributors, freshness, gates, hooks, listen, online, platform, prometheus, pushes,
    rollouts,
};

/// How often schedules and rules are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often an erasure that waits for something is tried again.
const WAIT: Duration = Duration::from_secs(30);
/// How often old executions are deleted.
const SWEEP: Duration = Duration::from_secs(15 * 60);
/// How often the tables of telemetry are kept.
const MAINTENANCE: Duration = Duration::from_secs(300);

/// What stands in the data directory.
pub struct DataDirectory(pub PathBuf);

impl DataDirectory {
    /// The local administrator's key, for the command line.
    pub fn admin_key(&self) -> PathBuf {
        self.0.join("admin.key")
    }

    /// The address the server listens on, for the command line.
    pub fn address(&self) -> PathBuf {
        self.0.join("address")
    }

    fn node(&self) -> PathBuf {
        self.0.join("node.id")
    }

    /// Where drills restore to.
    fn scratch(&self) -> PathBuf {
        self.0.join("drill")
    }

    /// The installation's key.
    pub fn pepper(&self) -> PathBuf {
        self.0.join("installation.key")
    }
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// If a part cannot be started.
pub async fn up(config: ServerFile, base: &Path, insecure: bool) -> Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let data = DataDirectory(base.join(&config.data));
    make_private_directory(&data.0)?;
    let store = open_store(&config, &data).await?;
    ensure!(
        !store.is_half_restored().await?,
        "a restore into this database was cut off: run `groundcrew backup restore` again"
    );
    let pepper = secret_file(&data.pepper())?;
    let system = store.system();
    let stored_all = store.clone();
    let blobs = open_blobs(&config, &data, &pepper)?;
    let keys = Arc::new(KeyRing::open(store.clone(), Arc::clone(&clock), &pepper).await?);
    bootstrap(&keys, &data).await?;

    let rollups = Arc::new(Rollups::new(RollupLimits::default(), clock.now()));
    let watched = Arc::new(Contributors::default());
    let telemetry = Telemetry::open(TelemetryParts {
        directory: data.0.join("telemetry").join("log"),
        store: store.system(),
        files: open_files(&config, &data)?,
        clock: Arc::clone(&clock),
        followers: vec![Arc::clone(&rollups) as _, Arc::clone(&watched) as _],
        drawn: uuid::Uuid::new_v4().as_u64_pair().0,
        log: config.telemetry.log(),
        tables: TablesOptions::default(),
        limits: config.telemetry.queries,
    });
    let telemetry = telemetry.await?;
    let offered = Arc::new(config.offered(base, &data.0, (&store, &blobs))?);
    let pushes = Arc::new(config.pushes(base, &data.0, &offered)?);
    let functions = Arc::new(config.functions(base)?);
    let connections = Arc::new(config.connections()?);
    let steps = Steps { functions: Arc::clone(&functions), connections: Arc::clone(&connections) };
    // Documents are read in child processes of this very program.
    let program = std::env::current_exe().context("this program's own path cannot be told")?;
    let workshop = Arc::new(Workshop {
        extractor: Extractor::new(program, knowledge::Limits::default()),
        steps: Arc::new(steps),
    });
    let providers = Arc::new(Providers::new(config.providers()?)?);
    let prices = PriceBook::new(config.prices.clone());
    let parts = backups::Parts {
        installation: pepper.clone(),
        offered,
        workshop,
        providers: Arc::clone(&providers),
        environment: config.environment.clone(),
        prices: prices.clone(),
        clock: Arc::clone(&clock),
    };
    let (stored, node) = ((store.clone(), blobs.clone()), node(&data)?);
    let models = parts.models(&stored);
    let places = config.places(base, &pepper)?;
    let reached = places.iter().flat_map(|places| [Some(&places.first), places.replica.as_ref()]);
    let reached = reached.flatten().map(|place| place.backups.clone()).collect();
    let delivery = parts.delivery(&stored, Arc::clone(&models)).with_backups(reached);
    let backups =
        Keeper { places, data: stored, parts, node: node.clone(), scratch: data.scratch() };
    let asked = gates::Known {
        queries: telemetry.queries.clone(),
        functions: Arc::clone(&functions),
        backups: backups.clone(),
    };
    let delivery = delivery.with_gate_sources(Arc::new(asked));
    let tenants = keys.tenant_names().await?;
    let sources = Sources { rollups: Arc::clone(&rollups), queries: telemetry.queries.clone() };
    let alarms = Alarms::new(store.clone(), Arc::clone(&clock), Arc::new(sources));
    let mail = config.mail.as_ref().map(|mail| anyhow::Ok((mail.relay()?, mail.tenants.clone())));
    let notify = NotifyTask {
        alarms: alarms.clone(),
        connections: Arc::clone(&connections),
        mail: mail.transpose()?,
    };
    let holder = Holder {
        store: store.clone(),
        keys: Arc::clone(&keys),
        node: node.clone(),
        clock: Arc::clone(&clock),
    };
    delivery.mask_erasures(&tenants).await?;
    let reconciler = Reconciler::start(&delivery, &tenants).await?;
    let live = LiveReleases::new(blobs.clone(), reconciler.table());
    let live = live.with_erasures(reconciler.erasures());
    let mut live = live.with_models(Arc::clone(&models));
    live.catch_up().await;
    let live_now = live.watch();

    let gateway = Gateway::new(Parts {
        keys: Arc::clone(&keys),
        live: live_now.clone(),
        providers: Arc::clone(&providers),
        prices: prices.clone(),
        traces: telemetry.log.clone(),
        clock: Arc::clone(&clock),
        trace_ids: Box::new(|| TraceId::from_bytes(uuid::Uuid::new_v4().into_bytes())),
        environment: config.environment.clone(),
        limits: Limits::default(),
    });
    let evaluations = Arc::new(Evaluations {
        delivery: delivery.clone(),
        gateway: Arc::clone(&gateway),
        loader: live.loader(),
        providers,
        prices,
        models: Arc::clone(&models),
        functions: Arc::clone(&functions),
        connections: Arc::clone(&connections),
        queries: telemetry.queries.clone(),
        clock: Arc::clone(&clock),
    });
    let pipelines = Arc::new(PipelineTask::new(delivery.clone()));
    let applies = Arc::new(pushes::ApplyTask {
        pushes: Arc::clone(&pushes),
        delivery: delivery.clone(),
        engine: OnceLock::new(),
    });
    let tasks: Vec<Arc<dyn Task>> = vec![
        Arc::new(notify),
        Arc::clone(&pipelines) as _,
        Arc::clone(&applies) as _,
        Arc::new(RefreshTask(delivery.clone())),
        Arc::new(CompactTask(delivery.clone())),
        Arc::new(PruneTask::new(delivery.clone(), config.retention)),
        Arc::new(ProposeTask(delivery.clone())),
        Arc::new(PromoteTask(delivery.clone())),
        Arc::new(TakeTask(backups.clone())),
        Arc::new(DrillTask(backups.clone())),
        Arc::new(EvaluateTask(Arc::clone(&evaluations))),
        functions,
        connections,
    ];
    let workflows = Engine::new(store, Arc::clone(&clock), &node, pepper, tasks);
    workflows.offer(config.buckets(base)?);
    pipelines.engine(workflows.clone());
    applies.engine.get_or_init(|| workflows.clone());
    let exporter = match &config.telemetry.export {
        Some(file) => {
            let (store, log) = (system.clone(), telemetry.log_id.clone());
            let cursor = Cursor { store, log, clock: Arc::clone(&clock) };
            Some(file.exporter(&telemetry.log, cursor).await?)
        }
        None => None,
    };
    let (read, told, erased) = (delivery.clone(), delivery.clone(), delivery.clone());
    let known = rollouts::Known { queries: telemetry.queries.clone(), alarms: alarms.clone() };
    let (rolled, gated) = (delivery.clone(), delivery.clone());
    let alarmed = alarms.clone();
    let (scoring, receiver) =
        (Arc::clone(&evaluations), Receiver::new(telemetry.log.clone(), Arc::clone(&clock)));
    let followed = (Arc::clone(&watched), delivery.clone(), Arc::clone(&clock));
    let api = Api {
        keys: Arc::clone(&keys),
        delivery,
        store: stored_all,
        blobs,
        exporter: exporter.clone(),
        receiver: Arc::clone(&receiver),
        telemetry: telemetry.clone(),
        rollups,
        contributors: watched,
        live: live_now,
        models,
        workflows: workflows.clone(),
        pushes,
        backups,
        alarms,
        evaluations,
        clock: Arc::clone(&clock),
    };
    let api = Arc::new(api);
    let router = Router::new()
        .route("/health", get(|| async { "ok" }))
        .merge(gateway.router())
        .merge(aws::router(Arc::clone(&api)))
        .merge(links::router(Arc::clone(&api)))
        .merge(hooks::router(Arc::clone(&api)))
        .merge(pushes::router(Arc::clone(&api)))
        .merge(api::otlp::router(Arc::clone(&api)))
        .merge(prometheus::router(Arc::clone(&api)))
        .merge(api::router(Arc::clone(&api)));

    // Background work ends with the process; each task is idempotent and may be cut off anywhere.
    let mut background = JoinSet::new();
    background.spawn(platform::watch(api));
    let (watched, rules, time) = followed;
    background.spawn(contributors::follow(watched, rules, Arc::clone(&keys), time));
    background.spawn(live.follow());
    if let Some(exporter) = exporter {
        background.spawn(exporter.run());
    }
    background.spawn(reconciler.follow());
    let open = workflows.recover(&tenants).await?;
    if open > 0 {
        tracing::info!(open, "executions are taken up where they were left");
    }
    background.spawn(stay_alive(workflows.clone(), Arc::clone(&keys)));
    background.spawn(keep_workflows(workflows.clone(), Arc::clone(&keys)));
    let keep_days = config.workflows.keep_days;
    background.spawn(forget_ended(workflows.clone(), Arc::clone(&keys), keep_days));
    background.spawn(complete_erasures(erased, Arc::clone(&keys), node));
    background.spawn(freshness::read(read, workflows.clone(), Arc::clone(&keys)));
    background.spawn(freshness::tell(told, Arc::clone(&keys)));
    background.spawn(rollouts::keep(rolled, known, holder.clone()));
    background.spawn(gates::keep(gated, holder.clone()));
    background.spawn(online::keep(scoring, receiver, holder.clone()));
    background.spawn(alarms::keep(alarmed, workflows.clone(), holder));
    background.spawn(keep_tables(
        telemetry.clone(),
        system,
        Arc::clone(&clock),
        config.telemetry.keep_days,
    ));
    background.spawn(async move { workflows.run().await });
    background.spawn(async move { keys.follow().await });

    let listener = listen::bind(config.address()?, config.tls.is_some(), insecure).await?;
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", listener.local_addr()?);
    fs::write(data.address(), &url)?;
    announce(&url)?;
    listen::serve(listener, config.tls.as_ref(), router, stopped()).await?;
    // Answers whose clients have gone are still being recorded.
    if tokio::time::timeout(listen::DRAIN, gateway.idle()).await.is_err() {
        tracing::warn!("answers were still under way and are cut off unrecorded");
    }
    Ok(())
}

/// Gives signs of life, and takes over from servers that give none. Nothing else delays it: this
/// server would be taken for silent itself.
async fn stay_alive(workflows: Engine, keys: Arc<KeyRing>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let alive = async {
            let tenants = keys.tenant_names().await?;
            let now = tokio::time::Instant::now();
            anyhow::Ok(workflows.keep_nodes(&tenants, now).await?)
        };
        if let Err(error) = alive.await {
            tracing::warn!(%error, "no sign of life could be given; trying again");
        }
    }
}

/// Looks every second at what is due, and at what happened.
async fn keep_workflows(workflows: Engine, keys: Arc<KeyRing>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let kept = async {
            let tenants = keys.tenant_names().await?;
            workflows.keep_schedules(&tenants).await?;
            anyhow::Ok(workflows.keep_rules(&tenants).await?)
        };
        if let Err(error) = kept.await {
            tracing::warn!(%error, "schedules and rules could not be kept; trying again");
        }
    }
}

/// Looks every second for erasures that are not completed; after a while only, if one waits for
/// something.
async fn complete_erasures(delivery: Delivery, keys: Arc<KeyRing>, node: String) {
    let mut pause = LOOK;
    loop {
        tokio::time::sleep(pause).await;
        let completed = async {
            let tenants = keys.tenant_names().await?;
            anyhow::Ok(delivery.complete_erasures(&tenants, &node).await?)
        };
        pause = LOOK;
        match completed.await {
            Ok(Completed { done, waiting }) => {
                if done > 0 {
                    tracing::info!(done, "erasures are completed");
                }
                if waiting > 0 {
                    pause = WAIT;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "erasures cannot be completed; trying again");
                pause = WAIT;
            }
        }
    }
}

/// Keeps the tables' files few and no longer than wanted. One server at a time does; the others
/// learn of what it did.
async fn keep_tables(
    telemetry: Telemetry,
    store: SystemStore,
    clock: Arc<dyn Clock>,
    keep: Retention,
) {
    loop {
        tokio::time::sleep(MAINTENANCE).await;
        let kept = async {
            let lease = store.take("telemetry", &telemetry.log_id, clock.as_ref()).await?;
            let Some(lease) = lease else { return Ok(telemetry.tables.reload().await?) };
            let work = telemetry.tables.maintain(keep);
            if let Some(done) = store.holding(&[lease], clock.as_ref(), work).await? {
                tracing::debug!(?done, "the tables of telemetry are kept");
            }
            anyhow::Ok(())
        };
        if let Err(error) = kept.await {
            tracing::warn!(%error, "the tables of telemetry could not be kept; trying again");
        }
    }
}

/// Deletes, every quarter of an hour, what ended longer ago than is kept.
async fn forget_ended(workflows: Engine, keys: Arc<KeyRing>, keep_days: u32) {
    loop {
        match keys.tenant_names().await {
            Ok(tenants) => {
                let deleted = workflows.forget_ended(&tenants, keep_days).await;
                if deleted > 0 {
                    tracing::info!(deleted, "executions that ended long ago are deleted");
                }
            }
            Err(error) => tracing::warn!(%error, "old executions stay; trying again"),
        }
        tokio::time::sleep(SWEEP).await;
    }
}

fn announce(url: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "groundcrew is up at {url}")?;
    out.flush()?;
    Ok(())
}

async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be waited for");
            // Interrupting still works; if it does not either, the server is stopped by force.
            let _interrupted = interrupt.await;
        }
    }
    tracing::info!("stopping: answers under way are finished first");
}

/// Opens the store that `config` names.
pub async fn open_store(config: &ServerFile, data: &DataDirectory) -> Result<Store> {
    Ok(match &config.store {
        StoreFile::Sqlite => Store::open_sqlite(&data.0.join("control.db")).await?,
        StoreFile::Postgres { url } => Store::open_postgres(&url.resolve()?).await?,
    })
}

/// Opens the blobs that `config` names; the keys of sealed ones are wrapped by the installation's.
pub fn open_blobs(
    config: &ServerFile,
    data: &DataDirectory,
    installation: &Secret,
) -> Result<Blobs> {
    let blobs = match config.blobs.s3()? {
        None => Blobs::disk(data.0.join("blobs")),
        Some(options) => Blobs::s3(&options)?,
    };
    Ok(blobs.with_key(installation))
}

/// Opens the place of the tables' files: beside the blobs.
pub fn open_files(config: &ServerFile, data: &DataDirectory) -> Result<Files> {
    let Some(mut options) = config.blobs.s3()? else {
        return Ok(Files::disk(data.0.join("telemetry").join("tables")));
    };
    options.prefix = format!("{}/telemetry", options.prefix.trim_matches('/'));
    Ok(Files::s3(&options)?)
}

/// On the first start: the default tenant, an administrator, and its key for this machine.
async fn bootstrap(keys: &KeyRing, data: &DataDirectory) -> Result<()> {
    let system = PrincipalId::system("start");
    if keys.tenants().await?.is_empty() {
        keys.create_tenant(&system, TenantId::DEFAULT).await?;
    }
    let admin = PrincipalId::user("admin")?;
    if keys.principal(&admin).await.is_err() {
        keys.create_principal(&system, admin.clone(), None, Role::Admin).await?;
    }
    let file = data.admin_key();
    let present = fs::read_to_string(&file).ok();
    let valid = present.is_some_and(|key| keys.authenticate(key.trim()).is_ok());
    if !valid {
        let issued = keys.issue(&system, &admin, None).await?;
        write_private(&file, issued.key.expose())?;
        tracing::info!(file = %file.display(), "wrote the administrator's key");
    }
    Ok(())
}

/// What this server is called among those that share a store: made on the first start, and the
/// same ever after. The lock of the data directory keeps a second server from using it.
fn node(data: &DataDirectory) -> Result<String> {
    let file = data.node();
    if !file.exists() {
        write_private(&file, &uuid::Uuid::new_v4().simple().to_string())?;
    }
    let name =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(name.trim().to_owned())
}

/// A secret that is made on the first start and read ever after.
pub fn secret_file(path: &Path) -> Result<Secret> {
    if !path.exists() {
        write_private(path, KeyRing::random_secret()?.expose())?;
    }
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Secret::new(text.trim()))
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    let aside = path.with_extension("new");
    let options =
        fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&aside);
    let mut file = options.with_context(|| format!("cannot write {}", aside.display()))?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    Ok(())
}

fn make_private_directory(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the data directory {}", path.display()))
}
