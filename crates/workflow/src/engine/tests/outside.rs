//! What rules, schedules and approvals owe to those who make them through other doors: names of
//! targets, requests that are sent twice, bounds of age, links.

use super::*;
use crate::engine::{Keep, Link};

#[tokio::test]
async fn each_target_of_a_rule_starts_its_own_execution_and_an_event_that_is_too_old_none() {
    let fixture = Fixture::new(0).await;
    define(&fixture).await;
    let target = |id: &str, more: Value| {
        let mut target = json!({"kind": "execution", "workflow": "flow", "id": id});
        target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        target
    };
    let fixed = json!({"input": {"constant": {"n": 1}}});
    let (long, dashed) = ("x".repeat(64), "a-b");
    let targets = json!([
        target("one", fixed),
        target(dashed, json!({})),
        target(&long, json!({"max_age_seconds": 60}))
    ]);
    let spec = json!({"pattern": {"source": ["shop"]}, "targets": targets});
    let name = "r".repeat(64);
    let engine = fixture.tenant();
    engine.rule(&name, serde_json::from_value(spec).unwrap()).await.unwrap();
    let event = json!({"source": "shop", "detail_type": "order"});
    engine.post(&serde_json::from_value(event).unwrap()).await.unwrap();
    fixture.clock.advance(Duration::from_secs(61));
    followed(&fixture).await;
    let started = executions(&engine, "flow").await;
    assert_eq!(started.len(), 2, "{started:?}");
    assert!(started.iter().any(|one| one.run.about.input == json!({"n": 1})));
    let letters = engine.dead_letters().await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].error.contains("61 s old, and 60 s is the most"), "{letters:?}");
    let spec = json!({"pattern": {"source": ["shop"]},
        "targets": [target("one", json!({})), target("one", json!({}))]});
    let twice = engine.rule("twice", serde_json::from_value(spec).unwrap()).await;
    assert!(matches!(twice, Err(EngineError::Refused(_))), "{twice:?}");
}

#[tokio::test]
async fn a_schedule_is_made_once_says_when_it_is_and_goes_when_it_is_done() {
    let fixture = Fixture::new(0).await;
    define(&fixture).await;
    let engine = fixture.tenant();
    let file = json!({"workflow": "flow", "remove_when_done": true,
        "input": {"at": "<aws.scheduler.scheduled-time>", "as": "<aws.scheduler.execution-id>"},
        "when": {"expression": "at(2026-01-01T01:00:00)"}});
    let file: ScheduleFile = serde_json::from_value(file).unwrap();
    let name = "s".repeat(80);
    let made = engine.keep_schedule(&name, file.clone(), Keep::New(Some("q"))).await.unwrap();
    let again = engine.keep_schedule(&name, file.clone(), Keep::New(Some("q"))).await.unwrap();
    assert_eq!(made, again);
    let other = engine.keep_schedule(&name, file.clone(), Keep::New(Some("r"))).await;
    assert!(matches!(other, Err(EngineError::Conflict(_))), "{other:?}");
    let unknown = engine.keep_schedule("other", file, Keep::Known).await;
    assert!(matches!(unknown, Err(EngineError::UnknownSchedule(_))), "{unknown:?}");
    kept(&fixture).await;
    assert_eq!(engine.schedules().await.unwrap().len(), 1);
    fixture.clock.advance(Duration::from_secs(3_600));
    kept(&fixture).await;
    assert_eq!(engine.dead_letters().await.unwrap(), []);
    let started = &executions(&engine, "flow").await[0];
    let input = json!({"at": "2026-01-01T01:00:00Z", "as": started.key.name});
    assert_eq!(started.run.about.input, input);
    assert_eq!(engine.schedules().await.unwrap(), []);
}

#[tokio::test]
async fn what_is_due_for_too_long_is_kept_as_a_dead_letter() {
    let fixture = Fixture::new(0).await;
    define(&fixture).await;
    let engine = fixture.tenant();
    let mut file = every_hour(json!({"catch_up": "all", "overlap": "allow"}));
    file.max_age_seconds = Some(1_800);
    engine.schedule("hourly", file).await.unwrap();
    fixture.clock.advance(Duration::from_secs(2 * 3_600 + 600));
    kept(&fixture).await;
    assert_eq!(executions(&engine, "flow").await.len(), 1);
    let letters = engine.dead_letters().await.unwrap();
    assert!(letters[0].error.contains("due 4200 s before"), "{letters:?}");
}

#[tokio::test]
async fn a_link_decides_one_task_for_whom_it_names_and_is_never_the_requesters() {
    let fixture = Fixture::new(0).await;
    let ada = fixture.tenant();
    ada.define("flow", &asks(json!({}))).await.unwrap();
    ada.start("flow", Some("one"), json!({})).await.unwrap();
    let (one, far) = (key("one"), Timestamp::MAX);
    let user = |name: &str| PrincipalId::user(name).unwrap();
    let engine = fixture.engine.as_ref().unwrap();
    let of = |name: &str| engine.tenant(&TenantId::DEFAULT, user(name));
    let (bob, eve) = (user("bob"), of("eve"));
    for (by, principal, role) in
        [(&ada, &bob, "operator"), (&eve, &user("ada"), "operator"), (&eve, &bob, "viewer")]
    {
        let refused = by.approval_link((&one, None), (principal, role), far).await;
        assert!(matches!(refused, Err(EngineError::MayNotDecide(_))), "{refused:?}");
    }
    let link = eve.approval_link((&one, None), (&bob, "operator"), far).await.unwrap();
    assert!(link.expires_at < far, "it ends with what it is for");
    let shown = of("bob").linked_approval(&link, "operator").await.unwrap();
    assert_eq!(shown.asked.message, "Go?");
    let later = Link { started_at: far, ..link.clone() };
    let other = of("bob").linked_approval(&later, "operator").await;
    assert!(matches!(other, Err(EngineError::NoApproval(_))), "{other:?}");
    let by_link = Decision { link: Some(link.clone()), ..decision(true) };
    let decided = of("bob").decide(&one, &by_link).await.unwrap();
    let output = decided.run.outcome.unwrap().output.unwrap();
    assert_eq!((&output["by"], &output["link"]["issued_by"]), (&json!(bob), &json!("user:eve")));
    let twice = of("bob").decide(&one, &by_link).await;
    assert!(matches!(twice, Err(EngineError::NoApproval(_))), "{twice:?}");
}
