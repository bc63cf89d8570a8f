//! State machines: defining them, and looking at what is defined.

use serde_json::{Value, json};
use workflow::definition::{MAX_FINDINGS, Severity};
use workflow::engine::{
    AliasRecord, Defining, EngineError, MachineRecord, MachineType, Qualifier, Tagged,
    TenantEngine, VersionRecord, qualified,
};
use workflow::{Machine, seconds, teststate};

use super::super::{Call, Exception};
use super::{Asked, machine_arn, unperformed, untaggable};

/// Performs an operation.
pub async fn perform(
    operation: &str,
    engine: &TenantEngine,
    call: &Call,
    asked: Asked,
) -> Result<Value, Exception> {
    match operation {
        "CreateStateMachine" => create(engine, &asked).await,
        "UpdateStateMachine" => update(engine, &asked).await,
        "DescribeStateMachine" => describe(engine, call, &asked).await,
        "DeleteStateMachine" => {
            // The service says nothing about one that is not there.
            match engine.remove(asked.unqualified()?).await {
                Ok(()) | Err(EngineError::UnknownMachine(_)) => Ok(json!({})),
                Err(error) => Err(error.into()),
            }
        }
        "ListStateMachines" => {
            let all = engine.machines().await?;
            let all = all.iter().map(|machine| {
                json!({"stateMachineArn": machine_arn(engine, &machine.name),
                    "name": machine.name, "type": machine.kind.as_str(),
                    "creationDate": seconds(machine.created_at)})
            });
            asked.page("stateMachines", all.collect())
        }
        "ValidateStateMachineDefinition" => Ok(validated(&asked)),
        "TestState" => test_state(call),
        "TagResource" => {
            engine.tag(&asked.tagged()?, asked.tags()?).await.map_err(untaggable)?;
            Ok(json!({}))
        }
        "UntagResource" => {
            engine.untag(&asked.tagged()?, &asked.tag_keys).await.map_err(untaggable)?;
            Ok(json!({}))
        }
        "ListTagsForResource" => {
            let tags = engine.tags(&asked.tagged()?).await.map_err(untaggable)?;
            let tags = tags.iter().map(|(key, value)| json!({"key": key, "value": value}));
            Ok(json!({"tags": tags.collect::<Vec<_>>()}))
        }
        other => Err(unperformed(other)),
    }
}

async fn create(engine: &TenantEngine, asked: &Asked) -> Result<Value, Exception> {
    let (name, tags, defining) = (asked.name()?, asked.tags()?, asked.defining()?);
    let text = asked.definition.as_deref().unwrap_or_default();
    let kind = defining.kind.unwrap_or_default();
    let known = match engine.machine(&name).await {
        Ok(known) => Some(known),
        Err(EngineError::UnknownMachine(_)) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(known) = &known
        && (engine.definition(known.definition).await? != text
            || known.kind != kind
            || (defining.publish && known.published.is_none()))
    {
        let why = format!("State Machine Already Exists: '{}'", machine_arn(engine, &name));
        return Err(Exception::new("StateMachineAlreadyExists", why));
    }
    let defining = Defining { kind: Some(kind), ..defining };
    let (made, version) = engine.define_as(&name, text, &defining).await?;
    // Tags of a second request are ignored.
    if known.is_none() {
        engine.tag(&Tagged::Machine(name.clone()), tags).await.map_err(untaggable)?;
    }
    let arn = machine_arn(engine, &name);
    let told = json!({"stateMachineArn": arn, "creationDate": seconds(made.created_at)});
    Ok(with_version(told, &arn, version.as_ref()))
}

async fn update(engine: &TenantEngine, asked: &Asked) -> Result<Value, Exception> {
    let machine = engine.machine(asked.unqualified()?).await?;
    if asked.definition.is_none() && asked.role_arn.is_none() {
        let why = "Either the definition, the role ARN, or both must be specified";
        return Err(Exception::new("MissingRequiredParameter", why));
    }
    let text = match &asked.definition {
        Some(text) => text.clone(),
        None => engine.definition(machine.definition).await?,
    };
    let (made, version) = engine.define_as(&machine.name, &text, &asked.defining()?).await?;
    let mut told = json!({"updateDate": seconds(made.changed_at)});
    if let Some(revision) = made.revision {
        told["revisionId"] = revision.into();
    }
    Ok(with_version(told, &machine_arn(engine, &machine.name), version.as_ref()))
}

fn with_version(mut told: Value, arn: &str, version: Option<&VersionRecord>) -> Value {
    if let Some(version) = version {
        told["stateMachineVersionArn"] = format!("{arn}:{}", version.version).into();
    }
    told
}

async fn describe(engine: &TenantEngine, call: &Call, asked: &Asked) -> Result<Value, Exception> {
    let (name, qualifier) = qualified(asked.machine()?);
    let machine = engine.machine(name).await?;
    let version = match qualifier {
        None => None,
        Some(Qualifier::Version(version)) => Some(version),
        // An alias is described by the version that gets most of its executions.
        Some(Qualifier::Alias(alias)) => {
            let AliasRecord { routes, .. } = engine.alias(name, alias).await?;
            routes.iter().max_by_key(|route| route.weight).map(|route| route.version)
        }
    };
    let Some(version) = version else {
        let text = engine.definition(machine.definition).await?;
        return Ok(described(engine, call, &machine, &text));
    };
    let version = engine.version(name, version).await?;
    let text = engine.definition(version.definition).await?;
    let (revision, created_at) = (version.revision.clone(), version.created_at);
    let machine = MachineRecord { revision, created_at, ..machine };
    let mut told = described(engine, call, &machine, &text);
    told["stateMachineArn"] = format!("{}:{}", machine_arn(engine, name), version.version).into();
    if let Some(description) = version.description {
        told["description"] = description.into();
    }
    Ok(told)
}

fn test_state(call: &Call) -> Result<Value, Exception> {
    let request: teststate::Request = call.body()?;
    // What a test draws at random need not be drawn again.
    let seed = call.now.as_nanosecond() as u64;
    let answer = teststate::test_state(&request, call.now, seed)
        .map_err(|refused| Exception::new(refused.code, refused.message))?;
    serde_json::to_value(answer).map_err(|error| Exception::internal(error.to_string()))
}

fn validated(asked: &Asked) -> Value {
    let express = asked.r#type == Some(MachineType::Express);
    let (findings, result) = match Machine::parse(asked.definition.as_deref().unwrap_or_default()) {
        Ok((machine, _)) if express && !machine.unfit_for_express().is_empty() => {
            (machine.unfit_for_express(), "FAIL")
        }
        Ok((_, warnings)) => (warnings, "OK"),
        Err(findings) => (findings, "FAIL"),
    };
    let findings = findings.iter().map(|finding| {
        let severity = match finding.severity {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
        };
        json!({"severity": severity, "code": finding.code, "message": finding.message,
            "location": finding.location})
    });
    let truncated = findings.len() > MAX_FINDINGS;
    let told: Vec<_> = findings.take(MAX_FINDINGS).collect();
    json!({"result": result, "diagnostics": told, "truncated": truncated})
}

fn described(engine: &TenantEngine, call: &Call, machine: &MachineRecord, text: &str) -> Value {
    let mut told = json!({"stateMachineArn": machine_arn(engine, &machine.name),
        "name": machine.name, "status": "ACTIVE", "definition": text,
        "type": machine.kind.as_str(),
        "roleArn": format!("arn:aws:iam::000000000000:role/{}", call.identity.principal),
        "creationDate": seconds(machine.created_at)});
    if let Some(revision) = &machine.revision {
        told["revisionId"] = revision.as_str().into();
    }
    told
}
