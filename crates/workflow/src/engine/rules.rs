//! Event rules that start executions and call webhooks.
//!
//! Each tenant's event log is followed from where it was left. An execution is named after its rule,
//! the event's position and the rule's target, so that an event is acted on once, through crashes and however many
//! servers look. What cannot be started is kept as a dead letter.
//!
//! Rules cannot run in circles: executions tell of their beginning and end which rules led to them,
//! and a chain that is too long is cut. What tasks of such an execution do elsewhere is told in the
//! name of `system:rule`, and no rule acts on it.

use std::borrow::Cow;

use release::{ArtifactName, PrincipalId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Collection, Event, Expect, StoreError, Transaction};

use super::dead_letters::Wanted;
use super::webhook::WEBHOOK;
use super::{ACCOUNT, ATTEMPTS, Engine, EngineError, ExecutionKey, Origin, TenantEngine};
use crate::name::{short_digest, started_by};
use crate::rule::{Action, Causation, Loop, Rule, RuleSpec};
use crate::transform::Delivery;

pub const RULES: Collection = Collection("workflow.rules");
pub const POSITIONS: Collection = Collection("workflow.positions");
/// Up to where the rules have followed the event log.
const POSITION: &str = "rules";
/// In whose name rules act.
const ACTOR: &str = "rule";
/// How many events are read at once.
const EVENTS: usize = 100;
/// How often, at most, more of a tenant's events are read in one go.
const PAGES: usize = 50;
/// How many bytes of dead letters are written together, about.
const LETTERS: usize = 4 << 20;
/// What an event that somebody posted is called on the log.
const POSTED: &str = "event.posted";

/// A rule that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleRecord {
    /// Its name.
    pub name: String,
    /// Which events, and what to do with them.
    pub rule: RuleSpec,
    /// Who made it, or changed it last.
    pub author: PrincipalId,
    /// The project whose files define it; none if it was made by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ArtifactName>,
}

/// An event that somebody posts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostedEvent {
    /// Where it comes from, as `shop.orders`; `groundcrew` is the product's own.
    pub source: String,
    /// What kind of event it is.
    pub detail_type: String,
    /// What it tells.
    #[serde(default)]
    pub detail: serde_json::Map<String, Value>,
    /// What it is about, as ARNs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// When it happened, if who posts it says so (default: when it is posted).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub time: Option<Timestamp>,
}

impl Engine {
    /// Acts on what the tenants' event logs have told since the last call: on so much at most that
    /// no tenant keeps the others waiting, nor one whose log cannot be followed.
    ///
    /// # Errors
    /// The last one of the store: then the event is acted on again.
    pub async fn keep_rules(&self, tenants: &[TenantId]) -> Result<(), EngineError> {
        let mut kept = Ok(());
        for tenant in tenants {
            let engine = self.tenant(tenant, PrincipalId::system(ACTOR));
            for _ in 0..PAGES {
                match engine.follow_rules().await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        kept = Err(error);
                        break;
                    }
                }
            }
        }
        kept
    }
}

impl TenantEngine {
    /// Makes a rule, or another one of its name. It acts on events from now on.
    ///
    /// # Errors
    /// If the name or the rule is refused.
    pub async fn rule(&self, name: &str, rule: RuleSpec) -> Result<RuleRecord, EngineError> {
        self.made(self.definitions().rule(name, rule, self.transaction()).await?).await
    }

    /// Makes of a rule, or of none where there is none of that name, what `change` says. It may have
    /// no targets.
    ///
    /// # Errors
    /// What `change` says, or if the name or the rule is refused.
    pub async fn change_rule(
        &self,
        name: &str,
        change: impl Fn(Option<RuleSpec>) -> Result<RuleSpec, EngineError>,
    ) -> Result<RuleRecord, EngineError> {
        for _ in 0..ATTEMPTS {
            let changed = self.definitions().change_rule(name, &change, self.transaction()).await?;
            match self.made(changed).await {
                Err(EngineError::Store(StoreError::Conflict { .. })) => {}
                made => return made,
            }
        }
        Err(EngineError::Refused(format!("the rule `{name}` changes too fast: try again")))
    }

    /// One rule.
    ///
    /// # Errors
    /// If there is none.
    pub async fn rule_named(&self, name: &str) -> Result<RuleRecord, EngineError> {
        let row = self.store().get(RULES, name).await?;
        Ok(row.ok_or_else(|| EngineError::UnknownRule(name.to_owned()))?.read()?)
    }

    /// The rules, by name.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn rules(&self) -> Result<Vec<RuleRecord>, EngineError> {
        self.all(RULES).await
    }

    /// Removes a rule. What it has started goes on.
    ///
    /// # Errors
    /// If there is none.
    pub async fn remove_rule(&self, name: &str) -> Result<(), EngineError> {
        self.rule_named(name).await?;
        self.forget((RULES, name), "rule.removed", &name).await
    }

    /// Puts an event on the log, for rules to act on. When this returns it is kept.
    ///
    /// # Errors
    /// If it claims to be the product's own, or is too large.
    pub async fn post(&self, event: &PostedEvent) -> Result<(), EngineError> {
        if event.source.is_empty() || event.source == "groundcrew" {
            let why = "an event that is posted has a `source` of its own".to_owned();
            return Err(EngineError::Refused(why));
        }
        let told = json!({"detail": event.detail, "resources": event.resources});
        if crate::weight::too_large(&told) {
            return Err(EngineError::TooLarge);
        }
        let transaction = self.transaction().emit("events", POSTED, event)?;
        self.store().commit(transaction).await?;
        Ok(())
    }

    /// Acts on a page of the event log; whether there may be more.
    async fn follow_rules(&self) -> Result<bool, EngineError> {
        let store = self.store();
        let row = store.get(POSITIONS, POSITION).await?;
        let mut position = row.as_ref().map_or(Ok(0), |row| row.read::<u64>())?;
        let events = store.log(position, EVENTS).await?;
        if events.is_empty() {
            return Ok(false);
        }
        let rules = self.rules().await?;
        let rules = rules.iter().filter_map(|record| {
            // It was compiled when it was made.
            Some((record, record.rule.compile().ok().filter(|rule| rule.enabled)?))
        });
        let rules: Vec<_> = rules.collect();
        let mut transaction = self.transaction();
        for event in &events {
            let shown = envelope(event, &self.arn());
            for (record, rule) in rules.iter().filter(|(_, rule)| rule.pattern.matches(&shown)) {
                transaction = self.apply((record, rule), (event, &shown), transaction).await?;
            }
            position = event.position.unwrap_or(position);
            // Many dead letters are kept some at a time.
            if transaction.bytes() > LETTERS {
                break;
            }
        }
        let expect = row.map_or(Expect::Absent, |row| Expect::Version(row.version));
        match store.commit(transaction.put(POSITIONS, POSITION, &position, expect)?).await {
            // Another server follows it too.
            Err(StoreError::Conflict { .. }) => Ok(false),
            committed => Ok(committed.map(|_| true)?),
        }
    }

    /// Acts on one event by a rule that it matches; dead letters go into `transaction`.
    async fn apply(
        &self,
        (record, rule): (&RuleRecord, &Rule),
        (event, shown): (&Event, &Value),
        mut transaction: Transaction,
    ) -> Result<Transaction, EngineError> {
        let name = record.name.as_str();
        let led = shown.pointer("/detail/caused_by").cloned().unwrap_or_else(|| json!([]));
        let led: Causation = serde_json::from_value(led).unwrap_or_default();
        if led.depth() == 0 && event.actor == PrincipalId::system(ACTOR) {
            return Ok(transaction);
        }
        let position = event.position.unwrap_or_default();
        let rule_arn = format!("arn:aws:events:local:{ACCOUNT}:rule/{name}");
        let delivery =
            Delivery { event: shown, received: event.at, rule: name, rule_arn: &rule_arn };
        for target in &rule.targets {
            let machine = match &target.action {
                Action::StartExecution(workflow) => workflow.to_string(),
                Action::CallWebhook(_) => WEBHOOK.to_owned(),
            };
            let execution = started_by(name, &format!("{position}-{}", last_part(&target.id)));
            let key = ExecutionKey { machine, name: execution };
            let source = format!("rule/{name}");
            let input = |told: Value| match &target.action {
                Action::StartExecution(_) => told,
                Action::CallWebhook(webhook) => webhook.input(&source, &told),
            };
            let told = target.input.apply(delivery).map_err(|error| error.to_string());
            let told = told.and_then(|text| match target.input.gives_json() {
                true => serde_json::from_str(&text).map_err(|error| error.to_string()),
                false => Ok(Value::String(text)),
            });
            let caused_by = led.then(name);
            let origin = Origin {
                author: Some(record.author.clone()),
                caused_by: caused_by.as_ref().unwrap_or(&led).clone(),
                ..Origin::default()
            };
            let started = async {
                caused_by.map_err(|error: Loop| EngineError::Refused(error.to_string()))?;
                let age = self.engine.shared.clock.now().duration_since(event.at).as_secs();
                if let Some(most) = target.max_age_seconds.filter(|most| age > i64::from(*most)) {
                    let why = format!("the event was {age} s old, and {most} s is the most");
                    return Err(EngineError::Refused(why));
                }
                let told = told.clone().map_err(EngineError::Refused)?;
                self.begin(&key, input(told), origin.clone()).await
            };
            let started = started.await;
            // What the rule could not make an input of is kept as it came.
            let told = told.unwrap_or_else(|_| shown.clone());
            let input = input(told);
            let wanted = Wanted { source: source.clone(), execution: key, input, origin };
            (transaction, _) = self.settle(started, wanted, transaction)?;
        }
        Ok(transaction)
    }
}

/// What the name of an execution ends with for its target. It has no `-`, so that no other rule's
/// name, position and target make the same name.
fn last_part(id: &str) -> Cow<'_, str> {
    if id.len() <= 20 && !id.contains('-') { id.into() } else { short_digest(id).into() }
}

/// An event of the log in EventBridge's form.
fn envelope(event: &Event, arn: &str) -> Value {
    let detail: Value = serde_json::from_slice(&event.payload).unwrap_or_default();
    let posted = || serde_json::from_value::<PostedEvent>(detail.clone()).ok();
    let posted = (event.kind == POSTED).then(posted).flatten();
    let (source, kind, detail, resources, at) = match posted {
        Some(PostedEvent { source, detail_type, detail, resources, time }) => {
            (source, detail_type, detail.into(), resources, time.unwrap_or(event.at))
        }
        None => {
            let resources = vec![format!("{arn}:{}", event.stream)];
            ("groundcrew".to_owned(), event.kind.clone(), detail, resources, event.at)
        }
    };
    json!({
        "version": "0",
        "id": event.position.unwrap_or_default().to_string(),
        "detail-type": kind,
        "source": source,
        "account": ACCOUNT,
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "region": "local",
        "resources": resources,
        "detail": detail,
    })
}
