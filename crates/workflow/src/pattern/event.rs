//! An event as its leaves, and the search for leaves that match together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use serde_json::{Map, Value};

use super::Branch;
use super::matcher::Matcher;

/// Where a leaf is in arrays, outermost first: each array's number and the element's index.
type Places = Vec<(usize, usize)>;

/// The leaves of an event at the paths that a pattern asks about.
pub struct Flat<'a> {
    leaves: HashMap<&'a str, Vec<(Places, &'a Value)>>,
}

/// A walk over an event.
struct Walk<'a> {
    wanted: BTreeSet<&'a str>,
    leaves: HashMap<&'a str, Vec<(Places, &'a Value)>>,
    path: String,
    places: Places,
    arrays: usize,
}

impl<'a> Flat<'a> {
    /// The leaves of `event` at the `wanted` paths; none if it is no object.
    pub fn of(event: &'a Value, wanted: BTreeSet<&'a str>) -> Option<Self> {
        let (leaves, path) = (HashMap::new(), String::new());
        let mut walk = Walk { wanted, leaves, path, places: Vec::new(), arrays: 0 };
        walk.object(event.as_object()?);
        Some(Self { leaves: walk.leaves })
    }

    /// Whether each path of a branch has a leaf that is admitted, all of them from the same
    /// elements of the arrays they share. `known` are the steps that other branches have too.
    pub fn fits(&self, branch: &Branch, known: &mut HashMap<*const Matcher, Rc<Step>>) -> bool {
        let steps = branch.iter().map(|(path, all)| {
            let step = known.entry(all.as_ptr()).or_insert_with(|| Rc::new(self.step(path, all)));
            Some(Rc::clone(step)).filter(|step| !step.admitted.is_empty() || step.absent.is_some())
        });
        let Some(steps) = steps.collect::<Option<Vec<_>>>() else { return false };
        let mut later = vec![HashSet::new(); steps.len()];
        let mut arrays = HashSet::new();
        for (later, step) in later.iter_mut().zip(&steps).rev() {
            let places = step.admitted.iter().chain(step.absent.iter().flatten());
            arrays.extend(places.flatten().map(|(array, _)| *array));
            later.clone_from(&arrays);
        }
        let mut search = Search { steps: &steps, later, hopeless: HashSet::new() };
        search.from(0, &mut BTreeMap::new())
    }

    fn step(&self, path: &str, matchers: &[Matcher]) -> Step {
        let leaves = self.leaves.get(path).map_or(&[][..], Vec::as_slice);
        let admitted = |leaf: &Value| matchers.iter().any(|matcher| matcher.admits(leaf));
        let places = |all: &mut dyn Iterator<Item = &(Places, &Value)>| {
            let all: BTreeSet<Places> = all.map(|(places, _)| places.clone()).collect();
            all.into_iter().collect()
        };
        Step {
            admitted: places(&mut leaves.iter().filter(|(_, leaf)| admitted(leaf))),
            absent: matchers.contains(&Matcher::Exists(false)).then(|| places(&mut leaves.iter())),
        }
    }
}

impl<'a> Walk<'a> {
    fn object(&mut self, fields: &'a Map<String, Value>) {
        let above = self.path.len();
        for (name, value) in fields {
            if above > 0 {
                self.path.push('.');
            }
            self.path.push_str(name);
            self.value(value);
            self.path.truncate(above);
        }
    }

    fn value(&mut self, value: &'a Value) {
        match value {
            Value::Object(fields) => self.object(fields),
            Value::Array(items) => {
                let array = self.arrays;
                self.arrays += 1;
                for (index, item) in items.iter().enumerate() {
                    // Plain elements are alternatives of one field and bind nothing else.
                    let binds = item.is_object() || item.is_array();
                    if binds {
                        self.places.push((array, index));
                    }
                    self.value(item);
                    if binds {
                        self.places.pop();
                    }
                }
            }
            leaf => {
                if let Some(path) = self.wanted.get(self.path.as_str()) {
                    self.leaves.entry(path).or_default().push((self.places.clone(), leaf));
                }
            }
        }
    }
}

/// What one path of a branch allows.
pub struct Step {
    /// Where its admitted leaves are, sorted.
    admitted: Vec<Places>,
    /// If it may be absent: where all its leaves are, sorted.
    absent: Option<Vec<Places>>,
}

/// The elements chosen so far: of each array, its element's index.
type Chosen = BTreeMap<usize, usize>;

/// Goes through the paths in order, choosing elements and going back where that fails.
struct Search<'a> {
    steps: &'a [Rc<Step>],
    /// For each step, the arrays that it and those after it have leaves in.
    later: Vec<HashSet<usize>>,
    /// Choices, as far as later steps can see them, from which no step leads on.
    hopeless: HashSet<(usize, Vec<(usize, usize)>)>,
}

impl Search<'_> {
    fn from(&mut self, at: usize, chosen: &mut Chosen) -> bool {
        let steps = self.steps;
        let Some(step) = steps.get(at) else { return true };
        let seen = (at, self.seen(at, chosen));
        if self.hopeless.contains(&seen) {
            return false;
        }
        for places in consistent(&step.admitted, chosen) {
            let new: Vec<_> =
                places.iter().filter(|(array, _)| !chosen.contains_key(array)).copied().collect();
            chosen.extend(new.iter().copied());
            if self.from(at + 1, chosen) {
                return true;
            }
            new.iter().for_each(|(array, _)| {
                chosen.remove(array);
            });
            // Nothing was chosen, so the next leaf would lead to the very same.
            if new.is_empty() {
                break;
            }
        }
        let absent = step.absent.as_ref();
        if absent.is_some_and(|all| consistent(all, chosen).next().is_none())
            && self.from(at + 1, chosen)
        {
            return true;
        }
        self.hopeless.insert(seen);
        false
    }

    /// What the steps from `at` on can see of a choice.
    fn seen(&self, at: usize, chosen: &Chosen) -> Vec<(usize, usize)> {
        let seen = chosen.iter().filter(|(array, _)| self.later[at].contains(array));
        seen.map(|(array, index)| (*array, *index)).collect()
    }
}

/// Those of the sorted `all` that agree with what is chosen.
fn consistent<'a>(
    all: &'a [Places],
    chosen: &Chosen,
) -> impl Iterator<Item = &'a Places> + use<'a> {
    let mut range = all;
    let mut depth = 0;
    // Mostly all lead through one array whose element is chosen: go straight to it.
    while let (Some(first), Some(last)) = (range.first(), range.last())
        && let (Some((array, _)), Some((end, _))) = (first.get(depth), last.get(depth))
        && array == end
        && let Some(index) = chosen.get(array)
    {
        let place = Some((*array, *index));
        let start = range.partition_point(|places| places.get(depth).copied() < place);
        let end = range.partition_point(|places| places.get(depth).copied() <= place);
        range = &range[start..end];
        depth += 1;
    }
    let chosen = chosen.clone();
    range.iter().filter(move |places| {
        places.iter().all(|(array, index)| chosen.get(array).is_none_or(|of| of == index))
    })
}
