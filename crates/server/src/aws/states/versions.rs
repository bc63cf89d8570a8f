//! Versions of state machines, and aliases that lead to them.

use serde::Deserialize;
use serde_json::{Value, json};
use workflow::engine::{
    AliasChange, AliasRecord, EngineError, Qualifier, Route, TenantEngine, qualified,
};
use workflow::seconds;

use super::super::Exception;
use super::{Asked, invalid, machine_arn, named, unperformed};

/// Where an alias leads, as requests say it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Routed {
    state_machine_version_arn: String,
    weight: u8,
}

/// Performs an operation.
pub async fn perform(
    operation: &str,
    engine: &TenantEngine,
    asked: Asked,
) -> Result<Value, Exception> {
    match operation {
        "PublishStateMachineVersion" => {
            let (name, revision) = (asked.unqualified()?, asked.revision_id.as_deref());
            let made = engine.publish(name, revision, asked.description.clone()).await;
            // A description that is too long is no definition.
            let made = made.map_err(invalid)?;
            Ok(json!({"creationDate": seconds(made.created_at),
                "stateMachineVersionArn": arn(engine, name, made.version)}))
        }
        "ListStateMachineVersions" => {
            let name = asked.unqualified()?;
            let all = engine.versions(name).await?;
            let all = all.iter().map(|version| {
                json!({"stateMachineVersionArn": arn(engine, name, version.version),
                    "creationDate": seconds(version.created_at)})
            });
            asked.page("stateMachineVersions", all.collect())
        }
        "DeleteStateMachineVersion" => {
            let (name, version) = version(&asked.state_machine_version_arn)?;
            match engine.remove_version(name, version).await {
                // The service says nothing about one that is not there.
                Ok(()) | Err(EngineError::UnknownMachine(_)) => Ok(json!({})),
                Err(error) => Err(error.into()),
            }
        }
        "CreateStateMachineAlias" => {
            let (machine, change) = asked.change()?;
            let Some(machine) = machine else {
                let why = "`routingConfiguration` is missing: name a version";
                return Err(Exception::new("ValidationException", why));
            };
            let made = engine.create_alias(&machine, &asked.name()?, change).await;
            let made = made.map_err(invalid)?;
            Ok(json!({"stateMachineAliasArn": arn(engine, &machine, &made.name),
                "creationDate": seconds(made.created_at)}))
        }
        "UpdateStateMachineAlias" => {
            let ((machine, name), (routed, change)) = (asked.alias()?, asked.change()?);
            if change == AliasChange::default() {
                let why = "`description` or `routingConfiguration` must be given";
                return Err(Exception::new("ValidationException", why));
            }
            if let Some(other) = routed.filter(|routed| routed != machine) {
                let why = format!("`{other}` is another state machine than the alias's");
                return Err(Exception::new("ValidationException", why));
            }
            let made = engine.update_alias(machine, name, change).await.map_err(invalid)?;
            Ok(json!({"updateDate": seconds(made.changed_at)}))
        }
        "DescribeStateMachineAlias" => {
            let (machine, name) = asked.alias()?;
            let alias = engine.alias(machine, name).await.map_err(invalid)?;
            Ok(described(engine, &alias))
        }
        "DeleteStateMachineAlias" => {
            let (machine, name) = asked.alias()?;
            engine.remove_alias(machine, name).await.map_err(invalid)?;
            Ok(json!({}))
        }
        "ListStateMachineAliases" => {
            let (name, qualifier) = qualified(asked.machine()?);
            engine.machine(name).await?;
            let mut all = engine.aliases(name).await?;
            if let Some(Qualifier::Version(version)) = qualifier {
                all.retain(|alias| alias.leads_to(version));
            }
            // The newest first, as the service has them.
            all.sort_by_key(|alias| std::cmp::Reverse(alias.created_at));
            let all = all.iter().map(|alias| {
                json!({"stateMachineAliasArn": arn(engine, name, &alias.name),
                    "creationDate": seconds(alias.created_at)})
            });
            asked.page("stateMachineAliases", all.collect())
        }
        other => Err(unperformed(other)),
    }
}

impl Asked {
    /// The state machine and the name of the alias that is asked for.
    fn alias(&self) -> Result<(&str, &str), Exception> {
        let arn = &self.state_machine_alias_arn;
        match qualified(named(arn, "stateMachine")?) {
            (machine, Some(Qualifier::Alias(name))) => Ok((machine, name)),
            _ => Err(Exception::new("InvalidArn", format!("Invalid Arn: '{arn}'"))),
        }
    }

    /// What is changed of an alias, and the state machine whose versions it leads to.
    fn change(&self) -> Result<(Option<String>, AliasChange), Exception> {
        let description = self.description.clone();
        let Some(routed) = &self.routing_configuration else {
            return Ok((None, AliasChange { description, routes: None }));
        };
        let (mut machine, mut routes) = (None, Vec::new());
        for Routed { state_machine_version_arn, weight } in routed {
            let (name, version) = version(state_machine_version_arn)?;
            if machine.get_or_insert(name) != &name {
                let why = "an alias leads to versions of one state machine";
                return Err(Exception::new("ValidationException", why));
            }
            routes.push(Route { version, weight: *weight });
        }
        let change = AliasChange { description, routes: Some(routes) };
        Ok((machine.map(str::to_owned), change))
    }
}

/// The state machine and the number in the ARN of a version.
fn version(arn: &str) -> Result<(&str, u32), Exception> {
    match qualified(named(arn, "stateMachine")?) {
        (machine, Some(Qualifier::Version(version))) => Ok((machine, version)),
        _ => Err(Exception::new("InvalidArn", format!("Invalid Arn: '{arn}'"))),
    }
}

fn arn(engine: &TenantEngine, machine: &str, qualifier: impl std::fmt::Display) -> String {
    format!("{}:{qualifier}", machine_arn(engine, machine))
}

fn described(engine: &TenantEngine, alias: &AliasRecord) -> Value {
    let routes = alias.routes.iter().map(|route| {
        json!({"stateMachineVersionArn": arn(engine, &alias.machine, route.version),
            "weight": route.weight})
    });
    let mut told = json!({
        "stateMachineAliasArn": arn(engine, &alias.machine, &alias.name),
        "name": alias.name,
        "routingConfiguration": routes.collect::<Vec<_>>(),
        "creationDate": seconds(alias.created_at),
        "updateDate": seconds(alias.changed_at),
    });
    if let Some(description) = &alias.description {
        told["description"] = description.as_str().into();
    }
    told
}
