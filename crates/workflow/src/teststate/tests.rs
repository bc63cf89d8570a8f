use serde_json::{Value, json};

use super::{Answer, Refused, Request, Status, test_state};

fn test(request: Value) -> Result<Answer, Refused> {
    let request: Request = serde_json::from_value(request).unwrap();
    test_state(&request, "2026-01-01T00:00:00Z".parse().unwrap(), 7)
}

fn task(extra: &Value) -> String {
    let mut state = json!({
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "price", "Payload.$": "$.order"}, "Next": "Ship",
    });
    state.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    state.to_string()
}

fn mocked_error(definition: String, used: u32) -> Answer {
    test(json!({
        "definition": definition, "input": r#"{"order": 1}"#, "inspectionLevel": "DEBUG",
        "mock": {"errorOutput": {"error": "Busy", "cause": "later"}},
        "stateConfiguration": {"retrierRetryCount": used},
    }))
    .unwrap()
}

#[test]
fn a_state_that_waits_is_not_waited_for() {
    let answer =
        test(json!({"definition": r#"{"Type": "Wait", "Seconds": 3600, "Next": "Then"}"#}));
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.next_state.as_deref()), (Status::Succeeded, Some("Then")));
}

#[test]
fn a_retrier_that_is_not_used_up_makes_a_failure_retriable_with_its_backoff() {
    let retry = json!({"Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 2}]});
    let answer = mocked_error(task(&retry), 2);
    assert_eq!(answer.status, Status::Retriable);
    let details = json!({"retryIndex": 0, "retryBackoffIntervalSeconds": 8});
    assert_eq!(answer.inspection_data.unwrap()["errorDetails"], details);
}

#[test]
fn a_retrier_that_is_used_up_leaves_the_failure_to_the_catchers() {
    let both = json!({
        "Retry": [{"ErrorEquals": ["Busy"], "MaxAttempts": 2}],
        "Catch": [{"ErrorEquals": ["Other"], "Next": "A"}, {"ErrorEquals": ["Busy"], "Next": "B"}],
    });
    let answer = mocked_error(task(&both), 2);
    assert_eq!((answer.status, answer.next_state.as_deref()), (Status::CaughtError, Some("B")));
    assert_eq!(answer.output.as_deref(), Some(r#"{"Error":"Busy","Cause":"later"}"#));
    assert_eq!(answer.inspection_data.unwrap()["errorDetails"], json!({"catchIndex": 1}));
}

#[test]
fn the_stages_of_a_task_are_told_when_asked() {
    let state = task(&json!({
        "ResultSelector": {"cents.$": "$.Payload"}, "ResultPath": "$.price", "OutputPath": "$.price",
    }));
    let answer = test(json!({
        "definition": state, "input": r#"{"order":{"n":1}}"#, "inspectionLevel": "TRACE",
        "mock": {"result": r#"{"Payload":5}"#},
    }));
    let answer = answer.unwrap();
    assert_eq!(answer.output.as_deref(), Some(r#"{"cents":5}"#));
    let stages = json!({
        "input": r#"{"order": {"n": 1}}"#,
        "afterInputPath": r#"{"order": {"n": 1}}"#,
        "afterParameters": r#"{"FunctionName": "price", "Payload": {"n": 1}}"#,
        "result": r#"{"Payload": 5}"#,
        "afterResultSelector": r#"{"cents": 5}"#,
        "afterResultPath": r#"{"order": {"n": 1}, "price": {"cents": 5}}"#,
    });
    assert_eq!(Value::Object(answer.inspection_data.unwrap()), stages);
}

#[test]
fn a_stage_without_a_value_fails_the_state_and_ends_what_is_told() {
    let answer = test(json!({
        "definition": task(&json!({})), "inspectionLevel": "DEBUG", "mock": {"result": "{}"},
    }));
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.error.as_deref()), (Status::Failed, Some("States.Runtime")));
    let told: Vec<_> = answer.inspection_data.unwrap().keys().cloned().collect();
    assert_eq!(told, ["input", "afterInputPath"]);
}

#[test]
fn what_is_drawn_at_random_is_told_as_it_was_used() {
    let answer = test(json!({
        "definition": r#"{"Type": "Pass", "Parameters": {"id.$": "States.UUID()"}, "End": true}"#,
        "inspectionLevel": "DEBUG",
    }));
    let answer = answer.unwrap();
    let told: Value =
        serde_json::from_str(answer.inspection_data.unwrap()["afterParameters"].as_str().unwrap())
            .unwrap();
    assert_eq!(told.to_string(), answer.output.unwrap());
}

#[test]
fn variables_and_context_are_seen_and_set() {
    let state = json!({
        "Type": "Pass", "QueryLanguage": "JSONata", "End": true,
        "Output": "{% $greeting & $states.context.Execution.Name %}",
        "Assign": {"count": "{% $count + 1 %}"},
    });
    let answer = test(json!({
        "definition": state.to_string(), "inspectionLevel": "DEBUG",
        "variables": r#"{"greeting":"hi ","count":1}"#, "context": r#"{"Execution":{"Name":"me"}}"#,
    }));
    let answer = answer.unwrap();
    assert_eq!(answer.output.as_deref(), Some(r#""hi me""#));
    let variables = &answer.inspection_data.unwrap()["variables"];
    assert_eq!(variables, r#"{"greeting": "hi ", "count": 2}"#);
}

#[test]
fn a_state_within_another_is_found_by_its_name() {
    let machine = json!({"StartAt": "Each", "States": {"Each": {
        "Type": "Map", "End": true,
        "ItemProcessor": {"StartAt": "One", "States": {"One": {
            "Type": "Pass", "Result": "inner", "End": true,
        }}},
    }}});
    let answer = test(json!({"definition": machine.to_string(), "stateName": "One"}));
    assert_eq!(answer.unwrap().output.as_deref(), Some(r#""inner""#));
}

#[test]
fn more_failed_iterations_than_a_map_tolerates_fail_it() {
    let map = json!({
        "Type": "Map", "End": true, "ToleratedFailureCount": 1,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "One", "States": {"One": {"Type": "Pass", "End": true}},
        },
    });
    let status = |failed: u32| {
        test(json!({
            "definition": map.to_string(), "input": "[1, 2, 3]", "mock": {"result": "[1, 2, 3]"},
            "stateConfiguration": {"mapIterationFailureCount": failed},
        }))
        .map(|answer| (answer.status, answer.error))
        .unwrap()
    };
    assert_eq!(status(1), (Status::Succeeded, None));
    let threshold = "States.ExceedToleratedFailureThreshold".to_owned();
    assert_eq!(status(2), (Status::Failed, Some(threshold)));
}

#[test]
fn a_map_that_writes_its_results_comes_to_where_they_are() {
    let map = json!({
        "Type": "Map", "End": true, "ResultWriter": {
            "Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b", "Prefix": "p"},
        },
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "One", "States": {"One": {"Type": "Pass", "End": true}},
        },
    });
    let with = |result: &str| {
        let mock = json!({"result": result});
        test(json!({"definition": map.to_string(), "input": "[1]", "mock": mock}))
    };
    let written = r#"{"MapRunArn":"arn"}"#;
    assert_eq!(with(written).unwrap().output.as_deref(), Some(written));
    assert_eq!(with("[1]").unwrap_err().message, "Mocked result must be an object.");
}

#[test]
fn what_cannot_be_tested_is_refused_with_the_reason() {
    let refused = |request: Value| {
        let Refused { code, message } = test(request).unwrap_err();
        format!("{code}: {message}")
    };
    let pass = r#"{"Type": "Pass", "End": true}"#;
    let all = [
        json!({"definition": pass, "input": "{"}),
        json!({"definition": "{\"Type\": \"Pass\"}"}),
        json!({"definition": pass, "context": "[]"}),
        json!({"definition": pass, "variables": "1"}),
        json!({"definition": task(&json!({})), "roleArn": "arn:aws:iam::111122223333:role/r"}),
        json!({"definition": task(&json!({})), "mock": {}}),
        json!({"definition": pass, "stateConfiguration": {"errorCausedByState": "Other"}}),
        json!({"definition": pass, "stateConfiguration": {"mapItemReaderData": "[]"}}),
        json!({"definition": task(&json!({})), "mock": {"result": "[]"}}),
        json!({"definition": task(&json!({})), "mock": {"result": r#"{"StatusCode": "200"}"#}}),
    ];
    insta::assert_snapshot!(all.map(refused).join("\n"));
}
