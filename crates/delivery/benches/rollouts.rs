//! What the release path is worth and what it costs: simulated canaries beside threshold rules on the
//! same traffic; assigning requests; registering versions and moving pointers over SQLite on disk.
//!
//! `cargo xtask bench delivery` runs it. `GROUNDCREW_BENCH_RUNS` is how often each canary is simulated,
//! if not 2,000 times; `GROUNDCREW_BENCH_MLFLOW` a file with the times of MLflow's registry.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark speaks in the terminal")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use delivery::simulate::{Report, Runs, Scenario, simulate};
use delivery::{Delivery, Promotion, Reconciler, TenantDelivery, Upload};
use knowledge::{Extractor, Limits, NoSteps, Offered, Workshop};
use release::{
    AppName, Arm, BUCKETS, BucketRange, Caller, Clock, Digest, Environment, EnvironmentName,
    PlanId, PlanOwner, PrincipalId, ReleaseDigest, RoutingTable, TenantId, Timestamp, TrafficPlan,
    Unit, bucket,
};
use store::{Blobs, Store};

/// How often a release as good as the last may be taken back.
const ALPHA: f64 = 0.05;
/// How many requests are assigned.
const REQUESTS: usize = 1_000_000;
/// How many versions are registered and promoted.
const VERSIONS: usize = 200;

const STEPS: &str = "[rules]\nstrategy = \"canary\"\n";
const TENTH: &str = "[rules]\nstrategy = \"canary\"\nsteps = [{ weight = 10, seconds = 3600 }]\n";
const ALL: &str = "";
const TWO: &str =
    "[[candidates]]\nname = \"as good\"\n[[candidates]]\nname = \"twice\"\nratio = 2\n";

/// What is simulated: its name, the policy, the traffic, the candidates.
const CELLS: [(&str, &str, &str, &str); 4] = [
    ("600 sessions/min, 1 % fail; 5, 25, 50 %", STEPS, "[traffic]\n", ALL),
    (
        "the same, the base rate goes up and down by 80 % in 250 minutes",
        STEPS,
        "[traffic]\ndrift = 0.8\ndrift_minutes = 250\n",
        TWO,
    ),
    (
        "the same, 5 clients of which each fails 100 times every 10 minutes",
        STEPS,
        "[traffic]\nbursts = { clients = 5, requests = 100, every_minutes = 10 }\n",
        TWO,
    ),
    ("60 requests of the canary a minute (10 % of 600)", TENTH, "[traffic]\n", TWO),
];

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }
}

/// CPU seconds of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

fn canaries() {
    let runs = std::env::var("GROUNDCREW_BENCH_RUNS").ok();
    let count = runs.map_or(2_000, |runs| runs.parse().unwrap());
    for (name, rules, traffic, candidates) in CELLS {
        let text = [rules, traffic, candidates].concat();
        let scenario = Scenario::read(name, &text).unwrap();
        let (began, used) = (Instant::now(), cpu());
        let report = simulate(&scenario, Runs { count, seed: 1 });
        println!("\n{name}\n\n{report}\n");
        let found = |ratio: f64| share(&report, ratio);
        println!(
            "  false rollbacks {:.1} % (aim {:.0} %), twice as bad taken back {:.1} % (aim 95 %); {:.1} s, \
             {:.1} s of CPU",
            found(1.0) * 100.0,
            ALPHA * 100.0,
            found(2.0) * 100.0,
            began.elapsed().as_secs_f64(),
            cpu() - used
        );
    }
}

/// How often evidence takes back the candidate of this ratio.
fn share(report: &Report, ratio: f64) -> f64 {
    let candidate = report.candidates.iter().find(|candidate| candidate.ratio == ratio).unwrap();
    candidate.policies[0].rolled_back.share
}

fn assignment() {
    let release = |n: u8| ReleaseDigest::new(Digest::of(&[n]));
    let (app, name): (AppName, EnvironmentName) =
        ("support".parse().unwrap(), "prod".parse().unwrap());
    let arm = |name: &str, of, (from, to)| Arm {
        name: name.to_owned(),
        release: release(of),
        ranges: vec![BucketRange { from, to }],
    };
    let plan = TrafficPlan {
        id: PlanId("support/prod/17".to_owned()),
        owner: PlanOwner::Rollout("support/prod/17".to_owned()),
        step: 1,
        arms: vec![arm("canary", 2, (0, 2_500)), arm("control", 1, (2_500, BUCKETS))],
        mirror: None,
        routes: Vec::new(),
    };
    let mut environment = Environment::empty(app.clone(), name.clone());
    environment.stable = Some(release(1));
    environment.plan = Some(plan.clone());
    let mut table = RoutingTable::at(1);
    table.insert(TenantId::DEFAULT, environment);
    let sessions: Vec<String> =
        (0..REQUESTS).map(|number| format!("session-{number:08x}")).collect();
    let units: Vec<Unit> = sessions.iter().cloned().map(Unit::Stuck).collect();
    println!("\nassignment, {REQUESTS} sessions");
    let told = |what: &str, used: f64| {
        println!("  {what:<28} {:>6.0} ns of CPU", used * 1e9 / REQUESTS as f64);
    };
    let used = cpu();
    for session in &sessions {
        black_box(bucket(&plan.id.0, session));
    }
    told("bucket", cpu() - used);
    let used = cpu();
    for unit in units {
        let caller = Caller { tenant: &TenantId::DEFAULT, unit, header: &|_| None };
        let _bound = black_box(table.bind(&app, &name, caller)).unwrap();
    }
    told("RoutingTable::bind", cpu() - used);
}

async fn apply(delivery: &TenantDelivery, prompt: &str) {
    let app = "[slots]\nmodel = \"m\"\nprompt = \"p\"\n[delivery]\nenter = \"manual\"\n";
    let files = [
        ("groundcrew.toml", "name = \"p\"\nenvironments = [\"prod\"]\n"),
        ("apps/support.toml", app),
        ("models/m.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
        ("prompts/p.md", prompt),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    let files: BTreeMap<_, _> = files.into();
    delivery.apply(&Upload { files, ..Upload::default() }).await.unwrap();
}

/// Times of one operation, in milliseconds.
struct Times(&'static str, Vec<f64>);

impl Times {
    fn at(&mut self, part: f64) -> f64 {
        self.1.sort_by(f64::total_cmp);
        self.1[((self.1.len() - 1) as f64 * part) as usize]
    }
}

async fn registry(home: &Path) {
    let store = Store::open_sqlite(&home.join("control.db")).await.unwrap();
    let blobs = Blobs::disk(home.join("blobs"));
    let extractor = Extractor::new("no-program".into(), Limits::default());
    let workshop = Arc::new(Workshop { extractor, steps: Arc::new(NoSteps) });
    let delivery =
        Delivery::new((store, blobs), Arc::new(Offered::default()), workshop, Arc::new(Fixed));
    let ada = delivery.tenant(&TenantId::DEFAULT, PrincipalId::user("ada").unwrap());
    apply(&ada, "Hello.\n").await;
    let reconciler = Reconciler::start(&delivery, &[TenantId::DEFAULT]).await.unwrap();
    let mut table = reconciler.table();
    let following = tokio::spawn(reconciler.follow());
    let (app, environment): (AppName, EnvironmentName) =
        ("support".parse().unwrap(), "prod".parse().unwrap());
    let wish = Promotion {
        app: app.clone(),
        environment: environment.clone(),
        release: None,
        expected: None,
        now: true,
    };
    let mut times = ["create version", "set alias", "get by alias", "seen by another"]
        .map(|name| Times(name, Vec::new()));
    let milliseconds = |since: Instant| since.elapsed().as_secs_f64() * 1e3;
    let used = cpu();
    for number in 0..VERSIONS {
        let began = Instant::now();
        apply(&ada, &format!("Hello, {number}.\n")).await;
        times[0].1.push(milliseconds(began));
        let began = Instant::now();
        let mut changed = table.clone();
        changed.mark_unchanged();
        let seen = tokio::spawn(async move {
            changed.changed().await.unwrap();
            Instant::now()
        });
        ada.promote(&wish).await.unwrap();
        times[1].1.push(milliseconds(began));
        times[3].1.push((seen.await.unwrap() - began).as_secs_f64() * 1e3);
        let began = Instant::now();
        let live = table
            .borrow_and_update()
            .environment(&TenantId::DEFAULT, &app, &environment)
            .unwrap()
            .stable;
        black_box(ada.open_release(live.unwrap()).await.unwrap());
        times[2].1.push(milliseconds(began));
    }
    following.abort();
    let used = (cpu() - used) * 1e3 / VERSIONS as f64;
    println!(
        "\nregistry and pointer, SQLite on disk, {VERSIONS} versions ({used:.1} ms of CPU for each)"
    );
    let peer = std::env::var_os("GROUNDCREW_BENCH_MLFLOW").map(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    });
    for times in &mut times {
        let (name, p50, p99) = (times.0, times.at(0.5), times.at(0.99));
        let beside = peer.as_ref().and_then(|peer| {
            let peer = &peer[name];
            let (peer50, peer99) = (peer["p50_ms"].as_f64()?, peer["p99_ms"].as_f64()?);
            let ratio = peer50 / p50;
            Some(format!("   MLflow {peer50:.2}, {peer99:.2} ms: {ratio:.0} times ours"))
        });
        println!("  {name:<16} p50 {p50:>7.3} ms  p99 {p99:>7.3} ms{}", beside.unwrap_or_default());
    }
}

#[tokio::main]
async fn main() {
    canaries();
    assignment();
    let home = tempfile::tempdir().unwrap();
    registry(home.path()).await;
}
