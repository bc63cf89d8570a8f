//! Both dialects against the scripted model server, which refuses what the real providers
//! refuse: every fault it knows, and what a healthy answer may hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use models::{
    Answer, Call, ChatRequest, Content, Event, Message, ModelSpec, Part, Provider, ProviderError,
    ProviderKind, ResponseFormat, Rest, Role, Sampling, Timeouts, Tool, ToolChoice, ToolResult,
};
use serde_json::json;
use testkit::model_server::faults::{FAULTS, Fault};
use testkit::model_server::{ANSWER, ModelServer, Script};

use crate::{LIMITS, ask, binding, provider_at};

const KINDS: [ProviderKind; 2] = [ProviderKind::Openai, ProviderKind::Anthropic];

/// The server's waits are shortened so far that each of them passes a limit of ours by far.
const TIME_SCALE: f64 = 0.15;
const SHORT: Timeouts = Timeouts { first_byte_ms: 1_000, idle_ms: 1_000, ..LIMITS };

async fn server() -> ModelServer {
    ModelServer::start(Script { time_scale: TIME_SCALE, ..Script::default() }).await.unwrap()
}

fn provider(server: &ModelServer, kind: ProviderKind) -> Arc<dyn Provider> {
    let endpoint = match kind {
        ProviderKind::Openai => server.openai_url(),
        ProviderKind::Anthropic => server.base_url(),
    };
    provider_at(binding(kind, endpoint, SHORT))
}

fn order_status() -> Tool {
    Tool::Function {
        name: "order_status".to_owned(),
        description: Some("Looks an order up".to_owned()),
        parameters: Some(json!({
            "type": "object",
            "properties": {"order": {"type": "integer"}},
            "required": ["order"],
            "additionalProperties": false,
        })),
        strict: None,
        rest: Rest::default(),
    }
}

fn question(model: &str, stream: bool) -> Call {
    asking(
        model,
        ChatRequest {
            messages: vec![Message::of_text(Role::User, "What is a release?")],
            tools: vec![order_status()],
            stream,
            ..ChatRequest::default()
        },
    )
}

fn asking(model: &str, request: ChatRequest) -> Call {
    Call {
        model: ModelSpec::new("p", model).into(),
        request: request.into(),
        passages: Arc::new([]),
        deadline: None,
    }
}

/// What came of a question, in one line that says nothing about time.
fn outcome(events: &[Event], error: Option<&ProviderError>) -> String {
    let answer = Answer::fold(events.to_vec());
    if let Some(error) = error {
        assert!(!answer.is_complete(), "an answer is whole and an error: {events:?}");
        return match error {
            ProviderError::Refused { status, kind, code, retry_after, .. } => {
                let wait = retry_after.map_or(String::new(), |wait| match wait.as_millis() {
                    // A date has whole seconds, of which some may have passed.
                    1_001..=2_000 => ", wait 2 s".to_owned(),
                    ms => format!(", wait {ms} ms"),
                });
                format!("refused {status} {kind:?} {}{wait}", code.as_deref().unwrap_or("-"))
            }
            ProviderError::Transport { sent, .. } => format!("transport, sent: {sent}"),
            ProviderError::Timeout { stage, .. } => format!("timeout {stage:?}"),
            other => other.to_string(),
        };
    }
    let text = match answer.text() {
        text if text == ANSWER => "whole answer".to_owned(),
        text if text.is_empty() => "empty answer".to_owned(),
        text => format!("{} of {} bytes", text.len(), ANSWER.len()),
    };
    let usage = answer.usage.unwrap();
    assert!(usage.input_tokens > 0, "billed as nothing: {usage:?}");
    let counted = if usage.estimated { ", usage estimated" } else { "" };
    let dropped = match answer.dropped_events {
        0 => String::new(),
        count => format!(", {count} dropped"),
    };
    format!("{text}, {}{counted}{dropped}", answer.reason.unwrap().openai())
}

/// Meets `fault` in one dialect and form, then asks something healthy.
async fn meet(server: &ModelServer, fault: &Fault, kind: ProviderKind, stream: bool) -> String {
    let provider = provider(server, kind);
    let model = format!("{}:{kind:?}-{stream}", fault.name);
    let (events, error) = ask(&provider, question(&model, stream)).await;
    let line = outcome(&events, error.as_ref());
    let (events, error) = ask(&provider, question("scripted", stream)).await;
    assert!(error.is_none(), "after {}: {error:?}", fault.name);
    assert_eq!(Answer::fold(events).text(), ANSWER, "after {}", fault.name);
    line
}

/// Meets `fault` in both dialects, streaming and plain.
async fn meet_in_all_forms(server: &ModelServer, fault: &Fault) -> String {
    let [openai, anthropic] = KINDS;
    let forms = [
        ("openai stream", meet(server, fault, openai, true)),
        ("openai plain", meet(server, fault, openai, false)),
        ("anthropic stream", meet(server, fault, anthropic, true)),
        ("anthropic plain", meet(server, fault, anthropic, false)),
    ];
    let met = forms.map(|(form, met)| async move { (met.await, form) });
    let mut outcomes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (line, form) in futures::future::join_all(met).await {
        outcomes.entry(line).or_default().push(form);
    }
    let lines = outcomes.iter().map(|(line, whose)| {
        let whose = if whose.len() == 4 { "all".to_owned() } else { whose.join(", ") };
        format!("    {whose}: {line}\n")
    });
    format!("{}: {}\n{}", fault.name, fault.effect, lines.collect::<String>())
}

#[tokio::test]
async fn every_fault_is_a_clean_error_and_the_next_request_succeeds() {
    let server = server().await;
    let meetings = FAULTS.iter().map(|fault| meet_in_all_forms(&server, fault));
    let table: Vec<String> = futures::stream::iter(meetings).buffered(8).collect().await;
    insta::assert_snapshot!("faults", table.concat());
}

#[tokio::test]
async fn tools_are_called_and_their_results_understood() {
    let server = server().await;
    for kind in KINDS {
        for stream in [true, false] {
            let provider = provider(&server, kind);
            let mut request = ChatRequest {
                messages: vec![Message::of_text(Role::User, "Use order_status, please")],
                tools: vec![order_status()],
                tool_choice: Some(ToolChoice::Any),
                parallel_tool_calls: Some(false),
                stream,
                ..ChatRequest::default()
            };
            let (events, error) = ask(&provider, asking("tools", request.clone())).await;
            assert!(error.is_none(), "{error:?}");
            let answer = Answer::fold(events);
            let call = answer.tool_calls().next().expect("a call").clone();
            assert_eq!(call.name, "order_status");
            let result = ToolResult {
                call_id: call.id.clone(),
                content: vec![Part::text("shipped")],
                is_error: false,
            };
            request.tool_choice = None;
            request.messages.push(answer.message());
            request
                .messages
                .push(Message::new(Role::Tool, vec![Content::ToolResult(result).into()]));
            let (events, error) = ask(&provider, asking("scripted", request)).await;
            assert!(error.is_none(), "{error:?}");
            assert!(Answer::fold(events).is_complete());
        }
    }
}

#[tokio::test]
async fn what_is_asked_arrives_in_the_providers_own_words() {
    let server = server().await;
    for kind in KINDS {
        for stream in [true, false] {
            let provider = provider(&server, kind);
            let request = ChatRequest {
                messages: vec![
                    Message::of_text(Role::System, "Be brief."),
                    Message::of_text(Role::User, "Say \"hé\" 👋"),
                ],
                sampling: Sampling {
                    temperature: Some(0.5),
                    max_tokens: Some(500),
                    stop: vec!["NEVER".to_owned()],
                    ..Sampling::default()
                },
                stream,
                ..ChatRequest::default()
            };
            for (model, text) in [("echo", "Say \"hé\" 👋"), ("echo-system", "Be brief.")] {
                let (events, error) = ask(&provider, asking(model, request.clone())).await;
                assert!(error.is_none(), "{error:?}");
                assert_eq!(Answer::fold(events).text(), text);
            }
        }
    }
}

#[tokio::test]
async fn a_schema_cached_tokens_reasoning_and_a_filter_are_reported() {
    let server = server().await;
    for kind in KINDS {
        for stream in [true, false] {
            let provider = provider(&server, kind);
            let mut request = (*question("scripted", stream).request).clone();
            request.tools.clear();
            let (events, error) = ask(&provider, asking("cached", request.clone())).await;
            assert!(error.is_none(), "{error:?}");
            let usage = Answer::fold(events).usage.unwrap();
            assert!(usage.cache_read_tokens > 0 && usage.cache_read_tokens < usage.input_tokens);

            let (events, error) = ask(&provider, asking("reasoning", request.clone())).await;
            assert!(error.is_none(), "{error:?}");
            let usage = Answer::fold(events).usage.unwrap();
            // The other dialect's answers count them among the output without naming them.
            let named = kind == ProviderKind::Openai;
            assert_eq!((usage.reasoning_tokens > 0, usage.estimated), (named, false), "{usage:?}");

            let (events, error) = ask(&provider, asking("filtered", request.clone())).await;
            assert!(error.is_none(), "{error:?}");
            assert_eq!(Answer::fold(events).reason.unwrap().openai(), "content_filter");

            request.response_format = Some(ResponseFormat::JsonSchema {
                name: Some("term".to_owned()),
                description: None,
                schema: json!({
                    "type": "object",
                    "properties": {"days": {"type": "integer"}},
                    "required": ["days"],
                    "additionalProperties": false,
                }),
                strict: Some(true),
            });
            let (events, error) = ask(&provider, asking("scripted", request)).await;
            assert!(error.is_none(), "{error:?}");
            let text = Answer::fold(events).text();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(value["days"].is_i64(), "{text}");
        }
    }
}
