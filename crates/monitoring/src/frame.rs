//! The log's frame, and reading frames from segment files.
//!
//! A segment starts with [`MAGIC`]. A frame is `length: u32`, `crc: u32` (CRC32C of what follows),
//! `signal: u8`, `sequence: u64`, `received: i64` (nanoseconds since 1970), `tenant length: u8`,
//! tenant, OTLP bytes; numbers little endian, `length` counting from `signal`.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytes::Bytes;
use release::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// First bytes of a segment file.
pub const MAGIC: &[u8; 8] = b"GCTELEM1";
/// The most bytes of one record: a request and its answer at their largest.
pub const MAX_RECORD: usize = 128 << 20;
/// The most bytes of one frame.
const MAX_FRAME: usize = MAX_RECORD + 1_024;
/// Bytes of a frame before `signal`.
const HEAD: usize = 8;
/// Bytes of a frame's body before its tenant: signal, sequence, received, tenant length.
const BEFORE_TENANT: usize = 1 + 8 + 8 + 1;
/// Bytes of a frame before its tenant.
const FIXED: usize = HEAD + BEFORE_TENANT;

/// What a message of OTLP tells of.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// `TracesData`: spans.
    Traces,
    /// `MetricsData`: data points.
    Metrics,
    /// `LogsData`: log records.
    Logs,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// The signal as written, in addresses too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// What its items are called.
    pub const fn items(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Metrics => "data points",
            Self::Logs => "log records",
        }
    }

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| *signal as u8 == byte)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Signal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let signal = Self::ALL.into_iter().find(|signal| signal.as_str() == text);
        signal.ok_or_else(|| format!("`{text}` is no signal: traces, metrics or logs"))
    }
}

/// One record of the log as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it tells of.
    pub signal: Signal,
    /// Counts the log's frames from 1, without gaps.
    pub sequence: u64,
    /// When it came.
    pub received_at: Timestamp,
    /// Whose it is.
    pub tenant: TenantId,
    /// The message, as protobuf.
    pub otlp: Bytes,
}

/// Bytes that are not a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameError {
    /// The segment file.
    pub segment: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// How many bytes were passed over to the next whole frame, or to the end.
    pub skipped: u64,
    /// Whether the file ends before the frame does: a write that a crash cut short.
    pub torn: bool,
}

/// What is to be written.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// What it tells of.
    pub signal: Signal,
    /// When it came.
    pub received_at: Timestamp,
    /// The message, as protobuf.
    pub otlp: &'a [u8],
}

/// Appends a frame to `out`.
pub fn write(out: &mut Vec<u8>, sequence: u64, message: Message<'_>) {
    let start = out.len();
    let tenant = message.tenant.as_str().as_bytes();
    let length = BEFORE_TENANT + tenant.len() + message.otlp.len();
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.push(message.signal as u8);
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&nanoseconds(message.received_at).to_le_bytes());
    out.push(tenant.len() as u8);
    out.extend_from_slice(tenant);
    out.extend_from_slice(message.otlp);
    let crc = crc32c::crc32c(&out[start + HEAD..]);
    out[start + 4..start + HEAD].copy_from_slice(&crc.to_le_bytes());
}

/// A moment as a number that always fits: 1677 to 2262.
pub(crate) fn nanoseconds(at: Timestamp) -> i64 {
    let bounded = at.as_nanosecond().clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    bounded as i64
}

/// What follows a frame's head at `offset`, if a frame may have the length that is said there and
/// the segment goes on for so long.
fn body(segment: &[u8], offset: usize) -> Option<&[u8]> {
    let rest = segment.get(offset..)?;
    let length = u32::from_le_bytes(rest.get(..4)?.try_into().ok()?) as usize;
    let allowed = (BEFORE_TENANT..=MAX_FRAME).contains(&length);
    rest.get(HEAD..HEAD + length).filter(|_| allowed)
}

/// The frame at `offset` of a segment's bytes, and where the next one starts.
pub fn read(segment: &Bytes, offset: usize) -> Option<(Frame, usize)> {
    let body = body(segment, offset)?;
    let crc = u32::from_le_bytes(segment[offset + 4..offset + HEAD].try_into().ok()?);
    // The tenant first: it tells most garbage without a look at all of it.
    let tenant_end = BEFORE_TENANT + usize::from(body[BEFORE_TENANT - 1]);
    let tenant = std::str::from_utf8(body.get(BEFORE_TENANT..tenant_end)?).ok()?.parse().ok()?;
    if crc32c::crc32c(body) != crc {
        return None;
    }
    let signal = Signal::of(body[0])?;
    let sequence = u64::from_le_bytes(body[1..9].try_into().ok()?);
    let received = i64::from_le_bytes(body[9..17].try_into().ok()?);
    let received_at = Timestamp::from_nanosecond(i128::from(received)).ok()?;
    let otlp = segment.slice(offset + HEAD + tenant_end..offset + HEAD + body.len());
    Some((Frame { signal, sequence, received_at, tenant, otlp }, offset + HEAD + body.len()))
}

/// How many bytes the frame at `offset` has, if its length is there and possible.
pub fn length(segment: &[u8], offset: usize) -> Option<usize> {
    let length = segment.get(offset..offset + 4)?;
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    (BEFORE_TENANT..=MAX_FRAME).contains(&length).then_some(HEAD + length)
}

/// Where the next whole frame starts at or after `from`.
pub fn resume(segment: &Bytes, from: usize) -> Option<usize> {
    (from..segment.len().saturating_sub(FIXED)).find(|at| read(segment, *at).is_some())
}

/// Reads the frames of one segment, passing over bytes that are not whole frames.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    bytes: Bytes,
    offset: usize,
}

impl Reader {
    /// Opens a segment file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let bytes: Bytes = fs::read(path)?.into();
        let offset = if bytes.starts_with(MAGIC) { MAGIC.len() } else { 0 };
        Ok(Self { path: path.to_owned(), bytes, offset })
    }

    /// How many bytes the segment has.
    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Whether the segment has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether the bytes at `at` have the length they say: then they were written whole, and are
    /// damaged.
    fn fits(&self, at: usize) -> bool {
        at >= MAGIC.len() && body(&self.bytes, at).is_some()
    }
}

impl Iterator for Reader {
    type Item = Result<(u64, Frame), FrameError>;

    /// The next frame with its offset, or what was passed over.
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.offset;
        if at >= self.bytes.len() {
            return None;
        }
        if let Some((frame, next)) = read(&self.bytes, at) {
            self.offset = next;
            return Some(Ok((at as u64, frame)));
        }
        let next = resume(&self.bytes, at + 1);
        let torn = next.is_none() && !self.fits(at);
        self.offset = next.unwrap_or(self.bytes.len());
        Some(Err(FrameError {
            segment: self.path.clone(),
            offset: at as u64,
            skipped: (self.offset - at) as u64,
            torn,
        }))
    }
}
