//! Connections: what is sent, what is reused, what is bounded, what is never followed.

use std::time::Duration;

use futures::StreamExt;
use models::{EmbedCall, Event, ModelSpec, ProviderError, ProviderKind, Stage, Timeouts};

use crate::canned::{Server, Step, chunk, events_head, json, pieces, response};
use crate::{LIMITS, SOON, ask, binding, call, fails, provider_at, provider_with};

#[tokio::test]
async fn openai_is_sent_a_bearer_token_and_asked_for_usage() {
    let server = Server::start(ProviderKind::Openai, Vec::new()).await;
    let provider = provider_with(ProviderKind::Openai, &server, LIMITS);
    assert!(ask(&provider, call(true)).await.1.is_none());
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nauthorization: Bearer sk-test\r\n"), "{request}");
    assert!(request.contains("\"stream_options\":{\"include_usage\":true}"), "{request}");
    assert!(!request.contains("accept-encoding"), "{request}");
}

#[tokio::test]
async fn anthropic_is_sent_its_key_and_version() {
    let server = Server::start(ProviderKind::Anthropic, Vec::new()).await;
    let provider = provider_with(ProviderKind::Anthropic, &server, LIMITS);
    assert!(ask(&provider, call(true)).await.1.is_none());
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST /v1/messages HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nx-api-key: sk-test\r\n"), "{request}");
    assert!(request.contains("\r\nanthropic-version: 2023-06-01\r\n"), "{request}");
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Server::start(ProviderKind::Openai, Vec::new()).await;
    let provider = provider_with(ProviderKind::Openai, &server, LIMITS);
    for stream in [false, true, false] {
        assert!(ask(&provider, call(stream)).await.1.is_none());
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_refused_connection_was_never_sent_anything() {
    let server = Server::start(ProviderKind::Openai, Vec::new()).await;
    let endpoint = server.url();
    drop(server);
    let provider = provider_at(binding(ProviderKind::Openai, endpoint, LIMITS));
    let (_, error) = ask(&provider, call(true)).await;
    assert!(matches!(error, Some(ProviderError::Transport { sent: false, .. })), "{error:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(ProviderKind::Openai, Vec::new()).await;
    let location = format!("location: {}/v1/chat/completions\r\n", elsewhere.url());
    let steps = vec![Step::Send(response(307, &location, ""))];
    let error = fails(ProviderKind::Openai, true, steps).await;
    assert!(matches!(error, ProviderError::Protocol { .. }), "{error:?}");
    assert!(elsewhere.requests().is_empty(), "the credential went elsewhere");
}

#[tokio::test]
async fn a_compressed_body_is_not_opened() {
    let headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    let steps = vec![Step::Send(response(200, headers, "bomb"))];
    let error = fails(ProviderKind::Openai, false, steps).await;
    assert!(matches!(error, ProviderError::Protocol { .. }), "{error:?}");
}

#[tokio::test]
async fn a_line_without_end_is_dropped_at_its_limit() {
    let head = [events_head(), chunk("data: ")].concat();
    let endless = chunk(&"x".repeat(256 << 10));
    let steps = vec![Step::Send(head), Step::Repeat(endless, Duration::from_millis(1))];
    let error = fails(ProviderKind::Openai, true, steps).await;
    assert!(matches!(error, ProviderError::TooLarge { what: "a line", .. }), "{error:?}");
}

#[tokio::test]
async fn headers_without_end_are_dropped_at_their_limit() {
    let head = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(1 << 20));
    let steps = vec![Step::Send(head.into_bytes()), Step::Silence];
    let limits = Timeouts { first_byte_ms: 5_000, ..LIMITS };
    let error = crate::fails_with(ProviderKind::Openai, true, steps, limits).await;
    assert!(matches!(error, ProviderError::Transport { .. }), "{error:?}");
}

#[tokio::test]
async fn a_body_that_dribbles_ends_at_the_calls_deadline() {
    let dribble = Step::Repeat(chunk(": .\n"), Duration::from_millis(50));
    let steps = vec![Step::Send(events_head()), dribble];
    let server = Server::start(ProviderKind::Openai, vec![steps]).await;
    let provider = provider_with(ProviderKind::Openai, &server, LIMITS);
    let mut call = call(true);
    call.deadline = Some(tokio::time::Instant::now() + Duration::from_millis(600));
    let (_, error) = ask(&provider, call).await;
    assert!(matches!(error, Some(ProviderError::Timeout { stage: Stage::Total, .. })), "{error:?}");
}

#[tokio::test]
async fn every_event_is_given_out_before_the_next_is_waited_for() {
    let [first, ..] = pieces(ProviderKind::Openai);
    let steps = vec![Step::Send([events_head(), chunk(&first)].concat()), Step::Silence];
    let server = Server::start(ProviderKind::Openai, vec![steps]).await;
    let limits = Timeouts { idle_ms: 60_000, total_ms: 60_000, ..LIMITS };
    let provider = provider_with(ProviderKind::Openai, &server, limits);
    let stream = provider.chat(call(true)).await.unwrap();
    let events = tokio::time::timeout(SOON, stream.take(2).collect::<Vec<_>>()).await.unwrap();
    assert!(matches!(&events[1], Ok(Event::TextDelta(_))), "{events:?}");
}

#[tokio::test]
async fn dropping_the_stream_hangs_up() {
    let [first, ..] = pieces(ProviderKind::Openai);
    let steps = vec![Step::Send([events_head(), chunk(&first)].concat()), Step::Silence];
    let server = Server::start(ProviderKind::Openai, vec![steps]).await;
    let limits = Timeouts { idle_ms: 60_000, ..LIMITS };
    let provider = provider_with(ProviderKind::Openai, &server, limits);
    let mut stream = provider.chat(call(true)).await.unwrap();
    tokio::time::timeout(SOON, stream.next()).await.unwrap().unwrap().unwrap();
    drop(stream);
    tokio::time::timeout(SOON, server.client_left()).await.unwrap();
}

#[tokio::test]
async fn a_credential_that_the_provider_echoes_is_masked() {
    let body = "{\"error\":{\"message\":\"wrong key sk-test\",\"code\":\"invalid_api_key\"}}";
    let steps = vec![Step::Send(response(401, "", body))];
    let error = fails(ProviderKind::Openai, true, steps).await;
    assert!(error.to_string().contains("wrong key ***"), "{error}");
}

fn embed_call(texts: &[&str]) -> EmbedCall {
    EmbedCall {
        model: ModelSpec::new("p", "e").into(),
        inputs: texts.iter().map(|text| (*text).to_owned()).collect(),
        dimensions: None,
        deadline: None,
    }
}

#[tokio::test]
async fn embeddings_come_in_the_order_of_the_texts() {
    let body = r#"{"model":"e-1","data":[{"index":1,"embedding":[0.0,1.0]},{"index":0,"embedding":[1.0,0.0]}],"usage":{"prompt_tokens":4,"total_tokens":4}}"#;
    let server = Server::start(ProviderKind::Openai, vec![vec![Step::Send(json(body))]]).await;
    let provider = provider_with(ProviderKind::Openai, &server, LIMITS);
    let embeddings = provider.embed(embed_call(&["a", "b"])).await.unwrap();
    assert_eq!(embeddings.vectors, [[1.0, 0.0], [0.0, 1.0]]);
    assert_eq!((embeddings.usage.input_tokens, embeddings.usage.estimated), (4, false));
    assert!(server.requests()[0].contains("\"input\":[\"a\",\"b\"]"));
}

#[tokio::test]
async fn embeddings_that_do_not_fit_the_texts_are_refused() {
    for body in [
        r#"{"data":[]}"#,
        r#"{"data":[{"index":0,"embedding":[1.0]},{"index":0,"embedding":[1.0]}]}"#,
        r#"{"data":[{"index":0,"embedding":[1.0]},{"index":1,"embedding":[1.0,2.0]}]}"#,
        r#"{"data":[{"index":0,"embedding":[]},{"index":1,"embedding":[]}]}"#,
        r#"{"data":[{"index":0,"embedding":[1e999]},{"index":1,"embedding":[1.0]}]}"#,
    ] {
        let server = Server::start(ProviderKind::Openai, vec![vec![Step::Send(json(body))]]).await;
        let provider = provider_with(ProviderKind::Openai, &server, LIMITS);
        let error = provider.embed(embed_call(&["a", "b"])).await.unwrap_err();
        assert!(matches!(error, ProviderError::Protocol { .. }), "{body}: {error:?}");
    }
}

#[tokio::test]
async fn a_provider_without_embeddings_says_so() {
    let server = Server::start(ProviderKind::Anthropic, Vec::new()).await;
    let provider = provider_with(ProviderKind::Anthropic, &server, LIMITS);
    let error = provider.embed(embed_call(&["a"])).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unsupported { .. }), "{error:?}");
}
