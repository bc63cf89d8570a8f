//! What becomes of the results of a distributed Map: how its executions ended is counted, what they
//! came to is put into the form that the Map's `ResultWriter` says.

use release::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::definition::Transformation;
use crate::fault::{Fault, name};
use crate::interpreter::{MAX_PAYLOAD, MapRun, Run, Status};

/// How many ended in each way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// With an output.
    pub succeeded: u64,
    /// With an error.
    pub failed: u64,
    /// Too late.
    pub timed_out: u64,
    /// Stopped.
    pub aborted: u64,
}

impl Tally {
    /// So many more ended in that way.
    pub fn add(&mut self, status: Status, count: u64) {
        match status {
            Status::Running => {}
            Status::Succeeded => self.succeeded += count,
            Status::Failed => self.failed += count,
            Status::TimedOut => self.timed_out += count,
            Status::Aborted => self.aborted += count,
        }
    }

    /// How many ended without an output.
    pub fn lost(&self) -> u64 {
        self.failed + self.timed_out + self.aborted
    }

    /// How many ended.
    pub fn over(&self) -> u64 {
        self.succeeded + self.lost()
    }
}

/// An execution of a Map run as its exported results tell it.
pub fn described(map_run: &MapRun, run: &Run, stopped_at: Option<Timestamp>) -> Value {
    let about = &run.about;
    let redrivable = if run.status == Status::Succeeded { "NOT_REDRIVABLE" } else { "REDRIVABLE" };
    let mut told = Map::new();
    let mut tell = |name: &str, value: Value| told.insert(name.to_owned(), value);
    tell("ExecutionArn", about.execution_arn.clone().into());
    tell("Input", about.input.to_string().into());
    tell("InputDetails", json!({"Included": true}));
    tell("MapRunArn", map_run.arn.clone().into());
    tell("Name", about.name.clone().into());
    let outcome = run.outcome.as_ref();
    if let Some(output) = outcome.and_then(|outcome| outcome.output.as_ref()) {
        tell("Output", output.to_string().into());
        tell("OutputDetails", json!({"Included": true}));
    }
    if let Some(fault) = outcome.and_then(|outcome| outcome.fault.as_ref()) {
        tell("Error", json!(fault.error));
        tell("Cause", json!(fault.cause));
    }
    tell("RedriveCount", about.redrives.into());
    tell("RedriveStatus", redrivable.into());
    tell("StartDate", format!("{:.3}", about.started_at).into());
    tell("StateMachineArn", about.machine_arn.clone().into());
    tell("Status", run.status.as_str().into());
    tell("StopDate", json!(stopped_at.map(|at| format!("{at:.3}"))));
    told.into()
}

/// What one execution adds to the results. Of one that failed everything is told.
pub fn told(map_run: &MapRun, run: &Run, stopped_at: Option<Timestamp>) -> Vec<Value> {
    let output = run.outcome.as_ref().and_then(|outcome| outcome.output.clone());
    match (map_run.transformation, output) {
        (Transformation::Compact, Some(output)) => vec![output],
        (Transformation::Flatten, Some(Value::Array(items))) => items,
        (Transformation::Flatten, Some(output)) => vec![output],
        _ => vec![described(map_run, run, stopped_at)],
    }
}

/// The results of a Map that are not exported: as many as a payload holds.
#[derive(Debug, Default)]
pub struct Results {
    all: Vec<Value>,
    bytes: usize,
}

impl Results {
    /// Adds what one execution came to.
    ///
    /// # Errors
    /// If a payload cannot hold it any more.
    pub fn add(&mut self, results: Vec<Value>) -> Result<(), Fault> {
        self.bytes += results.iter().map(|result| result.to_string().len() + 1).sum::<usize>();
        if self.bytes > MAX_PAYLOAD {
            let cause = "The results of a distributed Map exceed the maximum number of bytes \
                         service limit; a ResultWriter may write them";
            return Err(Fault::new(name::DATA_LIMIT, cause));
        }
        self.all.extend(results);
        Ok(())
    }

    /// The result of the Map state.
    pub fn whole(self, map_run: &MapRun) -> Value {
        if !map_run.lines {
            return self.all.into();
        }
        let lines: Vec<_> = self.all.iter().map(Value::to_string).collect();
        lines.join("\n").into()
    }
}

/// The result of a Map state whose results are exported: where they are.
pub fn exported(map_run: &MapRun, bucket: &str, prefix: &str) -> Value {
    json!({
        "MapRunArn": map_run.arn,
        "ResultWriterDetails": {"Bucket": bucket, "Key": format!("{prefix}manifest.json")},
    })
}

/// The bucket that a Map's results go to, and the prefix of this run's objects.
///
/// # Errors
/// If the writer's arguments name none.
pub fn destination(map_run: &MapRun) -> Result<(String, String), Fault> {
    let text = |name: &str| map_run.writer.as_ref()?.get(name)?.as_str();
    let missing = || Fault::new(name::RESULT_WRITER, "the ResultWriter names no Bucket");
    let bucket = text("Bucket").ok_or_else(missing)?.to_owned();
    let prefix = text("Prefix").unwrap_or_default().trim_end_matches('/');
    let slash = if prefix.is_empty() { "" } else { "/" };
    Ok((bucket, format!("{prefix}{slash}{}/", map_run.id)))
}
