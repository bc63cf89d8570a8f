use std::time::Duration;

use super::Bell;

const LONG: Duration = Duration::from_secs(3_600);

#[tokio::test(start_paused = true)]
async fn a_ring_after_listening_is_heard_though_it_came_before_waiting() {
    let bell = Bell::default();
    let listener = bell.listen("one");
    let rung = listener.rung();
    bell.ring(&"one");
    let start = tokio::time::Instant::now();
    rung.within(LONG).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_ring_of_another_name_is_not_heard() {
    let bell = Bell::default();
    let listener = bell.listen("one");
    let rung = listener.rung();
    bell.ring(&"other");
    let start = tokio::time::Instant::now();
    rung.within(LONG).await;
    assert_eq!(start.elapsed(), LONG);
}

#[test]
fn names_that_nobody_listens_for_are_not_kept() {
    let bell = Bell::default();
    for name in 0..10_000 {
        drop(bell.listen(name));
    }
    assert!(bell.names().bells.len() <= super::NAMES);
}
