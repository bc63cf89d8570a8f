//! JSON text as `TestState` writes the stages of a state's data: a space behind commas and colons.

use std::io::{Result, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> Result<()> {
        to.write_all(b": ")
    }
}

/// A value as text with spaces.
pub fn spaced(value: &Value) -> String {
    let mut text = Vec::new();
    // Writing a value to memory fails neither in the value nor in the memory.
    let written = value.serialize(&mut Serializer::with_formatter(&mut text, Spaced)).is_ok();
    let text = String::from_utf8(text).ok().filter(|_| written);
    text.unwrap_or_else(|| value.to_string())
}
