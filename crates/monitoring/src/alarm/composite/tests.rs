//! Rules, cycles and suppressors.

use super::*;

fn holds(rule: &str) -> bool {
    let state = |name: &str| match name {
        "bad" => State::Alarm,
        "good" => State::Ok,
        _ => State::InsufficientData,
    };
    Rule::parse(rule).unwrap().evaluate(&state) == State::Alarm
}

#[test]
fn rules_are_read_as_cloudwatch_reads_them() {
    assert!(holds("ALARM(bad)"));
    assert!(holds("ALARM(\"bad\") AND OK('good')"));
    assert!(holds("INSUFFICIENT_DATA(unknown)"));
    assert!(!holds("NOT ALARM(bad)"));
    assert!(holds("ALARM(good) OR ALARM(bad) AND TRUE"));
    assert!(!holds("(ALARM(good) OR ALARM(bad)) AND FALSE"));
    assert!(holds("NOT (ALARM(good) OR OK(bad))"));
    assert!(holds("not not alarm( bad )"));
    assert!(holds("ALARM(arn:aws:cloudwatch:eu-west-1:123456789012:alarm:bad)"));
    assert!(holds("TRUE\n  AND\n  ALARM(bad)"));
}

#[test]
fn mistakes_are_told_with_their_place() {
    let told = [
        "",
        "ALARM(bad",
        "ALARM bad",
        "ALARM()",
        "ALARM(bad) ALARM(good)",
        "BAD(bad)",
        "ALARM(bad) AND",
        "ALARM(\"bad)",
        "(TRUE",
        "TRUE)",
        "XOR",
        "ALARM(bad) & TRUE",
    ];
    let told = told.map(|text| format!("{text:24} {}", Rule::parse(text).unwrap_err()));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn there_are_limits() {
    let many = |count: usize| {
        let all: Vec<_> = (0..count).map(|index| format!("ALARM(a{index})")).collect();
        Rule::parse(&all.join(" OR "))
    };
    assert!(many(100).is_ok());
    assert!(many(101).unwrap_err().message.contains("101 alarms"));
    // 250 functions and 249 operators.
    assert!(Rule::parse(&vec!["OK(a)"; 250].join(" OR ")).is_ok());
    assert!(Rule::parse(&vec!["OK(a)"; 251].join(" OR ")).unwrap_err().message.contains("501"));
    assert!(Rule::parse(&"(".repeat(9_000)).unwrap_err().message.contains("nested"));
    assert!(Rule::parse(&"NOT ".repeat(2_000)).unwrap_err().message.contains("nested"));
    assert!(Rule::parse(&" ".repeat(11_000)).unwrap_err().message.contains("characters"));
}

#[test]
fn alarms_that_depend_on_themselves_are_found() {
    let rules = [
        ("a", BTreeSet::from(["b", "x"])),
        ("b", BTreeSet::from(["c"])),
        ("c", BTreeSet::from(["a"])),
        ("d", BTreeSet::from(["a"])),
        ("e", BTreeSet::from(["e"])),
    ];
    let rules = rules.into();
    let found = cycles(&rules);
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), ["a", "b", "c", "e"]);
    assert_eq!(found["a"], ["a", "b", "c", "a"]);
}

#[test]
fn a_suppressor_waits_holds_and_goes_on() {
    let suppressor =
        Suppressor { alarm: "rollout".to_owned(), wait_seconds: 60, extension_seconds: 120 };
    let at = |second| Timestamp::from_second(second).unwrap();
    let change = (State::Alarm, at(1_000));
    let quiet = Suppression { in_alarm: false, left_at: None };
    let holds = |suppression, now| suppressor.holds(change, suppression, at(now)).is_some();
    assert!(holds(quiet, 1_059));
    assert!(!holds(quiet, 1_060));
    let loud = Suppression { in_alarm: true, left_at: None };
    assert!(holds(loud, 9_000));
    let over = Suppression { in_alarm: false, left_at: Some(at(2_000)) };
    assert!(holds(over, 2_119));
    assert!(!holds(over, 2_120));
    // Only ALARM is waited with.
    assert_eq!(suppressor.holds((State::Ok, at(1_000)), quiet, at(1_000)), None);
}
