use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::model_server::faults::FAULTS;
use testkit::model_server::{ANSWER, Ending, ModelServer, RefusingAddress, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{
    CHAT, EMBEDDINGS, End, Got, MESSAGES, OPENAI_KEY, chat, connect, message, post, receive,
    request, server, streaming,
};

async fn plain(server: &ModelServer, model: &str) -> Got {
    post(server, CHAT, &chat(model, "hello")).await
}

/// The streamed answers of both dialects.
async fn streams(server: &ModelServer, model: &str) -> [Got; 2] {
    let openai = post(server, CHAT, &streaming(chat(model, "hello"))).await;
    let name = format!("{model}:anthropic");
    let anthropic = post(server, MESSAGES, &streaming(message(&name, "hello"))).await;
    [openai, anthropic]
}

fn first_words(count: usize) -> String {
    ANSWER.split_inclusive(' ').take(count).collect()
}

#[tokio::test]
async fn after_every_fault_in_every_form_a_healthy_request_succeeds() {
    let script = Script { time_scale: 0.001, ..Script::default() };
    let server = ModelServer::start(script).await.unwrap();
    let slow = ["fault-dribble", "fault-dribble-body", "fault-endless-line"];
    for fault in FAULTS.iter().filter(|fault| !slow.contains(&fault.name)) {
        plain(&server, fault.name).await;
        streams(&server, fault.name).await;
        post(&server, EMBEDDINGS, &json!({ "model": fault.name, "input": "hi" })).await;
        let healthy = plain(&server, "gpt").await;
        assert_eq!(healthy.said(), ANSWER, "after {}", fault.name);
    }
    let seen: BTreeSet<_> = server.requests().into_iter().filter_map(|one| one.model).collect();
    assert!(FAULTS.iter().all(|fault| seen.contains(fault.name) || slow.contains(&fault.name)));
}

#[tokio::test]
async fn faults_that_happen_once_are_over_the_second_time() {
    let server = server().await;
    let once = [
        ("fault-s01", 429, Some(("retry-after", "2"))),
        ("fault-s03", 500, None),
        ("fault-s05", 0, None),
        ("fault-retry-after-fraction", 429, Some(("retry-after", "0.5"))),
        ("fault-retry-after-ms", 429, Some(("retry-after-ms", "300"))),
    ];
    for (model, status, header) in once {
        let first = plain(&server, model).await;
        assert_eq!(first.status, status, "{model}");
        if let Some((name, value)) = header {
            assert_eq!(first.header(name), Some(value), "{model}");
        }
        assert_eq!(plain(&server, model).await.said(), ANSWER, "{model}");
    }
    let dated = plain(&server, "fault-retry-after-date").await;
    let date = dated.header("retry-after").unwrap();
    assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
    assert_eq!(plain(&server, "fault-retry-after-date").await.status, 200);
}

#[tokio::test]
async fn s15_is_well_again_after_its_scaled_minute() {
    let server = server().await;
    let started = std::time::Instant::now();
    assert_eq!(plain(&server, "fault-s15").await.status, 503);
    let mut tries = 1;
    while plain(&server, "fault-s15").await.status == 503 {
        tries += 1;
        assert!(started.elapsed() < Duration::from_secs(8), "never well");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(started.elapsed() >= Duration::from_millis(600));
    assert!(tries > 1);
}

#[tokio::test]
async fn refusals_speak_each_dialect() {
    let server = server().await;
    let cases = [
        ("fault-s02", 429, json!("rate_limit_exceeded"), "rate_limit_error"),
        ("fault-s04", 503, Value::Null, "api_error"),
        ("fault-s12", 400, json!("context_length_exceeded"), "invalid_request_error"),
        ("fault-s13", 400, json!("content_policy_violation"), "invalid_request_error"),
        ("fault-s16", 503, Value::Null, "api_error"),
        ("fault-529", 529, Value::Null, "overloaded_error"),
        ("fault-insufficient-quota", 429, json!("insufficient_quota"), "rate_limit_error"),
        ("fault-401", 401, json!("invalid_api_key"), "authentication_error"),
        ("fault-403", 403, json!("model_not_allowed"), "permission_error"),
        ("fault-408", 408, json!("timeout"), "timeout_error"),
        ("fault-retry-after-hour", 429, json!("rate_limit_exceeded"), "rate_limit_error"),
    ];
    for (model, status, code, kind) in cases {
        let [openai, anthropic] = streams(&server, model).await;
        assert_eq!((openai.status, anthropic.status), (status, status), "{model}");
        assert_eq!(openai.json()["error"]["code"], code, "{model}");
        assert_eq!(anthropic.json()["error"]["type"], kind, "{model}");
    }
    let [_, spent] = streams(&server, "fault-insufficient-quota").await;
    let code = &spent.json()["error"]["details"]["error_code"];
    assert_eq!(code, "enforced_spend_limit_reached");
}

#[tokio::test]
async fn resets_and_silences_send_no_head() {
    let server = server().await;
    for model in ["fault-s05", "fault-reset"] {
        let got = plain(&server, model).await;
        assert_eq!((got.status, got.end), (0, End::Reset), "{model}");
    }
    let silent = plain(&server, "fault-s06").await;
    assert_eq!((silent.status, silent.end), (0, End::Early));
    assert!(silent.took >= Duration::from_millis(1_100), "{:?}", silent.took);
    assert!(server.requests().iter().all(|attempt| attempt.status.is_none()));
}

#[tokio::test]
async fn late_first_tokens_still_bring_the_whole_answer() {
    let server = server().await;
    for model in ["fault-s07", "fault-pings-only"] {
        for got in streams(&server, model).await {
            assert_eq!((got.streamed_text().as_str(), got.end), (ANSWER, End::Whole), "{model}");
            assert!(got.took >= Duration::from_millis(190), "{model}: {:?}", got.took);
        }
    }
    let [openai, anthropic] = streams(&server, "fault-pings-only").await;
    assert_eq!(openai.text().matches(": keep-alive").count(), 30);
    assert_eq!(anthropic.text().matches("event: ping").count(), 31);
}

#[tokio::test]
async fn streams_break_off_where_and_how_the_table_says() {
    let server = server().await;
    let cases = [
        ("fault-s08", 40, End::Early),
        ("fault-s09", 20, End::Early),
        ("fault-s14", 40, End::Early),
        ("fault-reset-in-stream", 40, End::Reset),
        ("fault-clean-cut", 40, End::Whole),
        ("fault-short-body", 40, End::Early),
    ];
    for (model, tokens, end) in cases {
        for got in streams(&server, model).await {
            assert_eq!((got.status, got.end), (200, end), "{model}");
            assert_eq!(got.streamed_text(), first_words(tokens), "{model}");
            let text = got.text();
            for sign in ["[DONE]", "message_stop", "finish_reason\":\"", "stop_reason\":\""] {
                assert!(!text.contains(sign), "{model}: {sign}");
            }
        }
    }
    assert!(streams(&server, "fault-s09").await[0].took >= Duration::from_millis(290));
}

#[tokio::test]
async fn plain_answers_break_off_within_their_announced_length() {
    let server = server().await;
    for (model, end) in [
        ("fault-s08", End::Early),
        ("fault-short-body", End::Early),
        ("fault-reset-in-stream", End::Reset),
        ("fault-clean-cut", End::Whole),
    ] {
        let got = plain(&server, model).await;
        assert_eq!((got.status, got.end), (200, end), "{model}");
        assert!(serde_json::from_slice::<Value>(&got.body).is_err(), "{model}");
    }
}

#[tokio::test]
async fn one_broken_event_stands_between_good_ones() {
    let server = server().await;
    for got in streams(&server, "fault-s10").await {
        assert_eq!((got.streamed_text().as_str(), got.end), (ANSWER, End::Whole));
        let broken = |event: &&Value| event.as_str().is_some_and(|text| text != "[DONE]");
        assert_eq!(got.events().iter().filter(broken).count(), 1);
    }
}

#[tokio::test]
async fn a_stream_may_lack_its_end_or_its_reason() {
    let server = server().await;
    for got in streams(&server, "fault-s11").await {
        assert_eq!((got.streamed_text().as_str(), got.end), (ANSWER, End::Whole));
        let text = got.text();
        assert!(!text.contains("[DONE]") && !text.contains("message_stop"));
        assert!(text.contains("finish_reason\":\"stop") || text.contains("end_turn"));
    }
    for got in streams(&server, "fault-no-finish").await {
        let text = got.text();
        assert!(text.contains("[DONE]") || text.contains("message_stop"));
        assert!(!text.contains("finish_reason\":\"") && !text.contains("stop_reason\":\""));
    }
    for got in streams(&server, "fault-done-only").await {
        assert_eq!(got.events().len(), 1);
    }
}

#[tokio::test]
async fn prefill_is_refused_where_the_table_says() {
    let server = server().await;
    for model in ["fault-s14", "fault-no-prefill"] {
        let mut asked = message(model, "hello");
        let prefill = json!({ "role": "assistant", "content": "Every release" });
        asked["messages"].as_array_mut().unwrap().push(prefill);
        let got = post(&server, MESSAGES, &asked).await;
        assert_eq!(got.status, 400, "{model}");
        assert!(got.text().contains("prefill"), "{model}");
    }
    assert_eq!(plain(&server, "fault-no-prefill").await.said(), ANSWER);
}

#[tokio::test]
async fn bodies_are_of_the_wrong_kind() {
    let server = server().await;
    for (model, status) in
        [("fault-html-502", 502), ("fault-html-504", 504), ("fault-html-200", 200)]
    {
        let got = plain(&server, model).await;
        assert_eq!((got.status, got.header("content-type")), (status, Some("text/html")));
        assert!(got.text().starts_with("<html>"));
    }
    let [openai, anthropic] = streams(&server, "fault-error-200").await;
    assert_eq!((openai.status, &openai.json()["error"]["type"]), (200, &json!("server_error")));
    assert_eq!(anthropic.json()["error"]["type"], "api_error");
    for got in streams(&server, "fault-wrong-content-type-json-for-sse").await {
        assert_eq!(got.header("content-type"), Some("application/json"));
        assert_eq!(got.said(), ANSWER);
    }
    let aggregated = plain(&server, "fault-sse-for-json").await;
    assert_eq!(aggregated.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(aggregated.said(), ANSWER);
    for got in streams(&server, "fault-empty-200").await {
        assert_eq!((got.status, got.body.len(), got.end), (200, 0, End::Whole));
    }
    assert_eq!(plain(&server, "fault-empty-200").await.header("content-length"), Some("0"));
}

#[tokio::test]
async fn errors_come_inside_a_stream_of_status_200() {
    let server = server().await;
    for (model, tokens) in [("fault-error-in-stream", 20), ("fault-error-first-in-stream", 0)] {
        let [openai, anthropic] = streams(&server, model).await;
        assert_eq!((openai.status, openai.end), (200, End::Whole));
        assert_eq!(openai.streamed_text(), first_words(tokens), "{model}");
        assert!(openai.events().last().unwrap()["error"]["message"].is_string());
        assert_eq!(anthropic.streamed_text(), first_words(tokens), "{model}");
        let last = anthropic.events().pop().unwrap();
        assert_eq!(
            (&last["type"], &last["error"]["type"]),
            (&json!("error"), &json!("overloaded_error"))
        );
        assert!(anthropic.text().contains("event: error\n"));
    }
}

#[tokio::test]
async fn usage_is_missing_or_absurd() {
    let server = server().await;
    assert!(plain(&server, "fault-no-usage").await.json().get("usage").is_none());
    let mut asked = streaming(chat("fault-no-usage", "hello"));
    asked["stream_options"] = json!({ "include_usage": true });
    assert!(!post(&server, CHAT, &asked).await.text().contains("prompt_tokens"));
    let absurd = plain(&server, "fault-absurd-usage").await.json();
    assert_eq!(absurd["usage"]["prompt_tokens"], -7);
    assert_eq!(absurd["usage"]["completion_tokens"], 9_007_199_254_740_993_i64);
}

#[tokio::test]
async fn an_answer_of_reason_length_may_be_empty() {
    let server = server().await;
    let body = plain(&server, "fault-length-empty").await.json();
    assert_eq!(body["choices"][0]["message"]["content"], "");
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    for got in streams(&server, "fault-length-empty").await {
        assert_eq!((got.streamed_text().as_str(), got.end), ("", End::Whole));
    }
}

#[tokio::test]
async fn a_tool_call_ends_as_if_whole_with_half_its_arguments() {
    let server = server().await;
    let mut asked = streaming(chat("fault-half-tool-call", "hello"));
    let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let function = json!({ "name": "get_weather", "parameters": parameters });
    asked["tools"] = json!([{ "type": "function", "function": function }]);
    let got = post(&server, CHAT, &asked).await;
    let events = got.events();
    let arguments: String = events
        .iter()
        .filter_map(|event| {
            event.pointer("/choices/0/delta/tool_calls/0/function/arguments")?.as_str()
        })
        .collect();
    assert!(arguments.starts_with("{\"city") && !arguments.ends_with('}'), "{arguments}");
    assert_eq!(events[events.len() - 2]["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(events[events.len() - 1], "[DONE]");
}

#[tokio::test]
async fn a_redirect_names_a_path_that_leads_nowhere() {
    let server = server().await;
    let got = plain(&server, "fault-redirect").await;
    assert_eq!((got.status, got.header("location")), (307, Some("/v1/elsewhere")));
}

#[tokio::test]
async fn what_is_too_much_comes_without_end() {
    let server = server().await;
    let headers = plain(&server, "fault-oversized-headers").await;
    let size: usize = headers.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(size > 2 * 1024 * 1024);
    let bomb = plain(&server, "fault-decompression-bomb").await;
    assert_eq!(bomb.header("content-encoding"), Some("gzip"));
    assert_eq!(&bomb.body[..3], &[0x1f, 0x8b, 8]);
    assert!(bomb.body.len() > 1_000_000);

    // A client that gives up: the server notices instead of filling its memory.
    let mut stream = connect(&server).await;
    let asked = streaming(chat("fault-endless-line", "hello")).to_string();
    stream.write_all(request(CHAT, OPENAI_KEY, &asked).as_bytes()).await.unwrap();
    let mut first = vec![0; 256 * 1024];
    stream.read_exact(&mut first).await.unwrap();
    let text = String::from_utf8_lossy(&first);
    assert!(!text.split_once("data: ").unwrap().1.contains("\n\n"));
    drop(stream);
    let left = |attempt: &testkit::model_server::Attempt| {
        attempt.model.as_deref() == Some("fault-endless-line")
            && matches!(attempt.ending, Ending::HungUp { .. })
    };
    server.requests_until(|attempts| attempts.iter().any(left)).await.unwrap();
}

#[tokio::test]
async fn bytes_dribble_one_at_a_time() {
    let script = Script { time_scale: 0.002, ..Script::default() };
    let server = ModelServer::start(script).await.unwrap();
    for (model, head_at_once) in [("fault-dribble", false), ("fault-dribble-body", true)] {
        let mut stream = connect(&server).await;
        let asked = chat(model, "hello").to_string();
        stream.write_all(request(CHAT, OPENAI_KEY, &asked).as_bytes()).await.unwrap();
        let started = std::time::Instant::now();
        let mut bytes = Vec::with_capacity(4096);
        let mut largest = 0;
        while bytes.len() < if head_at_once { 160 } else { 3 } {
            let read = stream.read_buf(&mut bytes).await.unwrap();
            assert!(read > 0);
            largest = largest.max(read);
        }
        assert_eq!(largest > 100, head_at_once, "{model}");
        // 10 s, scaled, lie before the first dribbled byte.
        assert!(head_at_once || started.elapsed() >= Duration::from_millis(20));
    }
}

#[tokio::test]
async fn a_pooled_connection_goes_stale_unannounced() {
    let server = server().await;
    let mut stream = connect(&server).await;
    let asked = request(CHAT, OPENAI_KEY, &chat("fault-stale-connection", "hello").to_string());
    stream.write_all(asked.as_bytes()).await.unwrap();
    let got = receive(&mut stream).await;
    assert_eq!((got.said().as_str(), got.header("connection")), (ANSWER, None));
    let mut rest = Vec::new();
    assert_eq!(stream.read_buf(&mut rest).await.unwrap(), 0);
}

#[tokio::test]
async fn a_refusing_address_refuses() {
    let refusing = RefusingAddress::take().unwrap();
    let address = refusing.base_url().replace("http://", "");
    let error = tokio::net::TcpStream::connect(address).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}
