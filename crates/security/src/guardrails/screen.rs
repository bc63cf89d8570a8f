//! Screening an answer while it streams.

use std::sync::Arc;

use super::{Check, End, Finding, RuleAction};

/// The most bytes of released text that are kept as context: what `\b`, `^` and the entities look
/// at before a match.
const CONTEXT: usize = 32;

/// What may go out now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Screened {
    /// No rule blocks the answer so far.
    Release {
        /// The text that no blocking rule can match any more; may be empty.
        text: String,
        /// What was found since the last call.
        findings: Vec<Finding>,
    },
    /// A rule blocks the answer: what was held back, and all that follows, is withheld.
    Blocked {
        /// The finding that blocks.
        by: Finding,
        /// What was found since the last call, `by` included.
        findings: Vec<Finding>,
    },
}

/// Screens one answer. Feed it every piece of text in order, then [`OutputScreen::finish`].
#[derive(Debug)]
pub struct OutputScreen {
    checks: Arc<[Check]>,
    progress: Vec<Progress>,
    /// The end of the answer so far: context, then text not yet decided or released.
    text: String,
    /// Where `text` begins in the answer.
    begins: usize,
    /// How much of `text` was released.
    released: usize,
    blocked: Option<Finding>,
}

/// How far one check is.
#[derive(Debug, Clone)]
struct Progress {
    /// In `OutputScreen::text`: matches that start before are decided.
    resume: usize,
    findings_left: usize,
}

impl OutputScreen {
    pub(super) fn new(checks: Arc<[Check]>) -> Self {
        let progress = checks
            .iter()
            .map(|check| Progress { resume: 0, findings_left: check.most_findings() })
            .collect();
        Self { checks, progress, text: String::new(), begins: 0, released: 0, blocked: None }
    }

    /// Takes the next piece of the answer.
    pub fn push(&mut self, piece: &str) -> Screened {
        if self.checks.is_empty() {
            return Screened::Release { text: piece.to_owned(), findings: Vec::new() };
        }
        if self.blocked.is_none() {
            self.text.push_str(piece);
        }
        self.advance(End::Open)
    }

    /// Takes the end of the answer.
    pub fn finish(mut self) -> Screened {
        self.advance(End::Complete)
    }

    fn advance(&mut self, end: End) -> Screened {
        if let Some(by) = self.blocked.clone() {
            return Screened::Blocked { by, findings: Vec::new() };
        }
        let mut findings = Vec::new();
        let mut releasable = self.text.len();
        for (check, progress) in self.checks.iter().zip(&mut self.progress) {
            if progress.findings_left == 0 {
                progress.resume = self.text.len();
                continue;
            }
            let (from, most) = (progress.resume, progress.findings_left);
            let scan = check.matcher.scan(&self.text, from, end, most);
            progress.findings_left -= scan.matches.len();
            progress.resume = scan.resume;
            if check.action == RuleAction::Block {
                releasable = releasable.min(scan.resume);
            }
            let in_answer = |at: usize| self.begins + at;
            findings.extend(
                scan.matches
                    .into_iter()
                    .map(|found| check.finding(in_answer(found.start)..in_answer(found.end))),
            );
        }
        findings.sort_by_key(|finding| finding.span.start);
        if let Some(by) = findings.iter().find(|finding| finding.action == RuleAction::Block) {
            self.blocked = Some(by.clone());
            self.text = String::new();
            return Screened::Blocked { by: by.clone(), findings };
        }
        let text = self.text[self.released..releasable.max(self.released)].to_owned();
        self.released += text.len();
        self.forget();
        Screened::Release { text, findings }
    }

    /// Drops what is released and decided, but for some context.
    fn forget(&mut self) {
        let resumes = self.progress.iter().map(|progress| progress.resume);
        let needed = resumes.chain([self.released]).min().unwrap_or(0);
        let mut cut = needed.saturating_sub(CONTEXT);
        while !self.text.is_char_boundary(cut) {
            cut -= 1;
        }
        if cut < CONTEXT {
            return;
        }
        self.text.drain(..cut);
        self.begins += cut;
        self.released -= cut;
        for progress in &mut self.progress {
            progress.resume -= cut;
        }
    }
}
