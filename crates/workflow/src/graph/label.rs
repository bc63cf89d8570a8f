//! Conditions and waits in a few words.

use serde_json::Value;

use crate::choice::{Operand, Operator, Relation, Rule, Test};
use crate::definition::{Condition, Wait};
use crate::template::Template;

/// When a choice is taken.
pub fn condition(condition: &Condition) -> String {
    match condition {
        Condition::Rule(rule) => self::rule(rule, false),
        Condition::Expression(expression) => expression.as_str().to_owned(),
        Condition::Fixed(fixed) => fixed.to_string(),
    }
}

/// How long a Wait state waits, where that is short to say.
pub fn wait(wait: &Wait) -> Option<String> {
    let (Wait::Seconds(template) | Wait::Timestamp(template)) = wait;
    let told = match template {
        Template::Value(Value::String(text)) => text.clone(),
        Template::Value(value) => value.to_string(),
        Template::Path(_, path) => path.to_string(),
        Template::Expression(expression) => expression.as_str().to_owned(),
        _ => return None,
    };
    Some(match wait {
        Wait::Seconds(_) => format!("{told} s"),
        Wait::Timestamp(_) => format!("until {told}"),
    })
}

fn rule(rule: &Rule, within: bool) -> String {
    let all = |rules: &[Rule], word: &str| {
        let rules: Vec<_> = rules.iter().map(|one| self::rule(one, true)).collect();
        let joined = rules.join(word);
        if within { format!("({joined})") } else { joined }
    };
    match rule {
        Rule::And(rules) => all(rules, " and "),
        Rule::Or(rules) => all(rules, " or "),
        Rule::Not(rule) => format!("not {}", self::rule(rule, true)),
        Rule::Compare { variable, operator } => format!("{variable} {}", self::operator(operator)),
    }
}

fn operator(operator: &Operator) -> String {
    match operator {
        Operator::Order { relation, to, .. } => {
            let sign = match relation {
                Relation::Equals => "=",
                Relation::LessThan => "<",
                Relation::LessThanEquals => "≤",
                Relation::GreaterThan => ">",
                Relation::GreaterThanEquals => "≥",
            };
            match to {
                Operand::Value(value) => format!("{sign} {value}"),
                Operand::Path(path) => format!("{sign} {path}"),
            }
        }
        Operator::Matches(pattern) => format!("like \"{pattern}\""),
        Operator::Is(test, expected) => {
            let what = match test {
                Test::Null => "null",
                Test::Present => "present",
                Test::Numeric => "a number",
                Test::String => "a string",
                Test::Boolean => "true or false",
                Test::Timestamp => "a timestamp",
            };
            format!("{} {what}", if *expected { "is" } else { "is not" })
        }
    }
}
