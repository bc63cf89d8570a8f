use proptest::prelude::*;

use super::{after_prefix, check_key};

#[test]
fn an_empty_a_long_and_a_control_character_key_are_refused_by_name() {
    assert!(check_key("key", "support/prod").is_ok());
    assert_eq!(check_key("key", "").unwrap_err().to_string(), "key `` is refused: it is empty");
    assert_eq!(
        check_key("stream", "a\0b").unwrap_err().to_string(),
        "stream `ab` is refused: it holds a control character"
    );
    assert!(check_key("key", &"é".repeat(257)).is_err());
}

proptest! {
    #[test]
    fn a_key_lies_in_the_range_of_a_prefix_exactly_if_it_starts_with_it(
        prefix in "[a-c\u{d7ff}\u{10fffe}]{0,3}",
        key in "[a-c\u{d7ff}\u{e000}\u{10fffe}]{1,5}",
    ) {
        let in_range = prefix.as_str() <= key.as_str() && key < after_prefix(&prefix);
        prop_assert_eq!(in_range, key.starts_with(&prefix));
    }
}
