//! What a commit holds.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use release::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};

use super::Git;
use super::command::{Running, said};
use crate::source::{MAX_DOCUMENTS, MAX_LISTED, MAX_PATH, Wanted};

/// How many commits are looked at for when files were changed.
const MAX_COMMITS: usize = 50_000;
/// The most bytes of a path or header that is read.
const MAX_ENTRY: usize = 16 * MAX_PATH;

/// What a commit holds.
pub struct Objects<'a> {
    pub git: &'a Git,
    pub commit: &'a str,
}

/// A file of a commit.
#[derive(Debug, PartialEq)]
pub struct File {
    /// Its path below the folder that is read.
    pub path: String,
    /// What its content is known by.
    pub blob: String,
    /// How many bytes it has.
    pub size: u64,
}

/// What lies in a commit: a file, a link or a submodule.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    mode: &'a str,
    blob: &'a str,
    /// How many bytes it has.
    pub size: u64,
    /// Its path below the folder that is read.
    pub path: &'a str,
}

impl Entry<'_> {
    /// Whether it is a file, and no link or submodule.
    pub fn is_file(&self) -> bool {
        self.mode.starts_with("100")
    }

    /// It as a file.
    pub fn file(&self) -> File {
        File { path: self.path.to_owned(), blob: self.blob.to_owned(), size: self.size }
    }
}

/// A command whose output is read in pieces that end with a zero.
struct Pieces {
    running: Running,
    output: BufReader<ChildStdout>,
    piece: Vec<u8>,
}

impl Pieces {
    fn of(mut running: Running) -> Result<Self, String> {
        let output = running.child.stdout.take().ok_or("it has no output")?;
        Ok(Self { running, output: BufReader::new(output), piece: Vec::new() })
    }

    async fn next(&mut self) -> Result<Option<&[u8]>, String> {
        self.piece.clear();
        let mut limited = (&mut self.output).take(MAX_ENTRY as u64);
        let read =
            limited.read_until(0, &mut self.piece).await.map_err(|error| error.to_string())?;
        if read == 0 {
            return Ok(None);
        }
        match self.piece.pop() {
            Some(0) => Ok(Some(&self.piece)),
            _ => Err("it has a path that is too long".to_owned()),
        }
    }

    /// How the command ended.
    async fn end(mut self) -> Result<(), String> {
        let errors = self.running.child.stderr.take();
        let status = self.running.child.wait().await.map_err(|error| error.to_string())?;
        match errors {
            Some(errors) if !status.success() => Err(said(errors).await),
            _ => Ok(()),
        }
    }
}

impl Objects<'_> {
    /// The wanted files below a folder, links and submodules left out.
    pub async fn files(&self, folder: &str, wanted: &Wanted) -> Result<Vec<File>, String> {
        let mut files = Vec::new();
        let each = |entry: Entry<'_>| {
            if entry.is_file() && wanted.wants(entry.path) {
                files.push(entry.file());
            }
            if files.len() > MAX_DOCUMENTS {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        self.entries(folder, each).await?;
        Ok(files)
    }

    /// Looks at all that lies below a folder, until `each` has seen enough.
    pub async fn entries(
        &self,
        folder: &str,
        mut each: impl FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> Result<(), String> {
        let list = ["ls-tree", "-r", "-l", "-z", "--full-tree", self.commit, "--"];
        let below = Some(folder.trim_end_matches('/')).filter(|folder| !folder.is_empty());
        let command = self.git.git(list.into_iter().chain(below));
        let mut pieces = Pieces::of(command.start(false)?)?;
        let mut listed = 0;
        while let Some(piece) = pieces.next().await? {
            listed += 1;
            if listed > MAX_LISTED {
                return Err(format!("more than {MAX_LISTED} files lie below `{folder}`"));
            }
            // mode, type, object, size, a tab, and the path.
            let text = String::from_utf8_lossy(piece);
            let Some((head, path)) = text.split_once('\t') else { continue };
            let mut head = head.split_ascii_whitespace();
            let (Some(mode), Some(_), Some(blob), Some(size)) =
                (head.next(), head.next(), head.next(), head.next())
            else {
                continue;
            };
            let path = path.strip_prefix(folder).unwrap_or(path);
            let size = size.parse().unwrap_or(u64::MAX);
            if each(Entry { mode, blob, size, path }).is_break() {
                return Ok(());
            }
        }
        pieces.end().await
    }

    /// When each of `wanted` was last changed: one walk back through the commits, as far as is
    /// needed. What is not met in it has no time.
    pub async fn changed(
        &self,
        folder: &str,
        mut wanted: BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Timestamp>, String> {
        let log =
            ["log", "--format=%x00%ct", "--name-only", "-z", "--no-renames", "--no-show-signature"];
        let most = format!("--max-count={MAX_COMMITS}");
        let below = Some(folder.trim_end_matches('/')).filter(|folder| !folder.is_empty());
        let arguments = log.into_iter().chain([most.as_str(), self.commit, "--"]).chain(below);
        let mut pieces = Pieces::of(self.git.git(arguments).start(false)?)?;
        let (mut changed, mut at) = (BTreeMap::new(), None);
        // An empty piece, the time of a commit, and its paths.
        let mut time_follows = false;
        while !wanted.is_empty() {
            let Some(piece) = pieces.next().await? else { break };
            if piece.is_empty() {
                time_follows = true;
                continue;
            }
            let text = String::from_utf8_lossy(piece);
            let text = text.trim_start_matches('\n');
            if std::mem::take(&mut time_follows) {
                at = text.trim().parse().ok().and_then(|time| Timestamp::from_second(time).ok());
                continue;
            }
            let path = text.strip_prefix(folder).unwrap_or(text);
            if let Some(at) = at.filter(|_| wanted.remove(path)) {
                changed.insert(path.to_owned(), at);
            }
        }
        Ok(changed)
    }

    /// Reads contents, one after the other.
    pub fn contents(&self) -> Result<Contents, String> {
        let mut running = self.git.git(["cat-file", "--batch"]).start(true)?;
        let pipes = (running.child.stdin.take(), running.child.stdout.take());
        let (Some(input), Some(output)) = pipes else { return Err("it has no input".to_owned()) };
        Ok(Contents { input, output: BufReader::new(output), _running: running })
    }
}

/// Reads contents by what they are known by.
pub struct Contents {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _running: Running,
}

impl Contents {
    pub async fn read(&mut self, blob: &str, size: u64) -> Result<Vec<u8>, String> {
        let told = |error: std::io::Error| error.to_string();
        self.input.write_all(format!("{blob}\n").as_bytes()).await.map_err(told)?;
        self.input.flush().await.map_err(told)?;
        let mut head = String::new();
        (&mut self.output).take(MAX_ENTRY as u64).read_line(&mut head).await.map_err(told)?;
        if head.trim_end() != format!("{blob} blob {size}") {
            return Err(format!("its object `{blob}` cannot be read: {}", head.trim_end()));
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(|error| error.to_string())?];
        self.output.read_exact(&mut bytes).await.map_err(told)?;
        // A line's end follows each.
        self.output.read_u8().await.map_err(told)?;
        Ok(bytes)
    }
}
