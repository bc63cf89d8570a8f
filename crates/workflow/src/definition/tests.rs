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
