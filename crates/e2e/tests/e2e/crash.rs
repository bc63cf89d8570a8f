//! `kill -9` under load: what a client saw complete is in the log, exactly once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use e2e::Stage;

const KILLS: u64 = 50;
const CLIENTS: usize = 4;
const ASK: &str = r#"{"model":"support","messages":[{"role":"user","content":"What does a return label cost?"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_under_load_lose_no_answer_that_a_client_saw() {
    let mut stage = Stage::support_desk().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut seen = BTreeSet::new();
    for kill in 0..KILLS {
        let answered = Arc::new(AtomicU64::new(0));
        let clients = (0..CLIENTS).map(|_| {
            let (client, url, key) = (client.clone(), stage.url.clone(), stage.key.clone());
            let answered = Arc::clone(&answered);
            tokio::spawn(async move {
                let mut traces = Vec::new();
                while let Ok(trace) = ask(&client, &url, &key).await {
                    traces.push(trace);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                traces
            })
        });
        let clients: Vec<_> = clients.collect();
        // Promotions and rollbacks run under the same fire.
        let moves = kill % 3 == 0;
        if moves {
            let _moved = stage.groundcrew(&["release", "promote", "support", "--env", "staging"]);
        }
        // A different number of answers each time is a different point in the server's life.
        while answered.load(Ordering::Relaxed) < kill * 7 % 23 {
            tokio::task::yield_now().await;
        }
        stage.kill().unwrap();
        let mut complete = Vec::new();
        for client in clients {
            complete.extend(client.await.unwrap());
        }
        stage.start().unwrap();
        // The newest thousand reach back further than one life of the server.
        let listed = stage.json(&["trace", "list", "--limit", "1000"]).unwrap();
        let listed = listed.as_array().unwrap().iter();
        let mut logged = BTreeSet::new();
        for trace in listed.map(|listed| listed["trace"].as_str().unwrap().to_owned()) {
            assert!(logged.insert(trace), "an answer is logged twice");
        }
        for trace in complete {
            assert!(logged.contains(&trace), "kill {kill}: the answer {trace} is not in the log");
            assert!(seen.insert(trace), "a trace id came twice");
        }
    }
    assert!(seen.len() as u64 > KILLS, "{} answers are too few to show anything", seen.len());
    // The server checks on each start that every pointer equals its folded log; it started.
    let history = stage.json(&["release", "history", "support", "--env", "staging"]).unwrap();
    let log = history["log"].as_array().unwrap();
    for (position, entry) in log.iter().enumerate() {
        assert_eq!(entry["generation"], position as u64 + 1);
    }
}

/// Asks once, to the last byte; the trace's id.
async fn ask(client: &reqwest::Client, url: &str, key: &str) -> Result<String, reqwest::Error> {
    let request = client.post(format!("{url}/v1/chat/completions")).bearer_auth(key);
    let request = request.header("content-type", "application/json").body(ASK);
    let response = request.send().await?.error_for_status()?;
    let trace = response.headers()["x-groundcrew-trace"].to_str().unwrap().to_owned();
    response.bytes().await?;
    Ok(trace)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_is_recorded_as_cancelled() {
    use testkit::model_server::{Ending, ModelServer, Script};
    let script = Script { tokens_per_second: Some(20.0), ..Script::default() };
    let upstream = ModelServer::start(script).await.unwrap();
    let stage = Stage::scripted("openai", &upstream.openai_url(), &["slowly"]).unwrap();
    let ask = r#"{"model":"slowly","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    let mut response = stage.post("/v1/chat/completions", ask).await.unwrap();
    let trace = response.headers()["x-groundcrew-trace"].to_str().unwrap().to_owned();
    response.chunk().await.unwrap();
    drop(response);
    upstream
        .requests_until(|all| all.iter().any(|a| matches!(a.ending, Ending::HungUp { .. })))
        .await
        .unwrap();
    let recorded = loop {
        if let Ok(recorded) = stage.json(&["trace", "show", &trace]) {
            break recorded;
        }
    };
    assert_eq!(recorded["outcome"]["outcome"], "cancelled");
}
