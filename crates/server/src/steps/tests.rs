//! Steps reach what the operator offers to their tenant, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use knowledge::Steps as _;
use serde_json::json;

use super::*;
use crate::connections::Connection;
use crate::functions::{Command, Function, Handler};
use crate::outside;
use crate::outside::tests::service;

fn steps(script: &str, url: &str) -> Steps {
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let tenants = vec![TenantId::DEFAULT];
    let command = Command {
        program: "sh".to_owned(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        directory: "/".into(),
        environment: BTreeMap::new(),
    };
    let timeout = Duration::from_secs(60);
    let tidy = Function::new(Handler::Command(command), timeout, 1, tenants.clone());
    let (url, authorization, proof) = (url.parse().unwrap(), None, None);
    let hook = Connection { url, authorization, proof, timeout, tenants };
    let http = outside::client().unwrap();
    let functions = Functions::new(BTreeMap::from([("tidy".to_owned(), tidy)]), http.clone());
    let connections = Connections::new(BTreeMap::from([("hook".to_owned(), hook)]), http);
    Steps { functions: Arc::new(functions), connections: Arc::new(connections) }
}

fn function(name: &str) -> StepSpec {
    StepSpec::Function { function: name.to_owned() }
}

fn hook(path: &str) -> StepSpec {
    StepSpec::Http { connection: "hook".to_owned(), path: path.to_owned() }
}

#[tokio::test]
async fn a_command_is_given_a_document_larger_than_a_payload_and_gives_one_back() {
    let steps = steps("cat", "http://localhost:1");
    let document = json!({"text": "x".repeat(4 << 20)});
    let taken = steps.take(&TenantId::DEFAULT, &function("tidy"), document.clone()).await;
    assert_eq!(taken, Ok(document));
}

#[tokio::test]
async fn a_command_that_fails_says_so_and_no_other_tenant_reaches_it() {
    let steps = steps("echo no >&2; exit 3", "http://localhost:1");
    let failed = steps.take(&TenantId::DEFAULT, &function("tidy"), json!({})).await.unwrap_err();
    assert!(failed.contains("Runtime.ExitError") && failed.contains("exit status: 3"), "{failed}");
    let other: TenantId = "other".parse().unwrap();
    let refused = steps.take(&other, &function("tidy"), json!({})).await.unwrap_err();
    assert!(refused.contains("Function not found"), "{refused}");
    let refused = steps.take(&other, &hook("/echo"), json!({})).await.unwrap_err();
    assert_eq!(refused, "there is no connection `hook`");
}

#[tokio::test]
async fn a_hook_is_posted_the_document_below_its_address_only() {
    let steps = steps("", &format!("{}/v1", service().await));
    let tenant = TenantId::DEFAULT;
    let taken = steps.take(&tenant, &hook("echo"), json!({"text": "x"})).await.unwrap();
    assert_eq!((&taken["uri"], &taken["body"]), (&json!("/v1/echo"), &json!("{\"text\":\"x\"}")));
    assert!(steps.take(&tenant, &hook("../text"), json!({})).await.is_err());
    assert_eq!(
        steps.take(&tenant, &hook("/none"), json!({})).await.unwrap_err(),
        "it answers 404 Not Found"
    );
}
