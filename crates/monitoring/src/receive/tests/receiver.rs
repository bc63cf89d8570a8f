//! From a sender to the disk.

use std::sync::Arc;

use release::{Clock, TenantId};

use super::*;
use crate::export::{LogSpool, Spool};
use crate::{LogError, LogOptions, TelemetryLog};

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        now()
    }
}

fn open(directory: &std::path::Path, max_bytes: u64) -> TelemetryLog {
    TelemetryLog::open(directory, LogOptions { max_bytes, ..LogOptions::default() }).unwrap()
}

fn posted(body: Vec<u8>) -> Posted {
    let (signal, format) = (Signal::Traces, Format::Protobuf);
    Posted { signal, format, encoding: None, body: body.into() }
}

#[tokio::test]
async fn what_is_acknowledged_stands_in_the_log_as_it_was_sent() {
    let home = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(open(home.path(), 1 << 20), Arc::new(Still));
    let bad = Span { span_id: vec![], ..span(vec![]) };
    let sent = traces(vec![], vec![span(vec![text("a", "b")])]).encode_to_vec();
    let mixed = traces(vec![], vec![bad.clone(), span(vec![])]).encode_to_vec();
    let none = traces(vec![], vec![bad]).encode_to_vec();
    for (body, expected) in [(sent.clone(), (1, 0)), (mixed, (1, 1)), (none, (0, 1))] {
        let taken = receiver.take(&TenantId::DEFAULT, posted(body)).await.unwrap();
        assert_eq!((taken.items, taken.rejected), expected);
    }
    let wrong = receiver.take(&TenantId::DEFAULT, posted(vec![7])).await.unwrap_err();
    assert_eq!((wrong.http_status(), wrong.retry_after()), (400, None));
    let counts = receiver.tenant_counts(&TenantId::DEFAULT)[&Signal::Traces];
    assert_eq!(counts, Counts { accepted: 2, rejected: 2, refused: 1, postponed: 0 });
    assert!(receiver.tenant_counts(&"other".parse().unwrap()).is_empty());
    drop(receiver);

    let spool = LogSpool::new(open(home.path(), 1 << 20), 0);
    let kept = spool.after(0).unwrap();
    assert_eq!(kept.len(), 2, "a message of which nothing is left is not logged");
    assert_eq!(kept[0].otlp, sent);
    assert_eq!(decode(kept[1].signal, &kept[1].otlp, now()).spans.len(), 1);
}

#[tokio::test]
async fn a_full_log_keeps_nothing_and_says_when_to_come_back() {
    let home = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(open(home.path(), 8), Arc::new(Still));
    let sent = posted(traces(vec![], vec![span(vec![])]).encode_to_vec());
    let full = receiver.take(&TenantId::DEFAULT, sent).await.unwrap_err();
    assert!(matches!(full, NotTaken::Log(LogError::Full { .. })), "{full}");
    assert_eq!(full.http_status(), 429);
    assert!(full.retry_after().is_some());
    let counts = receiver.tenant_counts(&TenantId::DEFAULT)[&Signal::Traces];
    assert_eq!(counts, Counts { postponed: 1, ..Counts::default() });
}

#[tokio::test]
async fn bodies_wait_for_room_and_then_are_sent_away() {
    let home = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(open(home.path(), 1 << 20), Arc::new(Still));
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(receiver.room(Some(MAX_BODY as u64)).await.unwrap());
    }
    tokio::time::pause();
    let busy = receiver.room(Some(1)).await.unwrap_err();
    assert_eq!((busy.http_status(), busy.code()), (429, 8));
    held.pop();
    assert!(receiver.room(Some(1)).await.is_ok());
}

#[test]
fn measures_and_judgements_become_the_rows_they_mean() {
    let measure = Measure {
        name: "user.satisfaction".into(),
        value: 4.5,
        unit: "{star}".into(),
        timestamp: Some(Timestamp::new(NOW - 60, 0).unwrap()),
        dimensions: [("app", "support"), ("environment", "prod"), ("channel", "web")]
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
    };
    let judgement = Judgement {
        trace: Some(crate::TraceId::from_bytes([7; 16])),
        name: "helpful".into(),
        value: Some(1.0),
        attributes: [("release".into(), "sha256:aa".into()), ("by".into(), "ada".into())].into(),
        ..Judgement::default()
    };
    let measured = measures(vec![measure], now()).check(None);
    let judged = judgements(vec![judgement], now()).unwrap().check(None);
    let rows = [measured, judged].map(|sent| decode(sent.signal, &sent.otlp, now()));
    insta::assert_debug_snapshot!((&rows[0].metrics, &rows[1].scores));
}
