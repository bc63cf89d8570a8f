//! A compacted base goes on as if nothing had happened.

use std::fs;

use crate::catalog::BatchCause;
use crate::versions::tests::Desk;
use crate::{DeliveryError, Excised};

#[tokio::test]
async fn a_compacted_base_is_refreshed_excised_and_compared_as_before() {
    let desk = Desk::new("").await;
    let never = desk.ada.compact(&desk.name, false).await;
    assert!(matches!(never, Err(DeliveryError::NeverRefreshed(_))), "{never:?}");
    desk.batch(&[("a.md", Some("Alpha.")), ("b.md", Some("Beta."))], false).await;
    desk.batch(&[("a.md", Some("Wrong.")), ("c.md", Some("Wrong too."))], false).await;
    let third = desk.batch(&[("d.md", Some("Delta."))], false).await;

    let dry = desk.ada.compact(&desk.name, true).await.unwrap();
    assert!(dry.batch.is_none() && dry.compaction.is_some());
    assert_eq!(desk.ada.batches(&desk.name).await.unwrap().len(), 3, "a dry run is no batch");
    let done = desk.ada.compact(&desk.name, false).await.unwrap();
    let batch = done.batch.unwrap();
    assert!(batch.accepted && batch.snapshot != third.snapshot);
    let newest = desk.ada.batches(&desk.name).await.unwrap().remove(0);
    assert_eq!((newest.number, newest.cause), (4, BatchCause::Compact));
    let nothing = desk.ada.compact(&desk.name, false).await.unwrap();
    assert!(nothing.compaction.is_none() && nothing.batch.is_none());
    let diff = desk.ada.knowledge_diff(&desk.name, (3, None)).await.unwrap();
    assert_eq!(diff, knowledge::Diff::default());
    assert!(desk.batch(&[], false).await.unchanged);

    // A batch of before can still be taken out, and what it replaced comes back.
    let excised = desk.ada.excise(&desk.name, &Excised::Batch(2)).await.unwrap();
    assert_eq!(excised.report.diff.changed, ["a.md"]);
    assert_eq!(excised.report.diff.removed, ["c.md"]);
    // The compaction itself brought nothing that could be taken out.
    let none = desk.ada.excise(&desk.name, &Excised::Batch(4)).await.unwrap();
    assert!(none.unchanged);
}

#[tokio::test]
async fn a_base_of_many_segments_is_compacted_after_a_refresh() {
    let desk = Desk::new("").await;
    for number in 0..33 {
        fs::write(desk.docs.join(format!("{number}.md")), format!("Number {number}.")).unwrap();
        let mut refreshed = desk.batch(&[], false).await;
        desk.ada.compact_worn(&mut refreshed).await;
        let compaction = refreshed.report.compaction;
        assert_eq!(compaction.is_some(), number == 32, "after {number}");
        if let Some(compaction) = compaction {
            assert_eq!((compaction.before.segments, compaction.after.segments), (33, 1));
        }
    }
    let newest = desk.ada.batches(&desk.name).await.unwrap().remove(0);
    assert!(newest.accepted && newest.cause == BatchCause::Compact);
    assert_eq!(desk.ada.knowledge_bases().await.unwrap()[0].snapshot, Some(newest.snapshot));
}

#[tokio::test]
async fn a_compaction_must_find_what_golden_queries_found() {
    let desk = Desk::new("[quality]\ngolden = \"golden.jsonl\"\n").await;
    desk.batch(&[("a.md", Some("Alpha.")), ("b.md", Some("Beta."))], false).await;
    desk.batch(&[("b.md", Some("Beta again."))], false).await;
    let done = desk.ada.compact(&desk.name, false).await.unwrap();
    let report = done.batch.unwrap().report;
    let gates: Vec<_> = report.quality.checks.iter().map(|it| (&*it.gate, it.passed)).collect();
    assert_eq!(gates, [("same_knowledge", true), ("golden_queries", true)]);
    let record = desk.ada.knowledge_bases().await.unwrap().remove(0);
    let before = desk.ada.must_find(&record).await.unwrap().unwrap().before.unwrap();
    assert_eq!(Some(before.snapshot), record.snapshot, "the next batch compares with this one");
    // What was found before and is not now rejects it; what was missed before does not.
    let mut after = before.clone();
    after.queries[0].missed.push("a.md".to_owned());
    let check = super::still_found(&before, &after);
    assert!(!check.passed && check.documents == ["a.md"]);
    assert!(super::still_found(&after, &after).passed);
}
