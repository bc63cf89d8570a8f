//! What the scripted model says: a pure function of the conversation, before any dialect.

use serde_json::{Value, json};

use super::schema;

/// The answer of every ordinary model: sixty words, so that truncation is an exact comparison.
/// One word with its following space is one token.
pub const ANSWER: &str = "Every release pins the model, the prompt, the knowledge, the guardrails \
and the settings that shape an answer, so when something goes wrong at night you can name exactly \
what was live, compare it with what came before, and put all five back with one move, while the \
people who depend on the service keep asking questions and getting answers.";

/// Models with a behaviour of their own, name and effect. Any other name that does not begin with
/// `fault-` is ordinary: it answers [`ANSWER`], or calls a tool that the last user message names.
pub const MODELS: &[(&str, &str)] = &[
    ("scripted", "answers the fixed sixty words, as any other name does"),
    ("echo", "answers what the last user message said"),
    ("echo-system", "answers the system text"),
    ("tools", "calls the first tool, or all that the last user message names"),
    ("cached", "reports half of the input tokens as read from the provider's cache"),
    ("reasoning", "thinks 24 tokens before it answers, and reports them"),
    ("slow", "pauses 100 ms (scaled) before every token of a stream"),
    ("filtered", "stops after 20 tokens because of the provider's content filter"),
    ("moody", "fails with a 500 for as many user messages as the system text says: `fail 20 %`"),
    ("missing", "does not exist: 404"),
];

/// Whether the model `moody` fails: always alike for the same user message.
pub(super) fn is_moody(conversation: &Conversation) -> bool {
    if conversation.model != "moody" {
        return false;
    }
    let told = conversation.system.split_once("fail ").map_or("", |(_, after)| after);
    let percent: u32 = told.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let hash = conversation
        .last_user
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash >> 8) % 100 < percent
}

const REASONING_TOKENS: usize = 24;
const FILTERED_AFTER: usize = 20;

/// The parts of a request that decide the answer, whatever its dialect.
#[derive(Default)]
pub(super) struct Conversation {
    pub model: String,
    pub system: String,
    /// The text of the last user message.
    pub last_user: String,
    /// All text of the messages, the system text excluded: what input tokens are counted from.
    pub text: String,
    /// Results of tools that came after the last assistant message.
    pub tool_results: Vec<String>,
    /// The last message, if the assistant's: the beginning of the answer.
    pub prefill: Option<String>,
    pub tools: Vec<Tool>,
    pub tool_choice: ToolChoice,
    pub parallel_tools: bool,
    pub format: Format,
    pub max_tokens: Option<u64>,
    pub stop_sequences: Vec<String>,
    pub stream: bool,
    /// Whether a stream ends with a usage event (OpenAI's `include_usage`).
    pub stream_usage: bool,
    /// Whether the client asked for visible reasoning.
    pub thinking: bool,
    /// How many answers are wanted (OpenAI's `n`).
    pub choices: u64,
}

pub(super) struct Tool {
    pub name: String,
    pub schema: Value,
}

#[derive(Default, PartialEq, Eq)]
pub(super) enum ToolChoice {
    #[default]
    Auto,
    None,
    Required,
    Named(String),
}

#[derive(Default)]
pub(super) enum Format {
    #[default]
    Text,
    AnyObject,
    Schema(Value),
}

/// A whole answer, ready to be put into a dialect.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// Tokens of visible reasoning.
    pub reasoning: Vec<String>,
    /// Tokens of the text.
    pub text: Vec<String>,
    pub calls: Vec<Call>,
    /// `None`: the provider never says why it stopped.
    pub stop: Option<Stop>,
    /// `None`: the provider reports none.
    pub usage: Option<Usage>,
}

/// A tool call; its arguments come in fragments of a JSON text.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub name: String,
    pub fragments: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    End,
    Length,
    Tools,
    Sequence(String),
    Filtered,
}

/// Token counts, as reported: signed, for a broken provider may report anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    /// Cached ones included.
    pub input: i64,
    pub cached: i64,
    /// Reasoning included.
    pub output: i64,
    pub reasoning: i64,
}

/// What the model says. `wants_tool`: call a tool even if nothing but the presence of tools
/// suggests it.
pub(super) fn answer(conversation: &Conversation, wants_tool: bool) -> Answer {
    let calls = calls(conversation, wants_tool || conversation.model == "tools");
    let reasoning = reasoning(conversation);
    let mut stop = if calls.is_empty() { Stop::End } else { Stop::Tools };
    let mut text = Vec::new();
    if calls.is_empty() {
        let said = said(conversation);
        let said = match cut_at_sequence(&said, &conversation.stop_sequences) {
            Some((before, sequence)) => {
                stop = Stop::Sequence(sequence.to_owned());
                before
            }
            None => &said,
        };
        text = if matches!(conversation.format, Format::Text) {
            said.split_inclusive(' ').map(str::to_owned).collect()
        } else {
            fragments(said)
        };
        if conversation.model == "filtered" {
            text.truncate(FILTERED_AFTER);
            stop = Stop::Filtered;
        }
        let room = conversation.max_tokens.map_or(usize::MAX, |max| {
            usize::try_from(max).unwrap_or(usize::MAX).saturating_sub(reasoning.0)
        });
        if text.len() > room {
            text.truncate(room);
            stop = Stop::Length;
        }
    }
    let usage = usage(conversation, &text, &calls, reasoning.0);
    Answer { reasoning: reasoning.1, text, calls, stop: Some(stop), usage: Some(usage) }
}

fn calls(conversation: &Conversation, wants_tool: bool) -> Vec<Call> {
    if !conversation.tool_results.is_empty() || conversation.prefill.is_some() {
        return Vec::new();
    }
    let tools = &conversation.tools;
    let mentioned = |tool: &&Tool| conversation.last_user.contains(&tool.name);
    let mut chosen: Vec<&Tool> = match &conversation.tool_choice {
        ToolChoice::None => Vec::new(),
        ToolChoice::Named(name) => tools.iter().filter(|tool| tool.name == *name).collect(),
        ToolChoice::Auto | ToolChoice::Required => tools.iter().filter(mentioned).collect(),
    };
    let must = wants_tool && conversation.tool_choice == ToolChoice::Auto;
    if chosen.is_empty() && (must || conversation.tool_choice == ToolChoice::Required) {
        chosen.extend(tools.first());
    }
    if !conversation.parallel_tools {
        chosen.truncate(1);
    }
    let call = |tool: &Tool| Call {
        name: tool.name.clone(),
        fragments: fragments(&schema::example(&tool.schema).to_string()),
    };
    chosen.into_iter().map(call).collect()
}

/// Count, and the visible tokens.
fn reasoning(conversation: &Conversation) -> (usize, Vec<String>) {
    if conversation.model != "reasoning" && !conversation.thinking {
        return (0, Vec::new());
    }
    let thoughts = "Let me think about what was asked. ".split_inclusive(' ');
    (REASONING_TOKENS, thoughts.cycle().take(REASONING_TOKENS).map(str::to_owned).collect())
}

fn said(conversation: &Conversation) -> String {
    if !conversation.tool_results.is_empty() {
        return format!("The tool said: {}", conversation.tool_results.join(" and "));
    }
    let whole = match &conversation.format {
        Format::AnyObject => json!({ "answer": "ready" }).to_string(),
        Format::Schema(schema) => schema::example(schema).to_string(),
        Format::Text => match conversation.model.as_str() {
            "echo" => conversation.last_user.clone(),
            "echo-system" => conversation.system.clone(),
            _ => ANSWER.to_owned(),
        },
    };
    match &conversation.prefill {
        // A provider continues a prefilled answer where it stops.
        Some(beginning) => whole.strip_prefix(beginning.as_str()).unwrap_or(&whole).to_owned(),
        None => whole,
    }
}

fn cut_at_sequence<'a>(said: &'a str, sequences: &'a [String]) -> Option<(&'a str, &'a str)> {
    let first = |sequence: &'a String| Some((said.find(sequence.as_str())?, sequence));
    let (at, sequence) = sequences.iter().filter_map(first).min_by_key(|(at, _)| *at)?;
    Some((&said[..at], sequence))
}

/// Splits a JSON text into pieces of eight characters, so that no consumer sees it whole.
fn fragments(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(8).map(|piece| piece.iter().collect()).collect()
}

fn usage(conversation: &Conversation, text: &[String], calls: &[Call], reasoning: usize) -> Usage {
    let input = input_tokens(conversation);
    let spoken = text.len() + calls.iter().map(|call| call.fragments.len()).sum::<usize>();
    let cached = if conversation.model == "cached" { input / 2 } else { 0 };
    let reasoning = signed(reasoning);
    Usage { input, cached, output: signed(spoken) + reasoning, reasoning }
}

/// Words of the system text, the messages and the tools' names; never less than one.
pub(super) fn input_tokens(conversation: &Conversation) -> i64 {
    let words = conversation.system.split_whitespace().count()
        + conversation.text.split_whitespace().count()
        + conversation.tools.len();
    signed(words.max(1))
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
