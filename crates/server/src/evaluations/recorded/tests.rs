use monitoring::Generation;
use serde_json::{Value, json};

use super::*;

/// A record of a request for an answer, with changes.
fn record(change: impl FnOnce(&mut Value)) -> AnswerRecord {
    let step = |name: &str| json!({"name": name, "begin_ns": 0, "end_ns": 1});
    let mut record = json!({
        "trace": "1".repeat(32), "tenant": "default", "app": "support", "environment": "prod",
        "release": format!("sha256:{}", "2".repeat(64)), "plan": null, "arm": null,
        "unit": {"kind": "unstuck", "id": "1"}, "principal": "user:ada", "dialect": "openai", "stream": false,
        "started_at": "2026-03-01T12:00:00Z", "steps": [step("compose"), step("generate")],
        "retrieval": null, "findings": [], "overrides": [], "outcome": {"outcome": "answered"},
        "generation": Generation::default(),
        "input": {"captured": "full", "json":
            "[{\"role\":\"user\",\"blocks\":[{\"type\":\"text\",\"text\":\"How long?\"}]}]"},
        "output": {"captured": "length", "bytes": 3},
    });
    change(&mut record);
    serde_json::from_value(record).unwrap()
}

fn why(change: impl FnOnce(&mut Value)) -> String {
    asked(&record(change)).unwrap_err().to_string()
}

#[test]
fn what_was_asked_comes_back_as_it_was() {
    let metadata = serde_json::Map::from_iter([("language".to_owned(), "French".into())]);
    let (request, set) = asked(&record(|it| {
        let settings =
            ChatRequest { metadata: metadata.clone(), ..ChatRequest::new(Dialect::OpenAi) };
        let settings =
            Settings { request: settings, set: vec![(RequestField::Seed, "seed".to_owned())] };
        it["settings"] = serde_json::to_string(&settings).unwrap().into();
    }))
    .unwrap();
    assert_eq!(set, [(RequestField::Seed, "seed".to_owned())]);
    assert_eq!(request.question().as_deref(), Some("How long?"));
    let case = case(record(|_| {}).trace, &request).unwrap();
    assert_eq!((case.id, case.recorded), ("1".repeat(32), true));
    assert_eq!(case.metadata["language"], "French");
    assert_eq!(case.input, Input::Text("How long?".to_owned()));
}

#[test]
fn what_was_not_recorded_is_told_apart() {
    let hashed = json!({"captured": "hashed", "digest": format!("sha256:{}", "3".repeat(64)),
        "bytes": 9});
    assert!(why(|it| it["input"] = hashed).contains("`capture` kept no content"));
    assert!(why(|it| it["input"] = json!({"captured": "length", "bytes": 9})).contains("capture"));
    assert!(why(|it| it["input"] = json!({"captured": "gone"})).contains("was erased"));
    let broken = json!({"captured": "full", "json": "[{]"});
    assert!(why(|it| it["input"] = broken).contains("cannot be read"));
    // A call for vectors embeds and composes nothing, whether it is answered or blocked.
    let embedding = |it: &mut Value| {
        it["steps"] = json!([{"name": "embed", "begin_ns": 0, "end_ns": 1}]);
    };
    assert!(why(embedding).contains("embeddings"));
    let blocked = why(|it| {
        embedding(it);
        it["generation"] = Value::Null;
        it["outcome"] = json!({"outcome": "blocked", "rule": "cards"});
    });
    assert!(blocked.contains("embeddings"));
    // One that failed before it was composed may be asked again.
    let failed = record(|it| {
        it["steps"] = json!([]);
        it["generation"] = Value::Null;
        it["outcome"] = json!({"outcome": "failed", "kind": "knowledge", "message": "away"});
    });
    assert!(asked(&failed).is_ok());
}
