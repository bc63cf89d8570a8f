//! What a request may say, and what it is told when it may not.

use axum::body::Body;
use http::{Request, StatusCode};
use models::ProviderKind;
use serde_json::{Value, json};
use testkit::model_server::{ModelServer, Script};

use crate::fixture::{App, Served, read, serve};

const CHAT: &str = "/v1/chat/completions";

async fn served(config: Value) -> (ModelServer, Served) {
    let server = ModelServer::start(Script::default()).await.unwrap();
    let app = App { config, ..App::over(ProviderKind::Openai, &server.openai_url()) };
    (server, serve(app).await)
}

fn ask() -> Value {
    json!({"model": "app", "messages": [{"role": "user", "content": "Hello."}]})
}

fn with(field: &str, value: Value) -> Value {
    let mut body = ask();
    body[field] = value;
    body
}

#[tokio::test]
async fn every_wrong_request_is_told_what_is_wrong_where() {
    let (server, served) = served(json!({})).await;
    let mut told = String::new();
    for body in [
        json!([]),
        json!({}),
        json!({"model": "app"}),
        with("messages", json!("hi")),
        with("messages", json!([7])),
        with("messages", json!([{"role": "robot", "content": "hi"}])),
        with("messages", json!([{"role": "user"}])),
        with("messages", json!([{"role": "user", "content": [{"text": "hi"}]}])),
        with("messages", json!([{"role": "user", "content": [{"type": "image_url"}]}])),
        with("messages", json!([{"role": "tool", "content": "4"}])),
        with("messages", json!([{"role": "assistant", "tool_calls": [{"id": "c"}]}])),
        with("temperature", json!("hot")),
        with("max_tokens", json!(-1)),
        with("seed", json!(0.5)),
        with("n", json!(2)),
        with("stop", json!([1])),
        with("stream", json!("yes")),
        with("tools", json!([{"type": "function"}])),
        with("tool_choice", json!("perhaps")),
        with("response_format", json!({"type": "yaml"})),
        with("response_format", json!({"type": "json_schema", "json_schema": {"name": "x"}})),
        with("model", json!("../etc")),
        with("model", json!("other")),
        with("model", json!("app@moon")),
    ] {
        let (status, _, answer) = served.post(CHAT, &body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        told.push_str(&format!("{} {}\n", status.as_u16(), answer["error"]));
    }
    insta::assert_snapshot!(told);
    assert!(server.requests().is_empty());
    assert!(served.records().is_empty());
    assert_eq!(served.post(CHAT, &ask()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn every_wrong_message_is_told_what_is_wrong_where() {
    let (_server, served) = served(json!({})).await;
    let good = json!({"model": "app", "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hello."}]});
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let mut told = String::new();
    for body in [
        with("max_tokens", Value::Null),
        with("messages", json!([])),
        with("messages", json!([{"role": "system", "content": "hi"}])),
        with("messages", json!([{"role": "user", "content": [{"text": "hi"}]}])),
        with("messages", json!([{"role": "user", "content": [{"type": "tool_result"}]}])),
        with("system", json!(7)),
        with("tools", json!([{"description": "x"}])),
        with("tool_choice", json!({"type": "tool"})),
        with("output_config", json!({"format": {"type": "json_schema"}})),
        with("model", json!("other")),
    ] {
        let (status, _, answer) = served.post("/v1/messages", &body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["type"], "error");
        told.push_str(&format!("{} {}\n", status.as_u16(), answer["error"]));
    }
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn a_body_is_read_within_bounds_and_only_as_json() {
    let (_server, served) = served(json!({})).await;
    let send = |kind: &'static str, body: String| {
        let request = Request::post(CHAT).header("x-api-key", &served.key);
        served.send(request.header("content-type", kind).body(Body::from(body)).unwrap())
    };
    let json = "application/json; charset=utf-8";
    let many = format!("[{}0]", "0,".repeat(20_000));
    let deep = format!("{{\"model\":{}", "[".repeat(50_000));
    for (kind, body, status) in [
        (json, ask().to_string(), 200),
        ("text/plain", ask().to_string(), 415),
        (json, "x".repeat(2 << 20), 413),
        (json, many, 400),
        (json, deep, 400),
        (json, r#"{"model":"\ud800"}"#.to_owned(), 400),
    ] {
        assert_eq!(send(kind, body).await.status().as_u16(), status);
    }
}

#[tokio::test]
async fn without_a_valid_key_nothing_is_read() {
    let (_server, served) = served(json!({})).await;
    for key in ["", "Bearer ", "Bearer gc_x.y", "Basic gc_x.y", "Bearer ü"] {
        let request = Request::post(CHAT).header("authorization", key).body(Body::from("{"));
        assert_eq!(served.send(request.unwrap()).await.status(), StatusCode::UNAUTHORIZED, "{key}");
    }
}

#[tokio::test]
async fn clients_set_only_what_the_app_lets_them_and_it_is_on_the_record() {
    let config = json!({"overridable": ["temperature"], "client_system_message": "forbid"});
    let (server, served) = served(config).await;
    let refused = |answer: String| serde_json::from_str::<Value>(&answer).unwrap()["error"].take();
    for (field, value) in [
        ("max_tokens", json!(5)),
        ("tools", json!([])),
        ("logprobs", json!(true)),
        ("response_format", json!({"type": "text"})),
    ] {
        let (status, _, answer) = served.post(CHAT, &with(field, value)).await;
        let error = refused(answer);
        assert_eq!((status.as_u16(), &error["param"]), (400, &json!(field)));
    }
    let system = json!([{"role": "system", "content": "x"}, {"role": "user", "content": "y"}]);
    let (status, _, answer) = served.post(CHAT, &with("messages", system)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    let (status, ..) = served.post(CHAT, &with("temperature", json!(0.5))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(served.records()[0].overrides, ["temperature"]);
    assert_eq!(server.requests()[0].body["temperature"], 0.5);
}

#[tokio::test]
async fn a_session_binds_by_header_metadata_or_user_and_nothing_else_is_stuck() {
    let (_server, served) = served(json!({})).await;
    let ask = |header: Option<&str>, body: Value| {
        let mut request = served.request(CHAT);
        if let Some(session) = header {
            request = request.header("x-groundcrew-session", session);
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let sent = served.send(request);
        async {
            let response = sent.await;
            assert_eq!(response.status(), StatusCode::OK);
            assert!(response.headers().contains_key("x-groundcrew-trace"));
            assert!(response.headers().contains_key("x-groundcrew-release"));
            read(response).await;
            served.records()[0].unit.clone()
        }
    };
    let stuck = |session: &str| release::Unit::Stuck(session.to_owned());
    let metadata = with("metadata", json!({"session_id": "m"}));
    assert_eq!(ask(Some("h"), metadata.clone()).await, stuck("h"));
    assert_eq!(ask(None, metadata).await, stuck("m"));
    assert_eq!(ask(None, with("safety_identifier", json!("s"))).await, stuck("s"));
    assert_eq!(ask(None, with("user", json!("u"))).await, stuck("u"));
    assert!(matches!(ask(None, with("user", json!(""))).await, release::Unit::Unstuck(_)));
}

#[tokio::test]
async fn embeddings_are_bound_and_recorded_and_the_sdks_form_is_understood() {
    let server = ModelServer::start(Script::default()).await.unwrap();
    let app = App { model: "embed", ..App::over(ProviderKind::Openai, &server.openai_url()) };
    let served = serve(app).await;
    let body = json!({"model": "app", "input": ["one", "two"], "encoding_format": "base64"});
    let (status, _, answer) = served.post("/v1/embeddings", &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(answer["data"][1]["embedding"].is_string() && answer["data"][1]["index"] == 1);
    assert_eq!(served.records().len(), 1);
    let wrong = json!({"model": "app", "input": [1]});
    assert_eq!(served.post("/v1/embeddings", &wrong).await.0, StatusCode::BAD_REQUEST);
}
