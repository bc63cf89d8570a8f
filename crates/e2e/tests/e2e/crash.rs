//! `kill -9` under load: what a client saw complete is in the log, exactly once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use e2e::Stage;
use serde_json::{Value, json};

const KILLS: u64 = 50;
const CLIENTS: usize = 4;
const ASK: &str = r#"{"model":"support","messages":[{"role":"user","content":"What does a return label cost?"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_under_load_lose_no_answer_and_no_move_that_a_client_saw() {
    let mut stage = Stage::support_desk().unwrap();
    // A second release, so that there is somewhere to go and come back from.
    let (from, to) = ("variations/prompt/support.md", "prompts/support.md");
    std::fs::copy(stage.path().join(from), stage.path().join(to)).unwrap();
    stage.groundcrew(&["apply", "-m", "second"]).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut seen = BTreeSet::new();
    let mut moved = 0;
    for kill in 0..KILLS {
        let answered = Arc::new(AtomicU64::new(0));
        let clients = (0..CLIENTS).map(|number| {
            let (client, url, key) = (client.clone(), stage.url.clone(), stage.key.clone());
            let answered = Arc::clone(&answered);
            tokio::spawn(async move {
                let mut traces = Vec::new();
                while let Ok(trace) = ask(&client, &url, &key, number % 2 == 0).await {
                    traces.push(trace);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                traces
            })
        });
        let clients: Vec<_> = clients.collect();
        // Promotions and rollbacks run under the same fire.
        let moving = Arc::new(AtomicU64::new(0));
        let door = (stage.url.clone(), stage.key.clone());
        let mover = tokio::spawn(moves(client.clone(), door, Arc::clone(&moving)));
        // A different number of answers each time is a different point in the server's life; every
        // other life has a move that was acknowledged.
        let lived = || {
            answered.load(Ordering::Relaxed) >= kill * 7 % 23
                && moving.load(Ordering::Relaxed) >= kill % 2
        };
        while !lived() {
            assert!(clients.iter().any(|client| !client.is_finished()), "nobody answers");
            tokio::task::yield_now().await;
        }
        stage.kill().unwrap();
        let mut complete = Vec::new();
        for client in clients {
            complete.extend(client.await.unwrap());
        }
        let acknowledged = mover.await.unwrap();
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
        // Every move that was acknowledged is in the log, and the pointer is what the log says.
        let history = stage.json(&["release", "history", "support", "--env", "staging"]).unwrap();
        let (log, pointer) = (history["log"].as_array().unwrap(), &history["pointer"]);
        for (position, entry) in log.iter().enumerate() {
            assert_eq!(entry["generation"], position as u64 + 1);
        }
        for (generation, to) in acknowledged {
            assert_eq!(log[generation as usize - 1]["move"]["to"], to, "kill {kill}");
            moved += 1;
        }
        if let Some(last) = log.last() {
            assert_eq!(pointer["generation"], log.len() as u64);
            assert_eq!(pointer["stable"], last["move"]["to"]);
        }
    }
    assert!(seen.len() as u64 > KILLS, "{} answers are too few to show anything", seen.len());
    assert!(moved > KILLS / 5, "{moved} moves are too few to show anything");
}

/// Moves an environment to and fro until the server is gone; each move that it acknowledged.
async fn moves(
    client: reqwest::Client,
    (url, key): (String, String),
    count: Arc<AtomicU64>,
) -> Vec<(u64, Value)> {
    let mut acknowledged = Vec::new();
    let staging = format!("{url}/api/v1/apps/support/environments/staging");
    for step in ["1", "2", "back"].into_iter().cycle() {
        let (path, body) = match step {
            "back" => ("rollback", json!({"reason": "a test"})),
            release => ("promote", json!({"release": release})),
        };
        let request = client.post(format!("{staging}/{path}")).bearer_auth(&key).json(&body);
        let Ok(response) = request.send().await else { break };
        let refused = !response.status().is_success();
        let Ok(entry) = response.json::<Value>().await else { break };
        if !refused {
            let generation = entry["generation"].as_u64().unwrap();
            acknowledged.push((generation, entry["move"]["to"].clone()));
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
    acknowledged
}

/// Asks once, to the last byte; the trace's id. An answer that breaks off is none.
async fn ask(
    client: &reqwest::Client,
    url: &str,
    key: &str,
    stream: bool,
) -> Result<String, reqwest::Error> {
    let body = if stream { ASK.replacen('{', "{\"stream\":true,", 1) } else { ASK.to_owned() };
    let request = client.post(format!("{url}/v1/chat/completions")).bearer_auth(key);
    let request = request.header("content-type", "application/json").body(body);
    let response = request.send().await?.error_for_status()?;
    let trace = response.headers()["x-groundcrew-trace"].to_str().unwrap().to_owned();
    let answer = response.text().await?;
    assert!(!stream || answer.trim_end().ends_with("data: [DONE]"), "{answer}");
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
