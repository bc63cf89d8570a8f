//! What git says of a directory.

use std::path::Path;
use std::process::Command;

/// The commit that a directory's files are at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The commit.
    pub commit: String,
    /// Who wrote it, as `Ada <ada@example.com>`.
    pub author: Option<String>,
    /// Whether the directory has changes that no commit has.
    pub dirty: bool,
    /// Where the directory lies in the repository; ends with `/`, unless it is all of it.
    pub prefix: String,
}

impl Checkout {
    /// None if the directory is in no checkout, or there is no git.
    pub fn of(directory: &Path) -> Option<Self> {
        let git = |arguments: &[&str]| {
            let output = Command::new("git").arg("-C").arg(directory).args(arguments).output();
            let output = output.ok().filter(|output| output.status.success())?;
            String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
        };
        Some(Self {
            commit: git(&["rev-parse", "HEAD"])?,
            author: git(&["log", "-1", "--format=%an <%ae>"]),
            dirty: !git(&["status", "--porcelain", "--", "."])?.is_empty(),
            prefix: git(&["rev-parse", "--show-prefix"])?,
        })
    }
}
