use super::*;

#[test]
fn a_clock_starts_at_the_turn_of_2026_and_stands_still() {
    let clock = ManualClock::default();
    assert_eq!(clock.now().to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(clock.now(), clock.now());
}

#[test]
fn clones_share_one_time() {
    let clock = ManualClock::default();
    let held_by_the_code = clock.clone();
    clock.advance(Duration::from_millis(1_500));
    assert_eq!(held_by_the_code.now().to_string(), "2026-01-01T00:00:01.5Z");
}

#[test]
fn it_can_be_set_back() {
    let clock = ManualClock::default();
    clock.set(Timestamp::UNIX_EPOCH);
    assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
}

#[test]
fn it_stops_at_the_last_moment() {
    let clock = ManualClock::default();
    clock.advance(Duration::MAX);
    assert_eq!(clock.now(), Timestamp::MAX);
}
