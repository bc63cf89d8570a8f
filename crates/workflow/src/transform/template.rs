//! A text with variables.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Delivery, TransformError, select};
use crate::MAX_PAYLOAD;
use crate::path::Path;
use crate::weight::Allowance;

/// A template, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
    json: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Variable { variable: Variable, quoted: bool },
}

#[derive(Debug, Clone, PartialEq)]
enum Variable {
    Path(Path),
    Event,
    EventWithoutDetail,
    IngestionTime,
    RuleName,
    RuleArn,
}

impl Template {
    /// Takes a template apart and checks its form.
    pub fn parse(text: &str, paths: &BTreeMap<&str, Path>) -> Result<Self, TransformError> {
        let parts = parts(text, paths)?;
        // Its form is that of a filled-in one.
        let sample = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Variable { quoted: true, .. } => String::new(),
            Part::Variable { quoted: false, .. } => "null".to_owned(),
        };
        let sample: String = parts.iter().map(sample).collect();
        let json = match serde_json::from_str::<Value>(&sample) {
            Ok(_) => true,
            Err(error) => {
                let mut lines = sample.lines().filter(|line| !line.trim().is_empty());
                if !lines.all(|line| serde_json::from_str::<String>(line).is_ok()) {
                    return Err(TransformError::Malformed(error.to_string()));
                }
                false
            }
        };
        Ok(Self { parts, json })
    }

    /// Whether it is JSON, not lines of text.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// The template with what its variables stand for.
    pub fn fill(&self, delivery: Delivery<'_>) -> Result<String, TransformError> {
        let mut filled = String::new();
        let allowance = Allowance::default();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Variable { variable, quoted } => {
                    filled.push_str(&written(variable.value(delivery, &allowance)?, *quoted));
                }
            }
            // A template may name a large part of an event a thousand times.
            if filled.len() > MAX_PAYLOAD {
                return Err(TransformError::TooLong);
            }
        }
        Ok(filled)
    }
}

impl Variable {
    fn named(name: &str, paths: &BTreeMap<&str, Path>) -> Option<Self> {
        Some(match name {
            "aws.events.event.json" => Self::Event,
            "aws.events.event" => Self::EventWithoutDetail,
            "aws.events.event.ingestion-time" => Self::IngestionTime,
            "aws.events.rule-name" => Self::RuleName,
            "aws.events.rule-arn" => Self::RuleArn,
            name => Self::Path(paths.get(name)?.clone()),
        })
    }

    fn value(
        &self,
        delivery: Delivery<'_>,
        allowance: &Allowance,
    ) -> Result<Option<Value>, TransformError> {
        Ok(Some(match self {
            Self::Path(path) => return select(path, delivery.event, allowance),
            Self::Event => delivery.event.clone(),
            Self::EventWithoutDetail => {
                let mut event = delivery.event.clone();
                if let Some(fields) = event.as_object_mut() {
                    fields.shift_remove("detail");
                }
                event
            }
            Self::IngestionTime => {
                delivery.received.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
            }
            Self::RuleName => delivery.rule.into(),
            Self::RuleArn => delivery.rule_arn.into(),
        }))
    }
}

fn parts(text: &str, paths: &BTreeMap<&str, Path>) -> Result<Vec<Part>, TransformError> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut quoted = false;
    // A variable of the string we are in.
    let mut within = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '<'
            && let Some(name) = name(&rest[1..])
        {
            let variable = Variable::named(name, paths)
                .ok_or_else(|| TransformError::Undefined(name.to_owned()))?;
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Variable { variable, quoted });
            within = Some(name).filter(|_| quoted);
            rest = &rest[name.len() + 2..];
            continue;
        }
        let mut length = c.len_utf8();
        match c {
            '\\' if quoted => {
                length += rest[1..].chars().next().map_or(0, char::len_utf8);
            }
            '"' => {
                quoted = !quoted;
                let names_a_field = !quoted && rest[1..].trim_start().starts_with(':');
                if let Some(name) = within.take()
                    && names_a_field
                {
                    return Err(TransformError::VariableInName(name.to_owned()));
                }
            }
            _ => {}
        }
        plain.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    parts.push(Part::Text(plain));
    Ok(parts)
}

/// What a variable stands for, as it is written in or outside of quotes.
fn written(value: Option<Value>, quoted: bool) -> String {
    match (value, quoted) {
        (None, true) => String::new(),
        (value, false) => value.unwrap_or_else(|| "".into()).to_string(),
        (Some(Value::String(text)), true) => escaped(&text),
        (Some(value), true) => escaped(&value.to_string().replace('"', "")),
    }
}

/// The name that a `<` begins, if its `>` follows.
fn name(text: &str) -> Option<&str> {
    let (name, _) = text.split_once('>')?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!name.is_empty() && name.chars().all(allowed)).then_some(name)
}

/// A text as it is written between quotes in JSON.
fn escaped(text: &str) -> String {
    let written = Value::from(text).to_string();
    written[1..written.len() - 1].to_owned()
}
