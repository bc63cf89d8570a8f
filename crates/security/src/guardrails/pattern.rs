//! Rules that are regular expressions.
//!
//! To know whether a match may be going on at the end of a text, the same expression is compiled
//! once more, to an automaton that is stepped by hand: it remembers for each state the earliest
//! place from which it was reached. Assertions such as `\b` count as true there, so it may say that
//! something goes on when nothing does, never the other way round.

use regex::{Regex, RegexBuilder};
use regex_automata::nfa::thompson::{self, NFA, State, WhichCaptures};
use regex_automata::util::{primitives::StateID, syntax};

use super::{End, Scan, hold_back_floor};

/// The most bytes that one compiled expression may take.
const MAX_COMPILED: usize = 1 << 20;
/// The deepest nesting of groups.
const MAX_NESTING: u32 = 50;

pub(super) struct Pattern {
    regex: Regex,
    automaton: NFA,
}

/// Why an expression is refused.
pub(super) struct PatternProblem {
    pub(super) what: String,
    pub(super) hint: &'static str,
}

impl Pattern {
    pub(super) fn compile(pattern: &str) -> Result<Self, PatternProblem> {
        let regex = RegexBuilder::new(pattern)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_COMPILED)
            .nest_limit(MAX_NESTING)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => too_big(),
                other => PatternProblem {
                    what: format!("is not a regular expression: {}", last_line(&other.to_string())),
                    hint: "the syntax is that of Rust's `regex` crate: \
                           no look-around, no backreferences",
                },
            })?;
        let parsed = syntax::parse(pattern).map_err(|_| too_big())?;
        match parsed.properties().minimum_len() {
            Some(0) => {
                return Err(PatternProblem {
                    what: "matches the empty text, so it would match everywhere".to_owned(),
                    hint: "make at least one part of it required",
                });
            }
            None => {
                return Err(PatternProblem {
                    what: "cannot match any text".to_owned(),
                    hint: "look for an empty class such as `[a&&b]`",
                });
            }
            Some(_) => {}
        }
        let configuration = thompson::Config::new()
            .nfa_size_limit(Some(MAX_COMPILED))
            .which_captures(WhichCaptures::None);
        let automaton = NFA::compiler()
            .configure(configuration)
            .build_from_hir(&parsed)
            .map_err(|_| too_big())?;
        Ok(Self { regex, automaton })
    }

    pub(super) fn scan(&self, text: &str, from: usize, end: End, most: usize) -> Scan {
        let mut scan = Scan { matches: Vec::new(), resume: from };
        let going_on_from = |from| match end {
            End::Complete => text.len(),
            End::Open => self.going_on_from(text, from),
        };
        let mut undecided = going_on_from(from);
        while scan.matches.len() < most {
            let found = self.regex.find_at(text, scan.resume);
            let decided = found.filter(|found| end == End::Complete || found.start() < undecided);
            let Some(found) = decided else { break };
            scan.matches.push(found.range());
            scan.resume = found.end();
            if undecided < found.end() {
                undecided = going_on_from(found.end());
            }
        }
        scan.resume = scan.resume.max(undecided);
        scan
    }

    /// The earliest place at or after `from`, in the last [`super::HOLD_BACK`] bytes, where a match
    /// may have begun that more text could complete, lengthen or refuse; the end of `text` if there
    /// is none.
    fn going_on_from(&self, text: &str, from: usize) -> usize {
        let from = from.max(hold_back_floor(text));
        let mut threads = Threads::new(self.automaton.states().len());
        let mut next = Threads::new(self.automaton.states().len());
        for (at, byte) in text.bytes().enumerate().skip(from) {
            threads.add(&self.automaton, self.automaton.start_anchored(), at);
            next.clear();
            for &(state, start) in &threads.active {
                if let Some(target) = step(self.automaton.state(state), byte) {
                    next.add(&self.automaton, target, start);
                }
            }
            std::mem::swap(&mut threads, &mut next);
        }
        threads.active.first().map_or(text.len(), |(_, start)| *start)
    }
}

fn too_big() -> PatternProblem {
    PatternProblem {
        what: "is too large when compiled".to_owned(),
        hint: "use smaller repetition counts, or `(?-u)` classes where ASCII is meant",
    }
}

/// The line of a syntax error that says what is wrong; the others draw the pattern.
fn last_line(error: &str) -> &str {
    let line = error.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line)
}

/// Where `byte` leads from `state`, if anywhere.
fn step(state: &State, byte: u8) -> Option<StateID> {
    match state {
        State::ByteRange { trans } => trans.matches_byte(byte).then_some(trans.next),
        State::Sparse(transitions) => transitions.matches_byte(byte),
        State::Dense(transitions) => transitions.matches_byte(byte),
        _ => None,
    }
}

/// States of the automaton that are reached, each with the earliest start of a way there.
struct Threads {
    /// From the earliest start to the latest.
    active: Vec<(StateID, usize)>,
    seen: Vec<bool>,
    pending: Vec<StateID>,
}

impl Threads {
    fn new(states: usize) -> Self {
        Self { active: Vec::new(), seen: vec![false; states], pending: Vec::new() }
    }

    fn clear(&mut self) {
        for (state, _) in self.active.drain(..) {
            self.seen[state.as_usize()] = false;
        }
    }

    /// Adds `state` and all that is reached from it without reading a byte. Ways are added from
    /// the earliest start to the latest, so the first to reach a state has its earliest start.
    fn add(&mut self, automaton: &NFA, state: StateID, start: usize) {
        self.pending.push(state);
        while let Some(state) = self.pending.pop() {
            if std::mem::replace(&mut self.seen[state.as_usize()], true) {
                continue;
            }
            self.active.push((state, start));
            match automaton.state(state) {
                State::Look { next, .. } | State::Capture { next, .. } => self.pending.push(*next),
                State::Union { alternates } => self.pending.extend(alternates.iter()),
                State::BinaryUnion { alt1, alt2 } => self.pending.extend([*alt1, *alt2]),
                _ => {}
            }
        }
    }
}
