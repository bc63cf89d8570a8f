//! The prompts that judges are asked by. Each is a file, and its digest says which text it was.

use release::Digest;
use serde_json::Value;

/// A prompt with places to fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prompt {
    /// Its name.
    pub name: &'static str,
    /// Its text, with `{{name}}` where something is filled in.
    pub text: &'static str,
}

macro_rules! prompts {
    ($($(#[$doc:meta])* $constant:ident = $name:literal;)*) => {
        impl Prompt {
            $(
                $(#[$doc])*
                pub const $constant: Self = Self {
                    name: $name,
                    text: include_str!(concat!("../../prompts/", $name, ".md")),
                };
            )*

            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$constant),*];
        }
    };
}

prompts! {
    /// Criteria into steps.
    CRITERIA_STEPS = "criteria_steps";
    /// A mark by criteria and steps.
    CRITERIA = "criteria";
    /// An answer into statements.
    STATEMENTS = "statements";
    /// Which statements passages support.
    FAITHFULNESS = "faithfulness";
    /// Questions that an answer answers.
    RELEVANCY = "relevancy";
    /// Which passages were useful.
    CONTEXT_PRECISION = "context_precision";
    /// Which statements of a good answer passages hold.
    CONTEXT_RECALL = "context_recall";
}

impl Prompt {
    /// The digest of the text.
    pub fn digest(self) -> Digest {
        Digest::of(self.text.as_bytes())
    }

    /// The text with each place filled by a value in JSON. What is filled in is not looked through
    /// for places again.
    pub fn fill(self, fields: &[(&str, Value)]) -> String {
        let mut filled = String::new();
        let mut rest = self.text;
        while let Some((before, after)) = rest.split_once("{{") {
            filled.push_str(before);
            let Some((name, after)) = after.split_once("}}") else {
                filled.push_str("{{");
                rest = after;
                continue;
            };
            match fields.iter().find(|(field, _)| *field == name) {
                Some((_, value)) => filled.push_str(&value.to_string()),
                None => filled.push_str(&format!("{{{{{name}}}}}")),
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }
}
