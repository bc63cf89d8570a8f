//! RFC 8785 canonical JSON, refusing what would not survive the trip.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::Digest;

/// The largest integer every JSON reader prints back exactly (2⁵³).
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Nesting that parsers refuse beyond this depth.
const MAX_DEPTH: usize = 128;

/// JSON text in RFC 8785 form: the only form that is hashed and stored.
#[derive(Clone, PartialEq, Eq)]
pub struct CanonicalJson(Vec<u8>);

/// Why a document has no canonical form.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// The text is not JSON, repeats a key or holds a number outside ±2⁵³.
    #[error("not acceptable as canonical JSON: {0}")]
    Unacceptable(#[source] serde_json::Error),
    /// Bytes that claim to be canonical are not in canonical form.
    #[error("stored JSON is not in canonical form (RFC 8785)")]
    NotCanonical,
}

impl CanonicalJson {
    /// Canonicalises `value`. A float that is not finite has no JSON and would become null: types
    /// that hold floats refuse it when they are read.
    ///
    /// # Errors
    /// If a number lies beyond ±2⁵³.
    pub fn of(value: &impl Serialize) -> Result<Self, CanonicalError> {
        let text = serde_json::to_vec(value).map_err(CanonicalError::Unacceptable)?;
        Self::parse(&text)
    }

    /// Canonicalises JSON text.
    ///
    /// # Errors
    /// If the text is not JSON, repeats a key in an object, nests deeper than 128 levels, or holds
    /// an integer beyond ±2⁵³ (canonicalizers print 2⁵³+1 as 2⁵³, so its digest would lie).
    pub fn parse(text: &[u8]) -> Result<Self, CanonicalError> {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let value = Strict { depth: MAX_DEPTH }
            .deserialize(&mut deserializer)
            .and_then(|value| deserializer.end().map(|()| value))
            .map_err(CanonicalError::Unacceptable)?;
        serde_json_canonicalizer::to_vec(&value).map(Self).map_err(CanonicalError::Unacceptable)
    }

    /// Takes bytes that were stored as canonical JSON, checking that they still are.
    ///
    /// # Errors
    /// [`CanonicalError::NotCanonical`] if canonicalising them again gives other bytes.
    pub fn from_stored(bytes: Vec<u8>) -> Result<Self, CanonicalError> {
        let canonical = Self::parse(&bytes)?;
        if canonical.0 == bytes { Ok(canonical) } else { Err(CanonicalError::NotCanonical) }
    }

    /// Reads the document as `T`.
    ///
    /// # Errors
    /// If the document does not have the shape of `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.0)
    }

    /// The canonical bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The canonical bytes, by value.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The digest of the canonical bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl fmt::Debug for CanonicalJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Builds a [`Value`] while refusing what a plain `Value` would silently lose.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth }),
            None => Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > EXACT as u64 {
            return Err(E::custom(format_args!("the integer {value} lies beyond ±2^53")));
        }
        Ok(value.into())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        if value > EXACT as u64 {
            return Err(E::custom(format_args!("the integer {value} lies beyond ±2^53")));
        }
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        if !value.is_finite() {
            return Err(E::custom("a number is not finite"));
        }
        // 2^53 + 1 is read as 2^53, so that one cannot be told from it.
        if value.abs() >= EXACT {
            return Err(E::custom(format_args!("the number {value:e} lies beyond ±2^53")));
        }
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key `{key}` appears twice")));
            }
            let value = entries.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests;
