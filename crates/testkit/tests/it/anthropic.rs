use serde_json::{Value, json};
use testkit::model_server::ANSWER;

use crate::client::{ANTHROPIC_KEY, MESSAGES, message, post, request, send, server, streaming};

fn weather_tool() -> Value {
    json!([{ "name": "get_weather", "input_schema": {
        "type": "object", "properties": { "city": { "type": "string" } }
    }}])
}

#[tokio::test]
async fn an_ordinary_model_answers_sixty_words_and_counts_them() {
    let server = server().await;
    let mut asked = message("claude", "What is a release?");
    asked["system"] = json!([{ "type": "text", "text": "Be kind." }]);
    let got = post(&server, MESSAGES, &asked).await;
    assert_eq!(got.status, 200);
    assert!(got.header("request-id").is_some());
    let body = got.json();
    assert_eq!((&body["type"], &body["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!(body["content"], json!([{ "type": "text", "text": ANSWER }]));
    assert_eq!(body["stop_reason"], "end_turn");
    assert_eq!(body["usage"]["input_tokens"], 6);
    assert_eq!(body["usage"]["output_tokens"], 60);
}

#[tokio::test]
async fn a_stream_has_the_events_in_their_order() {
    let server = server().await;
    let got = post(&server, MESSAGES, &streaming(message("claude", "hello"))).await;
    assert_eq!(got.streamed_text(), ANSWER);
    let mut names: Vec<String> = got
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("event: ").map(str::to_owned))
        .collect();
    names.dedup();
    let expected = [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(names, expected);
    let events = got.events();
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 1);
    let last = &events[events.len() - 2];
    assert_eq!(last["delta"]["stop_reason"], "end_turn");
    assert_eq!(last["usage"]["output_tokens"], 60);
}

#[tokio::test]
async fn cached_input_is_counted_apart_and_thinking_has_its_own_block() {
    let server = server().await;
    let cached = post(&server, MESSAGES, &message("cached", "one two three four")).await.json();
    assert_eq!(cached["usage"]["input_tokens"], 2);
    assert_eq!(cached["usage"]["cache_read_input_tokens"], 2);
    let thought = post(&server, MESSAGES, &streaming(message("reasoning", "hello"))).await;
    let events = thought.events();
    assert_eq!(events[1]["content_block"]["type"], "thinking");
    assert!(events.iter().any(|event| event["delta"]["type"] == "signature_delta"));
    let usage = &events[events.len() - 2]["usage"];
    assert_eq!(usage["output_tokens"], 84);
    assert_eq!(usage["output_tokens_details"]["thinking_tokens"], 24);
    assert_eq!(thought.streamed_text(), ANSWER);
}

#[tokio::test]
async fn stop_sequences_and_limits_have_their_reasons() {
    let server = server().await;
    let mut asked = message("echo", "one two three");
    asked["stop_sequences"] = json!(["three"]);
    let body = post(&server, MESSAGES, &asked).await.json();
    assert_eq!(body["stop_reason"], "stop_sequence");
    assert_eq!(body["stop_sequence"], "three");
    asked["max_tokens"] = json!(1);
    let body = post(&server, MESSAGES, &asked).await.json();
    assert_eq!(body["stop_reason"], "max_tokens");
    let body = post(&server, MESSAGES, &message("filtered", "hello")).await.json();
    assert_eq!(body["stop_reason"], "refusal");
}

#[tokio::test]
async fn a_tool_is_used_in_fragments_and_its_result_quoted() {
    let server = server().await;
    let mut asked = streaming(message("claude", "hello"));
    asked["tools"] = weather_tool();
    asked["tool_choice"] = json!({ "type": "tool", "name": "get_weather" });
    let events = post(&server, MESSAGES, &asked).await.events();
    assert_eq!(events[1]["content_block"]["name"], "get_weather");
    assert_eq!(events[1]["content_block"]["input"], json!({}));
    let fragments: Vec<&str> =
        events.iter().filter_map(|event| event.pointer("/delta/partial_json")?.as_str()).collect();
    assert!(fragments.len() > 1);
    assert_eq!(fragments.concat(), r#"{"city":"example city"}"#);

    asked["stream"] = json!(false);
    let used = post(&server, MESSAGES, &asked).await.json();
    assert_eq!(used["stop_reason"], "tool_use");
    assert_eq!(used["content"][0]["input"], json!({ "city": "example city" }));
    let result = json!({ "type": "tool_result", "tool_use_id": used["content"][0]["id"],
        "content": [{ "type": "text", "text": "18 degrees" }] });
    let messages = asked["messages"].as_array_mut().unwrap();
    messages.push(json!({ "role": "assistant", "content": used["content"] }));
    messages.push(json!({ "role": "user", "content": [result] }));
    let quoted = post(&server, MESSAGES, &asked).await;
    assert_eq!(quoted.said(), "The tool said: 18 degrees");
}

#[tokio::test]
async fn structured_output_is_taken_from_either_place() {
    let server = server().await;
    let format = json!({ "type": "json_schema", "schema": {
        "type": "object", "properties": { "ok": { "type": "boolean" } } } });
    let mut asked = message("claude", "hello");
    asked["output_format"] = format.clone();
    assert_eq!(post(&server, MESSAGES, &asked).await.said(), r#"{"ok":true}"#);
    let mut asked = message("claude", "hello");
    asked["output_config"] = json!({ "format": format });
    assert_eq!(post(&server, MESSAGES, &asked).await.said(), r#"{"ok":true}"#);
}

#[tokio::test]
async fn a_prefilled_answer_is_continued() {
    let server = server().await;
    let mut asked = message("claude", "hello");
    let (beginning, rest) = ANSWER.split_at(ANSWER.find(" the prompt").unwrap());
    let prefill = json!({ "role": "assistant", "content": beginning });
    asked["messages"].as_array_mut().unwrap().push(prefill);
    assert_eq!(post(&server, MESSAGES, &asked).await.said(), rest);
}

#[tokio::test]
async fn tokens_are_counted_without_a_limit() {
    let server = server().await;
    let asked = json!({ "model": "claude", "system": "Be kind.",
        "messages": [{ "role": "user", "content": "one two three" }] });
    let got = post(&server, "/v1/messages/count_tokens", &asked).await;
    assert_eq!(got.json(), json!({ "input_tokens": 5 }));
}

#[tokio::test]
async fn a_request_out_of_order_gets_the_providers_own_error() {
    let server = server().await;
    let with = |change: fn(&mut Value)| {
        let mut body = message("claude", "hello");
        change(&mut body);
        body
    };
    let conversation = |messages: Value| {
        json!({ "model": "claude", "max_tokens": 9,
        "messages": messages })
    };
    let result = json!({ "type": "tool_result", "tool_use_id": "toolu_1", "content": "x" });
    let used = json!({ "type": "tool_use", "id": "toolu_1", "name": "f", "input": {} });
    let cases = [
        (json!({ "model": "claude", "messages": [] }), "max_tokens: Field required"),
        (json!({ "max_tokens": 9 }), "model: Field required"),
        (with(|body| body["messages"] = json!([])), "at least one message"),
        (with(|body| body["messages"][0]["role"] = json!("system")), "Unexpected role \"system\""),
        (with(|body| body["messages"][0]["role"] = json!("assistant")), "first message must use"),
        (with(|body| body["messages"][0]["content"] = json!("")), "non-empty content"),
        (
            with(|body| body["messages"][0]["content"] = json!([{ "type": "image_url" }])),
            "Input tag 'image_url'",
        ),
        (with(|body| body["max_tokens"] = json!(0)), "max_tokens: must be greater"),
        (with(|body| body["temperature"] = json!(1.5)), "temperature: range: 0..1"),
        (with(|body| body["n"] = json!(2)), "n: Extra inputs are not permitted"),
        (with(|body| body["stop"] = json!("x")), "stop: Extra inputs are not permitted"),
        (with(|body| body["tools"] = json!([{ "type": "function" }])), "Input tag 'function'"),
        (with(|body| body["tools"] = json!([{ "name": "f" }])), "input_schema: Field required"),
        (
            with(|body| body["thinking"] = json!({ "type": "enabled", "budget_tokens": 2000 })),
            "must be greater than `thinking.budget_tokens`",
        ),
        (
            conversation(json!([{ "role": "user", "content": [result] }])),
            "unexpected `tool_use_id`",
        ),
        (
            conversation(json!([
                { "role": "user", "content": "hi" },
                { "role": "assistant", "content": [used] },
                { "role": "user", "content": "well?" },
            ])),
            "messages.1: `tool_use` ids were found without `tool_result` blocks",
        ),
        (
            conversation(json!([
                { "role": "user", "content": "hi" },
                { "role": "assistant", "content": "Well " },
            ])),
            "trailing whitespace",
        ),
    ];
    for (body, words) in cases {
        let got = post(&server, MESSAGES, &body).await;
        assert_eq!(got.status, 400, "{body}");
        let error = got.json();
        assert_eq!(error["type"], "error");
        assert_eq!(error["error"]["type"], "invalid_request_error");
        assert!(error["error"]["message"].as_str().unwrap().contains(words), "{error}");
        assert!(error["request_id"].as_str().unwrap().starts_with("req_"), "{error}");
    }
}

#[tokio::test]
async fn keys_and_version_are_checked_first() {
    let server = server().await;
    let body = message("claude", "hello").to_string();
    let version = "anthropic-version: 2023-06-01\r\n";
    let keyless = send(&server, &request(MESSAGES, version, &body)).await;
    assert_eq!(keyless.status, 401);
    assert_eq!(keyless.json()["error"]["type"], "authentication_error");
    let unversioned = send(&server, &request(MESSAGES, "x-api-key: k\r\n", &body)).await;
    assert_eq!(unversioned.status, 400);
    assert!(unversioned.text().contains("anthropic-version: header is required"));
    let bearer = "authorization: Bearer k\r\nanthropic-version: 2026-10-21\r\n";
    assert_eq!(send(&server, &request(MESSAGES, bearer, &body)).await.status, 200);
    let ancient = "x-api-key: k\r\nanthropic-version: 1999-01-01\r\n";
    assert_eq!(send(&server, &request(MESSAGES, ancient, &body)).await.status, 400);
    let broken = send(&server, &request(MESSAGES, ANTHROPIC_KEY, "{")).await;
    assert_eq!(broken.status, 400);
    assert!(broken.text().contains("not valid JSON"));
}
