use release::{Currency, Money};

use super::{Spend, Usage};
use crate::scripted::mills;

fn usage() -> Usage {
    Usage { input_tokens: 3, output_tokens: 2 }
}

#[test]
fn costs_add_up_and_what_has_no_price_is_counted_apart() {
    let mut spend = Spend::default();
    spend.call(usage(), Some(mills(2)));
    spend.call(usage(), None);
    spend.call(usage(), Some(mills(3)));
    let usage = Usage { input_tokens: 9, output_tokens: 6 };
    assert_eq!(spend, Spend { calls: 3, usage, cost: Some(mills(5)), unpriced: 1 });
}

#[test]
fn another_currency_is_not_added_but_counted_as_without_a_price() {
    let euros = Money { currency: "EUR".parse::<Currency>().unwrap(), nanos: 7 };
    let mut spend = Spend::default();
    spend.call(usage(), Some(mills(2)));
    spend.call(usage(), Some(euros));
    assert_eq!((spend.cost, spend.unpriced), (Some(mills(2)), 1));
    assert!(!spend.reaches(euros));
}

#[test]
fn a_cap_is_reached_at_its_amount() {
    let mut spend = Spend::default();
    assert!(!spend.reaches(mills(2)));
    spend.call(usage(), Some(mills(2)));
    assert!(spend.reaches(mills(2)) && !spend.reaches(mills(3)));
}
