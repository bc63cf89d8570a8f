use base64::Engine as _;
use serde_json::{Value, json};
use testkit::model_server::ANSWER;
use tokio::io::AsyncWriteExt;

use crate::client::{
    CHAT, EMBEDDINGS, End, OPENAI_KEY, chat, connect, post, receive, request, send, server,
    streaming,
};

fn weather_tool() -> Value {
    json!([{ "type": "function", "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": { "city": { "type": "string" }, "days": { "type": "integer" } },
            "required": ["city"]
        }
    }}])
}

#[tokio::test]
async fn an_ordinary_model_answers_sixty_words_and_counts_them() {
    let server = server().await;
    let got = post(&server, CHAT, &chat("gpt", "What is a release?")).await;
    assert_eq!((got.status, got.end), (200, End::Whole));
    let body = got.json();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "gpt");
    assert_eq!(body["choices"][0]["message"]["content"], ANSWER);
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["prompt_tokens"], 4);
    assert_eq!(body["usage"]["completion_tokens"], 60);
    assert_eq!(body["usage"]["total_tokens"], 64);
}

#[tokio::test]
async fn a_stream_brings_a_token_per_chunk_and_usage_only_when_asked() {
    let server = server().await;
    let mut body = streaming(chat("gpt", "hello"));
    let got = post(&server, CHAT, &body).await;
    assert_eq!(got.streamed_text(), ANSWER);
    let events = got.events();
    assert_eq!(events.len(), 1 + 60 + 1 + 1);
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(events[61]["choices"][0]["finish_reason"], "stop");
    assert_eq!(events[62], "[DONE]");
    assert!(!got.text().contains("usage"));
    body["stream_options"] = json!({ "include_usage": true });
    let events = post(&server, CHAT, &body).await.events();
    assert_eq!(events[0]["usage"], Value::Null);
    assert_eq!(events[62]["choices"], json!([]));
    assert_eq!(events[62]["usage"]["completion_tokens"], 60);
}

#[tokio::test]
async fn a_limit_of_tokens_ends_with_length() {
    let server = server().await;
    let mut body = chat("gpt", "hello");
    body["max_tokens"] = json!(3);
    let answer = post(&server, CHAT, &body).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "Every release pins ");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(answer["usage"]["completion_tokens"], 3);
}

#[tokio::test]
async fn the_echo_models_show_what_they_were_sent() {
    let server = server().await;
    let mut body = json!({ "model": "echo", "messages": [
        { "role": "system", "content": "Be kind." },
        { "role": "user", "content": [{ "type": "text", "text": "one  two" }] },
    ]});
    assert_eq!(post(&server, CHAT, &body).await.said(), "one  two");
    body["model"] = json!("echo-system");
    assert_eq!(post(&server, CHAT, &streaming(body)).await.said(), "Be kind.");
}

#[tokio::test]
async fn cached_and_reasoning_tokens_are_reported_by_their_models() {
    let server = server().await;
    let cached = post(&server, CHAT, &chat("cached", "one two three four")).await.json();
    assert_eq!(cached["usage"]["prompt_tokens"], 4);
    assert_eq!(cached["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
    let got = post(&server, CHAT, &chat("reasoning", "hello")).await.json();
    assert_eq!(got["usage"]["completion_tokens"], 84);
    assert_eq!(got["usage"]["completion_tokens_details"]["reasoning_tokens"], 24);
    let streamed = post(&server, CHAT, &streaming(chat("reasoning", "hello"))).await;
    assert!(streamed.events()[1]["choices"][0]["delta"]["reasoning_content"].is_string());
    assert_eq!(streamed.streamed_text(), ANSWER);
}

#[tokio::test]
async fn the_other_models_stop_and_fail_as_listed() {
    let server = server().await;
    let filtered = post(&server, CHAT, &chat("filtered", "hello")).await.json();
    assert_eq!(filtered["choices"][0]["finish_reason"], "content_filter");
    for name in ["missing", "fault-of-no-kind"] {
        let missing = post(&server, CHAT, &chat(name, "hello")).await;
        assert_eq!(missing.status, 404);
        assert_eq!(missing.json()["error"]["code"], "model_not_found");
    }
    // 60 pauses of 1 ms each.
    let slow = post(&server, CHAT, &streaming(chat("slow", "hello"))).await;
    assert_eq!(slow.streamed_text(), ANSWER);
    assert!(slow.took.as_millis() >= 60, "{:?}", slow.took);
}

#[tokio::test]
async fn a_tool_is_called_in_fragments_and_its_result_quoted() {
    let server = server().await;
    let mut body = streaming(chat("gpt", "Use get_weather for me"));
    body["tools"] = weather_tool();
    let events = post(&server, CHAT, &body).await.events();
    let first = &events[1]["choices"][0]["delta"]["tool_calls"][0];
    assert_eq!(first["function"]["name"], "get_weather");
    let fragments: Vec<&str> = events
        .iter()
        .filter_map(|event| {
            event.pointer("/choices/0/delta/tool_calls/0/function/arguments")?.as_str()
        })
        .filter(|fragment| !fragment.is_empty())
        .collect();
    assert!(fragments.len() > 2);
    let arguments: Value = serde_json::from_str(&fragments.concat()).unwrap();
    assert_eq!(arguments, json!({ "city": "example city", "days": 1 }));
    assert_eq!(events[events.len() - 2]["choices"][0]["finish_reason"], "tool_calls");

    body["stream"] = json!(false);
    body["model"] = json!("tools");
    let plain = post(&server, CHAT, &body).await.json();
    let assistant = plain["choices"][0]["message"].clone();
    assert_eq!(assistant["content"], Value::Null);
    let id = assistant["tool_calls"][0]["id"].clone();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(assistant);
    messages.push(json!({ "role": "tool", "tool_call_id": id, "content": "18 degrees" }));
    let quoted = post(&server, CHAT, &body).await;
    assert_eq!(quoted.said(), "The tool said: 18 degrees");
}

#[tokio::test]
async fn structured_output_satisfies_its_schema_whole_and_in_fragments() {
    let server = server().await;
    let mut body = chat("gpt", "Who?");
    body["response_format"] = json!({ "type": "json_schema", "json_schema": {
        "name": "person", "strict": true, "schema": {
            "type": "object",
            "properties": { "name": { "type": "string" }, "age": { "type": "integer" } },
            "required": ["name", "age"],
            "additionalProperties": false
        }
    }});
    let expected = r#"{"name":"example name","age":1}"#;
    assert_eq!(post(&server, CHAT, &body).await.said(), expected);
    assert_eq!(post(&server, CHAT, &streaming(body.clone())).await.said(), expected);
    body["response_format"]["json_schema"]["schema"]["required"] = json!(["name"]);
    let refused = post(&server, CHAT, &body).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("Missing 'age'"), "{}", refused.text());
}

#[tokio::test]
async fn embeddings_are_deterministic_and_nearer_for_shared_words() {
    let server = server().await;
    let body = json!({
        "model": "embed",
        "input": ["reset the password", "password reset", "holiday policy"]
    });
    let got = post(&server, EMBEDDINGS, &body).await.json();
    let vector = |index: usize| -> Vec<f64> {
        serde_json::from_value(got["data"][index]["embedding"].clone()).unwrap()
    };
    let cosine =
        |a: usize, b: usize| -> f64 { vector(a).iter().zip(vector(b)).map(|(x, y)| x * y).sum() };
    assert_eq!(vector(0).len(), 8);
    assert!((cosine(0, 0) - 1.0).abs() < 1e-5);
    assert!(cosine(0, 1) > cosine(0, 2), "{} {}", cosine(0, 1), cosine(0, 2));
    assert_eq!(got["usage"]["prompt_tokens"], 7);

    let packed = json!({
        "model": "embed", "input": "password reset", "encoding_format": "base64", "dimensions": 8
    });
    let packed = post(&server, EMBEDDINGS, &packed).await.json();
    let text = packed["data"][0]["embedding"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let unpacked: Vec<f64> = bytes
        .chunks(4)
        .map(|bytes| f64::from(f32::from_le_bytes(bytes.try_into().unwrap())))
        .collect();
    let near = |(a, b): (&f64, f64)| (a - b).abs() < 1e-6;
    assert!(unpacked.iter().zip(vector(1)).all(near));
}

#[tokio::test]
async fn models_are_listed_in_the_dialect_of_the_asker() {
    let server = server().await;
    let get = |path: &str, key: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n{key}\r\n");
    let openai = send(&server, &get("/v1/models", OPENAI_KEY)).await.json();
    assert_eq!(openai["data"][0]["object"], "model");
    let key = crate::client::ANTHROPIC_KEY;
    let anthropic = send(&server, &get("/v1/models", key)).await.json();
    assert_eq!(anthropic["data"][0]["type"], "model");
    assert_eq!(anthropic["has_more"], false);
    let one = send(&server, &get("/v1/models/echo", OPENAI_KEY)).await.json();
    assert_eq!(one["id"], "echo");
    assert_eq!(send(&server, &get("/v1/models/none", OPENAI_KEY)).await.status, 404);
}

#[tokio::test]
async fn a_request_out_of_order_gets_the_providers_own_error() {
    let server = server().await;
    let with = |change: fn(&mut Value)| {
        let mut body = chat("gpt", "hello");
        change(&mut body);
        body
    };
    let call = json!({ "id": "call_1", "type": "function",
        "function": { "name": "f", "arguments": "{}" } });
    let unanswered = json!({ "model": "gpt", "messages": [
        { "role": "user", "content": "hello" },
        { "role": "assistant", "tool_calls": [call] },
        { "role": "user", "content": "well?" },
    ]});
    let cases = [
        (with(|body| body["model"] = Value::Null), "you must provide a model parameter"),
        (with(|body| body["messages"] = json!("hi")), "expected an array of objects"),
        (with(|body| body["messages"] = json!([])), "empty array"),
        (with(|body| body["messages"][0]["role"] = json!("robot")), "Invalid value: 'robot'"),
        (with(|body| body["messages"][0]["content"] = Value::Null), "expected a string, got null"),
        (
            with(|body| {
                body["messages"][0] = json!({ "role": "tool", "tool_call_id": "x",
            "content": "y" })
            }),
            "must be a response to a preceeding message",
        ),
        (unanswered, "did not have response messages: call_1"),
        (with(|body| body["temperature"] = json!(3)), "decimal above maximum value"),
        (with(|body| body["max_tokens"] = json!(0)), "integer below minimum value"),
        (with(|body| body["stream_options"] = json!({})), "only allowed when 'stream' is enabled"),
        (with(|body| body["tool_choice"] = json!("auto")), "only allowed when 'tools'"),
        (with(|body| body["tools"] = json!([{ "name": "f" }])), "'tools[0].type'"),
        (
            with(|body| body["system"] = json!("x")),
            "Unrecognized request argument supplied: system",
        ),
        (
            with(|body| body["response_format"] = json!({ "type": "json_object" })),
            "the word 'json'",
        ),
    ];
    for (body, words) in cases {
        let got = post(&server, CHAT, &body).await;
        assert_eq!(got.status, 400, "{body}");
        let error = &got.json()["error"];
        assert_eq!(error["type"], "invalid_request_error");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        assert!(error.get("param").is_some() && error.get("code").is_some(), "{error}");
    }
}

#[tokio::test]
async fn keys_media_types_and_json_are_checked_first() {
    let server = server().await;
    let body = chat("gpt", "hello").to_string();
    let status = async |bytes: &str| send(&server, bytes).await.status;
    assert_eq!(status(&request(CHAT, "", &body)).await, 401);
    let wrong_key = request(CHAT, "authorization: Bearer sk-invalid\r\n", &body);
    assert_eq!(send(&server, &wrong_key).await.json()["error"]["code"], "invalid_api_key");
    let text = request(CHAT, OPENAI_KEY, &body).replace("application/json", "text/plain");
    assert_eq!(status(&text).await, 415);
    assert_eq!(status(&request(CHAT, OPENAI_KEY, "{\"model\":")).await, 400);
    assert_eq!(status(&request(CHAT, OPENAI_KEY, &"[".repeat(100_000))).await, 400);
    assert_eq!(status(&request("/v1/nothing", OPENAI_KEY, &body)).await, 404);
    assert_eq!(status(&request("/v1/models", OPENAI_KEY, &body)).await, 405);
}

#[tokio::test]
async fn one_connection_carries_many_requests_plain_chunked_and_pipelined() {
    let server = server().await;
    let mut stream = connect(&server).await;
    let body = chat("echo", "hello").to_string();
    for _ in 0..3 {
        stream.write_all(request(CHAT, OPENAI_KEY, &body).as_bytes()).await.unwrap();
        assert_eq!(receive(&mut stream).await.said(), "hello");
    }
    let (first, rest) = body.split_at(10);
    let chunked = format!(
        "POST {CHAT} HTTP/1.1\r\ncontent-type: application/json\r\n{OPENAI_KEY}\
         transfer-encoding: chunked\r\n\r\na\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n",
        rest.len()
    );
    stream.write_all(chunked.as_bytes()).await.unwrap();
    assert_eq!(receive(&mut stream).await.said(), "hello");
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn what_is_no_http_or_too_much_is_refused_and_the_connection_closed() {
    let server = server().await;
    assert_eq!(send(&server, "\u{16}\u{3}\u{1} hello\r\n\r\n").await.status, 400);
    let endless = format!("GET / HTTP/1.1\r\nx: {}", "a".repeat(80_000));
    assert_eq!(send(&server, &endless).await.status, 431);
    let huge = "POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n";
    assert_eq!(send(&server, huge).await.status, 413);
    let both = "POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(send(&server, both).await.status, 400);
}
