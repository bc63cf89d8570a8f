use serde_json::json;

use super::shown;

#[test]
fn a_replay_shows_the_words_the_passages_and_the_figures_that_differ() {
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let side = |release: &str, text: &str| {
        json!({"trace": "1".repeat(32), "release": digest(release), "environment": "prod",
            "text": text, "outcome": "answered", "model": "m-1", "input_tokens": 40,
            "output_tokens": 7, "cost": null, "latency": 0.25})
    };
    let passage = |id: &str, document: &str, before: Option<u32>, after: Option<u32>| json!({"id": digest(id), "document": document, "before": before, "after": after});
    let replay = json!({
        "app": "support", "question": "How long?", "vector": "recorded",
        "recorded": side("2", "You have 30 days."),
        "replayed": side("3", "You have 14 days."),
        "likeness": {"same": false, "rouge_l": 0.75, "chrf": 61.2},
        "passages": [
            passage("a", "returns.md", Some(2), Some(1)),
            passage("b", "new.md", None, Some(2)),
            passage("c", "old.md", Some(1), None),
        ],
        "scored": {"scorers": {"grounded": {
            "recorded": {"scored": {"value": 1.0, "pass": true, "explanation": null}},
            "replayed": {"scored": {"value": 0.5, "pass": false, "explanation": null}}}}},
        "differences": ["the client set `temperature` itself"],
    });
    insta::assert_snapshot!(shown(&replay));
}

#[test]
fn a_missing_answer_says_why() {
    let replay = json!({
        "app": "support", "question": "How long?", "passages": [], "differences": [],
        "recorded": {"text": null, "missing": "a document that grounded it was erased"},
        "replayed": {"text": "Thirty days."},
    });
    let told = shown(&replay);
    assert!(told.contains("recorded none: a document that grounded it was erased"), "{told}");
    assert!(told.contains("replayed Thirty days."), "{told}");
}
