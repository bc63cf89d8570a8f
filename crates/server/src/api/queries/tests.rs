use super::*;

#[test]
fn a_moment_is_written_in_full_or_as_how_long_ago() {
    let now: Timestamp = "2026-11-27T14:00:00Z".parse().unwrap();
    let at = |text: &str| moment(text, now).map(|at| at.to_string());
    assert_eq!(at("15m").unwrap(), "2026-11-27T13:45:00Z");
    assert_eq!(at("3h").unwrap(), "2026-11-27T11:00:00Z");
    assert_eq!(at("7d").unwrap(), "2026-11-20T14:00:00Z");
    assert_eq!(at("2026-11-01T00:00:00+01:00").unwrap(), "2026-10-31T23:00:00Z");
    for wrong in ["", "yesterday", "-5m", "5x", "999999999999999999w"] {
        assert!(at(wrong).is_err(), "{wrong}");
    }
}
