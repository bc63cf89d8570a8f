//! Reading the log while it is written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use bytes::Bytes;

use super::{damaged, segments, writer};
use crate::frame::{self, Frame, FrameError, MAGIC};

/// How much is read at once.
const CHUNK: usize = 4 << 20;

/// A place in the log.
#[derive(Debug)]
pub struct Cursor {
    directory: PathBuf,
    /// The last sequence number that was read.
    read: u64,
    segment: Option<Open>,
    corrupt: u64,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    offset: u64,
}

impl Cursor {
    pub(super) fn new(directory: PathBuf, after: u64) -> Self {
        Self { directory, read: after, segment: None, corrupt: 0 }
    }

    /// The last sequence number that was read.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// How many places were passed over that hold no whole frame.
    pub fn corrupt(&self) -> u64 {
        self.corrupt
    }

    /// The next frames up to sequence number `upto`, which must have been written: some megabytes
    /// at most, or one frame; none if there are no more. What is damaged is named, counted and
    /// passed over.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn next(&mut self, upto: u64) -> io::Result<Vec<Frame>> {
        let mut found = Vec::new();
        while found.is_empty() && self.read < upto {
            self.open(upto)?;
            let Some(open) = &self.segment else {
                // Whatever was missing was damaged or lost with the power.
                self.read = upto;
                break;
            };
            let (bytes, ended) = chunk(open)?;
            let mut at = 0;
            while at < bytes.len() {
                if let Some((frame, next)) = frame::read(&bytes, at) {
                    at = next;
                    if frame.sequence > self.read && frame.sequence <= upto {
                        self.read = frame.sequence;
                        found.push(frame);
                    }
                    if self.read == upto {
                        break;
                    }
                    continue;
                }
                let whole =
                    frame::length(&bytes, at).is_none_or(|length| at + length <= bytes.len());
                if !whole && (at > 0 || !ended) {
                    break;
                }
                let next = frame::resume(&bytes, at + 1).unwrap_or(bytes.len());
                self.corrupt += 1;
                let skipped = (next - at) as u64;
                let (segment, offset) = (open.path.clone(), open.offset + at as u64);
                damaged(&FrameError { segment, offset, skipped, torn: false });
                at = next;
            }
            if let Some(open) = &mut self.segment {
                open.offset += at as u64;
            }
            if at == 0 || (ended && at == bytes.len() && self.read < upto) {
                // Nothing more in this segment: the frame that is next stands in a later one.
                if !self.later(upto)? {
                    self.read = upto;
                }
            }
        }
        Ok(found)
    }

    /// Opens the segment that holds what comes next, unless one is read already.
    fn open(&mut self, upto: u64) -> io::Result<()> {
        if self.segment.is_none() {
            let all = segments(&self.directory)?;
            let next = self.read + 1;
            let holds = all.iter().rposition(|path| writer::number(path) <= next);
            let path = match holds {
                Some(at) => all.into_iter().nth(at),
                None => all.into_iter().find(|path| writer::number(path) <= upto),
            };
            let Some(path) = path else { return Ok(()) };
            let file = File::open(&path)?;
            self.segment = Some(Open { path, file, offset: MAGIC.len() as u64 });
        }
        Ok(())
    }

    /// Goes on to the first segment after what was read, if there is one.
    fn later(&mut self, upto: u64) -> io::Result<bool> {
        let here = self.segment.as_ref().map_or(0, |open| writer::number(&open.path));
        let after = |path: &PathBuf| (here + 1..=upto).contains(&writer::number(path));
        let Some(path) = segments(&self.directory)?.into_iter().find(after) else {
            return Ok(false);
        };
        self.segment = Some(Open { file: File::open(&path)?, path, offset: MAGIC.len() as u64 });
        Ok(true)
    }
}

/// The next bytes of a segment, at least one frame if there is one, and whether they go up to its
/// end.
fn chunk(open: &Open) -> io::Result<(Bytes, bool)> {
    let left = open.file.metadata()?.len().saturating_sub(open.offset);
    let mut length = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK);
    let mut bytes = vec![0; length];
    open.file.read_exact_at(&mut bytes, open.offset)?;
    let whole = frame::length(&bytes, 0).unwrap_or(0);
    if whole > length && whole as u64 <= left {
        bytes.resize(whole, 0);
        open.file.read_exact_at(&mut bytes[length..], open.offset + length as u64)?;
        length = whole;
    }
    Ok((bytes.into(), length as u64 == left))
}
