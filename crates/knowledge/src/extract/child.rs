//! The child process that reads documents: it confines itself, then serves one after the other.
//!
//! ```text
//!  parent ─► length (u32, little endian) ─► Request as JSON ─► the document's bytes ─► child
//!  parent ◄─ length (u32, little endian) ◄─ Result<Extracted, Refusal> as JSON      ◄─ child
//! ```

use std::fs;
use std::io::{self, ErrorKind, Read, Write};

use rustix::param::page_size;
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::{Refusal, extract};
use crate::document::{Extracted, Metadata, RawDocument};

/// The most bytes of an answer.
pub const MAX_ANSWER: usize = 96 << 20;
/// The most bytes of a request, without its document.
const MAX_REQUEST: usize = 1 << 20;

/// What is asked of the child.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// The document's path.
    pub path: String,
    /// Its media type.
    pub media_type: Option<String>,
    /// How many bytes of it follow.
    pub length: usize,
}

/// Reads documents from the standard input and writes their text to the standard output, until there
/// are no more. Before the first one, this process is confined: to `memory` more bytes of address space and
/// `seconds` of processor time per document; no file that it writes may have content, and when it
/// crashes no core is dumped.
///
/// # Errors
/// If it cannot be confined, or its input or output breaks off.
pub fn serve_documents(memory: u64, seconds: u64) -> io::Result<()> {
    limit(Resource::As, own_size()? + memory)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Core, 0)?;
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    while let Some(document) = read(&mut input)? {
        let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec;
        let until = u64::try_from(used).unwrap_or_default() + seconds;
        // The next document has its own time, so only the softer of the two limits is set.
        setrlimit(Resource::Cpu, Rlimit { current: Some(until), maximum: None })?;
        write(&mut output, &extract(&document))?;
    }
    Ok(())
}

/// The address space that this process has already: its program, and what its allocator keeps ready.
fn own_size() -> io::Result<u64> {
    let told = fs::read_to_string("/proc/self/statm")?;
    let pages = told.split(' ').next().and_then(|pages| pages.parse::<u64>().ok());
    let pages = pages.ok_or_else(|| io::Error::other("/proc/self/statm does not say its size"))?;
    Ok(pages * page_size() as u64)
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// The next document, if there is one.
fn read(input: &mut impl Read) -> io::Result<Option<RawDocument>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_REQUEST {
        return Err(io::Error::other("the request is too long"));
    }
    let mut request = vec![0; length];
    input.read_exact(&mut request)?;
    let Request { path, media_type, length } = serde_json::from_slice(&request)?;
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    Ok(Some(RawDocument {
        path,
        bytes: bytes.into(),
        media_type,
        mark: String::new(),
        modified_at: None,
        version: None,
        metadata: Metadata::new(),
    }))
}

fn write(output: &mut impl Write, answer: &Result<Extracted, Refusal>) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(answer)?;
    if bytes.len() > MAX_ANSWER {
        let why = "its text and structure are more than is allowed".to_owned();
        bytes = serde_json::to_vec(&Err::<Extracted, _>(Refusal::TooLarge(why)))?;
    }
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    output.write_all(&length.to_le_bytes())?;
    output.write_all(&bytes)?;
    output.flush()
}
