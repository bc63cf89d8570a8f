//! What of a definition would not run on AWS Step Functions as it is.
//!
//! The language moves to AWS; what a definition names in this installation does not, and AWS
//! refuses some of what is read here. All of it is told at once, with what to do. What only shows
//! when a machine runs, as the length of its history, is not.
//!
//! ```
//! let (machine, _) = workflow::Machine::parse(r#"{"StartAt": "Refresh", "States": {"Refresh": {
//!     "Type": "Task", "End": true, "Resource":
//!     "arn:aws:states:local:000000000000:activity:groundcrew.knowledge.refresh"}}}"#).unwrap();
//! let obstacles = workflow::portable::lint(&machine);
//! assert_eq!(obstacles[0].state.as_deref(), Some("Refresh"));
//! assert_eq!(obstacles[0].kind, workflow::portable::ObstacleKind::LocalActivity);
//! ```

use serde::Serialize;

use crate::definition::{
    Container, Kind, Machine, MapState, Resource, Retrier, State, Task, Wait, Waiting, place,
};
use crate::template::{Language, Template};

/// The longest time that a definition may name, in seconds.
const SECONDS: f64 = 99_999_999.0;
/// The longest `MaxDelaySeconds`.
const DELAY: f64 = 31_622_399.0;
/// The most iterations side by side: inline, and distributed.
const CONCURRENCY: (f64, f64) = (40.0, 10_000.0);
/// The most characters of a label, of an activity's name, of an error and of a cause.
const LABEL: usize = 40;
const ACTIVITY: usize = 80;
const ERROR: usize = 256;
const CAUSE: usize = 32_768;

/// Something that does not run on AWS as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// What kind of thing.
    pub kind: ObstacleKind,
    /// The state; none for the machine itself.
    pub state: Option<String>,
    /// Where, as findings about definitions tell it.
    pub place: String,
    /// What is in the way.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// What kind of thing is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObstacleKind {
    /// An activity of this installation.
    LocalActivity,
    /// An activity of AWS, done by a task of ours: somebody must ask for its work.
    NeedsWorker,
    /// A name that no activity of AWS may have.
    ActivityName,
    /// A function of this installation.
    LocalFunction,
    /// A connection of this installation, or an address that is looked for below one.
    LocalConnection,
    /// A service that AWS cannot call by this name.
    UnknownService,
    /// A service that AWS does not wait for in this way.
    UnsupportedPattern,
    /// Something that no item can be read from, or no result written to.
    UnsupportedStore,
    /// More than a Map may do at once.
    MapQuota,
    /// A field that only distributed Maps have.
    DistributedOnly,
    /// A label that no Map run may have.
    Label,
    /// A time or count that is too long or not whole.
    Number,
    /// An error or a cause that is too long.
    FailureLength,
}

/// What services with a form of their own can be waited for, but for their response.
const PATTERNS: &[(&str, &[Waiting])] = &[
    ("apigateway", &[Waiting::Token]),
    ("athena", &[Waiting::Job]),
    ("batch", &[Waiting::Job]),
    ("bedrock", &[Waiting::Job, Waiting::Token]),
    ("codebuild", &[Waiting::Job]),
    ("databrew", &[Waiting::Job]),
    ("ecs", &[Waiting::Job, Waiting::Token]),
    ("eks", &[Waiting::Job, Waiting::Token]),
    ("elasticmapreduce", &[Waiting::Job]),
    ("emr-containers", &[Waiting::Job]),
    ("emr-serverless", &[Waiting::Job]),
    ("events", &[Waiting::Token]),
    ("glue", &[Waiting::Job]),
    ("lambda", &[Waiting::Token]),
    ("mediaconvert", &[Waiting::Job]),
    ("sagemaker", &[Waiting::Job]),
    ("sns", &[Waiting::Token]),
    ("sqs", &[Waiting::Token]),
    ("states", &[Waiting::Job, Waiting::JobJson, Waiting::Token]),
];

/// Everything in a machine that does not run on AWS as it is.
pub fn lint(machine: &Machine) -> Vec<Obstacle> {
    let mut all = Vec::new();
    let seconds = machine.timeout_seconds.map(|seconds| seconds as f64);
    Lint { state: None, place: String::new(), all: &mut all }.number(
        "TimeoutSeconds",
        seconds,
        SECONDS,
    );
    container(&machine.states, "", &mut all);
    all
}

fn container(states: &Container, at: &str, all: &mut Vec<Obstacle>) {
    for (name, state) in &states.states {
        let place = place(&format!("{at}/States"), name);
        Lint { state: Some(name), place: place.clone(), all }.state(state);
        for (below, field) in state.kind.containers().iter().zip(state.kind.fields()) {
            container(below, &format!("{place}/{field}"), all);
        }
    }
}

/// One state, looked at.
struct Lint<'a> {
    state: Option<&'a str>,
    place: String,
    all: &'a mut Vec<Obstacle>,
}

impl Lint<'_> {
    fn tell(&mut self, kind: ObstacleKind, field: &str, message: String, hint: &str) {
        let (state, hint) = (self.state.map(str::to_owned), hint.to_owned());
        let place = format!("{}/{field}", self.place);
        self.all.push(Obstacle { kind, state, place, message, hint });
    }

    fn state(&mut self, state: &State) {
        match &state.kind {
            Kind::Task(task) => {
                self.task(task);
                self.arguments(&task.resource, state);
            }
            Kind::Map(map) => self.map(map),
            Kind::Wait(Wait::Seconds(seconds)) => {
                self.number("Seconds", fixed(Some(seconds)), SECONDS);
            }
            Kind::Fail { error, cause } => {
                self.text("Error", error.as_ref(), ERROR);
                self.text("Cause", cause.as_ref(), CAUSE);
            }
            _ => {}
        }
        for (index, retrier) in state.retry.iter().enumerate() {
            let Retrier { interval, max_attempts, max_delay, .. } = retrier;
            let field = |name: &str| format!("Retry[{index}]/{name}");
            self.number(&field("IntervalSeconds"), Some(*interval), SECONDS);
            self.number(&field("MaxAttempts"), Some((*max_attempts).into()), SECONDS);
            self.number(&field("MaxDelaySeconds"), *max_delay, DELAY);
        }
    }

    fn task(&mut self, task: &Task) {
        self.number("TimeoutSeconds", fixed(task.timeout.as_ref()), SECONDS);
        self.number("HeartbeatSeconds", fixed(task.heartbeat.as_ref()), SECONDS);
        match &task.resource {
            Resource::Activity { arn } => self.activity(arn),
            Resource::Function { arn } if is_local(arn) => self.function("Resource", arn),
            Resource::Function { .. } => {}
            Resource::Service { service, action, waiting } => {
                self.service(service, action, *waiting);
            }
        }
    }

    fn function(&mut self, field: &str, arn: &str) {
        self.tell(
            ObstacleKind::LocalFunction,
            field,
            format!("`{arn}` is a function of this installation"),
            "deploy it to AWS Lambda, and name it by its name or by its ARN there",
        );
    }

    /// What a call names in this installation, where it is written out.
    fn arguments(&mut self, resource: &Resource, state: &State) {
        let Resource::Service { service, action, .. } = resource else { return };
        let text = |place: &[&str]| state.arguments.as_ref()?.text(place);
        let field = match state.language {
            Language::JsonPath => "Parameters",
            Language::Jsonata => "Arguments",
        };
        match (service.as_str(), action.as_str()) {
            ("lambda", "invoke") => {
                if let Some(arn) = text(&["FunctionName"]).filter(|name| is_local(name)) {
                    self.function(&format!("{field}/FunctionName"), arn);
                }
            }
            ("http", "invoke") => {
                for config in ["InvocationConfig", "Authentication"] {
                    let Some(arn) = text(&[config, "ConnectionArn"]) else { continue };
                    if is_local(arn) {
                        self.tell(
                            ObstacleKind::LocalConnection,
                            &format!("{field}/{config}/ConnectionArn"),
                            format!("`{arn}` is a connection of this installation"),
                            "create a connection of this name in EventBridge, and name it by its \
                             ARN there",
                        );
                    }
                }
                if let Some(path) = text(&["ApiEndpoint"]).filter(|url| url.starts_with('/')) {
                    self.tell(
                        ObstacleKind::LocalConnection,
                        &format!("{field}/ApiEndpoint"),
                        format!("`{path}` is looked for below the connection's address"),
                        "write the whole address, with https://",
                    );
                }
            }
            _ => {}
        }
    }

    fn activity(&mut self, arn: &str) {
        let name = arn.splitn(7, ':').nth(6).unwrap_or_default();
        let refused =
            |c: char| c.is_whitespace() || c.is_control() || "<>{}[]:;,/\\|^~$#%&`\"?*".contains(c);
        if name.is_empty() || name.chars().count() > ACTIVITY || name.contains(refused) {
            let message = format!("`{name}` is no name of an activity");
            let hint = "use 1 to 80 letters, digits, dots, hyphens and underscores";
            self.tell(ObstacleKind::ActivityName, "Resource", message, hint);
        }
        if is_local(arn) {
            self.tell(
                ObstacleKind::LocalActivity,
                "Resource",
                format!("`{arn}` is an activity of this installation"),
                "create an activity of this name in your account, name it by its ARN there, and \
                 run a worker that polls it",
            );
        } else if name.starts_with("groundcrew.") {
            self.tell(
                ObstacleKind::NeedsWorker,
                "Resource",
                format!("the work of `{name}` waits until a worker asks for it"),
                "run a worker that polls this activity",
            );
        }
    }

    fn service(&mut self, service: &str, action: &str, waiting: Waiting) {
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let sdk = service.strip_prefix("aws-sdk:");
        let named = |name: &str| !name.is_empty() && name.chars().all(lower);
        let camel = action.starts_with(|c: char| c.is_ascii_lowercase())
            && action.chars().all(|c| c.is_ascii_alphanumeric());
        if sdk.is_some_and(|name| !named(name) || !camel) {
            self.tell(
                ObstacleKind::UnknownService,
                "Resource",
                format!("`{service}:{action}` names no call of a service"),
                "write the service in lower case without hyphens, and the action in camel case",
            );
        }
        let own = PATTERNS.iter().find(|(name, _)| *name == service).map(|(_, own)| *own);
        let known = own.unwrap_or(if sdk.is_some() { &[Waiting::Token] } else { &[] });
        if waiting != Waiting::Response && !known.contains(&waiting) {
            let suffix = waiting.suffix();
            self.tell(
                ObstacleKind::UnsupportedPattern,
                "Resource",
                format!("AWS does not wait for `{service}:{action}` with `{suffix}`"),
                "call it without, and wait in states of your own",
            );
        }
    }

    fn map(&mut self, map: &MapState) {
        let (inline, distributed) = CONCURRENCY;
        let most = if map.distributed { distributed } else { inline };
        if let Some(count) = fixed(map.max_concurrency.as_ref()).filter(|count| *count > most) {
            self.tell(
                ObstacleKind::MapQuota,
                "MaxConcurrency",
                format!("AWS runs at most {most} of these iterations at once, not {count}"),
                "lower it, or make the Map distributed",
            );
        }
        let fields = [
            ("ToleratedFailureCount", map.tolerated_count.is_some()),
            ("ToleratedFailurePercentage", map.tolerated_percentage.is_some()),
            ("Label", map.label.is_some()),
        ];
        for (field, _) in fields.into_iter().filter(|(_, there)| *there && !map.distributed) {
            let message = format!("AWS knows `{field}` in distributed Maps only");
            let hint = "set the Mode of its ProcessorConfig to DISTRIBUTED, or catch failures \
                        within the iterations";
            self.tell(ObstacleKind::DistributedOnly, field, message, hint);
        }
        let refused = |c: char| c.is_whitespace() || "?*<>{}[]:;,\\|^~$#%&`\"".contains(c);
        if let Some(label) = &map.label
            && (label.chars().count() > LABEL || label.contains(refused))
        {
            let message = format!("`{label}` is no label of a Map's runs");
            let hint = "use at most 40 letters, digits, hyphens and underscores";
            self.tell(ObstacleKind::Label, "Label", message, hint);
        }
        let reader = map.reader.as_ref().map(|reader| reader.resource.as_str());
        let writer = map.writer.as_ref().map(|writer| writer.resource.as_str());
        let stores: [(_, _, &[&str]); 2] = [
            ("ItemReader", reader, &["s3:getObject", "s3:listObjectsV2"]),
            ("ResultWriter", writer, &["s3:putObject"]),
        ];
        for (field, resource, calls) in stores {
            let Some(resource) = resource.filter(|resource| !resource.is_empty()) else { continue };
            let call = resource.split_once(":states:::").map(|(_, call)| call);
            if !call.is_some_and(|call| calls.contains(&call)) {
                let hint = format!("use one of {}", calls.join(", "));
                let message = format!("AWS knows no `{resource}` here");
                let field = format!("{field}/Resource");
                self.tell(ObstacleKind::UnsupportedStore, &field, message, &hint);
            }
        }
    }

    fn number(&mut self, field: &str, number: Option<f64>, most: f64) {
        let wrong = |number: &f64| *number > most || number.fract() != 0.0;
        if let Some(number) = number.filter(wrong) {
            let message = format!("AWS takes whole numbers up to {most} here, not {number}");
            self.tell(ObstacleKind::Number, field, message, "round or lower it");
        }
    }

    fn text(&mut self, field: &str, template: Option<&Template>, most: usize) {
        let Some(Template::Value(value)) = template else { return };
        let length = value.as_str().map_or(0, |text| text.chars().count());
        if length > most {
            let message = format!("AWS takes at most {most} characters here, not {length}");
            self.tell(ObstacleKind::FailureLength, field, message, "shorten it");
        }
    }
}

/// A number that is written in the definition.
fn fixed(template: Option<&Template>) -> Option<f64> {
    match template? {
        Template::Value(value) => value.as_f64(),
        _ => None,
    }
}

/// Whether an ARN is of this installation: its region is `local`, or its account none of AWS's.
fn is_local(arn: &str) -> bool {
    let mut parts = arn.split(':').skip(3);
    parts.next() == Some("local") || parts.next() == Some(crate::engine::ACCOUNT)
}

#[cfg(test)]
mod tests;
