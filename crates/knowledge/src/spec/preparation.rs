//! How documents are prepared before they are cut.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use security::guardrails::Entity;
use serde::{Deserialize, Serialize};

/// How documents are prepared before they are cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Preparation {
    /// Kinds of personal data and secrets that are masked: the kind in square brackets stands in the
    /// place of each. Kinds that are neither masked nor dropped are allowed.
    pub mask: Vec<Entity>,
    /// Kinds of personal data and secrets that no document may have: one that does is left out, and
    /// the report says why.
    pub drop: Vec<Entity>,
    /// What is done with documents that say the same: one of them is found, and names the others.
    pub duplicates: Duplicates,
    /// Names to look for in every document, by kind, as `product = ["BRK-2204", "Trail 5"]`: whole words,
    /// in whatever case. What is found becomes metadata, as `entities.product`, that filters can ask
    /// for. At most ten thousand names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub entities: BTreeMap<String, Vec<String>>,
    /// Steps of your own, one after the other, between extraction and everything else.
    pub steps: Vec<StepSpec>,
}

/// Which documents count as the same, so that one of them is found in the place of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// None: all are found.
    Keep,
    /// Those whose texts are equal.
    #[default]
    Equal,
    /// Those whose texts are nearly equal, too: nine of ten sequences of five words. What differs
    /// between them, as a number, is not found any more.
    Near,
}

/// A step of your own. It is given a document as JSON (`path`, `title`, `text`, `headings`, `pages`,
/// `metadata`) and gives back what it changes of it, or `{"drop": "why"}`. With another `text` it
/// gives `headings` and `pages` anew, if the document is to have any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum StepSpec {
    /// A command or an address that the operator offers.
    Function {
        /// Its name among the `functions` of `server.toml`.
        function: String,
    },
    /// An HTTP hook: the document is posted to it.
    Http {
        /// The name of a connection of `server.toml`.
        connection: String,
        /// The path below the connection's address.
        #[serde(default)]
        path: String,
    },
}

impl StepSpec {
    /// What it is called in messages.
    pub fn name(&self) -> &str {
        match self {
            Self::Function { function } => function,
            Self::Http { connection, .. } => connection,
        }
    }
}
