//! Connections are served, bounded in time, and drained; over TLS and in the clear.

use std::sync::Arc;

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;

/// A server whose `/slow` answers once `go` is told, having told `begun`.
struct Served {
    address: SocketAddr,
    begun: Arc<Notify>,
    go: Arc<Notify>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<()>>,
}

async fn served(tls: Option<TlsFile>) -> Served {
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&begun), Arc::clone(&go));
    let slow = move || async move {
        tell.notify_one();
        wait.notified().await;
        "done"
    };
    let router = Router::new().route("/", get(|| async { "hello" })).route("/slow", get(slow));
    let listener = bind("127.0.0.1:0".parse().unwrap(), tls.is_some(), false).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(async move {
        let stop = async { drop(stopped.await) };
        serve(listener, tls.as_ref(), router, stop).await
    });
    Served { address, begun, go, stop, ended }
}

#[tokio::test]
async fn an_answer_under_way_is_finished_before_the_server_ends_and_nobody_new_is_let_in() {
    let Served { address, begun, go, stop, ended } = served(None).await;
    let asked = tokio::spawn(reqwest::get(format!("http://{address}/slow")));
    begun.notified().await;
    stop.send(()).unwrap();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!ended.is_finished());
    go.notify_one();
    assert_eq!(asked.await.unwrap().unwrap().text().await.unwrap(), "done");
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_in_the_clear() {
    let served = served(None).await;
    let address = served.address;
    let h2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    for client in [reqwest::Client::new(), h2] {
        let answer = client.get(format!("http://{address}/")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn tls_is_spoken_with_the_files_that_are_named_and_version_2_is_agreed_on() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = TlsFile {
        certificate: directory.path().join("certificate.pem"),
        key: directory.path().join("key.pem"),
    };
    std::fs::write(&tls.certificate, made.cert.pem()).unwrap();
    std::fs::write(&tls.key, made.signing_key.serialize_pem()).unwrap();
    let served = served(Some(tls)).await;
    let address = served.address;
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    let url = format!("https://localhost:{}/", address.port());
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(answer.text().await.unwrap(), "hello");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_or_does_not_end_its_headers_is_let_go() {
    for start in ["", "PRI * HTTP", "GET / HTTP/1.1\r\nhost: x\r\n"] {
        let served = served(None).await;
        let address = served.address;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // The clock moves on by itself as soon as nothing else can happen.
        let ended = timeout(HEADERS * 3, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "still open after `{start}`");
    }
}

#[tokio::test]
async fn keys_do_not_go_in_the_clear_to_other_machines_unless_asked_for() {
    let error = bind("0.0.0.0:0".parse().unwrap(), false, false).await.unwrap_err();
    assert!(error.to_string().contains("in the clear"), "{error}");
    bind("0.0.0.0:0".parse().unwrap(), false, true).await.unwrap();
}
