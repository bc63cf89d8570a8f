//! EventBridge: posting events, rules that act on them, and their targets.
//!
//! There is one event bus, `default`. A target is a state machine; what it cannot be given is always
//! kept as a dead letter here, so a `DeadLetterConfig` and a count of attempts are taken and change
//! nothing.

mod targets;

use security::Action;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use workflow::engine::{EngineError, PostedEvent, RuleRecord, TenantEngine};
use workflow::pattern::Pattern;
use workflow::rule::{PatternSpec, RuleSpec};

use super::{Call, Exception, moment, page};
pub use targets::RetryPolicy;
use targets::TargetAsked;

/// What the names of its operations begin with.
pub const SERVICE: &str = "AWSEvents";

/// The most events of one request.
const MAX_ENTRIES: usize = 10;
/// The only event bus.
const BUS: &str = "default";
/// How old an event may be at most where a target says so.
const AGES: (u32, u32) = (60, 86_400);
/// How often a target may be tried at most where it says so.
const ATTEMPTS: u32 = 185;

/// The operations, and what their callers must be allowed to do.
const OPERATIONS: &[(&str, Action)] = &[
    ("DeleteRule", Action::DefineWorkflows),
    ("DescribeEventBus", Action::ReadWorkflows),
    ("DescribeRule", Action::ReadWorkflows),
    ("DisableRule", Action::DefineWorkflows),
    ("EnableRule", Action::DefineWorkflows),
    ("ListEventBuses", Action::ReadWorkflows),
    ("ListRuleNamesByTarget", Action::ReadWorkflows),
    ("ListRules", Action::ReadWorkflows),
    ("ListTagsForResource", Action::ReadWorkflows),
    ("ListTargetsByRule", Action::ReadWorkflows),
    ("PutEvents", Action::RunWorkflows),
    ("PutRule", Action::DefineWorkflows),
    ("PutTargets", Action::DefineWorkflows),
    ("RemoveTargets", Action::DefineWorkflows),
    ("TestEventPattern", Action::ReadWorkflows),
];

/// What the caller of an operation must be allowed to do; `None` if there is no such operation.
pub fn action(operation: &str) -> Option<Action> {
    OPERATIONS.iter().find(|(name, _)| *name == operation).map(|(_, action)| *action)
}

/// All fields of all requests but `PutEvents`; each operation looks at its own.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Asked {
    description: Option<String>,
    event: String,
    event_bus_name: Option<String>,
    event_pattern: Option<String>,
    ids: Vec<String>,
    limit: Option<usize>,
    name: String,
    name_prefix: String,
    next_token: Option<String>,
    rule: String,
    schedule_expression: Option<String>,
    state: Option<String>,
    target_arn: String,
    targets: Vec<TargetAsked>,
}

/// Performs an operation.
pub async fn perform(
    operation: &str,
    engine: &TenantEngine,
    call: &Call,
) -> Result<Value, Exception> {
    if operation == "PutEvents" {
        return put_events(engine, call).await;
    }
    let asked: Asked = call.body()?;
    on_bus(match operation {
        "DescribeEventBus" => Some(&asked.name).filter(|name| !name.is_empty()),
        _ => asked.event_bus_name.as_ref(),
    })?;
    match operation {
        "PutRule" => put_rule(engine, &asked).await,
        "DescribeRule" => {
            let record = engine.rule_named(&asked.name).await.map_err(refused)?;
            Ok(described(engine, &record))
        }
        "ListRules" => {
            let all = engine.rules().await.map_err(refused)?;
            let all = all.iter().filter(|record| record.name.starts_with(&asked.name_prefix));
            asked.page("Rules", all.map(|record| described(engine, record)).collect())
        }
        "ListRuleNamesByTarget" => {
            let all = engine.rules().await.map_err(refused)?;
            let leads = |record: &&RuleRecord| {
                let targets = targets::shown(engine, &record.rule);
                targets.iter().any(|target| target["Arn"] == asked.target_arn)
            };
            let names = all.iter().filter(leads).map(|record| record.name.as_str().into());
            asked.page("RuleNames", names.collect())
        }
        "EnableRule" | "DisableRule" => {
            let enabled = operation == "EnableRule";
            let change = |rule: Option<RuleSpec>| {
                let rule = rule.ok_or_else(|| EngineError::UnknownRule(asked.name.clone()))?;
                Ok(RuleSpec { enabled, ..rule })
            };
            engine.change_rule(&asked.name, change).await.map_err(refused)?;
            Ok(json!({}))
        }
        "DeleteRule" => delete_rule(engine, &asked.name).await,
        "PutTargets" => targets::put(engine, &asked.rule, asked.targets).await,
        "RemoveTargets" => targets::remove(engine, &asked.rule, &asked.ids).await,
        "ListTargetsByRule" => {
            let record = engine.rule_named(&asked.rule).await.map_err(refused)?;
            asked.page("Targets", targets::shown(engine, &record.rule))
        }
        "TestEventPattern" => test_pattern(&asked),
        "ListEventBuses" => {
            let buses = Some(bus(engine)).filter(|_| BUS.starts_with(&asked.name_prefix));
            asked.page("EventBuses", buses.into_iter().collect())
        }
        "DescribeEventBus" => Ok(bus(engine)),
        // There are no tags.
        "ListTagsForResource" => Ok(json!({"Tags": []})),
        other => Err(Exception::internal(format!("`{other}` is listed and not performed"))),
    }
}

impl Asked {
    fn page(&self, name: &str, rows: Vec<Value>) -> Result<Value, Exception> {
        page((name, "NextToken"), rows, (self.next_token.as_deref(), self.limit))
    }
}

/// Makes a rule, or another one of its name, which keeps its targets.
async fn put_rule(engine: &TenantEngine, asked: &Asked) -> Result<Value, Exception> {
    let invalid = |why: &str| Exception::new("ValidationException", why);
    if asked.schedule_expression.as_deref().is_some_and(|text| !text.is_empty()) {
        return Err(invalid(
            "A rule on a schedule is not kept here. Use EventBridge Scheduler on this endpoint: \
             its CreateSchedule takes the same expression and a target.",
        ));
    }
    let pattern = asked.event_pattern.clone().filter(|text| !text.is_empty());
    let pattern = pattern.ok_or_else(|| invalid("Parameter(s) EventPattern must be specified."))?;
    read_pattern(&pattern)?;
    let enabled = match asked.state.as_deref() {
        None | Some("ENABLED") => true,
        Some("DISABLED") => false,
        Some(other) => {
            return Err(invalid(&format!("`State` is ENABLED or DISABLED, not {other}")));
        }
    };
    let change = |known: Option<RuleSpec>| {
        Ok(RuleSpec {
            description: asked.description.clone().unwrap_or_default(),
            enabled,
            pattern: PatternSpec::Text(pattern.clone()),
            targets: known.map(|known| known.targets).unwrap_or_default(),
        })
    };
    let record = engine.change_rule(&asked.name, change).await.map_err(refused)?;
    Ok(json!({"RuleArn": rule_arn(engine, &record.name)}))
}

async fn delete_rule(engine: &TenantEngine, name: &str) -> Result<Value, Exception> {
    match engine.rule_named(name).await {
        // The service says nothing about one that is not there.
        Err(EngineError::UnknownRule(_)) => return Ok(json!({})),
        Ok(record) if !record.rule.targets.is_empty() => {
            let why = "Rule can't be deleted since it has targets.";
            return Err(Exception::new("ValidationException", why));
        }
        found => found.map_err(refused)?,
    };
    engine.remove_rule(name).await.map_err(refused)?;
    Ok(json!({}))
}

fn test_pattern(asked: &Asked) -> Result<Value, Exception> {
    let pattern = read_pattern(asked.event_pattern.as_deref().unwrap_or_default())?;
    let event: Map<String, Value> = serde_json::from_str(&asked.event).map_err(|error| {
        Exception::new("ValidationException", format!("`Event` is no JSON object: {error}"))
    })?;
    Ok(json!({"Result": pattern.matches(&Value::Object(event))}))
}

fn read_pattern(text: &str) -> Result<Pattern, Exception> {
    let pattern = text.parse::<Pattern>();
    pattern.map_err(|error| Exception::new("InvalidEventPatternException", error.to_string()))
}

/// Refuses any other event bus than the one there is.
fn on_bus(name: Option<&String>) -> Result<(), Exception> {
    match name {
        Some(name) if name != BUS && !name.ends_with(":event-bus/default") => {
            let why = format!("Event bus {name} does not exist.");
            Err(Exception::new("ResourceNotFoundException", why))
        }
        _ => Ok(()),
    }
}

fn bus(engine: &TenantEngine) -> Value {
    json!({"Name": BUS, "Arn": format!("{}:event-bus/{BUS}", arn(engine))})
}

fn described(engine: &TenantEngine, record: &RuleRecord) -> Value {
    let RuleSpec { description, enabled, pattern, .. } = &record.rule;
    let pattern = match pattern {
        PatternSpec::Text(text) => text.clone(),
        PatternSpec::Table(fields) => Value::Object(fields.clone()).to_string(),
    };
    let mut told = json!({"Name": record.name, "Arn": rule_arn(engine, &record.name),
        "EventPattern": pattern, "EventBusName": BUS,
        "State": if *enabled { "ENABLED" } else { "DISABLED" }});
    if !description.is_empty() {
        told["Description"] = description.as_str().into();
    }
    told
}

fn rule_arn(engine: &TenantEngine, name: &str) -> String {
    format!("{}:rule/{name}", arn(engine))
}

fn arn(engine: &TenantEngine) -> String {
    engine.arn().replace(":states:", ":events:")
}

/// What the engine refuses, in the service's codes.
fn refused(error: EngineError) -> Exception {
    let why = error.to_string();
    match error {
        EngineError::UnknownRule(name) => {
            let why = format!("Rule {name} does not exist on EventBus {BUS}.");
            Exception::new("ResourceNotFoundException", why)
        }
        EngineError::Store(_) => Exception::internal(why),
        _ => Exception::new("ValidationException", why),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Posted {
    entries: Vec<Entry>,
}

/// An event.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    event_bus_name: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
    time: Option<f64>,
}

/// Posts events. Each stands for itself: one that is refused is told in its place.
async fn put_events(engine: &TenantEngine, call: &Call) -> Result<Value, Exception> {
    let Posted { entries } = call.body()?;
    if !(1..=MAX_ENTRIES).contains(&entries.len()) {
        let why = format!("`Entries` has 1 to {MAX_ENTRIES} events, not {}", entries.len());
        return Err(Exception::new("ValidationException", why));
    }
    let mut told = Vec::new();
    for entry in entries {
        told.push(match entry.event() {
            Ok(event) => match engine.post(&event).await {
                Ok(()) => json!({"EventId": uuid::Uuid::new_v4().to_string()}),
                Err(EngineError::Store(error)) => {
                    return Err(Exception::internal(error.to_string()));
                }
                Err(error) => failed("InvalidArgument", &error.to_string()),
            },
            Err((code, why)) => failed(code, &why),
        });
    }
    let count = told.iter().filter(|one| one.get("ErrorCode").is_some()).count();
    Ok(json!({"FailedEntryCount": count, "Entries": told}))
}

impl Entry {
    fn event(self) -> Result<PostedEvent, (&'static str, String)> {
        let missing = |name: &str| ("InvalidArgument", format!("Parameter {name} is not valid."));
        on_bus(self.event_bus_name.as_ref()).map_err(|_| missing("EventBusName"))?;
        let detail = self.detail.ok_or_else(|| missing("Detail"))?;
        let detail: Map<String, Value> = serde_json::from_str(&detail)
            .map_err(|_| ("MalformedDetail", "Detail is malformed.".to_owned()))?;
        let time = self.time.map(|time| moment(time).ok_or_else(|| missing("Time")));
        Ok(PostedEvent {
            source: self.source.ok_or_else(|| missing("Source"))?,
            detail_type: self.detail_type.ok_or_else(|| missing("DetailType"))?,
            detail,
            resources: self.resources,
            time: time.transpose()?,
        })
    }
}

fn failed(code: &str, why: &str) -> Value {
    json!({"ErrorCode": code, "ErrorMessage": why})
}
