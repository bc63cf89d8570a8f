//! What goes to Anthropic, and what is understood of what comes back.

use std::sync::Arc;

use super::*;
use crate::{Answer, Function};

fn call(request: ChatRequest) -> Call {
    let model = json!({"provider": "anthropic", "model": "claude-x"});
    let model = Arc::new(serde_json::from_value(model).unwrap());
    Call { model, request, passages: Arc::new([]) }
}

fn conversation() -> ChatRequest {
    let mut request = ChatRequest::new(Dialect::OpenAi);
    let call = |id: &str| Part::ToolCall {
        id: id.into(),
        name: "weather".into(),
        arguments: "{\"city\":\"Oslo\"}".into(),
    };
    let result = |id: &str| Message {
        role: Role::Tool,
        blocks: vec![
            Part::ToolResult {
                call_id: id.into(),
                content: vec![Part::Text { text: "4 °C".into() }.into()],
                is_error: false,
            }
            .into(),
        ],
        rest: Map::new(),
    };
    request.messages = vec![
        Message::text_of(Role::System, "Be brief."),
        Message::text_of(Role::System, "Be kind."),
        Message::text_of(Role::User, "Weather in Oslo and Bergen?"),
        Message {
            role: Role::Assistant,
            blocks: vec![call("a").into(), call("b").into()],
            rest: Map::new(),
        },
        result("a"),
        result("b"),
    ];
    request.tools = vec![Tool::Function(Function {
        name: "weather".into(),
        description: None,
        parameters: json!({"type": "object"}),
        strict: Some(true),
        rest: Map::new(),
    })];
    request.parallel_tool_calls = Some(false);
    request.response_format = Some(ResponseFormat::JsonSchema {
        name: "thing".into(),
        schema: json!({"type": "object"}),
        strict: Some(true),
        rest: serde_json::Map::new(),
    });
    request.sampling.stop = vec!["END".into()];
    request
}

#[test]
fn turns_alternate_and_tool_results_join_in_one_user_turn() {
    insta::assert_json_snapshot!(request(&call(conversation())).unwrap());
}

#[test]
fn what_cannot_cross_is_named() {
    let mut seeded = conversation();
    seeded.sampling.seed = Some(1);
    assert_eq!(request(&call(seeded)).unwrap_err(), "seed");
    let mut object = conversation();
    object.response_format = Some(ResponseFormat::JsonObject);
    assert_eq!(request(&call(object)).unwrap_err(), "response_format json_object");
    let mut logprobs = conversation();
    logprobs.rest.insert("logprobs".into(), true.into());
    assert_eq!(request(&call(logprobs)).unwrap_err(), "logprobs");
}

fn decode(events: &[Value]) -> Result<(Vec<Event>, Answer), ProviderError> {
    let mut decoder = MessageDecoder::new("anthropic", &ChatRequest::new(Dialect::Anthropic));
    let mut out = VecDeque::new();
    for data in events {
        let event = SseEvent { name: String::new(), data: data.to_string() };
        decoder.event(&event, &mut out)?;
    }
    decoder.end(&mut out)?;
    let mut answer = Answer::default();
    for event in &out {
        answer.push(event);
    }
    Ok((out.into(), answer))
}

#[test]
fn a_stream_with_thinking_text_and_a_tool_is_put_together() {
    let delta = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let start = |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let (events, answer) = decode(&[
        json!({"type": "message_start", "message": {"id": "m1", "model": "claude-x-1",
            "usage": {"input_tokens": 5, "cache_read_input_tokens": 7,
                      "cache_creation_input_tokens": 2, "output_tokens": 1}}}),
        start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "Hm."})),
        delta(0, json!({"type": "signature_delta", "signature": "sig"})),
        json!({"type": "ping"}),
        start(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "Let me look."})),
        start(2, json!({"type": "tool_use", "id": "t1", "name": "weather", "input": {}})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "{\"city\":"})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "\"Oslo\"}"})),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"},
            "usage": {"output_tokens": 20}}),
        json!({"type": "message_stop"}),
    ])
    .unwrap();
    insta::assert_json_snapshot!(events);
    assert_eq!(answer.usage.input_tokens, 14);
    let thought = Part::Reasoning { text: "Hm.".into(), signature: Some("sig".into()) };
    assert_eq!(answer.content[0].part, thought);
}

#[test]
fn a_stream_that_stops_before_its_reason_is_truncated() {
    let begun = json!({"type": "message_start", "message": {"id": "m1", "model": "x"}});
    assert!(matches!(decode(&[begun]), Err(ProviderError::Truncated { .. })));
}

#[test]
fn overload_inside_a_stream_is_told_apart() {
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}});
    let Err(ProviderError::Refused { refusal, .. }) = decode(&[error]) else { panic!() };
    assert_eq!(refusal.kind, crate::RefusalKind::Overloaded);
}
