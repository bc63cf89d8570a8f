//! Checks a request as Anthropic's API does, with its words, and reads the conversation from it.

mod settings;
mod tools;

use serde_json::{Value, json};

use super::request_id;
use crate::model_server::answer::Conversation;
use crate::model_server::dialect::{Failure, Refusal};
use crate::model_server::http::Request;

type Checked<T> = Result<T, Refusal>;

/// What the request is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::model_server) enum Purpose {
    Message,
    CountTokens,
}

/// Parameters of other APIs. The original refuses every name that it does not know; here only
/// those that betray a missing translation are, so that the handling of extensions can be tested.
const FOREIGN: &[&str] = &[
    "frequency_penalty",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "stop",
    "stream_options",
    "user",
];

const BLOCKS: &[&str] = &[
    "document",
    "image",
    "redacted_thinking",
    "search_result",
    "server_tool_use",
    "text",
    "thinking",
    "tool_result",
    "tool_use",
    "web_search_tool_result",
];

/// A 4xx in Anthropic's envelope. The request id is filled in when it is sent.
pub(in crate::model_server) fn refusal(
    status: u16,
    kind: &str,
    message: impl Into<String>,
) -> Refusal {
    let message: String = message.into();
    let error = json!({ "type": kind, "message": message });
    let body = json!({ "type": "error", "error": error, "request_id": null });
    Refusal { status, body }
}

fn invalid<T>(message: impl Into<String>) -> Checked<T> {
    Err(refusal(400, "invalid_request_error", message))
}

/// The values of `anthropic-version` that SDKs send.
const VERSIONS: &[&str] = &["2023-01-01", "2023-06-01", "2026-10-21"];

/// Whether the request carries a key and a version; the key `sk-invalid` is a wrong one. Newer
/// SDKs send the key as a bearer token instead of in `x-api-key`.
pub(in crate::model_server) fn authorised(request: &Request, number: u64) -> Checked<()> {
    let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    match request.header("x-api-key").or(bearer).map(str::trim) {
        Some("sk-invalid") => {
            return Err(Refusal { status: 401, body: super::failure(Failure::WrongKey, number) });
        }
        Some(key) if !key.is_empty() => {}
        _ => return Err(refusal(401, "authentication_error", "x-api-key header is required")),
    }
    match request.header("anthropic-version") {
        Some(version) if VERSIONS.contains(&version) => Ok(()),
        Some(other) => invalid(format!("anthropic-version: \"{other}\" is not a valid version")),
        None => invalid("anthropic-version: header is required"),
    }
}

impl Refusal {
    /// Puts the request's id into Anthropic's envelope; OpenAI's has none.
    pub(in crate::model_server) fn with_request_id(mut self, number: u64) -> Self {
        if let Some(id) = self.body.get_mut("request_id") {
            *id = json!(request_id(number));
        }
        self
    }
}

/// Reads a request for a message or for a count of its tokens.
pub(in crate::model_server) fn conversation(
    body: &Value,
    purpose: Purpose,
) -> Checked<Conversation> {
    if !body.is_object() {
        return invalid("Input should be a valid dictionary or object to extract fields from");
    }
    let model = match body.get("model") {
        Some(Value::String(model)) if !model.is_empty() => model.clone(),
        Some(Value::String(_)) => return invalid("model: String should have at least 1 character"),
        Some(_) => return invalid("model: Input should be a valid string"),
        None => return invalid("model: Field required"),
    };
    for name in FOREIGN {
        if body.get(*name).is_some() {
            return invalid(format!("{name}: Extra inputs are not permitted"));
        }
    }
    let mut asked =
        Conversation { model, parallel_tools: true, choices: 1, ..Conversation::default() };
    if purpose == Purpose::Message {
        asked.max_tokens = Some(max_tokens(body)?);
    }
    asked.system = system(body)?;
    tools::tools(body, &mut asked)?;
    messages(body, &mut asked)?;
    settings::settings(body, &mut asked)?;
    Ok(asked)
}

fn max_tokens(body: &Value) -> Checked<u64> {
    match body.get("max_tokens") {
        None => invalid("max_tokens: Field required"),
        Some(value) if !value.is_i64() && !value.is_u64() => {
            invalid("max_tokens: Input should be a valid integer")
        }
        Some(value) => match value.as_u64() {
            Some(number) if number >= 1 => Ok(number),
            _ => invalid("max_tokens: must be greater than or equal to 1"),
        },
    }
}

fn system(body: &Value) -> Checked<String> {
    match body.get("system") {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(blocks)) => {
            let mut texts = Vec::with_capacity(blocks.len());
            for (index, block) in blocks.iter().enumerate() {
                match (block.get("type").and_then(Value::as_str), block.get("text")) {
                    (Some("text"), Some(Value::String(text))) if text.is_empty() => {
                        return invalid("system: text content blocks must be non-empty");
                    }
                    (Some("text"), Some(Value::String(text))) => texts.push(text.as_str()),
                    (Some("text"), _) => {
                        return invalid(format!("system.{index}.text: Field required"));
                    }
                    _ => {
                        return invalid(format!("system.{index}.type: Input should be 'text'"));
                    }
                }
            }
            Ok(texts.join("\n\n"))
        }
        Some(_) => invalid("system: Input should be a valid list"),
    }
}

fn messages(body: &Value, asked: &mut Conversation) -> Checked<()> {
    let messages = match body.get("messages") {
        None => return invalid("messages: Field required"),
        Some(Value::Array(messages)) => messages,
        Some(_) => return invalid("messages: Input should be a valid list"),
    };
    if messages.is_empty() {
        return invalid("messages: at least one message is required");
    }
    let mut uses: Vec<String> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = role(message, index)?;
        if index == 0 && role != "user" {
            return invalid("messages: first message must use the \"user\" role");
        }
        let last = index + 1 == messages.len();
        let content = content(message, role, index)?;
        if content.empty && !(last && role == "assistant") {
            return invalid(format!(
                "messages.{index}: {role} messages must have non-empty content"
            ));
        }
        results_match(&uses, &content, index)?;
        if role == "assistant" && last && content.text.ends_with(char::is_whitespace) {
            return invalid(
                "messages: final assistant content cannot end with trailing whitespace",
            );
        }
        uses.clone_from(&content.uses);
        take_message(asked, role, content);
    }
    if uses.is_empty() { Ok(()) } else { unanswered(messages.len() - 1, &uses) }
}

/// What a message means for the answer.
fn take_message(asked: &mut Conversation, role: &str, content: Content) {
    asked.text.push_str(&content.text);
    asked.text.push(' ');
    asked.tool_results = content.results.iter().map(|(_, result)| result.clone()).collect();
    for result in &asked.tool_results {
        asked.text.push_str(result);
        asked.text.push(' ');
    }
    if role == "assistant" {
        asked.prefill = Some(content.text);
    } else {
        asked.prefill = None;
        if content.results.is_empty() {
            asked.last_user = content.text;
        }
    }
}

fn role(message: &Value, index: usize) -> Checked<&'static str> {
    match message.get("role") {
        None => invalid(format!("messages.{index}.role: Field required")),
        Some(Value::String(role)) => match role.as_str() {
            "user" => Ok("user"),
            "assistant" => Ok("assistant"),
            "system" => invalid(
                "messages: Unexpected role \"system\". The Messages API accepts a top-level \
                 `system` parameter, not \"system\" as an input message role.",
            ),
            other => invalid(format!(
                "messages: Unexpected role \"{other}\". Allowed roles are \"user\" or \
                 \"assistant\"."
            )),
        },
        Some(_) => invalid(format!("messages.{index}.role: Input should be a valid string")),
    }
}

#[derive(Default)]
struct Content {
    empty: bool,
    text: String,
    /// Ids of tool uses.
    uses: Vec<String>,
    /// Ids and texts of tool results.
    results: Vec<(String, String)>,
}

fn content(message: &Value, role: &str, index: usize) -> Checked<Content> {
    let mut content = Content::default();
    match message.get("content") {
        None => return invalid(format!("messages.{index}.content: Field required")),
        Some(Value::String(text)) => {
            content.empty = text.is_empty();
            content.text.clone_from(text);
        }
        Some(Value::Array(blocks)) => {
            content.empty = blocks.is_empty();
            for (position, block) in blocks.iter().enumerate() {
                let place = format!("messages.{index}.content.{position}");
                take_block(&mut content, block, role, &place)?;
            }
        }
        Some(_) => {
            return invalid(format!("messages.{index}.content: Input should be a valid list"));
        }
    }
    Ok(content)
}

fn take_block(content: &mut Content, block: &Value, role: &str, place: &str) -> Checked<()> {
    let Some(kind) = block.get("type").and_then(Value::as_str) else {
        return invalid(format!("{place}.type: Field required"));
    };
    if !BLOCKS.contains(&kind) {
        let tags = BLOCKS.iter().map(|tag| format!("'{tag}'")).collect::<Vec<_>>().join(", ");
        return invalid(format!(
            "{place}: Input tag '{kind}' found using 'type' does not match any of the expected \
             tags: {tags}"
        ));
    }
    let field = |name: &str| match block.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => invalid(format!("{place}.{kind}.{name}: Input should be a valid string")),
        None => invalid(format!("{place}.{kind}.{name}: Field required")),
    };
    match (kind, role) {
        ("text", _) => {
            let text = field("text")?;
            if text.is_empty() {
                return invalid("messages: text content blocks must be non-empty");
            }
            content.text.push_str(&text);
        }
        ("tool_use", "assistant") => {
            field("name")?;
            match block.get("input") {
                Some(Value::Object(_)) => {}
                Some(_) => {
                    return invalid(format!(
                        "{place}.tool_use.input: Input should be a valid dictionary"
                    ));
                }
                None => return invalid(format!("{place}.tool_use.input: Field required")),
            }
            let id = field("id")?;
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if id.is_empty() || !id.chars().all(legal) {
                return invalid(format!(
                    "{place}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
                ));
            }
            content.uses.push(id);
        }
        ("tool_use", _) => {
            return invalid("messages: `tool_use` blocks can only be in `assistant` messages");
        }
        ("tool_result", "user") => {
            content.results.push((field("tool_use_id")?, result_text(block, place)?));
        }
        ("tool_result", _) => {
            return invalid("messages: `tool_result` blocks can only be in `user` messages");
        }
        ("thinking", _) => {
            field("thinking")?;
            field("signature")?;
        }
        ("image" | "document", _) if !block.get("source").is_some_and(Value::is_object) => {
            return invalid(format!("{place}.{kind}.source: Field required"));
        }
        _ => {}
    }
    Ok(())
}

fn result_text(block: &Value, place: &str) -> Checked<String> {
    match block.get("content") {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            let text = |part: &Value| part.get("text").and_then(Value::as_str).map(str::to_owned);
            Ok(parts.iter().filter_map(text).collect())
        }
        Some(_) => invalid(format!("{place}.tool_result.content: Input should be a valid list")),
    }
}

/// Every result answers a use of the message before, and every use there is answered here.
fn results_match(uses: &[String], content: &Content, index: usize) -> Checked<()> {
    for (position, (id, _)) in content.results.iter().enumerate() {
        if !uses.contains(id) {
            return invalid(format!(
                "messages.{index}.content.{position}: unexpected `tool_use_id` found in \
                 `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding \
                 `tool_use` block in the previous message."
            ));
        }
    }
    let missing: Vec<String> = uses
        .iter()
        .filter(|id| !content.results.iter().any(|(answered, _)| answered == *id))
        .cloned()
        .collect();
    if missing.is_empty() { Ok(()) } else { unanswered(index - 1, &missing) }
}

fn unanswered(index: usize, ids: &[String]) -> Checked<()> {
    invalid(format!(
        "messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately \
         after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the \
         next message.",
        ids.join(", ")
    ))
}
