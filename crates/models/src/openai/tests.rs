use serde_json::{Value, json};

use super::*;
use crate::fixtures::{
    call, fields, golden, lines, question, read_body, read_stream, recorded, refused_field,
    requests, rest, target, with,
};
use crate::{
    ChatRequest, Content, Event, FinishReason, Image, ImageSource, Message, Part, ProviderKind,
    ResponseFormat, Role, Tool, ToolResult,
};

fn written(request: ChatRequest) -> Value {
    let body = request::write(&call(request), LimitField::MaxTokens).unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn refused(request: ChatRequest) -> String {
    refused_field(request::write(&call(request), LimitField::MaxTokens))
}

fn reader() -> response::Reader {
    response::Reader::new(&target(ProviderKind::Openai, "http://localhost:1/v1"))
}

#[test]
fn requests_are_written_as_the_golden_files_have_them() {
    for (name, request) in requests() {
        let text = serde_json::to_string_pretty(&written(request)).unwrap();
        golden("openai", &format!("request_{name}"), &text);
    }
}

#[test]
fn whole_answers_are_read_as_the_golden_files_have_them() {
    for name in ["text", "tools", "schema", "refusal", "usage_absurd", "half_call"] {
        let body = recorded(&format!("openai/{name}.json"));
        let events = read_body(reader(), question(), &body).unwrap();
        golden("openai", &format!("answer_{name}"), &lines(&events));
    }
}

#[test]
fn streams_are_read_as_the_golden_files_have_them_however_they_are_cut() {
    for name in ["text", "tools"] {
        let text = recorded(&format!("openai/{name}.sse"));
        let (events, result) = read_stream(reader(), question(), &text, text.len());
        result.unwrap();
        golden("openai", &format!("stream_{name}"), &lines(&events));
        for size in [1, 7, 64] {
            let (cut, result) = read_stream(reader(), question(), &text, size);
            result.unwrap();
            assert_eq!(cut, events);
        }
    }
}

#[test]
fn unknown_fields_of_the_same_dialect_are_sent_on() {
    let body = written(with(|request| {
        request.rest = rest(Dialect::OpenAi, json!({"logprobs": true, "top_k": 7}));
        request.messages[0].rest = rest(Dialect::OpenAi, json!({"audio": {"id": "a"}}));
        request.messages[0].parts[0].rest = rest(Dialect::OpenAi, json!({"annotated": true}));
    }));
    assert_eq!(body["logprobs"], json!(true));
    assert_eq!(body["top_k"], json!(7), "the client's value goes before the model's");
    assert_eq!(body["messages"][0]["audio"], json!({"id": "a"}));
    assert_eq!(body["messages"][0]["content"][0]["annotated"], json!(true));
}

#[test]
fn what_cannot_cross_is_refused_by_name() {
    let field = |value| {
        refused(with(|request| request.rest = rest(Dialect::Anthropic, fields(value).into())))
    };
    assert_eq!(field(json!({"thinking": {"type": "enabled"}})), "thinking");
    assert_eq!(field(json!({"metadata": {"user_id": "u"}, "top_k": 5})), "top_k");
    let n = with(|request| request.rest = rest(Dialect::OpenAi, json!({"n": 2})));
    assert_eq!(refused(n), "n");
    let document = with(|request| {
        let value = json!({"type": "document", "source": {}});
        request.messages[0]
            .parts
            .push(Content::Other { dialect: Dialect::Anthropic, value }.into());
    });
    assert_eq!(refused(document), "messages[0].content[1].type: document");
    let search = with(|request| {
        let value = json!({"type": "web_search_20260209", "name": "web_search"});
        request.tools.push(Tool::Other { dialect: Dialect::Anthropic, value });
    });
    assert_eq!(refused(search), "tools[0].type: web_search_20260209");
    let picture = with(|request| {
        let source = ImageSource::Url("https://example.com/a.png".to_owned());
        let content = vec![Content::Image(Image { source, detail: None }).into()];
        let result = ToolResult { call_id: "call_a".to_owned(), content, is_error: false };
        let part: Part = Content::ToolResult(result).into();
        request.messages.push(Message::new(Role::Tool, vec![part]));
    });
    assert_eq!(refused(picture), "messages[1].content[0].type: image in a tool result");
}

#[test]
fn hints_and_fields_that_say_nothing_do_not_stop_a_request() {
    let body = written(with(|request| {
        let value = json!({"metadata": {"user_id": "u"}, "thinking": {"type": "disabled"}});
        request.rest = rest(Dialect::Anthropic, value);
        request.messages[0].parts[0].rest =
            rest(Dialect::Anthropic, json!({"cache_control": {"type": "ephemeral"}}));
    }));
    assert_eq!(body["messages"], json!([{"role": "user", "content": "How long do refunds take?"}]));
    assert_eq!(body.get("thinking"), None);
}

#[test]
fn parameters_that_would_overwrite_the_translation_are_refused() {
    let mut call = call(question());
    let mut spec = (*call.model).clone();
    spec.parameters.extra = fields(json!({"stream": true}));
    call.model = spec.into();
    let written = request::write(&call, LimitField::MaxTokens);
    assert_eq!(refused_field(written), "parameters.extra.stream");
}

#[test]
fn the_token_limit_has_the_name_that_the_server_knows() {
    let limit = |endpoint| OpenAi::new(target(ProviderKind::Openai, endpoint)).unwrap().limit;
    assert_eq!(limit("https://api.openai.com/v1"), LimitField::MaxCompletionTokens);
    assert_eq!(limit("https://x.openai.azure.com/openai/v1"), LimitField::MaxCompletionTokens);
    assert_eq!(limit("https://notopenai.com/v1"), LimitField::MaxTokens);
    assert_eq!(limit("http://127.0.0.1:8000/v1"), LimitField::MaxTokens);
}

const START: &str = "data: {\"id\":\"a\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
const STOP: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

#[test]
fn a_stream_without_a_finish_reason_is_cut_off_even_with_a_terminator() {
    for text in [START.to_owned(), format!("{START}data: [DONE]\n\n")] {
        let (events, result) = read_stream(reader(), question(), &text, 64);
        assert!(matches!(result, Err(ProviderError::Truncated { .. })), "{result:?}");
        assert!(!events.iter().any(|event| matches!(event, Event::Finished { .. })));
    }
}

#[test]
fn a_server_that_never_sends_a_finish_reason_may_be_allowed_to() {
    let mut target = target(ProviderKind::Openai, "http://localhost:1/v1");
    target.require_finish_reason = false;
    let text = format!("{START}data: [DONE]\n\n");
    let (events, result) =
        read_stream(response::Reader::new(&target), question(), &text, text.len());
    result.unwrap();
    assert_eq!(events.last(), Some(&Event::Finished { reason: FinishReason::Stop }));
    let (_, result) = read_stream(response::Reader::new(&target), question(), START, 64);
    assert!(matches!(result, Err(ProviderError::Truncated { .. })), "no terminator: {result:?}");
    let (_, result) =
        read_stream(response::Reader::new(&target), question(), "data: [DONE]\n\n", 64);
    assert!(matches!(result, Err(ProviderError::Truncated { .. })), "no content: {result:?}");
}

#[test]
fn fields_that_come_before_the_answer_begins_follow_its_beginning() {
    let filter = r#"data: {"id":"","model":"","choices":[],"prompt_filter_results":[{"x":1}]}"#;
    let (events, result) =
        read_stream(reader(), question(), &format!("{filter}\n\n{START}{STOP}"), 64);
    result.unwrap();
    assert!(matches!(&events[0], Event::Started { id, .. } if id == "a"), "{events:?}");
    let kept = |event: &Event| matches!(event, Event::Other(other) if other.value["prompt_filter_results"].is_array());
    assert!(events.iter().any(kept), "{events:?}");
}

#[test]
fn every_tool_choice_crosses() {
    let choice =
        |choice| written(with(|request| request.tool_choice = Some(choice)))["tool_choice"].take();
    assert_eq!(choice(crate::ToolChoice::Auto), json!("auto"));
    assert_eq!(choice(crate::ToolChoice::None), json!("none"));
    assert_eq!(choice(crate::ToolChoice::Any), json!("required"));
    let named = json!({"type": "function", "function": {"name": "f"}});
    assert_eq!(choice(crate::ToolChoice::Named("f".to_owned())), named);
}

#[test]
fn a_broken_event_in_text_is_left_out_and_counted() {
    let text = format!("{START}data: {{\"choices\":[{{\"ind\n\n{STOP}data: [DONE]\n\n");
    let (events, result) = read_stream(reader(), question(), &text, text.len());
    result.unwrap();
    let dropped = events.iter().filter(|event| matches!(event, Event::Dropped { .. })).count();
    assert_eq!(dropped, 1);
}

#[test]
fn a_broken_event_in_a_tool_call_or_a_schema_output_fails_the_answer() {
    let broken = "data: {\"choices\":[{\"ind\n\n";
    let call = "data: {\"id\":\"a\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\n\n";
    let (_, result) = read_stream(reader(), question(), &format!("{call}{broken}"), 64);
    assert!(matches!(result, Err(ProviderError::Protocol { .. })), "{result:?}");
    let schema = with(|request| request.response_format = Some(ResponseFormat::JsonObject));
    let (_, result) = read_stream(reader(), schema, &format!("{START}{broken}{STOP}"), 64);
    assert!(matches!(result, Err(ProviderError::Protocol { .. })), "{result:?}");
    let beginning = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"ind\n\n";
    let (_, result) = read_stream(reader(), question(), &format!("{START}{beginning}{STOP}"), 64);
    assert!(matches!(result, Err(ProviderError::Protocol { .. })), "{result:?}");
}

#[test]
fn half_a_tool_call_is_never_given_out_as_complete() {
    let call = "data: {\"id\":\"a\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": 1\"}}]}}]}\n\n";
    let finish = |reason: &str| {
        format!(
            "{call}data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]}}\n\n"
        )
    };
    for (text, fails) in
        [(call.to_owned(), true), (finish("tool_calls"), true), (finish("length"), false)]
    {
        let (events, result) = read_stream(reader(), question(), &text, text.len());
        assert_eq!(result.is_err(), fails, "{result:?}");
        assert!(!events.iter().any(|event| matches!(event, Event::ToolCallFinished { .. })));
    }
}

#[test]
fn an_error_inside_a_success_is_a_refusal_of_its_kind() {
    let error = "{\"error\":{\"message\":\"Rate limit reached\",\"type\":\"tokens\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}";
    let (events, result) =
        read_stream(reader(), question(), &format!("{START}data: {error}\n\n{STOP}"), 64);
    assert_eq!(events.len(), 2);
    let body = read_body(reader(), question(), error);
    for result in [result, body.map(drop)] {
        let Err(ProviderError::Refused { status, kind, message, code, .. }) = result else {
            panic!("{result:?}");
        };
        assert_eq!((status, kind), (429, crate::ErrorKind::RateLimit));
        assert_eq!(message, "Rate limit reached");
        assert_eq!(code.as_deref(), Some("rate_limit_exceeded"));
    }
}

#[test]
fn refusals_are_of_the_kind_that_decides_what_to_do() {
    use crate::ErrorKind::{
        Authentication, ContentPolicy, ContextLength, InvalidRequest, NotFound, Overloaded, Quota,
        RateLimit, Server,
    };
    let kind = |status, body: &str| refusal::read(status, body.as_bytes()).kind;
    let error = |code: &str, message: &str| {
        format!(
            "{{\"error\":{{\"message\":\"{message}\",\"type\":\"invalid_request_error\",\"code\":{code}}}}}"
        )
    };
    assert_eq!(kind(400, &error("\"context_length_exceeded\"", "x")), ContextLength);
    assert_eq!(
        kind(400, &error("null", "This model's maximum context length is 8192")),
        ContextLength
    );
    assert_eq!(kind(400, &error("\"content_filter\"", "x")), ContentPolicy);
    assert_eq!(kind(400, &error("400", "x")), InvalidRequest);
    assert_eq!(kind(429, &error("\"insufficient_quota\"", "x")), Quota);
    assert_eq!(kind(429, &error("null", "slow down")), RateLimit);
    assert_eq!(kind(401, &error("\"invalid_api_key\"", "x")), Authentication);
    assert_eq!(kind(404, "{\"detail\":\"Not Found\"}"), NotFound);
    assert_eq!(kind(503, "<html>busy</html>"), Overloaded);
    assert_eq!(kind(502, ""), Server);
    let vllm = refusal::read(400, b"{\"object\":\"error\",\"message\":\"no\",\"code\":400}");
    assert_eq!(vllm.message, "no");
    let html = refusal::read(502, b"<html><body>nginx</body></html>");
    assert_eq!(html.message, "status 502 with an HTML body");
}
