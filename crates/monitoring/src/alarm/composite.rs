//! Composite alarms: a rule over the states of others, and what holds their actions back.
//!
//! `ALARM("errors") AND NOT (OK(latency) OR TRUE)`, as CloudWatch's `AlarmRule`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use release::Timestamp;

use super::State;

/// The most alarms that a rule names.
const MAX_CHILDREN: usize = 100;
/// The most functions, constants and operators of a rule.
const MAX_ELEMENTS: usize = 500;
/// The most characters of a rule.
const MAX_TEXT: usize = 10_240;
/// How deep brackets may be nested.
const MAX_DEPTH: usize = 50;

/// A mistake in a rule, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {message}")]
pub struct RuleError {
    /// Which character, from 1.
    pub at: usize,
    /// What is wrong.
    pub message: String,
}

/// A rule that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    text: String,
    root: Node,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Constant(bool),
    Is(State, String),
    Not(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let long = text.chars().count();
        if long > MAX_TEXT {
            let message = format!("{long} characters are more than the {MAX_TEXT} allowed");
            return Err(RuleError { at: MAX_TEXT, message });
        }
        let mut parser = Parser { text: text.chars().collect(), at: 0, depth: 0, elements: 0 };
        let root = parser.any()?;
        if let Some(found) = parser.peek() {
            return Err(parser.error(format!("`{found}` was not expected")));
        }
        let rule = Self { text: text.to_owned(), root };
        let children = rule.children().len();
        let limit = |count, noun, most| RuleError {
            at: 1,
            message: format!("{count} {noun} are more than the {most} allowed"),
        };
        if children > MAX_CHILDREN {
            return Err(limit(children, "alarms", MAX_CHILDREN));
        }
        if parser.elements > MAX_ELEMENTS {
            return Err(limit(parser.elements, "elements", MAX_ELEMENTS));
        }
        Ok(rule)
    }

    /// The alarms it names.
    pub fn children(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        self.root.names(&mut names);
        names
    }

    /// `ALARM` if the rule holds, else `OK`. An alarm that is not known has no data.
    pub fn evaluate(&self, state: &dyn Fn(&str) -> State) -> State {
        if self.root.holds(state) { State::Alarm } else { State::Ok }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Node {
    fn names<'a>(&'a self, names: &mut BTreeSet<&'a str>) {
        match self {
            Self::Constant(_) => {}
            Self::Is(_, name) => {
                names.insert(name);
            }
            Self::Not(inner) => inner.names(names),
            Self::All(all) | Self::Any(all) => all.iter().for_each(|node| node.names(names)),
        }
    }

    fn holds(&self, state: &dyn Fn(&str) -> State) -> bool {
        match self {
            Self::Constant(is) => *is,
            Self::Is(wanted, name) => state(name) == *wanted,
            Self::Not(inner) => !inner.holds(state),
            Self::All(all) => all.iter().all(|node| node.holds(state)),
            Self::Any(any) => any.iter().any(|node| node.holds(state)),
        }
    }
}

struct Parser {
    text: Vec<char>,
    at: usize,
    depth: usize,
    elements: usize,
}

impl Parser {
    fn error(&self, message: impl Into<String>) -> RuleError {
        RuleError { at: self.at + 1, message: message.into() }
    }

    fn peek(&mut self) -> Option<char> {
        while self.text.get(self.at).is_some_and(|it| it.is_whitespace()) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, mark: char) -> Result<(), RuleError> {
        match self.peek() {
            Some(found) if found == mark => {
                self.at += 1;
                Ok(())
            }
            Some(found) => Err(self.error(format!("`{mark}` was expected, not `{found}`"))),
            None => Err(self.error(format!("`{mark}` was expected, not the end"))),
        }
    }

    /// The next word, without passing over it.
    fn word(&mut self) -> String {
        self.peek();
        let rest = self.text[self.at..].iter();
        rest.take_while(|it| it.is_ascii_alphanumeric() || **it == '_').collect()
    }

    /// Whether `word` comes next; then it is passed over, as one more element.
    fn take(&mut self, word: &str) -> bool {
        let found = self.word().eq_ignore_ascii_case(word);
        if found {
            self.at += word.len();
            self.elements += 1;
        }
        found
    }

    fn deeper(&mut self) -> Result<(), RuleError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("nested more than {MAX_DEPTH} deep")));
        }
        Ok(())
    }

    fn any(&mut self) -> Result<Node, RuleError> {
        let mut any = vec![self.all()?];
        while self.take("OR") {
            any.push(self.all()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Node::Any(any) })
    }

    fn all(&mut self) -> Result<Node, RuleError> {
        let mut all = vec![self.not()?];
        while self.take("AND") {
            all.push(self.not()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Node::All(all) })
    }

    fn not(&mut self) -> Result<Node, RuleError> {
        if self.take("NOT") {
            self.deeper()?;
            let inner = self.not()?;
            self.depth -= 1;
            return Ok(Node::Not(Box::new(inner)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Node, RuleError> {
        if self.peek() == Some('(') {
            self.at += 1;
            self.deeper()?;
            let inner = self.any()?;
            self.depth -= 1;
            self.expect(')')?;
            return Ok(inner);
        }
        for (word, value) in [("TRUE", true), ("FALSE", false)] {
            if self.take(word) {
                return Ok(Node::Constant(value));
            }
        }
        for state in [State::Alarm, State::Ok, State::InsufficientData] {
            if self.take(state.as_str()) {
                self.expect('(')?;
                let name = self.name()?;
                self.expect(')')?;
                return Ok(Node::Is(state, name));
            }
        }
        let wanted = "ALARM(…), OK(…), INSUFFICIENT_DATA(…), TRUE, FALSE, NOT or `(`";
        let found = self.word();
        Err(match self.peek() {
            None => self.error(format!("the rule ends where {wanted} was expected")),
            Some(mark) if found.is_empty() => {
                self.error(format!("{wanted} was expected, not `{mark}`"))
            }
            Some(_) => self.error(format!("{wanted} was expected, not `{found}`")),
        })
    }

    /// An alarm's name, bare or in quotes. Of an ARN the last part is the name.
    fn name(&mut self) -> Result<String, RuleError> {
        let quote = self.peek().filter(|it| matches!(it, '"' | '\''));
        self.at += usize::from(quote.is_some());
        let rest = &self.text[self.at..];
        let end = match quote {
            Some(quote) => rest.iter().position(|it| *it == quote),
            None => rest.iter().position(|it| *it == ')' || it.is_whitespace()),
        };
        let end = end.ok_or_else(|| self.error("the alarm's name does not end"))?;
        let name: String = rest[..end].iter().collect();
        if name.is_empty() {
            return Err(self.error("an alarm's name was expected"));
        }
        self.at += end + usize::from(quote.is_some());
        Ok(name.rsplit(":alarm:").next().unwrap_or_default().to_owned())
    }
}

/// The composite alarms that depend on themselves, each with one way around.
pub fn cycles<'a>(rules: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut found = BTreeMap::new();
    for start in rules.keys() {
        // Every alarm is visited once, so the search is over soon also where nothing comes back.
        let mut seen = BTreeSet::new();
        let mut open: Vec<Vec<&str>> = vec![vec![*start]];
        while let Some(way) = open.pop() {
            let children = way.last().and_then(|last| rules.get(last)).into_iter().flatten();
            for child in children {
                let further = [way.as_slice(), &[*child]].concat();
                if child == start {
                    found.entry(*start).or_insert(further);
                } else if seen.insert(*child) {
                    open.push(further);
                }
            }
        }
    }
    found
}

/// What holds a composite alarm's actions back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppressor {
    /// The alarm that does so while it is in `ALARM`.
    pub alarm: String,
    /// For how many seconds its `ALARM` is waited for.
    pub wait_seconds: u32,
    /// For how many seconds it goes on after its `ALARM`.
    pub extension_seconds: u32,
}

/// How the suppressor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suppression {
    /// Whether it is in `ALARM`.
    pub in_alarm: bool,
    /// When it last left that state, if it did.
    pub left_at: Option<Timestamp>,
}

impl Suppressor {
    /// Why the actions of a change to `state` at `since` are held back at `now`; none if they are
    /// performed.
    pub fn holds(
        &self,
        (state, since): (State, Timestamp),
        suppression: Suppression,
        now: Timestamp,
    ) -> Option<String> {
        let passed = |since: Timestamp| now.duration_since(since).as_secs();
        if suppression.in_alarm {
            return Some(format!("`{}` is in ALARM", self.alarm));
        }
        let extension = i64::from(self.extension_seconds);
        if suppression.left_at.is_some_and(|left| passed(left) < extension) {
            return Some(format!("`{}` was in ALARM less than {extension} s ago", self.alarm));
        }
        let wait = i64::from(self.wait_seconds);
        (state == State::Alarm && passed(since) < wait)
            .then(|| format!("`{}` is waited for, {wait} s at most", self.alarm))
    }
}

#[cfg(test)]
mod tests;
