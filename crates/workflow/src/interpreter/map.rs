//! Map states: items, their iterations, and what is made of the results.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::enter::not_a;
use super::enter::together;
use super::leave::data_limit;
use super::run::{FrameId, Phase};
use super::{MAX_ITEMS, Sight, Stepper, field};
use crate::definition::{Kind, MapState, State};
use crate::fault::{Fault, Origin, Unevaluated};
use crate::template::{Language, Template};
use crate::weight::too_large;

/// How many iterations run at once within an execution at most.
const INLINE: usize = 40;

/// The items of a Map state that is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Items {
    items: Vec<Value>,
    /// What each iteration's `$` of its selector is.
    effective: Value,
    /// The next to begin.
    next: usize,
    running: usize,
    results: Vec<Option<Value>>,
    /// The event that told of the last iteration's end; the state's own end follows from it.
    told: Option<u64>,
    concurrency: usize,
}

impl Stepper<'_, '_> {
    /// Begins a Map state.
    pub(super) fn map(
        &mut self,
        id: FrameId,
        state: &State,
        map: &MapState,
    ) -> Result<(), Unevaluated> {
        if map.distributed {
            return self.distribute(id, state, map);
        }
        let effective = self.effective(id, state)?;
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
            (Value::Array(items), _) if items.len() as u64 <= MAX_ITEMS => Ok(items),
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

    pub(super) fn tell_map_started(&mut self, id: FrameId, length: usize) {
        let length = json!({"length": length});
        self.tell(id, "MapStateStarted", length.as_object().cloned());
    }

    fn begin_items(
        &mut self,
        id: FrameId,
        state: &State,
        map: &MapState,
        (items, effective): (Vec<Value>, Value),
    ) -> Result<(), Unevaluated> {
        let concurrency = match &map.max_concurrency {
            Some(template) => self.number(id, &effective, template, "MaxConcurrency")?,
            None => 0.0,
        };
        // An iteration may be given all of the input, and more.
        let most = INLINE.min(together(&effective));
        let concurrency = if concurrency < 1.0 { most } else { (concurrency as usize).min(most) };
        self.tell_map_started(id, items.len());
        let items = Items {
            next: 0,
            running: 0,
            results: vec![None; items.len()],
            told: None,
            items,
            effective,
            concurrency,
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
            let details = json!({"index": index, "name": state_name});
            let started = self.aside(id, "MapIterationStarted", details.as_object().cloned());
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
                child.previous = started.unwrap_or(child.previous);
            }
        }
        let over = match self.frame(id).map(|frame| &frame.phase) {
            Some(Phase::Items(items)) => items.running == 0,
            _ => false,
        };
        if over { self.items_done(id, state) } else { Ok(()) }
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
        around.previous = previous;
        match result {
            Ok(output) => {
                items.running -= 1;
                items.told = told;
                items.results[index] = Some(output);
                self.run.frames.remove(&child);
            }
            Err(fault) => return self.failed(id, fault, Origin::State),
        }
        if let Err(error) = self.more_items(id, state, map) {
            self.unevaluated(id, error);
        }
    }

    fn items_done(&mut self, id: FrameId, state: &State) -> Result<(), Unevaluated> {
        let Some(frame) = self.run.frames.get_mut(&id) else { return Ok(()) };
        let Phase::Items(items) = &mut frame.phase else { return Ok(()) };
        let results: Value = std::mem::take(&mut items.results).into_iter().flatten().collect();
        frame.previous = items.told.unwrap_or(frame.previous);
        if too_large(&results) {
            let name = self.state_name(id);
            self.failed(id, data_limit(&name).into(), Origin::State);
            return Ok(());
        }
        self.aside(id, "MapStateSucceeded", None);
        self.leave(id, state, results)
    }
}
