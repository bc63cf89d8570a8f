//! What pretended tasks report, as a test of a definition says it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Deserialize;
use serde_json::{Value, json};

use super::World;
use crate::fault::{Fault, name};
use crate::interpreter::{LIST, Report, TaskRequest};

/// Outcomes by state. Each attempt takes the next; the last one stays for all that follow.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mocks {
    /// What the tasks of each state report.
    #[serde(default)]
    states: BTreeMap<String, VecDeque<Outcome>>,
    /// The objects that readers find.
    #[serde(default)]
    objects: Vec<Object>,
    #[serde(skip)]
    missing: BTreeSet<String>,
}

/// One outcome of a task.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Outcome {
    /// It succeeds with this.
    Result(Value),
    /// It fails so.
    Error {
        /// The error's name.
        error: String,
        /// What happened.
        #[serde(default)]
        cause: String,
    },
    /// It never answers.
    Silent {},
}

/// An object in a bucket.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    bucket: String,
    key: String,
    body: String,
}

impl Mocks {
    /// The states whose tasks were to be done and are not among the mocks.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.missing.iter().map(String::as_str)
    }
}

impl World for Mocks {
    fn task(&mut self, request: &TaskRequest) -> Vec<Report> {
        let Some(outcomes) = self.states.get_mut(&request.state).filter(|all| !all.is_empty())
        else {
            self.missing.insert(request.state.clone());
            let why = format!("There is no mock for the state {}.", request.state);
            return vec![Report::Missing(why)];
        };
        let outcome = match outcomes.len() {
            1 => outcomes.front().cloned(),
            _ => outcomes.pop_front(),
        };
        let started = Report::Started { worker: None };
        match outcome {
            Some(Outcome::Result(result)) => vec![started, Report::Succeeded(result)],
            Some(Outcome::Error { error, cause }) => {
                vec![started, Report::Failed(Fault::new(&error, cause))]
            }
            Some(Outcome::Silent {}) | None => vec![started],
        }
    }

    fn read(&mut self, resource: &str, arguments: &Value) -> Result<Vec<u8>, Fault> {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str);
        let is = |name: &str, own: &str| text(name) == Some(own);
        if resource == LIST {
            let all = self.objects.iter().filter(|o| is("Bucket", &o.bucket));
            let wanted = all.filter(|o| {
                o.key.starts_with(text("Prefix").unwrap_or_default())
                    && text("StartAfter").is_none_or(|after| o.key.as_str() > after)
            });
            let told = wanted.map(|o| (&o.key, json!({"Key": o.key, "Size": o.body.len()})));
            let told: BTreeMap<_, _> = told.collect();
            return Ok(Value::Array(told.into_values().collect()).to_string().into_bytes());
        }
        let found = self.objects.iter().find(|o| is("Bucket", &o.bucket) && is("Key", &o.key));
        let missing = || Fault::new(name::ITEM_READER, "The specified key does not exist.");
        found.map(|object| object.body.clone().into_bytes()).ok_or_else(missing)
    }
}
