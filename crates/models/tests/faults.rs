//! However a provider fails, the call ends cleanly: with the whole answer or with an error, in
//! bounded time, and the next call works.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests speak by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use models::{
    Answer, Call, ChatRequest, Dialect, FinishReason, Message, Part, Provider, ProviderBinding,
    ProviderEntry, ProviderError, ProviderKind, Providers, Role, Timers, TokenLimitField, Tool,
};
use release::{Secret, TenantId};
use serde_json::json;
use testkit::model_server::faults::FAULTS;
use testkit::model_server::{ANSWER, Ending, ModelServer, Script};

/// Faults that lose nothing: the answer is whole all the same.
const HARMLESS: &[&str] = &[
    "fault-s07",
    "fault-s10",
    "fault-s11",
    "fault-no-usage",
    "fault-absurd-usage",
    "fault-json-for-sse",
    "fault-sse-for-json",
    "fault-dribble-body",
    "fault-dribble",
    "fault-length-empty",
    "fault-wrong-content-type-json-for-sse",
    "fault-dribble-head",
];

fn providers(server: &ModelServer, kind: ProviderKind) -> Arc<dyn Provider> {
    // Another test of this process may have installed it already.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let binding = ProviderBinding {
        kind,
        endpoint: server.openai_url(),
        region: None,
        credential: Some(Secret::new("test-key")),
        timers: Timers { connect: 1.0, first_byte: 0.6, first_token: None, idle: 0.6, total: 2.0 },
        token_limit_field: TokenLimitField::default(),
    };
    let tenants = vec![TenantId::DEFAULT];
    let entry = ProviderEntry { tenants, default: binding, environments: BTreeMap::new() };
    let providers = Providers::new([("p".to_owned(), entry)].into()).unwrap();
    let bound = providers.resolve(&TenantId::DEFAULT, &"prod".parse().unwrap(), "p").unwrap();
    Arc::clone(&bound.provider)
}

async fn ask(provider: &dyn Provider, model: &str, stream: bool) -> Result<Answer, ProviderError> {
    let spec = serde_json::json!({"provider": "p", "model": model});
    let mut request = ChatRequest::new(Dialect::OpenAi);
    request.messages = vec![Message::text_of(Role::User, "Say something.")];
    request.stream = stream;
    if model.contains("tool") {
        let function = json!({"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}, "strict": null});
        request.tools = vec![Tool::Function(serde_json::from_value(function).unwrap())];
    }
    let model = Arc::new(serde_json::from_value(spec).unwrap());
    let mut events = provider.chat(Call { model, request, passages: Arc::new([]) }).await?;
    let mut answer = Answer::default();
    while let Some(event) = events.next().await {
        answer.push(&event?);
    }
    Ok(answer)
}

async fn every_fault_ends_cleanly(kind: ProviderKind) {
    let script = Script { time_scale: 0.02, ..Script::default() };
    let server = ModelServer::start(script).await.unwrap();
    let provider = providers(&server, kind);
    let mut wrong = Vec::new();
    let mut outcomes = String::new();
    for fault in FAULTS {
        for stream in [false, true] {
            let start = Instant::now();
            let model = format!("{}:{stream}", fault.name);
            let result = ask(provider.as_ref(), &model, stream).await;
            let whole = |answer: &Answer| {
                let ended = answer.finish.is_some();
                let harmless = HARMLESS.contains(&fault.name);
                let calls = answer.content.iter().filter_map(|block| match &block.part {
                    Part::ToolCall { arguments, .. } => Some(arguments),
                    _ => None,
                });
                let calls: Vec<_> = calls.collect();
                let json = |text: &&String| serde_json::from_str::<serde_json::Value>(text).is_ok();
                ended
                    && calls.iter().all(json)
                    && (answer.text() == ANSWER || harmless || !calls.is_empty())
            };
            let outcome = match &result {
                Ok(answer) if answer.text() == ANSWER => "the whole answer",
                Ok(_) => "another answer",
                // Which of these comes first is a matter of milliseconds.
                Err(
                    ProviderError::Transport { .. }
                    | ProviderError::Timeout { .. }
                    | ProviderError::Truncated { .. },
                ) => "broken off",
                Err(error) => error.kind(),
            };
            let how = if stream { "streamed" } else { "plain" };
            // Pings last about as long as the whole call may.
            if fault.name != "fault-pings-only" {
                outcomes.push_str(&format!("{:<40}{how:<10}{outcome}\n", fault.name));
            }
            match &result {
                Ok(answer) if !whole(answer) => {
                    wrong.push(format!(
                        "{} stream={stream}: taken for whole: {answer:?}",
                        fault.name
                    ));
                }
                _ if start.elapsed() > Duration::from_secs(8) => {
                    wrong.push(format!(
                        "{} stream={stream}: took {:?}",
                        fault.name,
                        start.elapsed()
                    ));
                }
                _ => {}
            }
        }
        let healthy = ask(provider.as_ref(), "healthy", true).await;
        let healthy = healthy.map(|answer| (answer.text(), answer.finish));
        if !matches!(&healthy, Ok((text, Some(FinishReason::Stop))) if text == ANSWER) {
            wrong.push(format!("after {}: {healthy:?}", fault.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    insta::assert_snapshot!(format!("{kind:?}"), outcomes);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_an_openai_server_ends_cleanly() {
    every_fault_ends_cleanly(ProviderKind::Openai).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_an_anthropic_server_ends_cleanly() {
    every_fault_ends_cleanly(ProviderKind::Anthropic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_they_mean_and_credentials_stay_hidden() {
    let server = ModelServer::start(Script::default()).await.unwrap();
    let provider = providers(&server, ProviderKind::Openai);
    for (model, kind) in [
        ("fault-s12", "context_length"),
        ("fault-s13", "content_policy"),
        ("fault-401", "authentication"),
        ("fault-insufficient-quota", "quota_exhausted"),
        ("fault-529", "overloaded"),
    ] {
        let error = ask(provider.as_ref(), model, false).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{model}");
        assert!(!format!("{error} {error:?}").contains("test-key"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_an_answer_hangs_up_on_the_provider() {
    let script = Script { tokens_per_second: Some(20.0), ..Script::default() };
    let server = ModelServer::start(script).await.unwrap();
    let provider = providers(&server, ProviderKind::Openai);
    let spec = serde_json::json!({"provider": "p", "model": "slow"});
    let mut request = ChatRequest::new(Dialect::OpenAi);
    request.messages = vec![Message::text_of(Role::User, "Say something.")];
    request.stream = true;
    let model = Arc::new(serde_json::from_value(spec).unwrap());
    let call = Call { model, request, passages: Arc::new([]) };
    let mut events = provider.chat(call).await.unwrap();
    events.next().await.unwrap().unwrap();
    drop(events);
    let left = server
        .requests_until(|attempts| {
            attempts.iter().any(|attempt| matches!(attempt.ending, Ending::HungUp { .. }))
        })
        .await;
    assert!(left.is_ok(), "the provider was left talking");
}
