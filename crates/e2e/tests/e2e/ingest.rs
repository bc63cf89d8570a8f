//! `kill -9` under ingest: what was acknowledged is there, once; what was erased is nowhere.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use e2e::Stage;
use reqwest::Client;
use serde_json::{Value, json};

/// How often the server is killed.
const KILLS: u64 = 50;
/// How often it is looked whether everything is there.
const LOOKS: u64 = 5;
/// How many send at once.
const SENDERS: u64 = 4;

/// Sends messages of three spans until the server is gone; the traces that were acknowledged.
async fn send(client: Client, (url, key): (String, String), next: Arc<AtomicU64>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    loop {
        let trace = format!("{:032x}", next.fetch_add(1, Ordering::Relaxed) + 1);
        let spans: Vec<_> = (1..=3)
            .map(|span| {
                json!({"traceId": trace, "spanId": format!("{span:016x}"), "name": "work",
                    "attributes": [{"key": "gen_ai.prompt", "value": {"stringValue": trace}}]})
            })
            .collect();
        let message = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]});
        let request = client.post(format!("{url}/v1/traces")).bearer_auth(&key).json(&message);
        match request.send().await {
            Ok(response) if response.status().is_success() => acknowledged.push(trace),
            Ok(_) => {}
            Err(_) => return acknowledged,
        }
    }
}

fn rows(stage: &Stage, sql: &str) -> Vec<Value> {
    let query = ["query", sql, "--limit", "100000", "--format", "json"];
    let lines = stage.groundcrew(&query).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_under_ingest_lose_and_double_nothing() {
    let mut stage = Stage::empty().unwrap();
    stage.write("server.toml", "listen = \"127.0.0.1:0\"\n").unwrap();
    stage.start().unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    let (next, mut acknowledged) = (Arc::new(AtomicU64::new(0)), BTreeSet::new());
    for kill in 1..=KILLS {
        let begun = next.load(Ordering::Relaxed);
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                let to = (stage.url.clone(), stage.key.clone());
                tokio::spawn(send(client.clone(), to, Arc::clone(&next)))
            })
            .collect();
        // Killed after another number of messages each time, in the middle of the next ones.
        while next.load(Ordering::Relaxed) < begun + 20 + kill % 17 {
            tokio::task::yield_now().await;
        }
        stage.kill().unwrap();
        for sender in senders {
            acknowledged.extend(sender.await.unwrap());
        }
        stage.start().unwrap();
        if kill % (KILLS / LOOKS) == 0 {
            let sql = "SELECT trace_id, count(*) AS spans, count(DISTINCT span_id) AS ids \
                       FROM spans WHERE name = 'work' GROUP BY trace_id";
            let rows = rows(&stage, sql);
            let text = |row: &Value| row["trace_id"].as_str().unwrap().to_owned();
            let there: BTreeSet<String> = rows.iter().map(text).collect();
            let lost: Vec<_> = acknowledged.difference(&there).collect();
            assert!(lost.is_empty(), "kill {kill}: {lost:?} were acknowledged and are lost");
            for row in &rows {
                assert_eq!(
                    (&row["spans"], &row["ids"]),
                    (&json!(3), &json!(3)),
                    "kill {kill}: {row}"
                );
            }
        }
    }
    assert!(acknowledged.len() as u64 > KILLS * 10, "{} are too few", acknowledged.len());
}

#[test]
fn whom_a_document_touched_is_told_and_a_person_can_be_taken_out() {
    let stage = Stage::support_desk().unwrap();
    let asked = "How long may I return a lamp?";
    stage.json(&["ask", "support", asked]).unwrap();
    let trace = stage.json(&["trace", "list"]).unwrap()[0]["trace"].clone();
    let shown = stage.json(&["trace", "show", trace.as_str().unwrap()]).unwrap();
    let document = shown["retrieval"]["chunks"][0]["document"].as_str().unwrap().to_owned();
    let chunk = shown["retrieval"]["chunks"][0]["id"].as_str().unwrap().to_owned();
    let snapshot = shown["retrieval"]["snapshot"].as_str().unwrap().to_owned();
    for (of, kind) in [
        (document.as_str(), "document"),
        (chunk.as_str(), "chunk"),
        (snapshot.as_str(), "releases"),
        ("support-1", "releases"),
    ] {
        let touched = stage.json(&["blast-radius", of]).unwrap();
        assert_eq!(touched["cause"]["kind"], kind, "{touched}");
        assert_eq!(touched["answers"][0]["trace"], trace, "{touched}");
        assert_eq!(touched["users"], json!([shown["principal"]]));
    }
    let nothing = stage.json(&["blast-radius", "no/such.md"]).unwrap();
    assert_eq!(nothing["answers"], json!([]));

    let user = shown["principal"].as_str().unwrap();
    let forgotten =
        stage.json(&["telemetry", "forget", "--user", user, "-m", "asked for"]).unwrap();
    assert_eq!(forgotten["traces"], 1, "{forgotten}");
    let shown = stage.json(&["trace", "show", trace.as_str().unwrap()]).unwrap();
    assert_eq!(
        (&shown["input"]["captured"], &shown["principal"]),
        (&json!("gone"), &json!("user:erased"))
    );
    assert_eq!(rows(&stage, "SELECT count(*) AS texts FROM payloads"), [json!({"texts": 0})]);
}
