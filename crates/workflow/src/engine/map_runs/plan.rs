//! Planning a Map run: its items are read, selected and put together, and what each execution is
//! given is written down, before the first one starts.

use serde_json::{Value, json};
use store::{Collection, Expect, Transaction};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::{MapRunRecord, TenantId};
use crate::engine::objects::{ObjectInfo, ObjectName};
use crate::engine::{Engine, EngineError, ExecutionRecord};
use crate::fault::{Fault, name};
use crate::interpreter::{LIST, Portion, portions};

/// What the executions of Map runs are given, in pages that are written once.
pub(super) const PORTIONS: Collection = Collection("workflow.map_portions");
/// How many portions a page holds.
pub const PAGE: u64 = 64;
/// How many pages are written together.
const TOGETHER: usize = 16;
/// The most bytes that are gathered before they are written.
const GATHERED: usize = 4 << 20;
/// The most bytes of an object that items are read from.
const MAX_OBJECT: u64 = 256 << 20;

type Page = Vec<Portion>;

fn page_key(map_run: &str, page: u64) -> String {
    format!("{map_run}/{page:06}")
}

/// Gathers portions into pages, and hands them over some at a time.
struct Pages {
    page: Page,
    pages: Vec<Page>,
    bytes: usize,
    written: mpsc::Sender<Vec<Page>>,
}

impl Pages {
    fn add(&mut self, portion: Portion) -> Result<(), Fault> {
        self.bytes += portion.input.to_string().len();
        self.page.push(portion);
        if self.page.len() as u64 == PAGE {
            self.pages.push(std::mem::take(&mut self.page));
        }
        if self.pages.len() == TOGETHER || (self.bytes > GATHERED && !self.pages.is_empty()) {
            return self.hand_over();
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), Fault> {
        self.bytes = 0;
        let given_up = |_| Fault::new(name::RUNTIME, "Planning was given up.");
        self.written.blocking_send(std::mem::take(&mut self.pages)).map_err(given_up)
    }
}

impl Engine {
    /// Writes down what each execution of a Map run is given; how many there are, and for how many
    /// items. The inner error is why the run fails.
    pub(super) async fn plan(
        &self,
        tenant: &TenantId,
        record: &MapRunRecord,
        parent: ExecutionRecord,
    ) -> Result<Result<(u64, u64), Fault>, EngineError> {
        let machine = self.machine(tenant, record.origin.definition).await?;
        let (written, mut pages) = mpsc::channel(2);
        let (engine, handle) = (self.clone(), Handle::current());
        let (id, now) = (record.map_run.id.clone(), self.shared.clock.now());
        let reading_tenant = tenant.clone();
        // Reading and selecting a million items takes long and never waits.
        let planning = tokio::task::spawn_blocking(move || {
            let mut fetch = |resource: &str, arguments: &Value| {
                handle.block_on(engine.fetch(&reading_tenant, resource, arguments))
            };
            let mut all = Pages { page: Vec::new(), pages: Vec::new(), bytes: 0, written };
            let run = (&parent.run, id.as_str());
            portions(&machine, run, now, &mut fetch, &mut |portion| all.add(portion))?;
            let last = std::mem::take(&mut all.page);
            all.pages.push(last);
            all.hand_over()
        });
        let (mut count, mut items, mut at) = (0, 0, 0);
        while let Some(some) = pages.recv().await {
            let mut transaction = Transaction::new(record.origin.actor.clone(), now);
            for page in some {
                count += page.len() as u64;
                items += page.iter().map(|portion| portion.items).sum::<u64>();
                let key = page_key(&record.map_run.id, at);
                transaction = transaction.put(PORTIONS, &key, &page, Expect::Any)?;
                at += 1;
            }
            self.shared.store.tenant(tenant).commit(transaction).await?;
        }
        let planned = planning.await.unwrap_or_else(|_| {
            Err(Fault::new(name::RUNTIME, "Planning this Map run was cut off."))
        });
        Ok(planned.map(|()| (count, items)))
    }

    /// Page number `page` of what executions of a Map run are given.
    pub(super) async fn portions(
        &self,
        tenant: &TenantId,
        map_run: &str,
        page: u64,
    ) -> Result<Vec<Portion>, EngineError> {
        let key = page_key(map_run, page);
        let row = self.shared.store.tenant(tenant).get(PORTIONS, &key).await?;
        let row = row.ok_or_else(|| EngineError::UnknownMapRun(map_run.to_owned()))?;
        Ok(row.read()?)
    }

    /// Forgets what executions of a Map run were given: they all have it themselves.
    pub(super) async fn forget_portions(
        &self,
        tenant: &TenantId,
        record: &MapRunRecord,
    ) -> Result<(), EngineError> {
        let pages = record.total / PAGE + 1;
        for first in (0..pages).step_by(super::LOOKED_AT) {
            let now = self.shared.clock.now();
            let mut transaction = Transaction::new(record.origin.actor.clone(), now);
            for page in first..pages.min(first + super::LOOKED_AT as u64) {
                let key = page_key(&record.map_run.id, page);
                transaction = transaction.delete(PORTIONS, &key, Expect::Any);
            }
            self.shared.store.tenant(tenant).commit(transaction).await?;
        }
        Ok(())
    }

    /// Reads an object, or a page of a listing, for a Map's reader.
    async fn fetch(
        &self,
        tenant: &TenantId,
        resource: &str,
        arguments: &Value,
    ) -> Result<Vec<u8>, Fault> {
        let failed = |cause: String| Fault::new(name::ITEM_READER, cause);
        let text = |name: &str| arguments.get(name).and_then(Value::as_str);
        let missing = |name: &str| failed(format!("the ItemReader names no {name}"));
        let bucket = text("Bucket").ok_or_else(|| missing("Bucket"))?;
        let named = |fault: Fault| failed(fault.cause.unwrap_or_default());
        let objects = self.objects().map_err(named)?;
        if resource == LIST {
            let key = text("Prefix").unwrap_or_default();
            let after = text("StartAfter").unwrap_or_default();
            let all = objects.list(ObjectName { tenant, bucket, key }, after).await;
            let told = all.map_err(named)?.iter().map(listed).collect();
            return Ok(Value::Array(told).to_string().into_bytes());
        }
        let key = text("Key").ok_or_else(|| missing("Key"))?;
        let body = objects.get(ObjectName { tenant, bucket, key }, MAX_OBJECT).await;
        Ok(Vec::from(body.map_err(named)?))
    }
}

/// An object as a listing's item.
fn listed(object: &ObjectInfo) -> Value {
    json!({
        "Etag": object.etag,
        "Key": object.key,
        "LastModified": object.modified.as_second(),
        "Size": object.size,
        "StorageClass": "STANDARD",
    })
}
