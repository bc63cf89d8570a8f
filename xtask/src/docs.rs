//! `cargo xtask docs --check`: links lead somewhere, and tables that stand twice agree.

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use crate::layers::{DEVELOPMENT, LEVELS};
use crate::process::{output, root};

/// Checks the documentation.
///
/// # Errors
/// If anything is wrong; all of it is printed.
pub fn run() -> Result<()> {
    let mut found = links()?;
    found.extend(levels()?);
    found.extend(error_pages()?);
    if found.is_empty() {
        println!("docs: links, levels and error pages agree");
        return Ok(());
    }
    bail!("{} finding(s) in the documentation:\n  {}", found.len(), found.join("\n  "))
}

/// Relative links of Markdown files that lead nowhere. Documents of the example are its own.
fn links() -> Result<Vec<String>> {
    let listed = ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"];
    let listed = output(Command::new("git").args(listed).current_dir(root()))?;
    let mut found = Vec::new();
    for file in listed.lines().filter(|file| !file.contains("/handbook/")) {
        let path = root().join(file);
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#', ' ']).next().unwrap_or_default();
            let local = !target.is_empty() && !target.contains(':') && !target.starts_with('{');
            if local && !path.parent().is_some_and(|folder| folder.join(target).exists()) {
                found.push(format!("{file}: the link to `{target}` leads nowhere"));
            }
        }
    }
    Ok(found)
}

/// ARCHITECTURE.md must have each crate at its level.
fn levels() -> Result<Vec<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md"))?;
    let rows = LEVELS.iter().map(|(name, level)| format!("| {level} | `{name}` |"));
    let rows = rows.chain(DEVELOPMENT.iter().map(|name| format!("| dev | `{name}` |")));
    let missing = rows.filter(|row| !text.contains(row.as_str()));
    Ok(missing.map(|row| format!("ARCHITECTURE.md has no row `{row}`")).collect())
}

/// Every code in the sources has a page, and every page is built in.
fn error_pages() -> Result<Vec<String>> {
    let search = ["grep", "-hoE", "\"GC[0-9]{4}\"", "--", "crates/*.rs"];
    let codes = output(Command::new("git").args(search).current_dir(root()))?;
    let explained = fs::read_to_string(root().join("crates/server/src/explain.rs"))?;
    let mut codes: Vec<_> = codes.lines().map(|code| code.trim_matches('"')).collect();
    codes.sort_unstable();
    codes.dedup();
    let missing = codes.into_iter().filter(|code| {
        let page = root().join(format!("docs/errors/{code}.md"));
        !page.exists() || !explained.contains(&format!("{code}.md"))
    });
    Ok(missing
        .map(|code| format!("`{code}` has no page that `groundcrew explain` knows"))
        .collect())
}
