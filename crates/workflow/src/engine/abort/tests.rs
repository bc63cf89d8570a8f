//! Every case lives through an abort at every point of the real engine, and ends as if nothing had
//! happened: with the same outcome and the same history, moments and draws included.
//!
//! What happens next follows from the execution's record alone, so that it is the same after a
//! crash: what is due fires; else the first open task is done; else the clock goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use release::{PrincipalId, Secret, TenantId};
use serde::Serialize;
use serde_json::{Value, json};
use store::Store;
use testkit::clock::ManualClock;
use tokio::sync::watch;

use super::Point;
use crate::cases::{Mocks, definition};
use crate::definition::{Resource, Waiting};
use crate::engine::perform::outside;
use crate::engine::tests::{TestClock, key};
use crate::engine::{
    Engine, EngineError, ExecutionRecord, OpenTask, Task, TaskCall, TenantEngine, token,
};
use crate::simulate::World as _;
use crate::{Fault, Report, Status, TaskRequest, recordings};

/// Among how many threads the cases are shared.
const THREADS: usize = 2;
/// How many steps an execution may take.
const STEPS: usize = 20_000;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What tokens follow from.
const SECRET: &str = "secret";

/// What tasks report: for one key always the same, and only when it is their turn.
#[derive(Debug)]
struct World {
    mocks: Mutex<Mocks>,
    /// By the key that services see: the task, and what it reports.
    answers: watch::Sender<BTreeMap<String, (String, Vec<Report>)>>,
    done: Mutex<BTreeMap<String, u64>>,
}

impl World {
    /// Lets a task be done; what it reports.
    fn release(&self, tenant: &TenantId, open: &OpenTask) -> Vec<Report> {
        let key = outside(tenant, &open.task);
        let known = self.answers.borrow().get(&key).cloned();
        known.map(|(_, reports)| reports).unwrap_or_else(|| {
            let request = TaskRequest {
                task: open.task.clone(),
                state: open.state.clone(),
                resource: open.resource.clone(),
                arguments: open.arguments.clone(),
                timeout_seconds: None,
                heartbeat_seconds: open.heartbeat_seconds,
                token: None,
                credentials: None,
            };
            let reports = self.mocks.lock().unwrap().task(&request);
            self.answers.send_modify(|all| {
                all.insert(key, (open.task.clone(), reports.clone()));
            });
            reports
        })
    }
}

/// Does every task of one name as the world says.
#[derive(Debug)]
struct Service(&'static str, Arc<World>);

#[async_trait]
impl Task for Service {
    fn name(&self) -> &'static str {
        self.0
    }

    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let mut answers = self.1.answers.subscribe();
        let told = |all: &BTreeMap<_, _>| all.contains_key(&call.key);
        let (task, reports) = answers.wait_for(told).await.unwrap()[&call.key].clone();
        *self.1.done.lock().unwrap().entry(task).or_default() += 1;
        let by_token = waits_for_token(&call.resource);
        for report in reports {
            match report {
                Report::Submitted(answer) if by_token => return Ok(answer),
                Report::Submitted(answer) if call.submitted.is_none() => {
                    call.progress.submitted(answer).await;
                }
                Report::Succeeded(_) if by_token => return Ok(Value::Null),
                Report::Succeeded(result) => {
                    return Ok(match call.resource {
                        Resource::Function { .. } => json!({"Payload": result}),
                        _ => result,
                    });
                }
                Report::Failed(fault) => return Err(fault),
                Report::Missing(cause) => return Err(Fault::new("Missing", cause)),
                _ => {}
            }
        }
        std::future::pending().await
    }
}

fn waits_for_token(resource: &Resource) -> bool {
    matches!(resource, Resource::Service { waiting: Waiting::Token, .. })
}

/// Whether the last of these ends a task; else its timers alone do.
fn ends(reports: &[Report]) -> bool {
    let last = reports.last();
    matches!(last, Some(Report::Succeeded(_) | Report::Failed(_) | Report::Missing(_)))
}

/// A case that the engine can run.
struct Case {
    id: String,
    case: Value,
    definition: String,
    input: Value,
    services: BTreeSet<&'static str>,
}

impl Case {
    /// None if the engine refuses it, or does not carry it out with made up tasks alone.
    fn of(case: Value) -> Option<Self> {
        let mocks = Mocks::of(&case).ok()?;
        // Activities are done here, so that no answer to a worker gets lost on its way.
        let text = mocks.named(&definition(&case)).replace(":activity:", ":activity:groundcrew.");
        // Those begin executions of their own.
        if ["DISTRIBUTED", "states:startExecution"].iter().any(|own| text.contains(own)) {
            return None;
        }
        crate::Machine::parse(&text).ok()?;
        let document: Value = serde_json::from_str(&text).ok()?;
        let mut services = BTreeSet::from(["lambda:invoke"]);
        names(&document, &mut services);
        let input = case.get("input").cloned().unwrap_or_else(|| json!({}));
        let id = case["id"].to_string();
        Some(Self { id, case, definition: text, input, services })
    }
}

/// What tasks are to be offered as, for every resource in a definition.
fn names(value: &Value, found: &mut BTreeSet<&'static str>) {
    if let Some(resource) = value.get("Resource").and_then(Value::as_str) {
        let name = resource.split_once(":::").map(|(_, service)| service.split(':').next());
        let own = resource.split_once(":activity:groundcrew.").map(|(_, name)| Some(name));
        let name = name.or(own).flatten().map(|name| name.split('.').next().unwrap_or(name));
        // The names of tasks are part of the program.
        found.extend(name.map(|name| &*name.to_owned().leak()));
    }
    match value {
        Value::Object(fields) => fields.values().for_each(|value| names(value, found)),
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        _ => {}
    }
}

/// How an execution went: its outcome and its history.
type Played = Vec<String>;

/// A value as text, without the digests of tokens: those are each tenant's own.
fn plain(value: &impl Serialize) -> String {
    let text = json!(value).to_string();
    let mut parts = text.split("<token sha256:");
    let first = parts.next().into_iter();
    first.chain(parts.map(|part| &part[64..])).collect()
}

/// An execution under way, and the engine that it is in.
struct Play<'a> {
    case: &'a Case,
    store: Store,
    tenant: TenantId,
    clock: ManualClock,
    world: Arc<World>,
    engine: Engine,
    aborts: u64,
    /// Whether every engine stops after its first commit.
    short: bool,
}

impl<'a> Play<'a> {
    fn new(case: &'a Case, store: &Store, tenant: &str) -> Self {
        let clock = ManualClock::default();
        let world = Arc::new(World {
            mocks: Mutex::new(Mocks::of(&case.case).unwrap()),
            answers: watch::Sender::default(),
            done: Mutex::default(),
        });
        let (store, tenant) = (store.clone(), tenant.parse().unwrap());
        let engine = engine(&store, &clock, &world, case);
        Self { case, store, tenant, clock, world, engine, aborts: 0, short: false }
    }

    fn tenant(&self) -> TenantEngine {
        self.engine.tenant(&self.tenant, PrincipalId::user("ada").unwrap())
    }

    /// Plays to the end, or until nothing can happen any more.
    async fn end(&mut self) -> Played {
        match tokio::time::timeout(PATIENCE, self.go()).await {
            Ok(played) => played,
            Err(_) => {
                let record = self.tenant().execution(&key("one")).await;
                panic!("{} hangs after {} aborts: {record:#?}", self.case.id, self.aborts);
            }
        }
    }

    async fn go(&mut self) -> Played {
        self.tenant().define("flow", &self.case.definition).await.unwrap();
        for _ in 0..STEPS {
            let engine = self.engine.clone();
            let over = tokio::select! {
                biased;
                () = engine.shared.aborts.stopped() => {
                    self.restart().await;
                    continue;
                }
                over = self.step() => over && !engine.shared.aborts.has_stopped(),
            };
            if over {
                return self.played().await;
            }
        }
        panic!("{} does not end", self.case.id);
    }

    /// A new engine on what the dead one has left.
    async fn restart(&mut self) {
        for (_, running) in self.engine.running().drain() {
            running.work.abort();
        }
        self.engine = engine(&self.store, &self.clock, &self.world, self.case);
        self.engine.recover(std::slice::from_ref(&self.tenant)).await.unwrap();
        self.aborts += 1;
        if self.short {
            self.engine.shared.aborts.set(Point::Effects, 1);
        }
    }

    async fn played(&self) -> Played {
        let record = self.tenant().execution(&key("one")).await.unwrap();
        let history = self.tenant().history(&key("one")).await.unwrap();
        let ids: Vec<_> = history.iter().map(|event| event.id).collect();
        assert_eq!(ids, (1..=history.len() as u64).collect::<Vec<_>>(), "{}", self.case.id);
        let outcome = plain(&(record.run.status, record.run.outcome));
        std::iter::once(outcome).chain(history.iter().map(plain)).collect()
    }

    /// Lets one thing happen; whether it was the last.
    async fn step(&self) -> bool {
        while self.engine.shared.aborts.is_moving() {
            tokio::task::yield_now().await;
        }
        let record = match self.tenant().execution(&key("one")).await {
            Ok(record) => record,
            Err(EngineError::UnknownExecution(_)) => {
                // The client asks until it is answered.
                let input = self.case.input.clone();
                self.tenant().start("flow", Some("one"), input).await.unwrap();
                return false;
            }
            Err(error) => panic!("{error}"),
        };
        if record.run.status != Status::Running {
            return true;
        }
        let now = self.clock.now();
        let due = record.due().into_iter().map(|(at, _)| at).min();
        if due.is_some_and(|at| at <= now) {
            self.engine.fire().await;
            tokio::task::yield_now().await;
            return false;
        }
        for open in record.tasks.values() {
            let reports = self.world.release(&self.tenant, open);
            let submits = reports.iter().any(|report| matches!(report, Report::Submitted(_)));
            match (open.submitted.is_some(), ends(&reports)) {
                (true, true) if waits_for_token(&open.resource) => {
                    self.report(&record, open, reports.last().unwrap()).await;
                    return false;
                }
                (_, true) => return self.moved(&record).await,
                (false, false) if submits => return self.moved(&record).await,
                (_, false) => {}
            }
        }
        let Some(at) = due else { return true };
        self.clock.set(at);
        false
    }

    /// Whoever has the token of a call reports.
    async fn report(&self, record: &ExecutionRecord, open: &OpenTask, report: &Report) {
        let about = &record.run.about;
        let of = (&self.tenant, about.execution_arn.as_str(), about.started_at);
        let token = token::of(&Secret::new(SECRET), of, &open.task);
        self.tenant().report(&token, report.clone()).await.unwrap();
    }

    /// Waits until an execution is not what it was.
    async fn moved(&self, from: &ExecutionRecord) -> bool {
        while self.tenant().execution(&from.key).await.unwrap() == *from {
            tokio::task::yield_now().await;
        }
        false
    }
}

fn engine(store: &Store, clock: &ManualClock, world: &Arc<World>, case: &Case) -> Engine {
    let service = |name: &&'static str| Arc::new(Service(name, world.clone())) as Arc<dyn Task>;
    let tasks = case.services.iter().map(service).collect();
    let clock = Arc::new(TestClock(clock.clone()));
    Engine::new(store.clone(), clock, "here", Secret::new(SECRET), tasks)
}

/// What was run.
#[derive(Debug, Default)]
struct Count {
    cases: usize,
    tasks: usize,
    aborts: [u64; 3],
}

/// Plays a case calmly, once for each time that it comes to each point, and once with an abort after
/// every commit.
async fn shake(case: &Case, store: &Store, number: usize, count: &mut Count) {
    let mut calm = Play::new(case, store, &format!("calm-{number}"));
    let expected = calm.end().await;
    let passed = |point: Point| (point, calm.engine.shared.aborts.passed(point));
    for (point, passed) in [Point::Commit, Point::Effects, Point::Report].map(passed) {
        for at in 1..=passed {
            let tenant = format!("shaken-{number}-{}-{at}", point as u8);
            let mut shaken = Play::new(case, store, &tenant);
            shaken.engine.shared.aborts.set(point, at);
            let played = shaken.end().await;
            assert_eq!(shaken.aborts, 1, "{}: {point:?} {at} is not come to", case.id);
            same(&played, &expected, &format!("{}: an abort at {point:?} {at}", case.id));
            let done = shaken.world.done.lock().unwrap().keys().cloned().collect::<Vec<_>>();
            let calm = calm.world.done.lock().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(done, calm, "{}: other keys", case.id);
            count.aborts[point as usize] += 1;
        }
    }
    // And once with an engine for each commit.
    let mut shaken = Play::new(case, store, &format!("shaken-{number}"));
    shaken.short = true;
    shaken.engine.shared.aborts.set(Point::Effects, 1);
    let played = shaken.end().await;
    same(&played, &expected, &format!("{}: an abort at every commit", case.id));
    assert_eq!(shaken.aborts, calm.engine.shared.aborts.passed(Point::Commit), "{}", case.id);
    count.cases += 1;
    count.tasks += usize::from(!calm.world.done.lock().unwrap().is_empty());
}

fn same(played: &Played, expected: &Played, what: &str) {
    for (played, expected) in played.iter().zip(expected) {
        assert_eq!(played, expected, "{what}");
    }
    assert_eq!(played.len(), expected.len(), "{what}");
}

fn cases(text: &str) -> impl Iterator<Item = Case> + '_ {
    text.lines().filter_map(|line| Case::of(serde_json::from_str(line).unwrap()))
}

#[test]
fn an_abort_at_every_point_of_every_case_changes_neither_outcome_nor_history() {
    let mut all: Vec<_> = cases(include_str!("../../../tests/cases/executions.jsonl")).collect();
    all.extend(cases(include_str!("../../../tests/cases/tasks.jsonl")));
    let own = all.len();
    if let Some(folder) = recordings::folder() {
        for file in ["a_pure", "b_mocked"] {
            let path = folder.join("asl/dev").join(file).with_extension("jsonl");
            all.extend(cases(&std::fs::read_to_string(path).unwrap()));
        }
    }
    println!("{own} cases of our own, {} recorded ones", all.len() - own);
    let share = |thread: usize| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let share = all.iter().enumerate().skip(thread).step_by(THREADS);
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let store = Store::open_sqlite(&directory.path().join("control.db")).await.unwrap();
            let mut count = Count::default();
            for (number, case) in share {
                shake(case, &store, number, &mut count).await;
            }
            count
        })
    };
    let counts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|at| scope.spawn(move || share(at))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sum = |of: &dyn Fn(&Count) -> u64| counts.iter().map(of).sum::<u64>();
    let cases = sum(&|count| count.cases as u64);
    let tasks = sum(&|count| count.tasks as u64);
    let aborts = [0, 1, 2].map(|point| sum(&|count| count.aborts[point]));
    println!(
        "{cases} cases, {tasks} with tasks; aborts before, after commits, before reports: {aborts:?}"
    );
    assert!(cases >= 210 && tasks >= 35, "{cases} cases, {tasks} with tasks");
    assert!(aborts[0] >= 290 && aborts[1] == aborts[0] && aborts[2] >= 55, "{aborts:?}");
}
