//! Alarms: evaluated by whoever holds the lease, and told by executions, so that what is told is
//! durable, tried again and seen like all other work.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use monitoring::alarm::email::{Mail, MailError, Relay};
use monitoring::alarm::engine::{Alarms, GRACE};
use monitoring::alarm::message;
use monitoring::alarm::records::Notification;
use monitoring::alarm::spec::ActionFile;
use release::{PrincipalId, TenantId};
use serde_json::{Value, json};
use workflow::Fault;
use workflow::engine::{Engine, EngineError, Task, TaskCall};

use crate::connections::Connections;
use crate::holder::Holder;

/// How often it is looked at what is due: as often as the shortest period ends.
const LOOK: i64 = 10;
/// What whoever evaluates alarms holds a lease on.
const LEASE: &str = "alarms";
/// The task that tells somebody.
const NOTIFY: &str = "alarm.notify";

/// Tells somebody of an alarm's change.
#[derive(Debug)]
pub struct NotifyTask {
    /// Where what is to be told is kept.
    pub alarms: Alarms,
    /// The services that may be told.
    pub connections: Arc<Connections>,
    /// The relay for mail, and the tenants that may use it.
    pub mail: Option<(Relay, Vec<TenantId>)>,
}

#[async_trait]
impl Task for NotifyTask {
    fn name(&self) -> &'static str {
        NOTIFY
    }

    fn is_retried(&self) -> bool {
        true
    }

    /// What is told stands in the store: whoever starts this can have told only what is to be told.
    async fn run(&self, call: TaskCall) -> Result<Value, Fault> {
        let failed = |error: store::StoreError| Fault::new("Groundcrew.Store", error.to_string());
        let id = call.input["notification"].as_str().unwrap_or_default().to_owned();
        let alarms = self.alarms.tenant(&call.tenant);
        let Some(notification) = alarms.notification(&id).await.map_err(failed)? else {
            return Ok(json!({"told": false}));
        };
        self.tell(&notification, call).await?;
        alarms.done(&id).await.map_err(failed)?;
        Ok(json!({"told": true}))
    }
}

impl NotifyTask {
    async fn tell(&self, notification: &Notification, call: TaskCall) -> Result<(), Fault> {
        let (id, change) = (&notification.id, &notification.change);
        let tenant = call.tenant.clone();
        let told = |to, body| self.post((id, to), body, call);
        match &notification.action {
            ActionFile::Webhook { connection, path, .. } => {
                told((connection, path), message::webhook(change, id)).await
            }
            ActionFile::Slack { connection, path, .. } => {
                told((connection, path), message::slack(change)).await
            }
            ActionFile::PagerDuty { connection, .. } => {
                let event = message::pager_duty(change, tenant.as_str());
                told((connection, ""), event).await
            }
            ActionFile::Email { to, .. } => {
                let allowed = self.mail.as_ref().filter(|(_, tenants)| tenants.contains(&tenant));
                let Some((relay, _)) = allowed else {
                    let why = "no mail can be sent: `server.toml` names no relay for this tenant";
                    return Err(Fault::new("States.Permissions", why));
                };
                let mail = Mail {
                    to: to.clone(),
                    subject: message::subject(change),
                    text: message::text(change),
                    id: format!("{tenant}/{id}"),
                };
                relay.send(&mail).await.map_err(|error| match error {
                    MailError::Refused(why) => Fault::new("States.Permissions", why),
                    MailError::Failed(why) => Fault::new("Groundcrew.Mail", why),
                })
            }
        }
    }

    /// Posts `body` as an HTTP task of a workflow would.
    async fn post(
        &self,
        (id, (connection, path)): (&str, (&String, &str)),
        body: Value,
        call: TaskCall,
    ) -> Result<(), Fault> {
        let input = json!({
            "Method": "POST",
            "Headers": {"X-Groundcrew-Delivery": id},
            "ApiEndpoint": format!("/{}", path.trim_start_matches('/')),
            "InvocationConfig": {"ConnectionArn": format!("arn:aws:events:local:000000000000:connection/{connection}")},
            "RequestBody": body,
        });
        self.connections.run(TaskCall { input, ..call }).await.map(drop)
    }
}

/// Evaluates alarms and has their changes told, until the server stops.
pub async fn keep(alarms: Alarms, workflows: Engine, holder: Holder) {
    loop {
        // Just when periods may be judged, and not somewhere between.
        let since = (holder.clock.now().as_second() - GRACE).rem_euclid(LOOK);
        tokio::time::sleep(Duration::from_secs((LOOK - since).unsigned_abs())).await;
        let kept = async {
            for tenant in holder.tenants(LEASE).await? {
                // One tenant's trouble does not keep the others' alarms from being evaluated.
                if let Err(error) = pass(&alarms, &workflows, &tenant).await {
                    tracing::warn!(%tenant, %error, "alarms could not be kept; trying again");
                }
            }
            anyhow::Ok(())
        };
        if let Err(error) = kept.await {
            tracing::warn!(%error, "alarms could not be kept; trying again");
        }
    }
}

/// Evaluates what is due of one tenant, and starts telling what is to be told.
async fn pass(alarms: &Alarms, workflows: &Engine, tenant: &TenantId) -> anyhow::Result<()> {
    let alarms = alarms.tenant(tenant);
    let changed = alarms.evaluate().await?;
    if changed > 0 {
        tracing::info!(%tenant, changed, "alarms have changed");
    }
    let engine = workflows.tenant(tenant, PrincipalId::system("alarms"));
    for Notification { id, change, .. } in alarms.pending().await? {
        let second = change.at.as_second();
        // Names of executions have no `/`; the moment keeps an alarm that was made anew apart.
        let name = format!("{}-{second}", id.replace('/', "-"));
        match engine.do_task_once(NOTIFY, name, json!({"notification": id})).await {
            Ok(_) | Err(EngineError::Exists(_)) => alarms.begun(&id).await?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
