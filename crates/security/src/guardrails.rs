//! Guardrails: rules that screen what comes in and what goes out.
//!
//! Output is screened as it streams. Text is held back for as long as a match could still reach
//! into it. So a pattern for output must have a longest match, of at most [`MAX_HOLD`] bytes: one
//! without would be missed where its beginning has left already.

mod pii;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use pii::Entity;

/// The most bytes of an answer that are held back.
pub const MAX_HOLD: usize = 4096;
/// How many bytes before the held-back ones a rule still sees, to tell where a word begins.
const CONTEXT: usize = 16;
/// The most memory a compiled pattern may take, in bytes.
const MAX_PATTERN: usize = 1 << 20;

/// Guardrails: `guardrails/NAME.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GuardrailsSpec {
    /// What they guard against, for people.
    pub description: String,
    /// The rules; each text is held against all of them.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, as shown in traces.
    pub name: String,
    /// What it looks for.
    pub kind: RuleKind,
    /// Where it looks.
    #[serde(default = "both")]
    pub on: Vec<Side>,
    /// What happens on a match.
    pub action: RuleAction,
    /// The pattern (of kind `regex`), in the syntax of the Rust `regex` crate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The words (of kind `words`), matched whole and whatever their case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// What counts as personal (of kind `pii`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<Entity>,
    /// What the client is told when it blocks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

fn both() -> Vec<Side> {
    vec![Side::Input, Side::Output]
}

/// What a rule looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// A pattern.
    Regex,
    /// Words.
    Words,
    /// Personal data and secrets, with their checksums.
    Pii,
}

/// Where a rule looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// What the client sends.
    Input,
    /// What the model answers.
    Output,
}

/// What happens on a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// The request or the answer is refused.
    Block,
    /// It is noted in the trace.
    Flag,
}

/// A rule that does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule `{rule}`: {why}")]
pub struct BadRule {
    /// The rule.
    pub rule: String,
    /// What is wrong with it.
    pub why: String,
}

/// A match. It never holds the text that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The rule.
    pub rule: String,
    /// What happens.
    pub action: RuleAction,
    /// What the client is told.
    pub message: String,
}

#[derive(Debug)]
enum Matcher {
    Regex(Regex),
    Words(AhoCorasick),
    Pii(Vec<Entity>),
}

#[derive(Debug)]
struct Compiled {
    rule: Rule,
    matcher: Matcher,
    /// The longest text it matches, in bytes.
    longest: usize,
}

/// Rules that are ready to be applied.
#[derive(Debug, Default)]
pub struct Guardrails {
    rules: Vec<Compiled>,
}

impl Guardrails {
    /// Compiles the rules.
    ///
    /// # Errors
    /// The first rule that has no pattern, words or entities, or one that does not compile, or the
    /// name of an earlier one.
    pub fn compile(spec: &GuardrailsSpec) -> Result<Self, BadRule> {
        let mut rules: Vec<Compiled> = Vec::new();
        for rule in &spec.rules {
            if rules.iter().any(|earlier| earlier.rule.name == rule.name) {
                let why = "an earlier rule has this name".to_owned();
                return Err(BadRule { rule: rule.name.clone(), why });
            }
            rules.push(compile(rule)?);
        }
        Ok(Self { rules })
    }

    /// Every rule for input that `text` matches.
    pub fn input(&self, text: &str) -> Vec<Hit> {
        let rules = self.rules.iter().filter(|rule| rule.rule.on.contains(&Side::Input));
        rules.filter(|rule| rule.matches(text, text.len() + 1)).map(Compiled::hit).collect()
    }

    /// A screen for one answer; `None` if there are no rules for output.
    pub fn output(self: &std::sync::Arc<Self>) -> Option<OutputScreen> {
        let rules = || self.rules.iter().filter(|rule| rule.rule.on.contains(&Side::Output));
        // One byte more lets a pattern see that its match has ended.
        let hold = rules().map(|rule| rule.longest + 1).max()?;
        Some(OutputScreen {
            guardrails: std::sync::Arc::clone(self),
            hold,
            text: String::new(),
            released: 0,
            flagged: Vec::new(),
        })
    }
}

fn compile(rule: &Rule) -> Result<Compiled, BadRule> {
    let bad = |why: &str| BadRule { rule: rule.name.clone(), why: why.to_owned() };
    let (matcher, longest) = match (rule.kind, &rule.pattern) {
        (RuleKind::Regex, Some(pattern)) => {
            let regex = RegexBuilder::new(pattern).size_limit(MAX_PATTERN).build();
            let regex = regex.map_err(|error| bad(&error.to_string()))?;
            let syntax = regex_syntax::parse(pattern).map_err(|error| bad(&error.to_string()))?;
            if regex.is_match("") {
                return Err(bad("the pattern matches everything, because it matches nothing"));
            }
            (Matcher::Regex(regex), syntax.properties().maximum_len().unwrap_or(usize::MAX))
        }
        (RuleKind::Regex, None) => return Err(bad("a rule of kind `regex` needs a `pattern`")),
        (RuleKind::Words, _) => {
            if rule.words.iter().all(|word| word.trim().is_empty()) {
                return Err(bad("a rule of kind `words` needs `words`"));
            }
            let words: Vec<_> = rule.words.iter().map(|word| word.to_lowercase()).collect();
            let longest = words.iter().map(String::len).max().unwrap_or(0) * 2;
            let matcher = AhoCorasickBuilder::new().build(words);
            (Matcher::Words(matcher.map_err(|error| bad(&error.to_string()))?), longest)
        }
        (RuleKind::Pii, _) => {
            if rule.entities.is_empty() {
                return Err(bad("a rule of kind `pii` needs `entities`"));
            }
            let longest = rule.entities.iter().map(|entity| entity.longest()).max();
            (Matcher::Pii(rule.entities.clone()), longest.unwrap_or(0))
        }
    };
    if rule.on.contains(&Side::Output) && longest > MAX_HOLD {
        let why = format!(
            "it can match more than the {MAX_HOLD} bytes of an answer that are held back: bound its \
             repetitions (`{{0,100}}` instead of `*`) or look at the input alone (`on = [\"input\"]`)"
        );
        return Err(bad(&why));
    }
    Ok(Compiled { rule: rule.clone(), matcher, longest })
}

impl Compiled {
    /// Whether it matches within `text`, ending before `until`: what reaches the end of a text that
    /// goes on may yet turn out to be something else.
    fn matches(&self, text: &str, until: usize) -> bool {
        match &self.matcher {
            Matcher::Regex(regex) => regex.find_iter(text).any(|found| found.end() < until),
            Matcher::Pii(entities) => entities.iter().any(|entity| entity.is_in(text, until)),
            Matcher::Words(words) => {
                let lower = text.to_lowercase();
                // Lower case may be longer; then only whole texts are looked at to the end.
                let until = if lower.len() == text.len() { until } else { lower.len() + 1 };
                words.find_overlapping_iter(&lower).any(|found| {
                    let apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
                    found.end() < until
                        && apart(lower[..found.start()].chars().next_back())
                        && apart(lower[found.end()..].chars().next())
                })
            }
        }
    }

    fn hit(&self) -> Hit {
        let Rule { name, action, message, .. } = &self.rule;
        Hit { rule: name.clone(), action: *action, message: message.clone() }
    }
}

/// What may go out now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Screened {
    /// This text.
    Release(String),
    /// Nothing more, ever: a rule blocks.
    Blocked(Hit),
}

/// Screens one answer as it streams.
#[derive(Debug)]
pub struct OutputScreen {
    guardrails: std::sync::Arc<Guardrails>,
    hold: usize,
    /// Some text that was released already, and all that was not.
    text: String,
    /// How much of `text` was released.
    released: usize,
    flagged: Vec<Hit>,
}

impl OutputScreen {
    /// Adds text and says what may go out.
    pub fn push(&mut self, text: &str) -> Screened {
        self.text.push_str(text);
        self.screen(self.text.len())
    }

    /// The answer is complete: says what may go out of the rest.
    pub fn finish(&mut self) -> Screened {
        self.hold = 0;
        self.screen(self.text.len() + 1)
    }

    /// The rules that flagged something.
    pub fn flagged(&self) -> &[Hit] {
        &self.flagged
    }

    fn screen(&mut self, until: usize) -> Screened {
        for rule in &self.guardrails.rules {
            let known = self.flagged.iter().any(|hit| hit.rule == rule.rule.name);
            let applies = rule.rule.on.contains(&Side::Output) && !known;
            if applies && rule.matches(&self.text, until) {
                match rule.rule.action {
                    RuleAction::Block => return Screened::Blocked(rule.hit()),
                    RuleAction::Flag => self.flagged.push(rule.hit()),
                }
            }
        }
        let keep = boundary(&self.text, self.text.len().saturating_sub(self.hold));
        let keep = keep.max(self.released);
        let out = self.text[self.released..keep].to_owned();
        let forget = boundary(&self.text, keep.saturating_sub(CONTEXT));
        self.text.drain(..forget);
        self.released = keep - forget;
        Screened::Release(out)
    }
}

fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
