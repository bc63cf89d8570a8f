use std::time::Duration;

use serde_json::Value;
use testkit::model_server::{Attempt, Ending, ModelServer, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{CHAT, OPENAI_KEY, chat, connect, post, request, server, streaming};

#[tokio::test]
async fn an_attempt_records_what_was_asked_and_sent() {
    let server = server().await;
    post(&server, CHAT, &chat("echo", "hello")).await;
    let attempts = server
        .requests_until(|all| all.iter().any(|one| one.ending == Ending::Sent))
        .await
        .unwrap();
    let [attempt] = attempts.as_slice() else { panic!("one attempt: {attempts:?}") };
    assert_eq!((attempt.number, attempt.method.as_str()), (1, "POST"));
    assert_eq!(attempt.path, CHAT);
    assert_eq!(attempt.model.as_deref(), Some("echo"));
    assert_eq!(attempt.body["messages"][0]["content"], "hello");
    assert_eq!(attempt.header("authorization"), Some("Bearer sk-test"));
    assert_eq!(attempt.status, Some(200));
    assert!(attempt.bytes_sent > 100);
    assert_eq!(attempt.body_bytes, chat("echo", "hello").to_string().len());
}

async fn hang_up_during(server: &ModelServer, model: &str) -> Attempt {
    let mut stream = connect(server).await;
    let asked = streaming(chat(model, "hello")).to_string();
    stream.write_all(request(CHAT, OPENAI_KEY, &asked).as_bytes()).await.unwrap();
    if model != "fault-s06" {
        stream.read_exact(&mut [0; 200]).await.unwrap();
    }
    server.requests_until(|all| !all.is_empty()).await.unwrap();
    drop(stream);
    let left = |all: &[Attempt]| matches!(all[0].ending, Ending::HungUp { .. });
    server.requests_until(left).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_in_a_silence_and_between_tokens() {
    // Unscaled: without the hang-up these would take 120, 30 and 6 seconds.
    for model in ["fault-s06", "fault-s09", "slow"] {
        let server = ModelServer::start(Script::default()).await.unwrap();
        let attempt = hang_up_during(&server, model).await;
        let Ending::HungUp { after } = attempt.ending else { panic!("{attempt:?}") };
        assert!(after < Duration::from_secs(5), "{model}: {after:?}");
    }
}

#[tokio::test]
async fn an_answer_that_the_server_breaks_off_is_not_blamed_on_the_client() {
    let server = server().await;
    post(&server, CHAT, &streaming(chat("fault-s08", "hello"))).await;
    let done = |all: &[Attempt]| all[0].ending != Ending::Answering;
    let attempts = server.requests_until(done).await.unwrap();
    assert_eq!(attempts[0].ending, Ending::Cut);
}

#[tokio::test]
async fn the_log_keeps_the_latest_attempts_only() {
    let script = Script { kept_attempts: 2, ..Script::default() };
    let server = ModelServer::start(script).await.unwrap();
    for _ in 0..3 {
        post(&server, CHAT, &chat("echo", "hello")).await;
    }
    let numbers: Vec<u64> = server.requests().iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [2, 3]);
}

#[tokio::test]
async fn the_file_has_a_line_per_attempt_and_no_credentials() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("attempts.jsonl");
    let script = Script { log: Some(path.clone()), kept_attempts: 0, ..Script::default() };
    let server = ModelServer::start(script).await.unwrap();
    post(&server, CHAT, &chat("echo", "hello")).await;
    post(&server, CHAT, &chat("fault-s04", "hello")).await;
    server.requests_until(|all| all.iter().all(|one| one.ending == Ending::Sent)).await.unwrap();
    server.shutdown().await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("sk-test"));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["ending"], "sent");
    assert_eq!(lines[0]["headers"]["authorization"], "***");
    assert_eq!(lines[0]["body"]["messages"][0]["content"], "hello");
    assert_eq!(lines[1]["status"], 503);
}

#[tokio::test]
async fn a_speed_and_a_latency_are_kept() {
    let script = Script {
        latency: Duration::from_millis(50),
        tokens_per_second: Some(1_000.0),
        ..Script::default()
    };
    let server = ModelServer::start(script).await.unwrap();
    let plain = post(&server, CHAT, &chat("gpt", "hello")).await;
    assert!(plain.took >= Duration::from_millis(50));
    let streamed = post(&server, CHAT, &streaming(chat("gpt", "hello"))).await;
    assert!(streamed.took >= Duration::from_millis(110), "{:?}", streamed.took);
}

#[tokio::test]
async fn a_script_out_of_range_and_a_taken_port_are_errors() {
    let start = async |script| ModelServer::start(script).await.err().map(|error| error.kind());
    let backwards = Script { time_scale: -1.0, ..Script::default() };
    assert_eq!(start(backwards).await, Some(std::io::ErrorKind::InvalidInput));
    let standing = Script { tokens_per_second: Some(0.0), ..Script::default() };
    assert_eq!(start(standing).await, Some(std::io::ErrorKind::InvalidInput));
    let server = server().await;
    let taken = Script { port: server.address().port(), ..Script::default() };
    assert_eq!(start(taken).await, Some(std::io::ErrorKind::AddrInUse));
}

#[tokio::test]
async fn a_shut_down_server_drops_its_connections_and_frees_its_port() {
    let server = server().await;
    let address = server.address();
    let mut idle = connect(&server).await;
    // The connection is known to the server once it has answered on it.
    let asked = request(CHAT, OPENAI_KEY, &chat("echo", "hello").to_string());
    idle.write_all(asked.as_bytes()).await.unwrap();
    crate::client::receive(&mut idle).await;
    server.shutdown().await;
    let mut rest = Vec::new();
    assert_eq!(idle.read_buf(&mut rest).await.unwrap_or(0), 0);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
