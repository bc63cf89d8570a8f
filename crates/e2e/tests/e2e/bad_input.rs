//! Whatever is sent, the answer is a clear error in the caller's dialect, and the next request
//! works.

use e2e::Stage;
use serde_json::{Value, json};

async fn refused(stage: &Stage, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let response = stage.post(path, body).await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

const ASK: &str = r#"{"model":"support","messages":[{"role":"user","content":"How long?"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_wrong_get_a_clear_error_and_harm_nobody() {
    let stage = Stage::support_desk().unwrap();
    let deep = format!("{{\"model\":\"support\",\"messages\":{}", "[".repeat(100_000));
    let keys: String = (0..1_000_000).map(|n| format!("\"k{n}\":0,")).collect();
    let keys = format!("{{{keys}\"model\":\"support\"}}");
    let huge = format!("{{\"model\":\"{}\"}}", "x".repeat(33 << 20));
    for (what, body, status) in [
        ("nothing", String::new(), 400),
        ("not JSON", "hello".to_owned(), 400),
        ("a list", "[]".to_owned(), 400),
        ("too deep", deep, 400),
        ("a million keys", keys, 400),
        ("too large", huge, 413),
        ("a lone surrogate", ASK.replace("How", "\\ud800"), 400),
        ("no model", r#"{"messages":[]}"#.to_owned(), 400),
        ("no messages", r#"{"model":"support"}"#.to_owned(), 400),
        ("a wrong type", ASK.replace("\"How long?\"", "7"), 400),
        ("a wrong role", ASK.replace("\"user\"", "\"robot\""), 400),
        ("n of 2", ASK.replace("{\"model\"", "{\"n\":2,\"model\""), 400),
        (
            "a wrong temperature",
            ASK.replace("{\"model\"", "{\"temperature\":\"hot\",\"model\""),
            400,
        ),
        ("a field not allowed", ASK.replace("{\"model\"", "{\"seed\":1,\"model\""), 400),
        ("an unknown app", ASK.replace("support", "sales"), 404),
        ("an unknown environment", ASK.replace("support", "support@moon"), 404),
        ("nothing live", ASK.replace("support", "support@staging"), 404),
        ("a name that is none", ASK.replace("support", "../etc"), 400),
        (
            "a tool for a model without",
            ASK.replace(
                "{\"model\"",
                "{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"x\"}}],\"model\"",
            ),
            400,
        ),
    ] {
        let (found, body) = refused(&stage, "/v1/chat/completions", body).await;
        assert_eq!(found, status, "{what}: {body}");
        assert!(
            body["error"]["message"].is_string() && body["error"]["type"].is_string(),
            "{body}"
        );
    }
    let healthy = stage.post("/v1/chat/completions", ASK).await.unwrap();
    assert_eq!(healthy.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_shape_of_the_dialect_that_asked() {
    let stage = Stage::support_desk().unwrap();
    let (status, body) = refused(&stage, "/v1/messages", r#"{"model":"support"}"#).await;
    assert_eq!(
        (status, &body["type"], &body["error"]["type"]),
        (400, &json!("error"), &json!("invalid_request_error"),)
    );
    let unknown = json!({"model": "sales", "max_tokens": 5,
        "messages": [{"role": "user", "content": "?"}]});
    let (status, body) = refused(&stage, "/v1/messages", unknown.to_string()).await;
    assert_eq!((status, &body["error"]["type"]), (404, &json!("not_found_error")));
}

#[tokio::test(flavor = "multi_thread")]
async fn guardrails_block_and_say_so_and_the_trace_names_the_rule() {
    let stage = Stage::support_desk().unwrap();
    let ask = ASK.replace("How long?", "My card is 4111 1111 1111 1111");
    let (status, body) = refused(&stage, "/v1/chat/completions", ask).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("content_filter")));
    let traces = stage.json(&["trace", "list", "--outcome", "blocked"]).unwrap();
    assert_eq!(traces.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_only_health_answers() {
    let stage = Stage::support_desk().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let status = |path: &'static str, post: bool| {
        let url = format!("{}{path}", stage.url);
        let request = if post { client.post(url) } else { client.get(url) };
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(status("/health", false).await, 200);
    for (path, post) in [
        ("/v1/chat/completions", true),
        ("/v1/messages", true),
        ("/v1/embeddings", true),
        ("/v1/models", false),
        ("/api/v1/status", false),
        ("/api/v1/projects", true),
        ("/api/v1/openapi.json", false),
        ("/api/v1/keys", false),
    ] {
        assert_eq!(status(path, post).await, 401, "{path}");
    }
}

#[test]
fn every_mistake_of_a_project_is_told_at_once_and_nothing_is_applied() {
    let stage = Stage::support_desk().unwrap();
    stage
        .write(
            "apps/support.toml",
            "[slots]\nmodel = \"extractve\"\nprompt = \"support\"\n[confg]\n",
        )
        .unwrap();
    stage.write("prompts/broken.md", "{% if %}\n").unwrap();
    let refused = stage.groundcrew(&["apply"]).unwrap_err().to_string();
    for part in ["GC0100", "apps/support.toml:4:2", "GC0102", "prompts/broken.md:1", "GC0202"] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
    let status = stage.json(&["release", "list", "support"]).unwrap();
    assert_eq!(status.as_array().unwrap().len(), 1);
    let page = stage.groundcrew(&["explain", "gc0102"]).unwrap();
    assert!(page.contains("Unknown key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_off_loopback_without_tls_is_refused() {
    let mut stage = Stage::empty().unwrap();
    stage.write("server.toml", "listen = \"0.0.0.0:0\"\n").unwrap();
    assert!(stage.start().is_err());
}
