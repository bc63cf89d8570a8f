//! What goes to an OpenAI-compatible server, and what is understood of what comes back.

use std::sync::Arc;

use super::*;
use crate::{Answer, Function};

fn spec() -> Arc<ModelSpec> {
    Arc::new(
        serde_json::from_value(json!({"provider": "openai", "model": "gpt-x",
            "parameters": {"temperature": 0.5, "max_tokens": 100}}))
        .unwrap(),
    )
}

fn conversation() -> ChatRequest {
    let mut request = ChatRequest::new(Dialect::OpenAi);
    request.messages = vec![
        Message::text_of(Role::System, "Be brief."),
        Message::text_of(Role::User, "Weather in Oslo?"),
        Message {
            role: Role::Assistant,
            blocks: vec![
                Part::ToolCall {
                    id: "call_1".into(),
                    name: "weather".into(),
                    arguments: "{\"city\":\"Oslo\"}".into(),
                }
                .into(),
            ],
            rest: Map::new(),
        },
        Message {
            role: Role::Tool,
            blocks: vec![
                Part::ToolResult {
                    call_id: "call_1".into(),
                    content: vec![Part::Text { text: "4 °C".into() }.into()],
                    is_error: false,
                }
                .into(),
            ],
            rest: Map::new(),
        },
    ];
    request.tools = vec![Tool::Function(Function {
        name: "weather".into(),
        description: Some("The weather".into()),
        parameters: json!({"type": "object", "properties": {"city": {"type": "string"}}}),
        strict: None,
        rest: Map::new(),
    })];
    request.tool_choice = Some(ToolChoice::Required);
    request.sampling.temperature = Some(0.0);
    request.rest.insert("logprobs".into(), true.into());
    request
}

fn sent(request: ChatRequest) -> Result<Value, String> {
    super::request(&Call { model: spec(), request, passages: Arc::new([]) }, "max_tokens")
}

#[test]
fn a_conversation_with_tools_goes_out_as_openai_has_it() {
    insta::assert_json_snapshot!(sent(conversation()).unwrap());
}

#[test]
fn structured_output_pictures_and_streams_go_out_as_openai_has_them() {
    let mut request = ChatRequest::new(Dialect::OpenAi);
    request.messages = vec![Message {
        role: Role::User,
        blocks: vec![
            Part::Text { text: "What is this?".into() }.into(),
            Part::Image(Image::Base64 { media_type: "image/png".into(), data: "AAAA".into() })
                .into(),
        ],
        rest: Map::new(),
    }];
    request.response_format = Some(ResponseFormat::JsonSchema {
        name: "thing".into(),
        schema: json!({"type": "object"}),
        strict: Some(true),
        rest: serde_json::Map::new(),
    });
    request.stream = true;
    insta::assert_json_snapshot!(sent(request).unwrap());
}

#[test]
fn what_cannot_cross_is_named() {
    let mut request = conversation();
    request.dialect = Dialect::Anthropic;
    assert_eq!(sent(request).unwrap_err(), "logprobs");
    let mut request = conversation();
    request.sampling.top_k = Some(5);
    assert_eq!(sent(request).unwrap_err(), "top_k");
}

fn decode(events: &[&str]) -> Result<(Vec<Event>, Answer), ProviderError> {
    let mut decoder = ChatDecoder::new("openai", &conversation());
    let mut out = VecDeque::new();
    for data in events {
        let event = SseEvent { name: String::new(), data: (*data).to_owned() };
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
fn a_streamed_tool_call_is_put_together() {
    let (events, answer) = decode(&[
        r#"{"id":"c1","model":"gpt-x-1","system_fingerprint":"fp","choices":[{"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"weather","arguments":""}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"ci"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"ty\":1}"}}]},"logprobs":{"content":[]}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":8},"completion_tokens_details":{"reasoning_tokens":2}}}"#,
        "[DONE]",
    ])
    .unwrap();
    insta::assert_json_snapshot!(events);
    let Part::ToolCall { arguments, .. } = &answer.content[0].part else { panic!("{answer:?}") };
    assert_eq!(arguments, "{\"city\":1}");
    assert_eq!((answer.usage.cache_read_tokens, answer.usage.estimated), (8, false));
}

#[test]
fn a_stream_without_a_finish_reason_is_truncated_and_never_a_success() {
    let broken = decode(&[r#"{"choices":[{"delta":{"content":"Hel"}}]}"#, "[DONE]"]);
    assert!(matches!(broken, Err(ProviderError::Truncated { .. })));
    assert!(matches!(decode(&["[DONE]"]), Err(ProviderError::Protocol { .. })));
}

#[test]
fn missing_and_absurd_usage_is_counted_and_marked() {
    let finish = r#"{"choices":[{"delta":{"content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":99999999999,"completion_tokens":1}}"#;
    let (_, answer) = decode(&[finish]).unwrap();
    assert!(answer.usage.estimated && answer.usage.input_tokens > 0);
}

#[test]
fn an_error_inside_a_stream_is_an_error() {
    let refused = decode(&[r#"{"error":{"message":"too many","type":"rate_limit_exceeded"}}"#]);
    let Err(ProviderError::Refused { refusal, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.kind, crate::RefusalKind::RateLimited);
}
