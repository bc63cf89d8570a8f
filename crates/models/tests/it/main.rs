//! Providers against a server that misbehaves on the wire: every fault is a clean, typed error
//! within its time, and the next healthy request succeeds.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails the test"
)]

mod canned;
mod faults;
mod scripted;
mod transport;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use canned::{Server, Step};
use futures::StreamExt;
use models::{
    Answer, Call, ChatRequest, Event, Message, ModelSpec, Provider, ProviderBinding, ProviderError,
    ProviderKind, Providers, Role, Timeouts,
};
use release::{Secret, TenantId};

/// Limits short enough for tests; nothing healthy comes near them.
const LIMITS: Timeouts = Timeouts {
    connect_ms: 5_000,
    first_byte_ms: 300,
    first_token_ms: None,
    idle_ms: 300,
    total_ms: 20_000,
};

/// Longer than any answer or error here may take, on a busy machine.
const SOON: Duration = Duration::from_secs(10);

fn binding(kind: ProviderKind, endpoint: String, timeouts: Timeouts) -> ProviderBinding {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    ProviderBinding {
        kind,
        endpoint,
        credential: Some(Secret::new("sk-test")),
        region: None,
        proxy: None,
        timeouts,
        require_finish_reason: true,
        tenants: [TenantId::DEFAULT].into(),
        environments: BTreeMap::new(),
    }
}

fn provider_with(kind: ProviderKind, server: &Server, timeouts: Timeouts) -> Arc<dyn Provider> {
    let endpoint = match kind {
        ProviderKind::Openai => format!("{}/v1", server.url()),
        ProviderKind::Anthropic => server.url(),
    };
    provider_at(binding(kind, endpoint, timeouts))
}

fn provider_at(binding: ProviderBinding) -> Arc<dyn Provider> {
    let providers = Providers::new([("p".to_owned(), binding)].into()).unwrap();
    providers.resolve(&TenantId::DEFAULT, &"dev".parse().unwrap(), "p").unwrap().0
}

fn call(stream: bool) -> Call {
    let request = ChatRequest {
        messages: vec![Message::of_text(Role::User, "How long do refunds take?")],
        stream,
        ..ChatRequest::default()
    };
    Call {
        model: ModelSpec::new("p", "a-model").into(),
        request: request.into(),
        passages: Arc::new([]),
        deadline: None,
    }
}

/// All events of an answer, and the error it may end in.
async fn ask(provider: &Arc<dyn Provider>, call: Call) -> (Vec<Event>, Option<ProviderError>) {
    let reading = async {
        let mut stream = match provider.chat(call).await {
            Ok(stream) => stream,
            Err(error) => return (Vec::new(), Some(error)),
        };
        let mut events = Vec::new();
        while let Some(item) = stream.next().await {
            match item {
                Ok(event) => events.push(event),
                Err(error) => {
                    assert!(stream.next().await.is_none(), "nothing follows an error");
                    return (events, Some(error));
                }
            }
        }
        (events, None)
    };
    tokio::time::timeout(SOON, reading).await.expect("an answer or an error in time")
}

/// Asks a server that does `steps` once and is well afterwards: the error must come, no answer
/// may look complete, and the next question must be answered.
async fn fails(kind: ProviderKind, stream: bool, steps: Vec<Step>) -> ProviderError {
    fails_with(kind, stream, steps, LIMITS).await
}

async fn fails_with(
    kind: ProviderKind,
    stream: bool,
    steps: Vec<Step>,
    timeouts: Timeouts,
) -> ProviderError {
    let server = Server::start(kind, vec![steps]).await;
    let provider = provider_with(kind, &server, timeouts);
    let (events, error) = ask(&provider, call(stream)).await;
    let error = error.unwrap_or_else(|| panic!("no error after {events:?}"));
    assert!(!events.iter().any(|event| matches!(event, Event::Finished { .. })), "{events:?}");
    assert_eq!(server.requests().len(), 1, "one attempt, never more");
    let (events, after) = ask(&provider, call(stream)).await;
    assert!(after.is_none(), "the next request fails: {after:?}");
    assert_eq!(Answer::fold(events).text(), canned::ANSWER);
    error
}

/// Asks a server that does `steps` once: a whole answer must come.
async fn answers(kind: ProviderKind, stream: bool, steps: Vec<Step>) -> Answer {
    let server = Server::start(kind, vec![steps]).await;
    let provider = provider_with(kind, &server, LIMITS);
    let (events, error) = ask(&provider, call(stream)).await;
    assert!(error.is_none(), "{error:?} after {events:?}");
    assert!(matches!(events.last(), Some(Event::Finished { .. })), "{events:?}");
    let answer = Answer::fold(events);
    assert_eq!(answer.text(), canned::ANSWER);
    answer
}
