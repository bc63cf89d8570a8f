use std::fs;

use crate::desk::{Desk, at};
use crate::{DeliveryError, Excised};

const SOURCES: &str = "[[sources]]\nkind = \"directory\"\ndirectory = \"files\"\nname = \"wiki\"\n\
    [[sources]]\nkind = \"push\"\nprefix = \"inbox/\"\n";

/// What the newest batch did to each document.
async fn told(desk: &Desk) -> Vec<String> {
    let reported = desk.ada.batch_report(&desk.name, None).await.unwrap();
    let told = reported.documents.iter().map(|one| {
        let at = one.at.map(|at| at.strftime("%H:%M").to_string()).unwrap_or_default();
        format!("{} {} ({}, {at}): {}", one.what, one.document, one.source, one.why)
    });
    told.collect()
}

#[tokio::test]
async fn each_document_is_told_of_with_its_source_its_moment_and_why() {
    let desk = Desk::new(SOURCES).await;
    let none = desk.ada.batch_report(&desk.name, None).await;
    assert!(matches!(none, Err(DeliveryError::NeverRefreshed(_))), "{none:?}");
    for path in ["a.md", "b.md", "c.md"] {
        desk.write(path, path, at("00:00"));
    }
    desk.set(at("00:10"));
    desk.refresh(&[]).await.unwrap();
    desk.write("a.md", "Changed.", at("00:20"));
    desk.write("d.md", "New.", at("00:25"));
    fs::remove_file(desk.docs.join("b.md")).unwrap();
    desk.set(at("00:30"));
    let refreshed = desk.refresh(&["wiki"]).await.unwrap();
    assert_eq!((refreshed.batch, &refreshed.report.read[..]), (Some(2), &["wiki".to_owned()][..]));
    assert_eq!(
        told(&desk).await,
        [
            "added d.md (wiki, 00:25): it is new",
            "changed a.md (wiki, 00:20): its contents changed",
            "removed b.md (wiki, 00:10): its source does not have it any more",
        ]
    );
    let reported = desk.ada.batch_report(&desk.name, Some(2)).await.unwrap();
    let proposed: Vec<_> = refreshed.changes.iter().map(|change| change.id.clone()).collect();
    assert_eq!(reported.batch.changes, proposed);
    assert_eq!(desk.refresh(&[]).await.unwrap().batch, None, "nothing has changed");

    desk.write("b.md", "b.md", at("00:40"));
    desk.set(at("00:50"));
    desk.refresh(&[]).await.unwrap();
    assert_eq!(told(&desk).await, ["added b.md (wiki, 00:40): it came back"]);
    desk.ada.excise(&desk.name, &Excised::Document("c.md".to_owned())).await.unwrap();
    assert_eq!(told(&desk).await, ["removed c.md (wiki, 00:00): it was taken out"]);
    let unknown = desk.ada.batch_report(&desk.name, Some(99)).await;
    assert!(matches!(unknown, Err(DeliveryError::Batch { number: 99, .. })), "{unknown:?}");
}

#[tokio::test]
async fn a_source_that_is_not_there_cannot_be_asked_for() {
    let desk = Desk::new(SOURCES).await;
    let told = desk.refresh(&["wikki"]).await.unwrap_err().to_string();
    assert!(told.contains("wikki") && told.contains("`push`, `wiki`"), "{told}");
    let polls = desk.ada.knowledge_bases().await.unwrap().remove(0).polls;
    assert!(polls.values().all(|polls| polls.failing.is_none()), "{polls:?}");
}

#[tokio::test]
async fn a_second_refresh_waits_for_the_first_and_on_another_server_reads_again() {
    let desk = Desk::new(SOURCES).await;
    desk.write("a.md", "First.", at("00:00"));
    let (one, two) = tokio::join!(desk.refresh(&[]), desk.refresh(&[]));
    let mut batches = [one.unwrap().batch, two.unwrap().batch];
    batches.sort_unstable();
    assert_eq!(batches, [None, Some(1)]);
    desk.write("a.md", "Second.", at("00:10"));
    desk.set(at("00:20"));
    let other = desk.server();
    let wish = crate::Refresh { knowledge: desk.name.clone(), sources: [].into(), approved: false };
    let watch = std::sync::Arc::default();
    let (one, two) = tokio::join!(desk.refresh(&[]), other.refresh(&wish, &watch));
    let mut batches = [one.unwrap().batch, two.unwrap().batch];
    batches.sort_unstable();
    assert_eq!(batches, [None, Some(2)]);
}
