//! A service to call, for the tests of whatever calls.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use serde_json::{Value, json};

/// A service on a port of its own; its address.
pub async fn service() -> String {
    // Another test of this process may have installed it already.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let endless = || async {
        let pieces = futures::stream::repeat(Ok::<_, std::convert::Infallible>("x".repeat(8_192)));
        Body::from_stream(pieces)
    };
    let own_error = || async {
        let headers = [("x-amz-function-error", "Unhandled")];
        (headers, r#"{"errorType": "Rejected", "errorMessage": "no"}"#)
    };
    let router = Router::new()
        .route("/echo", any(echo))
        .route("/v1/echo", any(echo))
        .route("/text", any(|| async { "plain" }))
        .route("/picture", any(|| async { ([(header::CONTENT_TYPE, "image/png")], "x") }))
        .route("/broken", any(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "out of order") }))
        .route("/busy", any(|| async { StatusCode::TOO_MANY_REQUESTS }))
        .route("/away", any(|| async { (StatusCode::FOUND, [(header::LOCATION, "/echo")]) }))
        .route("/endless", any(endless))
        .route("/silent", any(std::future::pending::<Response>))
        .route("/own-error", post(own_error));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

/// Answers with what it was asked.
async fn echo(request: Request) -> Response {
    let (method, uri) = (request.method().to_string(), request.uri().to_string());
    let headers = shown(request.headers());
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let told = json!({"method": method, "uri": uri, "headers": headers, "body": body});
    ([(header::CONTENT_TYPE, "application/json")], told.to_string()).into_response()
}

fn shown(headers: &HeaderMap) -> Value {
    let each = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap()));
    json!(each.collect::<std::collections::BTreeMap<_, _>>())
}
