//! The database as rows, the same on every engine, and their division into pieces.

use release::Digest;
use serde::{Deserialize, Serialize};

/// A row of the database. Leases are not among them: who held one is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "table", rename_all = "snake_case")]
pub enum Row {
    /// A record.
    Record {
        /// Whose.
        scope: String,
        /// Its collection.
        collection: String,
        /// Its key.
        key: String,
        /// How often it was written.
        version: i64,
        /// Its bytes.
        #[serde(with = "in_base64")]
        value: Vec<u8>,
    },
    /// An entry of a record in an index.
    Entry {
        /// Whose.
        scope: String,
        /// The record's collection.
        collection: String,
        /// The index.
        name: String,
        /// The record's value there.
        value: String,
        /// The record's key.
        key: String,
    },
    /// How far a stream goes.
    Stream {
        /// Whose.
        scope: String,
        /// The stream.
        stream: String,
        /// The number of its last event.
        last: i64,
    },
    /// An event.
    Event {
        /// Whose.
        scope: String,
        /// Its stream.
        stream: String,
        /// Its number there.
        sequence: i64,
        /// Its place in the global log.
        position: Option<i64>,
        /// Its kind.
        kind: String,
        /// What it tells.
        #[serde(with = "in_base64")]
        payload: Vec<u8>,
        /// By whom.
        actor: String,
        /// When, in nanoseconds since 1970.
        at: i64,
    },
    /// How far the global log goes.
    Log {
        /// The position of its last event.
        last: i64,
    },
}

mod in_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(D::Error::custom)
    }
}

/// The most rows and bytes of a piece.
const ROWS: usize = 20_000;
const BYTES: usize = 8 << 20;
/// One row in so many ends a piece, whatever comes before: a row that is added or removed changes the
/// piece it is in and no other.
const END: u16 = 2_048;

/// Divides rows into pieces, each of them lines of JSON.
#[derive(Debug, Default)]
pub struct Pieces {
    lines: Vec<u8>,
    rows: usize,
}

impl Pieces {
    /// Adds a row; gives the piece that it ends.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn add(&mut self, row: &Row) -> Result<Option<Vec<u8>>, serde_json::Error> {
        let line = serde_json::to_vec(row)?;
        let [first, second, ..] = *Digest::of(&line).as_bytes();
        self.lines.extend_from_slice(&line);
        self.lines.push(b'\n');
        self.rows += 1;
        let ends = u16::from_be_bytes([first, second]) % END == 0;
        let full = self.rows == ROWS || self.lines.len() >= BYTES;
        Ok(if ends || full { self.end() } else { None })
    }

    /// The piece that is begun, if any.
    pub fn end(&mut self) -> Option<Vec<u8>> {
        self.rows = 0;
        Some(std::mem::take(&mut self.lines)).filter(|lines| !lines.is_empty())
    }
}

/// The rows of a piece.
///
/// # Errors
/// If a line holds none.
pub fn read(piece: &[u8]) -> Result<Vec<Row>, serde_json::Error> {
    let lines = piece.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(serde_json::from_slice).collect()
}
