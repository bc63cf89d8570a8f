//! What a computation makes and looks at is bounded while it goes on, not when it is done: a short
//! path may visit a value a million times over, a short template may copy it as often.

use std::cell::Cell;

use serde_json::Value;

use crate::interpreter::MAX_PAYLOAD;

/// The most that one computation makes: a little of it may be dropped again before it is a payload.
const MOST: usize = 4 * MAX_PAYLOAD;
/// The most values that one computation looks at.
const VISITS: usize = 4_000_000;
/// How deep a payload may nest: what is stored must be readable again.
pub const NESTED: usize = 100;

/// A computation that was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// It makes too much.
    #[error("it makes more than {MOST} bytes of data")]
    Data,
    /// It takes too long.
    #[error("it looks at more than {VISITS} values")]
    Visits,
}

/// What a computation may still do.
#[derive(Debug)]
pub struct Allowance {
    bytes: Cell<usize>,
    visits: Cell<usize>,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { bytes: Cell::new(MOST), visits: Cell::new(VISITS) }
    }
}

impl Allowance {
    /// Looks at so many values.
    pub fn look(&self, count: usize) -> Result<(), TooMuch> {
        self.visits.set(self.visits.get().checked_sub(count).ok_or(TooMuch::Visits)?);
        Ok(())
    }

    /// Looks at a value and all that is in it.
    pub fn look_into(&self, value: &Value) -> Result<(), TooMuch> {
        each(value, |_| self.look(1))
    }

    /// Makes so many bytes, which takes time as well.
    pub fn make(&self, bytes: usize) -> Result<(), TooMuch> {
        self.bytes.set(self.bytes.get().checked_sub(bytes).ok_or(TooMuch::Data)?);
        self.look(bytes / 64)
    }

    /// Copies a value.
    pub fn copy(&self, value: &Value) -> Result<Value, TooMuch> {
        self.weigh(value)?;
        Ok(value.clone())
    }

    /// Makes a value: texts, names and punctuation count as they are written.
    pub fn weigh(&self, value: &Value) -> Result<(), TooMuch> {
        each(value, |value| {
            self.make(match value {
                Value::String(text) => text.len() + 2,
                Value::Object(fields) => fields.keys().map(|name| name.len() + 4).sum(),
                _ => 4,
            })
        })
    }

    /// Does work whose result does not stay: what it makes does not count.
    pub fn briefly<T>(&self, work: impl FnOnce() -> T) -> T {
        let bytes = self.bytes.get();
        let result = work();
        self.bytes.set(bytes);
        result
    }
}

/// Goes through a value and all that is in it.
fn each(
    value: &Value,
    mut visit: impl FnMut(&Value) -> Result<(), TooMuch>,
) -> Result<(), TooMuch> {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        visit(value)?;
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => open.extend(fields.values()),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a payload is larger, or nests deeper, than an execution may have.
pub fn too_large(value: &Value) -> bool {
    nests_deeper(value, NESTED) || value.to_string().len() > MAX_PAYLOAD
}

fn nests_deeper(value: &Value, depth: usize) -> bool {
    let below = |value: &Value| depth == 0 || nests_deeper(value, depth - 1);
    match value {
        Value::Array(items) => items.iter().any(below),
        Value::Object(fields) => fields.values().any(below),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
