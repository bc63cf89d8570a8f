//! Rules in the format of CloudWatch Contributor Insights.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/ContributorInsights-RuleSyntax.html>

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::Event;

/// The most keys of a rule.
const MAX_KEYS: usize = 4;
/// The most filters.
const MAX_FILTERS: usize = 4;
/// The most values that a filter lists.
const MAX_VALUES: usize = 10;
/// The most bytes of a key's value that are looked at.
const MAX_KEY: usize = 255;

/// A rule as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RuleFile {
    /// Always `{"Name": "CloudWatchLogRule", "Version": 1}`.
    pub schema: Schema,
    /// What is looked at: `spans`, `retrieval_edges` or `scores`, or services whose logs are; a `*`
    /// at the end stands for any ending, and alone for all logs.
    #[serde(default)]
    pub log_group_names: Vec<String>,
    /// The same by ARN; what follows `log-group:` counts.
    #[serde(rename = "LogGroupARNs", default, skip_serializing_if = "Vec::is_empty")]
    pub log_group_arns: Vec<String>,
    /// `JSON`.
    #[serde(default = "json")]
    pub log_format: String,
    /// What contributes.
    pub contribution: Contribution,
    /// Whether events are counted or a value of them is summed up.
    #[serde(default)]
    pub aggregate_on: Aggregate,
}

fn json() -> String {
    "JSON".to_owned()
}

/// Which version of the format it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Schema {
    /// `CloudWatchLogRule`.
    pub name: String,
    /// 1.
    pub version: u32,
}

/// What contributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Contribution {
    /// One to four fields that tell contributors apart, as `$.user`.
    pub keys: Vec<String>,
    /// What is summed up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_of: Option<String>,
    /// At most four; all of them must fit.
    #[serde(default)]
    pub filters: Vec<FilterFile>,
}

/// Which events count: a field and one comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct FilterFile {
    /// The field.
    #[serde(rename = "Match")]
    pub field: String,
    /// Its value is one of these.
    #[serde(default, rename = "In", skip_serializing_if = "Option::is_none")]
    pub is_in: Option<Vec<String>>,
    /// Its value is none of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_in: Option<Vec<String>>,
    /// Its value begins with one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_with: Option<Vec<String>>,
    /// It is a number above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greater_than: Option<f64>,
    /// It is a number below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub less_than: Option<f64>,
    /// It is this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equal_to: Option<f64>,
    /// It is another number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_equal_to: Option<f64>,
    /// Whether it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_present: Option<bool>,
}

/// What is made of contributions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Aggregate {
    /// The values of `ValueOf` are summed up.
    Sum,
    /// Events are counted.
    #[default]
    Count,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It is not the format's JSON.
    #[error("the rule cannot be read: {message}")]
    Unreadable {
        /// Why, with line and column.
        message: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// A part of it cannot be.
    #[error("`{pointer}`: {message}")]
    Wrong {
        /// Where, as a JSON pointer.
        pointer: String,
        /// What is wrong, and what there may be.
        message: String,
    },
}

fn wrong<T>(pointer: impl Into<String>, message: impl Into<String>) -> Result<T, RuleError> {
    Err(RuleError::Wrong { pointer: pointer.into(), message: message.into() })
}

/// A rule that can be watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    tables: Vec<&'static str>,
    /// Names of services whose logs count, and whether more may follow.
    services: Vec<(String, bool)>,
    keys: Vec<Field>,
    value_of: Option<Field>,
    filters: Vec<(Field, Test)>,
}

/// A field of an event, as `$.a.b`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    written: String,
    /// Without `$.`: a column's or an attribute's name.
    pub name: String,
    /// The way into a JSON body.
    pub steps: Vec<Step>,
}

/// One step into JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Name(String),
    Index(usize),
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    StartsWith(Vec<String>),
    GreaterThan(f64),
    LessThan(f64),
    EqualTo(f64),
    NotEqualTo(f64),
    IsPresent(bool),
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let file: RuleFile = serde_json::from_str(text).map_err(|error| RuleError::Unreadable {
            line: error.line(),
            column: error.column(),
            message: error.to_string(),
        })?;
        Self::new(&file)
    }

    /// A rule of its file.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn new(file: &RuleFile) -> Result<Self, RuleError> {
        if file.schema != (Schema { name: "CloudWatchLogRule".to_owned(), version: 1 }) {
            return wrong("/Schema", "write {\"Name\": \"CloudWatchLogRule\", \"Version\": 1}");
        }
        if file.log_format != "JSON" {
            return wrong(
                "/LogFormat",
                format!("write \"JSON\"; `{}` is not read", file.log_format),
            );
        }
        let Contribution { keys, value_of, filters } = &file.contribution;
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return wrong("/Contribution/Keys", format!("name 1 to {MAX_KEYS} fields"));
        }
        if filters.len() > MAX_FILTERS {
            return wrong("/Contribution/Filters", format!("there are at most {MAX_FILTERS}"));
        }
        let at = |number: usize| format!("/Contribution/Keys/{number}");
        let keys = keys.iter().enumerate().map(|(number, key)| field(key, &at(number)));
        let value_of = match (file.aggregate_on, value_of) {
            (Aggregate::Sum, Some(value)) => Some(field(value, "/Contribution/ValueOf")?),
            (Aggregate::Count, None) => None,
            (Aggregate::Sum, None) => {
                return wrong("/AggregateOn", "`Sum` needs `ValueOf` in `Contribution`");
            }
            (Aggregate::Count, Some(_)) => {
                return wrong("/Contribution/ValueOf", "only `\"AggregateOn\": \"Sum\"` has it");
            }
        };
        let at = |number: usize| format!("/Contribution/Filters/{number}");
        let filters = filters.iter().enumerate().map(|(number, it)| filter(it, &at(number)));
        let (tables, services) = groups(file)?;
        Ok(Self {
            tables,
            services,
            keys: keys.collect::<Result<_, _>>()?,
            value_of,
            filters: filters.collect::<Result<_, _>>()?,
        })
    }

    /// The keys as they are written.
    pub fn keys(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.written.clone()).collect()
    }

    /// What is summed up, as it is written.
    pub fn value_of(&self) -> Option<String> {
        self.value_of.as_ref().map(|field| field.written.clone())
    }

    /// Whether events are counted.
    pub fn aggregate(&self) -> Aggregate {
        if self.value_of.is_some() { Aggregate::Sum } else { Aggregate::Count }
    }

    /// Who contributes what with an event: nobody if a filter does not fit, a key is missing, or
    /// what is summed up is no number or negative.
    pub(super) fn contribution(&self, event: &Event<'_>) -> Option<(Vec<String>, f64)> {
        let looked_at = match event.table() {
            "logs" => {
                let service = event.service();
                self.services.iter().any(|(name, more)| match more {
                    true => service.starts_with(name.as_str()),
                    false => service == name,
                })
            }
            table => self.tables.contains(&table),
        };
        let fits = |(field, test): &(Field, Test)| test.fits(event.field(field).as_deref());
        if !looked_at || !self.filters.iter().all(fits) {
            return None;
        }
        let value = match &self.value_of {
            Some(field) => number(&event.field(field)?).filter(|value| *value >= 0.0)?,
            None => 1.0,
        };
        let keys = self.keys.iter().map(|key| event.field(key).map(cut));
        Some((keys.collect::<Option<_>>()?, value))
    }
}

impl Test {
    fn fits(&self, value: Option<&str>) -> bool {
        if let Self::IsPresent(wanted) = self {
            return value.is_some() == *wanted;
        }
        let Some(value) = value else { return false };
        let compare = |test: &dyn Fn(f64) -> bool| number(value).is_some_and(test);
        match self {
            Self::In(values) => values.iter().any(|one| one == value),
            Self::NotIn(values) => values.iter().all(|one| one != value),
            Self::StartsWith(values) => values.iter().any(|one| value.starts_with(one.as_str())),
            Self::GreaterThan(bound) => compare(&|value| value > *bound),
            Self::LessThan(bound) => compare(&|value| value < *bound),
            Self::EqualTo(bound) => compare(&|value| value == *bound),
            Self::NotEqualTo(bound) => compare(&|value| value != *bound),
            Self::IsPresent(_) => false,
        }
    }
}

/// The tables and the services that are named.
type Groups = (Vec<&'static str>, Vec<(String, bool)>);

fn groups(file: &RuleFile) -> Result<Groups, RuleError> {
    let by_arn = file.log_group_arns.iter().map(|arn| match arn.split_once("log-group:") {
        Some((_, name)) => name.trim_end_matches(":*"),
        None => arn,
    });
    let named = file.log_group_names.iter().map(String::as_str).chain(by_arn);
    let (mut tables, mut services) = (Vec::new(), Vec::new());
    for name in named {
        match ["spans", "retrieval_edges", "scores"].into_iter().find(|table| *table == name) {
            Some(table) => tables.push(table),
            None if name == "logs" => services.push((String::new(), true)),
            None => {
                let short = name.strip_suffix('*');
                services.push((short.unwrap_or(name).to_owned(), short.is_some()));
            }
        }
    }
    if tables.is_empty() && services.is_empty() {
        let message = "name `spans`, `retrieval_edges`, `scores`, `logs`, or services";
        return wrong("/LogGroupNames", message);
    }
    Ok((tables, services))
}

fn filter(file: &FilterFile, pointer: &str) -> Result<(Field, Test), RuleError> {
    let mut tests: Vec<Test> = Vec::new();
    tests.extend(file.is_in.clone().map(Test::In));
    tests.extend(file.not_in.clone().map(Test::NotIn));
    tests.extend(file.starts_with.clone().map(Test::StartsWith));
    tests.extend(file.greater_than.map(Test::GreaterThan));
    tests.extend(file.less_than.map(Test::LessThan));
    tests.extend(file.equal_to.map(Test::EqualTo));
    tests.extend(file.not_equal_to.map(Test::NotEqualTo));
    tests.extend(file.is_present.map(Test::IsPresent));
    let Ok([test]) = <[Test; 1]>::try_from(tests) else {
        let message = "a filter has one of In, NotIn, StartsWith, GreaterThan, LessThan, EqualTo, \
                       NotEqualTo, IsPresent";
        return wrong(pointer, message);
    };
    if let Test::In(values) | Test::NotIn(values) | Test::StartsWith(values) = &test
        && (values.is_empty() || values.len() > MAX_VALUES)
    {
        return wrong(pointer, format!("list 1 to {MAX_VALUES} values"));
    }
    Ok((field(&file.field, &format!("{pointer}/Match"))?, test))
}

/// Reads `$.a.b`, `$.a[0]`, `$['a.b'].c`.
fn field(written: &str, pointer: &str) -> Result<Field, RuleError> {
    let bad = || wrong(pointer, format!("`{written}` is no field: write it as `$.name`"));
    let Some(mut rest) = written.strip_prefix('$').filter(|rest| !rest.is_empty()) else {
        return bad();
    };
    let (mut name, mut steps) = (String::new(), Vec::new());
    while !rest.is_empty() {
        let (step, after) = if let Some(inner) = rest.strip_prefix('.') {
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            (Step::Name(inner[..end].to_owned()), &inner[end..])
        } else {
            let inside = rest.strip_prefix('[').and_then(|inner| inner.split_once(']'));
            let Some((inside, after)) = inside else { return bad() };
            let quoted = ['\'', '"'].into_iter().find_map(|quote| {
                inside.strip_prefix(quote).and_then(|inner| inner.strip_suffix(quote))
            });
            match (quoted, inside.parse()) {
                (Some(quoted), _) => (Step::Name(quoted.to_owned()), after),
                (None, Ok(index)) => (Step::Index(index), after),
                (None, Err(_)) => return bad(),
            }
        };
        match &step {
            Step::Name(part) if part.is_empty() => return bad(),
            Step::Name(part) => {
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(part);
            }
            Step::Index(index) => name.push_str(&format!("[{index}]")),
        }
        steps.push(step);
        rest = after;
    }
    Ok(Field { written: written.to_owned(), name, steps })
}

fn number(value: &str) -> Option<f64> {
    value.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

fn cut(value: Cow<'_, str>) -> String {
    let end = value.floor_char_boundary(MAX_KEY);
    value[..end].to_owned()
}
