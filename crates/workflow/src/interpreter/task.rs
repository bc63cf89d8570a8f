//! Tasks: scheduling them, and what they report.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::enter::not_a;
use super::leave::data_limit;
use super::run::{About, Begun, Effect, FrameId, Phase, Report, TaskRequest};
use super::{Sight, Stepper, fault_details, field};
use crate::definition::{Kind, Resource, State, Task};
use crate::fault::{Fault, Origin, Unevaluated, name};
use crate::history::payload;
use crate::template::Template;
use crate::weight::too_large;

/// How long a task may take where nothing is said, in seconds.
const LONGEST: u64 = 99_999_999;

impl Stepper<'_, '_> {
    /// Has a state's task done.
    pub(super) fn schedule(
        &mut self,
        id: FrameId,
        state: &State,
        task: &Task,
    ) -> Result<(), Unevaluated> {
        let Some(frame) = self.frame(id) else { return Ok(()) };
        let key = key(&self.run.about, id, frame.entries, frame.attempts);
        let token = task.resource.has_token().then(|| (self.moment.token)(&key));
        let arguments = self.arguments(id, state, token.as_deref())?;
        let timeout = self.seconds(id, state, task.timeout.as_ref(), "TimeoutSeconds")?;
        let heartbeat = self.seconds(id, state, task.heartbeat.as_ref(), "HeartbeatSeconds")?;
        let credentials = match &task.credentials {
            Some(template) => {
                let effective = self.effective(id, state)?;
                let sight = Sight::of(&effective);
                Some(self.compute(id, sight, |view| template.evaluate(view, "Credentials"))?)
            }
            None => None,
        };
        let request = TaskRequest {
            task: key.clone(),
            state: self.state_name(id),
            resource: task.resource.clone(),
            arguments,
            timeout_seconds: timeout,
            heartbeat_seconds: heartbeat,
            token,
            credentials,
        };
        self.tell_scheduled(id, &task.resource, &request);
        if let Some(frame) = self.run.frames.get_mut(&id) {
            frame.phase = Phase::Working { task: key, begun: Begun::Scheduled };
        }
        self.step.effects.push(Effect::Schedule(Box::new(request)));
        Ok(())
    }

    /// A number of seconds that a field says.
    fn seconds(
        &mut self,
        id: FrameId,
        state: &State,
        template: Option<&Template>,
        name: &str,
    ) -> Result<Option<u64>, Unevaluated> {
        let Some(template) = template else { return Ok(None) };
        let effective = self.effective(id, state)?;
        let value = self.compute(id, Sight::of(&effective), |view| field(template, view, name))?;
        let seconds = value.as_f64().filter(|seconds| *seconds > 0.0);
        let seconds = seconds.ok_or_else(|| not_a(template, name, "number", &value))?;
        Ok(Some((seconds as u64).min(LONGEST)))
    }

    fn tell_scheduled(&mut self, id: FrameId, resource: &Resource, request: &TaskRequest) {
        let (shown, service) = resource.shown();
        let mut details = Map::new();
        let kind = match service {
            Some(service) => {
                details.insert("parameters".to_owned(), request.arguments.to_string().into());
                details.insert("region".to_owned(), region(&self.run.about.execution_arn).into());
                details.insert("resourceType".to_owned(), service.into());
                "TaskScheduled"
            }
            None => {
                payload(&mut details, "input", &request.arguments);
                match resource {
                    Resource::Activity { .. } => "ActivityScheduled",
                    _ => "LambdaFunctionScheduled",
                }
            }
        };
        details.insert("resource".to_owned(), shown.into());
        let seconds = [
            ("timeoutInSeconds", request.timeout_seconds),
            ("heartbeatInSeconds", request.heartbeat_seconds),
        ];
        let seconds =
            seconds.into_iter().filter_map(|(name, s)| Some((name.to_owned(), s?.into())));
        details.extend(seconds);
        if let Some(role) = request.credentials.as_ref().and_then(|c| c.get("RoleArn")) {
            details.insert("taskCredentials".to_owned(), json!({"roleArn": role}));
        }
        self.tell(id, kind, Some(details));
    }

    /// Whether a task has come so far already; it has from now on.
    fn is_begun(&mut self, id: FrameId, so_far: Begun) -> bool {
        let Some(frame) = self.run.frames.get_mut(&id) else { return true };
        let Phase::Working { begun, .. } = &mut frame.phase else { return true };
        let before = std::mem::replace(begun, so_far.max(*begun));
        before >= so_far
    }

    /// A task reports. A task that nobody waits for any more is not heard.
    pub(super) fn reported(&mut self, key: &str, report: Report) {
        let Some(id) = self.run.waiting_for(key) else { return };
        let Some(state) = self.state(id) else { return };
        let Kind::Task(task) = &state.kind else { return };
        let resource = &task.resource;
        let over = matches!(report, Report::Succeeded(_) | Report::Failed(_) | Report::Missing(_));
        match report {
            Report::Succeeded(result) | Report::Submitted(result) if too_large(&result) => {
                let fault = Fault::from(data_limit(&resource.shown().0));
                self.tell_failed(id, resource, "Failed", &fault);
                self.failed(id, fault, Origin::Task);
            }
            // Told again after a crash, it is no news.
            Report::Started { .. } if self.is_begun(id, Begun::Started) => {}
            Report::Submitted(_) if self.is_begun(id, Begun::Submitted) => {}
            Report::Started { worker } => {
                let worker = worker.map(|worker| ("workerName".to_owned(), worker.into()));
                self.tell_report(id, resource, "Started", worker.into_iter().collect());
            }
            Report::Submitted(answer) => {
                let mut details = Map::new();
                payload(&mut details, "output", &answer);
                self.tell_report(id, resource, "Submitted", details);
            }
            Report::Succeeded(result) => {
                let mut details = Map::new();
                payload(&mut details, "output", &result);
                self.tell_report(id, resource, "Succeeded", details);
                if let Err(error) = self.leave(id, state, result) {
                    self.unevaluated(id, error);
                }
            }
            Report::Failed(fault) => {
                self.tell_failed(id, resource, "Failed", &fault);
                self.failed(id, fault, Origin::Task);
            }
            Report::Missing(why) => self.unevaluated(id, Unevaluated::runtime(why)),
            Report::TimedOut | Report::HeartbeatMissed => {
                let error = match report {
                    Report::TimedOut => name::TIMEOUT,
                    _ => name::HEARTBEAT_TIMEOUT,
                };
                let fault = Fault { error: Some(error.to_owned()), cause: None };
                self.tell_failed(id, resource, "TimedOut", &fault);
                self.step.effects.push(Effect::Cancel { task: key.to_owned() });
                self.failed(id, fault, Origin::Task);
            }
        }
        if over {
            // There is nothing of it to let go of when the execution ends with it.
            let own = |effect: &Effect| matches!(effect, Effect::Cancel { task } if task == key);
            self.step.effects.retain(|effect| !own(effect));
        }
    }

    fn tell_failed(&mut self, id: FrameId, resource: &Resource, what: &str, fault: &Fault) {
        let mut details = Map::new();
        fault_details(&mut details, fault);
        self.tell_report(id, resource, what, details);
    }

    fn tell_report(
        &mut self,
        id: FrameId,
        resource: &Resource,
        what: &str,
        mut details: Map<String, Value>,
    ) {
        let (shown, service) = resource.shown();
        let family = match (service, resource) {
            (Some(service), _) => {
                details.insert("resource".to_owned(), shown.into());
                details.insert("resourceType".to_owned(), service.into());
                "Task"
            }
            (None, Resource::Activity { .. }) => "Activity",
            (None, _) => "LambdaFunction",
        };
        let nothing = family == "LambdaFunction" && what == "Started";
        self.tell(id, &format!("{family}{what}"), Some(details).filter(|_| !nothing));
    }
}

/// Names one attempt at a task: the same however often it is delivered, and another in a later
/// execution of the same name.
fn key(about: &About, frame: FrameId, entries: u64, attempts: u32) -> String {
    let About { execution_arn, started_at, .. } = about;
    let whole = format!("{execution_arn}|{started_at}|{frame:?}|{entries}|{attempts}");
    hex::encode(&Sha256::digest(whole)[..16])
}

/// The region of an ARN.
fn region(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}
