use std::sync::Arc;

use serde_json::{Value, json};

use crate::engine::tests::Fixture;
use crate::engine::tests::storage::{Storage, on_both_stores};
use crate::engine::{
    AliasChange, Defining, EngineError, ExecutionKey, Route, TenantEngine, VersionRecord,
};

/// A workflow whose output is `result`.
fn giving(result: &str) -> String {
    json!({"StartAt": "Give", "States": {"Give": {"Type": "Pass", "Result": result, "End": true}}})
        .to_string()
}

async fn published(engine: &TenantEngine, result: &str) -> VersionRecord {
    let defining = Defining { publish: true, ..Defining::default() };
    engine.define_as("flow", &giving(result), &defining).await.unwrap().1.unwrap()
}

fn to(routes: &[(u32, u8)]) -> AliasChange {
    let routes = routes.iter().map(|&(version, weight)| Route { version, weight }).collect();
    AliasChange { routes: Some(routes), ..AliasChange::default() }
}

async fn given(engine: &TenantEngine, target: &str, name: &str) -> Option<Value> {
    let record = engine.start(target, Some(name), json!({})).await.unwrap();
    record.run.outcome.unwrap().output
}

on_both_stores! {
    a_version_keeps_its_definition_and_a_start_of_it_says_so,
    what_is_published_already_is_the_same_version_and_a_number_never_comes_again,
    an_alias_leads_by_weight_and_a_start_that_is_tried_again_gets_the_same_version,
    a_version_that_an_alias_leads_to_stays,
}

async fn a_version_keeps_its_definition_and_a_start_of_it_says_so(on: &Arc<Storage>) {
    let fixture = Fixture::on(on, 0).await;
    let engine = fixture.tenant();
    assert_eq!(published(&engine, "old").await.version, 1);
    engine.define("flow", &giving("new")).await.unwrap();
    assert_eq!(given(&engine, "flow:1", "one").await, Some(json!("old")));
    assert_eq!(given(&engine, "flow", "two").await, Some(json!("new")));
    let key = |name: &str| ExecutionKey { machine: "flow".to_owned(), name: name.to_owned() };
    let record = engine.execution(&key("one")).await.unwrap();
    assert_eq!((record.version, record.alias), (Some(1), None));
    let record = engine.execution(&key("two")).await.unwrap();
    assert_eq!((record.version, record.alias), (None, None));
    let none = engine.start("flow:2", None, json!({})).await;
    assert!(matches!(&none, Err(EngineError::UnknownMachine(name)) if name == "flow:2"));
}

async fn what_is_published_already_is_the_same_version_and_a_number_never_comes_again(
    on: &Arc<Storage>,
) {
    let fixture = Fixture::on(on, 0).await;
    let engine = fixture.tenant();
    let first = published(&engine, "a").await;
    assert_eq!(published(&engine, "a").await, first);
    assert_eq!(engine.publish("flow", Some("INITIAL"), None).await.unwrap(), first);
    let second = published(&engine, "b").await;
    assert_eq!(second.version, 2);
    let stale = engine.publish("flow", Some("INITIAL"), None).await;
    assert!(matches!(stale, Err(EngineError::Conflict(_))), "{stale:?}");
    let present = engine.machine("flow").await.unwrap().revision;
    assert_eq!(engine.publish("flow", present.as_deref(), None).await.unwrap(), second);
    engine.remove_version("flow", 2).await.unwrap();
    assert_eq!(engine.publish("flow", None, None).await.unwrap().version, 3);
    let left: Vec<_> = engine.versions("flow").await.unwrap();
    assert_eq!(left.iter().map(|version| version.version).collect::<Vec<_>>(), [3, 1]);
}

async fn an_alias_leads_by_weight_and_a_start_that_is_tried_again_gets_the_same_version(
    on: &Arc<Storage>,
) {
    let fixture = Fixture::on(on, 0).await;
    let engine = fixture.tenant();
    published(&engine, "a").await;
    published(&engine, "b").await;
    let alias = engine.create_alias("flow", "PROD", to(&[(1, 90), (2, 10)])).await.unwrap();
    let drawn = (0..10_000).filter(|n| alias.draw(&format!("run-{n}")) == Some(2)).count();
    assert!((850..1_150).contains(&drawn), "{drawn} of 10000");
    let all = to(&[(1, 0), (2, 100)]);
    let record = engine.start("flow:PROD", Some("one"), json!({})).await.unwrap();
    assert_eq!(record.alias.as_deref(), Some("PROD"));
    assert_eq!(record.version, alias.draw("one"));
    let changed = engine.update_alias("flow", "PROD", all).await.unwrap();
    assert!((0..1_000).all(|n| changed.draw(&format!("run-{n}")) == Some(2)));
    assert_eq!(given(&engine, "flow:PROD", "two").await, Some(json!("b")));
}

async fn a_version_that_an_alias_leads_to_stays(on: &Arc<Storage>) {
    let fixture = Fixture::on(on, 0).await;
    let engine = fixture.tenant();
    published(&engine, "a").await;
    published(&engine, "b").await;
    engine.create_alias("flow", "PROD", to(&[(1, 100)])).await.unwrap();
    let refused = engine.remove_version("flow", 1).await.unwrap_err();
    assert_eq!(refused.to_string(), "the alias `PROD` leads to version 1");
    engine.update_alias("flow", "PROD", to(&[(2, 100)])).await.unwrap();
    engine.remove_version("flow", 1).await.unwrap();
    engine.remove_alias("flow", "PROD").await.unwrap();
    engine.remove_version("flow", 2).await.unwrap();
}

#[tokio::test]
async fn an_alias_that_leads_nowhere_is_refused_with_what_is_wrong() {
    let fixture = Fixture::new(0).await;
    let engine = fixture.tenant();
    published(&engine, "a").await;
    published(&engine, "b").await;
    published(&engine, "c").await;
    let wrong = [
        ("PROD", to(&[]), "an alias leads to 1 or 2 versions, not 0"),
        ("PROD", to(&[(1, 40), (2, 30), (3, 30)]), "an alias leads to 1 or 2 versions, not 3"),
        ("PROD", to(&[(1, 50), (1, 50)]), "both routes lead to the same version: write one"),
        ("PROD", to(&[(1, 50), (2, 49)]), "the weights sum to 99: they must sum to 100"),
        ("PROD", to(&[(7, 100)]), "there is no workflow `flow:7`"),
        ("12", to(&[(1, 100)]), "`12` is the number of a version: an alias has a letter"),
    ];
    for (name, change, why) in wrong {
        let refused = engine.create_alias("flow", name, change).await.unwrap_err();
        assert_eq!(refused.to_string(), why);
    }
    let made = engine.create_alias("flow", "PROD", to(&[(1, 100)])).await.unwrap();
    assert_eq!(engine.create_alias("flow", "PROD", to(&[(1, 100)])).await.unwrap(), made);
    let other = engine.create_alias("flow", "PROD", to(&[(2, 100)])).await;
    assert!(matches!(other, Err(EngineError::Conflict(_))), "{other:?}");
}

#[tokio::test]
async fn a_workflow_goes_with_its_versions_and_aliases() {
    let fixture = Fixture::new(0).await;
    let engine = fixture.tenant();
    published(&engine, "a").await;
    engine.create_alias("flow", "PROD", to(&[(1, 100)])).await.unwrap();
    engine.remove("flow").await.unwrap();
    assert_eq!(engine.versions("flow").await.unwrap(), []);
    assert_eq!(engine.aliases("flow").await.unwrap(), []);
    let gone = engine.start("flow:PROD", None, json!({})).await;
    assert!(matches!(gone, Err(EngineError::UnknownMachine(_))), "{gone:?}");
}
