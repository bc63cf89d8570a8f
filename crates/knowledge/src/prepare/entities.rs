//! Names that a knowledge base looks for in its documents.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value;

use crate::KnowledgeError;
use crate::document::Extracted;

/// The most names.
const MAX_NAMES: usize = 10_000;
/// The most names of a kind that a document tells of.
const MAX_TOLD: usize = 100;

/// The names, ready to be looked for.
#[derive(Debug, Clone, Default)]
pub struct Entities {
    names: Vec<(String, String)>,
    finder: Option<AhoCorasick>,
}

impl Entities {
    /// Looks for these names, by kind.
    ///
    /// # Errors
    /// If there are too many, or one says nothing.
    pub fn new(wanted: &BTreeMap<String, Vec<String>>) -> Result<Self, KnowledgeError> {
        let wrong = |why: String| KnowledgeError::Source { of: "preparation".to_owned(), why };
        let kinds = wanted.iter();
        let names: Vec<(String, String)> = kinds
            .flat_map(|(kind, names)| names.iter().map(|name| (kind.clone(), name.clone())))
            .collect();
        if names.len() > MAX_NAMES {
            let count = names.len();
            return Err(wrong(format!("`entities` has {count} names, more than {MAX_NAMES}")));
        }
        if let Some((kind, name)) =
            names.iter().find(|(_, name)| name.trim() != name || name.is_empty())
        {
            return Err(wrong(format!(
                "`entities.{kind}` has the name `{name}`, which is empty or has white space around it"
            )));
        }
        if names.is_empty() {
            return Ok(Self::default());
        }
        let mut builder = AhoCorasick::builder();
        let builder = builder.match_kind(MatchKind::LeftmostLongest);
        let finder = builder.build(names.iter().map(|(_, name)| name.to_lowercase()));
        let finder = finder.map_err(|error| wrong(format!("`entities`: {error}")))?;
        Ok(Self { names, finder: Some(finder) })
    }

    /// Notes in the document's metadata which names it has, as they are written in the list.
    pub fn note(&self, content: &mut Extracted) {
        let Some(finder) = &self.finder else { return };
        let text = format!("{}\n{}", content.title, content.text).to_lowercase();
        let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for hit in finder.find_iter(&text) {
            let within = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
            let before = text[..hit.start()].chars().next_back();
            if within(before) || within(text[hit.end()..].chars().next()) {
                continue;
            }
            let (kind, name) = &self.names[hit.pattern().as_usize()];
            found.entry(kind).or_default().insert(name);
        }
        for (kind, names) in found {
            let names: Vec<Value> = names.into_iter().take(MAX_TOLD).map(Value::from).collect();
            content.metadata.insert(format!("entities.{kind}"), names.into());
        }
    }
}

#[cfg(test)]
mod tests;
