use serde_json::json;

use super::{BadSuite, Input, Suite, SuiteFile, read_cases};

const FILE: &str = r#"
description = "Returns and refunds."
cases = "support.jsonl"
repeats = 2
cost_cap = { amount = 2.5 }

[judge]
model = "judge"

[scorers.overlap]
at_least = 0.4
measure = { kind = "rouge", variant = "l" }

[scorers.faithful]
at_least = 0.8
pass_rate = 0.9
measure = { kind = "faithfulness" }

[scorers.form]
measure = { kind = "json_schema", schema = { type = "object", required = ["days"] } }

[scorers.tone]
measure = { kind = "criteria", criteria = "The answer is kind.", steps = ["Read it."] }
"#;

const CASES: &str = r#"{"id": "a", "input": "Can I return it?", "expected": "Yes."}

{"id": "b", "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "How?"}]}]}
"#;

fn file(text: &str) -> SuiteFile {
    toml::from_str(text).unwrap()
}

#[test]
fn a_suite_is_its_file_and_its_cases_and_opens_from_its_bytes() {
    let suite = Suite::read(file(FILE), CASES).unwrap();
    assert_eq!((suite.cases.len(), suite.scorers.len()), (2, 4));
    assert_eq!(suite.cost_cap.unwrap().to_string(), "2.50 USD");
    let again = Suite::open(suite.bytes().to_vec()).unwrap();
    assert_eq!(
        (again.digest, &again.file, &again.cases),
        (suite.digest, &suite.file, &suite.cases)
    );
    assert_eq!(again.scorers[0].digest, suite.scorers[0].digest);
}

#[test]
fn a_suites_digest_changes_with_its_cases_and_not_with_how_they_are_written() {
    let digest = |cases: &str| Suite::read(file(FILE), cases).unwrap().digest;
    let one = digest(r#"{"id": "a", "input": "x"}"#);
    assert_eq!(one, digest("\n{\"input\":\"x\",  \"id\":\"a\"}\n"));
    assert_ne!(one, digest(r#"{"id": "a", "input": "y"}"#));
}

#[test]
fn every_mistake_in_a_suites_file_is_found_at_once() {
    let text = r#"
        cases = "../secrets.txt"
        repeats = 0
        concurrency = 1000
        cost_cap = { amount = -1.0, currency = "dollars" }
        [scorers.pattern]
        measure = { kind = "regex", pattern = "(" }
        [scorers.schema]
        measure = { kind = "json_schema", schema = { type = "objekt" } }
        [scorers.far]
        measure = { kind = "json_schema", schema = { "$ref" = "https://example.org/s.json" } }
        [scorers.overlap]
        at_least = 40.0
        pass_rate = 2.0
        measure = { kind = "rouge", variant = "1" }
        [scorers.faithful]
        measure = { kind = "faithfulness" }
        [scorers.words]
        at_least = 9.0
        at_most = 3.0
        measure = { kind = "length" }
        [scorers.found]
        measure = { kind = "retrieval", figure = "ndcg", k = 0 }
    "#;
    let Err(BadSuite::File(wrong)) = Suite::read(file(text), CASES) else {
        panic!("it has mistakes");
    };
    let lines = wrong.iter().map(|it| format!("{}: {}", it.pointer, it.message));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_run_has_no_more_answers_than_can_be_looked_at() {
    let cases = (0..1_001).map(|id| json!({ "id": id.to_string(), "input": "x" }).to_string());
    let cases: Vec<String> = cases.collect();
    let file = file(&FILE.replace("repeats = 2", "repeats = 100"));
    let Err(BadSuite::File(wrong)) = Suite::read(file, &cases.join("\n")) else {
        panic!("it has too many");
    };
    assert_eq!(wrong[0].message, "100100 answers are more than the 100000 of a run");
}

#[test]
fn keys_that_are_not_known_are_errors() {
    let with = |line: &str| toml::from_str::<SuiteFile>(&FILE.replace("repeats = 2", line));
    assert!(with("repeat = 2").is_err());
    for measure in ["exact", "bleu", "latency", "faithfulness"] {
        let scorer = json!({ "measure": { "kind": measure, "treshold": 1 } });
        let file = json!({ "cases": "a.jsonl", "scorers": { "a": scorer } });
        assert!(serde_json::from_value::<SuiteFile>(file).is_err(), "{measure}");
    }
}

#[test]
fn the_schema_allows_what_the_types_read() {
    let schema = schemars::schema_for!(SuiteFile);
    let validator = jsonschema::validator_for(schema.as_value()).unwrap();
    let value: serde_json::Value = toml::from_str(FILE).unwrap();
    let errors: Vec<String> = validator.iter_errors(&value).map(|it| it.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    let mut odd = value.clone();
    odd["scorers"]["overlap"]["measure"]["stemm"] = json!(true);
    assert!(!validator.is_valid(&odd));
    let mut odd = value;
    odd["scorers"]["overlap"]["measure"]["variant"] = json!("9");
    assert!(!validator.is_valid(&odd));
}

#[test]
fn every_mistake_in_the_cases_is_found_with_its_place() {
    let long = format!("{{\"id\": \"long\", \"input\": \"{}\"}}", "x".repeat(super::MAX_LINE));
    let lines = [
        r#"{"id": "a", "input": "fine"}"#,
        r#"{"id": "a", "input": "again"}"#,
        r#"{"id": "b", "input": "ünclosed}"#,
        r#"{"id": "c", "question": "typo"}"#,
        r#"{"id": "d"}"#,
        r#"{"id": "e", "input": 7}"#,
        r#"{"id": "f", "input": []}"#,
        r#"{"id": "g", "input": [{"role": "narrator", "content": "x"}]}"#,
        r#"{"id": "h", "input": "x", "id": "i"}"#,
        r#"{"id": "j", "input": "x", "metadata": {"n": 9007199254740993}}"#,
        r#"{"id": "", "input": "x"}"#,
        r#"{"id": "k", "input": "x", "labels": [{"scorer": "s", "by": "ada", "pass": true}]}"#,
        r#"{"id": "l", "input": "x", "answer": {"text": "y"}, "labels": [{"scorer": "knid", "by": "ada", "pass": true}]}"#,
        r#"{"id": "m", "input": "x", "answer": {"text": "y"}, "labels": [{"scorer": "kind", "by": "ada", "pass": true}, {"scorer": "kind", "by": "ada", "pass": false}]}"#,
        "[]",
        &long,
    ];
    let found = read_cases("evals/support.jsonl", &lines.join("\n"), &["kind"]).unwrap_err();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn a_file_without_cases_is_a_mistake() {
    let found = read_cases("evals/a.jsonl", "\n\n", &[]).unwrap_err();
    assert_eq!(found[0].to_string(), "evals/a.jsonl:1:1: error[GC0105]: there is no case");
}

#[test]
fn the_question_is_the_last_that_the_user_says() {
    let read = |json| serde_json::from_value::<Input>(json).unwrap();
    let input = read(json!([
        { "role": "user", "content": "First?" },
        { "role": "assistant", "content": "One.", "tool_calls": [{ "id": "kept" }] },
        { "role": "user", "content": [{ "type": "text", "text": "Second?" }] },
    ]));
    assert_eq!(input.question(), "Second?");
    assert_eq!(input.messages()[1].fields()["tool_calls"][0]["id"], "kept");
    let plain = read(json!("Only?"));
    assert_eq!((plain.question().as_str(), plain.messages()[0].role()), ("Only?", "user"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_reading_cases_panic(text in "\\PC{0,80}(\n\\PC{0,80}){0,3}") {
        let _ = read_cases("evals/a.jsonl", &text, &[]);
    }
}
