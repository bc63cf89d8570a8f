//! Cases: what is asked, and what is known about good answers. A file has one in JSON per line.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use release::{CanonicalError, CanonicalJson, Code, Diagnostic, Digest, Place};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::answer::{Answer, ToolCall};

/// The most bytes of one line.
pub const MAX_LINE: usize = 1 << 18;
/// The most cases of one suite.
pub const MAX_CASES: usize = 20_000;
/// The longest id, in bytes.
const MAX_ID: usize = 200;
/// A case with a mistake.
const BAD_CASE: Code = Code::new("GC0105");

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its name within the suite.
    pub id: String,
    /// What is asked.
    pub input: Input,
    /// A good answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The tools that a good answer calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_tool_calls: Option<Vec<ToolCall>>,
    /// Whether a good answer is a refusal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refuse: bool,
    /// What an answer says only if the attempt that the case is came through. The input must not have
    /// it as it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
    /// Whether it was drawn from a trace, and nobody has said what a good answer is: then whether to
    /// refuse is not known either.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recorded: bool,
    /// Texts that a good answer rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
    /// Paths of documents or ids of passages that should be found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relevant: Vec<String>,
    /// An answer that was given already and that people have labelled, as one from a trace. It is
    /// scored once, by the scorers that labels are for, to see how well they agree; nothing is
    /// asked. It is not the release's, so its scores say nothing about the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// What people say of that answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// What else belongs to it; templates see it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, Value>,
}

/// What a person says of the answer that a case holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The scorer that should say the same.
    pub scorer: String,
    /// The person.
    pub by: String,
    /// Whether it is good enough.
    pub pass: bool,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Input {
    /// A question.
    Text(String),
    /// A conversation.
    Messages(Vec<Message>),
}

/// By hand, because the message of an untagged enum does not say what is wrong.
impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self::Text(text)),
            list @ Value::Array(_) => {
                serde_json::from_value(list).map(Self::Messages).map_err(D::Error::custom)
            }
            _ => Err(D::Error::custom("`input` is neither a text nor a list of messages")),
        }
    }
}

impl Input {
    /// What is wrong with it.
    pub fn wrong(&self) -> Option<&'static str> {
        match self {
            Self::Text(text) if text.trim().is_empty() => Some("the input is empty"),
            Self::Messages(list) if !list.iter().any(|message| message.role() == "user") => {
                Some("the input has no message of role `user`")
            }
            _ => None,
        }
    }

    /// The question: the text, or that of the last message of role `user`.
    pub fn question(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Messages(list) => {
                let last = list.iter().rfind(|message| message.role() == "user");
                last.map(Message::text).unwrap_or_default()
            }
        }
    }

    /// It as messages.
    pub fn messages(&self) -> Vec<Message> {
        match self {
            Self::Messages(list) => list.clone(),
            Self::Text(text) => {
                let fields = [("role", "user"), ("content", text)];
                let fields = fields.map(|(key, value)| (key.to_owned(), Value::from(value)));
                vec![Message(Map::from_iter(fields))]
            }
        }
    }
}

/// A message in the form of OpenAI's chat completions. Fields that are not known here are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Message(Map<String, Value>);

impl TryFrom<Map<String, Value>> for Message {
    type Error = String;

    fn try_from(fields: Map<String, Value>) -> Result<Self, String> {
        match fields.get("role").and_then(Value::as_str) {
            Some("system" | "developer" | "user" | "assistant" | "tool") => Ok(Self(fields)),
            Some(role) => Err(format!("`{role}` is not a role of a message")),
            None => Err("a message needs a `role`".to_owned()),
        }
    }
}

impl Message {
    /// Who speaks.
    pub fn role(&self) -> &str {
        self.0.get("role").and_then(Value::as_str).unwrap_or_default()
    }

    /// Its text, that of all its parts.
    pub fn text(&self) -> String {
        match self.0.get("content") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => {
                let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
                texts.collect::<Vec<_>>().join("\n")
            }
            _ => String::new(),
        }
    }

    /// All its fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl Case {
    /// A case that was drawn from a trace.
    pub fn recorded(id: String, input: Input, metadata: BTreeMap<String, Value>) -> Self {
        Self {
            id,
            input,
            recorded: true,
            canary: None,
            expected: None,
            expected_tool_calls: None,
            refuse: false,
            context: Vec::new(),
            relevant: Vec::new(),
            answer: None,
            labels: Vec::new(),
            metadata,
        }
    }

    /// The digest of all that it holds.
    pub fn digest(&self) -> Digest {
        // A case was read from JSON, so it can be written.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// What is wrong with it, and what to do about it.
    fn wrong(&self, scorers: &[&str]) -> Option<(String, &'static str)> {
        if self.id.is_empty() || self.id.len() > MAX_ID || self.id.chars().any(char::is_control) {
            let message = "the id is empty, too long or not printable".to_owned();
            return Some((message, "use 1 to 200 characters"));
        }
        if let Some(why) = self.input.wrong() {
            let hint = "give `input` a text, or messages with one of role `user`";
            return Some((why.to_owned(), hint));
        }
        if !self.labels.is_empty() && self.answer.is_none() {
            let message = "there are labels, and no answer that they are about".to_owned();
            return Some((message, "add the `answer` that people have seen"));
        }
        let mut said = BTreeSet::new();
        for Label { scorer, by, .. } in &self.labels {
            if !scorers.contains(&scorer.as_str()) {
                let message = format!("a label is for `{scorer}`, which is no scorer of the suite");
                return Some((message, "name a scorer as the suite's file does"));
            }
            if !said.insert((scorer, by)) {
                let message = format!("`{by}` labels the answer for `{scorer}` twice");
                return Some((message, "keep one label of each person for a scorer"));
            }
        }
        None
    }
}

/// Reads the cases in `text`, the contents of `file`. Empty lines are passed over. `scorers` are
/// those that labels can be for.
///
/// # Errors
/// Every mistake, with its line and column.
pub fn read_cases(file: &str, text: &str, scorers: &[&str]) -> Result<Vec<Case>, Vec<Diagnostic>> {
    let mut cases: Vec<Case> = Vec::new();
    let mut found = Vec::new();
    let mut first: HashMap<String, usize> = HashMap::new();
    for (number, line) in (1_usize..).zip(text.lines()) {
        let at = |column: usize| Place {
            file: file.to_owned(),
            line: u32::try_from(number).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        };
        let error = |column, message: String| Diagnostic::error(BAD_CASE, at(column), message);
        if line.trim().is_empty() {
            continue;
        }
        if line.len() > MAX_LINE {
            let message = format!("{} bytes are more than the {MAX_LINE} of a line", line.len());
            found.push(error(1, message));
            continue;
        }
        match read_case(line) {
            Err((column, message)) => found.push(error(column, message)),
            Ok(case) => {
                if let Some((message, hint)) = case.wrong(scorers) {
                    found.push(error(1, message).hint(hint));
                }
                if let Some(other) = first.get(&case.id) {
                    let message = format!("the id `{}` is that of line {other} too", case.id);
                    found.push(error(1, message).hint("give each case its own id"));
                }
                first.entry(case.id.clone()).or_insert(number);
                cases.push(case);
            }
        }
    }
    if cases.len() > MAX_CASES {
        let message = format!("{} cases are more than the {MAX_CASES} allowed", cases.len());
        found.push(Diagnostic::error(BAD_CASE, Place::start_of(file), message));
    }
    if cases.is_empty() && found.is_empty() {
        let message = "there is no case";
        found.push(Diagnostic::error(BAD_CASE, Place::start_of(file), message));
    }
    if found.is_empty() { Ok(cases) } else { Err(found) }
}

/// One line, or the column in characters and what is wrong there.
fn read_case(line: &str) -> Result<Case, (usize, String)> {
    // Else a list would be taken for the values of the keys, in their order.
    if !line.trim_start().starts_with('{') {
        return Err((1, "a case is an object in JSON".to_owned()));
    }
    let canonical = match CanonicalJson::parse(line.as_bytes()) {
        Err(CanonicalError::Unacceptable(error)) => Err(error),
        _ => Ok(()),
    };
    canonical.and_then(|()| serde_json::from_str(line)).map_err(|error| {
        // serde counts bytes, and its message ends with the place.
        let bytes = error.column().saturating_sub(1).min(line.len());
        let column = line.as_bytes()[..bytes].iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        let text = error.to_string();
        let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
        (column + 1, message.to_owned())
    })
}
