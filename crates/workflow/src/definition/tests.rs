use serde_json::{Value, json};

use super::{Finding, Machine, Severity, refusal};

fn findings(definition: &Value) -> Vec<Finding> {
    match Machine::parse(&definition.to_string()) {
        Ok((_, warnings)) => warnings,
        Err(findings) => findings,
    }
}

fn told(definition: &Value) -> Vec<String> {
    let told = findings(definition).into_iter();
    told.map(|f| format!("{} {}", f.location.unwrap_or_default(), f.message)).collect()
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Task", "Resource": "nothing", "Next": "Gone", "Retry": [{"ErrorEquals": ["States.ALL", "x"], "BackoffRate": 0.5}]},
        "B": {"Type": "Wait", "Seconds": 1, "SecondsPath": "$.a", "End": true},
        "C": {"Type": "Pass", "Parameters": {"a.$": "b"}, "Colour": "red"},
    }});
    let told = told(&definition);
    for part in [
        "/States/A/Resource The resource provided nothing is not recognized",
        "/States/A/Retry[0]/ErrorEquals States.ALL must appear alone",
        "/States/A/Retry[0]/BackoffRate Value is not a number of 1.0 or more",
        "/States/B Exactly one of [Seconds, SecondsPath, Timestamp, TimestampPath] is required",
        "/States/C/Parameters/a.$ `b` is no path",
        "/States/C/Colour Field 'Colour' is not supported",
        "/States/C One of [Next, End] is required",
    ] {
        assert!(told.iter().any(|line| line.starts_with(part)), "{part} in {told:#?}");
    }
}

#[test]
fn targets_that_are_missing_and_states_nobody_reaches_are_told() {
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Choice", "Choices": [{"Variable": "$", "IsNull": true, "Next": "B"}], "Default": "D"},
        "B": {"Type": "Pass", "Next": "C"}, "Lost": {"Type": "Succeed"}}});
    let told = told(&definition);
    assert!(
        told.contains(&"/States/A/Default Missing 'Default' target: D".to_owned()),
        "{told:#?}"
    );
    assert!(told.contains(&"/States/B/Next Missing 'Next' target: C".to_owned()));
    assert!(told.contains(&"/States/Lost State \"Lost\" is not reachable.".to_owned()));
}

#[test]
fn a_refusal_reads_as_the_services() {
    let wrong = Machine::parse("{}").unwrap_err();
    let expected = "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: These fields are \
                    required: [States, StartAt] at /'";
    assert_eq!(refusal(&wrong), expected);
    assert_eq!(Machine::parse("nonsense").unwrap_err()[0].code, "INVALID_JSON_DESCRIPTION");
    assert_eq!(Machine::parse("[]").unwrap_err()[0].location, None);
}

#[test]
fn a_choice_without_default_is_a_warning_only() {
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Choice", "Choices": [{"Variable": "$", "IsNull": true, "Next": "B"}]},
        "B": {"Type": "Succeed"}}});
    let findings = findings(&definition);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].severity, Severity::Warning);
}

/// The codes of the warnings about a definition, with their places.
fn warned(definition: &Value) -> Vec<(String, String)> {
    let (_, warnings) = Machine::parse(&definition.to_string()).unwrap();
    assert!(warnings.iter().all(|warning| warning.severity == Severity::Warning));
    warnings.into_iter().map(|f| (f.code, f.location.unwrap_or_default())).collect()
}

fn at<const N: usize>(code: &str, places: [&str; N]) -> Vec<(String, String)> {
    places.map(|place| (code.to_owned(), place.to_owned())).into()
}

#[test]
fn a_task_without_a_bound_or_a_fallback_is_warned_of() {
    let mut task = json!({"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "End": true});
    let whole = |task: &Value| json!({"StartAt": "A", "States": {"A": task}});
    let codes: Vec<_> = warned(&whole(&task)).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["NO_TIMEOUT", "NO_FALLBACK"]);
    task["TimeoutSecondsPath"] = "$.patience".into();
    task["Retry"] = json!([{"ErrorEquals": ["States.ALL"]}]);
    assert_eq!(warned(&whole(&task)), []);
}

#[test]
fn errors_that_are_taken_before_are_warned_of() {
    let entry = |name: &str| json!({"ErrorEquals": [name], "Next": "B"});
    let names =
        ["States.TaskFailed", "Mine", "States.Timeout", "States.HeartbeatTimeout", "States.ALL"];
    let definition = json!({"StartAt": "A", "States": {"B": {"Type": "Succeed"},
        "A": {"Type": "Parallel", "Next": "B", "Catch": names.map(entry),
            "Branches": [{"StartAt": "C", "States": {"C": {"Type": "Succeed"}}}]}}});
    let places = ["/States/A/Catch[1]/ErrorEquals", "/States/A/Catch[3]/ErrorEquals"];
    assert_eq!(warned(&definition), at("SHADOWED_ERROR", places));
}

#[test]
fn a_name_that_stands_twice_in_a_machine_is_warned_of() {
    let inner = json!({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}});
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Map", "Next": "a/~", "Iterator": inner},
        "a/~": {"Type": "Parallel", "End": true, "Branches": [inner]}}});
    let places = ["/States/A/Iterator/States/A", "/States/a~1~0/Branches[0]/States/A"];
    assert_eq!(warned(&definition), at("DUPLICATE_STATE_NAME", places));
}

#[test]
fn variables_that_nothing_assigned_are_warned_of() {
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Assign": {"a": 1, "b.$": "$later.x"}, "Next": "B"},
        "B": {"Type": "Choice", "Default": "C", "Choices": [{"Variable": "$a", "IsNull": true,
            "Assign": {"later": 1}, "Next": "A"}, {"Variable": "$[?(@ == $none)]",
            "NumericEqualsPath": "$b", "Next": "C"}]},
        "C": {"Type": "Map", "Next": "E", "Assign": {"c": 1}, "ItemProcessor": {"StartAt": "D",
            "States": {"D": {"Type": "Pass", "InputPath": "$c", "Parameters": {
                "x.$": "States.Format('{}{}', $a, $inner)"}, "End": true}}}},
        "E": {"Type": "Pass", "QueryLanguage": "JSONata", "End": true, "Output":
            "{% ($own := $c + $gone; $map([1], function($v, $i) { $v + $i + $own }) ~> $sum) %}"}}});
    let (_, warnings) = Machine::parse(&definition.to_string()).unwrap();
    let told = warnings.into_iter().map(|f| {
        assert_eq!(f.code, "UNASSIGNED_VARIABLE");
        let name = f.message.split('\'').nth(1).unwrap().to_owned();
        (name, f.location.unwrap())
    });
    let inner = "/States/C/ItemProcessor/States/D";
    let expected = [("none", "/States/B"), ("c", inner), ("inner", inner), ("gone", "/States/E")];
    let expected = expected.map(|(name, place)| (name.to_owned(), place.to_owned()));
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

#[test]
fn what_ran_well_read_nothing_unassigned() {
    let Some(folder) = crate::recordings::folder() else { return };
    for file in ["a_pure", "b_mocked", "d_choice_cases"] {
        let text = std::fs::read_to_string(folder.join(format!("asl/dev/{file}.jsonl"))).unwrap();
        for case in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let ran = case["expected"]["status"] == "SUCCEEDED";
            let Ok((_, warnings)) = Machine::parse(&case["definition"].to_string()) else {
                continue;
            };
            let unassigned = warnings.iter().any(|f| f.code == "UNASSIGNED_VARIABLE");
            assert!(!(ran && unassigned), "{}: {warnings:#?}", case["id"]);
        }
    }
}

#[test]
fn machines_that_nest_without_end_are_refused() {
    let mut state = json!({"Type": "Pass", "End": true});
    for _ in 0..30 {
        state = json!({"Type": "Parallel", "End": true,
            "Branches": [{"StartAt": "A", "States": {"A": state}}]});
    }
    let definition = json!({"StartAt": "A", "States": {"A": state}});
    assert!(told(&definition)[0].contains("nested more than 16 deep"));
}
