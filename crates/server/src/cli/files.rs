//! Files that people write and name in a command.

use std::fs;
use std::path::Path;

use anyhow::{Context, Error, Result, anyhow};
use delivery::project::document::Document;
use release::Diagnostic;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

/// The text of a file.
pub fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))
}

/// A TOML file, or every mistake in it.
pub fn document<T: DeserializeOwned + JsonSchema>(file: &Path) -> Result<T> {
    let document = Document::parse(&file.display().to_string(), &read(file)?);
    document.and_then(|document| document.read()).map_err(mistakes)
}

/// Every mistake of a file, a line each.
#[expect(clippy::needless_pass_by_value, reason = "errors are mapped by it")]
pub fn mistakes(found: Vec<Diagnostic>) -> Error {
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    anyhow!("{}", found.join("\n"))
}
