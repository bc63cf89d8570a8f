//! Telemetry of others comes in, and goes on to a collector.

use std::time::Duration;

use e2e::Stage;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use testkit::model_server::{ModelServer, Script};

const PLAIN: &str = "listen = \"127.0.0.1:0\"\n";

fn started(server: &str) -> Stage {
    let mut stage = Stage::empty().unwrap();
    stage.write("server.toml", server).unwrap();
    stage.start().unwrap();
    stage
}

fn accepted(stage: &Stage, signal: &str) -> u64 {
    let status = stage.json(&["status"]).unwrap();
    status["telemetry"][signal]["accepted"].as_u64().unwrap_or(0)
}

fn span(trace: &str) -> Value {
    json!({"traceId": trace, "spanId": "00f067aa0ba902b7", "name": "work"})
}

fn traces(spans: &[Value]) -> String {
    json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string()
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn post(stage: &Stage, kind: &str, key: &str, body: String) -> Response {
    let client = Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("{}/v1/traces", stage.url)).header("x-api-key", key);
    request.header("content-type", kind).body(body).send().await.unwrap()
}

/// The rows of a query.
fn rows(stage: &Stage, sql: &str) -> Vec<Value> {
    let lines = stage.groundcrew(&["query", sql, "--format", "json"]).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The sum of a metric's numbers in the last hour, once there are any.
async fn total(stage: &Stage, metric: &str, statistic: &str) -> f64 {
    let path = format!("/api/v1/metrics/{metric}?statistic={statistic}&dimension=app=support");
    for _ in 0..300 {
        let found: Value = stage.get(&path).await.unwrap().json().await.unwrap();
        let points = found["series"][0]["datapoints"].as_array();
        let values = points.into_iter().flatten().filter_map(|point| point["value"].as_f64());
        if let Some(total) = values.reduce(|total, value| total + value) {
            return total;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("`{metric}` did not come to be");
}

#[tokio::test(flavor = "multi_thread")]
async fn opentelemetrys_sdk_is_taken_over_http_and_grpc() {
    let stage = started(PLAIN);
    let said = stage.script("telemetry_sdk.py", &[]).unwrap();
    assert!(said.trim_end().ends_with("all right"), "{said}");
    assert_eq!((accepted(&stage, "traces"), accepted(&stage, "logs")), (8, 4));
    // Two instruments each way, told at the flush and at the end.
    assert!(accepted(&stage, "metrics") >= 8);
    // Three orders each way; the second telling of a counter adds nothing.
    assert_eq!(total(&stage, "orders", "Sum").await, 12.0);
    assert_eq!(total(&stage, "wait", "SampleCount").await, 4.0);

    let spans = rows(
        &stage,
        "SELECT child.name AS child, parent.name AS parent, parent.app AS app, \
         parent.attributes['http.route'] AS route, parent.events LIKE '%retried%' AS retried \
         FROM spans child JOIN spans parent ON child.parent_span_id = parent.span_id \
         AND child.trace_id = parent.trace_id WHERE parent.service = 'shop' ORDER BY child.name",
    );
    let ways = ["grpc-Gzip", "grpc-NoCompression", "http-gzip", "http-none"];
    let expected = ways.map(|way| {
        json!({"child": format!("{way} model"), "parent": format!("{way} request"),
            "app": "support", "route": "/chat", "retried": true})
    });
    assert_eq!(spans, expected);
    let logs = rows(
        &stage,
        "SELECT logs.body AS said, logs.severity AS severity, spans.name AS during FROM logs \
         JOIN spans ON logs.span_id = spans.span_id AND logs.trace_id = spans.trace_id \
         ORDER BY spans.name",
    );
    let expected = ways.map(|way| {
        json!({"said": format!("{way} has no answer"), "severity": "ERROR",
            "during": format!("{way} model")})
    });
    assert_eq!(logs, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_instrumented_clients_are_taken() {
    let upstream = ModelServer::start(Script::default()).await.unwrap();
    let stage = Stage::scripted("openai", &upstream.openai_url(), &["plain"]).unwrap();
    let said = stage.script("telemetry_instrumented.py", &[]).unwrap();
    assert!(said.trim_end().ends_with("all right"), "{said}");
    assert_eq!(accepted(&stage, "traces"), 2);
    let spans = rows(
        &stage,
        "SELECT operation, request_model, input_tokens > 0 AS read, output_tokens > 0 AS written, \
         input_preview, output_preview LIKE 'Every release pins%' AS answered \
         FROM spans WHERE service = 'shop'",
    );
    let as_asked = json!({"operation": "chat", "request_model": "plain", "read": true,
        "written": true, "input_preview": "Say something.", "answered": true});
    assert_eq!(spans, [as_asked.clone(), as_asked], "one row, whoever instruments");
}

#[tokio::test]
async fn a_trace_of_fifty_thousand_spans_is_kept_whole_and_shown_in_part() {
    let stage = started(PLAIN);
    let mut message: Value = serde_json::from_str(&traces(&[span(TRACE)])).unwrap();
    let pattern = message["resourceSpans"][0]["scopeSpans"][0]["spans"][0].clone();
    for part in 0..5 {
        let spans: Vec<Value> = (0..10_000)
            .map(|number| {
                let mut span = pattern.clone();
                span["spanId"] = format!("{:016x}", part * 10_000 + number + 1).into();
                if part + number > 0 {
                    span["parentSpanId"] = format!("{:016x}", 1).into();
                }
                span
            })
            .collect();
        message["resourceSpans"][0]["scopeSpans"][0]["spans"] = spans.into();
        let taken = post(&stage, "application/json", &stage.key, message.to_string()).await;
        assert_eq!(taken.status(), 200);
    }
    let sql =
        format!("SELECT count(DISTINCT span_id) AS spans FROM spans WHERE trace_id = '{TRACE}'");
    assert_eq!(rows(&stage, &sql), [json!({"spans": 50_000})]);
    let shown = stage.groundcrew(&["trace", "show", TRACE]).unwrap();
    assert!(shown.lines().count() < 2_000, "{} lines", shown.lines().count());
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_in_the_senders_form() {
    let stage = started(PLAIN);
    let json = "application/json";
    let taken = post(&stage, json, &stage.key, traces(&[span(TRACE)])).await;
    assert_eq!((taken.status().as_u16(), taken.text().await.unwrap().as_str()), (200, "{}"));
    let partly = post(&stage, json, &stage.key, traces(&[span("00"), span(TRACE)])).await;
    assert_eq!(partly.status(), 200);
    let partly: Value = partly.json().await.unwrap();
    assert_eq!(partly["partialSuccess"]["rejectedSpans"], "1", "{partly}");

    let wrong = post(&stage, json, &stage.key, "{".to_owned()).await;
    assert_eq!(wrong.status(), 400);
    let wrong: Value = wrong.json().await.unwrap();
    assert_eq!(wrong["code"], 3, "{wrong}");
    let binary = post(&stage, "application/x-protobuf", &stage.key, "{".to_owned()).await;
    assert_eq!(binary.status(), 400);
    assert_eq!(binary.headers()["content-type"], "application/x-protobuf");
    assert_eq!(post(&stage, "text/plain", &stage.key, String::new()).await.status(), 415);
    assert_eq!(post(&stage, json, "wrong", traces(&[])).await.status(), 401);

    stage.groundcrew(&["user", "create", "service:looks", "--role", "viewer"]).unwrap();
    let viewer = stage.json(&["key", "create", "service:looks"]).unwrap();
    let viewer = viewer["key"].as_str().unwrap();
    assert_eq!(post(&stage, json, viewer, traces(&[])).await.status(), 403);

    let status = stage.json(&["status"]).unwrap();
    let counts = &status["telemetry"]["traces"];
    assert_eq!(
        *counts,
        json!({"accepted": 2, "rejected": 1, "refused": 2, "postponed": 0}),
        "{status}"
    );
}

#[tokio::test]
async fn a_full_log_asks_senders_to_come_back() {
    let stage = started(&format!("{PLAIN}[telemetry]\nlog_bytes = 64\n"));
    let json = "application/json";
    assert_eq!(post(&stage, json, &stage.key, traces(&[span(TRACE)])).await.status(), 200);
    let full = post(&stage, json, &stage.key, traces(&[span(TRACE)])).await;
    assert_eq!(full.status(), 429);
    assert_eq!(full.headers()["retry-after"], "10");
    let full: Value = full.json().await.unwrap();
    assert_eq!(full["code"], 8, "{full}");
    let measured = stage.groundcrew(&["metrics", "put", "satisfaction", "4"]).unwrap_err();
    assert!(measured.to_string().contains("GC0503"), "{measured}");
}

#[tokio::test]
async fn measures_and_scores_are_taken_in_plain_json() {
    let stage = Stage::support_desk().unwrap();
    let dimension = "app=support";
    let put = ["metrics", "put", "user.satisfaction", "4.5", "--dimension", dimension];
    assert_eq!(stage.groundcrew(&put).unwrap().trim(), "kept 1 measurement");
    assert_eq!(total(&stage, "user.satisfaction", "Average").await, 4.5);
    stage.json(&["ask", "support", "How long may I return a lamp?"]).unwrap();
    let trace = stage.json(&["trace", "list"]).unwrap()[0]["trace"].clone();
    let scores = json!({"scores": [
        {"trace": trace, "name": "helpful", "value": 1, "explanation": "it solved it"},
        {"response": "r1", "name": "grounded", "error": "timeout"},
    ]});
    let kept = stage.post("/api/v1/scores", scores.to_string()).await.unwrap();
    assert_eq!(kept.json::<Value>().await.unwrap(), json!({"accepted": 2}));
    assert_eq!((accepted(&stage, "metrics"), accepted(&stage, "logs")), (1, 2));
    for (path, body) in [
        ("/api/v1/scores", json!({"scores": [{"name": "helpful", "value": 1}]})),
        ("/api/v1/scores", json!({"scores": [{"response": "r", "name": "x"}]})),
        ("/api/v1/metrics", json!({"metrics": [{"name": "", "value": 1}]})),
        ("/api/v1/metrics", json!({"metrics": [{"name": "x", "value": 1, "colour": "red"}]})),
    ] {
        let refused = stage.post(path, body.to_string()).await.unwrap();
        assert_eq!(refused.status(), 400, "{body}");
    }
}

/// What `look` finds once it finds something.
async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..300 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not come to pass");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_on_to_a_collector_that_was_away_and_across_a_kill() {
    // The collector is a server of ours, which can tell what it got.
    let mut collector = started(PLAIN);
    let address = collector.url.trim_start_matches("http://").to_owned();
    collector.write("server.toml", &format!("listen = \"{address}\"\n")).unwrap();
    let mut stage = Stage::empty().unwrap();
    stage.write("header", &format!("Bearer {}", collector.key)).unwrap();
    let header = stage.path().join("header");
    let export = format!(
        "{PLAIN}[telemetry.export]\nendpoint = \"{}\"\nheaders.authorization = \"file:{}\"\n",
        collector.url,
        header.display()
    );
    stage.write("server.toml", &export).unwrap();
    stage.start().unwrap();

    collector.kill().unwrap();
    for _ in 0..3 {
        post(&stage, "application/json", &stage.key, traces(&[span(TRACE)])).await;
    }
    let held_up = |stage: &Stage| {
        let status = stage.json(&["status"]).unwrap();
        status["export"]["failure"].is_string().then(|| status["export"]["behind"].as_u64())
    };
    assert_eq!(eventually(|| held_up(&stage)).await, Some(3));
    stage.kill().unwrap();
    collector.start().unwrap();
    stage.start().unwrap();
    stage.groundcrew(&["metrics", "put", "satisfaction", "4"]).unwrap();
    let all = |collector: &Stage| {
        let got = (accepted(collector, "traces"), accepted(collector, "metrics"));
        (got.1 > 0).then_some(got)
    };
    // What is sent stands in the order of the log, so the last to come means all have.
    assert_eq!(eventually(|| all(&collector)).await, (3, 1));
    let caught_up = |stage: &Stage| {
        let status = stage.json(&["status"]).unwrap();
        (status["export"]["behind"] == 0).then(|| status["export"]["sent"].as_u64())
    };
    assert_eq!(eventually(|| caught_up(&stage)).await, Some(4));
}
