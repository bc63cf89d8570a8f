use release::{TenantId, Timestamp};

use super::super::ExecutionKey;
use super::Timers;
use crate::interpreter::Input;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn key(name: &str) -> ExecutionKey {
    ExecutionKey { machine: "flow".to_owned(), name: name.to_owned() }
}

#[test]
fn timers_come_due_in_the_order_of_their_time_and_then_of_their_setting() {
    let mut timers = Timers::default();
    for (second, name) in [(2, "c"), (1, "a"), (1, "b"), (9, "a")] {
        timers.add(at(second), &TenantId::DEFAULT, &key(name), Input::Continued);
    }
    assert_eq!(timers.next(), Some(at(1)));
    let due = timers.take_due(at(2));
    let due: Vec<_> = due.iter().map(|due| due.whose.1.name.as_str()).collect();
    assert_eq!(due, ["a", "b", "c"]);
    assert_eq!(timers.next(), Some(at(9)));
}

#[test]
fn no_timer_outlives_its_execution_and_another_tenants_of_the_same_name_stays() {
    let mut timers = Timers::default();
    let other: TenantId = "other".parse().unwrap();
    for second in 0..3 {
        timers.add(at(second), &TenantId::DEFAULT, &key("a"), Input::Continued);
    }
    timers.add(at(5), &other, &key("a"), Input::Continued);
    timers.forget(&TenantId::DEFAULT, &key("a"));
    assert_eq!(timers.next(), Some(at(5)));
    assert_eq!(timers.take_due(at(9)).len(), 1);
    assert!(timers.due.is_empty() && timers.of.is_empty());
}
