//! Who does a task, and having it done.
//!
//! Who does it follows from the resource alone. What is done here is begun after the commit that
//! scheduled it, and again after a crash, until its report is taken.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use release::{Digest, TenantId};
use serde_json::{Value, json};

use super::transition::Change;
use super::{
    Asked, Engine, EngineError, ExecutionKey, ExecutionRecord, OpenTask, Progress, Running, Task,
    TaskCall, token,
};
use crate::definition::{Resource, Waiting};
use crate::fault::{Fault, name};
use crate::interpreter::Report;

/// What the names of the product's own tasks and workflows begin with.
pub const OWN: &str = "groundcrew.";
/// The task that waits for a person's word.
const APPROVAL: &str = "groundcrew.approval";
/// The call that functions are invoked by.
const INVOKE: &str = "lambda:invoke";

/// Who does a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doer<'a> {
    /// A worker outside, who asks for the tasks of this activity.
    Worker(&'a str),
    /// A person.
    Person,
    /// Another execution, which it starts.
    Execution,
    /// Whoever offers it here.
    Here,
}

impl<'a> Doer<'a> {
    /// Who does what a resource names.
    pub fn of(resource: &'a Resource) -> Self {
        match resource {
            Resource::Activity { .. } => match resource.activity() {
                Some(APPROVAL) => Self::Person,
                Some(name) if !name.starts_with(OWN) => Self::Worker(name),
                _ => Self::Here,
            },
            Resource::Service { service, action, .. }
                if service == "states" && action == "startExecution" =>
            {
                Self::Execution
            }
            Resource::Service { .. } | Resource::Function { .. } => Self::Here,
        }
    }
}

impl OpenTask {
    /// Whether a service has taken it on, so that whoever has the token ends it.
    fn is_out(&self) -> bool {
        self.submitted.is_some() && waits_for_token(&self.resource)
    }
}

impl Engine {
    /// Begins a task, if it is begun from here.
    pub(super) fn begin(&self, tenant: &TenantId, record: &ExecutionRecord, open: &OpenTask) {
        if Doer::of(&open.resource) == Doer::Execution {
            return self.begin_nested(tenant, record, open);
        }
        let progress = Progress::of(self, tenant, &record.key, &open.task);
        let Some(work) = self.work((tenant, record), open, progress) else { return };
        let (engine, execution) = (self.clone(), record.key.clone());
        let id = (tenant.clone(), open.task.clone());
        let work = {
            let (id, key) = (id.clone(), execution.clone());
            async move {
                let report = work.await;
                engine.running().remove(&id);
                let (tenant, task) = id;
                engine.told(&tenant, &key, (task, report)).await;
            }
        };
        let mut running = self.running();
        let work = tokio::spawn(work).abort_handle();
        running.insert(id, Running { execution, work });
    }

    /// What comes of a task that is done here, or that nobody here can do; none if somebody else
    /// ends it.
    pub(super) fn work(
        &self,
        (tenant, record): (&TenantId, &ExecutionRecord),
        open: &OpenTask,
        progress: Progress,
    ) -> Option<impl Future<Output = Report> + Send + use<>> {
        let task = match Doer::of(&open.resource) {
            // They ask for it by themselves.
            Doer::Worker(_) | Doer::Execution => return None,
            Doer::Person => match Asked::of(open) {
                Ok(_) => return None,
                Err(fault) => Err(Report::Failed(fault)),
            },
            Doer::Here if open.is_out() => return None,
            Doer::Here => self.offered(&open.resource).ok_or_else(|| {
                Report::Missing(format!("Nothing here does {}.", open.resource.arn()))
            }),
        };
        let (input, token) = self.arguments(tenant, record, open);
        let input = match &open.resource {
            Resource::Function { arn } => json!({"FunctionName": arn, "Payload": input}),
            _ => input,
        };
        let call = TaskCall {
            tenant: tenant.clone(),
            actor: record.actor.clone(),
            by_hand: record.by_hand,
            since: open.scheduled_at,
            key: outside(tenant, &open.task),
            resource: open.resource.clone(),
            input,
            token,
            submitted: open.submitted.clone(),
            progress,
        };
        Some(async move {
            match task {
                Ok(task) => done(&*task, call).await,
                Err(report) => report,
            }
        })
    }

    /// What a task is called with, and the token, if whoever is called reports with one.
    pub(super) fn arguments(
        &self,
        tenant: &TenantId,
        record: &ExecutionRecord,
        open: &OpenTask,
    ) -> (Value, Option<String>) {
        if !waits_for_token(&open.resource) {
            return (open.arguments.clone(), None);
        }
        let about = &record.run.about;
        let execution = (tenant, about.execution_arn.as_str(), about.started_at);
        let token = token::of(&self.shared.secret, execution, &open.task);
        (token::reveal(&open.arguments, &token), Some(token))
    }

    /// The task that does what a resource names: the most special one that is offered.
    fn offered(&self, resource: &Resource) -> Option<Arc<dyn Task>> {
        let name = match resource {
            Resource::Activity { .. } => resource.activity()?.strip_prefix(OWN)?.to_owned(),
            Resource::Function { .. } => INVOKE.to_owned(),
            Resource::Service { service, action, .. } => format!("{service}:{action}"),
        };
        let mut name = name.as_str();
        loop {
            match (self.shared.tasks.get(name), name.rsplit_once(':')) {
                (Some(task), _) => return Some(Arc::clone(task)),
                (None, Some((wider, _))) => name = wider,
                (None, None) => return None,
            }
        }
    }

    /// Takes a sign of life of a task that is done here: from its first one others are due.
    pub(super) async fn beaten(
        &self,
        tenant: &TenantId,
        (key, task): (&ExecutionKey, &str),
        how_far: String,
        first: bool,
    ) -> Result<(), EngineError> {
        let now = self.shared.clock.now();
        let sooner = AtomicBool::new(first);
        let beaten = self.change(tenant, key, |record| {
            let open = self.own(record, task)?;
            sooner.fetch_or(open.beat(now), Ordering::Relaxed);
            open.progress = Some(how_far.clone());
            Ok(Change { input: None, told: None })
        });
        let record = match beaten.await {
            // It is not wanted any more, and will be dropped.
            Err(EngineError::TaskOver) => return Ok(()),
            beaten => beaten?,
        };
        if let Some(open) = record.tasks.get(task).filter(|_| sooner.into_inner()) {
            self.set_timers(tenant, key, open.due());
        }
        Ok(())
    }
}

/// A task's key as services see it, which may serve several tenants: theirs may be called the same.
pub(super) fn outside(tenant: &TenantId, task: &str) -> String {
    let digest = Digest::of_fields([tenant.as_str().as_bytes(), task.as_bytes()]);
    hex::encode(&digest.as_bytes()[..16])
}

/// Has a task done; what came of it. One that panics has failed: nobody else would report it.
async fn done(task: &dyn Task, call: TaskCall) -> Report {
    let (resource, token) = (call.resource.clone(), call.token.clone());
    let result = match AssertUnwindSafe(task.run(call)).catch_unwind().await {
        Ok(Ok(result)) => result,
        Ok(Err(fault)) => return Report::Failed(fault),
        Err(_) => {
            let cause = format!("What does {} here has broken.", resource.arn());
            return Report::Failed(Fault::new(name::TASK_FAILED, cause));
        }
    };
    match (resource, token) {
        (_, Some(token)) => Report::Submitted(token::concealed(&result, &token)),
        (Resource::Function { .. }, None) => Report::Succeeded(payload(result)),
        (_, None) => Report::Succeeded(result),
    }
}

/// What a function gave, without what the service says around it.
fn payload(mut invoked: Value) -> Value {
    invoked.get_mut("Payload").map(Value::take).unwrap_or_default()
}

fn waits_for_token(resource: &Resource) -> bool {
    matches!(resource, Resource::Service { waiting: Waiting::Token, .. })
}
