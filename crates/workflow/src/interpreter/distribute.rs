//! Distributed Map states: their items are executions of their own, below a Map run.
//!
//! A run holds of it only what its state's fields came to ([`MapRun`]). Which executions there are,
//! and with which inputs, is computed outside of any transition ([`portions`]), since there may be
//! a million of them.

use release::{Draw, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::Digest;

use super::leave::data_limit;
use super::reader::{Fetch, Stop, feed};
use super::run::{About, Effect, FrameId, Phase, Run};
use super::{MAX_PAYLOAD, Moment, Sight, Stepper, container, fault_details};
use crate::definition::{Kind, Machine, MapState, State, Transformation};
use crate::fault::{Fault, Origin, Unevaluated, name};
use crate::template::{Template, View};
use crate::weight::{Allowance, too_large};

/// The most items of a Map.
pub const MAX_ITEMS: u64 = 1_000_000;
/// How many executions of a Map run are under way at once at most, by how many distributed Maps it
/// stands in: those multiply.
const AT_ONCE: [u64; 3] = [1_000, 10, 1];
/// The most characters of a label.
const LABEL: usize = 40;

/// A Map run, as its state's fields say it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MapRun {
    /// Its own name, like a UUID.
    pub id: String,
    /// What the runs of its state are called.
    pub label: String,
    /// Its ARN.
    pub arn: String,
    /// The states around its executions' own.
    pub scope: Vec<(String, usize)>,
    /// What its reader is called with, if it has one.
    pub reader: Option<Value>,
    /// The most items that are read.
    pub max_items: Option<u64>,
    /// How items are put together.
    pub batch: Option<Batch>,
    /// What its writer is called with, if results are written.
    pub writer: Option<Value>,
    /// What is told of each result.
    pub transformation: Transformation,
    /// Whether results are JSON lines.
    pub lines: bool,
    /// How many run at once; 0 for no bound of its own.
    pub max_concurrency: u64,
    /// How many distributed Maps it stands in.
    pub depth: usize,
    /// How many items may fail.
    pub tolerated_count: Option<f64>,
    /// How many items in a hundred may fail.
    pub tolerated_percentage: Option<f64>,
}

/// How items are put together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// The most items of a batch.
    pub items: u64,
    /// The most bytes of a batch.
    pub bytes: u64,
    /// What every batch gets besides.
    pub input: Option<Value>,
}

/// What one execution of a Map run is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Portion {
    /// Its input.
    pub input: Value,
    /// How many items that is.
    pub items: u64,
}

impl MapRun {
    /// How many of its executions may be under way at once.
    pub fn at_once(&self) -> u64 {
        let most = AT_ONCE[self.depth.min(AT_ONCE.len() - 1)];
        if self.max_concurrency == 0 { most } else { self.max_concurrency.min(most) }
    }

    /// The name of one of its executions. Their order is that of the items.
    pub fn name(&self, index: u64) -> String {
        let id = uuid_of(&format!("{}|{index}", self.id));
        format!("{index:08x}{}", &id[8..])
    }

    /// Which execution is for the portion `index`, acting in the name of a role.
    pub fn about(&self, role_arn: &str, index: u64, input: Value, now: Timestamp) -> About {
        let name = self.name(index);
        let whose = self.arn.rsplit_once(':').map_or("", |(whose, _)| whose);
        let named = |kind: &str| whose.replacen(":mapRun:", kind, 1);
        About {
            execution_arn: format!("{}:{name}", named(":execution:")),
            name,
            input,
            role_arn: role_arn.to_owned(),
            machine_arn: named(":stateMachine:"),
            machine_name: whose.rsplit(':').next().unwrap_or_default().to_owned(),
            started_at: now,
            redrives: 0,
        }
    }

    /// Whether so many items of all may have failed.
    pub fn tolerates(&self, failed: u64, all: u64) -> bool {
        let failed = failed as f64;
        let by_percentage = self.tolerated_percentage.map(|share| all as f64 * share / 100.0);
        let most = match (self.tolerated_count, by_percentage) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b).unwrap_or(0.0),
        };
        failed <= most
    }

    /// The failure of a run in which more failed than may.
    pub fn exceeded() -> Fault {
        Fault::new(name::THRESHOLD, "The specified tolerated failure threshold was exceeded")
    }
}

impl Stepper<'_, '_> {
    /// Begins a Map run.
    pub(super) fn distribute(
        &mut self,
        id: FrameId,
        state: &State,
        map: &MapState,
    ) -> Result<(), Unevaluated> {
        let effective = self.effective(id, state)?;
        let length = match &map.reader {
            Some(_) => 0,
            None => self.items(id, state, map, &effective)?.len(),
        };
        let (map_run, max_items) = self.map_run(id, map, &effective)?;
        let (run, arn) = (map_run.id.clone(), map_run.arn.clone());
        self.tell_map_started(id, length);
        self.tell(id, "MapRunStarted", json!({"mapRunArn": arn}).as_object().cloned());
        if max_items < 0.0 {
            let cause = "field MaxItems must be positive";
            self.map_run_failed(id, Fault::new(name::ITEM_READER, cause));
            return Ok(());
        }
        if let Some(frame) = self.run.frames.get_mut(&id) {
            frame.phase = Phase::MapRun(Box::new(map_run));
        }
        self.step.effects.push(Effect::Distribute { id: run, redriven: false });
        Ok(())
    }

    /// What the fields of a Map state come to, and how many items are to be read.
    fn map_run(
        &mut self,
        id: FrameId,
        map: &MapState,
        effective: &Value,
    ) -> Result<(MapRun, f64), Unevaluated> {
        let mut number = |template: &Option<Template>, name: &str| match template {
            Some(template) => self.number(id, effective, template, name).map(Some),
            None => Ok(None),
        };
        let max_concurrency = number(&map.max_concurrency, "MaxConcurrency")?.unwrap_or(0.0) as u64;
        let tolerated_count = number(&map.tolerated_count, "ToleratedFailureCount")?;
        let tolerated_percentage = number(&map.tolerated_percentage, "ToleratedFailurePercentage")?;
        let max_items = map.reader.as_ref().map(|reader| number(&reader.max_items, "MaxItems"));
        let max_items = max_items.transpose()?.flatten().unwrap_or(0.0);
        let bounds = match &map.batcher {
            Some(batcher) => {
                let items = number(&batcher.max_items, "MaxItemsPerBatch")?;
                let bytes = number(&batcher.max_bytes, "MaxInputBytesPerBatch")?;
                let most = |number: Option<f64>| number.map_or(u64::MAX, |n| n.max(1.0) as u64);
                Some((most(items), most(bytes), &batcher.batch_input))
            }
            None => None,
        };
        let mut made = |template: &Option<Template>, name: &str| match template {
            Some(template) => {
                let sight = Sight::of(effective);
                self.compute(id, sight, |view| template.evaluate(view, name)).map(Some)
            }
            None => Ok(None),
        };
        let batch = match bounds {
            Some((items, bytes, input)) => {
                Some(Batch { items, bytes, input: made(input, "ItemBatcher/BatchInput")? })
            }
            None => None,
        };
        let empty = || json!({});
        let reader = match &map.reader {
            Some(reader) => Some(made(&reader.arguments, "ItemReader")?.unwrap_or_else(empty)),
            None => None,
        };
        let writer = match map.writer.as_ref().filter(|_| map.exports()) {
            Some(writer) => Some(made(&writer.arguments, "ResultWriter")?.unwrap_or_else(empty)),
            None => None,
        };
        let form = map.writer.as_ref();
        let otherwise = if map.exports() { Transformation::None } else { Transformation::Compact };
        let around = (0..self.run.scope.len()).filter(|at| {
            let states = container(self.machine, &self.run.scope[..*at]);
            let state = states.and_then(|states| states.states.get(&self.run.scope[*at].0));
            matches!(state.map(|state| &state.kind), Some(Kind::Map(map)) if map.distributed)
        });
        let depth = around.count();
        let name = self.map_run_name(id);
        let label = label(map.label.as_deref().unwrap_or(&self.state_name(id)));
        let arn = self.run.about.machine_arn.replacen(":stateMachine:", ":mapRun:", 1);
        let machine = arn.split('/').next().unwrap_or(&arn);
        let map_run = MapRun {
            arn: format!("{machine}/{label}:{name}"),
            id: name,
            label,
            scope: self.scope_below(id, 0),
            reader,
            max_items: Some(max_items as u64).filter(|most| *most > 0),
            batch,
            writer,
            transformation: form.and_then(|writer| writer.transformation).unwrap_or(otherwise),
            lines: form.is_some_and(|writer| writer.lines),
            max_concurrency,
            depth,
            tolerated_count,
            tolerated_percentage,
        };
        Ok((map_run, max_items))
    }

    /// Names the Map run of this attempt at a state; another attempt has another.
    fn map_run_name(&self, id: FrameId) -> String {
        let (entries, attempts) =
            self.frame(id).map_or((0, 0), |frame| (frame.entries, frame.attempts));
        let About { execution_arn, started_at, .. } = &self.run.about;
        uuid_of(&format!("{execution_arn}|{started_at}|{id:?}|{entries}|{attempts}"))
    }

    /// A Map run is over. One that nobody waits for any more is not heard.
    pub(super) fn map_run_ended(&mut self, map_run: &str, result: Result<Value, Fault>) {
        let Some(id) = self.run.frame_of(map_run) else { return };
        let Some(state) = self.state(id) else { return };
        let left = match result {
            Ok(results) if too_large(&results) => {
                let name = self.state_name(id);
                self.map_run_failed(id, data_limit(&name).into());
                return;
            }
            Ok(results) => {
                // The state's end follows from its run's, its exit from the run's beginning; as the
                // service has it, in an execution's first state both follow from the run's end.
                let ended = self.aside(id, "MapRunSucceeded", None).unwrap_or_default();
                self.event(ended, "MapStateSucceeded", None);
                if let Some(frame) = self.run.frames.get_mut(&id)
                    && frame.entered.1 == 0
                {
                    frame.previous = ended;
                }
                self.leave(id, state, results)
            }
            Err(fault) => {
                self.map_run_failed(id, fault);
                return;
            }
        };
        if let Err(error) = left {
            self.unevaluated(id, error);
        }
    }

    fn map_run_failed(&mut self, id: FrameId, fault: Fault) {
        let mut details = Map::new();
        fault_details(&mut details, &fault);
        self.tell(id, "MapRunFailed", Some(details));
        self.failed(id, fault, Origin::State);
    }

    /// Takes up again what failed in a Map run, or never began.
    pub(super) fn redrive_map_run(&mut self, id: FrameId, map_run: String, after: u64) {
        let Some(frame) = self.run.frames.get_mut(&id) else { return };
        frame.previous = after;
        let Phase::MapRun(begun) = &frame.phase else { return };
        let details = json!({"mapRunArn": begun.arn, "redriveCount": self.run.about.redrives});
        self.tell(id, "MapRunRedriven", details.as_object().cloned());
        self.step.effects.push(Effect::Distribute { id: map_run, redriven: true });
    }
}

/// A name that looks like a UUID and follows from `text`.
pub(crate) fn uuid_of(text: &str) -> String {
    let digest = sha2::Sha256::digest(text);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

/// A label that may stand in an ARN.
fn label(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    text.chars().take(LABEL).map(allowed).collect()
}

/// Tells `out` what each execution of a Map run is given, in order. Where the items are read,
/// `fetch` reads them.
///
/// # Errors
/// Why the run fails before its first execution.
pub fn portions(
    machine: &Machine,
    (run, id): (&Run, &str),
    now: Timestamp,
    fetch: Fetch<'_>,
    out: &mut dyn FnMut(Portion) -> Result<(), Fault>,
) -> Result<(), Fault> {
    // What is looked at is a copy: planning changes nothing of the run.
    let mut run = run.clone();
    let Some(frame) = run.frame_of(id) else { return Ok(()) };
    let Some(Phase::MapRun(map_run)) = run.frames.get(&frame).map(|f| f.phase.clone()) else {
        return Ok(());
    };
    let mut token = |_: &str| String::new();
    let mut moment = Moment { now, token: &mut token };
    let mut stepper = Stepper::new(machine, &mut run, &mut moment);
    let Some(state) = stepper.state(frame) else { return Ok(()) };
    let Kind::Map(map) = &state.kind else { return Ok(()) };
    let effective = stepper.effective(frame, state)?;
    let arguments = map_run.reader.clone().unwrap_or_default();
    let own = match map.reader {
        Some(_) => Vec::new(),
        None => stepper.items(frame, state, map, &effective)?,
    };
    let mut planner = Planner::new(&mut stepper, (frame, map, &effective), *map_run, out);
    let fed = match &map.reader {
        Some(reader) => feed(reader, &arguments, fetch, &mut |item| planner.take(item)),
        None => own.into_iter().try_for_each(|item| planner.take(item)),
    };
    match fed {
        Ok(()) | Err(Stop::Enough) => planner.flush(),
        Err(Stop::Because(fault)) => Err(fault),
    }
}

/// Makes portions of items.
struct Planner<'a> {
    selector: Option<&'a Template>,
    state: String,
    effective: &'a Value,
    context: Value,
    states: Value,
    variables: Map<String, Value>,
    now: Timestamp,
    draw: Draw,
    map_run: MapRun,
    count: u64,
    waiting: Vec<Value>,
    bytes: usize,
    out: &'a mut dyn FnMut(Portion) -> Result<(), Fault>,
}

impl<'a> Planner<'a> {
    fn new(
        stepper: &mut Stepper<'_, '_>,
        (frame, map, effective): (FrameId, &'a MapState, &'a Value),
        map_run: MapRun,
        out: &'a mut dyn FnMut(Portion) -> Result<(), Fault>,
    ) -> Self {
        let context = stepper.context(frame);
        let input = stepper.frame(frame).map(|frame| frame.input.clone());
        // Not the run's own randomness: what it draws later must be something else.
        let seed = map_run.id.bytes().fold(0_u64, |seed, b| seed.wrapping_mul(131) ^ u64::from(b));
        Self {
            selector: map.item_selector.as_ref(),
            state: stepper.state_name(frame),
            effective,
            states: json!({"input": input, "context": context}),
            context,
            variables: stepper.variables(frame),
            now: stepper.moment.now,
            draw: Draw::seeded(seed),
            map_run,
            count: 0,
            waiting: Vec::new(),
            bytes: 0,
            out,
        }
    }

    fn take(&mut self, item: Value) -> Result<(), Stop> {
        if self.map_run.max_items == Some(self.count) {
            return Err(Stop::Enough);
        }
        if self.count == MAX_ITEMS {
            let cause = format!("A Map takes at most {MAX_ITEMS} items; set MaxItems to take less");
            return Err(Fault::new(name::ITEM_READER, cause).into());
        }
        let item = self.selected(item).map_err(Fault::from)?;
        self.count += 1;
        let Some(batch) = &self.map_run.batch else {
            return self.give(item, 1).map_err(Stop::from);
        };
        let length = item.to_string().len() + 1;
        // What every batch gets, and the names around it, count as well.
        let shared = batch.input.as_ref().map_or(0, |input| input.to_string().len()) + 40;
        let bytes = usize::try_from(batch.bytes).unwrap_or(usize::MAX).min(MAX_PAYLOAD);
        let full = self.waiting.len() as u64 == batch.items
            || self.bytes + length + shared > bytes.max(shared);
        if full && !self.waiting.is_empty() {
            self.flush()?;
        }
        self.bytes += length;
        self.waiting.push(item);
        Ok(())
    }

    fn selected(&mut self, item: Value) -> Result<Value, Unevaluated> {
        let Some(template) = self.selector else { return Ok(item) };
        let item = json!({"Item": {"Index": self.count, "Value": item}});
        self.states["context"]["Map"] = item.clone();
        self.context["Map"] = item;
        let mut view = View {
            input: self.effective,
            context: &self.context,
            variables: &self.variables,
            states: &self.states,
            now: self.now,
            draw: &mut self.draw,
            allowance: Allowance::default(),
        };
        template.evaluate(&mut view, "ItemSelector")
    }

    /// The items that wait are a batch.
    fn flush(&mut self) -> Result<(), Fault> {
        let items = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        if items.is_empty() {
            return Ok(());
        }
        let count = items.len() as u64;
        let mut whole = Map::new();
        let shared = self.map_run.batch.as_ref().and_then(|batch| batch.input.clone());
        whole.extend(shared.map(|shared| ("BatchInput".to_owned(), shared)));
        whole.insert("Items".to_owned(), items.into());
        self.give(whole.into(), count)
    }

    fn give(&mut self, input: Value, items: u64) -> Result<(), Fault> {
        if too_large(&input) {
            return Err(data_limit(&self.state).into());
        }
        (self.out)(Portion { input, items })
    }
}
