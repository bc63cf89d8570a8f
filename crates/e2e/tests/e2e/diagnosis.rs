//! What is counted and told of what the product did.

use e2e::Stage;
use serde_json::Value;

const QUESTION: &str = "How many days do I have to return a helmet?";

/// Asks until what was asked about shows it: rows are seen a moment after they are kept.
fn until(stage: &Stage, args: &[&str], shows: impl Fn(&Value) -> bool) -> Value {
    let give_up = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        match stage.json(args) {
            Ok(told) if shows(&told) => return told,
            told if std::time::Instant::now() > give_up => panic!("{args:?} shows {told:?}"),
            _ => std::thread::yield_now(),
        }
    }
}

#[test]
fn an_answer_is_counted_and_its_metrics_can_be_asked_for() {
    let stage = Stage::support_desk().unwrap();
    stage.json(&["ask", "support", QUESTION]).unwrap();
    let show = ["metrics", "show", "groundcrew.requests", "--statistic", "Sum", "--by", "app"];
    let counted = until(&stage, &show, |told| !told["series"].as_array().unwrap().is_empty());
    let series = &counted["series"][0];
    assert_eq!(series["dimensions"]["app"], "support");
    let points = series["datapoints"].as_array().unwrap().iter();
    let sum: f64 = points.filter_map(|point| point["value"].as_f64()).sum();
    assert!((sum - 1.0).abs() < f64::EPSILON, "{counted}");
    let listed = stage.json(&["metrics", "list"]).unwrap();
    let names = listed["metrics"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap());
    let names: Vec<_> = names.filter(|name| name.starts_with("groundcrew.tokens")).collect();
    assert_eq!(names, ["groundcrew.tokens.input", "groundcrew.tokens.output"]);
    let wrong = stage.groundcrew(&["metrics", "show", "groundcrew.request"]).unwrap_err();
    assert!(wrong.to_string().contains("there is no metric `groundcrew.request`"), "{wrong}");
}

#[tokio::test]
async fn prometheus_reads_what_is_counted_in_the_format_it_wants() {
    let stage = Stage::support_desk().unwrap();
    stage.json(&["ask", "support", QUESTION]).unwrap();
    let show = ["metrics", "show", "groundcrew.requests", "--by", "app"];
    until(&stage, &show, |told| !told["series"].as_array().unwrap().is_empty());
    let page = stage.get("/metrics").await.unwrap();
    let kind = page.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let page = page.text().await.unwrap();
    assert!(page.contains("# TYPE process_memory_usage_bytes gauge\n"), "{page}");
    let counted = page.lines().find(|line| line.starts_with("groundcrew_requests_total{"));
    let counted = counted.unwrap_or_else(|| panic!("{page}"));
    assert!(counted.contains("app=\"support\"") && counted.contains("tenant=\"default\""));
    assert!(counted.ends_with(" 1"), "{counted}");
}

#[test]
fn a_rule_of_the_project_tells_which_passages_ground_most() {
    let stage = Stage::support_desk().unwrap();
    stage.json(&["ask", "support", QUESTION]).unwrap();
    let show = ["contributors", "show", "chunks", "--top", "100"];
    let told = until(&stage, &show, |told| told["events"].as_u64() > Some(0));
    let answer = stage.json(&["trace", "list"]).unwrap()[0]["trace"].as_str().unwrap().to_owned();
    let trace = stage.json(&["trace", "show", &answer]).unwrap();
    let chunks = trace["retrieval"]["chunks"].as_array().unwrap();
    assert_eq!(told["events"], chunks.len());
    assert_eq!(told["unlisted_at_most"], 0.0);
    for chunk in chunks {
        let keys = serde_json::json!([chunk["document"], chunk["id"]]);
        let found = told["contributors"].as_array().unwrap().iter().find(|it| it["keys"] == keys);
        assert_eq!(found.unwrap()["value"], 1.0);
    }
}

#[test]
fn a_diagnosis_names_the_release_that_became_live_and_what_answers_wait_for() {
    let stage = Stage::support_desk().unwrap();
    let answer = stage.json(&["ask", "support", QUESTION]).unwrap();
    let diagnose = ["diagnose", "support", "--env", "prod"];
    let told = until(&stage, &diagnose, |told| told["graph"]["traces"] == 1);
    let moved = told["timeline"].as_array().unwrap().iter();
    let moved: Vec<_> = moved.filter(|moment| moment["kind"] == "deployment.moved").collect();
    assert_eq!(moved.len(), 1, "{told}");
    assert!(moved[0]["what"].as_str().unwrap().ends_with("became stable in prod"));
    let waiting = told["waiting"].as_array().unwrap();
    let share: f64 = waiting.iter().map(|it| it["share"].as_f64().unwrap()).sum();
    assert!((share - 1.0).abs() < 1e-6, "{told}");
    let edges = told["graph"]["edges"].as_array().unwrap();
    let callees: Vec<_> = edges.iter().map(|edge| edge["callee"].as_str().unwrap()).collect();
    assert!(callees.contains(&"support"), "{told}");
    assert!(stage.groundcrew(&["diagnose", "nobody"]).is_err());

    let shown = stage.groundcrew(&["trace", "show", answer["trace"].as_str().unwrap()]).unwrap();
    assert!(shown.contains("├─ ground") && shown.contains("└─ "), "{shown}");
}
