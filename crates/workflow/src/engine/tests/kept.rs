//! What is kept, and how long: old executions, a project's definitions, tasks done alone.

use std::collections::BTreeSet;

use release::ArtifactName;
use store::{Collection, List, TenantStore};

use super::super::{Definitions, EXECUTIONS, worker};
use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn store(fixture: &Fixture) -> TenantStore {
    fixture.engine.as_ref().unwrap().shared.store.tenant(&TenantId::DEFAULT)
}

async fn count(fixture: &Fixture, collection: Collection) -> usize {
    let list = List { prefix: String::new(), index: None, after: None, limit: 1_000 };
    store(fixture).list(collection, list).await.unwrap().len()
}

async fn forget(fixture: &Fixture, keep_days: u32) -> usize {
    fixture.engine.as_ref().unwrap().forget_ended(&[TenantId::DEFAULT], keep_days).await
}

on_both_stores! {
    an_execution_is_deleted_whole_when_it_ended_long_ago_and_its_name_is_free,
    many_old_executions_go_in_small_transactions_the_oldest_day_first_whatever_the_clock_did,
}

async fn an_execution_is_deleted_whole_when_it_ended_long_ago_and_its_name_is_free(
    on: &Arc<Storage>,
) {
    let fixture = Fixture::on(on, 0).await;
    let tenant = started_with_activity(&fixture).await;
    let given = tenant.take_task("review", None, Duration::ZERO).await.unwrap().unwrap();
    tenant.report(&given.token, Report::Succeeded(json!(1))).await.unwrap();
    let token = given.token;
    fixture.clock.advance(90 * DAY);
    assert_eq!(forget(&fixture, 90).await, 0, "it ended 90 days ago, and not more");
    let history = tenant.history(&key("one")).await.unwrap();
    assert_eq!(history.last().unwrap().kind, "ExecutionSucceeded");
    fixture.clock.advance(DAY);
    assert_eq!(forget(&fixture, 90).await, 1);
    assert_eq!(forget(&fixture, 90).await, 0);
    assert_eq!(count(&fixture, EXECUTIONS).await, 0);
    assert_eq!(count(&fixture, worker::TOKENS).await, 0);
    assert_eq!(store(&fixture).stream("workflow/flow/one", 0, 9).await.unwrap(), []);
    let late = tenant.report(&token, Report::Succeeded(json!(2))).await;
    assert!(matches!(late, Err(EngineError::Token)), "{late:?}");
    let log = store(&fixture).log(0, 100).await.unwrap();
    let told: Vec<_> = log.iter().filter(|event| event.kind == "executions.deleted").collect();
    assert_eq!(told.len(), 1);
    let expected = json!({"executions": ["flow/one"], "ended_on": "2026-01-01"});
    assert_eq!(told[0].read::<Value>().unwrap(), expected);
    assert_eq!(told[0].actor.to_string(), "system:retention");
    tenant.start("flow", Some("one"), json!({"n": 2})).await.unwrap();
    assert_eq!(tenant.history(&key("one")).await.unwrap()[0].id, 1);
}

#[tokio::test]
async fn what_is_under_way_or_was_redriven_or_is_a_dead_letter_is_never_deleted() {
    let fixture = Fixture::new(1).await;
    let tenant = fixture.tenant();
    let waits =
        json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1e9, "End": true}}});
    tenant.define("long", &waits.to_string()).await.unwrap();
    tenant.start("long", Some("one"), json!({})).await.unwrap();
    let once =
        json!({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": WORK, "End": true}}});
    tenant.define("flow", &once.to_string()).await.unwrap();
    tenant.start("flow", Some("one"), json!({})).await.unwrap();
    assert_eq!(tenant.ended(&key("one")).await.unwrap().run.status, Status::Failed);
    let mut file = every_hour(json!({}));
    file.workflow = Some("nothing".parse().unwrap());
    tenant.schedule("hourly", file).await.unwrap();
    fixture.clock.advance(Duration::from_secs(3_600));
    kept(&fixture).await;
    fixture.clock.advance(400 * DAY);
    tenant.redrive(&key("one")).await.unwrap();
    tenant.ended(&key("one")).await.unwrap();
    assert_eq!(forget(&fixture, 1).await, 0);
    assert_eq!(count(&fixture, EXECUTIONS).await, 2);
    assert_eq!(tenant.dead_letters().await.unwrap().len(), 1);
}

async fn many_old_executions_go_in_small_transactions_the_oldest_day_first_whatever_the_clock_did(
    on: &Arc<Storage>,
) {
    let fixture = Fixture::on(on, 0).await;
    define(&fixture).await;
    let tenant = fixture.tenant();
    for day in 0..3 {
        for n in 0..25 {
            tenant.start("flow", Some(&format!("{day}-{n}")), json!({})).await.unwrap();
        }
        fixture.clock.advance(DAY);
    }
    // A clock that is wrong for a while must not make anything be forgotten for good.
    fixture.clock.advance(10 * DAY);
    assert_eq!(forget(&fixture, 12).await, 25);
    assert_eq!(forget(&fixture, 30).await, 0);
    fixture.clock.advance(10 * DAY);
    assert_eq!(forget(&fixture, 5).await, 50);
    let log = store(&fixture).log(0, 1_000).await.unwrap();
    let told = log.iter().filter(|event| event.kind == "executions.deleted");
    let told: Vec<Value> = told.map(|event| event.read().unwrap()).collect();
    let batches: Vec<_> = told
        .iter()
        .map(|told| {
            (told["ended_on"].as_str().unwrap(), told["executions"].as_array().unwrap().len())
        })
        .collect();
    let day = |day| [(day, 20), (day, 5)];
    let expected = [day("2026-01-01"), day("2026-01-02"), day("2026-01-03")].concat();
    assert_eq!(batches, expected);
}

#[tokio::test]
async fn each_task_has_a_workflow_of_its_own_that_nobody_else_can_define_or_remove() {
    let fixture = Fixture::new(0).await;
    let tenant = fixture.tenant();
    let names: Vec<_> = tenant.machines().await.unwrap().into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["groundcrew.test.hang", "groundcrew.test.work", "groundcrew.webhook"]);
    let record = tenant.machine("groundcrew.test.work").await.unwrap();
    assert!(tenant.definition(record.definition).await.unwrap().contains(WORK));
    let begun = tenant.do_task("test.work", json!({"n": 1})).await.unwrap();
    let ended = tenant.ended(&begun.key).await.unwrap();
    assert_eq!(ended.run.outcome.unwrap().output, Some(json!({"did": {"n": 1}})));
    let taken = tenant.define("groundcrew.test.work", &chain()).await;
    assert!(matches!(taken, Err(EngineError::Refused(_))), "{taken:?}");
    let taken = tenant.remove("groundcrew.test.work").await;
    assert!(matches!(taken, Err(EngineError::Refused(_))), "{taken:?}");
    let unknown = tenant.do_task("test.nothing", json!({})).await;
    assert!(matches!(unknown, Err(EngineError::UnknownMachine(_))), "{unknown:?}");
}

#[tokio::test]
async fn a_task_is_somebodys_own_deed_only_where_they_ask_for_exactly_it_and_only_once() {
    let fixture = Fixture::new(1).await;
    let tenant = fixture.tenant();
    let begun = tenant.do_task("test.work", json!({})).await.unwrap();
    assert!(begun.by_hand);
    let failed = tenant.ended(&begun.key).await.unwrap();
    assert_eq!((failed.run.status, failed.by_hand), (Status::Failed, true));
    let redriven = tenant.redrive(&begun.key).await.unwrap();
    assert!(!redriven.by_hand);
    let started = tenant.start("groundcrew.test.work", None, json!({})).await.unwrap();
    assert!(!started.by_hand);
}

fn of(fixture: &Fixture, project: &str) -> Definitions {
    let by = (PrincipalId::user("ada").unwrap(), fixture.clock.now());
    Definitions::of_project(store(fixture), by, project.parse::<ArtifactName>().unwrap())
}

fn named(labels: &[&str]) -> BTreeSet<String> {
    labels.iter().map(|label| (*label).to_owned()).collect()
}

#[tokio::test]
async fn a_project_keeps_what_it_defines_and_removes_only_that() {
    let fixture = Fixture::new(0).await;
    let (tenant, store) = (fixture.tenant(), store(&fixture));
    tenant.define("by-hand", &chain()).await.unwrap();
    let desk = of(&fixture, "desk");
    let begin = || tenant.transaction();
    let (transaction, flow) = desk.workflow("flow", &chain(), begin()).await.unwrap();
    let (transaction, _) =
        desk.schedule("hourly", every_hour(json!({})), transaction).await.unwrap();
    let pattern = json!({"source": ["x"]});
    let (transaction, _) = desk.rule("r", rule(pattern, json!({})), transaction).await.unwrap();
    assert!(flow.changed);
    store.commit(transaction).await.unwrap();
    fixture.clock.advance(Duration::from_secs(600));
    let (_, again) = desk.schedule("hourly", every_hour(json!({})), begin()).await.unwrap();
    assert!(!again.changed, "the same counts on from when it was made");
    let taken = of(&fixture, "other").workflow("flow", &chain(), begin()).await.unwrap_err();
    assert_eq!(
        taken.to_string(),
        "workflow flow belongs to project `desk`: rename one, or remove it there first"
    );
    // A change by hand is undone by the next apply, and does not make it anybody else's.
    let text = asks(json!({}));
    assert_eq!(tenant.define("flow", &text).await.unwrap().project, Some("desk".parse().unwrap()));
    assert!(desk.workflow("flow", &chain(), begin()).await.unwrap().1.changed);

    let left = named(&["workflow flow"]);
    let (_, beside) = desk.beside(&left, false, begin()).await.unwrap();
    assert_eq!(beside, ["schedule hourly", "rule r"]);
    assert_eq!(tenant.schedules().await.unwrap().len(), 1);
    let (transaction, _) = desk.beside(&named(&[]), true, begin()).await.unwrap();
    store.commit(transaction).await.unwrap();
    assert_eq!(
        (tenant.schedules().await.unwrap(), tenant.rules().await.unwrap()),
        (vec![], vec![])
    );
    tenant.machine("by-hand").await.unwrap();
    assert!(matches!(tenant.machine("flow").await, Err(EngineError::UnknownMachine(_))));
}

#[tokio::test]
async fn a_redriven_execution_does_not_end_by_the_time_out_of_its_first_life() {
    let fixture = Fixture::new(1).await;
    let tenant = fixture.tenant();
    let text = json!({"StartAt": "Work", "TimeoutSeconds": 100, "States": {
        "Work": {"Type": "Task", "Resource": WORK, "Next": "Wait"},
        "Wait": {"Type": "Wait", "Seconds": 80, "End": true}}});
    tenant.define("flow", &text.to_string()).await.unwrap();
    tenant.start("flow", Some("one"), json!({})).await.unwrap();
    assert_eq!(tenant.ended(&key("one")).await.unwrap().run.status, Status::Failed);
    fixture.pass(50).await;
    tenant.redrive(&key("one")).await.unwrap();
    fixture.settle().await;
    fixture.pass(50).await;
    assert_eq!(tenant.execution(&key("one")).await.unwrap().run.status, Status::Running);
    fixture.pass(30).await;
    fixture.settle().await;
    assert_eq!(tenant.execution(&key("one")).await.unwrap().run.status, Status::Succeeded);
}

#[tokio::test]
async fn a_workflow_that_its_project_dropped_takes_its_versions_along_and_can_come_again() {
    let fixture = Fixture::new(0).await;
    define(&fixture).await;
    let tenant = fixture.tenant();
    let definition = tenant.machine("flow").await.unwrap().definition;
    let text = tenant.definition(definition).await.unwrap();
    let project: ArtifactName = "desk".parse().unwrap();
    let of = (PrincipalId::user("ada").unwrap(), fixture.clock.now());
    let desk = Definitions::of_project(store(&fixture), of, project);
    let (made, _) = desk.workflow("flow", &text, tenant.transaction()).await.unwrap();
    store(&fixture).commit(made).await.unwrap();
    tenant.publish("flow", None, None).await.unwrap();
    let (removed, _) = desk.beside(&BTreeSet::new(), true, tenant.transaction()).await.unwrap();
    store(&fixture).commit(removed).await.unwrap();
    assert_eq!(tenant.versions("flow").await.unwrap(), []);
    define(&fixture).await;
    assert_eq!(tenant.publish("flow", None, None).await.unwrap().version, 1);
    // No project takes a name that is the product's own.
    let own = desk.workflow("groundcrew.webhook", &text, tenant.transaction()).await;
    assert!(matches!(own, Err(EngineError::Refused(_))), "{own:?}");
}
