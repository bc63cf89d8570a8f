//! Work that is done here: the product's own tasks, and calls of services and functions.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use release::{PrincipalId, TenantId, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::{Engine, EngineError, ExecutionKey};
use crate::definition::Resource;
use crate::fault::Fault;
use crate::interpreter::{Report, Status};

/// How often it is kept at most how far a task is.
const OFTEN: Duration = Duration::from_secs(1);
/// The most characters that are kept of it.
const WORDS: usize = 200;

/// A piece of work that can be done here.
#[async_trait]
pub trait Task: fmt::Debug + Send + Sync {
    /// What it does. `knowledge.refresh` is a task of the product, in a definition the activity
    /// `groundcrew.knowledge.refresh`. `sagemaker:createTrainingJob` is a call of a service;
    /// `aws-sdk:s3` and `aws-sdk` are all calls below them that nobody else offers.
    fn name(&self) -> &'static str;

    /// Whether the workflow of this task alone tries it again, for some hours, as webhooks are.
    fn is_retried(&self) -> bool {
        false
    }

    /// Does the work. After a crash it is called again with the same key, and must then take up or
    /// repeat what it began without doing it twice. When its result is no longer wanted it is
    /// dropped at its next await: a guard that it holds can stop what it has begun elsewhere.
    ///
    /// Of a call that waits for a token (`.waitForTaskToken`) the answer is given as soon as the
    /// service has taken it on; whoever has the token ends it. One that waits for a job (`.sync`)
    /// tells [`Progress::submitted`] and gives the job's result.
    ///
    /// # Errors
    /// What went wrong, as Retry and Catch see it.
    async fn run(&self, call: TaskCall) -> Result<Value, Fault>;
}

/// One call of a task.
#[derive(Debug, Clone)]
pub struct TaskCall {
    /// For whom.
    pub tenant: TenantId,
    /// In whose name.
    pub actor: PrincipalId,
    /// Whether the actor asked for exactly this, as their own deed. Else it is automation, whoever
    /// started it.
    pub by_hand: bool,
    /// When it was scheduled: what it did since, it need not do again.
    pub since: Timestamp,
    /// Names this attempt, however often it is begun: for the idempotency keys of services.
    pub key: String,
    /// What the definition names, and what is waited for.
    pub resource: Resource,
    /// What it is called with.
    pub input: Value,
    /// What whoever is called reports with, if that is waited for.
    pub token: Option<String>,
    /// What the service answered, if it had taken the task on before a crash.
    pub submitted: Option<Value>,
    /// Where to tell how far it is.
    pub progress: Progress,
}

impl TaskCall {
    /// What it is called with, as `T`.
    ///
    /// # Errors
    /// A `Groundcrew.BadInput` if it has another form.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_value(self.input.clone()).map_err(|error| {
            Fault::new("Groundcrew.BadInput", format!("the input does not fit: {error}"))
        })
    }
}

/// What one of the product's tasks gives.
///
/// # Errors
/// A `Groundcrew.Failed` if it has no form in JSON.
pub fn output(value: &impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(value).map_err(|error| Fault::new("Groundcrew.Failed", error.to_string()))
}

/// Where a task tells how far it is. By default nobody listens.
#[derive(Debug, Clone, Default)]
pub struct Progress(Option<Arc<Listener>>);

#[derive(Debug)]
struct Listener {
    engine: Engine,
    tenant: TenantId,
    execution: ExecutionKey,
    task: String,
    told: Mutex<Option<Instant>>,
    /// Whether a sign of life was kept, and so that others are due.
    beating: AtomicBool,
}

impl Progress {
    pub(super) fn of(
        engine: &Engine,
        tenant: &TenantId,
        execution: &ExecutionKey,
        task: &str,
    ) -> Self {
        Self(Some(Arc::new(Listener {
            engine: engine.clone(),
            tenant: tenant.clone(),
            execution: execution.clone(),
            task: task.to_owned(),
            told: Mutex::default(),
            beating: AtomicBool::new(false),
        })))
    }

    /// The service has taken the task on, and this is its answer. It is kept when this returns, and
    /// given back after a crash.
    pub async fn submitted(&self, answer: Value) {
        if let Some(Listener { engine, tenant, execution, task, .. }) = self.0.as_deref() {
            engine.told(tenant, execution, (task.clone(), Report::Submitted(answer))).await;
        }
    }

    /// Whether the task is still wanted: not once its execution has let go of it, as when somebody
    /// stopped it. What cannot be told counts as wanted: another server may be doing it by now.
    pub async fn is_wanted(&self) -> bool {
        let Some(Listener { engine, tenant, execution, task, .. }) = self.0.as_deref() else {
            return true;
        };
        let workflows = engine.tenant(tenant, PrincipalId::system("workflows"));
        match workflows.execution(execution).await {
            Ok(record) => record.run.status == Status::Running && record.tasks.contains_key(task),
            Err(EngineError::UnknownExecution(_)) => false,
            Err(error) => {
                tracing::warn!(%error, %execution, "whether a task is wanted could not be told");
                true
            }
        }
    }

    /// Does `work`, and tells each second how far it is.
    pub async fn telling<T>(
        &self,
        how_far: impl Fn() -> String,
        work: impl Future<Output = T>,
    ) -> T {
        let telling = async {
            loop {
                tokio::time::sleep(OFTEN).await;
                self.tell(&how_far()).await;
            }
        };
        tokio::select! {
            done = work => done,
            never = telling => never,
        }
    }

    /// A sign of life, and how far the work is, for people. Whoever has given one has to go on,
    /// where the state has `HeartbeatSeconds`. More than one in a second is not kept.
    pub async fn tell(&self, how_far: &str) {
        let Some(listener) = self.0.as_deref() else { return };
        {
            let mut told = listener.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.is_some_and(|told| told.elapsed() < OFTEN) {
                return;
            }
            *told = Some(Instant::now());
        }
        let how_far: String = how_far.chars().take(WORDS).collect();
        let Listener { engine, tenant, execution, task, beating, .. } = listener;
        let first = !beating.load(Ordering::Relaxed);
        match engine.beaten(tenant, (execution, task), how_far, first).await {
            Ok(()) => beating.store(true, Ordering::Relaxed),
            // The next one may be; and if none is, the task has fallen silent.
            Err(error) => {
                tracing::warn!(%error, %execution, "how far a task is could not be kept");
            }
        }
    }
}
