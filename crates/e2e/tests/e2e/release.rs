//! Releases, their history, and the way back.

use e2e::Stage;

const QUESTION: &str = "How many days do I have to return a helmet?";

fn ask(stage: &Stage) -> (String, String) {
    let answer = stage.json(&["ask", "support", QUESTION]).unwrap();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    (text, answer["release"].as_str().unwrap().to_owned())
}

/// A change of the kind a file stands for, then the way back.
fn a_rollback_restores_after(from: &str, to: &str) {
    let stage = Stage::support_desk().unwrap();
    let first = ask(&stage);
    std::fs::copy(stage.path().join(from), stage.path().join(to)).unwrap();
    stage.groundcrew(&["apply", "-m", "second"]).unwrap();
    stage.groundcrew(&["knowledge", "refresh", "handbook"]).unwrap();
    stage.groundcrew(&["release", "promote", "support", "--env", "prod"]).unwrap();
    let second = ask(&stage);
    assert_ne!(first.0, second.0, "the change must show");
    stage.groundcrew(&["release", "rollback", "support", "--env", "prod"]).unwrap();
    assert_eq!(ask(&stage), first);
}

#[test]
fn a_rollback_restores_the_answers_after_a_prompt_change() {
    a_rollback_restores_after("variations/prompt/support.md", "prompts/support.md");
}

#[test]
fn a_rollback_restores_the_answers_after_a_knowledge_change() {
    let document = "handbook/returns/return-policy.md";
    a_rollback_restores_after("variations/knowledge/returns-update.md", document);
}

#[test]
fn a_rollback_restores_the_answers_after_a_model_change() {
    a_rollback_restores_after("variations/model/support.toml", "apps/support.toml");
}

#[test]
fn a_trace_names_the_release_and_the_passages() {
    let stage = Stage::support_desk().unwrap();
    let answer = stage.json(&["ask", "support", QUESTION]).unwrap();
    let trace = stage.json(&["trace", "show", answer["trace"].as_str().unwrap()]).unwrap();
    assert_eq!(trace["release"], answer["release"]);
    assert_eq!(trace["outcome"]["outcome"], "answered");
    let chunks = trace["retrieval"]["chunks"].as_array().unwrap();
    let cited = &answer["choices"][0]["message"]["annotations"][0]["passage"]["id"];
    assert!(chunks.iter().any(|chunk| chunk["id"] == *cited));
    let release = stage.json(&["release", "show", "support", "1"]).unwrap();
    assert_eq!(trace["retrieval"]["snapshot"], release["release"]["slots"]["knowledge"]["digest"]);
}

#[test]
fn applying_or_refreshing_without_a_change_proposes_nothing() {
    let stage = Stage::support_desk().unwrap();
    let applied = stage.json(&["apply"]).unwrap();
    let refreshed = stage.json(&["knowledge", "refresh", "handbook"]).unwrap();
    assert_eq!(applied["changes"], serde_json::json!([]));
    assert_eq!(refreshed["unchanged"], true);
    assert_eq!(refreshed["changes"], serde_json::json!([]));
}

#[test]
fn a_new_project_works_as_it_is_and_survives_a_restart() {
    let mut stage = Stage::empty().unwrap();
    stage.groundcrew(&["init"]).unwrap();
    let again = stage.groundcrew(&["init"]).unwrap_err().to_string();
    assert!(again.contains("nothing was written"), "{again}");
    let config = stage.path().join("server.toml");
    let text = std::fs::read_to_string(&config).unwrap().replace(":7070", ":0");
    std::fs::write(config, text).unwrap();
    stage.groundcrew(&["apply", "--check"]).unwrap();
    stage.start().unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    stage.groundcrew(&["knowledge", "refresh", "docs"]).unwrap();
    let ask = ["ask", "assistant@dev", "What happens to every file?", "--json"];
    let answer = stage.groundcrew(&ask).unwrap();
    assert!(answer.contains("cut into passages"), "{answer}");
    assert_eq!(stage.stop().unwrap(), Some(0));
    stage.start().unwrap();
    assert!(stage.groundcrew(&ask).unwrap().contains("cut into passages"));
}

#[test]
fn keys_tenants_and_users_are_made_and_keep_to_themselves() {
    let stage = Stage::support_desk().unwrap();
    stage.groundcrew(&["user", "create", "service:shop", "--role", "client"]).unwrap();
    let made = stage.json(&["key", "create", "service:shop"]).unwrap();
    stage.write("client.key", made["key"].as_str().unwrap()).unwrap();
    let client = ["--key-file", "client.key"];
    let asked = stage.groundcrew(&["ask", "support", QUESTION, client[0], client[1]]);
    assert!(asked.is_ok(), "{asked:?}");
    for forbidden in [&["trace", "list"][..], &["apply"], &["key", "list"], &["tenant", "list"]] {
        let args: Vec<_> = forbidden.iter().chain(&client).copied().collect();
        let refused = stage.groundcrew(&args).unwrap_err().to_string();
        assert!(refused.contains("GC0403"), "{forbidden:?}: {refused}");
    }
    stage.groundcrew(&["tenant", "create", "other"]).unwrap();
    let other = ["ask", "support", QUESTION, "--tenant", "other"];
    assert!(stage.groundcrew(&other).unwrap_err().to_string().contains("no app `support`"));
    let traces = stage.json(&["trace", "list", "--tenant", "other"]).unwrap();
    assert_eq!(traces, serde_json::json!([]));
    stage.groundcrew(&["key", "revoke", made["id"].as_str().unwrap()]).unwrap();
    let refused = stage.groundcrew(&["ask", "support", QUESTION, client[0], client[1]]);
    assert!(refused.unwrap_err().to_string().contains("no valid key"));
}

#[test]
fn a_corrupt_segment_is_named_and_other_apps_keep_serving() {
    let mut stage = Stage::support_desk().unwrap();
    stage
        .write("apps/bare.toml", "[slots]\nmodel = \"extractive\"\nprompt = \"support\"\n")
        .unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    let status = stage.json(&["status"]).unwrap();
    let snapshot = status["knowledge"][0]["snapshot"].as_str().unwrap().to_owned();
    let hex = snapshot.trim_start_matches("sha256:");
    let blob = stage.path().join(".groundcrew/blobs/default").join(&hex[..2]).join(hex);
    let mut bytes = std::fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(blob, bytes).unwrap();
    stage.stop().unwrap();
    stage.start().unwrap();
    let refused = stage.groundcrew(&["ask", "support", QUESTION]).unwrap_err().to_string();
    assert!(refused.contains(&snapshot) && refused.contains("corrupt"), "{refused}");
    stage.groundcrew(&["ask", "bare@dev", QUESTION]).unwrap();
    let status = stage.json(&["status"]).unwrap();
    assert_eq!(status["cannot_answer"].as_array().unwrap().len(), 2);
}

#[test]
fn a_rollback_returns_to_what_was_live_and_to_nothing_else() {
    let stage = Stage::support_desk().unwrap();
    let (from, to) = ("variations/prompt/support.md", "prompts/support.md");
    std::fs::copy(stage.path().join(from), stage.path().join(to)).unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    let rollback = ["release", "rollback", "support", "--env", "prod", "--to", "#2"];
    let error = stage.groundcrew(&rollback).unwrap_err().to_string();
    assert!(error.contains("was never live") && error.contains("promote it instead"), "{error}");
}

#[test]
fn an_app_that_was_removed_comes_back_and_goes_on_counting() {
    let stage = Stage::scripted("openai", "http://127.0.0.1:9/v1", &["m"]).unwrap();
    let app = "[slots]\nmodel = \"m\"\nprompt = \"plain\"\n[delivery]\nenter = \"manual\"\n";
    stage.write("apps/side.toml", app).unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    std::fs::remove_file(stage.path().join("apps/side.toml")).unwrap();
    stage.groundcrew(&["apply", "--prune"]).unwrap();
    stage.write("apps/side.toml", app).unwrap();
    let applied = stage.json(&["apply"]).unwrap();
    assert_eq!(applied["changes"][0]["id"], "side-2", "{applied}");
}

#[test]
fn one_project_does_not_take_what_another_defines() {
    let stage = Stage::scripted("openai", "http://127.0.0.1:9/v1", &["m"]).unwrap();
    stage.write("groundcrew.toml", "name = \"other\"\nenvironments = [\"prod\"]\n").unwrap();
    let error = stage.groundcrew(&["apply"]).unwrap_err().to_string();
    assert!(error.contains("app m belongs to project `scripted`"), "{error}");
}
