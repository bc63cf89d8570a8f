//! The pipeline of teams' CI: from a commit to production by one command, and by the push of a git
//! forge.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::Stage;
use serde_json::Value;
use testkit::model_server::{ModelServer, Script};

const APP: &str = "[slots]\nmodel = \"extractive\"\nprompt = \"plain\"\n";
const GATES: &str = "[[delivery.environments.staging.gates]]\nkind = \"eval\"\nsuite = \"short\"\n\
    [[delivery.environments.staging.gates]]\nkind = \"scan\"\n";

/// A file of the project, committed in its own repository.
fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(directory).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(directory: &Path) -> String {
    git(directory, &["add", "."]);
    let ada = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
    git(directory, &[&ada[..], &["commit", "--quiet", "-m", "a change"]].concat());
    git(directory, &["rev-parse", "HEAD"])
}

/// The files of a project whose app is delivered by these rules.
fn project(stage: &Stage, folder: &str, rules: &str) {
    let suite = "cases = \"short.jsonl\"\n[scorers.short]\nmeasure = { kind = \"length\" }\n\
        at_most = 1000\n";
    for (path, text) in [
        ("groundcrew.toml", "name = \"desk\"\nenvironments = [\"dev\", \"staging\", \"prod\"]\n"),
        ("apps/desk.toml", &format!("{APP}{rules}")),
        ("prompts/plain.md", "You are helpful.\n"),
        ("models/extractive.toml", "provider = \"extractive\"\nmodel = \"extractive-1\"\n"),
        ("evals/short.toml", suite),
        ("evals/short.jsonl", "{\"id\": \"hello\", \"input\": \"Hello?\"}\n"),
    ] {
        stage.write(&format!("{folder}{path}"), text).unwrap();
    }
}

fn stage(rules: &str) -> Stage {
    let mut stage = Stage::empty().unwrap();
    stage.write("server.toml", "listen = \"127.0.0.1:0\"\n").unwrap();
    project(&stage, "", rules);
    stage.write(".gitignore", ".groundcrew/\n*.xml\n*.sarif\n*.summary\n").unwrap();
    git(stage.path(), &["init", "--quiet", "--initial-branch", "main"]);
    commit(stage.path());
    stage.start().unwrap();
    stage
}

fn read(stage: &Stage, file: &str) -> String {
    std::fs::read_to_string(stage.path().join(file)).unwrap()
}

const RUN: [&str; 8] =
    ["pipeline", "run", "--junit", "out.xml", "--sarif", "out.sarif", "--summary", "out.summary"];

fn code(stage: &Stage, more: &[&str]) -> Option<i32> {
    stage.code(&[&RUN[..], more].concat()).unwrap()
}

#[test]
fn a_commit_goes_to_production_once_and_its_record_tells_all_of_it() {
    let soak = "[[delivery.environments.prod.gates]]\nkind = \"soak\"\n\
        environment = \"staging\"\nhours = 0.0005\n";
    let stage = stage(&format!("{GATES}{soak}"));
    let head = git(stage.path(), &["rev-parse", "HEAD"]);
    assert_eq!(code(&stage, &["-m", "the first"]), Some(0));
    let junit = read(&stage, "out.xml");
    for test in ["desk.dev", "desk.staging", "gate eval", "gate scan", "desk.prod", "gate soak"] {
        assert!(junit.contains(test), "{test} {junit}");
    }
    assert!(junit.contains("failures=\"0\" errors=\"0\" skipped=\"0\""), "{junit}");
    let summary = read(&stage, "out.summary");
    assert!(summary.contains(&head) && summary.contains("### desk: live"), "{summary}");

    let record = stage.groundcrew(&["release", "record", "desk", "1"]).unwrap();
    for told in [&*head, "Ada <ada@example.com>", "the first", "gate eval passed", "short-"] {
        assert!(record.contains(told), "{told}: {record}");
    }
    // The same commit again finds it done, and pays for nothing.
    let evaluations = stage.json(&["eval", "list"]).unwrap();
    assert_eq!(code(&stage, &[]), Some(0));
    assert_eq!(stage.json(&["eval", "list"]).unwrap(), evaluations);
    let history = stage.json(&["release", "history", "desk", "--env", "prod"]).unwrap();
    assert_eq!(history["log"].as_array().unwrap().len(), 1);
}

#[test]
fn how_it_ends_is_told_by_its_code() {
    let approval = "[[delivery.environments.prod.gates]]\nkind = \"approval\"\n";
    let mut stage = stage(&format!("{GATES}{approval}"));
    // A person must approve, and what is to be done is told.
    let told = stage.printed(&["pipeline", "run"]).unwrap();
    assert!(told.contains("next: groundcrew release approve desk"), "{told}");
    assert_eq!(code(&stage, &[]), Some(3));
    assert!(read(&stage, "out.summary").contains("groundcrew release approve desk"));
    assert_eq!(code(&stage, &["--to", "staging"]), Some(0));

    // A gate speaks against it, with the line.
    stage.write("prompts/plain.md", "Help.\nUse sk-abcdefghijklmnopqrstuvwx.\n").unwrap();
    assert_eq!(code(&stage, &["--to", "staging"]), Some(4));
    let sarif: Value = serde_json::from_str(&read(&stage, "out.sarif")).unwrap();
    let found = &sarif["runs"][0]["results"][0];
    assert_eq!(found["ruleId"], "scan/secrets", "{sarif:#}");
    let place = &found["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "prompts/plain.md");
    assert_eq!(place["region"]["startLine"], 2);
    let junit = read(&stage, "out.xml");
    assert!(junit.contains("name=\"gate scan\"><failure"), "{junit}");
    // Nothing was asked of what a scan speaks against.
    assert_eq!(stage.json(&["eval", "list"]).unwrap().as_array().unwrap().len(), 1);

    // Files with mistakes, told with their place.
    stage.write("apps/desk.toml", "[slots]\nmodle = \"extractive\"\nprompt = \"plain\"\n").unwrap();
    assert_eq!(code(&stage, &[]), Some(2));
    let sarif: Value = serde_json::from_str(&read(&stage, "out.sarif")).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert!(!results.is_empty() && results[0]["level"] == "error", "{sarif:#}");
    assert!(read(&stage, "out.xml").contains("<error"));
    assert_eq!(code(&stage, &["--app", "nobody"]), Some(2));
    stage.stop().unwrap();
    let url = stage.url.clone();
    assert_eq!(code(&stage, &["--url", &url]), Some(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_gives_its_prompt_away_is_kept_out_by_the_jailbreak_scan() {
    let upstream = ModelServer::start(Script::default()).await.unwrap();
    let mut stage = Stage::scripted("openai", &upstream.openai_url(), &["echo-system"]).unwrap();
    let scan = "[delivery]\nenter = \"manual\"\n[[delivery.environments.prod.gates]]\nkind = \"scan\"\n\
        checks = [\"jailbreak\", \"model_files\"]\n";
    let slots = "[slots]\nmodel = \"echo-system\"\nprompt = \"plain\"\n";
    stage.write("apps/echo-system.toml", &format!("{slots}{scan}")).unwrap();
    // It answers with what it was told.
    let prompt = "You answer for Tarn & Tread, and you only ever speak of bicycles.\n";
    stage.write("prompts/plain.md", prompt).unwrap();
    assert_eq!(code(&stage, &[]), Some(4));
    let junit = read(&stage, "out.xml");
    assert!(junit.contains("jailbreak attempts came through (by jailbreak-"), "{junit}");
    let evaluations = stage.json(&["eval", "list", "--suite", "jailbreak"]).unwrap();
    assert_eq!(evaluations.as_array().unwrap().len(), 1);

    let meek = slots.replace("echo-system", "scripted");
    stage.write("apps/echo-system.toml", &format!("{meek}{scan}")).unwrap();
    stage.write("models/scripted.toml", "provider = \"scripted\"\nmodel = \"scripted\"\n").unwrap();
    assert_eq!(code(&stage, &[]), Some(0));
    let gates = stage.groundcrew(&["release", "gates", "echo-system", "--env", "prod"]).unwrap();
    assert!(gates.contains("0 of 43 jailbreak attempts came through"), "{gates}");
    assert!(gates.contains("not applicable: model `scripted` is by name"), "{gates}");
    stage.stop().unwrap();
}

#[test]
fn a_held_release_waits_for_a_person_and_says_why() {
    let stage = stage("");
    stage.groundcrew(&["apply"]).unwrap();
    let hold = ["release", "hold", "desk", "1", "--environment", "staging"];
    let held = stage.groundcrew(&[&hold[..], &["--reason", "it is odd"]].concat()).unwrap();
    assert!(held.contains("is held"), "{held}");
    assert_eq!(code(&stage, &[]), Some(3));
    assert!(read(&stage, "out.xml").contains("groundcrew release unhold desk"));
    let shown = stage.groundcrew(&["release", "show", "desk", "1"]).unwrap();
    assert!(shown.contains("held in staging by user:admin") && shown.contains("it is odd"));
    let history = stage.groundcrew(&["release", "history", "desk", "--env", "staging"]).unwrap();
    assert!(history.contains("it is odd"), "{history}");
    stage
        .groundcrew(&["release", "unhold", "desk", "1", "--env", "staging", "-m", "it is not"])
        .unwrap();
    assert_eq!(code(&stage, &[]), Some(0));
}

#[test]
fn a_server_that_is_killed_in_between_goes_on_and_so_does_the_command() {
    let soak = "[[delivery.environments.prod.gates]]\nkind = \"soak\"\n\
        environment = \"staging\"\nhours = 0.003\n";
    let mut stage = stage(soak);
    let mut child = stage.spawn(&["pipeline", "run"]).unwrap();
    let staging = ["release", "history", "desk", "--env", "staging", "--json"];
    let entered = || {
        let told = stage.printed(&staging).unwrap();
        let told: Value = serde_json::from_str(&told).unwrap_or_default();
        told["pointer"]["stable"].is_string()
    };
    for _ in 0..200 {
        if entered() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(entered());
    stage.kill().unwrap();
    stage.start().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let prod = stage.json(&["release", "history", "desk", "--env", "prod"]).unwrap();
    assert_eq!(prod["log"].as_array().unwrap().len(), 1);
    let executions = stage.json(&["workflow", "list", "groundcrew.pipeline.run"]).unwrap();
    assert!(executions.to_string().matches("SUCCEEDED").count() == 1, "{executions:#}");
}

const SECRET: &str = "It's a Secret to Everybody";

/// What GitHub sends of a push, and what it proves it with.
fn push(before: &str, after: &str, branch: &str) -> (String, String) {
    let reference = format!("refs/heads/{branch}");
    let body = serde_json::json!({"ref": reference, "before": before, "after": after}).to_string();
    let digest = ["dgst", "-sha256", "-hmac", SECRET, "-r"];
    let mut openssl = Command::new("openssl")
        .args(digest)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut openssl.stdin.take().unwrap(), body.as_bytes()).unwrap();
    let told = String::from_utf8(openssl.wait_with_output().unwrap().stdout).unwrap();
    let signature = format!("sha256={}", told.split_whitespace().next().unwrap());
    (body, signature)
}

async fn hook(stage: &Stage, name: &str, (body, signature): &(String, String)) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("{}/hooks/git/{name}", stage.url));
    let request = request.header("x-github-event", "push").header("x-hub-signature-256", signature);
    let answer = request.body(body.clone()).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// How the execution that a hook began ended.
fn ended(stage: &Stage, begun: &Value) -> Value {
    let execution = begun["execution"].as_str().unwrap();
    for _ in 0..300 {
        let (workflow, name) = execution.split_once('/').unwrap();
        let told = stage.json(&["workflow", "show", &format!("{workflow}/{name}")]).unwrap();
        if told["status"] != "RUNNING" {
            return told;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{execution} does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_applied_once_as_its_commit_has_it_and_goes_on_through_the_pipeline() {
    let mut stage = Stage::empty().unwrap();
    let repository = stage.path().join("shop");
    project(&stage, "shop/desk/", "[delivery]\nenter = \"manual\"\n");
    git(&repository, &["init", "--quiet", "--initial-branch", "main"]);
    let first = commit(&repository);
    stage.write("secret", SECRET).unwrap();
    let secret = stage.path().join("secret");
    let server = format!(
        "listen = \"127.0.0.1:0\"\n[git.desk]\nkind = \"github\"\nsecret = \"file:{}\"\n\
         path = \"shop\"\ndirectory = \"desk\"\npipeline = \"staging\"\n",
        secret.display()
    );
    stage.write("server.toml", &server).unwrap();
    stage.start().unwrap();

    let told = push("", &first, "main");
    let forged = (told.0.clone(), push("", &first, "other").1);
    assert_eq!(hook(&stage, "desk", &forged).await.0, 401);
    assert_eq!(hook(&stage, "nobody", &told).await.0, 404);
    let other = hook(&stage, "desk", &push("", &first, "other")).await;
    assert_eq!((other.0, &other.1["ignored"]), (202, &"it is another branch".into()));
    assert_eq!(
        stage.json(&["workflow", "list", "groundcrew.git.apply"]).unwrap(),
        serde_json::json!([])
    );

    let (status, begun) = hook(&stage, "desk", &told).await;
    assert_eq!(status, 202);
    assert_eq!(hook(&stage, "desk", &told).await.1, begun);
    let applied = ended(&stage, &begun);
    assert_eq!(applied["output"]["outcome"], "applied", "{applied:#}");
    assert_eq!(hook(&stage, "desk", &told).await.1, begun);
    let pipeline = serde_json::json!({"execution": applied["output"]["pipelines"][0]});
    assert_eq!(ended(&stage, &pipeline)["output"]["outcome"], "live");
    let record = stage.groundcrew(&["release", "record", "desk", "1"]).unwrap();
    for told in [&*first, "Ada <ada@example.com>", "service:git.desk", "a change", "staging"] {
        assert!(record.contains(told), "{told}: {record}");
    }
    assert!(!record.contains("prod"), "{record}");

    // Two pushes, the older told of after the newer: it does not come back.
    stage.write("shop/desk/prompts/plain.md", "You are kind.\n").unwrap();
    let second = commit(&repository);
    stage.write("shop/desk/prompts/plain.md", "You are brief.\n").unwrap();
    let third = commit(&repository);
    let begun = hook(&stage, "desk", &push(&second, &third, "main")).await.1;
    assert_eq!(ended(&stage, &begun)["output"]["outcome"], "applied");
    let late = hook(&stage, "desk", &push(&first, &second, "main")).await.1;
    assert_eq!(ended(&stage, &late)["output"]["outcome"], "overtaken");
    assert_eq!(stage.json(&["release", "list", "desk"]).unwrap().as_array().unwrap().len(), 2);

    // A link could lead anywhere, so it is refused, and so is a project with mistakes.
    std::os::unix::fs::symlink("/etc/passwd", repository.join("desk/prompts/link.md")).unwrap();
    let linked = commit(&repository);
    let begun = hook(&stage, "desk", &push(&third, &linked, "main")).await.1;
    let refused = ended(&stage, &begun);
    assert!(
        refused["cause"].as_str().unwrap().contains("`prompts/link.md` is a link"),
        "{refused}"
    );
    std::fs::remove_file(repository.join("desk/prompts/link.md")).unwrap();
    stage.write("shop/desk/apps/desk.toml", "[slots]\n").unwrap();
    let wrong = commit(&repository);
    let begun = hook(&stage, "desk", &push(&linked, &wrong, "main")).await.1;
    let refused = ended(&stage, &begun);
    assert!(refused["cause"].as_str().unwrap().contains("apps/desk.toml:"), "{refused}");
}
