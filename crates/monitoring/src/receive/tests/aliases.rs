//! Every convention's names lead to the same row.

use serde_json::json;

use super::*;
use crate::receive::aliases::{self, Field};

/// How one convention writes the same call of a model, and what it has no word for.
struct Source {
    name: &'static str,
    resource: Vec<KeyValue>,
    attributes: Vec<KeyValue>,
    cannot_say: &'static [&'static str],
}

const QUESTION: &str = "Can I return the lamp?";
const ANSWER: &str = "Yes, within thirty days.";

fn service(version: &str) -> Vec<KeyValue> {
    vec![
        text("service.name", "shop"),
        text(version, "v7"),
        text("deployment.environment.name", "prod"),
    ]
}

fn message(role: &str, content: &str) -> serde_json::Value {
    json!({"role": role, "parts": [{"type": "text", "content": content}]})
}

fn newest() -> Source {
    let input = json!([message("user", QUESTION)]).to_string();
    let output = json!([message("assistant", ANSWER)]).to_string();
    Source {
        name: "OpenTelemetry 1.41",
        resource: service("service.version"),
        attributes: vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", "openai"),
            text("gen_ai.request.model", "gpt"),
            text("gen_ai.response.model", "gpt"),
            text("gen_ai.response.id", "r1"),
            list("gen_ai.response.finish_reasons", &["stop"]),
            text("gen_ai.conversation.id", "c1"),
            text("enduser.id", "ada"),
            text("gen_ai.prompt.name", "support"),
            int("gen_ai.usage.input_tokens", 100),
            int("gen_ai.usage.output_tokens", 20),
            int("gen_ai.usage.cache_read.input_tokens", 40),
            int("gen_ai.usage.cache_creation.input_tokens", 10),
            int("gen_ai.usage.reasoning.output_tokens", 5),
            double("gen_ai.usage.cost", 0.25),
            double("gen_ai.response.time_to_first_chunk", 0.5),
            text("gen_ai.input.messages", input),
            text("gen_ai.output.messages", output),
        ],
        cannot_say: &[],
    }
}

fn older() -> Source {
    let message = |role: &str, content: &str| json!([{"role": role, "content": content}]);
    Source {
        name: "OpenTelemetry before 1.28",
        resource: vec![
            text("service.name", "shop"),
            text("service.version", "v7"),
            text("deployment.environment", "prod"),
        ],
        attributes: vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.system", "openai"),
            text("gen_ai.request.model", "gpt"),
            text("gen_ai.response.model", "gpt"),
            text("gen_ai.response.id", "r1"),
            list("gen_ai.response.finish_reasons", &["stop"]),
            text("enduser.id", "ada"),
            int("gen_ai.usage.prompt_tokens", 100),
            int("gen_ai.usage.completion_tokens", 20),
            text("gen_ai.prompt", message("user", QUESTION).to_string()),
            text("gen_ai.completion", message("assistant", ANSWER).to_string()),
        ],
        cannot_say: &["conversation", "prompt", "cache", "reasoning", "cost", "first"],
    }
}

/// OpenTelemetry after 1.41, where attributes may be structures and caches are written.
fn newer() -> Source {
    let mut source = newest();
    source.name = "OpenTelemetry after 1.41";
    source.attributes.retain(|pair| {
        !["gen_ai.usage.cache_creation.input_tokens", "gen_ai.input.messages"]
            .contains(&pair.key.as_str())
    });
    let kv = |values| {
        Value::KvlistValue(opentelemetry_proto::tonic::common::v1::KeyValueList { values })
    };
    let array = |values: Vec<Value>| {
        let values = values.into_iter().map(|value| AnyValue { value: Some(value) });
        Value::ArrayValue(ArrayValue { values: values.collect() })
    };
    let part = kv(vec![text("type", "text"), text("content", QUESTION)]);
    let message = kv(vec![text("role", "user"), pair("parts", array(vec![part]))]);
    source.attributes.push(pair("gen_ai.input.messages", array(vec![message])));
    source.attributes.push(int("gen_ai.usage.cache_write.input_tokens", 10));
    source
}

fn openllmetry() -> Source {
    Source {
        name: "OpenLLMetry",
        resource: service("service.version"),
        attributes: vec![
            text("llm.request.type", "chat"),
            text("gen_ai.system", "OpenAI"),
            text("gen_ai.request.model", "gpt"),
            text("gen_ai.response.model", "gpt"),
            text("gen_ai.response.id", "r1"),
            text("traceloop.association.properties.session_id", "c1"),
            text("traceloop.association.properties.user_id", "ada"),
            text("traceloop.prompt.key", "support"),
            int("gen_ai.usage.prompt_tokens", 100),
            int("gen_ai.usage.completion_tokens", 20),
            int("gen_ai.usage.cache_read_input_tokens", 40),
            int("gen_ai.usage.cache_creation_input_tokens", 10),
            int("llm.usage.reasoning_tokens", 5),
            text("gen_ai.prompt.0.role", "user"),
            text("gen_ai.prompt.0.content", QUESTION),
            text("gen_ai.completion.0.role", "assistant"),
            text("gen_ai.completion.0.content", ANSWER),
            text("gen_ai.completion.0.finish_reason", "stop"),
        ],
        cannot_say: &["cost", "first", "output"],
    }
}

fn openinference() -> Source {
    Source {
        name: "OpenInference",
        resource: service("service.version"),
        attributes: vec![
            text("openinference.span.kind", "LLM"),
            text("llm.provider", "openai"),
            text("llm.system", "openai"),
            text("llm.model_name", "gpt"),
            text("session.id", "c1"),
            text("user.id", "ada"),
            text("llm.finish_reason", "stop"),
            text("llm.prompt_template.name", "support"),
            int("llm.token_count.prompt", 100),
            int("llm.token_count.completion", 20),
            int("llm.token_count.prompt_details.cache_read", 40),
            int("llm.token_count.prompt_details.cache_write", 10),
            int("llm.token_count.completion_details.reasoning", 5),
            double("llm.cost.total", 0.25),
            text("llm.input_messages.0.message.role", "user"),
            text("llm.input_messages.0.message.content", QUESTION),
            text("llm.output_messages.0.message.role", "assistant"),
            text("llm.output_messages.0.message.content", ANSWER),
            text(
                "input.value",
                json!({"messages": [{"role": "user", "content": QUESTION}]}).to_string(),
            ),
            text("output.value", ANSWER),
        ],
        cannot_say: &["response_id", "first"],
    }
}

fn langfuse() -> Source {
    let first = Timestamp::from_nanosecond(i128::from(before(10)) + 500_000_000).unwrap();
    let usage = json!({"input": 50, "input_cache_read": 40, "input_cache_creation": 10,
        "output": 15, "output_reasoning": 5, "total": 120});
    Source {
        name: "Langfuse",
        resource: vec![
            text("service.name", "shop"),
            text("langfuse.release", "v7"),
            text("langfuse.environment", "prod"),
        ],
        attributes: vec![
            text("langfuse.observation.type", "generation"),
            text("gen_ai.system", "openai"),
            text("langfuse.observation.model.name", "gpt"),
            text("langfuse.session.id", "c1"),
            text("langfuse.user.id", "ada"),
            text("langfuse.observation.prompt.name", "support"),
            text("langfuse.observation.usage_details", usage.to_string()),
            text("langfuse.observation.cost_details", json!({"total": 0.25}).to_string()),
            text("langfuse.observation.completion_start_time", format!("\"{first}\"")),
            text(
                "langfuse.observation.input",
                json!([{"role": "user", "content": QUESTION}]).to_string(),
            ),
            text(
                "langfuse.observation.output",
                json!({"role": "assistant", "content": ANSWER}).to_string(),
            ),
        ],
        cannot_say: &["response_id", "finish"],
    }
}

/// A row without what a convention cannot say, and without what each keeps of its own.
fn comparable(mut row: rows::Span, cannot_say: &[&str]) -> rows::Span {
    row.attributes.clear();
    for what in cannot_say {
        match *what {
            "response_id" => row.response_id.clear(),
            "conversation" => row.conversation.clear(),
            "prompt" => row.prompt.clear(),
            "finish" => row.finish_reason.clear(),
            "first" => row.time_to_first_chunk = None,
            "cost" => (row.cost, row.currency) = (None, String::new()),
            "cache" => (row.cache_read_tokens, row.cache_creation_tokens) = (None, None),
            "reasoning" => row.reasoning_tokens = None,
            // OpenLLMetry's answers carry their finish reason, as OpenTelemetry's may.
            "output" => row.output.clear(),
            other => panic!("{other}"),
        }
    }
    row
}

#[test]
fn every_source_yields_the_same_row() {
    let sources = [older(), newest(), newer(), openllmetry(), openinference(), langfuse()];
    let base = newest();
    let base = through(Signal::Traces, &traces(base.resource, vec![span(base.attributes)]));
    for source in sources {
        let sent = traces(source.resource, vec![span(source.attributes.clone())]);
        let batch = through(Signal::Traces, &sent);
        assert_eq!(
            comparable(batch.spans[0].clone(), source.cannot_say),
            comparable(base.spans[0].clone(), source.cannot_say),
            "{}",
            source.name
        );
        let question = base.payloads.iter().find(|payload| payload.text.contains("lamp")).unwrap();
        assert!(batch.payloads.contains(question), "{}: {:?}", source.name, batch.payloads);
    }
    insta::assert_debug_snapshot!(base.spans[0]);
}

#[test]
fn what_others_wrote_stays_as_it_was_except_for_what_was_said() {
    for source in [older(), openllmetry(), openinference(), langfuse()] {
        let row = row(source.attributes.clone());
        assert_eq!(attribute(&row.attributes, "groundcrew.aliases"), Some("1"), "{}", source.name);
        for pair in &source.attributes {
            let canonical = aliases::field(&pair.key).is_some_and(|(_, rank)| rank == 0);
            let kept = attribute(&row.attributes, &pair.key);
            let Some(Value::StringValue(value)) = pair.value.clone().unwrap().value else {
                assert!(kept.is_some() != canonical, "{} {}", source.name, pair.key);
                continue;
            };
            if value.contains("lamp") || value.contains("thirty") {
                let referred = kept.is_none_or(|kept| kept.starts_with("sha256:"));
                assert!(referred, "{} {}: {kept:?}", source.name, pair.key);
            } else if !canonical
                && !pair.key.starts_with("gen_ai.completion.")
                && !pair.key.starts_with("gen_ai.prompt.")
                && !pair.key.starts_with("llm.input_m")
                && !pair.key.starts_with("llm.output_m")
            {
                assert_eq!(kept, Some(value.as_str()), "{} {}", source.name, pair.key);
            }
        }
    }
    let plain = row(newest().attributes);
    assert_eq!(attribute(&plain.attributes, "groundcrew.aliases"), None);
}

#[test]
fn nothing_that_was_said_stands_in_a_row_beyond_its_previews() {
    let long = format!("{} secret {}", "x ".repeat(200), "y");
    let attributes = vec![
        text("gen_ai.input.messages", json!([message("user", &long)]).to_string()),
        text("input.value", format!("{{\"messages\": \"{long}\"}}")),
        text("llm.input_messages.0.message.content", long.as_str()),
        text("gen_ai.tool.call.result", long.as_str()),
    ];
    let batch = through(Signal::Traces, &traces(vec![], vec![span(attributes)]));
    let row = format!("{:?}", batch.spans);
    assert!(!row.contains("secret"), "{row}");
    assert!(batch.payloads.iter().all(|payload| payload.text.contains("secret")));
    assert_eq!(batch.payloads.len(), 3);
}

#[test]
fn the_table_has_its_fields_in_order() {
    for (place, field) in aliases::fields().enumerate() {
        assert_eq!(field as usize, place, "{field:?}");
    }
    assert_eq!(aliases::fields().count(), Field::COUNT);
}

#[test]
fn openai_tool_calls_and_parts_become_opentelemetrys() {
    let conversation = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Weather?"},
            {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "t1", "type": "function",
            "function": {"name": "weather", "arguments": "{\"city\": \"Bonn\"}"}}]},
        {"role": "tool", "tool_call_id": "t1", "content": "sunny"},
    ]);
    let attributes = vec![text("input.value", json!({"messages": conversation}).to_string())];
    let batch = through(Signal::Traces, &traces(vec![], vec![span(attributes)]));
    let texts: Vec<_> = batch.payloads.iter().map(|payload| payload.text.as_str()).collect();
    insta::assert_snapshot!(texts.join("\n"));
    assert_eq!(batch.spans[0].input.len(), 4);
    assert_eq!(batch.spans[0].input_preview, "Weather?");
}

/// Recorded from the instrumentations of the `openai` package (OpenLLMetry's
/// `opentelemetry-instrumentation-openai` 0.62.4, `openinference-instrumentation-openai` 0.1.66):
/// one call with a system message, a question and a tool, answered by a call of the tool.
#[test]
fn real_instrumentations_of_one_call_tell_the_same() {
    let recorded = [
        include_bytes!("fixtures/openllmetry.binpb").as_slice(),
        include_bytes!("fixtures/openinference.binpb").as_slice(),
    ];
    let received = recorded.map(|bytes| {
        let received = admit(Signal::Traces, Format::Protobuf, None, Bytes::from(bytes)).unwrap();
        assert_eq!((received.items, received.rejected), (1, 0));
        decode(Signal::Traces, &received.otlp, Timestamp::MAX)
    });
    let told = received.each_ref().map(|batch| {
        let span = &batch.spans[0];
        let tokens =
            (span.input_tokens, span.output_tokens, span.cache_read_tokens, span.reasoning_tokens);
        let models = (span.request_model.as_str(), span.response_model.as_str());
        (span.operation.as_str(), span.provider.as_str(), models, tokens, &span.input_preview)
    });
    assert_eq!(told[0], told[1]);
    // What was asked has one name, whoever sends it, if it is of one person.
    let texts = |batch: &rows::Batch| {
        batch.payloads.iter().map(|payload| payload.text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&received[0])[..2], texts(&received[1])[..2]);
    insta::assert_debug_snapshot!(received);
}
