//! JSONPath as the service reads it: the dialect of Jayway's library, not RFC 9535.
//!
//! A path of names and indexes is *definite* and gives one value or none. Any other path gives an
//! array of what it found; only if it ends in an index and found one value, it gives that value.
//! Names need no quotes for hyphens.

mod filter;
mod parse;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::weight::{Allowance, TooMuch};
use filter::Filter;
pub use filter::same;

/// What a path is evaluated against.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// What `$` means.
    pub input: &'a Value,
    /// What `$$` means: the context object.
    pub context: &'a Value,
    /// What `$name` means.
    pub variables: &'a Map<String, Value>,
    /// What the computation may still do.
    pub allowance: &'a Allowance,
}

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    text: String,
    root: Root,
    segments: Vec<Segment>,
}

/// A text that is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at character {at}")]
pub struct PathError {
    /// What is wrong.
    pub message: &'static str,
    /// Where, in bytes from the start.
    pub at: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Root {
    Input,
    Context,
    Variable(String),
    /// `@` of a filter.
    Item,
}

#[derive(Debug, Clone, PartialEq)]
enum Segment {
    Name(String),
    Names(Vec<String>),
    Index(i64),
    Indexes(Vec<i64>),
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    },
    Wildcard,
    /// What the next segment selects, at every depth.
    Descent,
    Filter(Box<Filter>),
    Length,
}

impl Path {
    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it gives one value or none.
    pub fn is_definite(&self) -> bool {
        self.segments.iter().all(|segment| {
            matches!(segment, Segment::Name(_) | Segment::Index(_) | Segment::Length)
        })
    }

    /// Whether it may be written to: names and indexes below `$`.
    pub fn is_reference(&self) -> bool {
        let plain = |segment: &Segment| matches!(segment, Segment::Name(_) | Segment::Index(0..));
        self.root == Root::Input && self.segments.iter().all(plain)
    }

    /// Whether it leads into the input, not into the context object or a variable.
    pub fn starts_at_input(&self) -> bool {
        self.root == Root::Input
    }

    /// Notes the variables that it reads.
    pub fn variables<'a>(&'a self, names: &mut BTreeSet<&'a str>) {
        if let Root::Variable(name) = &self.root {
            names.insert(name);
        }
        for segment in &self.segments {
            if let Segment::Filter(filter) = segment {
                filter.variables(names);
            }
        }
    }

    /// What it selects; `None` if a definite path leads nowhere.
    ///
    /// # Errors
    /// If it looks at or selects too much.
    pub fn select(&self, scope: Scope<'_>) -> Result<Option<Value>, TooMuch> {
        self.find(scope)?
            .map(|found| match found {
                Cow::Borrowed(value) => scope.allowance.copy(value),
                Cow::Owned(value) => Ok(value),
            })
            .transpose()
    }

    /// As `select`, but copies only what it must.
    ///
    /// # Errors
    /// As `select`.
    pub fn find<'a>(&'a self, scope: Scope<'a>) -> Result<Option<Cow<'a, Value>>, TooMuch> {
        self.find_from(scope.input, scope)
    }

    /// `item` is what `@` means.
    fn find_from<'a>(
        &'a self,
        item: &'a Value,
        scope: Scope<'a>,
    ) -> Result<Option<Cow<'a, Value>>, TooMuch> {
        let root = match &self.root {
            Root::Input => Some(scope.input),
            Root::Item => Some(item),
            Root::Context => Some(scope.context),
            Root::Variable(name) => scope.variables.get(name),
        };
        let Some(root) = root else { return Ok(None) };
        let mut found = vec![root];
        let mut descend = false;
        let mut length = None;
        for segment in &self.segments {
            match segment {
                Segment::Descent => descend = true,
                Segment::Length => length = Some(()),
                segment => {
                    let nodes = if descend { descendants(found, scope)? } else { found };
                    descend = false;
                    let mut next = Vec::new();
                    for node in nodes {
                        segment.children(node, scope, &mut next)?;
                    }
                    found = next;
                }
            }
        }
        if length.is_some() {
            let length: Option<usize> = found.first().and_then(|value| match value {
                Value::Array(items) => Some(items.len()),
                Value::Object(fields) => Some(fields.len()),
                Value::String(text) => Some(text.chars().count()),
                _ => None,
            });
            return Ok(length.map(|length| Cow::Owned(length.into())));
        }
        let indexed = matches!(self.segments.last(), Some(Segment::Index(_)));
        if self.is_definite() || (indexed && found.len() == 1) {
            return Ok(found.pop().map(Cow::Borrowed));
        }
        let found = found.into_iter().map(|value| scope.allowance.copy(value));
        Ok(Some(Cow::Owned(found.collect::<Result<_, _>>()?)))
    }

    /// Why this definite path leads nowhere from `root`, in the words of Jayway's library.
    pub fn missing(&self, root: &Value) -> String {
        let mut shown = "$".to_owned();
        let mut at = Some(root);
        for (position, segment) in self.segments.iter().enumerate() {
            let next = match segment {
                Segment::Name(name) => {
                    shown.push_str(&format!("['{name}']"));
                    at.and_then(|at| at.get(name))
                }
                Segment::Index(index) => {
                    shown.push_str(&format!("[{index}]"));
                    at.and_then(|at| self::at(at.as_array()?, *index))
                }
                _ => at,
            };
            if next.is_none() && position + 1 < self.segments.len() {
                return format!("Missing property in path {shown}");
            }
            at = next;
        }
        format!("No results for path: {shown}")
    }

    /// Puts `value` where this reference path points, making objects on the way. `None` if
    /// something else is in the way.
    pub fn put(&self, target: Value, value: Value) -> Option<Value> {
        put(target, &self.segments, value)
    }
}

fn put(target: Value, segments: &[Segment], value: Value) -> Option<Value> {
    match (segments.split_first(), target) {
        (None, _) => Some(value),
        (Some((Segment::Name(name), rest)), Value::Object(mut fields)) => {
            let inner = fields.get(name).cloned().unwrap_or_else(|| Value::Object(Map::new()));
            fields.insert(name.clone(), put(inner, rest, value)?);
            Some(fields.into())
        }
        (Some((Segment::Index(index), rest)), Value::Array(mut items)) => {
            let item = items.get_mut(usize::try_from(*index).ok()?)?;
            *item = put(item.take(), rest, value)?;
            Some(items.into())
        }
        _ => None,
    }
}

/// Every value below, each itself first.
fn descendants<'a>(mut open: Vec<&'a Value>, scope: Scope<'_>) -> Result<Vec<&'a Value>, TooMuch> {
    open.reverse();
    let mut all = Vec::new();
    while let Some(value) = open.pop() {
        scope.allowance.look(1)?;
        all.push(value);
        match value {
            Value::Array(items) => open.extend(items.iter().rev()),
            Value::Object(fields) => open.extend(fields.values().rev()),
            _ => {}
        }
    }
    Ok(all)
}

impl Segment {
    fn children<'a>(
        &'a self,
        node: &'a Value,
        scope: Scope<'a>,
        out: &mut Vec<&'a Value>,
    ) -> Result<(), TooMuch> {
        let before = out.len();
        match (self, node) {
            (Self::Name(name), Value::Object(fields)) => out.extend(fields.get(name)),
            (Self::Names(names), Value::Object(fields)) => {
                out.extend(names.iter().filter_map(|name| fields.get(name)));
            }
            (Self::Index(index), Value::Array(items)) => out.extend(at(items, *index)),
            (Self::Indexes(indexes), Value::Array(items)) => {
                out.extend(indexes.iter().filter_map(|index| at(items, *index)));
            }
            (Self::Slice { start, end, step }, Value::Array(items)) => {
                let bound = |index: i64| {
                    let length = items.len() as i64;
                    let index = if index < 0 { index.saturating_add(length) } else { index };
                    index.clamp(0, length) as usize
                };
                let start = start.map_or(0, bound);
                let end = end.map_or(items.len(), bound);
                let step = usize::try_from(*step).unwrap_or(1).max(1);
                out.extend(items.iter().take(end).skip(start).step_by(step));
            }
            (Self::Wildcard, Value::Array(items)) => out.extend(items),
            (Self::Wildcard, Value::Object(fields)) => out.extend(fields.values()),
            (Self::Filter(filter), Value::Array(items)) => {
                for item in items {
                    if filter.admits(item, scope)? {
                        out.push(item);
                    }
                }
            }
            (Self::Filter(filter), Value::Object(_)) if filter.admits(node, scope)? => {
                out.push(node);
            }
            _ => {}
        }
        scope.allowance.look(out.len() - before + 1)
    }
}

fn at(items: &[Value], index: i64) -> Option<&Value> {
    let index = if index < 0 { index.checked_add(items.len() as i64)? } else { index };
    items.get(usize::try_from(index).ok()?)
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        parse::path(text)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
