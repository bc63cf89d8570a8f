use crate::Upload;
use crate::desk::{Desk, at};

#[tokio::test]
async fn events_since_a_moment_are_found_from_the_end_of_the_log() {
    let sources = "[[sources]]\nkind = \"directory\"\ndirectory = \"files\"\n";
    let desk = Desk::new(sources).await;
    desk.set(at("05:00"));
    let files = [("groundcrew.toml".to_owned(), b"name = \"other\"\n".to_vec())].into();
    desk.ada.apply(&Upload { files, ..Upload::default() }).await.unwrap();
    let newest = *desk.store.watch().borrow();
    let kinds = async |newest, since| {
        let events = desk.ada.events_since(newest, at(since)).await.unwrap();
        events.into_iter().map(|event| event.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(newest, "04:59").await, ["project.applied"]);
    assert_eq!(kinds(0, "04:59").await, ["project.applied"], "whatever the hint");
    assert!(kinds(newest, "00:00").await.len() > 3);
    assert!(kinds(newest, "05:01").await.is_empty());
}
