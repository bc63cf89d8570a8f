use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use release::{PrincipalId, Secret, TenantId};
use serde_json::{Value, json};
use workflow::Fault;
use workflow::definition::Resource;
use workflow::engine::{Progress, Task, TaskCall};

use super::{Command, Function, Functions, Handler};
use crate::outside;
use crate::outside::tests::service;

fn call(input: Value) -> TaskCall {
    TaskCall {
        tenant: TenantId::DEFAULT,
        actor: PrincipalId::user("ada").unwrap(),
        by_hand: false,
        since: release::Timestamp::UNIX_EPOCH,
        key: "key-1".to_owned(),
        resource: Resource::parse("arn:aws:states:::lambda:invoke").unwrap(),
        input,
        token: Some("token-1".to_owned()),
        submitted: None,
        progress: Progress::default(),
    }
}

/// One function, `work`.
fn offered(handler: Handler) -> Functions {
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let function = Function::new(handler, Duration::from_secs(60), 1, vec![TenantId::DEFAULT]);
    Functions::new(BTreeMap::from([("work".to_owned(), function)]), outside::client().unwrap())
}

fn shell(script: &str, directory: &Path) -> Functions {
    offered(Handler::Command(Command {
        program: "sh".to_owned(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        directory: directory.to_owned(),
        environment: BTreeMap::from([("MODEL".to_owned(), Secret::new("small"))]),
    }))
}

async fn invoked(functions: &Functions, payload: Value) -> Result<Value, Fault> {
    functions.run(call(json!({"FunctionName": "work", "Payload": payload}))).await
}

async fn failed(script: &str) -> (String, Value) {
    let home = tempfile::tempdir().unwrap();
    let fault = invoked(&shell(script, home.path()), json!({})).await.unwrap_err();
    let cause = fault.cause.unwrap();
    (fault.error.unwrap(), serde_json::from_str(&cause).unwrap())
}

#[tokio::test]
async fn a_command_is_given_its_payload_and_an_environment_that_holds_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let script = r#"payload=$(cat); pwd > where; env | cut -d= -f1 | sort > names
        printf '{"payload": %s, "key": "%s", "tenant": "%s", "token": "%s", "model": "%s"}' \
        "$payload" "$GROUNDCREW_IDEMPOTENCY_KEY" "$GROUNDCREW_TENANT" "$GROUNDCREW_TASK_TOKEN" "$MODEL""#;
    let given = invoked(&shell(script, home.path()), json!({"n": [1, "ä"]})).await.unwrap();
    let expected = json!({"payload": {"n": [1, "ä"]}, "key": "key-1", "tenant": "default",
        "token": "token-1", "model": "small"});
    assert_eq!(given["Payload"], expected);
    assert_eq!((&given["StatusCode"], &given["ExecutedVersion"]), (&json!(200), &json!("$LATEST")));
    assert!(home.path().join("where").exists());
    let names = std::fs::read_to_string(home.path().join("names")).unwrap();
    for name in ["HOME", "USER", "CARGO", "GROUNDCREW_KEY"] {
        assert!(!names.lines().any(|one| one == name), "{names}");
    }
}

#[tokio::test]
async fn a_command_that_fails_is_told_as_a_function_of_lambda_would_be() {
    let (error, cause) = failed("echo first >&2; echo second >&2; exit 3").await;
    assert_eq!(error, "Runtime.ExitError");
    let expected = json!({"errorMessage": "the command ended with exit status: 3",
        "errorType": "Runtime.ExitError", "requestId": "key-1", "stackTrace": ["first", "second"]});
    assert_eq!(cause, expected);
    let own = r#"echo '{"errorType": "Rejected", "errorMessage": "no"}'; exit 1"#;
    let (error, cause) = failed(own).await;
    assert_eq!((error.as_str(), &cause["errorMessage"]), ("Rejected", &json!("no")));
    let (error, cause) = failed("kill -KILL $$").await;
    assert_eq!(error, "Runtime.ExitError");
    assert!(cause["errorMessage"].as_str().unwrap().contains("signal: 9"), "{cause}");
    assert_eq!(failed("echo hello").await.0, "Runtime.MarshalError");
}

#[tokio::test]
async fn a_command_that_never_stops_talking_is_stopped() {
    for script in ["yes", "yes >&2 & yes", "head -c 10000000 /dev/zero"] {
        assert_eq!(failed(script).await.0, "Function.ResponseSizeTooLarge", "{script}");
    }
    let (_, cause) = failed("head -c 10000000 /dev/zero | tr '\\0' 'x' >&2; exit 1").await;
    assert!(cause.to_string().len() < 8_192);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_hangs_times_out() {
    let (error, cause) = failed("sleep 1000").await;
    assert_eq!(error, "Sandbox.Timedout");
    assert_eq!(cause["errorMessage"], "Task timed out after 60.00 seconds");
}

#[tokio::test]
async fn a_command_that_is_not_there_or_gives_nothing() {
    let command = |program: &str| Command {
        program: program.to_owned(),
        arguments: Vec::new(),
        directory: "/".into(),
        environment: BTreeMap::new(),
    };
    let missing = offered(Handler::Command(command("no-such-program")));
    let fault = invoked(&missing, json!({})).await.unwrap_err();
    assert_eq!(fault.error.unwrap(), "Runtime.InvalidEntrypoint");
    // It ends before it has read what it is given.
    let large = json!("x".repeat(200_000));
    let given = invoked(&offered(Handler::Command(command("true"))), large).await.unwrap();
    assert_eq!(given["Payload"], Value::Null);
}

#[tokio::test]
async fn a_call_that_is_not_wanted_any_more_ends_with_all_that_it_began() {
    let home = tempfile::tempdir().unwrap();
    let pipe = home.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let functions = shell("exec 3> pipe; echo ready >&3; sleep 1000 & wait", home.path());
    let working = tokio::spawn(async move { invoked(&functions, json!({})).await });
    let (told, ready) = tokio::sync::oneshot::channel();
    let reader = tokio::task::spawn_blocking(move || {
        let mut pipe = std::fs::File::open(pipe).unwrap();
        pipe.read_exact(&mut [0; 6]).unwrap();
        told.send(()).unwrap();
        // It ends when nobody holds the other end any more.
        pipe.read_to_end(&mut Vec::new()).unwrap()
    });
    ready.await.unwrap();
    working.abort();
    assert_eq!(reader.await.unwrap(), 0);
}

#[tokio::test]
async fn what_a_command_left_running_ends_with_it() {
    let home = tempfile::tempdir().unwrap();
    let pipe = home.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let reader = tokio::task::spawn_blocking(move || {
        let mut pipe = std::fs::File::open(pipe).unwrap();
        pipe.read_to_end(&mut Vec::new()).unwrap()
    });
    let script = "sleep 1000 > pipe 2> pipe < /dev/null & echo 1";
    let given = invoked(&shell(script, home.path()), json!({})).await.unwrap();
    assert_eq!(given["Payload"], 1);
    // It ends when nobody holds the other end any more.
    assert_eq!(reader.await.unwrap(), 0);
}

#[tokio::test]
async fn slots_go_round_among_the_tenants() {
    let home = tempfile::tempdir().unwrap();
    let command = Command {
        program: "sh".to_owned(),
        arguments: vec!["-c".to_owned(), "echo $GROUNDCREW_TENANT >> order".to_owned()],
        directory: home.path().to_owned(),
        environment: BTreeMap::new(),
    };
    let other: TenantId = "other".parse().unwrap();
    let function = Function::new(
        Handler::Command(command),
        Duration::from_secs(60),
        1,
        vec![TenantId::DEFAULT, other.clone()],
    );
    let offered = BTreeMap::from([("work".to_owned(), function)]);
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let functions = Functions::new(offered, outside::client().unwrap());
    let mut late = call(json!({"FunctionName": "work"}));
    late.tenant = other;
    // They ask in this order.
    let many = (0..5).map(|_| call(json!({"FunctionName": "work"}))).chain([late]);
    let all = futures::future::join_all(many.map(|call| functions.run(call))).await;
    assert!(all.iter().all(Result::is_ok));
    let order = std::fs::read_to_string(home.path().join("order")).unwrap();
    let turn = order.lines().position(|tenant| tenant == "other").unwrap();
    assert!(turn <= 2, "{order}");
}

#[tokio::test]
async fn only_what_is_offered_to_a_tenant_is_invoked_however_it_is_named() {
    let home = tempfile::tempdir().unwrap();
    let functions = shell("echo 1", home.path());
    for name in [
        "work",
        "work:prod",
        "000000000000:function:work",
        "arn:aws:lambda:eu-central-1:123456789012:function:work",
        "arn:aws:lambda:eu-central-1:123456789012:function:work:7",
    ] {
        let given = functions.run(call(json!({"FunctionName": name}))).await.unwrap();
        assert_eq!(given["Payload"], 1, "{name}");
    }
    let mut foreign = call(json!({"FunctionName": "work"}));
    foreign.tenant = "other".parse().unwrap();
    for call in [foreign, call(json!({"FunctionName": "sh"}))] {
        let fault = functions.run(call).await.unwrap_err();
        assert_eq!(fault.error.as_deref(), Some("Lambda.ResourceNotFoundException"));
        assert!(fault.cause.unwrap().starts_with("Function not found: arn:aws:lambda:local:"));
    }
    let later = call(json!({"FunctionName": "work", "InvocationType": "Event"}));
    let fault = functions.run(later).await.unwrap_err();
    assert_eq!(fault.error.unwrap(), "Lambda.InvalidParameterValueException");
}

#[tokio::test]
async fn an_address_is_given_the_payload_and_what_it_answers_is_the_result() {
    let service = service().await;
    let at = |path: &str| {
        let credential = Some("Bearer secret".parse().unwrap());
        offered(Handler::Url { url: format!("{service}{path}").parse().unwrap(), credential })
    };
    let given = invoked(&at("/echo"), json!({"n": 1})).await.unwrap();
    let seen = &given["Payload"];
    assert_eq!((&seen["method"], &seen["body"]), (&json!("POST"), &json!("{\"n\":1}")));
    for (name, value) in [
        ("idempotency-key", "key-1"),
        ("groundcrew-tenant", "default"),
        ("groundcrew-task-token", "token-1"),
        ("authorization", "Bearer secret"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(seen["headers"][name], value);
    }
    for (path, error) in [
        ("/text", "Runtime.MarshalError"),
        ("/broken", "Lambda.ServiceException"),
        ("/busy", "Lambda.TooManyRequestsException"),
        ("/away", "Lambda.Unknown"),
        ("/endless", "Function.ResponseSizeTooLarge"),
        ("/own-error", "Rejected"),
    ] {
        let fault = invoked(&at(path), json!({})).await.unwrap_err();
        assert_eq!(fault.error.as_deref(), Some(error), "{path}: {fault:?}");
    }
    let nobody = Handler::Url { url: "http://127.0.0.1:1".parse().unwrap(), credential: None };
    let fault = invoked(&offered(nobody), json!({})).await.unwrap_err();
    assert_eq!(fault.error.unwrap(), "Lambda.ServiceException");
}
