//! The official SDKs work with the base URL changed, over providers of either dialect.

use e2e::Stage;
use testkit::model_server::{ANSWER, ModelServer, Script};

async fn over(kind: &str) -> (ModelServer, Stage) {
    let upstream = ModelServer::start(Script::default()).await.unwrap();
    let models = ["plain", "tools", "cached", "fault-s08", "fault-s12", "fault-401"];
    let stage = Stage::scripted(kind, &upstream.openai_url(), &models).unwrap();
    (upstream, stage)
}

async fn all_sdks_work_over(kind: &str) {
    let (_upstream, stage) = over(kind).await;
    for script in ["openai_sdk.py", "anthropic_sdk.py", "openai_sdk.mjs"] {
        let said = stage.script(script, &[ANSWER]).unwrap();
        assert!(said.trim_end().ends_with("all right"), "{script}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_sdks_work_over_an_openai_provider() {
    all_sdks_work_over("openai").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_sdks_work_over_an_anthropic_provider() {
    all_sdks_work_over("anthropic").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_come_through_the_sdk() {
    let (_upstream, stage) = over("openai").await;
    let said = stage.script("embeddings.py", &[]).unwrap();
    assert!(said.trim_end().ends_with("all right"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cited_answer_comes_through_the_sdks() {
    let stage = Stage::support_desk().unwrap();
    let said = stage.script("citations.py", &[]).unwrap();
    assert!(said.trim_end().ends_with("all right"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_of_the_example_are_answered_from_the_right_document() {
    let stage = Stage::support_desk().unwrap();
    let path = stage.path().join("questions.jsonl");
    let questions = std::fs::read_to_string(path).unwrap();
    let (mut asked, mut right) = (0, 0);
    for line in questions.lines() {
        let question: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| question[name].as_str().unwrap().to_owned();
        let found = stage.json(&["knowledge", "search", "handbook", &text("question")]).unwrap();
        let documents: Vec<_> =
            found["passages"].as_array().unwrap().iter().map(|p| p["document"].clone()).collect();
        let expected = text("document").trim_start_matches("handbook/").to_owned();
        assert!(documents.iter().any(|d| *d == expected.as_str()), "{question}: {documents:?}");
        let answer = stage.json(&["ask", "support", &text("question")]).unwrap();
        let answer = answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
        asked += 1;
        right += usize::from(answer.contains(&text("contains")));
    }
    assert!(right * 10 >= asked * 9, "{right} of {asked} answers hold the right phrase");
}
