use std::sync::Arc;

use release::TenantId;

use super::{ExecutionKey, KEPT, Slots};

fn key(number: usize) -> ExecutionKey {
    ExecutionKey { machine: "flow".to_owned(), name: number.to_string() }
}

#[test]
fn an_execution_keeps_its_slot_while_it_moves_and_memory_stays_bounded() {
    let mut slots = Slots::default();
    let first = slots.of(&TenantId::DEFAULT, &key(0));
    for number in 1..3 * KEPT {
        slots.of(&TenantId::DEFAULT, &key(number));
        assert!(Arc::ptr_eq(&first, &slots.of(&TenantId::DEFAULT, &key(0))));
    }
    assert!(slots.recent.len() + slots.older.len() <= 2 * KEPT);
}

#[test]
fn two_tenants_never_share_a_slot() {
    let mut slots = Slots::default();
    let mine = slots.of(&TenantId::DEFAULT, &key(0));
    let theirs = slots.of(&"other".parse().unwrap(), &key(0));
    assert!(!Arc::ptr_eq(&mine, &theirs));
}
