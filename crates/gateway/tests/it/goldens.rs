//! Both dialects over both providers: what goes up and what comes back, case by case.
//!
//! `goldens/requests/DIALECT` is what clients send, `goldens/upstream/PROVIDER` what providers
//! answer, whole and streamed, as their references have it; a snapshot holds what we make of both.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::any;
use models::ProviderKind;
use serde_json::Value;

use crate::fixture::{App, serve};

const CASES: [&str; 9] = [
    "text",
    "tools",
    "structured",
    "length",
    "stop_sequence",
    "refusal",
    "thinking",
    "picture",
    "unknown_fields",
];

#[tokio::test]
async fn openai_over_openai() {
    check("openai", "openai").await;
}

#[tokio::test]
async fn openai_over_anthropic() {
    check("openai", "anthropic").await;
}

#[tokio::test]
async fn anthropic_over_openai() {
    check("anthropic", "openai").await;
}

#[tokio::test]
async fn anthropic_over_anthropic() {
    check("anthropic", "anthropic").await;
}

async fn check(dialect: &str, provider: &str) {
    let upstream = Upstream::start(provider).await;
    let (kind, base) = match provider {
        "openai" => (ProviderKind::Openai, "/v1"),
        _ => (ProviderKind::Anthropic, "/v1"),
    };
    let served = serve(App::over(kind, &format!("{}{base}", upstream.url))).await;
    let path = if dialect == "openai" { "/v1/chat/completions" } else { "/v1/messages" };
    for case in CASES {
        let text = fs::read_to_string(folder("requests", dialect).join(format!("{case}.json")));
        let mut request: Value = serde_json::from_str(&text.unwrap()).unwrap();
        upstream.shared.lock().unwrap().case = case.to_owned();
        let (status, kind, body) = served.post(path, &request).await;
        let sent = upstream.shared.lock().unwrap().sent.take();
        request["stream"] = true.into();
        if dialect == "openai" {
            request["stream_options"] = serde_json::json!({"include_usage": true});
        }
        let (streamed_status, streamed_kind, streamed) = served.post(path, &request).await;
        let sent_streamed = upstream.shared.lock().unwrap().sent.take();

        let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
        let mut seen = String::new();
        match &sent {
            Some((path, sent)) => writeln!(seen, "==> {path}\n{}", pretty(sent)).unwrap(),
            None => writeln!(seen, "==> nothing is sent").unwrap(),
        }
        let body: Value = serde_json::from_str(&body).unwrap();
        writeln!(seen, "\n<== {status} {kind}\n{}", pretty(&body)).unwrap();
        writeln!(seen, "\n<== streamed: {streamed_status} {streamed_kind}\n{streamed}").unwrap();
        insta::with_settings!({
            snapshot_path => folder("answers", &format!("{dialect}_over_{provider}")),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(case, seen);
        });

        // Streaming changes nothing else of what is sent.
        let streams = sent_streamed.map(|(path, mut sent)| {
            let fields = sent.as_object_mut().unwrap();
            assert_eq!(fields.shift_remove("stream"), Some(true.into()));
            fields.shift_remove("stream_options");
            (path, sent)
        });
        assert_eq!(sent, streams, "{case}");
    }
}

fn folder(what: &str, whose: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/goldens").join(what).join(whose)
}

/// A provider that answers each case from its file and keeps what it was sent.
struct Upstream {
    url: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    provider: String,
    case: String,
    sent: Option<(String, Value)>,
}

impl Upstream {
    async fn start(provider: &str) -> Self {
        let shared = Shared { provider: provider.to_owned(), ..Shared::default() };
        let shared = Arc::new(Mutex::new(shared));
        let router = Router::new().route("/{*path}", any(reply)).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }
}

async fn reply(
    State(shared): State<Arc<Mutex<Shared>>>,
    uri: http::Uri,
    headers: http::HeaderMap,
    body: String,
) -> impl IntoResponse {
    let mut shared = shared.lock().unwrap();
    let sent: Value = serde_json::from_str(&body).unwrap();
    let credential = match shared.provider.as_str() {
        "openai" => headers["authorization"] == "Bearer upstream-key",
        _ => headers["x-api-key"] == "upstream-key" && headers["anthropic-version"] == "2023-06-01",
    };
    assert!(credential, "{headers:?}");
    let (extension, kind) = match sent["stream"] == true {
        true => ("sse", "text/event-stream"),
        false => ("json", "application/json"),
    };
    let file = folder("upstream", &shared.provider).join(format!("{}.{extension}", shared.case));
    shared.sent = Some((uri.path().to_owned(), sent));
    ([(CONTENT_TYPE, kind)], fs::read(file).unwrap())
}
