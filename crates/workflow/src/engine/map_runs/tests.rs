use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use release::{PrincipalId, TenantId, Timestamp};
use serde_json::{Value, json};

use store::{Expect, List};

use super::MapRunUpdate;
use crate::engine::tests::storage::{Storage, on_both_stores};
use crate::engine::tests::{Fixture, HANG, WORK, executions, key};
use crate::engine::{EXECUTIONS, ExecutionRecord, ObjectInfo, ObjectName, Objects};
use crate::fault::Fault;
use crate::{Report, Status};

/// A bucket in memory.
#[derive(Debug, Clone, Default)]
struct Bucket(Arc<Mutex<BTreeMap<String, Bytes>>>);

impl Bucket {
    fn json(&self, key: &str) -> Value {
        serde_json::from_slice(&self.0.lock().unwrap()[key]).unwrap()
    }

    fn with(self, key: &str, body: String) -> Self {
        self.0.lock().unwrap().insert(key.to_owned(), body.into());
        self
    }
}

#[async_trait]
impl Objects for Bucket {
    async fn get(&self, name: ObjectName<'_>, _: u64) -> Result<Bytes, Fault> {
        let found = self.0.lock().unwrap().get(name.key).cloned();
        found.ok_or_else(|| Fault::new("S3.NoSuchKey", "The specified key does not exist."))
    }

    async fn put(&self, name: ObjectName<'_>, bytes: Bytes) -> Result<(), Fault> {
        self.0.lock().unwrap().insert(name.key.to_owned(), bytes);
        Ok(())
    }

    async fn list(&self, name: ObjectName<'_>, after: &str) -> Result<Vec<ObjectInfo>, Fault> {
        let all = self.0.lock().unwrap();
        let wanted =
            all.iter().filter(|(key, _)| key.starts_with(name.key) && *key.as_str() > *after);
        let told = wanted.take(1_000).map(|(key, body)| ObjectInfo {
            key: key.clone(),
            size: body.len() as u64,
            modified: Timestamp::UNIX_EPOCH,
            etag: "tag".to_owned(),
        });
        Ok(told.collect())
    }
}

/// A workflow `flow` whose only state is a distributed Map.
async fn define(fixture: &Fixture, fields: Value, processor: Value) {
    let mut map = json!({"Type": "Map", "End": true, "Label": "each",
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "One", "States": {"One": processor}}});
    map.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let definition = json!({"StartAt": "Each", "States": {"Each": map}}).to_string();
    fixture.tenant().define("flow", &definition).await.unwrap();
}

fn pass() -> Value {
    json!({"Type": "Pass", "End": true})
}

fn task(resource: &str) -> Value {
    json!({"Type": "Task", "Resource": resource, "End": true})
}

async fn ended(fixture: &Fixture) -> ExecutionRecord {
    let tenant = fixture.tenant();
    tokio::time::timeout(Duration::from_secs(120), tenant.ended(&key("one")))
        .await
        .unwrap()
        .unwrap()
}

fn output(record: &ExecutionRecord) -> &Value {
    let outcome = record.run.outcome.as_ref().unwrap();
    outcome.output.as_ref().unwrap_or_else(|| panic!("{:?}", outcome.fault))
}

fn error(record: &ExecutionRecord) -> String {
    let fault = record.run.outcome.clone().unwrap().fault.unwrap();
    format!("{}: {}", fault.error.unwrap_or_default(), fault.cause.unwrap_or_default())
}

/// Waits until `holds` of the only Map run of the execution `one`.
async fn until(
    fixture: &Fixture,
    holds: impl Fn(&super::MapRunRecord) -> bool,
) -> super::MapRunRecord {
    let look = async {
        loop {
            let runs = fixture.tenant().map_runs(&key("one")).await.unwrap();
            if let Some(run) = runs.into_iter().next().filter(&holds) {
                return run;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.unwrap()
}

#[tokio::test]
async fn ten_thousand_items_are_executions_of_their_own_and_keep_their_order() {
    let fixture = Fixture::new(0).await;
    define(&fixture, json!({}), pass()).await;
    let items: Vec<u64> = (0..10_000).collect();
    fixture.tenant().start("flow", Some("one"), json!(items)).await.unwrap();
    let record = ended(&fixture).await;
    assert_eq!(output(&record), &json!(items));
    // The parent knows nothing of single items.
    assert_eq!(fixture.tenant().history(&key("one")).await.unwrap().len(), 8);
    let run = until(&fixture, |run| run.stopped_at.is_some()).await;
    assert_eq!((run.total, run.ended.succeeded, run.running), (10_000, 10_000, 0));
    let tenant = fixture.tenant();
    let (some, more) = tenant.map_run_executions(&run.map_run.id, None, 3).await.unwrap();
    assert_eq!(some[2].run.about.input, 2);
    let (next, _) = tenant.map_run_executions(&run.map_run.id, more.as_deref(), 1).await.unwrap();
    assert_eq!(next[0].run.about.input, 3);
    let history = tenant.history(&some[0].key).await.unwrap();
    assert_eq!(history.last().unwrap().kind, "ExecutionSucceeded");
    assert_eq!(executions(&tenant, "flow").await.len(), 1);
    // The log tells of the parent alone.
    let log = tenant.store().log(0, 100).await.unwrap();
    assert_eq!(log.iter().filter(|event| event.kind == "execution.started").count(), 1);
}

#[tokio::test]
async fn an_empty_map_ends_at_once() {
    let fixture = Fixture::new(0).await;
    define(&fixture, json!({}), pass()).await;
    fixture.tenant().start("flow", Some("one"), json!([])).await.unwrap();
    assert_eq!(output(&ended(&fixture).await), &json!([]));
}

#[tokio::test]
async fn failures_within_what_is_tolerated_are_results_and_beyond_it_end_the_run() {
    for (tolerated, status) in [(2, Status::Succeeded), (1, Status::Failed)] {
        let fixture = Fixture::new(2).await;
        let fields = json!({"ToleratedFailureCount": tolerated, "MaxConcurrency": 1});
        define(&fixture, fields, task(WORK)).await;
        fixture.tenant().start("flow", Some("one"), json!([1, 2, 3])).await.unwrap();
        let record = ended(&fixture).await;
        assert_eq!(record.run.status, status);
        if status == Status::Succeeded {
            assert_eq!(output(&record)[1]["Status"], "FAILED");
            assert_eq!(output(&record)[2], json!({"did": 3}));
        } else {
            assert!(error(&record).starts_with("States.ExceedToleratedFailureThreshold"));
            let run = until(&fixture, |run| run.stopped_at.is_some()).await;
            assert_eq!(run.counts()["executionCounts"]["pending"], 1);
        }
    }
}

on_both_stores! {
    a_redrive_takes_up_what_failed_and_what_never_began,
    stopping_the_parent_stops_the_run_and_its_executions,
    a_run_goes_on_after_a_crash_and_nothing_is_begun_twice,
    a_run_is_kept_as_long_as_its_parent_and_then_deleted_whole,
}

async fn a_redrive_takes_up_what_failed_and_what_never_began(on: &Arc<Storage>) {
    let fixture = Fixture::on(on, 1).await;
    define(&fixture, json!({"MaxConcurrency": 1}), task(WORK)).await;
    fixture.tenant().start("flow", Some("one"), json!([1, 2, 3])).await.unwrap();
    assert_eq!(ended(&fixture).await.run.status, Status::Failed);
    let before = until(&fixture, |run| run.stopped_at.is_some()).await;
    fixture.tenant().redrive(&key("one")).await.unwrap();
    let record = ended(&fixture).await;
    assert_eq!(output(&record), &json!([{"did": 1}, {"did": 2}, {"did": 3}]));
    let run = until(&fixture, |run| run.stopped_at.is_some()).await;
    assert_eq!((run.map_run.arn.as_str(), run.redrives), (before.map_run.arn.as_str(), 1));
    let (all, _) = fixture.tenant().map_run_executions(&run.map_run.id, None, 9).await.unwrap();
    let redrives: Vec<_> = all.iter().map(|one| one.run.about.redrives).collect();
    assert_eq!(redrives, [1, 0, 0]);
    assert!(fixture.tenant().redrive(&all[0].key).await.is_err());
    let history = fixture.tenant().history(&key("one")).await.unwrap();
    assert!(history.iter().any(|event| event.kind == "MapRunRedriven"));
}

async fn stopping_the_parent_stops_the_run_and_its_executions(on: &Arc<Storage>) {
    let fixture = Fixture::on(on, 0).await;
    define(&fixture, json!({"MaxConcurrency": 5}), task(HANG)).await;
    fixture.tenant().start("flow", Some("one"), json!([1, 2, 3, 4, 5, 6, 7])).await.unwrap();
    until(&fixture, |run| run.running == 5).await;
    fixture.tenant().stop(&key("one"), Fault::default()).await.unwrap();
    let run = until(&fixture, |run| run.stopped_at.is_some()).await;
    assert_eq!((run.status, run.ended.aborted), (Status::Aborted, 5));
    let (all, _) = fixture.tenant().map_run_executions(&run.map_run.id, None, 9).await.unwrap();
    assert!(all.len() == 5 && all.iter().all(|one| one.run.status == Status::Aborted));
}

async fn a_run_goes_on_after_a_crash_and_nothing_is_begun_twice(on: &Arc<Storage>) {
    let mut fixture = Fixture::on(on, 0).await;
    let activity = "arn:aws:states:local:000000000000:activity:hands";
    fixture.tenant().create_activity("hands").await.unwrap();
    define(&fixture, json!({"MaxConcurrency": 4}), task(activity)).await;
    let items: Vec<u64> = (0..12).collect();
    fixture.tenant().start("flow", Some("one"), json!(items)).await.unwrap();
    let mut done = Vec::new();
    for round in 0..12 {
        if round % 3 == 1 {
            fixture.restart().await;
        }
        let given = fixture.tenant().take_task("hands", None, Duration::from_secs(60)).await;
        let given = given.unwrap().unwrap();
        done.push(given.input.as_u64().unwrap());
        fixture.tenant().report(&given.token, Report::Succeeded(given.input)).await.unwrap();
    }
    assert_eq!(output(&ended(&fixture).await), &json!(items));
    done.sort_unstable();
    assert_eq!(done, items);
}

#[tokio::test]
async fn bounds_of_a_run_can_be_changed_while_it_goes_on() {
    let fixture = Fixture::new(0).await;
    define(&fixture, json!({"MaxConcurrency": 1}), task(HANG)).await;
    fixture.tenant().start("flow", Some("one"), json!([1, 2, 3])).await.unwrap();
    let run = until(&fixture, |run| run.running == 1).await;
    let update = MapRunUpdate { max_concurrency: Some(3), ..MapRunUpdate::default() };
    fixture.tenant().update_map_run(&run.map_run.id, update).await.unwrap();
    until(&fixture, |run| run.running == 3).await;
    // Another tenant knows nothing of it.
    let engine = fixture.engine.as_ref().unwrap();
    let other: TenantId = "other".parse().unwrap();
    let other = engine.tenant(&other, PrincipalId::user("eve").unwrap());
    assert!(other.map_run(&run.map_run.id).await.is_err());
}

#[tokio::test]
async fn items_are_read_from_a_bucket_and_results_written_to_it() {
    let fixture = Fixture::new(1).await;
    let lines: Vec<_> = (0..5).map(|n| json!({"n": n}).to_string()).collect();
    let bucket = Bucket::default().with("in.jsonl", lines.join("\n"));
    fixture.engine.as_ref().unwrap().offer(bucket.clone());
    let fields = json!({"MaxConcurrency": 1, "ToleratedFailureCount": 1,
        "ItemReader": {"Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSONL", "MaxItems": 4},
            "Parameters": {"Bucket": "b", "Key.$": "$.key"}},
        "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject",
            "Parameters": {"Bucket": "b", "Prefix": "out"}}});
    define(&fixture, fields, task(WORK)).await;
    fixture.tenant().start("flow", Some("one"), json!({"key": "in.jsonl"})).await.unwrap();
    let record = ended(&fixture).await;
    let key = output(&record)["ResultWriterDetails"]["Key"].as_str().unwrap().to_owned();
    let manifest = bucket.json(&key);
    assert_eq!(manifest["ResultFiles"]["PENDING"], json!([]));
    let file = |kind: &str| bucket.json(manifest["ResultFiles"][kind][0]["Key"].as_str().unwrap());
    assert_eq!(file("FAILED")[0]["Input"], "{\"n\":0}");
    let succeeded = file("SUCCEEDED");
    assert_eq!(succeeded.as_array().unwrap().len(), 3);
    assert_eq!(succeeded[0]["Output"], "{\"did\":{\"n\":1}}");
    let run = until(&fixture, |run| run.stopped_at.is_some()).await;
    assert_eq!(run.results_written, 4);
}

#[tokio::test]
async fn what_cannot_be_read_fails_the_run_with_its_cause_and_a_redrive_reads_again() {
    let fixture = Fixture::new(0).await;
    let fields = json!({"ItemReader": {"Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSON"}, "Parameters": {"Bucket": "b", "Key": "in.json"}}});
    define(&fixture, fields, pass()).await;
    fixture.tenant().start("flow", Some("one"), json!({})).await.unwrap();
    let told = error(&ended(&fixture).await);
    assert_eq!(told, "States.ItemReaderFailed: no bucket is offered here");
    let bucket = Bucket::default();
    fixture.engine.as_ref().unwrap().offer(bucket.clone());
    until(&fixture, |run| run.stopped_at.is_some()).await;
    fixture.tenant().redrive(&key("one")).await.unwrap();
    let told = error(&ended(&fixture).await);
    assert_eq!(told, "States.ItemReaderFailed: The specified key does not exist.");
    let large = json!(["x".repeat(300_000)]).to_string();
    for (body, cause) in [
        ("[1, ".to_owned(), "States.ItemReaderFailed: the object is not JSON"),
        (large, "States.DataLimitExceeded: The state/task 'Each'"),
    ] {
        bucket.clone().with("in.json", body);
        until(&fixture, |run| run.stopped_at.is_some()).await;
        fixture.tenant().redrive(&key("one")).await.unwrap();
        let told = error(&ended(&fixture).await);
        assert!(told.starts_with(cause), "{told}");
    }
    bucket.with("in.json", "[1, 2]".to_owned());
    until(&fixture, |run| run.stopped_at.is_some()).await;
    fixture.tenant().redrive(&key("one")).await.unwrap();
    assert_eq!(output(&ended(&fixture).await), &json!([1, 2]));
}

#[tokio::test]
async fn a_map_within_a_map_is_a_run_of_an_item() {
    let fixture = Fixture::new(0).await;
    let inner = json!({"Type": "Map", "End": true, "Label": "inner",
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Two", "States": {"Two": {"Type": "Pass", "End": true,
                "Parameters": {"v.$": "$", "id.$": "$$.Execution.Id"}}}}});
    define(&fixture, json!({}), inner).await;
    fixture.tenant().start("flow", Some("one"), json!([[1, 2], [3]])).await.unwrap();
    let record = ended(&fixture).await;
    let output = output(&record);
    assert_eq!((&output[0][1]["v"], &output[1][0]["v"]), (&json!(2), &json!(3)));
    let id = output[1][0]["id"].as_str().unwrap();
    assert!(id.contains(":execution:flow/inner:"), "{id}");
}

async fn a_run_is_kept_as_long_as_its_parent_and_then_deleted_whole(on: &Arc<Storage>) {
    const DAY: Duration = Duration::from_secs(86_400);
    let fixture = Fixture::on(on, 0).await;
    let tenant = fixture.tenant();
    tenant.create_activity("hands").await.unwrap();
    let activity = "arn:aws:states:local:000000000000:activity:hands";
    let inner = json!({"Type": "Map", "End": true, "Label": "inner", "ToleratedFailureCount": 1,
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Do", "States": {"Do": task(activity)}}});
    define(&fixture, json!({}), inner).await;
    tenant.start("flow", Some("one"), json!([[1, 2], [3]])).await.unwrap();
    let engine = fixture.engine.as_ref().unwrap();
    let forget = async || engine.forget_ended(&[TenantId::DEFAULT], 30).await;
    let count = async |collection| {
        let list = List { prefix: String::new(), index: None, after: None, limit: 100 };
        tenant.store().list(collection, list).await.unwrap().len()
    };
    // One is over for long while the others wait.
    for days in [60, 0, 0] {
        let given = tenant.take_task("hands", None, Duration::from_secs(60)).await;
        let given = given.unwrap().unwrap();
        let report = match given.input.as_u64() {
            Some(1) => Report::Failed(Fault::new("Bad", "as told")),
            _ => Report::Succeeded(given.input),
        };
        tenant.report(&given.token, report).await.unwrap();
        fixture.clock.advance(days * DAY);
        assert_eq!(forget().await, 0);
    }
    ended(&fixture).await;
    until(&fixture, |run| run.stopped_at.is_some()).await;
    assert_eq!((count(EXECUTIONS).await, count(super::MAP_RUNS).await), (6, 3));
    // What somebody began to write and did not end is left over too.
    let run = until(&fixture, |_| true).await.map_run.id;
    let left = format!("{run}/000007");
    let left = tenant.transaction().put(super::plan::PORTIONS, &left, &json!([]), Expect::Absent);
    tenant.store().commit(left.unwrap()).await.unwrap();
    fixture.clock.advance(30 * DAY);
    assert_eq!(forget().await, 0);
    fixture.clock.advance(DAY);
    let mut deleted = 0;
    while count(super::MAP_RUNS).await > 0 {
        deleted += forget().await;
    }
    assert_eq!(deleted, 6);
    for collection in [EXECUTIONS, super::plan::PORTIONS] {
        assert_eq!(count(collection).await, 0, "{collection:?}");
    }
    let log = tenant.store().log(0, 100).await.unwrap();
    let told = log.iter().filter(|event| event.kind == "executions.deleted");
    assert_eq!(told.count(), 1, "the log tells of the one that began it");
}

/// Measured, not run with the others: a million small items, read and counted.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn a_million_items_take_a_bounded_time() {
    let fixture = Fixture::new(0).await;
    let count: u64 = std::env::var("ITEMS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let lines: Vec<_> = (0..count).map(|n| n.to_string()).collect();
    let bucket = Bucket::default().with("in", lines.join("\n"));
    fixture.engine.as_ref().unwrap().offer(bucket.clone());
    let fields = json!({
        "ItemReader": {"Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSONL"}, "Parameters": {"Bucket": "b", "Key": "in"}},
        "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject",
            "WriterConfig": {"Transformation": "COMPACT", "OutputType": "JSONL"},
            "Parameters": {"Bucket": "b", "Prefix": "out"}}});
    define(&fixture, fields, pass()).await;
    let begun = std::time::Instant::now();
    fixture.tenant().start("flow", Some("one"), json!({})).await.unwrap();
    let record = fixture.tenant().ended(&key("one")).await.unwrap();
    println!("{count} items in {:?}: {}", begun.elapsed(), output(&record));
}
