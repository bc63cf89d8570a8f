//! The rules as users write them, and their checks.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Check, Entity, Matcher, Pattern, Words};

/// The most rules of one guardrails file.
pub const MAX_RULES: usize = 200;
/// The most words of one rule.
pub const MAX_WORDS: usize = 5_000;
/// The most bytes of one word or phrase.
pub const MAX_WORD: usize = 128;
/// The most bytes of one regular expression.
pub const MAX_PATTERN: usize = 4_096;

/// The rules that screen questions and answers (`guardrails/NAME.toml`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardrailsSpec {
    /// What these guardrails are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The rules; each is looked for on its own.
    #[serde(default)]
    pub rules: Vec<RuleSpec>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// Its name in traces; no two rules share one.
    pub name: String,
    /// What kind of thing it looks for.
    pub kind: RuleKind,
    /// What it looks at.
    pub on: Vec<Side>,
    /// What happens when it is found.
    pub action: RuleAction,
    /// What the person who asked is told when the rule blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// For `regex`: the regular expression, in the syntax of Rust's `regex` crate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// For `words`: whole words or phrases, in any case and any Unicode normal form; any white
    /// space counts as one space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<String>>,
    /// For `pii`: the entities to look for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entities: Option<Vec<Entity>>,
}

/// What kind of thing a rule looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// A regular expression.
    Regex,
    /// A list of words.
    Words,
    /// Entities about a person or a system, verified by their checksums.
    Pii,
}

/// Which way the text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// What a client asks.
    Input,
    /// What the model answers.
    Output,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// The question is not asked, or the answer stops.
    Block,
    /// The trace says so.
    Flag,
}

/// Rules that do not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct GuardrailsError {
    /// Every problem found.
    pub problems: Vec<Problem>,
}

/// One problem of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer to it in the specification: `/rules/2/pattern`.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for GuardrailsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}", problem.message)?;
        }
        Ok(())
    }
}

/// Compiles every rule, or says everything that is wrong.
pub(super) fn compile(spec: &GuardrailsSpec) -> Result<Vec<(Vec<Side>, Check)>, GuardrailsError> {
    let mut compiler = Compiler::default();
    if spec.rules.len() > MAX_RULES {
        let message = format!("{} rules are more than the {MAX_RULES} allowed", spec.rules.len());
        compiler.problems.push(Problem { pointer: "/rules".to_owned(), message, hint: None });
        return Err(GuardrailsError { problems: compiler.problems });
    }
    for (index, rule) in spec.rules.iter().enumerate() {
        compiler.at = (index, rule.name.clone());
        if spec.rules[..index].iter().any(|earlier| earlier.name == rule.name) {
            compiler.problem("name", "has the name of an earlier rule", None);
        }
        compiler.rule(rule);
    }
    if compiler.problems.is_empty() {
        Ok(compiler.checks)
    } else {
        Err(GuardrailsError { problems: compiler.problems })
    }
}

#[derive(Default)]
struct Compiler {
    checks: Vec<(Vec<Side>, Check)>,
    problems: Vec<Problem>,
    /// The rule at hand: its place and name.
    at: (usize, String),
}

impl Compiler {
    fn rule(&mut self, rule: &RuleSpec) {
        if rule.name.trim().is_empty() {
            self.problem("name", "has no name", None);
        }
        if rule.on.is_empty() {
            let hint = "write `on = [\"input\"]`, `[\"output\"]` or both";
            self.problem("on", "looks at nothing", Some(hint));
        }
        self.only_its_own_keys(rule);
        match rule.kind {
            RuleKind::Regex => self.regex(rule),
            RuleKind::Words => self.words(rule),
            RuleKind::Pii => self.pii(rule),
        }
    }

    /// A key that belongs to another kind is a mistake, not something to pass over.
    fn only_its_own_keys(&mut self, rule: &RuleSpec) {
        let keys = [
            ("pattern", rule.pattern.is_some(), RuleKind::Regex, "regex"),
            ("words", rule.words.is_some(), RuleKind::Words, "words"),
            ("entities", rule.entities.is_some(), RuleKind::Pii, "pii"),
        ];
        for (key, present, kind, kind_name) in keys {
            if present && kind != rule.kind {
                let what = format!("has `{key}`, which only rules of kind `{kind_name}` have");
                self.problem(key, &what, None);
            } else if !present && kind == rule.kind {
                let what = format!("is of kind `{kind_name}` and needs `{key}`");
                self.problem("", &what, None);
            }
        }
    }

    fn regex(&mut self, rule: &RuleSpec) {
        let Some(pattern) = &rule.pattern else { return };
        if pattern.len() > MAX_PATTERN {
            let what = format!("has a pattern of more than {MAX_PATTERN} bytes");
            self.problem("pattern", &what, None);
            return;
        }
        match Pattern::compile(pattern) {
            Ok(compiled) => self.check(rule, Matcher::Pattern(compiled)),
            Err(problem) => self.problem(
                "pattern",
                &format!("has a pattern that {}", problem.what),
                Some(problem.hint),
            ),
        }
    }

    fn words(&mut self, rule: &RuleSpec) {
        let Some(words) = &rule.words else { return };
        if words.is_empty() || words.len() > MAX_WORDS {
            let what = format!("has {} words; 1 to {MAX_WORDS} are allowed", words.len());
            self.problem("words", &what, None);
            return;
        }
        let mut usable = true;
        for (place, word) in words.iter().enumerate() {
            if word.len() > MAX_WORD || !Words::is_word(word) {
                let what = format!(
                    "has a word that is not 1 to {MAX_WORD} bytes with a letter, digit or sign"
                );
                self.problem(&format!("words/{place}"), &what, None);
                usable = false;
            }
        }
        if usable {
            match Words::compile(words) {
                Ok(compiled) => self.check(rule, Matcher::Words(compiled)),
                Err(error) => {
                    let what = format!("has words that cannot be compiled: {error}");
                    self.problem("words", &what, None);
                }
            }
        }
    }

    fn pii(&mut self, rule: &RuleSpec) {
        let Some(entities) = &rule.entities else { return };
        if entities.is_empty() {
            self.problem("entities", "looks for no entity", None);
        }
        for (place, entity) in entities.iter().enumerate() {
            if entities[..place].contains(entity) {
                let pointer = format!("entities/{place}");
                self.problem(&pointer, "names an entity twice", None);
            }
            self.check(rule, Matcher::Entity(*entity));
        }
    }

    fn check(&mut self, rule: &RuleSpec, matcher: Matcher) {
        let check = Check {
            rule: Arc::from(rule.name.as_str()),
            action: rule.action,
            message: rule.message.as_deref().map(Arc::from),
            matcher: Arc::new(matcher),
        };
        self.checks.push((rule.on.clone(), check));
    }

    fn problem(&mut self, key: &str, what: &str, hint: Option<&str>) {
        let (index, name) = &self.at;
        let separator = if key.is_empty() { "" } else { "/" };
        self.problems.push(Problem {
            pointer: format!("/rules/{index}{separator}{key}"),
            message: format!("rule `{name}` {what}"),
            hint: hint.map(ToOwned::to_owned),
        });
    }
}
