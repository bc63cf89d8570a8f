//! Rows of a database.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use release::{Digest, TenantId, Timestamp};
use serde_json::{Map, Value};
use store::{Database, Query, Row};
use tokio::sync::mpsc;

use super::{MAX_DOCUMENT, MAX_DOCUMENTS, Offered, failed, tell, too_large, unusable};
use crate::{KnowledgeError, RawDocument, Seen, Source, SqlSpec};

/// How many rows wait to be taken.
const WAITING: usize = 16;

/// The rows of a query.
#[derive(Debug)]
pub struct Rows {
    spec: SqlSpec,
    database: Database,
    text: Text,
}

/// What a row's text is made of.
#[derive(Debug)]
enum Text {
    Column(String),
    /// Pieces of text, each with the column that follows it; and what follows the last.
    Template(Vec<(String, String)>, String),
}

impl Rows {
    pub fn open(
        spec: &SqlSpec,
        offered: &Offered,
        tenant: &TenantId,
    ) -> Result<Self, KnowledgeError> {
        let database = Offered::find(&offered.databases, "database", &spec.database, tenant)?;
        let text = match (&spec.text, &spec.template) {
            (Some(column), None) => Text::Column(column.clone()),
            (None, Some(template)) => {
                template_of(template).map_err(|why| unusable("`template`", why))?
            }
            _ => return Err(unusable("sql", "it needs either `text` or `template`")),
        };
        Ok(Self { spec: spec.clone(), database: database.clone(), text })
    }

    fn query(&self) -> Query {
        Query {
            sql: self.spec.query.clone(),
            key: self.spec.path.clone(),
            timeout: Duration::from_secs(self.spec.max_seconds),
            most: usize::try_from(MAX_DOCUMENT).unwrap_or(usize::MAX),
        }
    }

    /// What a row is known by. Another way to make its text makes another document of it.
    fn mark(&self, columns: &str) -> String {
        let text = match &self.spec.template {
            Some(template) => template,
            None => self.spec.text.as_deref().unwrap_or_default(),
        };
        let fields = [columns, text, self.spec.modified_at.as_deref().unwrap_or_default()];
        Digest::of_fields(fields.map(str::as_bytes)).to_hex()
    }

    fn document(&self, path: &str, columns: &str) -> Result<RawDocument, String> {
        let mark = self.mark(columns);
        let columns: Map<String, Value> =
            serde_json::from_str(columns).map_err(|error| error.to_string())?;
        let column = |name: &str| {
            let missing = || format!("the query gives no column `{name}`");
            columns.get(name).ok_or_else(missing)
        };
        let mut used = HashSet::from([self.spec.path.as_str()]);
        let text = match &self.text {
            Text::Column(name) => {
                used.insert(name);
                written(column(name)?)
            }
            Text::Template(pieces, rest) => {
                let mut text = String::new();
                for (before, name) in pieces {
                    text.push_str(before);
                    text.push_str(&written(column(name)?));
                }
                text + rest
            }
        };
        let mut modified_at = None;
        if let Some(name) = &self.spec.modified_at {
            used.insert(name);
            let value = column(name)?;
            let wrong = || format!("`{name}` is no moment: {value}");
            modified_at = match value {
                Value::Null => None,
                value => Some(moment(value).ok_or_else(wrong)?),
            };
        }
        let others = columns
            .iter()
            .filter(|(name, value)| !used.contains(name.as_str()) && !value.is_null());
        Ok(RawDocument {
            path: path.to_owned(),
            bytes: text.into(),
            media_type: Some(self.spec.media_type.clone()),
            mark,
            modified_at,
            version: None,
            metadata: others.map(|(name, value)| (name.clone(), value.clone())).collect(),
        })
    }

    fn seen(&self, path: String, row: &Row, before: &BTreeMap<String, String>) -> Seen {
        let Some(columns) = &row.columns else {
            let bytes = u64::try_from(row.bytes).unwrap_or(u64::MAX);
            return failed(path, too_large(bytes).unwrap_or_default());
        };
        if before.get(&path) == Some(&self.mark(columns)) {
            return Seen::Same(path);
        }
        match self.document(&path, columns) {
            Ok(document) => Seen::Fresh(Box::new(document)),
            Err(reason) => failed(path, reason),
        }
    }
}

/// Reads a template: `{name}` is a column, `{{` and `}}` are braces.
fn template_of(template: &str) -> Result<Text, String> {
    let (mut pieces, mut text) = (Vec::new(), String::new());
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let (brace, after) = rest[at..].split_at(1);
        if let Some(after) = after.strip_prefix(brace) {
            text.push_str(brace);
            rest = after;
        } else if let Some((name, after)) = after.split_once('}').filter(|_| brace == "{") {
            pieces.push((std::mem::take(&mut text), name.trim().to_owned()));
            rest = after;
        } else {
            return Err(format!("`{brace}` stands alone: write it twice to mean the brace itself"));
        }
    }
    text.push_str(rest);
    Ok(Text::Template(pieces, text))
}

fn written(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// A moment as databases write it: with or without a time zone (then UTC), or in seconds or
/// milliseconds since 1970.
fn moment(value: &Value) -> Option<Timestamp> {
    if let Some(number) = value.as_i64() {
        // Before 1973 in milliseconds, after 5138 in seconds.
        return match number.unsigned_abs() < 100_000_000_000 {
            true => Timestamp::from_second(number).ok(),
            false => Timestamp::from_millisecond(number).ok(),
        };
    }
    let text = value.as_str()?.trim();
    let civil = || {
        let moment: jiff::civil::DateTime = text.parse().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(moment).ok()
    };
    text.parse().ok().or_else(civil)
}

#[async_trait]
impl Source for Rows {
    async fn read(
        &self,
        before: &BTreeMap<String, String>,
        seen: mpsc::Sender<Seen>,
    ) -> Result<(), KnowledgeError> {
        let of = || format!("database `{}`", self.spec.database);
        let (sender, receiver) = mpsc::channel::<Row>(WAITING);
        let telling = async {
            // Gone as soon as it cannot go on: then the query stops.
            let mut receiver = receiver;
            let mut paths = HashSet::new();
            while let Some(row) = receiver.recv().await {
                let Some(path) = row.key.clone() else {
                    let why = format!("a row has nothing in `{}`, its path", self.spec.path);
                    return Err(unusable(of(), why));
                };
                if !paths.insert(path.clone()) {
                    let why = format!("two rows have the path `{path}` in `{}`", self.spec.path);
                    return Err(unusable(of(), why));
                }
                if paths.len() > MAX_DOCUMENTS {
                    return Err(KnowledgeError::TooMany(MAX_DOCUMENTS));
                }
                tell(&seen, self.seen(path, &row, before)).await?;
            }
            Ok(())
        };
        let query = self.query();
        let (read, told) = tokio::join!(self.database.read(&query, sender), telling);
        told?;
        read.map_err(|error| unusable(of(), error.to_string()))
    }
}

#[cfg(test)]
mod tests;
