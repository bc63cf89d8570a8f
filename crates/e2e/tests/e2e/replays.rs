//! Recorded requests: answered again, drawn as cases, and scored as they come.

use e2e::Stage;
use serde_json::{Value, json};

/// Asks the app in `prod`, with variables of the prompt; the trace.
fn ask(stage: &Stage, question: &str) -> String {
    let body = json!({"model": "support@prod", "temperature": 0.1,
        "metadata": {"channel": "email"}, "messages": [{"role": "user", "content": question}]});
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answered = runtime.block_on(stage.post("/v1/chat/completions", body.to_string())).unwrap();
    assert!(answered.status().is_success(), "{}", answered.status());
    answered.headers()["x-groundcrew-trace"].to_str().unwrap().to_owned()
}

#[test]
fn a_recorded_request_is_answered_again_by_the_same_and_by_another_release() {
    let stage = Stage::support_desk().unwrap();
    let trace = ask(&stage, "How many days do I have to return something?");

    // The same release repeats itself, and says so.
    let same = stage.json(&["trace", "replay", &trace]).unwrap();
    assert_eq!(same["likeness"]["same"], true, "{same:#}");
    assert_eq!(same["recorded"]["release"], same["replayed"]["release"]);
    assert_eq!(same["differences"], json!([]), "{same:#}");
    let passages = same["passages"].as_array().unwrap();
    assert!(!passages.is_empty() && passages.iter().all(|it| it["before"] == it["after"]));

    // Another model is another release: it need not be live.
    let variation = stage.path().join("variations/model/support.toml");
    std::fs::copy(variation, stage.path().join("apps/support.toml")).unwrap();
    let prompt = std::fs::read_to_string(stage.path().join("prompts/support.md")).unwrap();
    stage.write("prompts/support.md", &format!("{prompt}\nBe brief.\n")).unwrap();
    stage.groundcrew(&["apply", "-m", "brief"]).unwrap();
    let other = ["trace", "replay", &trace, "--release", "2", "--suite", "questions"];
    let told = stage.json(&other).unwrap();
    assert_ne!(told["recorded"]["release"], told["replayed"]["release"]);
    assert_eq!(told["recorded"]["text"], same["recorded"]["text"]);
    let scored = &told["scored"]["scorers"];
    assert!(scored["grounded"]["recorded"]["scored"]["value"].as_f64().unwrap() > 0.5, "{told:#}");
    assert!(scored["grounded"]["replayed"]["scored"]["value"].is_number(), "{told:#}");
    // Nobody has said what a good answer is.
    for scorer in ["right", "refusals", "found"] {
        assert!(scored[scorer]["replayed"]["not_applicable"].is_object(), "{scorer}: {told:#}");
    }
    let shown = stage.groundcrew(&other).unwrap();
    assert!(shown.contains("RECORDED") && shown.contains("kept"), "{shown}");

    // Replays are no traffic.
    let counted = "SELECT count(*) AS n FROM spans WHERE name = 'answer' \
        AND attributes['groundcrew.evaluation'] IS NULL";
    assert_eq!(stage.json(&["query", counted]).unwrap()["n"], 1);
    let replay = told["replayed"]["trace"].as_str().unwrap();
    let marked = stage.json(&["trace", "show", replay]).unwrap();
    assert_eq!(marked["aside"]["evaluation"], Value::from(format!("replay/{trace}")));

    // What cannot be replayed says why.
    let refused = |args: &[&str]| stage.groundcrew(args).unwrap_err().to_string();
    let unknown = refused(&["trace", "replay", &"0".repeat(32)]);
    assert!(unknown.contains("there is no trace"), "{unknown}");
    let unknown = refused(&["trace", "replay", &trace, "--release", "99"]);
    assert!(unknown.contains("has no release `99`"), "{unknown}");
    let unknown = refused(&["trace", "replay", &trace, "--env", "moon"]);
    assert!(unknown.contains("has no environment `moon`"), "{unknown}");
}

#[test]
fn requests_of_clients_are_drawn_as_cases_and_two_releases_are_compared_over_them() {
    let stage = Stage::support_desk().unwrap();
    let questions = [
        "How many days do I have to return something?",
        "What does a return label cost?",
        "How long is the warranty on a bicycle?",
        "Do you ship abroad?",
        "How do I delete my account?",
    ];
    let asked: Vec<String> = questions.iter().map(|question| ask(&stage, question)).collect();
    // What evaluations ask is no client's.
    stage.printed(&["eval", "run", "questions", "--app", "support", "--env", "prod"]).unwrap();

    let cases = |more: &[&str]| {
        let args = [&["eval", "cases", "support", "--env", "prod"], more].concat();
        let told = stage.groundcrew(&args).unwrap();
        let lines = told.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    let all = cases(&[]);
    assert_eq!(all.len(), 5, "{all:#?}");
    for case in &all {
        assert!(asked.iter().any(|trace| case["id"] == trace.as_str()), "{case}");
        assert_eq!(
            (&case["recorded"], &case["metadata"]["channel"]),
            (&json!(true), &json!("email"))
        );
    }
    assert_eq!(cases(&["--limit", "3"]), all[..3]);

    let variation = stage.path().join("variations/model/support.toml");
    std::fs::copy(variation, stage.path().join("apps/support.toml")).unwrap();
    stage.groundcrew(&["apply", "-m", "brief"]).unwrap();
    let compare = [
        "eval",
        "compare",
        "questions",
        "--app",
        "support",
        "--env",
        "prod",
        "--base",
        "1",
        "--release",
        "2",
        "--traces",
        "4",
        "--json",
    ];
    let compared: Value = serde_json::from_str(&stage.printed(&compare).unwrap()).unwrap();
    let scorers = &compared["comparison"]["scorers"];
    assert_eq!(scorers["grounded"]["cases"], 4, "{compared:#}");
    // Nobody has said what a good answer is.
    assert_eq!(scorers["right"]["cases"], 0, "{compared:#}");
    let asked_of = |id: &Value| {
        let run = ["eval", "show", id.as_str().unwrap(), "--cases"];
        let run = stage.json(&run).unwrap();
        let cases = run["results"].as_array().unwrap().iter().map(|it| it["case"].clone());
        cases.collect::<Vec<_>>()
    };
    let base = asked_of(&compared["base"]);
    assert_eq!(base, asked_of(&compared["candidate"]));
    assert_eq!(base, all[..4].iter().map(|case| case["id"].clone()).collect::<Vec<_>>());

    // A suite's own verdict of a release is not drawn from these.
    let missing =
        ["eval", "compare", "questions", "--app", "support", "--base", "1", "--release", "2"];
    let missing = stage.groundcrew(&missing).unwrap_err().to_string();
    assert!(missing.contains("release #2 was not evaluated by suite `questions`"), "{missing}");
    let none =
        ["eval", "run", "questions", "--app", "support", "--env", "staging", "--traces", "4"];
    let none = stage.groundcrew(&none).unwrap_err().to_string();
    assert!(none.contains("no request to `support` in `staging`"), "{none}");
}

#[test]
fn production_is_scored_once_as_it_comes_and_its_scores_are_found_by_a_query() {
    let mut stage = Stage::support_desk().unwrap();
    let suite = std::fs::read_to_string(stage.path().join("evals/questions.toml")).unwrap();
    let online = "\n[online]\napp = \"support\"\nenvironment = \"prod\"\n";
    stage.write("evals/questions.toml", &format!("{suite}{online}")).unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    let trace = ask(&stage, "How many days do I have to return something?");
    // An evaluation is no production.
    stage.printed(&["eval", "run", "questions", "--app", "support", "--env", "prod"]).unwrap();

    let query = "SELECT trace_id, name, value, label, app FROM scores ORDER BY name";
    let scored = |stage: &Stage| -> Vec<Value> {
        let rows = stage.groundcrew(&["query", query, "--json"]).unwrap();
        rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect()
    };
    let begun = std::time::Instant::now();
    while scored(&stage).is_empty() {
        assert!(begun.elapsed().as_secs() < 60, "nothing is scored");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let rows = scored(&stage);
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["citations", "grounded", "private", "seconds", "words"], "{rows:#?}");
    for row in &rows {
        assert_eq!((&row["trace_id"], &row["app"]), (&json!(trace), &json!("support")));
    }
    let told = stage.json(&["eval", "online"]).unwrap();
    let day = &told[0]["day"];
    assert_eq!((&day["answers"], &day["unreadable"]), (&json!(1), &json!(0)), "{told:#}");
    assert_eq!(day["scorers"]["grounded"]["scored"], 1);
    assert_eq!(day["scorers"]["right"]["not_applicable"], 1);
    let shown = stage.groundcrew(&["trace", "show", &trace]).unwrap();
    assert!(shown.contains("score grounded: 1") || shown.contains("score grounded: 0."), "{shown}");

    // Killed and started again it scores what comes, and nothing twice.
    stage.kill().unwrap();
    stage.start().unwrap();
    let second = ask(&stage, "What does a return label cost?");
    while scored(&stage).len() == rows.len() {
        assert!(begun.elapsed().as_secs() < 120, "nothing more is scored");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let all = scored(&stage);
    assert_eq!(all.iter().filter(|row| row["trace_id"] == trace.as_str()).count(), rows.len());
    assert!(all.iter().any(|row| row["trace_id"] == second.as_str()));
    let told = stage.groundcrew(&["eval", "online"]).unwrap();
    assert!(told.contains("support in prod") && told.contains("grounded"), "{told}");
}
