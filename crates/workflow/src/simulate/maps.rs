//! Distributed Maps of a simulation: their executions are runs beside the one that is simulated.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Simulation, Who, World};
use crate::fault::{Fault, name};
use crate::interpreter::{Input, MapRun, Portion, Run, portions};
use crate::results::{self, Results, Tally};

/// The most bytes of input that Map runs hold together: a simulation has no store.
const HELD: usize = 8 << 20;

/// The Map runs that are under way.
#[derive(Default)]
pub struct MapRuns {
    going: BTreeMap<String, Going>,
    held: usize,
    /// Whether the last one did not fit: then others do not either, until one is over.
    full: bool,
}

/// A Map run that is under way.
struct Going {
    parent: Who,
    map_run: MapRun,
    /// The inputs, as JSON text, and how many items each is.
    portions: Vec<(String, u64)>,
    next: usize,
    running: BTreeMap<Who, usize>,
    results: Vec<Option<Vec<Value>>>,
    items: Tally,
}

impl Going {
    fn held(&self) -> usize {
        self.portions.iter().map(|(input, _)| input.len()).sum()
    }
}

impl Simulation<'_> {
    /// Begins a Map run.
    pub(super) fn distribute(&mut self, parent: Who, id: &str, world: &mut dyn World) {
        if self.map_runs.going.contains_key(id) {
            return;
        }
        let Some(run) = self.runs.get(&parent) else { return };
        let Some(map_run) = run.map_runs().find(|map_run| map_run.id == id).cloned() else {
            return;
        };
        let mut held = if self.map_runs.full { HELD } else { self.map_runs.held };
        let mut all = Vec::new();
        let mut keep = |Portion { input, items }| {
            let input = input.to_string();
            held += input.len();
            if held > HELD {
                let cause = format!("A simulation holds at most {HELD} bytes of items.");
                return Err(Fault::new(name::DATA_LIMIT, cause));
            }
            all.push((input, items));
            Ok(())
        };
        let mut fetch = |resource: &str, arguments: &Value| world.read(resource, arguments);
        let planned = portions(self.machine, (run, id), self.now, &mut fetch, &mut keep);
        if let Err(fault) = planned {
            self.map_runs.full = held > HELD;
            return self.tell_parent(parent, id, Err(fault));
        }
        self.map_runs.held = held;
        let going = Going {
            parent,
            map_run,
            next: 0,
            running: BTreeMap::new(),
            results: vec![None; all.len()],
            items: Tally::default(),
            portions: all,
        };
        self.map_runs.going.insert(id.to_owned(), going);
        self.go_on(id);
    }

    /// Begins as many executions as may run, or ends the Map run.
    fn go_on(&mut self, id: &str) {
        let Some(going) = self.map_runs.going.get_mut(id) else { return };
        let Some(parent) = self.runs.get(&going.parent) else { return };
        let role_arn = parent.about.role_arn.clone();
        let all = going.portions.iter().map(|(_, items)| items).sum();
        if !going.map_run.tolerates(going.items.lost(), all) {
            return self.end_map_run(id, |_| Err(MapRun::exceeded()));
        }
        while going.next < going.portions.len()
            && (going.running.len() as u64) < going.map_run.at_once()
        {
            let index = going.next;
            going.next += 1;
            // It was written as JSON a moment ago.
            let input = serde_json::from_str(&going.portions[index].0).unwrap_or_default();
            let about = going.map_run.about(&role_arn, index as u64, input, self.now);
            let mut run = Run::new(about, self.begun);
            run.scope = going.map_run.scope.clone();
            going.running.insert(self.begun, index);
            self.runs.insert(self.begun, run);
            self.agenda.add(self.now, self.begun, Input::Started);
            self.begun += 1;
        }
        if going.running.is_empty() {
            self.end_map_run(id, |going| {
                let result = match going.map_run.writer {
                    Some(_) => {
                        let (bucket, prefix) = results::destination(&going.map_run)?;
                        results::exported(&going.map_run, &bucket, &prefix)
                    }
                    None => {
                        let mut whole = Results::default();
                        going.results.into_iter().flatten().try_for_each(|one| whole.add(one))?;
                        whole.whole(&going.map_run)
                    }
                };
                Ok(result)
            });
        }
    }

    /// An execution is over: if it is one of a Map run, that goes on.
    pub(super) fn finished(&mut self, who: Who) {
        let found = self.map_runs.going.iter_mut().find(|(_, one)| one.running.contains_key(&who));
        let Some((id, going)) = found else { return };
        let id = id.clone();
        let (Some(index), Some(run)) = (going.running.remove(&who), self.runs.remove(&who)) else {
            return;
        };
        going.items.add(run.status, going.portions[index].1);
        going.results[index] = Some(results::told(&going.map_run, &run, Some(self.now)));
        self.go_on(&id);
    }

    fn end_map_run(&mut self, id: &str, result: impl FnOnce(Going) -> Result<Value, Fault>) {
        if let Some(going) = self.drop_map_run(id) {
            let parent = going.parent;
            self.tell_parent(parent, id, result(going));
        }
    }

    fn tell_parent(&mut self, parent: Who, id: &str, result: Result<Value, Fault>) {
        let id = id.to_owned();
        self.agenda.add(self.now, parent, Input::MapRunEnded { id, result });
    }

    /// Drops a Map run and whatever is under way in it.
    pub(super) fn withdraw(&mut self, id: &str) {
        self.drop_map_run(id);
    }

    fn drop_map_run(&mut self, id: &str) -> Option<Going> {
        let going = self.map_runs.going.remove(id)?;
        self.map_runs.held -= going.held();
        self.map_runs.full = false;
        for who in going.running.keys() {
            self.runs.remove(who);
            let below = self.map_runs.going.iter().filter(|(_, below)| below.parent == *who);
            for id in below.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
                self.drop_map_run(&id);
            }
        }
        Some(going)
    }
}
