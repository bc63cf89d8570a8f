//! What the calendar says, whatever clocks do.

use super::super::GateState;
use super::*;

fn gate(text: &str) -> WindowGate {
    toml::from_str(text).unwrap()
}

fn says(gate: &WindowGate, now: &str) -> Verdict {
    decide(gate, now.parse().unwrap())
}

fn is_open(gate: &WindowGate, now: &str) -> bool {
    says(gate, now).state == GateState::Passed
}

const OFFICE: &str = "days = [\"mon\", \"tue\", \"wed\", \"thu\"]\nfrom = \"09:00\"\nuntil = \"16:00\"\n\
    zone = \"Europe/Berlin\"\n";

#[test]
fn it_is_open_on_its_days_and_at_its_times_where_it_is() {
    let gate = gate(OFFICE);
    for (now, open) in [
        // A Monday; Berlin is an hour ahead in winter.
        ("2026-01-05T07:59:59Z", false),
        ("2026-01-05T08:00:00Z", true),
        ("2026-01-05T14:59:59Z", true),
        ("2026-01-05T15:00:00Z", false),
        // A Friday.
        ("2026-01-09T10:00:00Z", false),
        // In summer it is two hours ahead.
        ("2026-07-06T07:00:00Z", true),
        ("2026-07-06T14:00:00Z", false),
    ] {
        assert_eq!(is_open(&gate, now), open, "{now}");
    }
    let friday = says(&gate, "2026-01-09T10:00:00Z").why;
    assert_eq!(friday, "the window is closed; it opens Mon 2026-01-12 09:00 CET");
    assert_eq!(says(&gate, "2026-01-05T08:00:00Z").why, "open until 16:00");
}

#[test]
fn one_that_crosses_midnight_belongs_to_the_day_on_which_it_opens() {
    let gate = gate("days = [\"fri\"]\nfrom = \"22:00\"\nuntil = \"04:00\"\n");
    for (now, open) in [
        ("2026-01-09T21:59:00Z", false),
        ("2026-01-09T22:00:00Z", true),
        ("2026-01-10T03:59:00Z", true),
        ("2026-01-10T04:00:00Z", false),
        // Saturday evening is not Friday's, and Friday's early morning is Thursday's.
        ("2026-01-10T22:00:00Z", false),
        ("2026-01-09T03:00:00Z", false),
    ] {
        assert_eq!(is_open(&gate, now), open, "{now}");
    }
}

#[test]
fn a_whole_day_is_open_from_its_beginning_to_the_next() {
    let every = gate("");
    assert!(is_open(&every, "2026-01-09T00:00:00Z") && is_open(&every, "2026-01-09T23:59:59Z"));
    let monday = gate("days = [\"mon\"]");
    assert!(is_open(&monday, "2026-01-05T00:00:00Z") && is_open(&monday, "2026-01-05T23:59:59Z"));
    assert!(!is_open(&monday, "2026-01-04T23:59:59Z") && !is_open(&monday, "2026-01-06T00:00:00Z"));
}

#[test]
fn clocks_that_are_put_forward_or_back_leave_no_hole() {
    // On 29 March 2026 Berlin goes from 02:00 to 03:00, on 25 October from 03:00 back to 02:00.
    let gate = gate("from = \"02:30\"\nuntil = \"04:00\"\nzone = \"Europe/Berlin\"\n");
    for (now, open) in [
        ("2026-03-29T00:59:59Z", false),
        // 03:00 there: 02:30 never was.
        ("2026-03-29T01:00:00Z", true),
        ("2026-03-29T02:00:00Z", false),
        // 02:30 in summer time, 02:15 and 02:30 in winter time.
        ("2026-10-25T00:30:00Z", true),
        ("2026-10-25T01:15:00Z", false),
        ("2026-10-25T01:30:00Z", true),
        ("2026-10-25T03:00:00Z", false),
    ] {
        assert_eq!(is_open(&gate, now), open, "{now}");
    }
    let before = says(&gate, "2026-03-29T00:00:00Z").why;
    assert_eq!(before, "the window is closed; it opens Sun 2026-03-29 03:30 CEST");
}

#[test]
fn a_freeze_closes_it_and_the_last_day_is_frozen_to_its_end() {
    let gate = gate(&format!(
        "{OFFICE}except = [{{ from = \"2026-12-21\", until = \"2026-12-29\", reason = \"holidays\" }},\n\
         {{ from = \"2026-12-30T12:00\", until = \"2026-12-30T13:30\", reason = \"audit\" }}]"
    ));
    let frozen = says(&gate, "2026-12-29T10:00:00Z");
    assert_eq!(frozen.state, GateState::Pending);
    assert_eq!(frozen.why, "nothing enters now (holidays); it opens Wed 2026-12-30 09:00 CET");
    assert!(is_open(&gate, "2026-12-30T10:00:00Z"));
    let audit = says(&gate, "2026-12-30T11:00:00Z");
    assert_eq!(audit.why, "nothing enters now (audit); it opens Wed 2026-12-30 13:30 CET");
    assert!(is_open(&gate, "2026-12-30T12:30:00Z"));
}

#[test]
fn one_that_never_opens_says_so() {
    let gate =
        gate("except = [{ from = \"2026-01-01\", until = \"2030-01-01\", reason = \"sold\" }]");
    let never = says(&gate, "2026-01-05T10:00:00Z").why;
    // The end of the freeze is known, however far it is.
    assert_eq!(never, "nothing enters now (sold); it opens Wed 2030-01-02 00:00 UTC");
}

#[test]
fn what_cannot_be_read_is_named() {
    for (text, key) in [
        ("from = \"9\"", "from"),
        ("until = \"25:00\"", "until"),
        ("zone = \"Berlin\"", "zone"),
        ("except = [{ from = \"soon\", until = \"2026-01-01\", reason = \"\" }]", "except"),
        ("except = [{ from = \"2026-01-02\", until = \"2026-01-01\", reason = \"\" }]", "except"),
    ] {
        assert_eq!(Calendar::read(&gate(text)).unwrap_err().0, key, "{text}");
        assert_eq!(says(&gate(text), "2026-01-05T10:00:00Z").state, GateState::Error);
    }
}
