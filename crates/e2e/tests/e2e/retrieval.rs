//! Knowledge that is found by vectors: a provider's, and those of a model that was imported.

use e2e::Stage;
use serde_json::Value;
use testkit::model_server::{ModelServer, Script};

const DOCUMENTS: [(&str, &str); 3] = [
    ("brakes.md", "# Brakes\n\nThe lever BRK-2204 fits all models.\n"),
    ("helmets.md", "# Helmets\n\nHelmets can be sent back within 14 days.\n"),
    ("wheels.md", "# Wheels\n\nA bent rim is trued by hand.\n"),
];

/// A knowledge base of three documents, embedded as `embedding` says.
fn stage(embedding: &str, providers: &str) -> Stage {
    let mut stage = Stage::empty().unwrap();
    stage.write("groundcrew.toml", "name = \"shop\"\nenvironments = [\"prod\"]\n").unwrap();
    for (name, text) in DOCUMENTS {
        stage.write(&format!("docs/{name}"), text).unwrap();
    }
    let source = "[[sources]]\nkind = \"directory\"\ndirectory = \"project\"\npath = \"docs\"\n";
    stage.write("knowledge/docs.toml", &format!("{source}[embedding]\n{embedding}\n")).unwrap();
    let base = "listen = \"127.0.0.1:0\"\n[directories.project]\npath = \".\"\n";
    stage.write("server.toml", &format!("{base}{providers}")).unwrap();
    stage.start().unwrap();
    stage
}

fn documents(found: &Value) -> Vec<&str> {
    let passages = found["passages"].as_array().unwrap();
    passages.iter().map(|passage| passage["document"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_providers_vectors_find_explain_filter_and_are_measured() {
    let server = ModelServer::start(Script::default()).await.unwrap();
    let credential = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(credential.path(), "upstream-secret").unwrap();
    let provider = format!(
        "[providers.up]\nkind = \"openai\"\nendpoint = \"{}\"\ncredential = \"file:{}\"\n",
        server.openai_url(),
        credential.path().display()
    );
    let stage = stage("provider = \"up\"\nmodel = \"embed\"\ndimensions = 32", &provider);
    stage.groundcrew(&["apply"]).unwrap();
    let refreshed = stage.json(&["knowledge", "refresh", "docs"]).unwrap();
    let embedding = &refreshed["report"]["embedding"];
    assert_eq!((embedding["embedded"].as_u64(), embedding["cached"].as_u64()), (Some(3), Some(0)));
    assert!(embedding["tokens"].as_u64().unwrap() > 0);

    let search = |more: &[&str]| {
        let args = [&["knowledge", "search", "docs", "helmets sent back"], more].concat();
        stage.json(&args).unwrap()
    };
    let found = search(&["--explain", "--filter", "path!=brakes.md"]);
    assert_eq!((found["mode"].as_str(), found["considered"].as_u64()), (Some("hybrid"), Some(2)));
    assert_eq!(documents(&found)[0], "helmets.md");
    let why = &found["passages"][0]["why"];
    assert_eq!((why["bm25"]["rank"].as_u64(), why["vector"]["rank"].as_u64()), (Some(1), Some(1)));
    assert_eq!(why["filters"][0]["passed"], true);
    assert_eq!(documents(&search(&["--mode", "vector", "--limit", "1"])), ["helmets.md"]);
    let wrong = stage.groundcrew(&["knowledge", "search", "docs", "x", "--filter", "=x"]);
    assert!(wrong.unwrap_err().to_string().contains("is not a filter"));

    let line = |query: &str, document: &str| {
        serde_json::json!({"query": query, "relevant": [document]}).to_string()
    };
    let lines = [line("helmets sent back", "helmets.md"), line("BRK-2204", "brakes.md")];
    stage.write("queries.jsonl", &lines.join("\n")).unwrap();
    let args = ["knowledge", "evaluate", "docs", "--queries", "queries.jsonl"];
    let measured = stage.json(&args).unwrap();
    for mode in ["bm25", "vector", "hybrid"] {
        assert_eq!(measured["modes"][mode]["hit_at_k"]["mean"], 1.0, "{mode}: {measured}");
    }
    assert!(stage.groundcrew(&args).unwrap().contains("MRR@10 1.000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reranking_model_orders_what_was_found() {
    let server = ModelServer::start(Script::default()).await.unwrap();
    let credential = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(credential.path(), "upstream-secret").unwrap();
    let provider = format!(
        "[providers.up]\nkind = \"openai\"\nendpoint = \"{}\"\ncredential = \"file:{}\"\n",
        server.openai_url(),
        credential.path().display()
    );
    let rerank = "[retrieval.rerank]\nprovider = \"up\"\nmodel = \"echo\"\napi = \"rerank\"\n";
    let embedding = "provider = \"up\"\nmodel = \"embed\"\ndimensions = 32\n";
    let stage = stage(&format!("{embedding}{rerank}"), &provider);
    stage.groundcrew(&["apply"]).unwrap();
    stage.groundcrew(&["knowledge", "refresh", "docs"]).unwrap();
    // Its words are few; the one that has all of them comes first, whatever else was found.
    let args = ["knowledge", "search", "docs", "trued by hand", "--limit", "2"];
    let found = stage.json(&args).unwrap();
    assert_eq!((found["reranked"].as_str(), documents(&found)[0]), (Some("done"), "wheels.md"));
    let asked = server.requests();
    let asked = asked.iter().rfind(|attempt| attempt.path == "/v1/rerank").unwrap();
    let body = &asked.body;
    assert_eq!(
        (body["model"].as_str(), body["query"].as_str()),
        (Some("echo"), Some("trued by hand"))
    );
    assert_eq!(body["documents"].as_array().unwrap().len(), 3);
}

#[test]
fn an_imported_model_finds_what_shares_no_word_with_the_question() {
    let Ok(folder) = e2e::variable("GROUNDCREW_TEST_MINILM") else {
        println!("1 test skipped: GROUNDCREW_TEST_MINILM names no folder with a model");
        return;
    };
    let stage = stage("model = \"minilm\"", "");
    stage.groundcrew(&["apply"]).unwrap();
    let missing = stage.groundcrew(&["knowledge", "refresh", "docs"]).unwrap_err();
    assert!(missing.to_string().contains("groundcrew models import"), "{missing}");
    let import = ["models", "import", &folder, "--name", "minilm"];
    let imported = stage.json(&import).unwrap();
    assert_eq!(
        (imported["dimension"].as_u64(), imported["max_tokens"].as_u64()),
        (Some(384), Some(256))
    );
    assert_eq!(stage.json(&import).unwrap()["model"], imported["model"], "the same is the same");
    stage.groundcrew(&["knowledge", "refresh", "docs"]).unwrap();
    let question = "Am I able to return my head protection?";
    let args = ["knowledge", "search", "docs", question, "--mode", "vector", "--limit", "1"];
    assert_eq!(documents(&stage.json(&args).unwrap()), ["helmets.md"]);
    // Another knowledge base, or another installation's folder, cannot be taken for a model.
    let wrong = stage.groundcrew(&["models", "import", "docs", "--name", "x"]).unwrap_err();
    assert!(wrong.to_string().contains("has none of the files"), "{wrong}");
}
