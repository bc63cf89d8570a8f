//! What must hold of knowledge, each point by its sentence, as its users see it.
//!
//! The same is tested closer to the code, too: poison that hangs, crashes or takes all memory in
//! `server/tests/extraction.rs`, listings that end early beside each source, and scores to the bit in
//! `knowledge/src/retrieve/tests.rs`. Kills are in `kills.rs`, drills in `backups.rs`, freshness in
//! `freshness.rs`.

use std::process::Command;

use e2e::{Stage, variable};
use serde_json::Value;
use testkit::model_server::{ModelServer, Script};

const SOURCE: &str =
    "[[sources]]\nkind = \"directory\"\ndirectory = \"project\"\npath = \"docs\"\n";

/// A knowledge base `handbook` over `docs`, with more in its file and in `server.toml`.
fn stage(more: &str, server: &str) -> Stage {
    let mut stage = Stage::empty().unwrap();
    stage.write("groundcrew.toml", "name = \"desk\"\nenvironments = [\"prod\"]\n").unwrap();
    stage.write("docs/about.md", "# About\n\nThis is the handbook.\n").unwrap();
    stage.write("knowledge/handbook.toml", &format!("{SOURCE}{more}")).unwrap();
    let tenants = "tenants = [\"default\", \"other\"]\n";
    let own = format!("listen = \"127.0.0.1:0\"\n[directories.project]\npath = \".\"\n{tenants}");
    stage.write("server.toml", &format!("{own}{server}")).unwrap();
    stage.start().unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    stage
}

fn refresh(stage: &Stage) -> Value {
    stage.json(&["knowledge", "refresh", "handbook"]).unwrap()
}

fn search(stage: &Stage, question: &str, more: &[&str]) -> Value {
    stage.json(&[&["knowledge", "search", "handbook", question], more].concat()).unwrap()
}

fn found(stage: &Stage, question: &str) -> Vec<String> {
    let found = search(stage, question, &[]);
    let passages = found["passages"].as_array().unwrap();
    passages.iter().map(|passage| passage["document"].as_str().unwrap().to_owned()).collect()
}

fn remove(stage: &Stage, path: &str) {
    std::fs::remove_file(stage.path().join(path)).unwrap();
}

#[test]
fn two_documents_of_equal_content_are_deleted_independently_either_first() {
    let stage = stage("", "");
    let text = "Helmets go back within 14 days.\n";
    for (first, second) in [("a.md", "b.md"), ("b.md", "a.md")] {
        stage.write("docs/a.md", text).unwrap();
        stage.write("docs/b.md", text).unwrap();
        refresh(&stage);
        let passage = search(&stage, "helmets", &[])["passages"][0].clone();
        assert_eq!(
            (passage["document"].as_str(), &passage["copies"][0]),
            (Some("a.md"), &"b.md".into())
        );
        remove(&stage, &format!("docs/{first}"));
        let gone = refresh(&stage);
        assert_eq!(gone["report"]["removed"], serde_json::json!([first]));
        assert_eq!(found(&stage, "helmets"), [second]);
        remove(&stage, &format!("docs/{second}"));
        refresh(&stage);
        assert!(found(&stage, "helmets").is_empty());
    }
}

#[test]
fn a_shrinking_document_leaves_no_old_chunk_and_a_failed_update_keeps_the_old_one_and_is_retried() {
    let stage = stage("", "");
    let long: String = (0..60).map(|n| format!("Paragraph {n} tells of helmets.\n\n")).collect();
    stage.write("docs/a.md", &long).unwrap();
    refresh(&stage);
    assert!(found(&stage, "helmets").len() > 1);
    stage.write("docs/a.md", "Wheels alone.\n").unwrap();
    refresh(&stage);
    assert!(found(&stage, "helmets").is_empty());
    stage.write("docs/a.md", "broken \0 text").unwrap();
    let failed = refresh(&stage);
    assert_eq!(failed["report"]["skipped"][0]["document"], "a.md");
    assert_eq!(found(&stage, "wheels"), ["a.md"]);
    stage.write("docs/a.md", "Brakes now.\n").unwrap();
    assert_eq!(refresh(&stage)["report"]["changed"][0], "a.md");
    assert!(found(&stage, "wheels").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_without_a_change_publishes_nothing_and_a_changed_recipe_never_mixes_vectors() {
    let server = ModelServer::start(Script::default()).await.unwrap();
    let embedding = |dimensions: u32| {
        format!("[embedding]\nprovider = \"up\"\nmodel = \"embed\"\ndimensions = {dimensions}\n")
    };
    let stage = stage(&embedding(16), &provider(&server));
    stage.write("docs/a.md", "# Brakes\n\nThe lever BRK-2204 fits.\n").unwrap();
    assert_eq!(refresh(&stage)["report"]["embedding"]["embedded"], 2);
    let again = refresh(&stage);
    assert_eq!((&again["unchanged"], &again["changes"]), (&true.into(), &serde_json::json!([])));
    let batches = || stage.json(&["knowledge", "batches", "handbook"]).unwrap();
    assert_eq!(batches().as_array().unwrap().len(), 1);
    stage.write("knowledge/handbook.toml", &format!("{SOURCE}{}", embedding(24))).unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    stage.write("docs/b.md", "# Wheels\n\nTrued by hand.\n").unwrap();
    let other = refresh(&stage);
    assert_eq!(other["report"]["embedding"]["embedded"], 3, "all of them anew: {other}");
    assert_eq!(search(&stage, "lever", &["--mode", "vector"])["considered"], 3);
}

/// `server.toml` with the scripted provider `up`.
fn provider(server: &ModelServer) -> String {
    format!(
        "[providers.up]\nkind = \"openai\"\nendpoint = \"{}\"\ncredential = \"env:HOME\"\n\
         tenants = [\"default\", \"other\"]\n",
        server.openai_url()
    )
}

#[test]
fn a_poison_file_is_quarantined_with_its_reason_and_the_batch_goes_on() {
    let python = variable("GROUNDCREW_TEST_PYTHON").unwrap();
    let include = "include = [\"**\"]\n[quality]\nmax_failed = 1.0\n";
    let stage = stage(include, "");
    // Three hundred megabytes in one part of a document that has three hundred kilobytes.
    let bomb = "import sys, zipfile\n\
                with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as packed:\n\
                \x20   packed.writestr('word/document.xml', b' ' * (300 << 20))\n";
    let path = stage.path().join("docs/bomb.docx");
    assert!(Command::new(python).args(["-c", bomb]).arg(path).status().unwrap().success());
    let entities = "<!DOCTYPE a [<!ENTITY x \"y\">]><html><body>&x;</body></html>";
    stage.write("docs/torn.pdf", "%PDF-1.7 and nothing more").unwrap();
    stage.write("docs/deep.html", &"<div>".repeat(100_000)).unwrap();
    stage.write("docs/odd.xlsx", entities).unwrap();
    let report = refresh(&stage)["report"].clone();
    let reason = |document: &str| {
        let skipped = report["skipped"].as_array().unwrap();
        let one = skipped.iter().find(|skipped| skipped["document"] == document).unwrap();
        one["reason"].as_str().unwrap().to_owned()
    };
    assert!(reason("bomb.docx").starts_with("too large"), "{}", reason("bomb.docx"));
    assert!(reason("torn.pdf").starts_with("malformed"), "{}", reason("torn.pdf"));
    assert!(reason("odd.xlsx").starts_with("malformed"), "{}", reason("odd.xlsx"));
    assert_eq!(found(&stage, "handbook"), ["about.md"]);
}

#[test]
fn a_truncated_listing_deletes_nothing() {
    let second = "[[sources]]\nkind = \"directory\"\nname = \"more\"\ndirectory = \"project\"\n\
                  path = \"more\"\nprefix = \"more/\"\n";
    let stage = stage(second, "");
    stage.write("more/a.md", "Helmets.\n").unwrap();
    refresh(&stage);
    std::fs::rename(stage.path().join("more"), stage.path().join("away")).unwrap();
    stage.write("docs/b.md", "Brakes.\n").unwrap();
    let report = refresh(&stage)["report"].clone();
    assert_eq!(report["unread"][0]["source"], "more");
    assert_eq!(
        (&report["removed"], &report["added"]),
        (&serde_json::json!([]), &serde_json::json!(["b.md"]))
    );
    assert_eq!(found(&stage, "helmets"), ["more/a.md"]);
}

#[test]
fn scores_do_not_depend_on_the_split_into_segments_and_ties_are_stable() {
    let (whole, split) = (stage("", ""), stage("", ""));
    for number in 0..12 {
        let (path, text) =
            (format!("docs/{number:02}.md"), format!("Topic {} of twelve.\n", number % 3));
        whole.write(&path, &text.replace("twelve", &format!("twelve, number {number}"))).unwrap();
        split.write(&path, &text.replace("twelve", &format!("twelve, number {number}"))).unwrap();
        if number % 4 == 0 {
            refresh(&split);
        }
    }
    refresh(&whole);
    refresh(&split);
    let ranked = |stage: &Stage| {
        let found = search(stage, "topic of number twelve", &["--limit", "13"]);
        let passages = found["passages"].as_array().unwrap().clone();
        let row = |one: &Value| (one["id"].to_string(), one["score"].to_string());
        passages.iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(ranked(&whole).len(), 12);
    assert_eq!(ranked(&whole), ranked(&split));
}

#[test]
fn a_filter_that_one_in_a_hundred_passes_still_fills_k() {
    let stage = stage("", "");
    for number in 0..600 {
        let folder = if number % 100 == 7 { "rare" } else { "common" };
        let text = format!("Helmets of number {number}.\n");
        stage.write(&format!("docs/{folder}/{number}.md"), &text).unwrap();
    }
    refresh(&stage);
    let found = search(&stage, "helmets", &["--filter", "tags=rare", "--limit", "5"]);
    assert_eq!(found["considered"], 6);
    assert_eq!(found["passages"].as_array().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tenant_sees_anothers_chunks_or_cache_hits() {
    let server = ModelServer::start(Script::default()).await.unwrap();
    let embedding = "[embedding]\nprovider = \"up\"\nmodel = \"embed\"\ndimensions = 16\n";
    let stage = stage(embedding, &provider(&server));
    refresh(&stage);
    stage.groundcrew(&["tenant", "create", "other"]).unwrap();
    let other = |args: &[&str]| stage.json(&[args, &["--tenant", "other"]].concat());
    let search = ["knowledge", "search", "handbook", "handbook"];
    assert!(other(&search).unwrap_err().to_string().contains("no knowledge base"));
    stage.groundcrew(&["apply", "--tenant", "other"]).unwrap();
    assert!(other(&search).unwrap_err().to_string().contains("never refreshed"));
    // The same documents by the same model, and nothing of it is known here.
    let embedded =
        other(&["knowledge", "refresh", "handbook"]).unwrap()["report"]["embedding"].clone();
    assert_eq!((&embedded["embedded"], &embedded["cached"]), (&1.into(), &0.into()));
    let texts = server.requests().iter().filter(|asked| asked.path == "/v1/embeddings").count();
    assert_eq!(texts, 2);
    assert_eq!(other(&search).unwrap()["passages"].as_array().unwrap().len(), 1);
    std::fs::remove_file(stage.path().join("docs/about.md")).unwrap();
    stage.write("docs/new.md", "Nothing of it.\n").unwrap();
    other(&["knowledge", "refresh", "handbook"]).unwrap();
    assert_eq!(found(&stage, "handbook"), ["about.md"], "what one forgets the other keeps");
}

#[test]
fn who_was_told_what_a_planted_document_says_is_found_as_by_reading_every_trace() {
    let stage = Stage::support_desk().unwrap();
    let (path, planted) = ("handbook/returns/planted.md", "returns/planted.md");
    stage.write(path, "# Helmets\n\nA helmet can be returned for 99 days.\n").unwrap();
    stage.groundcrew(&["knowledge", "refresh", "handbook"]).unwrap();
    stage.groundcrew(&["release", "promote", "support", "--env", "prod"]).unwrap();
    for question in ["Can a helmet be returned?", "What does a full service cost?", "Helmet?"] {
        stage.groundcrew(&["ask", "support", question]).unwrap();
    }
    let traces = |more: &[&str]| -> Vec<String> {
        let listed = stage.json(&[&["trace", "list", "--limit", "1000"], more].concat()).unwrap();
        let listed = listed.as_array().unwrap().iter();
        listed.map(|listed| listed["trace"].as_str().unwrap().to_owned()).collect()
    };
    let told = |trace: &String| {
        let shown = stage.json(&["trace", "show", trace]).unwrap();
        let chunks = shown["retrieval"]["chunks"].as_array().unwrap().clone();
        chunks.iter().any(|chunk| chunk["document"] == planted)
    };
    let all = traces(&[]);
    let by_hand: Vec<_> = all.iter().filter(|trace| told(trace)).cloned().collect();
    assert!(!by_hand.is_empty() && by_hand.len() < all.len(), "{by_hand:?} of {all:?}");
    assert_eq!(traces(&["--document", planted]), by_hand);
    assert!(traces(&["--document", planted, "--since", "2999-01-01T00:00:00Z"]).is_empty());
}
