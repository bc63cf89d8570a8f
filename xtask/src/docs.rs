//! `cargo xtask docs`: writes the reference pages anew from the code. With `--check` it only says
//! which are stale, which links lead nowhere, and which tables that stand twice disagree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::layers::{DEVELOPMENT, LEVELS};
use crate::process::{output, root, run};
use crate::test::build;

/// Where the generated pages are.
const REFERENCE: &str = "docs/reference";

/// Writes the generated pages, then checks all documentation.
///
/// # Errors
/// If anything is wrong; all of it is printed.
pub fn write() -> Result<()> {
    generate(&root().join(REFERENCE))?;
    check()
}

/// Checks the documentation.
///
/// # Errors
/// If anything is wrong; all of it is printed.
pub fn check() -> Result<()> {
    let mut found = stale()?;
    found.extend(links()?);
    found.extend(levels()?);
    found.extend(error_pages()?);
    if found.is_empty() {
        println!("docs: the reference, links, levels and error pages agree with the code");
        return Ok(());
    }
    bail!("{} finding(s) in the documentation:\n  {}", found.len(), found.join("\n  "))
}

fn generate(directory: &Path) -> Result<()> {
    let binary = build()?.join("groundcrew");
    run(Command::new(binary).arg("reference").arg(directory))
}

/// Pages that the code would write differently.
fn stale() -> Result<Vec<String>> {
    let fresh = std::env::temp_dir().join(format!("groundcrew-reference-{}", std::process::id()));
    generate(&fresh)?;
    let (present, wanted) = (read_all(&root().join(REFERENCE))?, read_all(&fresh)?);
    fs::remove_dir_all(&fresh)?;
    let names: BTreeSet<_> = present.keys().chain(wanted.keys()).collect();
    let stale = names.into_iter().filter(|name| present.get(*name) != wanted.get(*name));
    Ok(stale
        .map(|name| format!("{REFERENCE}/{}: run `cargo xtask docs`", name.display()))
        .collect())
}

fn read_all(directory: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(directory)?.to_owned(), fs::read_to_string(&path)?);
            }
        }
    }
    Ok(files)
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
