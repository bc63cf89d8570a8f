//! The log's frame, and reading frames from segment files.
//!
//! A segment starts with [`MAGIC`]. A frame is `length: u32`, `crc: u32` (CRC32C of what follows),
//! `node: u64`, `sequence: u64`, `tenant length: u8`, tenant, OTLP bytes; numbers little endian,
//! `length` counting from `node`.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytes::Bytes;
use release::TenantId;
use serde::{Deserialize, Serialize};

/// First bytes of a segment file.
pub const MAGIC: &[u8; 8] = b"GCTRACE1";
/// The most bytes of one record: a request and its answer at their largest.
pub const MAX_RECORD: usize = 128 << 20;
/// The most bytes of one frame.
const MAX_FRAME: usize = MAX_RECORD + 1_024;
/// Bytes of a frame before `node`.
const HEAD: usize = 8;
/// Bytes of a frame before its tenant.
const FIXED: usize = HEAD + 8 + 8 + 1;

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
    /// The node that wrote it.
    pub node: u64,
    /// Counts the node's frames from 1, without gaps.
    pub sequence: u64,
    /// Whose it is.
    pub tenant: TenantId,
    /// OTLP `TracesData`.
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

/// Appends a frame to `out`.
pub fn write(out: &mut Vec<u8>, node: u64, sequence: u64, tenant: &TenantId, otlp: &[u8]) {
    let start = out.len();
    let tenant = tenant.as_str().as_bytes();
    let length = FIXED - HEAD + tenant.len() + otlp.len();
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&node.to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.push(tenant.len() as u8);
    out.extend_from_slice(tenant);
    out.extend_from_slice(otlp);
    let crc = crc32c::crc32c(&out[start + HEAD..]);
    out[start + 4..start + HEAD].copy_from_slice(&crc.to_le_bytes());
}

/// What follows a frame's head at `offset`, if a frame may have the length that is said there and
/// the segment goes on for so long.
fn body(segment: &[u8], offset: usize) -> Option<&[u8]> {
    let rest = segment.get(offset..)?;
    let length = u32::from_le_bytes(rest.get(..4)?.try_into().ok()?) as usize;
    let allowed = (FIXED - HEAD..=MAX_FRAME).contains(&length);
    rest.get(HEAD..HEAD + length).filter(|_| allowed)
}

/// The frame at `offset` of a segment's bytes, and where the next one starts.
pub fn read(segment: &Bytes, offset: usize) -> Option<(Frame, usize)> {
    let body = body(segment, offset)?;
    let crc = u32::from_le_bytes(segment[offset + 4..offset + HEAD].try_into().ok()?);
    // The tenant first: it tells most garbage without a look at all of it.
    let tenant_end = 17 + usize::from(body[16]);
    let tenant = std::str::from_utf8(body.get(17..tenant_end)?).ok()?.parse().ok()?;
    if crc32c::crc32c(body) != crc {
        return None;
    }
    let node = u64::from_le_bytes(body[..8].try_into().ok()?);
    let sequence = u64::from_le_bytes(body[8..16].try_into().ok()?);
    let start = offset + HEAD + tenant_end;
    let end = offset + HEAD + body.len();
    Some((Frame { node, sequence, tenant, otlp: segment.slice(start..end) }, end))
}

/// The frame at `offset` of a segment's file; `None` if there is no whole one.
///
/// # Errors
/// If the file cannot be read.
pub fn read_at(file: &File, offset: u64) -> io::Result<Option<Frame>> {
    let mut head = [0; 4];
    file.read_exact_at(&mut head, offset)?;
    let length = u32::from_le_bytes(head) as usize;
    if length > MAX_FRAME {
        return Ok(None);
    }
    let mut bytes = vec![0; HEAD + length];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(read(&bytes.into(), 0).map(|(frame, _)| frame))
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

    /// Where the next whole frame starts at or after `from`.
    fn resume(&self, from: usize) -> Option<usize> {
        (from..self.bytes.len().saturating_sub(FIXED)).find(|at| read(&self.bytes, *at).is_some())
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
        let next = self.resume(at + 1);
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
