//! `cargo xtask layers`: dependencies point strictly to lower levels, and each heavy dependency
//! has one home.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Result, bail};
use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::process::root;

/// The level of each crate. Crates of one level know nothing of each other.
pub const LEVELS: &[(&str, u8)] = &[
    ("release", 0),
    ("store", 1),
    ("security", 2),
    ("workflow", 3),
    ("prompts", 3),
    ("monitoring", 3),
    ("models", 4),
    ("embedding", 4),
    ("knowledge", 5),
    ("evaluation", 5),
    ("cost", 5),
    ("gateway", 6),
    ("delivery", 6),
    ("server", 9),
];

/// Crates for development only: no product crate may need them to run.
pub const DEVELOPMENT: &[&str] = &["testkit", "e2e", "xtask"];

/// Heavy dependencies and the crates that may name them.
const HOMES: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("sqlx", &["store", "e2e"]),
    ("object_store", &["store"]),
    ("tantivy", &["knowledge"]),
    ("calamine", &["knowledge"]),
    ("mail-parser", &["knowledge"]),
    ("quick-xml", &["knowledge"]),
    ("zip", &["knowledge"]),
    ("scraper", &["knowledge"]),
    ("html5ever", &["knowledge"]),
    ("pulldown-cmark", &["knowledge"]),
    ("zstd", &["knowledge", "store"]),
    ("candle-core", &["embedding"]),
    ("tokenizers", &["embedding"]),
    ("jsonata-core", &["workflow"]),
    ("minijinja", &["prompts"]),
    ("datafusion", &["monitoring"]),
    ("parquet", &["monitoring"]),
    ("lettre", &["monitoring"]),
    ("sketches-ddsketch", &["monitoring"]),
    ("tonic", &["monitoring"]),
    ("opentelemetry-proto", &["monitoring"]),
    ("prost", &["monitoring"]),
    ("jsonschema", &["delivery", "evaluation"]),
    ("aws-lc-rs", &["security", "store"]),
    ("aho-corasick", &["security", "knowledge"]),
    ("regex", &["security", "monitoring", "evaluation"]),
    ("reqwest", &["security", "models", "knowledge", "server", "e2e"]),
    ("clap", &["server", "testkit", "xtask"]),
];

/// One dependency of a workspace crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The crate.
    pub from: String,
    /// What it depends on.
    pub to: String,
    /// Whether only its tests do.
    pub dev: bool,
}

/// What is wrong with `edges`.
pub fn violations(edges: &[Edge]) -> Vec<String> {
    let levels: BTreeMap<&str, u8> = LEVELS.iter().copied().collect();
    let mut found = Vec::new();
    for Edge { from, to, dev } in edges {
        if let Some((_, homes)) = HOMES.iter().find(|(name, _)| name == to)
            && !homes.contains(&from.as_str())
            && !dev
        {
            found.push(format!("`{to}` belongs to {}, not to `{from}`", homes.join(", ")));
        }
        let (to_development, from_development) =
            (DEVELOPMENT.contains(&to.as_str()), DEVELOPMENT.contains(&from.as_str()));
        match (levels.get(from.as_str()), levels.get(to.as_str())) {
            (Some(own), Some(other)) if other >= own && from != to => found.push(format!(
                "`{from}` (level {own}) depends on `{to}` (level {other}): only lower levels"
            )),
            (Some(_), None) if to_development && !dev => {
                found.push(format!("`{from}` needs `{to}` to run, which is for development only"));
            }
            (None, Some(_)) if from_development => {
                found.push(format!("`{from}` depends on the product crate `{to}`"));
            }
            (None, _) if !from_development => {
                found.push(format!("`{from}` has no level: add it to the table"));
            }
            _ => {}
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Checks the workspace.
///
/// # Errors
/// If anything is wrong; all of it is printed.
pub fn run() -> Result<()> {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec()?;
    let mut edges = Vec::new();
    for package in &metadata.packages {
        edges.push(Edge { from: package.name.to_string(), to: String::new(), dev: false });
        for dependency in &package.dependencies {
            edges.push(Edge {
                from: package.name.to_string(),
                to: dependency.name.clone(),
                dev: dependency.kind == DependencyKind::Development,
            });
        }
    }
    let mut found = violations(&edges);
    let search = [
        "grep",
        "-rnE",
        r"^\s*(pub )?unsafe |#!?\[allow\(unsafe_code",
        "--include=*.rs",
        "crates",
        "xtask",
    ];
    let unsafe_code = Command::new("git").args(search).current_dir(root()).output()?;
    found.extend(
        String::from_utf8_lossy(&unsafe_code.stdout)
            .lines()
            .map(|line| format!("unsafe code: {line}")),
    );
    if found.is_empty() {
        println!("layers: {} dependencies, all downward", edges.len());
        return Ok(());
    }
    bail!("{} violation(s) of the layers:\n  {}", found.len(), found.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str, dev: bool) -> Edge {
        Edge { from: from.to_owned(), to: to.to_owned(), dev }
    }

    #[test]
    fn downward_and_test_dependencies_are_fine() {
        let edges = [
            edge("gateway", "models", false),
            edge("models", "testkit", true),
            edge("store", "store", true),
            edge("store", "rusqlite", false),
        ];
        assert_eq!(violations(&edges), Vec::<String>::new());
    }

    #[test]
    fn sideways_upward_homeless_and_unknown_are_named() {
        let edges = [
            edge("gateway", "delivery", false),
            edge("release", "store", false),
            edge("gateway", "tantivy", false),
            edge("gateway", "testkit", false),
            edge("testkit", "release", false),
            edge("dust", "serde", false),
        ];
        assert_eq!(violations(&edges).len(), 6);
    }
}
