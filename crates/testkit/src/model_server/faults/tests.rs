use super::*;

#[test]
fn names_are_unique_and_all_sixteen_are_there() {
    let mut names: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
    for number in 1..=16 {
        assert!(names.contains(&format!("fault-s{number:02}").as_str()), "s{number:02}");
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn an_unknown_fault_is_not_taken_for_an_ordinary_model() {
    assert!(find("gpt").is_ok_and(|fault| fault.is_none()));
    assert!(find("fault-s99").is_err());
    assert!(find("fault-s08:mine").is_ok_and(|fault| fault.is_some()));
}

#[test]
fn once_is_counted_per_model_name() {
    let states = FaultStates::default();
    let fault = find("fault-s03").unwrap().unwrap();
    assert!(states.meet(fault, "fault-s03", |time| time).is_some());
    assert!(states.meet(fault, "fault-s03", |time| time).is_none());
    assert!(states.meet(fault, "fault-s03:other", |time| time).is_some());
}

#[test]
fn a_spell_of_failures_is_over_when_its_scaled_time_is() {
    let states = FaultStates::default();
    let fault = find("fault-s15").unwrap().unwrap();
    let at_once = |_time| Duration::ZERO;
    assert!(states.meet(fault, "fault-s15", |time| time).is_some());
    assert!(states.meet(fault, "fault-s15", |time| time).is_some());
    assert!(states.meet(fault, "fault-s15", at_once).is_none());
}
