//! What is packed in a zip archive, as office formats are: bounded, whatever it says of itself.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::Refusal;

/// The most entries of an archive.
const MAX_ENTRIES: usize = 10_000;
/// The most bytes that are unpacked of one archive.
const MAX_UNPACKED: u64 = 256 << 20;
/// How many times as large as its packed form what is unpacked may be; small archives may be of any
/// ratio.
const MAX_RATIO: u64 = 200;
/// What counts as small.
const SMALL: u64 = 8 << 20;

/// An archive whose parts are read by name. Nothing is written anywhere, so names can lead nowhere.
pub struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// How many bytes may still be unpacked.
    left: u64,
}

impl<'a> Archive<'a> {
    pub fn open(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
        if zip.len() > MAX_ENTRIES {
            let many = format!("it packs {} parts, more than {MAX_ENTRIES}", zip.len());
            return Err(Refusal::TooLarge(many));
        }
        let left = MAX_UNPACKED.min(SMALL.max(bytes.len() as u64 * MAX_RATIO));
        Ok(Self { zip, left })
    }

    /// The names of its parts; a name that is no text has none.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.zip.file_names().filter_map(Result::ok).map(std::borrow::Cow::into_owned)
    }

    /// Unpacks a part; `None` if there is none of this name.
    pub fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        match self.zip.index_for_name(name) {
            Some(index) => self.unpack(index).map(Some),
            None => Ok(None),
        }
    }

    /// Unpacks every part, to see whether all of it may be unpacked.
    pub fn check(mut self) -> Result<(), Refusal> {
        (0..self.zip.len()).try_for_each(|index| self.unpack(index).map(drop))
    }

    fn unpack(&mut self, index: usize) -> Result<Vec<u8>, Refusal> {
        let part = self.zip.by_index(index).map_err(broken)?;
        let mut bytes = Vec::new();
        // What it says of its size counts for nothing.
        let read = part.take(self.left + 1).read_to_end(&mut bytes);
        if bytes.len() as u64 > self.left {
            let why = "it unpacks to more than is allowed for its size".to_owned();
            return Err(Refusal::TooLarge(why));
        }
        read.map_err(|error| Refusal::broken(&error))?;
        self.left -= bytes.len() as u64;
        Ok(bytes)
    }
}

fn broken(error: ZipError) -> Refusal {
    match error {
        ZipError::UnsupportedArchive(why) => Refusal::Unsupported(why.to_string()),
        error => Refusal::malformed(error),
    }
}
