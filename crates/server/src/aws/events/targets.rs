//! The targets of a rule.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use workflow::engine::{EngineError, TenantEngine};
use workflow::rule::{RuleSpec, TargetSpec};
use workflow::transform::TransformSpec;

use super::{AGES, ATTEMPTS, refused};
use crate::aws::Exception;
use crate::aws::states::{machine_arn, named};

/// A target as it is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TargetAsked {
    id: String,
    arn: String,
    input: Option<String>,
    input_path: Option<String>,
    input_transformer: Option<InputTransformer>,
    retry_policy: Option<RetryPolicy>,
    #[serde(rename = "RoleArn")]
    _role_arn: Option<String>,
    #[serde(rename = "DeadLetterConfig")]
    _dead_letter_config: Option<Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct InputTransformer {
    #[serde(default)]
    input_paths_map: BTreeMap<String, String>,
    input_template: String,
}

/// How long and how often a target is tried. What fails here is kept as a dead letter at once, so
/// only the age counts.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RetryPolicy {
    maximum_event_age_in_seconds: Option<u32>,
    maximum_retry_attempts: Option<u32>,
}

impl RetryPolicy {
    /// How old what it is for may be, in seconds.
    ///
    /// # Errors
    /// If the age or the count is out of bounds.
    pub fn max_age(&self) -> Result<Option<u32>, String> {
        let (least, most) = AGES;
        match (self.maximum_event_age_in_seconds, self.maximum_retry_attempts) {
            (Some(age), _) if !(least..=most).contains(&age) => {
                Err(format!("`MaximumEventAgeInSeconds` is {least} to {most}, not {age}"))
            }
            (_, Some(attempts)) if attempts > ATTEMPTS => {
                Err(format!("`MaximumRetryAttempts` is 0 to {ATTEMPTS}, not {attempts}"))
            }
            (age, _) => Ok(age),
        }
    }
}

/// Adds targets to a rule, or replaces those of the same id. Each stands for itself: one that is
/// refused is told in its place.
pub async fn put(
    engine: &TenantEngine,
    rule: &str,
    targets: Vec<TargetAsked>,
) -> Result<Value, Exception> {
    let (mut put, mut failed) = (Vec::new(), Vec::new());
    for asked in targets {
        let id = asked.id.clone();
        match asked.target() {
            Ok(target) => put.push((id, target)),
            Err(why) => failed.push(json!({"TargetId": id, "ErrorCode": "ValidationException",
                "ErrorMessage": why})),
        }
    }
    change(engine, rule, |rule| {
        for (id, target) in &put {
            match rule.targets.iter_mut().find(|known| known.id(0) == *id) {
                Some(known) => *known = target.clone(),
                None => rule.targets.push(target.clone()),
            }
        }
    })
    .await?;
    Ok(json!({"FailedEntryCount": failed.len(), "FailedEntries": failed}))
}

/// Removes targets of a rule.
pub async fn remove(engine: &TenantEngine, rule: &str, ids: &[String]) -> Result<Value, Exception> {
    change(engine, rule, |rule| rule.targets.retain(|target| !ids.contains(&target.id(0)))).await?;
    Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}))
}

/// Changes the targets of a rule that is there, each of which has an id.
async fn change(
    engine: &TenantEngine,
    name: &str,
    change: impl Fn(&mut RuleSpec),
) -> Result<(), Exception> {
    let changed = engine.change_rule(name, |known| {
        let mut rule = known.ok_or_else(|| EngineError::UnknownRule(name.to_owned()))?;
        rule.name_targets();
        change(&mut rule);
        Ok(rule)
    });
    changed.await.map_err(refused)?;
    Ok(())
}

/// The targets of a rule as the service tells them.
pub fn shown(engine: &TenantEngine, rule: &RuleSpec) -> Vec<Value> {
    let numbered = (1..).zip(&rule.targets);
    let told = numbered.map(|(number, target)| {
        let (arn, input, age) = match target {
            TargetSpec::Execution { workflow, input, max_age_seconds, .. } => {
                (machine_arn(engine, workflow.as_str()), input, *max_age_seconds)
            }
            TargetSpec::Webhook { name, input, .. } => {
                (format!("{}:api-destination/{name}", super::arn(engine)), input, None)
            }
        };
        let mut told = json!({"Id": target.id(number), "Arn": arn});
        if let Some(constant) = &input.constant {
            told["Input"] = constant.to_string().into();
        }
        if let Some(path) = &input.path {
            told["InputPath"] = path.as_str().into();
        }
        if let Some(template) = &input.template {
            told["InputTransformer"] =
                json!({"InputPathsMap": input.variables, "InputTemplate": template});
        }
        if let Some(age) = age {
            told["RetryPolicy"] = json!({"MaximumEventAgeInSeconds": age});
        }
        told
    });
    told.collect()
}

impl TargetAsked {
    fn target(self) -> Result<TargetSpec, String> {
        let workflow = named(&self.arn, "stateMachine").map_err(|_| {
            format!("`{}` is not the ARN of a state machine: only those can be targets", self.arn)
        })?;
        let ways = [self.input.is_some(), self.input_path.is_some()];
        let ways = ways.into_iter().chain([self.input_transformer.is_some()]);
        if ways.filter(|way| *way).count() > 1 {
            return Err("only one of Input, InputPath and InputTransformer is given".to_owned());
        }
        let mut input = TransformSpec { path: self.input_path, ..TransformSpec::default() };
        if let Some(InputTransformer { input_paths_map, input_template }) = self.input_transformer {
            (input.variables, input.template) = (input_paths_map, Some(input_template));
        }
        if let Some(text) = self.input {
            let value: Value = serde_json::from_str(&text)
                .map_err(|error| format!("`Input` is not JSON: {error}"))?;
            // A constant that is null would be none.
            match value {
                Value::Null => input.template = Some("null".to_owned()),
                value => input.constant = Some(value),
            }
        }
        input.compile().map_err(|error| error.to_string())?;
        let max_age_seconds = match &self.retry_policy {
            Some(policy) => policy.max_age()?,
            None => None,
        };
        let workflow = workflow.parse().map_err(|error| format!("{error}"))?;
        Ok(TargetSpec::Execution { id: Some(self.id), workflow, max_age_seconds, input })
    }
}
