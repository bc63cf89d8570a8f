use serde_json::{Value, json};

use super::*;
use crate::fixtures::{
    call, golden, lines, question, read_body, read_stream, recorded, refused_field, requests, rest,
    target, with,
};
use crate::{
    ChatRequest, Content, ErrorKind, Event, Message, Part, ProviderKind, ResponseFormat, Rest,
    Role, Tool, ToolCall, ToolChoice,
};

fn written(request: ChatRequest) -> Value {
    serde_json::from_slice(&request::write(&call(request)).unwrap()).unwrap()
}

fn refused(change: impl FnOnce(&mut ChatRequest)) -> String {
    refused_field(request::write(&call(with(change))))
}

fn reader() -> response::Reader {
    response::Reader::new(&target(ProviderKind::Anthropic, "http://localhost:1"))
}

#[test]
fn requests_are_written_as_the_golden_files_have_them() {
    for (name, request) in requests() {
        let text = serde_json::to_string_pretty(&written(request)).unwrap();
        golden("anthropic", &format!("request_{name}"), &text);
    }
}

#[test]
fn whole_answers_are_read_as_the_golden_files_have_them() {
    for name in ["text", "tools", "schema", "refusal", "usage_absurd", "half_call"] {
        let body = recorded(&format!("anthropic/{name}.json"));
        let events = read_body(reader(), question(), &body).unwrap();
        golden("anthropic", &format!("answer_{name}"), &lines(&events));
    }
}

#[test]
fn streams_are_read_as_the_golden_files_have_them_however_they_are_cut() {
    for name in ["text", "tools"] {
        let text = recorded(&format!("anthropic/{name}.sse"));
        let (events, result) = read_stream(reader(), question(), &text, text.len());
        result.unwrap();
        golden("anthropic", &format!("stream_{name}"), &lines(&events));
        for size in [1, 7, 64] {
            let (cut, result) = read_stream(reader(), question(), &text, size);
            result.unwrap();
            assert_eq!(cut, events);
        }
    }
}

#[test]
fn every_tool_choice_crosses() {
    let choice = |choice, parallel| {
        written(with(|request| {
            request.tools.push(Tool::Function {
                name: "f".to_owned(),
                description: None,
                parameters: None,
                strict: None,
                rest: Rest::default(),
            });
            request.tool_choice = choice;
            request.parallel_tool_calls = parallel;
        }))["tool_choice"]
            .take()
    };
    assert_eq!(choice(None, None), Value::Null);
    assert_eq!(choice(None, Some(true)), Value::Null);
    let serial = json!({"type": "auto", "disable_parallel_tool_use": true});
    assert_eq!(choice(None, Some(false)), serial);
    assert_eq!(choice(Some(ToolChoice::Auto), None), json!({"type": "auto"}));
    assert_eq!(choice(Some(ToolChoice::None), Some(false)), json!({"type": "none"}));
    assert_eq!(choice(Some(ToolChoice::Any), None), json!({"type": "any"}));
    let named = json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true});
    assert_eq!(choice(Some(ToolChoice::Named("f".to_owned())), Some(false)), named);
}

#[test]
fn unknown_fields_of_the_same_dialect_are_sent_on() {
    let body = written(with(|request| {
        request.rest = rest(
            Dialect::Anthropic,
            json!({"thinking": {"type": "adaptive"}, "output_config": {"task_budget": 5}}),
        );
        request.reasoning_effort = Some("high".to_owned());
        request.messages[0].parts[0].rest =
            rest(Dialect::Anthropic, json!({"cache_control": {"type": "ephemeral"}}));
        let value = json!({"type": "document", "source": {"type": "text", "data": "x"}});
        let document = Content::Other { dialect: Dialect::Anthropic, value };
        request.messages[0].parts.push(document.into());
    }));
    assert_eq!(body["thinking"], json!({"type": "adaptive"}));
    assert_eq!(body["output_config"], json!({"task_budget": 5, "effort": "high"}));
    let content = &body["messages"][0]["content"];
    assert_eq!(content[0]["cache_control"], json!({"type": "ephemeral"}));
    assert_eq!(content[1]["type"], json!("document"));
}

#[test]
fn what_cannot_cross_is_refused_by_name() {
    let openai = |value: Value| refused(|request| request.rest = rest(Dialect::OpenAi, value));
    assert_eq!(openai(json!({"logprobs": true})), "logprobs");
    assert_eq!(openai(json!({"user": "u", "n": 2})), "n");
    assert_eq!(openai(json!({"logit_bias": {"5": 1}})), "logit_bias");
    assert_eq!(openai(json!({"presence_penalty": 0.5})), "presence_penalty");
    assert_eq!(refused(|request| request.sampling.seed = Some(1)), "seed");
    let object = |request: &mut ChatRequest| {
        request.response_format = Some(ResponseFormat::JsonObject);
    };
    assert_eq!(refused(object), "response_format.type: json_object");
    assert_eq!(
        refused(|request| request.messages[0].name = Some("Ann".to_owned())),
        "messages[0].name"
    );
    let late = |request: &mut ChatRequest| {
        request.messages.push(Message::of_text(Role::System, "Now in French."));
    };
    assert_eq!(refused(late), "messages[1].role");
    let audio = |request: &mut ChatRequest| {
        let value = json!({"type": "input_audio", "input_audio": {}});
        request.messages[0].parts.push(Content::Other { dialect: Dialect::OpenAi, value }.into());
    };
    assert_eq!(refused(audio), "messages[0].content[1].type: input_audio");
    let array = |request: &mut ChatRequest| {
        let (id, name) = ("c".to_owned(), "f".to_owned());
        let call = ToolCall { id, name, arguments: "[1]".to_owned() };
        let part: Part = Content::ToolCall(call).into();
        request.messages.push(Message::new(Role::Assistant, vec![part]));
    };
    assert_eq!(refused(array), "messages[1].tool_calls.function.arguments");
}

#[test]
fn fields_that_say_nothing_do_not_stop_a_request() {
    let body = written(with(|request| {
        let value = json!({"n": 1, "logprobs": false, "presence_penalty": 0, "user": "u"});
        request.rest = rest(Dialect::OpenAi, value);
        request.messages[0].rest =
            rest(Dialect::OpenAi, json!({"annotations": [], "audio": null, "function_call": null}));
    }));
    assert_eq!(body["messages"], json!([{"role": "user", "content": "How long do refunds take?"}]));
    assert_eq!(body.get("user"), None);
}

const START: &str = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",\"model\":\"m\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"Hi\"}}\n\n";
const STOP: &str = "data: {\"type\":\"content_block_stop\",\"index\":0}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n";

#[test]
fn a_stream_without_a_stop_reason_is_cut_off_even_with_a_terminator() {
    for end in ["", "data: {\"type\":\"message_stop\"}\n\n"] {
        let (events, result) = read_stream(reader(), question(), &format!("{START}{end}"), 64);
        assert!(matches!(result, Err(ProviderError::Truncated { .. })), "{result:?}");
        assert!(!events.iter().any(|event| matches!(event, Event::Finished { .. })));
    }
}

#[test]
fn a_stop_reason_without_a_terminator_is_an_end() {
    let (events, result) = read_stream(reader(), question(), &format!("{START}{STOP}"), 64);
    result.unwrap();
    assert!(matches!(events.last(), Some(Event::Finished { .. })));
}

#[test]
fn a_broken_event_is_left_out_of_text_and_fails_a_tool_call() {
    let broken = "data: {\"type\":\"content_block_delta\",\"ind\n\n";
    let (events, result) = read_stream(reader(), question(), &format!("{START}{broken}{STOP}"), 64);
    result.unwrap();
    assert!(events.iter().any(|event| matches!(event, Event::Dropped { .. })));
    let call = "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\n";
    let (_, result) = read_stream(reader(), question(), &format!("{START}{call}{broken}"), 64);
    assert!(matches!(result, Err(ProviderError::Protocol { .. })), "{result:?}");
}

#[test]
fn an_error_event_inside_a_success_is_a_refusal_of_its_kind() {
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"},\"request_id\":\"r\"}\n\n";
    let (events, result) = read_stream(reader(), question(), &format!("{START}{error}"), 64);
    assert_eq!(events.len(), 2);
    let Err(ProviderError::Refused { status, kind, message, .. }) = result else {
        panic!("{result:?}");
    };
    assert_eq!((status, kind), (503, ErrorKind::Overloaded));
    assert_eq!(message, "Overloaded");
}

#[test]
fn refusals_are_of_the_kind_that_decides_what_to_do() {
    let kind = |status, name: &str, message: &str| {
        let body = json!({"type": "error", "error": {"type": name, "message": message}});
        refusal::read(status, body.to_string().as_bytes()).kind
    };
    let long = "prompt is too long: 210000 tokens > 200000 maximum";
    assert_eq!(kind(400, "invalid_request_error", long), ErrorKind::ContextLength);
    assert_eq!(
        kind(400, "invalid_request_error", "Output blocked by content filtering policy"),
        ErrorKind::ContentPolicy
    );
    assert_eq!(kind(400, "invalid_request_error", "x"), ErrorKind::InvalidRequest);
    assert_eq!(kind(429, "rate_limit_error", "x"), ErrorKind::RateLimit);
    assert_eq!(kind(529, "overloaded_error", "x"), ErrorKind::Overloaded);
    assert_eq!(kind(500, "api_error", "x"), ErrorKind::Server);
    let spent = json!({"error": {"type": "rate_limit_error", "message": "x",
        "details": {"error_code": "enforced_spend_limit_reached"}}});
    assert_eq!(refusal::read(429, spent.to_string().as_bytes()).kind, ErrorKind::Quota);
}
