//! Suites: asked of releases, compared, and reported.

use e2e::Stage;

#[test]
fn a_suite_says_of_the_example_what_it_is_worth_and_compares_two_releases() {
    let stage = Stage::support_desk().unwrap();
    let first = stage.json(&["eval", "run", "questions", "--app", "support"]).unwrap();
    assert_eq!(first["verdict"], "passed", "{first:#}");
    assert_eq!(first["done"], 28);
    let first = first["id"].as_str().unwrap();

    // Evaluations are no traffic: the traces are there, the requests are not counted.
    let traces = stage.json(&["trace", "list", "--limit", "100"]).unwrap();
    assert!(traces.as_array().unwrap().len() >= 28);
    let counted = "SELECT count(*) AS n FROM spans WHERE name = 'answer' \
        AND attributes['groundcrew.evaluation'] IS NULL";
    let counted = stage.json(&["query", counted]).unwrap();
    assert_eq!(counted["n"], 0, "{counted}");

    // Another model is another release; it is evaluated without being live in prod.
    let variation = stage.path().join("variations/model/support.toml");
    std::fs::copy(variation, stage.path().join("apps/support.toml")).unwrap();
    stage.groundcrew(&["apply", "-m", "brief"]).unwrap();
    let compare =
        ["eval", "compare", "questions", "--app", "support", "--base", "1", "--release", "2"];
    let missing = stage.groundcrew(&compare).unwrap_err().to_string();
    assert!(missing.contains("release #2 was not evaluated by suite `questions`"), "{missing}");
    stage.printed(&["eval", "run", "questions", "--app", "support", "--release", "2"]).unwrap();
    let listed = stage.json(&["eval", "list", "--app", "support"]).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let second = listed[0]["id"].as_str().unwrap();
    assert_ne!(second, first);

    // 28 cases are too few for three points of pass rate, and the command says so by its code.
    assert_eq!(stage.code(&compare).unwrap(), Some(3));
    let told = stage.printed(&compare).unwrap();
    assert!(told.contains("are needed"), "{told}");
    let by_id = stage.printed(&["eval", "compare", first, second, "--json"]).unwrap();
    let by_id: serde_json::Value = serde_json::from_str(&by_id).unwrap();
    assert_eq!(by_id["comparison"]["gate"], "inconclusive");

    let shown = stage.groundcrew(&["eval", "show", first, "--cases"]).unwrap();
    assert!(shown.contains("card-number"), "{shown}");
    stage
        .groundcrew(&["eval", "report", first, "--out", "run.html", "--junit", "run.xml"])
        .unwrap();
    let page = std::fs::read_to_string(stage.path().join("run.html")).unwrap();
    let junit = std::fs::read_to_string(stage.path().join("run.xml")).unwrap();
    for case in ["return-window", "card-number", "override"] {
        assert!(page.contains(case) && junit.contains(case), "{case}");
    }
    stage.groundcrew(&["eval", "report", second, "--base", first, "--out", "both.html"]).unwrap();
    let both = std::fs::read_to_string(stage.path().join("both.html")).unwrap();
    assert!(both.contains("Candidate") && both.contains("return-window"));
}
