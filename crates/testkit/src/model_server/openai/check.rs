//! Checks a request as OpenAI's API does, with its words, and reads the conversation from it.

use serde_json::{Value, json};

use super::super::answer::{Conversation, Format, Tool, ToolChoice};
use super::super::dialect::{Failure, Refusal};
use super::super::embedding::DIMENSIONS;
use super::super::http::Request;

type Checked<T> = Result<T, Refusal>;

/// Parameters of other APIs. Unknown names pass, for compatible servers have extensions.
const FOREIGN: &[&str] =
    &["system", "stop_sequences", "thinking", "output_format", "anthropic_version", "top_k"];

/// A 4xx in OpenAI's envelope.
pub(in super::super) fn refusal(
    status: u16,
    message: impl Into<String>,
    param: Option<&str>,
    code: Option<&str>,
) -> Refusal {
    let message: String = message.into();
    let error = json!({ "message": message, "type": "invalid_request_error", "param": param, "code": code });
    Refusal { status, body: json!({ "error": error }) }
}

fn invalid<T>(message: impl Into<String>, param: &str, code: Option<&str>) -> Checked<T> {
    Err(refusal(400, message, Some(param), code))
}

fn invalid_type<T>(param: &str, expected: &str, got: &Value) -> Checked<T> {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let message =
        format!("Invalid type for '{param}': expected {expected}, but got {got} instead.");
    invalid(message, param, Some("invalid_type"))
}

fn missing<T>(param: &str) -> Checked<T> {
    let message = format!("Missing required parameter: '{param}'.");
    invalid(message, param, Some("missing_required_parameter"))
}

/// Whether the request carries a key; the key `sk-invalid` is a wrong one.
pub(in super::super) fn authorised(request: &Request) -> Checked<()> {
    let key = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    match key.map(str::trim) {
        Some("sk-invalid") => Err(Refusal { status: 401, body: super::failure(Failure::WrongKey) }),
        Some(key) if !key.is_empty() => Ok(()),
        _ => Err(refusal(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization \
             header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            None,
            None,
        )),
    }
}

/// Reads a chat completion request.
pub(in super::super) fn conversation(body: &Value) -> Checked<Conversation> {
    let model = model(body)?;
    for name in FOREIGN {
        if body.get(*name).is_some() {
            let message = format!("Unrecognized request argument supplied: {name}");
            return Err(refusal(400, message, None, None));
        }
    }
    let mut asked =
        Conversation { model, parallel_tools: true, choices: 1, ..Conversation::default() };
    messages(body, &mut asked)?;
    sampling(body, &mut asked)?;
    streaming(body, &mut asked)?;
    tools(body, &mut asked)?;
    response_format(body, &mut asked)?;
    Ok(asked)
}

fn model(body: &Value) -> Checked<String> {
    match body.get("model") {
        Some(Value::String(model)) if !model.is_empty() => Ok(model.clone()),
        Some(other) if !other.is_string() && !other.is_null() => {
            invalid_type("model", "a string", other)
        }
        _ => Err(refusal(400, "you must provide a model parameter", None, None)),
    }
}

fn messages(body: &Value, asked: &mut Conversation) -> Checked<()> {
    let messages = match body.get("messages") {
        Some(Value::Array(messages)) => messages,
        Some(other) => return invalid_type("messages", "an array of objects", other),
        None => return missing("messages"),
    };
    if messages.is_empty() {
        return invalid(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an \
             empty array instead.",
            "messages",
            Some("empty_array"),
        );
    }
    // Calls of the latest assistant message that no tool message has answered yet.
    let mut unanswered: Option<(usize, Vec<String>)> = None;
    for (index, message) in messages.iter().enumerate() {
        let place = format!("messages[{index}]");
        if !message.is_object() {
            return invalid_type(&place, "an object", message);
        }
        let role = role(message, &place)?;
        if role == "tool" {
            tool_message(message, index, &mut unanswered)?;
        } else {
            all_answered(unanswered.take())?;
        }
        let text = content(message, role, &place)?;
        let calls = if role == "assistant" { tool_calls(message, &place)? } else { Vec::new() };
        if !calls.is_empty() {
            unanswered = Some((index, calls));
        }
        take_message(asked, role, text);
    }
    all_answered(unanswered)
}

/// What a message means for the answer.
fn take_message(asked: &mut Conversation, role: &str, text: String) {
    asked.prefill = None;
    match role {
        "system" | "developer" => {
            if !asked.system.is_empty() {
                asked.system.push_str("\n\n");
            }
            asked.system.push_str(&text);
            return;
        }
        "tool" | "function" => asked.tool_results.push(text.clone()),
        "assistant" => {
            asked.tool_results.clear();
            asked.prefill = Some(text.clone());
        }
        _ => {
            asked.tool_results.clear();
            asked.last_user.clone_from(&text);
        }
    }
    asked.text.push_str(&text);
    asked.text.push(' ');
}

fn role<'a>(message: &'a Value, place: &str) -> Checked<&'a str> {
    let place = format!("{place}.role");
    match message.get("role") {
        Some(Value::String(role)) => match role.as_str() {
            "system" | "assistant" | "user" | "function" | "tool" | "developer" => Ok(role),
            _ => invalid(
                format!(
                    "Invalid value: '{role}'. Supported values are: 'system', 'assistant', \
                     'user', 'function', 'tool', and 'developer'."
                ),
                &place,
                Some("invalid_value"),
            ),
        },
        Some(other) => {
            invalid_type(&place, "one of 'system', 'assistant', 'user', or 'tool'", other)
        }
        None => missing(&place),
    }
}

fn content(message: &Value, role: &str, place: &str) -> Checked<String> {
    let place = format!("{place}.content");
    let speechless = role == "assistant"
        && ["tool_calls", "function_call", "refusal", "audio"]
            .iter()
            .any(|field| message.get(field).is_some_and(|value| !value.is_null()));
    match message.get("content") {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            let mut text = String::new();
            for (index, part) in parts.iter().enumerate() {
                text.push_str(content_part(part, role, &format!("{place}[{index}]"))?);
            }
            Ok(text)
        }
        None | Some(Value::Null) if speechless => Ok(String::new()),
        None => missing(&place),
        Some(Value::Null) => invalid(
            format!("Invalid value for '{place}': expected a string, got null."),
            &place,
            None,
        ),
        Some(other) => invalid_type(&place, "one of a string or array of objects", other),
    }
}

/// The text of a part; empty for a picture or the like.
fn content_part<'a>(part: &'a Value, role: &str, place: &str) -> Checked<&'a str> {
    let allowed: &[&str] = match role {
        "user" => &["text", "image_url", "input_audio", "file"],
        "assistant" => &["text", "refusal"],
        _ => &["text"],
    };
    let Some(kind) = part.get("type").and_then(Value::as_str) else {
        return missing(&format!("{place}.type"));
    };
    if !allowed.contains(&kind) {
        let allowed = allowed.iter().map(|kind| format!("'{kind}'")).collect::<Vec<_>>();
        return invalid(
            format!("Invalid value: '{kind}'. Supported values are: {}.", allowed.join(", ")),
            &format!("{place}.type"),
            Some("invalid_value"),
        );
    }
    match part.get(kind) {
        Some(Value::String(text)) if matches!(kind, "text" | "refusal") => Ok(text),
        Some(Value::Object(_)) if !matches!(kind, "text" | "refusal") => Ok(""),
        Some(other) => invalid_type(&format!("{place}.{kind}"), "a different type", other),
        None => missing(&format!("{place}.{kind}")),
    }
}

/// The ids of an assistant message's calls.
fn tool_calls(message: &Value, place: &str) -> Checked<Vec<String>> {
    let place = format!("{place}.tool_calls");
    let calls = match message.get("tool_calls") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(calls)) if calls.is_empty() => {
            return invalid(
                format!(
                    "Invalid '{place}': empty array. Expected an array with minimum length 1, but \
                     got an empty array instead."
                ),
                &place,
                Some("empty_array"),
            );
        }
        Some(Value::Array(calls)) => calls,
        Some(other) => return invalid_type(&place, "an array of objects", other),
    };
    let mut ids = Vec::with_capacity(calls.len());
    for (index, call) in calls.iter().enumerate() {
        let place = format!("{place}[{index}]");
        for pointer in ["/id", "/type", "/function/name", "/function/arguments"] {
            match call.pointer(pointer) {
                Some(Value::String(_)) => {}
                Some(other) => {
                    let place = format!("{place}{}", pointer.replace('/', "."));
                    return invalid_type(&place, "a string", other);
                }
                None => return missing(&format!("{place}{}", pointer.replace('/', "."))),
            }
        }
        ids.extend(call.get("id").and_then(Value::as_str).map(str::to_owned));
    }
    Ok(ids)
}

fn tool_message(
    message: &Value,
    index: usize,
    unanswered: &mut Option<(usize, Vec<String>)>,
) -> Checked<()> {
    let Some(id) = message.get("tool_call_id").and_then(Value::as_str) else {
        return missing(&format!("messages[{index}].tool_call_id"));
    };
    let waiting = unanswered.as_mut().map(|(_, ids)| ids);
    let position = waiting.as_ref().and_then(|ids| ids.iter().position(|one| one == id));
    match (waiting, position) {
        (Some(ids), Some(position)) => {
            ids.remove(position);
            Ok(())
        }
        // The spelling is the original's.
        _ => invalid(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding \
             message with 'tool_calls'.",
            &format!("messages.[{index}].role"),
            None,
        ),
    }
}

fn all_answered(unanswered: Option<(usize, Vec<String>)>) -> Checked<()> {
    match unanswered {
        Some((index, ids)) if !ids.is_empty() => invalid(
            format!(
                "An assistant message with 'tool_calls' must be followed by tool messages \
                 responding to each 'tool_call_id'. The following tool_call_ids did not have \
                 response messages: {}",
                ids.join(", ")
            ),
            &format!("messages.[{index}].role"),
            None,
        ),
        _ => Ok(()),
    }
}

fn sampling(body: &Value, asked: &mut Conversation) -> Checked<()> {
    within(body, "temperature", 0.0, 2.0)?;
    within(body, "top_p", 0.0, 1.0)?;
    within(body, "frequency_penalty", -2.0, 2.0)?;
    within(body, "presence_penalty", -2.0, 2.0)?;
    let max_tokens = whole(body, "max_tokens", 1, u64::MAX)?;
    let max_completion_tokens = whole(body, "max_completion_tokens", 1, u64::MAX)?;
    if max_tokens.is_some() && max_completion_tokens.is_some() {
        return invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
            Some("invalid_parameter_combination"),
        );
    }
    asked.max_tokens = max_tokens.or(max_completion_tokens);
    asked.choices = whole(body, "n", 1, 128)?.unwrap_or(1);
    asked.stop_sequences = match body.get("stop") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) if many.iter().all(Value::is_string) => {
            if many.len() > 4 {
                return invalid(
                    format!(
                        "Invalid 'stop': array too long. Expected an array with maximum length 4, \
                         but got an array with length {} instead.",
                        many.len()
                    ),
                    "stop",
                    Some("array_above_max_length"),
                );
            }
            many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(other) => return invalid_type("stop", "one of a string or array of strings", other),
    };
    Ok(())
}

fn within(body: &Value, name: &str, least: f64, most: f64) -> Checked<()> {
    let value = match body.get(name) {
        None | Some(Value::Null) => return Ok(()),
        Some(value) => value,
    };
    let Some(number) = value.as_f64() else {
        return invalid_type(name, "a decimal", value);
    };
    let (side, sign, bound) = if number < least {
        ("below minimum", ">=", least)
    } else if number > most {
        ("above maximum", "<=", most)
    } else {
        return Ok(());
    };
    invalid(
        format!(
            "Invalid '{name}': decimal {side} value. Expected a value {sign} {bound}, but got \
             {number} instead."
        ),
        name,
        Some(if sign == ">=" { "decimal_below_min_value" } else { "decimal_above_max_value" }),
    )
}

fn whole(body: &Value, name: &str, least: u64, most: u64) -> Checked<Option<u64>> {
    let value = match body.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    if !value.is_i64() && !value.is_u64() {
        return invalid_type(name, "an integer", value);
    }
    let number = value.as_u64().unwrap_or(0);
    if number < least {
        return invalid(
            format!(
                "Invalid '{name}': integer below minimum value. Expected a value >= {least}, but \
                 got {value} instead."
            ),
            name,
            Some("integer_below_min_value"),
        );
    }
    if number > most {
        return invalid(
            format!(
                "Invalid '{name}': integer above maximum value. Expected a value <= {most}, but \
                 got {value} instead."
            ),
            name,
            Some("integer_above_max_value"),
        );
    }
    Ok(Some(number))
}

fn streaming(body: &Value, asked: &mut Conversation) -> Checked<()> {
    asked.stream = flag(body, "stream", false)?;
    match body.get("stream_options") {
        None | Some(Value::Null) => {}
        Some(_) if !asked.stream => {
            return invalid(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                "stream_options",
                None,
            );
        }
        Some(options) if options.is_object() => {
            asked.stream_usage = flag(options, "include_usage", false)?;
        }
        Some(other) => return invalid_type("stream_options", "an object", other),
    }
    Ok(())
}

fn flag(body: &Value, name: &str, default: bool) -> Checked<bool> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => invalid_type(name, "a boolean", other),
    }
}

fn tools(body: &Value, asked: &mut Conversation) -> Checked<()> {
    match body.get("tools") {
        None | Some(Value::Null) => {}
        Some(Value::Array(tools)) if tools.is_empty() => {
            return invalid(
                "Invalid 'tools': empty array. Expected an array with minimum length 1, but got \
                 an empty array instead.",
                "tools",
                Some("empty_array"),
            );
        }
        Some(Value::Array(tools)) => {
            for (index, tool) in tools.iter().enumerate() {
                asked.tools.push(self::tool(tool, index)?);
            }
        }
        Some(other) => return invalid_type("tools", "an array of objects", other),
    }
    for name in ["tool_choice", "parallel_tool_calls"] {
        if asked.tools.is_empty() && body.get(name).is_some_and(|value| !value.is_null()) {
            let message = format!(
                "Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
            );
            return invalid(message, name, None);
        }
    }
    asked.parallel_tools = flag(body, "parallel_tool_calls", true)?;
    asked.tool_choice = tool_choice(body, &asked.tools)?;
    Ok(())
}

fn tool(tool: &Value, index: usize) -> Checked<Tool> {
    match tool.get("type").and_then(Value::as_str) {
        Some("function") => {}
        Some(other) => {
            return invalid(
                format!("Invalid value: '{other}'. Supported values are: 'function' and 'custom'."),
                &format!("tools[{index}].type"),
                Some("invalid_value"),
            );
        }
        None => return missing(&format!("tools[{index}].type")),
    }
    let Some(Value::String(name)) = tool.pointer("/function/name") else {
        return missing(&format!("tools[{index}].function.name"));
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(legal) {
        return invalid(
            format!(
                "Invalid 'tools[{index}].function.name': string does not match pattern. Expected \
                 a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
            ),
            &format!("tools[{index}].function.name"),
            Some("invalid_value"),
        );
    }
    let schema = match tool.pointer("/function/parameters") {
        None => json!({ "type": "object", "properties": {} }),
        Some(schema) if schema.get("type") == Some(&json!("object")) => schema.clone(),
        Some(_) => {
            return invalid(
                format!(
                    "Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \
                     \"object\"'."
                ),
                &format!("tools[{index}].function.parameters"),
                Some("invalid_function_parameters"),
            );
        }
    };
    if tool.pointer("/function/strict") == Some(&json!(true)) {
        strict_schema(&schema, &format!("function '{name}'"), "tools", 0)?;
    }
    Ok(Tool { name: name.clone(), schema })
}

fn tool_choice(body: &Value, tools: &[Tool]) -> Checked<ToolChoice> {
    match body.get("tool_choice") {
        None | Some(Value::Null) => Ok(ToolChoice::Auto),
        Some(Value::String(choice)) => match choice.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => invalid(
                format!(
                    "Invalid value: '{choice}'. Supported values are: 'none', 'auto', and \
                     'required'."
                ),
                "tool_choice",
                Some("invalid_value"),
            ),
        },
        Some(choice) => match choice.pointer("/function/name").and_then(Value::as_str) {
            Some(name) if tools.iter().any(|tool| tool.name == name) => {
                Ok(ToolChoice::Named(name.to_owned()))
            }
            Some(name) => invalid(
                format!(
                    "Invalid value for 'tool_choice': tool choice '{name}' not found in 'tools' \
                     parameter."
                ),
                "tool_choice",
                None,
            ),
            None => missing("tool_choice.function"),
        },
    }
}

fn response_format(body: &Value, asked: &mut Conversation) -> Checked<()> {
    let format = match body.get("response_format") {
        None | Some(Value::Null) => return Ok(()),
        Some(format) => format,
    };
    asked.format = match format.get("type").and_then(Value::as_str) {
        Some("text") => Format::Text,
        Some("json_object") => Format::AnyObject,
        Some("json_schema") => Format::Schema(json_schema(format)?),
        Some(other) => {
            return invalid(
                format!(
                    "Invalid value: '{other}'. Supported values are: 'json_object', \
                     'json_schema', and 'text'."
                ),
                "response_format.type",
                Some("invalid_value"),
            );
        }
        None => return missing("response_format.type"),
    };
    let said = format!("{} {}", asked.system, asked.text).to_lowercase();
    if matches!(asked.format, Format::AnyObject) && !said.contains("json") {
        return invalid(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of \
             type 'json_object'.",
            "messages",
            None,
        );
    }
    Ok(())
}

fn json_schema(format: &Value) -> Checked<Value> {
    let Some(Value::String(name)) = format.pointer("/json_schema/name") else {
        return missing("response_format.json_schema.name");
    };
    let Some(schema) = format.pointer("/json_schema/schema") else {
        return missing("response_format.json_schema.schema");
    };
    if !schema.is_object() {
        return invalid_type("response_format.json_schema.schema", "an object", schema);
    }
    if format.pointer("/json_schema/strict") == Some(&json!(true)) {
        strict_schema(schema, &format!("response_format '{name}'"), "response_format", 0)?;
    }
    Ok(schema.clone())
}

/// What strict mode wants of every object in a schema.
fn strict_schema(schema: &Value, owner: &str, param: &str, depth: usize) -> Checked<()> {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        if schema.get("additionalProperties") != Some(&json!(false)) {
            let message = format!(
                "Invalid schema for {owner}: In context=(), 'additionalProperties' is required \
                 to be supplied and to be false."
            );
            return invalid(message, param, None);
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in properties.keys() {
            if !required.is_some_and(|names| names.iter().any(|one| one == name.as_str())) {
                let message = format!(
                    "Invalid schema for {owner}: In context=(), 'required' is required to be \
                     supplied and to be an array including every key in properties. Missing \
                     '{name}'."
                );
                return invalid(message, param, None);
            }
        }
        if depth < 32 {
            for property in properties.values() {
                strict_schema(property, owner, param, depth + 1)?;
            }
        }
    }
    match schema.get("items") {
        Some(items) if depth < 32 => strict_schema(items, owner, param, depth + 1),
        _ => Ok(()),
    }
}

/// A checked embeddings request.
pub(in super::super) struct EmbeddingRequest {
    pub model: String,
    pub inputs: Vec<String>,
    pub dimensions: usize,
    pub base64: bool,
}

/// Reads an embeddings request.
pub(in super::super) fn embedding_request(body: &Value) -> Checked<EmbeddingRequest> {
    let model = model(body)?;
    let base64 = match body.get("encoding_format") {
        None | Some(Value::Null) => false,
        Some(Value::String(format)) if format == "float" => false,
        Some(Value::String(format)) if format == "base64" => true,
        Some(other) => {
            return invalid(
                format!("Invalid value: {other}. Supported values are: 'float' and 'base64'."),
                "encoding_format",
                Some("invalid_value"),
            );
        }
    };
    let dimensions = whole(body, "dimensions", 1, 4096)?;
    let dimensions = dimensions.and_then(|one| usize::try_from(one).ok()).unwrap_or(DIMENSIONS);
    Ok(EmbeddingRequest { model, inputs: inputs(body)?, dimensions, base64 })
}

/// The texts; tokens count as words of digits.
fn inputs(body: &Value) -> Checked<Vec<String>> {
    let tokens = |tokens: &[Value]| {
        tokens
            .iter()
            .map(|token| token.as_u64().map(|id| id.to_string()))
            .collect::<Option<Vec<_>>>()
    };
    let malformed = || {
        let message = "'input' must be a string, an array of strings, an array of tokens or an \
                       array of token arrays, and may not be empty.";
        refusal(400, message, Some("input"), None)
    };
    let many = match body.get("input") {
        None => return missing("input"),
        Some(Value::String(text)) if !text.is_empty() => return Ok(vec![text.clone()]),
        Some(Value::Array(many)) if (1..=2048).contains(&many.len()) => many,
        Some(_) => return Err(malformed()),
    };
    if many.iter().all(Value::is_u64) {
        return tokens(many).map(|ids| vec![ids.join(" ")]).ok_or_else(malformed);
    }
    let text = |one: &Value| match one {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(ids) if !ids.is_empty() => Some(tokens(ids)?.join(" ")),
        _ => None,
    };
    many.iter().map(text).collect::<Option<Vec<_>>>().ok_or_else(malformed)
}
