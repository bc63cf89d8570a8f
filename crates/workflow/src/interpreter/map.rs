//! Map states: items, their iterations, and what is made of the results.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::enter::not_a;
use super::enter::together;
use super::leave::data_limit;
use super::reader;
use super::run::{Effect, FrameId, Phase};
use super::{Sight, Stepper, fault_details, field};
use crate::definition::{Batcher, Kind, MapState, State};
use crate::fault::{Fault, Origin, Unevaluated, name};
use crate::template::{Language, Template};
use crate::weight::too_large;

/// How many iterations run at once within an execution at most.
const INLINE: usize = 40;
/// How many items are distributed within one run at once at most.
const DISTRIBUTED: usize = 1_000;
/// The most items of a Map.
const MAX_ITEMS: usize = 1_000_000;

/// The items of a Map state that is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Items {
    items: Vec<Value>,
    /// What each iteration's `$` of its selector is.
    effective: Value,
    /// The next to begin.
    next: usize,
    running: usize,
    failed: usize,
    results: Vec<Option<Value>>,
    /// The event that told of the last iteration's end; the state's own end follows from it.
    told: Option<u64>,
    concurrency: usize,
    /// How many may fail.
    tolerated: f64,
    distributed: bool,
}

impl Items {
    /// What failed is tried again, and counts as failed no longer.
    pub(super) fn forgive(&mut self) {
        self.failed = 0;
    }
}

impl Stepper<'_, '_> {
    /// Begins a Map state.
    pub(super) fn map(
        &mut self,
        id: FrameId,
        state: &State,
        map: &MapState,
    ) -> Result<(), Unevaluated> {
        let effective = self.effective(id, state)?;
        if let Some(reader) = &map.reader {
            let arguments = match &reader.arguments {
                Some(template) => self.compute(id, Sight::of(&effective), |view| {
                    template.evaluate(view, "ItemReader")
                })?,
                None => json!({}),
            };
            self.tell_map_started(id, 0, true);
            if let Some(frame) = self.run.frames.get_mut(&id) {
                frame.phase = Phase::Reading;
            }
            let resource = reader.resource.clone();
            self.step.effects.push(Effect::Read { frame: id, resource, arguments });
            return Ok(());
        }
        let items = self.items(id, state, map, &effective)?;
        self.begin_items(id, state, map, (items, effective))
    }

    pub(super) fn items(
        &mut self,
        id: FrameId,
        state: &State,
        map: &MapState,
        effective: &Value,
    ) -> Result<Vec<Value>, Unevaluated> {
        let value = match (state.language, &map.items, &map.items_path) {
            (Language::Jsonata, Some(template), _) => {
                let items =
                    self.compute(id, Sight::of(effective), |view| template.evaluate(view, "Items"));
                match (template, items?) {
                    (Template::Expression(expression), other) if !other.is_array() => {
                        return Err(expression.mistyped("Items", "array", &other));
                    }
                    (_, items) => items,
                }
            }
            (Language::JsonPath, _, Some(path)) => {
                let found =
                    self.compute(id, Sight::of(effective), |view| Ok(path.select(view.scope())?))?;
                match found {
                    Some(items @ Value::Array(_)) => items,
                    _ => {
                        return Err(Unevaluated::runtime(format!(
                            "Reference path \"{path}\" must point to array."
                        )));
                    }
                }
            }
            _ => effective.clone(),
        };
        match (value, state.language) {
            (Value::Array(items), _) if items.len() <= MAX_ITEMS => Ok(items),
            (Value::Array(items), _) => Err(Unevaluated::runtime(format!(
                "A Map takes at most {MAX_ITEMS} items, not {}",
                items.len()
            ))),
            (other, Language::Jsonata) => Err(Unevaluated::query(
                None,
                format!("Map state input must be an array but was: {other}"),
            )),
            (_, Language::JsonPath) => {
                Err(Unevaluated::runtime("Reference path \"$\" must point to array."))
            }
        }
    }

    /// What a reader asked for was read.
    pub(super) fn read(&mut self, id: FrameId, body: Result<String, Fault>) {
        if self.frame(id).is_none_or(|frame| frame.phase != Phase::Reading) {
            return;
        }
        let Some(state) = self.state(id) else { return };
        let Kind::Map(map) = &state.kind else { return };
        let Some(reader) = &map.reader else { return };
        let read = self.effective(id, state).and_then(|effective| {
            let most = match &reader.max_items {
                Some(template) => self.number(id, &effective, template, "MaxItems")?,
                None => 0.0,
            };
            if most < 0.0 {
                let cause = "field MaxItems must be positive".to_owned();
                return Ok(Err(Fault::new(name::ITEM_READER, cause)));
            }
            let most = if most < 1.0 { MAX_ITEMS } else { (most as usize).min(MAX_ITEMS) };
            let items = body.and_then(|body| {
                reader::items(reader, &body, most)
                    .map_err(|cause| Fault::new(name::ITEM_READER, cause))
            });
            Ok(items.map(|items| (items, effective)))
        });
        match read {
            Ok(Ok(input)) => {
                if let Err(error) = self.begin_items(id, state, map, input) {
                    self.unevaluated(id, error);
                }
            }
            Ok(Err(fault)) => self.map_failed(id, true, fault),
            Err(error) => self.unevaluated(id, error),
        }
    }

    fn tell_map_started(&mut self, id: FrameId, length: usize, distributed: bool) {
        let length = json!({"length": length});
        self.tell(id, "MapStateStarted", length.as_object().cloned());
        if distributed {
            let arn = json!({"mapRunArn": self.map_run_arn(id)});
            self.tell(id, "MapRunStarted", arn.as_object().cloned());
        }
    }

    fn map_run_arn(&self, id: FrameId) -> String {
        let label = match self.state(id).map(|state| &state.kind) {
            Some(Kind::Map(map)) => map.label.clone(),
            _ => None,
        };
        let frame = self.frame(id);
        let state = label.or_else(|| frame.map(|frame| frame.state.clone())).unwrap_or_default();
        let arn = self.run.about.machine_arn.replace(":stateMachine:", ":mapRun:");
        let entries = frame.map_or(0, |frame| frame.entries);
        format!("{arn}/{state}:{}-{entries}", self.run.about.name)
    }

    fn begin_items(
        &mut self,
        id: FrameId,
        state: &State,
        map: &MapState,
        (mut items, effective): (Vec<Value>, Value),
    ) -> Result<(), Unevaluated> {
        let number = |stepper: &mut Self, template: &Option<Template>, name: &str| match template {
            Some(template) => stepper.number(id, &effective, template, name).map(Some),
            None => Ok(None),
        };
        let concurrency = number(self, &map.max_concurrency, "MaxConcurrency")?.unwrap_or(0.0);
        let count = number(self, &map.tolerated_count, "ToleratedFailureCount")?;
        let percentage = number(self, &map.tolerated_percentage, "ToleratedFailurePercentage")?;
        if let Some(batcher) = &map.batcher {
            items = self.batches(id, batcher, items, &effective)?;
        }
        let by_percentage = percentage.map(|share| items.len() as f64 * share / 100.0);
        let tolerated = match (count, by_percentage) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b).unwrap_or(0.0),
        };
        let most = if map.distributed { DISTRIBUTED } else { INLINE };
        // An iteration may be given all of the input, and more.
        let most = most.min(together(&effective));
        let concurrency = if concurrency < 1.0 { most } else { (concurrency as usize).min(most) };
        if map.reader.is_none() {
            self.tell_map_started(id, items.len(), map.distributed);
        }
        let items = Items {
            next: 0,
            running: 0,
            failed: 0,
            results: vec![None; items.len()],
            told: None,
            items,
            effective,
            concurrency,
            tolerated,
            distributed: map.distributed,
        };
        if let Some(frame) = self.run.frames.get_mut(&id) {
            frame.phase = Phase::Items(Box::new(items));
        }
        self.more_items(id, state, map)
    }

    pub(super) fn number(
        &mut self,
        id: FrameId,
        effective: &Value,
        template: &Template,
        name: &str,
    ) -> Result<f64, Unevaluated> {
        let value = self.compute(id, Sight::of(effective), |view| field(template, view, name))?;
        let text = || value.as_str()?.parse().ok();
        value.as_f64().or_else(text).ok_or_else(|| not_a(template, name, "number", &value))
    }

    fn batches(
        &mut self,
        id: FrameId,
        batcher: &Batcher,
        items: Vec<Value>,
        effective: &Value,
    ) -> Result<Vec<Value>, Unevaluated> {
        let mut bound = |template: &Option<Template>, name: &str| match template {
            Some(template) => {
                self.number(id, effective, template, name).map(|most| most.max(1.0) as usize)
            }
            None => Ok(usize::MAX),
        };
        let most = bound(&batcher.max_items, "MaxItemsPerBatch")?;
        let bytes = bound(&batcher.max_bytes, "MaxInputBytesPerBatch")?;
        let shared = match &batcher.batch_input {
            Some(template) => Some(self.compute(id, Sight::of(effective), |view| {
                template.evaluate(view, "ItemBatcher/BatchInput")
            })?),
            None => None,
        };
        let mut batches = Vec::new();
        let (mut batch, mut size) = (Vec::new(), 0);
        for item in items {
            let length = item.to_string().len() + 1;
            if !batch.is_empty() && (batch.len() == most || size + length > bytes) {
                batches.push(std::mem::take(&mut batch));
                size = 0;
            }
            size += length;
            batch.push(item);
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        let whole = batches.into_iter().map(|batch| {
            let mut whole = Map::new();
            whole.extend(shared.clone().map(|shared| ("BatchInput".to_owned(), shared)));
            whole.insert("Items".to_owned(), batch.into());
            Value::Object(whole)
        });
        Ok(whole.collect())
    }

    /// Begins as many iterations as may run, or ends the state.
    fn more_items(
        &mut self,
        id: FrameId,
        state: &State,
        map: &MapState,
    ) -> Result<(), Unevaluated> {
        loop {
            let Some(frame) = self.run.frames.get_mut(&id) else { return Ok(()) };
            let state_name = frame.state.clone();
            let Phase::Items(items) = &mut frame.phase else { return Ok(()) };
            if items.next == items.items.len() || items.running == items.concurrency {
                break;
            }
            let index = items.next;
            items.next += 1;
            items.running += 1;
            let (item, effective) = (items.items[index].clone(), items.effective.clone());
            let silent = items.distributed;
            let details = json!({"index": index, "name": state_name});
            let started = if silent {
                None
            } else {
                self.aside(id, "MapIterationStarted", details.as_object().cloned())
            };
            let input = match &map.item_selector {
                Some(template) => {
                    let sight = Sight { item: Some((index, &item)), ..Sight::of(&effective) };
                    let input =
                        self.compute(id, sight, |view| template.evaluate(view, "ItemSelector"))?;
                    if too_large(&input) {
                        return Err(data_limit(&state_name));
                    }
                    input
                }
                None => item.clone(),
            };
            let scope = self.scope_below(id, 0);
            let start = (map.processor.start_at.clone(), input);
            let child = self.begin_thread(id, index, scope, start)?;
            if let Some(child) = self.run.frames.get_mut(&child) {
                child.item = Some((index, item));
                child.silent |= silent;
                child.previous = started.unwrap_or(child.previous);
            }
        }
        let over = match self.frame(id).map(|frame| &frame.phase) {
            Some(Phase::Items(items)) => items.running == 0,
            _ => false,
        };
        if over { self.items_done(id, state, map) } else { Ok(()) }
    }

    /// An iteration has come to its end.
    pub(super) fn item_ended(&mut self, child: FrameId, id: FrameId, result: Result<Value, Fault>) {
        let Some(state) = self.state(id) else { return };
        let Kind::Map(map) = &state.kind else { return };
        let Some(frame) = self.frame(child) else { return };
        let (index, previous) = (frame.index, frame.previous);
        let name = self.state_name(id);
        let details = json!({"index": index, "name": name});
        let what = if result.is_ok() { "MapIterationSucceeded" } else { "MapIterationFailed" };
        let told = self.aside(child, what, details.as_object().cloned());
        let Some(around) = self.run.frames.get_mut(&id) else { return };
        let Phase::Items(items) = &mut around.phase else { return };
        if !items.distributed {
            around.previous = previous;
        }
        match result {
            Ok(output) => {
                items.running -= 1;
                items.told = told;
                items.results[index] = Some(output);
                self.run.frames.remove(&child);
            }
            Err(fault) => {
                items.failed += 1;
                let failed = items.failed as f64;
                if !items.distributed {
                    return self.map_failed(id, false, fault);
                }
                if failed > items.tolerated {
                    let cause = "The specified tolerated failure threshold was exceeded";
                    return self.map_failed(id, true, Fault::new(name::THRESHOLD, cause));
                }
                items.running -= 1;
                items.results[index] = Some(json!({"Error": fault.error, "Cause": fault.cause}));
                self.run.frames.remove(&child);
            }
        }
        if let Err(error) = self.more_items(id, state, map) {
            self.unevaluated(id, error);
        }
    }

    fn map_failed(&mut self, id: FrameId, distributed: bool, fault: Fault) {
        if distributed {
            let mut details = Map::new();
            fault_details(&mut details, &fault);
            self.tell(id, "MapRunFailed", Some(details));
        }
        self.failed(id, fault, Origin::State);
    }

    fn items_done(
        &mut self,
        id: FrameId,
        state: &State,
        map: &MapState,
    ) -> Result<(), Unevaluated> {
        let Some(frame) = self.run.frames.get_mut(&id) else { return Ok(()) };
        let Phase::Items(items) = &mut frame.phase else { return Ok(()) };
        let results: Value = std::mem::take(&mut items.results).into_iter().flatten().collect();
        let effective = items.effective.clone();
        frame.previous = items.told.unwrap_or(frame.previous);
        if let Some(writer) = &map.writer {
            let arguments = match &writer.arguments {
                Some(template) => self.compute(id, Sight::of(&effective), |view| {
                    template.evaluate(view, "ResultWriter")
                })?,
                None => json!({}),
            };
            if let Some(frame) = self.run.frames.get_mut(&id) {
                frame.phase = Phase::Writing;
            }
            let resource = writer.resource.clone();
            self.step.effects.push(Effect::Write { frame: id, resource, arguments, results });
            return Ok(());
        }
        self.map_succeeded(id, state, map.distributed, results)
    }

    /// The results of a Map were written.
    pub(super) fn written(&mut self, id: FrameId, details: Result<Value, Fault>) {
        if self.frame(id).is_none_or(|frame| frame.phase != Phase::Writing) {
            return;
        }
        let Some(state) = self.state(id) else { return };
        match details {
            Ok(details) => {
                let output =
                    json!({"MapRunArn": self.map_run_arn(id), "ResultWriterDetails": details});
                if let Err(error) = self.map_succeeded(id, state, true, output) {
                    self.unevaluated(id, error);
                }
            }
            Err(fault) => self.map_failed(id, true, fault),
        }
    }

    fn map_succeeded(
        &mut self,
        id: FrameId,
        state: &State,
        distributed: bool,
        results: Value,
    ) -> Result<(), Unevaluated> {
        if too_large(&results) {
            let name = self.state_name(id);
            self.map_failed(id, distributed, data_limit(&name).into());
            return Ok(());
        }
        if distributed {
            // The state's end follows from its run's, its exit from the run's beginning.
            if let Some(ended) = self.aside(id, "MapRunSucceeded", None) {
                self.event(ended, "MapStateSucceeded", None);
            }
        } else {
            self.aside(id, "MapStateSucceeded", None);
        }
        self.leave(id, state, results)
    }
}
