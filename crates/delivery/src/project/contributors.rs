//! Rules of top contributors in a project: each is right before it is stored.

use monitoring::contributors::{MAX_RULES, Rule, RuleError};
use release::{ArtifactName, Diagnostic, Place};

use super::Loader;
use super::document::BAD_VALUE;
use super::workflows::locate;

impl Loader {
    /// Reads `contributors/NAME.json`.
    pub(super) fn contributors(&mut self, path: &str, name: &str, text: &str) {
        if let Err(wrong) = Rule::parse(text) {
            let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            let place = match &wrong {
                RuleError::Unreadable { line, column, .. } => {
                    let (line, column) = (number(*line), number((*column).max(1)));
                    Place { file: path.to_owned(), line, column }
                }
                RuleError::Wrong { pointer, .. } => Place::at(path, text, locate(text, pointer)),
            };
            self.found.push(Diagnostic::error(BAD_VALUE, place, wrong.to_string()));
        }
        let Some(name) = self.name::<ArtifactName>(path, name) else { return };
        if self.contributors.len() >= MAX_RULES {
            let message = format!("there are at most {MAX_RULES} rules of contributors");
            self.error(BAD_VALUE, path, message);
        }
        self.contributors.insert(name, text.to_owned());
    }
}
