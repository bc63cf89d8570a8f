//! Publishing the routing table: what the deployment logs say, as one watched value.
//!
//! The reconciler has no input of its own: it reads the pointers once, checks each against its
//! folded log, and from then on follows the global event log. Waking it twice, or late, changes
//! nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use release::{
    AppName, DeploymentEntry, Environment, EnvironmentName, PrincipalId, RoutingTable, TenantId,
    invariants,
};
use store::{Store, StoreError};
use tokio::sync::watch;

use crate::catalog::{ENVIRONMENTS, PAGE, environment_key};
use crate::{Delivery, DeliveryError, TenantDelivery};

/// How long after a failure the log is read again.
const AGAIN: Duration = Duration::from_secs(1);

/// The events that tell of erasures: one when documents are masked, one when nothing holds them.
const TOLD: [&str; 2] = ["knowledge.erased", "knowledge.erasure_completed"];

/// How often a pointer that differs from its log is read.
const READS: usize = 8;

type Key = (TenantId, AppName, EnvironmentName);

/// Keeps a [`RoutingTable`] equal to the deployment logs.
#[derive(Debug)]
pub struct Reconciler {
    store: Store,
    position: u64,
    environments: BTreeMap<Key, Environment>,
    /// Whether a move was applied that the table does not show yet.
    unpublished: bool,
    table: watch::Sender<Arc<RoutingTable>>,
    /// The position up to which erasures are told of.
    erasures: watch::Sender<u64>,
}

impl Reconciler {
    /// Reads every pointer of `tenants` and checks that it equals its folded log.
    ///
    /// # Errors
    /// [`DeliveryError::PointerDiverged`] if one does not, or if the store cannot be read.
    pub async fn start(delivery: &Delivery, tenants: &[TenantId]) -> Result<Self, DeliveryError> {
        let store = delivery.store.clone();
        // Pointers may be newer than this position; moves already in them are skipped later.
        let position = *store.watch().borrow();
        let mut environments = BTreeMap::new();
        for tenant in tenants {
            let scoped = delivery.tenant(tenant, PrincipalId::system("reconciler"));
            for found in scoped.all::<Environment>(ENVIRONMENTS, "").await? {
                let environment = scoped.checked(found.value).await?;
                let key = (tenant.clone(), environment.app.clone(), environment.name.clone());
                environments.insert(key, environment);
            }
        }
        let (table, _) = watch::channel(Arc::default());
        let erasures = watch::Sender::new(position);
        let reconciler =
            Self { store, position, environments, unpublished: false, table, erasures };
        reconciler.publish();
        Ok(reconciler)
    }

    /// The routing table, now and whenever it changes.
    pub fn table(&self) -> watch::Receiver<Arc<RoutingTable>> {
        self.table.subscribe()
    }

    /// Changes whenever documents were erased: the position of the log that it was told at, or a later
    /// one. What is in memory may hold them.
    pub fn erasures(&self) -> watch::Receiver<u64> {
        self.erasures.subscribe()
    }

    /// Follows the event log until the store closes. A log that cannot be read for a while is read
    /// again: what is live may not lag behind for ever.
    pub async fn follow(mut self) {
        let mut changes = self.store.watch();
        loop {
            match self.catch_up().await {
                Ok(()) if changes.changed().await.is_ok() => {}
                Ok(()) | Err(DeliveryError::Store(StoreError::Closed)) => return,
                Err(error) => {
                    tracing::warn!(%error, "the event log cannot be followed; trying again");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// Applies every move logged since the last call and publishes the table if there was one.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn catch_up(&mut self) -> Result<(), DeliveryError> {
        let mut erased = false;
        loop {
            let events = self.store.system().log(self.position, PAGE).await?;
            let complete = events.len() < PAGE;
            for event in events {
                self.position = event.position.unwrap_or(self.position);
                erased |= TOLD.contains(&event.kind.as_str());
                let (Some(tenant), "deployment.moved") = (&event.tenant, event.kind.as_str())
                else {
                    continue;
                };
                match event.read() {
                    Ok(entry) => self.unpublished |= self.apply(tenant.clone(), &entry),
                    // The others' moves go on; only a newer version could have written it.
                    Err(error) => tracing::error!(
                        %error, position = self.position, stream = event.stream,
                        "a move cannot be read, and is not followed"
                    ),
                }
            }
            if complete {
                break;
            }
        }
        if self.unpublished {
            self.publish();
            self.unpublished = false;
        }
        if erased {
            self.erasures.send_replace(self.position);
        }
        Ok(())
    }

    fn apply(&mut self, tenant: TenantId, entry: &DeploymentEntry) -> bool {
        let (app, name) = (entry.app.clone(), entry.environment.clone());
        let environment = self
            .environments
            .entry((tenant, app.clone(), name.clone()))
            .or_insert_with(|| Environment::empty(app, name));
        let new = entry.generation > environment.generation;
        if new {
            environment.apply(entry);
        }
        new
    }

    fn publish(&self) {
        let mut table = RoutingTable::at(self.position);
        for ((tenant, ..), environment) in &self.environments {
            table.insert(tenant.clone(), environment.clone());
        }
        tracing::info!(position = self.position, "routing table published");
        self.table.send_replace(Arc::new(table));
    }
}

impl TenantDelivery {
    /// A pointer that equals its folded log. Another server may move it between the two reads, so
    /// one that differs is read again.
    async fn checked(&self, mut environment: Environment) -> Result<Environment, DeliveryError> {
        for _ in 0..READS {
            let log = self.deployments(&environment.app, &environment.name).await?;
            if invariants::pointer_equals_folded_log(&environment, &log) {
                return Ok(environment);
            }
            let key = environment_key(&environment.app, &environment.name);
            if let Some(again) = self.find::<Environment>(ENVIRONMENTS, &key).await? {
                environment = again.value;
            }
        }
        let (app, environment) = (environment.app, environment.name);
        Err(DeliveryError::PointerDiverged { app, environment })
    }
}
