//! The end of a Map run: the results of its executions, in the order of its items, become the
//! state's result or objects in a bucket.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::plan::PAGE;
use super::{ExecutionRecord, MapRunRecord, TenantId};
use crate::engine::objects::ObjectName;
use crate::engine::{Engine, EngineError};
use crate::fault::{Fault, name};
use crate::interpreter::{Portion, Status};
use crate::results::{self, Results};

/// An object is written when it has grown to so many bytes.
const OBJECT: usize = 16 << 20;
/// The kinds of objects that results are written to.
const KINDS: [&str; 3] = ["FAILED", "PENDING", "SUCCEEDED"];

impl Engine {
    /// The result of a Map state whose executions are over. The inner error is why it fails.
    pub(super) async fn map_result(
        &self,
        tenant: &TenantId,
        record: &MapRunRecord,
    ) -> Result<Result<Value, Fault>, EngineError> {
        let mut results = Results::default();
        let mut from = 0;
        while from < record.total {
            let page = self.executions_from(tenant, record, from).await?;
            let Some(last) = page.last().and_then(|last| last.place.as_ref()) else { break };
            from = last.index + 1;
            for one in &page {
                let told = results::told(&record.map_run, &one.run, one.stopped_at);
                if let Err(fault) = results.add(told) {
                    return Ok(Err(fault));
                }
            }
        }
        Ok(Ok(results.whole(&record.map_run)))
    }

    /// Writes the results of a Map run to its bucket; what the state's result is, and how many
    /// executions' results are there. Written again, the objects are the same.
    pub(super) async fn export(
        &self,
        tenant: &TenantId,
        record: &MapRunRecord,
    ) -> Result<Result<(Value, u64), Fault>, EngineError> {
        let (bucket, prefix) = match results::destination(&record.map_run) {
            Ok(destination) => destination,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut export = Export {
            engine: self,
            tenant,
            record,
            bucket,
            prefix,
            open: BTreeMap::new(),
            page: None,
            files: BTreeMap::new(),
        };
        let written = export.all().await?;
        let manifest = match written {
            Ok(count) => export.manifest().await.map(|()| count),
            Err(fault) => Err(fault),
        };
        let place = results::exported(&record.map_run, &export.bucket, &export.prefix);
        Ok(manifest.map(|count| (place, count)))
    }
}

struct Export<'a> {
    engine: &'a Engine,
    tenant: &'a TenantId,
    record: &'a MapRunRecord,
    bucket: String,
    prefix: String,
    /// What is not written yet, by kind.
    open: BTreeMap<&'static str, Vec<u8>>,
    /// The last page of portions that was looked at.
    page: Option<(u64, Vec<Portion>)>,
    /// What is written, by kind: key and size.
    files: BTreeMap<&'static str, Vec<Value>>,
}

impl Export<'_> {
    async fn all(&mut self) -> Result<Result<u64, Fault>, EngineError> {
        let (mut from, mut count) = (0, 0);
        while from < self.record.total {
            let page = self.engine.executions_from(self.tenant, self.record, from).await?;
            let end = page.last().and_then(|last| last.place.as_ref());
            let end = end.map_or(self.record.total, |place| place.index + 1);
            let by_place = |one: ExecutionRecord| Some((one.place.as_ref()?.index, one));
            let mut begun: BTreeMap<u64, ExecutionRecord> =
                page.into_iter().filter_map(by_place).collect();
            for index in from..end {
                let (kind, results) = match begun.remove(&index) {
                    Some(one) => {
                        count += 1;
                        let succeeded = one.run.status == Status::Succeeded;
                        let kind = if succeeded { "SUCCEEDED" } else { "FAILED" };
                        (kind, results::told(&self.record.map_run, &one.run, one.stopped_at))
                    }
                    None => ("PENDING", vec![self.pending(index).await?]),
                };
                for result in results {
                    if let Err(fault) = self.add(kind, &result).await {
                        return Ok(Err(fault));
                    }
                }
            }
            from = end;
        }
        for kind in KINDS {
            if let Err(fault) = self.write(kind).await {
                return Ok(Err(fault));
            }
        }
        Ok(Ok(count))
    }

    /// An execution that never began.
    async fn pending(&mut self, index: u64) -> Result<Value, EngineError> {
        let map_run = &self.record.map_run;
        if self.page.as_ref().is_none_or(|(page, _)| *page != index / PAGE) {
            let page = self.engine.portions(self.tenant, &map_run.id, index / PAGE).await?;
            self.page = Some((index / PAGE, page));
        }
        let portion = self.page.as_ref().and_then(|(_, page)| page.get((index % PAGE) as usize));
        let input = portion.map(|portion| portion.input.to_string());
        Ok(json!({
            "Input": input,
            "InputDetails": {"Included": true},
            "MapRunArn": map_run.arn,
            "Name": map_run.name(index),
            "Status": "PENDING",
        }))
    }

    async fn add(&mut self, kind: &'static str, result: &Value) -> Result<(), Fault> {
        let open = self.open.entry(kind).or_default();
        if !open.is_empty() {
            open.push(if self.record.map_run.lines { b'\n' } else { b',' });
        }
        open.extend(result.to_string().into_bytes());
        if open.len() > OBJECT { self.write(kind).await } else { Ok(()) }
    }

    /// Writes what there is of a kind.
    async fn write(&mut self, kind: &'static str) -> Result<(), Fault> {
        let Some(open) = self.open.remove(kind).filter(|open| !open.is_empty()) else {
            return Ok(());
        };
        let (whole, ending) = if self.record.map_run.lines {
            (open, "jsonl")
        } else {
            ([b"[", open.as_slice(), b"]"].concat(), "json")
        };
        let number = self.files.get(kind).map_or(0, Vec::len);
        let key = format!("{}{kind}_{number}.{ending}", self.prefix);
        let size = whole.len();
        self.put(&key, whole).await?;
        self.files.entry(kind).or_default().push(json!({"Key": key, "Size": size}));
        Ok(())
    }

    async fn manifest(&self) -> Result<(), Fault> {
        let files = KINDS.map(|kind| {
            let files = self.files.get(kind).cloned().unwrap_or_default();
            (kind.to_owned(), Value::from(files))
        });
        let manifest = json!({
            "DestinationBucket": self.bucket,
            "MapRunArn": self.record.map_run.arn,
            "ResultFiles": serde_json::Map::from_iter(files),
        });
        self.put(&format!("{}manifest.json", self.prefix), manifest.to_string().into_bytes()).await
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), Fault> {
        let named = |fault: Fault| Fault::new(name::RESULT_WRITER, fault.cause.unwrap_or_default());
        let object = ObjectName { tenant: self.tenant, bucket: &self.bucket, key };
        let objects = self.engine.objects().map_err(named)?;
        objects.put(object, bytes.into()).await.map_err(named)
    }
}
