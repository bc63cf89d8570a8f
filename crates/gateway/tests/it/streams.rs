//! An answer on its way: what the client gets when something happens before its end.

use std::io::Write;
use std::time::Duration;

use axum::body::Body;
use futures::StreamExt;
use http::StatusCode;
use models::{ProviderKind, Timers};
use monitoring::{LogOptions, Outcome};
use serde_json::{Value, json};
use testkit::model_server::{ANSWER, Ending, ModelServer, Script};

use crate::fixture::{App, Served, serve};

const CHAT: &str = "/v1/chat/completions";

fn ask(stream: bool) -> Value {
    json!({"model": "app", "stream": stream, "max_tokens": 500,
        "messages": [{"role": "user", "content": "Hello."}]})
}

async fn over(model: &'static str, script: Script) -> (ModelServer, Served) {
    let server = ModelServer::start(script).await.unwrap();
    let app = App { model, ..App::over(ProviderKind::Openai, &server.openai_url()) };
    let served = serve(app).await;
    (server, served)
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_the_model_and_is_recorded() {
    let slow = Script { tokens_per_second: Some(20.0), ..Script::default() };
    let (server, served) = over("healthy", slow).await;
    let request = served.request(CHAT).body(Body::from(ask(true).to_string())).unwrap();
    let mut body = served.send(request).await.into_body().into_data_stream();
    body.next().await.unwrap().unwrap();
    drop(body);
    let hung_up = |ending: Ending| matches!(ending, Ending::HungUp { .. });
    server.requests_until(|seen| seen.iter().any(|one| hung_up(one.ending))).await.unwrap();
    assert_eq!(recorded(&served).await, Outcome::Cancelled);
}

#[tokio::test]
async fn a_client_that_hangs_up_before_the_first_byte_cancels_the_model_too() {
    let (server, served) = over("fault-s06", Script::default()).await;
    let request = served.request(CHAT).body(Body::from(ask(false).to_string())).unwrap();
    let router = served.router.clone();
    let asking = tokio::spawn(tower::ServiceExt::oneshot(router, request));
    server.requests_until(|seen| seen.len() == 1).await.unwrap();
    asking.abort();
    let hung_up = |ending: Ending| matches!(ending, Ending::HungUp { .. });
    server.requests_until(|seen| seen.iter().any(|one| hung_up(one.ending))).await.unwrap();
    assert_eq!(recorded(&served).await, Outcome::Cancelled);
}

/// The record that a request's own task writes soon after the request is over.
async fn recorded(served: &Served) -> Outcome {
    for _ in 0..1_000 {
        if let Some(record) = served.records().pop() {
            return record.outcome;
        }
        tokio::task::yield_now().await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("nothing was recorded");
}

#[tokio::test]
async fn a_stream_that_breaks_ends_in_an_error_and_never_looks_whole() {
    for fault in ["fault-s08", "fault-clean-cut", "fault-reset-in-stream", "fault-error-in-stream"]
    {
        let (_server, served) = over(fault, Script::default()).await;
        let (status, _, text) = served.post(CHAT, &ask(true)).await;
        assert_eq!(status, StatusCode::OK);
        assert!(!text.contains("[DONE]") && !text.contains("\"finish_reason\":\""), "{text}");
        let last = text.trim_end().rsplit("\n\n").next().unwrap();
        let last: Value = serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
        assert!(last["error"]["message"].is_string(), "{fault}: {text}");

        let (_, _, text) = served.post("/v1/messages", &ask(true)).await;
        assert!(!text.contains("message_stop") && !text.contains("message_delta"), "{text}");
        assert!(text.trim_end().rsplit("\n\n").next().unwrap().starts_with("event: error\n"));

        let (status, _, text) = served.post(CHAT, &ask(false)).await;
        // Without a stream only the error in a stream still happens elsewhere, or nothing does.
        assert!(status == StatusCode::BAD_GATEWAY || text.contains(ANSWER), "{fault}: {text}");
        let outcomes = served.records().into_iter().map(|record| record.outcome);
        assert_eq!(
            outcomes.filter(|o| matches!(o, Outcome::Failed { .. })).count(),
            match status {
                StatusCode::BAD_GATEWAY => 3,
                _ => 2,
            }
        );
    }
}

#[tokio::test]
async fn errors_of_the_provider_become_errors_of_the_dialect() {
    let mut told = String::new();
    for fault in [
        "fault-s02",
        "fault-s04",
        "fault-s12",
        "fault-s13",
        "fault-retry-after-hour",
        "fault-insufficient-quota",
        "fault-401",
        "fault-403",
        "fault-529",
        "fault-html-502",
        "fault-redirect",
        "fault-empty-200",
        "fault-short-body",
        "fault-reset",
    ] {
        let (_server, served) = over(fault, Script::default()).await;
        for path in [CHAT, "/v1/messages"] {
            let request = served.request(path).body(Body::from(ask(false).to_string())).unwrap();
            let response = served.send(request).await;
            let header =
                |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
            let retry = header("retry-after").map(|wait| format!("retry-after: {wait}"));
            let retry = retry.or_else(|| header("x-should-retry").map(|_| "no retry".to_owned()));
            let (status, _, body) = crate::fixture::read(response).await;
            let body: Value = serde_json::from_str(&body).unwrap();
            let (code, retry) = (status.as_u16(), retry.unwrap_or_default());
            told.push_str(&format!("{fault} {code} [{retry}] {}\n", body["error"]));
        }
    }
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn a_blocked_answer_stops_before_the_forbidden_words() {
    let words = ANSWER.split_whitespace().collect::<Vec<_>>();
    let forbidden = words[30];
    let server = ModelServer::start(Script::default()).await.unwrap();
    let rule = json!({"name": "no-such-word", "kind": "words", "words": [forbidden],
        "on": ["output"], "action": "block", "message": "Not from me."});
    let guardrails = json!({"rules": [rule]});
    let app = App {
        model: "healthy",
        guardrails,
        ..App::over(ProviderKind::Openai, &server.openai_url())
    };
    let served = serve(app).await;
    for stream in [true, false] {
        let (_, _, text) = served.post(CHAT, &ask(stream)).await;
        assert!(!text.contains(forbidden) && text.contains("Not from me."), "{text}");
        assert!(text.contains("\"finish_reason\":\"content_filter\""), "{text}");
        // Of a stream the beginning had gone out already.
        assert_eq!(text.contains(words[0]), stream);
        let blocked = Outcome::Blocked { rule: "no-such-word".to_owned() };
        assert_eq!(served.records()[0].outcome, blocked);
    }
}

#[tokio::test]
async fn the_arguments_of_tool_calls_are_screened_like_words() {
    let server = ModelServer::start(Script::default()).await.unwrap();
    let rule = json!({"name": "no-braces", "kind": "regex", "pattern": "\\{",
        "on": ["output"], "action": "block", "message": "Not from me."});
    let app = App {
        model: "tools",
        guardrails: json!({"rules": [rule]}),
        ..App::over(ProviderKind::Openai, &server.openai_url())
    };
    let served = serve(app).await;
    let mut body = ask(true);
    body["tools"] = json!([{"type": "function", "function": {"name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]);
    let (_, _, text) = served.post(CHAT, &body).await;
    assert!(text.contains("Not from me.") && !text.contains("{\\\""), "{text}");
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_answered() {
    let server = ModelServer::start(Script::default()).await.unwrap();
    let full = LogOptions { max_bytes: 1, ..LogOptions::default() };
    let app = App {
        model: "healthy",
        traces: full,
        ..App::over(ProviderKind::Openai, &server.openai_url())
    };
    let served = serve(app).await;
    let (status, _, text) = served.post(CHAT, &ask(false)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
    assert!(!text.contains(ANSWER));
    let (_, _, text) = served.post(CHAT, &ask(true)).await;
    assert!(!text.contains("[DONE]") && text.contains("could not be recorded"), "{text}");
}

#[tokio::test]
async fn when_the_end_arrives_the_record_is_there() {
    let (_server, served) = over("healthy", Script::default()).await;
    for count in 1..=20 {
        let (_, _, text) = served.post(CHAT, &ask(count % 2 == 0)).await;
        assert!(count % 2 == 1 || text.ends_with("data: [DONE]\n\n"));
        assert_eq!(served.traces.stats().appended, count);
    }
}

#[tokio::test]
async fn an_event_that_could_not_be_read_is_counted_on_the_record() {
    let (_server, served) = over("fault-s10", Script::default()).await;
    let (_, _, text) = served.post(CHAT, &ask(true)).await;
    assert!(text.contains("[DONE]"), "{text}");
    let generation = served.records().pop().unwrap().generation.unwrap();
    assert_eq!(generation.unreadable_events, 1);
}

#[tokio::test]
async fn vectors_that_nobody_waits_for_any_more_are_cancelled_and_recorded() {
    let slow = Script { latency: Duration::from_secs(3_600), ..Script::default() };
    let (server, served) = over("embed", slow).await;
    let body = json!({"model": "app", "input": "one"}).to_string();
    let request = served.request("/v1/embeddings").body(Body::from(body)).unwrap();
    let asking = tokio::spawn(tower::ServiceExt::oneshot(served.router.clone(), request));
    server.requests_until(|seen| seen.len() == 1).await.unwrap();
    asking.abort();
    assert_eq!(recorded(&served).await, Outcome::Cancelled);
}

#[tokio::test]
async fn a_model_that_says_nothing_in_time_is_given_up() {
    let server = ModelServer::start(Script::default()).await.unwrap();
    let app = App::over(ProviderKind::Openai, &server.openai_url());
    let timers = Timers { first_token: Some(0.2), idle: 60.0, total: 60.0, ..app.timers };
    let served = serve(App { model: "fault-s07", timers, ..app }).await;
    let (status, _, text) = served.post(CHAT, &ask(true)).await;
    assert!(status == StatusCode::GATEWAY_TIMEOUT || text.contains("first token"), "{text}");
    let Outcome::Failed { message, .. } = recorded(&served).await else { panic!("it failed") };
    assert!(message.contains("first token"), "{message}");
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_said_to_be_so_with_the_cause_on_the_record() {
    let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let without_tls = plain.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in plain.incoming() {
            // Whoever hangs up first is not of interest.
            let _sent = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (endpoint, cause) in [
        (format!("http://{closed}/v1"), "refused"),
        // A name that no resolver need be asked for.
        (format!("http://{}.invalid/v1", "x".repeat(70)), "lookup"),
        (format!("https://{without_tls}/v1"), "corrupt message"),
    ] {
        let served = serve(App::over(ProviderKind::Openai, &endpoint)).await;
        let (status, _, text) = served.post(CHAT, &ask(false)).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{text}");
        assert!(!text.contains("upstream-key"), "{text}");
        let Outcome::Failed { message, .. } = recorded(&served).await else { panic!("it failed") };
        assert!(message.to_lowercase().contains(cause), "{endpoint}: {message}");
    }
}
