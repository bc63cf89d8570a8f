use proptest::prelude::*;

use super::Wildcard;

/// The definition, tried out: a star takes nothing, or one character and tries again.
fn naive(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', rest @ ..] => {
            naive(rest, text) || text.split_first().is_some_and(|(_, text)| naive(pattern, text))
        }
        ['\\', kept, rest @ ..] => {
            text.split_first().is_some_and(|(c, t)| c == kept && naive(rest, t))
        }
        ['\\'] => text.is_empty(),
        [c, rest @ ..] => text.split_first().is_some_and(|(first, t)| c == first && naive(rest, t)),
    }
}

#[test]
fn stars_stand_for_any_text_and_overlaps_are_not_counted_twice() {
    for (pattern, text, expected) in [
        ("a*a", "a", false),
        ("a*a", "aa", true),
        ("*ab*ab*", "aab", false),
        ("*ab*ab*", "abab", true),
        ("*", "", true),
        ("", "", true),
        ("", "a", false),
        ("ü*ß", "übergroß", true),
    ] {
        assert_eq!(Wildcard::parse(pattern).matches(text), expected, "{pattern} {text}");
    }
}

#[test]
fn a_text_made_to_be_slow_is_answered_at_once() {
    let pattern = Wildcard::parse(&format!("*{}b", "a*".repeat(500)));
    assert!(!pattern.matches(&"a".repeat(1_000_000)));
}

proptest! {
    #[test]
    fn matching_agrees_with_its_definition(pattern in "[ab*\\\\]{0,8}", text in "[ab*\\\\]{0,10}") {
        let (chars, letters): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
        prop_assert_eq!(Wildcard::parse(&pattern).matches(&text), naive(&chars, &letters));
    }
}
