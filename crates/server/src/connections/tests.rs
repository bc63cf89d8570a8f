use std::collections::BTreeMap;
use std::time::Duration;

use release::{PrincipalId, TenantId};
use reqwest::Url;
use serde_json::{Value, json};
use workflow::Fault;
use workflow::definition::Resource;
use workflow::engine::{Progress, Task, TaskCall};

use super::{Connection, Connections, request};
use crate::outside;
use crate::outside::tests::service;

/// One connection, `shop`, with a key.
fn offered(url: &str) -> Connections {
    let connection = Connection {
        url: url.parse().unwrap(),
        authorization: Some(("x-api-key".parse().unwrap(), "secret".parse().unwrap())),
        proof: None,
        timeout: Duration::from_secs(60),
        tenants: vec![TenantId::DEFAULT],
    };
    let offered = BTreeMap::from([("shop".to_owned(), connection)]);
    Connections::new(offered, outside::client().unwrap())
}

fn call(more: Value) -> TaskCall {
    let arn = "arn:aws:events:eu-central-1:123456789012:connection/shop/0b2f";
    let mut input = json!({"Method": "POST", "ApiEndpoint": "/echo",
        "Authentication": {"ConnectionArn": arn}});
    for (name, value) in more.as_object().unwrap() {
        input[name] = value.clone();
    }
    TaskCall {
        tenant: TenantId::DEFAULT,
        actor: PrincipalId::user("ada").unwrap(),
        by_hand: false,
        since: release::Timestamp::UNIX_EPOCH,
        key: "key-1".to_owned(),
        resource: Resource::parse("arn:aws:states:::http:invoke").unwrap(),
        input,
        token: None,
        submitted: None,
        progress: Progress::default(),
    }
}

/// What the service saw.
async fn seen(connections: &Connections, more: Value) -> Value {
    connections.run(call(more)).await.unwrap()["ResponseBody"].take()
}

async fn refused(connections: &Connections, more: Value) -> (String, String) {
    let Fault { error, cause } = connections.run(call(more)).await.unwrap_err();
    (error.unwrap(), cause.unwrap())
}

#[tokio::test]
async fn a_call_is_made_as_it_is_asked_for_with_the_connections_credential() {
    let service = service().await;
    let connections = offered(&format!("{service}/v1/"));
    let asked = json!({"ApiEndpoint": format!("{service}/v1/echo?a=b"), "Method": "PUT",
        "Headers": {"X-Trace": "t", "X-Api-Key": "forged", "X-Many": ["1", 2]},
        "QueryParameters": {"q": "x y", "many": [1, 2]}, "RequestBody": {"n": 1}});
    let seen = seen(&connections, asked).await;
    assert_eq!(seen["method"], "PUT");
    assert_eq!(seen["uri"], "/v1/echo?a=b&q=x+y&many=1&many=2");
    assert_eq!(seen["body"], "{\"n\":1}");
    for (name, value) in [
        ("x-trace", "t"),
        ("x-many", "1,2"),
        ("x-api-key", "secret"),
        ("idempotency-key", "key-1"),
        ("content-type", "application/json; charset=utf-8"),
    ] {
        assert_eq!(seen["headers"][name], value, "{seen:#}");
    }
}

#[tokio::test]
async fn a_body_is_sent_as_json_as_text_or_as_a_form() {
    let connections = offered(&service().await);
    let sent = async |more: Value| {
        let seen = seen(&connections, more).await;
        (seen["headers"]["content-type"].clone(), seen["body"].clone())
    };
    let text = sent(json!({"RequestBody": "a line"})).await;
    assert_eq!(text, (json!("text/plain; charset=utf-8"), json!("a line")));
    let body = json!({"a": ["x", "y"], "b": {"c": "z &"}});
    for (format, expected) in [
        (json!({}), "a[0]=x&a[1]=y&b[c]=z+%26"),
        (json!({"RequestEncodingOptions": {"ArrayFormat": "REPEAT"}}), "a=x&a=y&b[c]=z+%26"),
        (json!({"RequestEncodingOptions": {"ArrayFormat": "COMMAS"}}), "a=x%2Cy&b[c]=z+%26"),
        (json!({"RequestEncodingOptions": {"ArrayFormat": "BRACKETS"}}), "a[]=x&a[]=y&b[c]=z+%26"),
    ] {
        let mut transform = json!({"RequestBodyEncoding": "URL_ENCODED"});
        for (name, value) in format.as_object().unwrap() {
            transform[name] = value.clone();
        }
        let (kind, form) = sent(json!({"RequestBody": body, "Transform": transform})).await;
        assert_eq!(kind, "application/x-www-form-urlencoded");
        let form = form.as_str().unwrap().replace("%5B", "[").replace("%5D", "]");
        assert_eq!(form, expected);
    }
}

#[tokio::test]
async fn a_result_has_the_shape_that_it_has_on_aws() {
    let connections = offered(&service().await);
    let given = connections.run(call(json!({"ApiEndpoint": "/text"}))).await.unwrap();
    assert_eq!(given["ResponseBody"], "plain");
    assert_eq!((&given["StatusCode"], &given["StatusText"]), (&json!(200), &json!("OK")));
    assert_eq!(given["Headers"]["content-type"], json!(["text/plain; charset=utf-8"]));
}

#[tokio::test]
async fn what_goes_wrong_is_named_as_on_aws() {
    let connections = offered(&service().await);
    for (path, error, cause) in [
        ("/none", "States.Http.StatusCode.404", ""),
        ("/broken", "States.Http.StatusCode.500", "out of order"),
        ("/away", "States.Http.StatusCode.302", ""),
        ("/endless", "States.DataLimitExceeded", "the answer has more than 262144 bytes"),
        ("/picture", "States.Runtime", "an answer of the type `image/png` cannot be used"),
    ] {
        let told = refused(&connections, json!({"ApiEndpoint": path})).await;
        assert_eq!(told, (error.to_owned(), cause.to_owned()), "{path}");
    }
    for more in [
        json!({"Method": "STEAL"}),
        json!({"Headers": {"Host": "x"}}),
        json!({"Headers": {"X-Amz-Date": "x"}}),
        json!({"Headers": {"X": "a\nb"}}),
        json!({"Body": 1}),
        json!({"RequestBody": [1], "Transform": {"RequestBodyEncoding": "URL_ENCODED"}}),
        json!({"Authentication": null}),
    ] {
        let (error, _) = refused(&connections, more.clone()).await;
        assert_eq!(error, "States.Runtime", "{more}");
    }
    let unknown = json!({"Authentication": {"ConnectionArn": "arn:aws:events:::connection/bank"}});
    assert_eq!(
        refused(&connections, unknown).await,
        (
            "Events.ConnectionResource.ResourceNotFound".to_owned(),
            "there is no connection `bank`".to_owned()
        )
    );
    let mut foreign = call(json!({}));
    foreign.tenant = "other".parse().unwrap();
    let fault = connections.run(foreign).await.unwrap_err();
    assert_eq!(fault.error.unwrap(), "Events.ConnectionResource.ResourceNotFound");
    let nobody = offered("http://127.0.0.1:1");
    assert_eq!(refused(&nobody, json!({})).await.0, "States.Http.Socket");
}

#[tokio::test]
async fn a_service_that_does_not_answer_times_out() {
    let mut connections = offered(&service().await);
    connections.offered.get_mut("shop").unwrap().timeout = Duration::from_millis(50);
    let (error, _) = refused(&connections, json!({"ApiEndpoint": "/silent"})).await;
    assert_eq!(error, "States.Http.Socket");
}

#[test]
fn no_address_leads_out_of_what_a_connection_is_for() {
    let base: Url = "https://api.example.com/v2".parse().unwrap();
    let url = |endpoint: &str| {
        let input = json!({"Method": "GET", "ApiEndpoint": endpoint});
        request::read(&input).unwrap().url(&base)
    };
    for (endpoint, expected) in [
        ("https://api.example.com/v2", "https://api.example.com/v2"),
        ("https://API.example.com:443/v2/a/../b", "https://api.example.com/v2/b"),
        ("/", "https://api.example.com/v2"),
        ("/a?b=c", "https://api.example.com/v2/a?b=c"),
        ("//evil.example/a", "https://api.example.com/v2//evil.example/a"),
        ("/a..b", "https://api.example.com/v2/a..b"),
    ] {
        assert_eq!(url(endpoint).unwrap().as_str(), expected);
    }
    for endpoint in [
        "http://api.example.com/v2",
        "https://api.example.com:444/v2",
        "https://api.example.com/v20",
        "https://api.example.com/v2/../admin",
        "https://api.example.com/v2/%2e%2E/admin",
        "https://api.example.com/v2/..%2fadmin",
        "https://api.example.com/v2/%2e%2e%5Cadmin",
        "https://api.example.com/v2\\..\\admin",
        "/../admin",
        "/..%2Fadmin",
        "/..;/admin",
        "/%2e%2e%3Bx=y/admin",
        "https://evil.example/v2",
        "https://api.example.com@evil.example/v2",
        "https://me:secret@api.example.com/v2",
        "https://api.example.com.evil.example/v2",
        "file:///v2",
    ] {
        let fault = url(endpoint).unwrap_err();
        assert_eq!(fault.error.as_deref(), Some("States.Permissions"), "{endpoint}");
    }
    assert_eq!(url("v2/echo").unwrap_err().error.as_deref(), Some("States.Runtime"));
}
