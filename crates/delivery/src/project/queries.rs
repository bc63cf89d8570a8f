//! Queries in a project: each is spelt right before it is stored.

use monitoring::Language;
use release::{ArtifactName, Code, Diagnostic, Place};

use super::Loader;
use crate::queries::SavedQuery;

/// A query with a mistake.
const BAD_QUERY: Code = Code::new("GC0113");

impl Loader {
    /// Reads `queries/NAME.sql` or `queries/NAME.insights`.
    pub(super) fn query(&mut self, path: &str, name: &str, text: &str) {
        let language = if path.ends_with(".sql") { Language::Sql } else { Language::Insights };
        if let Err(wrong) = language.check(text) {
            let place = Place { file: path.to_owned(), line: wrong.line, column: wrong.column };
            let mut finding = Diagnostic::error(BAD_QUERY, place, wrong.message);
            finding.hint = wrong.hint;
            self.found.push(finding);
        }
        let Some(name) = self.name::<ArtifactName>(path, name) else { return };
        let query = SavedQuery { name: name.clone(), language, text: text.to_owned() };
        if let Some(other) = self.queries.insert(name, query) {
            let other = format!("queries/{}.{}", other.name, other.language.extension());
            let place = Place::start_of(path);
            let message = format!("`{other}` has the same name");
            self.found.push(Diagnostic::error(BAD_QUERY, place, message));
        }
    }
}
