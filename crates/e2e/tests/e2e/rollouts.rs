//! A prompt that makes the model fail more often is taken back without a person, and a good one
//! becomes the stable release: on answers that clients get, and on copies that none sees. An experiment
//! finds which of two is better.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use e2e::Stage;
use serde_json::{Value, json};
use testkit::model_server::{ModelServer, Script};

const RULES: &str = "[slots]\nmodel = \"moody\"\nprompt = \"plain\"\n\
    [delivery]\nenter = \"manual\"\n[delivery.environments.prod]\nstrategy = \"canary\"\n\
    steps = [{ weight = 20, seconds = 1 }, { weight = 50, seconds = 1 }]\n\
    evidence = { healthy_rate = 0.2 }\n";

/// Sessions that ask once each, several at a time, until they are told to stop; how many got an
/// answer, or an error, of each release.
async fn clients(stage: &Stage, done: &AtomicBool, next: &AtomicU64) -> BTreeMap<String, u64> {
    let ask = || async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut asked = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let session = format!("session-{}", next.fetch_add(1, Ordering::Relaxed));
            let body =
                json!({"model": "moody", "messages": [{"role": "user", "content": session}]});
            let request = client.post(format!("{}/v1/chat/completions", stage.url));
            let request = request.bearer_auth(&stage.key).header("x-groundcrew-session", session);
            // Some fail, as the prompt says.
            let response = request.json(&body).send().await.unwrap();
            let release = response.headers()["x-groundcrew-release"].to_str().unwrap();
            asked.push(release.to_owned());
        }
        asked
    };
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    let mut answered = BTreeMap::new();
    for release in [a, b, c, d].into_iter().flatten() {
        *answered.entry(release).or_default() += 1;
    }
    answered
}

/// Promotes the prompt `text` and waits, under traffic, until its rollout does not go on; how it
/// stands then, and what clients got meanwhile.
async fn roll_out(stage: &Stage, next: &AtomicU64, text: &str) -> (Value, BTreeMap<String, u64>) {
    stage.write("prompts/plain.md", text).unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    let begun = stage.json(&["release", "promote", "moody", "--env", "prod"]).unwrap();
    let id = begun["move"]["to"]["id"].as_str().unwrap().to_owned();
    let done = AtomicBool::new(false);
    let watched = async {
        let path = id.replacen('/', "/environments/", 1).replacen("/prod/", "/prod/rollouts/", 1);
        loop {
            let rollout = stage.get(&format!("/api/v1/apps/{path}")).await.unwrap();
            let rollout: Value = rollout.json().await.unwrap();
            let state = rollout["state"]["state"].as_str().unwrap().to_owned();
            if state != "progressing" {
                done.store(true, Ordering::Relaxed);
                return rollout;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    let over = tokio::time::timeout(std::time::Duration::from_secs(120), async {
        tokio::join!(watched, clients(stage, &done, next))
    });
    over.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_prompt_is_taken_back_without_a_person_and_a_good_one_is_promoted() {
    let upstream = ModelServer::start(Script::default()).await.unwrap();
    let mut stage = Stage::scripted("openai", &upstream.openai_url(), &["moody"]).unwrap();
    stage.write("apps/moody.toml", RULES).unwrap();
    stage.write("prompts/plain.md", "You are helpful: fail 5 % of the time.\n").unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    stage.groundcrew(&["release", "promote", "moody", "--env", "prod", "--now"]).unwrap();
    let next = AtomicU64::new(0);

    let (bad, _) = roll_out(&stage, &next, "You are helpful: fail 70 % of the time.\n").await;
    assert_eq!(bad["state"]["state"], "rolled_back", "{bad:#}");
    let decided = bad["passed"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(decided["by"], "system:rollouts");
    assert_eq!(decided["looked"]["finding"], "harm");
    let status = stage.json(&["release", "history", "moody", "--env", "prod"]).unwrap();
    assert_eq!(status["pointer"]["stable"], bad["control"]);
    assert_eq!(status["pointer"]["held"], json!([bad["candidate"]]));

    // A restart in the middle changes nothing: everything stands in the store and the tables.
    stage.kill().unwrap();
    stage.start().unwrap();
    let (good, _) = roll_out(&stage, &next, "You are helpful: fail 0 % of the time.\n").await;
    assert_eq!(good["state"]["state"], "completed", "{good:#}");
    let decided = good["passed"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(decided["looked"]["finding"], "safe");
    let status = stage.json(&["release", "history", "moody", "--env", "prod"]).unwrap();
    assert_eq!(status["pointer"]["stable"], good["candidate"]);

    let listed = stage.groundcrew(&["rollout", "list", "moody", "--env", "prod"]).unwrap();
    assert!(listed.contains("completed") && listed.contains("rolled back"), "{listed}");
    let id = bad["id"].as_str().unwrap();
    let shown = stage.groundcrew(&["rollout", "show", id]).unwrap();
    assert!(shown.contains("fails more often than the control"), "{shown}");
    let watched = stage.groundcrew(&["rollout", "watch", id]).unwrap_err().to_string();
    assert!(watched.contains("is rolled back"), "{watched}");
}

const DRAFT: &str = "name = \"calm\"\nhypothesis = \"a calm prompt fails less often\"\ndays = 1\n\
    variants = [{ name = \"control\", release = \"STABLE\", weight = 50 }, \
    { name = \"calm\", release = \"NEWEST\", weight = 50 }]\n\
    primary = { measure = \"failures\", margin = 0.05 }\n\
    guardrails = [{ measure = \"latency\", margin = 10 }]\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_finds_the_better_prompt_and_a_person_adopts_it() {
    let upstream = ModelServer::start(Script::default()).await.unwrap();
    let stage = Stage::scripted("openai", &upstream.openai_url(), &["moody"]).unwrap();
    stage.write("apps/moody.toml", RULES).unwrap();
    stage.write("prompts/plain.md", "You are helpful: fail 60 % of the time.\n").unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    stage.groundcrew(&["release", "promote", "moody", "--env", "prod", "--now"]).unwrap();
    stage.write("prompts/plain.md", "You are helpful: fail 5 % of the time.\n").unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    let status = stage.json(&["release", "history", "moody", "--env", "prod"]).unwrap();
    let stable = status["pointer"]["stable"].as_str().unwrap();
    let listed = stage.json(&["release", "list", "moody"]).unwrap();
    let sequences = listed.as_array().unwrap().iter().map(|it| it["sequence"].as_u64().unwrap());
    let newest = sequences.max().unwrap().to_string();
    let draft = DRAFT.replace("STABLE", stable).replace("NEWEST", &newest);
    stage.write("calm.toml", &draft).unwrap();
    let file = stage.path().join("calm.toml");
    let file = file.to_str().unwrap();
    let drafted = stage.groundcrew(&["experiment", "draft", "moody", "--env", "prod", file]);
    assert!(drafted.unwrap().contains("moody/prod/calm: draft"));
    let id = "moody/prod/calm";
    stage.groundcrew(&["experiment", "start", id]).unwrap();
    let refused = stage.groundcrew(&["release", "promote", "moody", "--env", "prod"]).unwrap_err();
    assert!(refused.to_string().contains("pause or stop it first"), "{refused}");

    let (done, next) = (AtomicBool::new(false), AtomicU64::new(0));
    let watched = async {
        loop {
            let shown = stage.json(&["experiment", "show", id]).unwrap();
            if shown["state"]["state"] != "running" {
                done.store(true, Ordering::Relaxed);
                return shown;
            }
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    };
    let over = tokio::time::timeout(std::time::Duration::from_secs(180), async {
        tokio::join!(watched, clients(&stage, &done, &next))
    });
    let stopped = over.await.unwrap().0;
    assert_eq!(stopped["state"]["verdict"], "win", "{stopped:#}");
    let shown = stage.groundcrew(&["experiment", "conclude", id, "--adopt"]).unwrap();
    assert!(shown.contains("concluded, win") && shown.contains("failures is better"), "{shown}");
    let rollouts = stage.json(&["rollout", "list", "moody", "--env", "prod"]).unwrap();
    assert_eq!(rollouts[0]["candidate"], stopped["design"]["variants"][1]["release"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_is_judged_by_copies_that_no_client_sees() {
    let upstream = ModelServer::start(Script::default()).await.unwrap();
    let mut stage = Stage::scripted("openai", &upstream.openai_url(), &["moody"]).unwrap();
    let steps = "[{ weight = 20, seconds = 1 }, { weight = 50, seconds = 1 }]";
    let shadow = RULES.replace("canary", "shadow");
    let shadow = shadow.replace(steps, "[{ mirror = 60, seconds = 1 }]");
    stage.write("apps/moody.toml", &shadow).unwrap();
    stage.write("prompts/plain.md", "You are helpful: fail 5 % of the time.\n").unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    stage.groundcrew(&["release", "promote", "moody", "--env", "prod", "--now"]).unwrap();
    let next = AtomicU64::new(0);

    // Without a price no cap can be kept.
    let good = "You are helpful: fail 0 % of the time.\n";
    let (unpriced, _) = roll_out(&stage, &next, good).await;
    assert_eq!(unpriced["state"]["state"], "paused", "{unpriced:#}");
    let why = unpriced["passed"].as_array().unwrap().last().unwrap()["why"].as_str().unwrap();
    assert!(why.contains("have no price in USD"), "{why}");
    stage.groundcrew(&["release", "abort", "moody", "--env", "prod"]).unwrap();
    let server = std::fs::read_to_string(stage.path().join("server.toml")).unwrap();
    let price = "[[prices]]\nprovider = \"scripted\"\nmodel = \"moody\"\ninput = 1\noutput = 1\n";
    stage.write("server.toml", &format!("{server}{price}")).unwrap();
    stage.kill().unwrap();
    stage.start().unwrap();

    let (bad, seen) = roll_out(&stage, &next, "You are helpful: fail 70 % of the time.\n").await;
    assert_eq!(bad["state"]["state"], "rolled_back", "{bad:#}");
    assert_eq!(bad["looked"]["finding"], "harm");
    let only = [bad["control"].as_str().unwrap()];
    assert_eq!(seen.keys().collect::<Vec<_>>(), only, "no client got anything of the candidate");
    let (good, seen) = roll_out(&stage, &next, good).await;
    assert_eq!(good["state"]["state"], "completed", "{good:#}");
    let copies = &good["looked"]["copies"];
    assert!(copies["made"].as_u64().unwrap() > 0 && copies["spent"]["nanos"].as_u64().unwrap() > 0);
    // Those that came when it had just become the stable release got its answers.
    assert!(seen.contains_key(good["control"].as_str().unwrap()), "{seen:?}");

    let shown = stage.groundcrew(&["rollout", "show", bad["id"].as_str().unwrap()]).unwrap();
    assert!(shown.contains("copies of 60 %") && shown.contains(" of 10.0 USD spent"), "{shown}");
    let count = |clients: &str| {
        let sql = format!(
            "SELECT count(*) AS n FROM spans WHERE name = 'answer' AND release = '{}' AND \
             attributes['groundcrew.copy_of'] IS {clients}",
            bad["candidate"].as_str().unwrap()
        );
        stage.json(&["query", &sql]).unwrap()["n"].as_u64().unwrap()
    };
    assert!(count("NOT NULL") > 0 && count("NULL") == 0, "each copy is marked as one");
}
