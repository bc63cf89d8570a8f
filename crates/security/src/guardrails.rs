//! Rules about what may be asked and what may be answered.
//!
//! A rule looks for a regular expression, a list of words or an entity such as a credit card, in
//! questions, answers or both, and blocks or only flags. [`Guardrails::compile`] checks all rules;
//! [`Guardrails::input`] screens a question; [`Guardrails::output`] screens an answer while it
//! streams.
//!
//! What a streamed answer is held back for: text is released as soon as no blocking rule is in the
//! middle of a match there, and never later than [`HOLD_BACK`] bytes after it came. So a match of
//! at most `HOLD_BACK` bytes is found however the answer is cut into pieces, and nothing of it was
//! released. Words and entities are always shorter. A regular expression can match more (`a.*b`):
//! of such a match, what is older than `HOLD_BACK` is released before the match is known.
//!
//! Costs are linear in the text: the `regex` and `aho-corasick` crates never backtrack, a rule
//! stops after [`MAX_FINDINGS`] findings, and of the text already seen at most `HOLD_BACK` bytes
//! are looked at again.

mod entity;
mod pattern;
mod screen;
mod spec;
mod words;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

pub use entity::Entity;
pub use screen::{OutputScreen, Screened};
pub use spec::{
    GuardrailsError, GuardrailsSpec, MAX_PATTERN, MAX_RULES, MAX_WORD, MAX_WORDS, Problem,
    RuleAction, RuleKind, RuleSpec, Side,
};

use pattern::Pattern;
use words::Words;

/// The most bytes of a streamed answer that are held back while a match may be going on.
pub const HOLD_BACK: usize = 1024;

/// The most findings one rule reports about one text; it looks no further then.
pub const MAX_FINDINGS: usize = 100;

/// One place where a rule matched. It never holds the text that matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's name.
    pub rule: Arc<str>,
    /// What the rule does.
    pub action: RuleAction,
    /// What was found, if the rule looks for entities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<Entity>,
    /// Where: bytes from the start of the question or of the whole answer.
    pub span: Range<usize>,
    /// What the rule says to the person who asked, if it says something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Arc<str>>,
}

/// What the rules say about a whole text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// All findings, by place.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// The first finding that blocks the text, if one does.
    pub fn blocked(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.action == RuleAction::Block)
    }
}

/// Compiled rules; cheap to clone, shared by all requests of a release.
#[derive(Debug, Clone)]
pub struct Guardrails {
    input: Arc<[Check]>,
    output: Arc<[Check]>,
}

impl Guardrails {
    /// Compiles `spec`.
    ///
    /// # Errors
    /// [`GuardrailsError`] with every problem of every rule.
    pub fn compile(spec: &GuardrailsSpec) -> Result<Self, GuardrailsError> {
        let checks = spec::compile(spec)?;
        let of = |side| {
            let chosen = checks.iter().filter(|(sides, _)| sides.contains(&side));
            chosen.map(|(_, check)| check.clone()).collect()
        };
        Ok(Self { input: of(Side::Input), output: of(Side::Output) })
    }

    /// Screens a question. A caller screens each text that a client sent.
    pub fn input(&self, text: &str) -> Verdict {
        scan_whole(&self.input, text)
    }

    /// Screens a whole answer at once, such as one that is not streamed.
    pub fn whole_output(&self, text: &str) -> Verdict {
        scan_whole(&self.output, text)
    }

    /// A screen for one streamed answer.
    pub fn output(&self) -> OutputScreen {
        OutputScreen::new(Arc::clone(&self.output))
    }

    /// Whether there are rules about questions.
    pub fn screens_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// Whether there are rules about answers.
    pub fn screens_output(&self) -> bool {
        !self.output.is_empty()
    }
}

fn scan_whole(checks: &[Check], text: &str) -> Verdict {
    let mut findings = Vec::new();
    for check in checks {
        let scan = check.matcher.scan(text, 0, End::Complete, check.most_findings());
        findings.extend(scan.matches.into_iter().map(|span| check.finding(span)));
    }
    findings.sort_by_key(|finding| finding.span.start);
    Verdict { findings }
}

/// One thing to look for on behalf of a rule.
#[derive(Debug, Clone)]
struct Check {
    rule: Arc<str>,
    action: RuleAction,
    message: Option<Arc<str>>,
    matcher: Arc<Matcher>,
}

impl Check {
    fn finding(&self, span: Range<usize>) -> Finding {
        let entity = match *self.matcher {
            Matcher::Entity(entity) => Some(entity),
            _ => None,
        };
        let (rule, message) = (Arc::clone(&self.rule), self.message.clone());
        Finding { rule, action: self.action, entity, span, message }
    }

    /// Nothing is to be learnt from a second blocking match.
    fn most_findings(&self) -> usize {
        if self.action == RuleAction::Block { 1 } else { MAX_FINDINGS }
    }
}

enum Matcher {
    Pattern(Pattern),
    Words(Words),
    Entity(Entity),
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pattern(_) => "Pattern",
            Self::Words(_) => "Words",
            Self::Entity(_) => "Entity",
        })
    }
}

/// Whether more text may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Complete,
}

/// What is known after looking at a text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Scan {
    /// Matches that no further text can change, in order and apart from each other.
    matches: Vec<Range<usize>>,
    /// Whatever starts before this byte is decided; a match may be going on from here.
    resume: usize,
}

impl Matcher {
    /// Looks for up to `most` matches that start at or after `from`, where a match may start.
    /// Text before `from` is only context. With an open end, no match going on for more than
    /// [`HOLD_BACK`] bytes is waited for.
    fn scan(&self, text: &str, from: usize, end: End, most: usize) -> Scan {
        let mut scan = match self {
            Self::Pattern(pattern) => pattern.scan(text, from, end, most),
            Self::Words(words) => words.scan(text, from, end, most),
            Self::Entity(entity) => entity.scan(text, from, end, most),
        };
        if scan.matches.len() >= most {
            scan.resume = text.len();
        }
        scan
    }
}

/// The first character boundary that is at most `HOLD_BACK` bytes before the end of `text`.
fn hold_back_floor(text: &str) -> usize {
    let floor = text.len().saturating_sub(HOLD_BACK);
    (floor..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests;
