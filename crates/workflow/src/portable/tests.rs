use serde_json::{Value, json};

use super::{Obstacle, ObstacleKind, lint};
use crate::definition::Machine;

fn told(state: Value) -> Vec<Obstacle> {
    let definition = json!({"StartAt": "A", "States": {"A": state}});
    let (machine, _) = Machine::parse(&definition.to_string()).unwrap();
    lint(&machine)
}

fn kinds(state: Value) -> Vec<ObstacleKind> {
    told(state).into_iter().map(|obstacle| obstacle.kind).collect()
}

fn task(resource: &str) -> Value {
    json!({"Type": "Task", "Resource": resource, "End": true})
}

fn map(mut fields: Value, mode: &str) -> Value {
    let config = json!({"Mode": mode, "ExecutionType": "STANDARD"});
    let processor = json!({"ProcessorConfig": config, "StartAt": "B",
        "States": {"B": {"Type": "Wait", "Seconds": 1.5, "End": true}}});
    fields["Type"] = "Map".into();
    fields["End"] = true.into();
    fields["ItemProcessor"] = processor;
    fields
}

#[test]
fn what_aws_has_runs_there() {
    for resource in [
        "arn:aws:states:eu-central-1:123456789012:activity:work",
        "arn:aws:lambda:eu-central-1:123456789012:function:work",
        "arn:aws:states:::states:startExecution.sync:2",
        "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "arn:aws:states:::aws-sdk:s3:getObject",
        "arn:aws:states:::dynamodb:putItem",
    ] {
        assert_eq!(told(task(resource)), [], "{resource}");
    }
}

#[test]
fn resources_that_aws_lacks_are_told_by_their_kind() {
    for (resource, kind) in [
        ("arn:aws:states:local:000000000000:activity:groundcrew.a", ObstacleKind::LocalActivity),
        ("arn:aws:states:us-east-1:000000000000:activity:work", ObstacleKind::LocalActivity),
        ("arn:aws:states:us-east-1:123456789012:activity:groundcrew.a", ObstacleKind::NeedsWorker),
        ("arn:aws:states:us-east-1:123456789012:activity:a b", ObstacleKind::ActivityName),
        ("arn:aws:states:us-east-1:123456789012:activity:", ObstacleKind::ActivityName),
        ("arn:aws:lambda:local:000000000000:function:work", ObstacleKind::LocalFunction),
        ("arn:aws:states:::aws-sdk:S3:getObject", ObstacleKind::UnknownService),
        ("arn:aws:states:::aws-sdk:s3:get-object", ObstacleKind::UnknownService),
        ("arn:aws:states:::sqs:sendMessage.sync", ObstacleKind::UnsupportedPattern),
        ("arn:aws:states:::glue:startJobRun.sync:2", ObstacleKind::UnsupportedPattern),
        ("arn:aws:states:::aws-sdk:glue:startJobRun.sync", ObstacleKind::UnsupportedPattern),
        ("arn:aws:states:::http:invoke.waitForTaskToken", ObstacleKind::UnsupportedPattern),
    ] {
        assert_eq!(kinds(task(resource)), [kind], "{resource}");
    }
}

#[test]
fn quotas_and_fields_of_maps_are_told() {
    let fields = json!({"MaxConcurrency": 41, "ToleratedFailureCount": 1, "Label": "a b"});
    let all = told(map(fields, "INLINE"));
    let found: Vec<_> = all.iter().map(|one| (one.kind, one.place.as_str())).collect();
    assert_eq!(
        found,
        [
            (ObstacleKind::MapQuota, "/States/A/MaxConcurrency"),
            (ObstacleKind::DistributedOnly, "/States/A/ToleratedFailureCount"),
            (ObstacleKind::DistributedOnly, "/States/A/Label"),
            (ObstacleKind::Label, "/States/A/Label"),
            (ObstacleKind::Number, "/States/A/ItemProcessor/States/B/Seconds"),
        ]
    );
    assert_eq!(all[4].state.as_deref(), Some("B"));
    let reader = json!({"Resource": "arn:aws:states:::s3:headObject"});
    let fields = json!({"MaxConcurrency": 10_000, "ItemReader": reader,
        "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject"}});
    let all = told(map(fields, "DISTRIBUTED"));
    assert_eq!(all[0].kind, ObstacleKind::UnsupportedStore);
    assert_eq!(all[0].hint, "use one of s3:getObject, s3:listObjectsV2");
    assert_eq!(all.len(), 2);
}

#[test]
fn times_and_failures_that_are_too_long_are_told() {
    let retry = json!([{"ErrorEquals": ["a"], "MaxDelaySeconds": 40_000_000}]);
    let mut state = task("arn:aws:states:::sqs:sendMessage");
    state["TimeoutSeconds"] = 1e9.into();
    state["Retry"] = retry;
    assert_eq!(kinds(state), [ObstacleKind::Number, ObstacleKind::Number]);
    let fail = json!({"Type": "Fail", "Error": "e".repeat(257), "Cause": "c".repeat(32_768)});
    assert_eq!(kinds(fail), [ObstacleKind::FailureLength]);
}

#[test]
fn an_obstacle_reads_as_plain_data() {
    let all = told(task("arn:aws:states:::sqs:sendMessage.sync"));
    assert_eq!(
        serde_json::to_value(&all).unwrap(),
        json!([{"kind": "unsupported-pattern", "state": "A", "place": "/States/A/Resource",
            "message": "AWS does not wait for `sqs:sendMessage` with `.sync`",
            "hint": "call it without, and wait in states of your own"}])
    );
}

#[test]
fn what_a_call_names_of_this_installation_is_told_where_it_is_written_out() {
    let call = |resource: &str, parameters: Value| {
        let mut state = task(resource);
        state["Parameters"] = parameters;
        told(state).into_iter().map(|one| (one.kind, one.place)).collect::<Vec<_>>()
    };
    let function = "arn:aws:lambda:local:000000000000:function:work";
    let invoke = "arn:aws:states:::lambda:invoke";
    let place = "/States/A/Parameters/FunctionName".to_owned();
    let found = call(invoke, json!({"FunctionName": function, "Payload.$": "$"}));
    assert_eq!(found, [(ObstacleKind::LocalFunction, place)]);
    assert_eq!(call(invoke, json!({"FunctionName": "work"})), []);
    assert_eq!(call(invoke, json!({"FunctionName.$": "$.name"})), []);
    let http = "arn:aws:states:::http:invoke";
    let arguments = |account: &str, endpoint: &str| {
        let arn = format!("arn:aws:events:eu-central-1:{account}:connection/shop/0b2f");
        json!({"Method": "GET", "ApiEndpoint": endpoint, "Authentication": {"ConnectionArn": arn}})
    };
    assert_eq!(call(http, arguments("123456789012", "https://api.example.com")), []);
    let local = call(http, arguments("000000000000", "/orders"));
    let places = ["Authentication/ConnectionArn", "ApiEndpoint"];
    let places = places.map(|place| format!("/States/A/Parameters/{place}"));
    assert_eq!(local, places.map(|place| (ObstacleKind::LocalConnection, place)));
}
