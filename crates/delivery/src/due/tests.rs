use knowledge::Polls;
use knowledge::source::Put;
use release::{Digest, Timestamp};
use serde_json::Value;
use store::{Expect, Transaction};
use workflow::Status;
use workflow::engine::{ExecutionKey, Newest, TenantEngine};

use super::{Begun, DUE, Dealt, DueRecord, WORKFLOW, check, execution};
use crate::DeliveryError;
use crate::desk::{Desk, at};

const SOURCES: &str = "[[sources]]\nkind = \"directory\"\ndirectory = \"files\"\ntier = \"hourly\"\n\
    [[sources]]\nkind = \"push\"\nprefix = \"inbox/\"\ntier = \"daily\"\n";

/// What the executions have read, the oldest first, once all of them are over.
async fn read(engine: &TenantEngine) -> Vec<Value> {
    let newest = Newest { status: None, after: None, limit: 100 };
    let (begun, _) = engine.executions(WORKFLOW, newest).await.unwrap();
    let mut read = Vec::new();
    for one in begun.iter().rev() {
        let ended = engine.ended(&one.key).await.unwrap();
        assert_eq!(ended.run.status, Status::Succeeded, "{:?}", ended.run.outcome);
        let output = ended.run.outcome.unwrap().output.unwrap();
        assert_eq!(output["report"]["read"], ended.run.about.input["sources"]);
        read.push(output["report"]["read"].clone());
    }
    read
}

fn put(path: &str) -> Put {
    let (media_type, modified_at, metadata) = (None, None, [].into());
    Put { path: path.to_owned(), bytes: "Words.".into(), media_type, modified_at, metadata }
}

#[tokio::test]
async fn a_source_is_read_at_once_and_then_as_its_tier_says_however_many_servers_look() {
    let desk = Desk::new(SOURCES).await;
    desk.write("a.md", "First.", at("00:00"));
    let servers = [(desk.server(), desk.engine("one")), (desk.server(), desk.engine("two"))];
    let look = async |moment: Timestamp| {
        desk.set(moment);
        for _ in 0..2 {
            let [(one, first), (two, second)] = &servers;
            let (one, two) = tokio::join!(one.start_due(first), two.start_due(second));
            one.and(two).unwrap();
            read(first).await;
        }
    };
    look(at("00:00")).await;
    let all = serde_json::json!(["directory", "push"]);
    let hourly = serde_json::json!(["directory"]);
    let engine = &servers[0].1;
    assert_eq!(read(engine).await, std::slice::from_ref(&all));
    look(at("00:59")).await;
    assert_eq!(read(engine).await, std::slice::from_ref(&all));
    // What is not due is not read, and stays.
    desk.ada.put_document(&desk.name, put("late.md")).await.unwrap();
    look(at("01:00")).await;
    assert_eq!(read(engine).await, [all.clone(), hourly.clone()]);
    let known = desk.ada.knowledge_bases().await.unwrap().remove(0);
    assert_eq!(known.polls["push"].succeeded_at, Some(at("00:00")));
    assert_eq!(known.polls["directory"].succeeded_at, Some(at("01:00")));
    // What was missed is read once for all.
    look("2026-01-02T09:30:00Z".parse().unwrap()).await;
    assert_eq!(read(engine).await, [all.clone(), hourly, all]);
    let next = desk.ada.freshness(&desk.name).await.unwrap().sources;
    let due: Vec<_> = next.iter().map(|source| source.due_at.unwrap().to_string()).collect();
    assert_eq!(due, ["2026-01-02T10:00:00Z", "2026-01-03T00:00:00Z"]);
}

#[tokio::test]
async fn an_execution_that_was_noted_and_never_started_is_started_after_a_crash() {
    let desk = Desk::new(SOURCES).await;
    let server = desk.server();
    // Before anything was read, all sources are.
    desk.refresh(&[]).await.unwrap();
    let (name, moment) = (execution(&desk.name, at("00:00"), 1), Some(at("00:00")));
    let newest = Some(Begun { execution: name.clone(), sources: ["push".to_owned()].into() });
    let mut record = DueRecord { newest, begun: 1, ..DueRecord::default() };
    for source in ["directory", "push"] {
        record.sources.entry(source.to_owned()).or_default().last = moment;
    }
    let transaction = Transaction::new(release::PrincipalId::system("test"), at("00:00"));
    let transaction = transaction.put(DUE, desk.name.as_str(), &record, Expect::Absent).unwrap();
    desk.store.tenant(&release::TenantId::DEFAULT).commit(transaction).await.unwrap();
    let engine = desk.engine("one");
    server.start_due(&engine).await.unwrap();
    let key = ExecutionKey { machine: WORKFLOW.to_owned(), name };
    assert_eq!(engine.ended(&key).await.unwrap().run.status, Status::Succeeded);
    assert_eq!(read(&engine).await, [serde_json::json!(["push"])]);
}

#[tokio::test]
async fn a_continuous_source_is_read_when_it_looks_different_also_as_it_did_before() {
    let source = "[[sources]]\nkind = \"directory\"\ndirectory = \"files\"\ntier = \"continuous\"\n\
        [[sources]]\nkind = \"push\"\ntier = \"continuous\"\nprefix = \"inbox/\"\n";
    let desk = Desk::new(source).await;
    desk.write("a.md", "First.", at("00:00"));
    let (server, engine) = (desk.server(), desk.engine("one"));
    let look = async |seconds: u64| {
        desk.pass(seconds);
        server.start_due(&engine).await.unwrap();
        read(&engine).await.len()
    };
    assert_eq!(look(0).await, 1);
    assert_eq!(look(5).await, 1, "it looks the same");
    desk.write("b.md", "Second.", at("00:00"));
    assert_eq!(look(5).await, 2);
    std::fs::remove_file(desk.docs.join("b.md")).unwrap();
    assert_eq!(look(5).await, 3, "it looks as it did before, and is read all the same");
    // What is not of this machine is looked at each minute.
    desk.ada.put_document(&desk.name, put("note.md")).await.unwrap();
    assert_eq!(look(5).await, 3);
    assert_eq!(look(60).await, 4);
    let read = desk.ada.freshness(&desk.name).await.unwrap().sources;
    assert!(read.iter().all(|source| source.due_at.is_none() && source.failing.is_none()));
    // A look that finds nothing new is a poll.
    assert_eq!(look(600).await, 4);
    let read = desk.ada.freshness(&desk.name).await.unwrap().sources.remove(0);
    assert_eq!(read.read_at, Some(desk.now()));
    // One that cannot be looked at is told of, and read when it is there again.
    let away = desk.docs.with_file_name("away");
    std::fs::rename(&desk.docs, &away).unwrap();
    assert_eq!(look(60).await, 4);
    let failing = desk.ada.freshness(&desk.name).await.unwrap().sources.remove(0).failing;
    assert_eq!(failing.unwrap().since, desk.now());
    std::fs::rename(&away, &desk.docs).unwrap();
    look(60).await;
    let read = desk.ada.freshness(&desk.name).await.unwrap().sources.remove(0);
    assert_eq!((read.failing, read.read_at), (None, Some(desk.now())));
}

#[test]
fn a_source_that_can_be_looked_at_and_not_read_stays_failing_and_is_tried_again() {
    let (look, mut polls) = (Digest::of(b"new"), Polls::default());
    let mut dealt = Dealt::default();
    assert!(dealt.looked(Ok(look), &polls, at("00:00")));
    polls.failed(at("00:00"), "access denied".to_owned());
    assert!(!dealt.looked(Ok(look), &polls, at("00:00")));
    assert!(dealt.looked(Ok(look), &polls, at("00:01")), "a minute later it is tried again");
    assert!(polls.and(&dealt.looks).failing.is_some());
    polls.succeeded(at("00:01"));
    assert!(!dealt.looked(Ok(look), &polls, at("00:05")));
    assert_eq!(polls.and(&dealt.looks).succeeded_at, Some(at("00:05")));
}

#[tokio::test]
async fn a_tier_that_is_no_schedule_is_told_at_its_place() {
    let desk = Desk::new("[[sources]]\nkind = \"push\"\n").await;
    let told = |tier: &str| {
        let kind = "[[sources]]\nkind = \"directory\"\ndirectory = \"files\"\n";
        format!("{kind}tier = \"{tier}\"\n")
    };
    for tier in ["hourly", "rate(5 minutes)", "cron(0 8 ? * MON-FRI *)", "continuous"] {
        desk.apply(&told(tier)).await.unwrap();
    }
    for (tier, why) in [
        ("rate(5 minute)", "with an `s`"),
        ("cron(0 8 * * *)", "six fields"),
        ("cron(0 8 * * * *)", "?"),
    ] {
        let Err(DeliveryError::Project(found)) = desk.apply(&told(tier)).await else {
            panic!("{tier} is taken")
        };
        assert_eq!((found.len(), found[0].place.line), (1, 4), "{found:?}");
        assert!(found[0].message.contains(why), "{tier}: {}", found[0].message);
    }
    let feed =
        "[[sources]]\nkind = \"feed\"\nurl = \"https://example.com/\"\ntier = \"continuous\"\n";
    let Err(DeliveryError::Project(found)) = desk.apply(feed).await else { panic!("it is taken") };
    assert!(found[0].message.contains("only be read as a whole"), "{found:?}");
}

#[test]
fn names_of_executions_are_fit_to_be_names_whatever_the_knowledge_base_is_called() {
    for name in ["handbook", "a.b_c", "b".repeat(63).as_str()] {
        let execution = execution(&name.parse().unwrap(), at("00:00"), u64::from(u32::MAX));
        assert!(execution.len() <= 80, "{execution}");
        assert!(execution.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{execution}");
    }
    let source = serde_json::json!({"kind": "push", "tier": "continuous"});
    assert_eq!(check(&serde_json::from_value(source).unwrap()), Ok(()));
}
