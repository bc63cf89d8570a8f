//! Knowledge is read when it is due, and who waits too long is told of.

use std::time::{Duration, Instant};

use e2e::Stage;
use serde_json::{Value, json};

/// A desk whose handbook promises that a change is served within a second.
fn desk() -> Stage {
    let mut stage = Stage::empty().unwrap();
    let hook = json!({"StartAt": "Told", "States": {"Told": {"Type": "Pass", "End": true}}});
    for (path, text) in [
        ("groundcrew.toml", "name = \"desk\"\nenvironments = [\"prod\"]\n"),
        (
            "apps/support.toml",
            "[slots]\nmodel = \"m\"\nprompt = \"p\"\nknowledge = \"handbook\"\n[delivery]\nenter = \"manual\"\n",
        ),
        ("models/m.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
        ("prompts/p.md", "Hello.\n"),
        (
            "knowledge/handbook.toml",
            "[[sources]]\nkind = \"directory\"\ndirectory = \"project\"\npath = \"docs\"\n\
             tier = \"hourly\"\nobjective = \"1s\"\n\
             [[sources]]\nkind = \"push\"\nprefix = \"inbox/\"\n",
        ),
        ("workflows/told.asl.json", &hook.to_string()),
        (
            "workflows/told.rule.toml",
            "pattern = { source = [\"groundcrew\"], \"detail-type\" = [{ prefix = \
             \"knowledge.freshness.\" }] }\n[[targets]]\nkind = \"execution\"\nworkflow = \"told\"\n",
        ),
        ("server.toml", "listen = \"127.0.0.1:0\"\n[directories.project]\npath = \".\"\n"),
        ("docs/a.md", "# Helmets\n\nFirst words."),
    ] {
        stage.write(path, text).unwrap();
    }
    stage.start().unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    stage
}

/// Waits until a command tells what is wanted.
fn wait(stage: &Stage, command: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let told = stage.json(command).unwrap();
        if wanted(&told) {
            return told;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{told:#}");
        std::thread::yield_now();
    }
}

/// Which crossings were told, the oldest first, once there are so many.
fn crossings(stage: &Stage, count: usize) -> Vec<String> {
    let list = ["workflow", "list", "told"];
    let told = wait(stage, &list, |told| told.as_array().is_some_and(|all| all.len() >= count));
    let kinds = told.as_array().unwrap().iter().rev();
    kinds.map(|one| one["input"]["detail-type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_due_is_read_by_itself_and_a_broken_promise_is_told_once_until_it_is_kept_again() {
    let mut stage = desk();
    let batches = ["knowledge", "batches", "handbook"];
    let first = wait(&stage, &batches, |told| !told.as_array().unwrap().is_empty());
    assert_eq!(first[0]["actor"], "system:freshness");
    stage.groundcrew(&["release", "promote", "support", "--env", "prod"]).unwrap();
    let freshness = ["knowledge", "freshness", "handbook"];
    let told = stage.json(&freshness).unwrap();
    assert_eq!(told[0]["serving"][0]["sources"][0]["pending"], 0, "{told:#}");
    assert!(
        told[0]["sources"][0]["due_at"].is_string() && told[0]["sources"][1]["due_at"].is_null()
    );

    stage.write("docs/a.md", "# Helmets\n\nSecond thoughts.").unwrap();
    let refreshed =
        stage.groundcrew(&["knowledge", "refresh", "handbook", "--source", "directory"]).unwrap();
    for told in ["batch 2", "sources read: directory\n", "~ a.md", "contents changed", "support-2"]
    {
        assert!(refreshed.contains(told), "{refreshed}");
    }
    assert_eq!(crossings(&stage, 1), ["knowledge.freshness.broken"]);
    let status = stage.groundcrew(&["knowledge", "status"]).unwrap();
    assert!(status.contains("1 of directory wait"), "{status}");
    assert!(status.contains("for support@prod, promise broken"), "{status}");
    // A restart tells nothing twice.
    stage.stop().unwrap();
    stage.start().unwrap();
    let told = stage.groundcrew(&freshness).unwrap();
    assert!(told.contains("broken"), "{told}");
    stage.groundcrew(&["release", "promote", "support", "--env", "prod"]).unwrap();
    let both = ["knowledge.freshness.broken", "knowledge.freshness.restored"];
    assert_eq!(crossings(&stage, 2), both);
    let served = stage.json(&freshness).unwrap();
    let directory = &served[0]["serving"][0]["sources"][0];
    assert_eq!((&directory["pending"], &directory["alert"]), (&json!(0), &json!("kept")));
    assert!(directory["lag"]["max"].as_i64() >= Some(1), "{served:#}");

    let file = ["knowledge", "report", "handbook", "2", "--markdown", "report.md"];
    stage.groundcrew(&file).unwrap();
    let markdown = std::fs::read_to_string(stage.path().join("report.md")).unwrap();
    assert!(markdown.starts_with("# Knowledge `handbook`, batch 2"), "{markdown}");
    assert!(markdown.contains("| a.md | directory | its contents changed |"), "{markdown}");
    let newest = stage.groundcrew(&["knowledge", "report", "handbook"]).unwrap();
    assert!(newest.contains("change support-2"), "{newest}");
    let unknown = stage.groundcrew(&["knowledge", "refresh", "handbook", "--source", "wiki"]);
    let unknown = unknown.unwrap_err().to_string();
    assert!(unknown.contains("`directory`, `push`"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_starts_its_refresh_and_nothing_else_until_it_ends_or_its_keys_are_revoked() {
    let stage = desk();
    let batches = ["knowledge", "batches", "handbook"];
    wait(&stage, &batches, |told| told[0]["number"] == 1);
    let forge = ["service:forge", "--role", "operator"];
    stage.groundcrew(&[&["user", "create"], &forge[..]].concat()).unwrap();
    let made = stage.json(&["key", "create", "service:forge"]).unwrap();
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let link = |rest: &[&str]| {
        let made = [&["knowledge", "refresh-link", "handbook", "--json"], rest].concat();
        let made: Value = serde_json::from_str(&stage.groundcrew_as(key, &made).unwrap()).unwrap();
        made["url"].as_str().unwrap().to_owned()
    };
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    // As a forge sends it: with a body, and no key.
    let call = async |url: &str| {
        let answer = client.post(url).body("{\"ref\": \"refs/heads/main\"}").send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let url = link(&["--source", "directory"]);
    stage.write("docs/b.md", "Pushed words.").unwrap();
    let (status, begun) = call(&url).await;
    assert_eq!(status, 202, "{begun}");
    let told = wait(&stage, &batches, |told| told[0]["number"] == 2);
    assert_eq!(told[0]["actor"], "service:forge");
    let other = url.replace("/hooks/refresh/", "/approve/");
    assert_eq!(client.get(other).send().await.unwrap().status(), 403);
    let (status, refused) = call(&format!("{url}x")).await;
    assert!(status == 403 && refused.contains("no link"), "{status} {refused}");

    let short = link(&["--expires", "1s"]);
    let start = Instant::now();
    while call(&short).await.0 == 202 {
        assert!(start.elapsed() < Duration::from_secs(30), "it does not end");
    }
    assert!(call(&short).await.1.contains("expired"));
    let unknown = ["knowledge", "refresh-link", "handbook", "--source", "wiki"];
    let unknown = stage.groundcrew(&unknown).unwrap_err().to_string();
    assert!(unknown.contains("no source `wiki`"), "{unknown}");
    stage.groundcrew(&["key", "revoke", id]).unwrap();
    let (status, refused) = call(&url).await;
    assert!(status == 403 && refused.contains("any more"), "{status} {refused}");
}
