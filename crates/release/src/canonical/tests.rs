//! What is hashed can be read back exactly; what cannot is refused.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn canonical(text: &str) -> Result<String, String> {
    CanonicalJson::parse(text.as_bytes())
        .map(|json| String::from_utf8(json.into_bytes()).unwrap())
        .map_err(|error| error.to_string())
}

#[test]
fn keys_are_sorted_by_utf16_and_numbers_printed_as_ecmascript_does() {
    // The sorting example of RFC 8785 §3.2.3 and numbers of its appendix B.
    let text = r#"{"€":1,"\r":2,"\ufb33":3,"1":4,"😀":5,"":6,"ö":7,"n":[4.50,2e-3,1E-27,-0,1e15]}"#;
    let expected = "{\"\\r\":2,\"1\":4,\"n\":[4.5,0.002,1e-27,0,1000000000000000],\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}";
    let with_control = text.replace("\"\":6", "\"\u{80}\":6");
    assert_eq!(canonical(&with_control).unwrap(), expected);
}

#[test]
fn integers_beyond_two_to_the_53_are_refused_on_both_sides() {
    assert_eq!(canonical("9007199254740992").unwrap(), "9007199254740992");
    assert_eq!(canonical("-9007199254740992").unwrap(), "-9007199254740992");
    for bad in ["9007199254740993", "-9007199254740993", "1e20", "1e300", "18446744073709551616"] {
        assert!(canonical(bad).unwrap_err().contains("2^53"), "{bad}");
    }
}

#[test]
fn duplicate_keys_non_finite_numbers_lone_surrogates_and_trailing_text_are_refused() {
    assert!(canonical(r#"{"a":{"b":1,"b":2}}"#).unwrap_err().contains("`b` appears twice"));
    for bad in ["NaN", "1e999", r#""\ud800""#, "{} {}", "", "[1,]"] {
        assert!(canonical(bad).is_err(), "{bad}");
    }
}

#[test]
fn nesting_is_bounded() {
    assert!(canonical(&"[".repeat(200_000)).is_err());
}

#[test]
fn stored_bytes_must_be_canonical() {
    assert!(CanonicalJson::from_stored(b"{\"a\":1}".to_vec()).is_ok());
    assert!(matches!(
        CanonicalJson::from_stored(b"{ \"a\": 1 }".to_vec()),
        Err(CanonicalError::NotCanonical)
    ));
}

fn documents() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        (-9_007_199_254_740_992_i64..=9_007_199_254_740_992).prop_map(|value| json!(value)),
        (-1.0e15..1.0e15).prop_map(|value: f64| json!(value)),
        any::<String>().prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| json!(items)),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|entries| json!(entries)),
        ]
    })
}

proptest! {
    #[test]
    fn canonicalising_twice_changes_nothing(document in documents()) {
        let once = CanonicalJson::of(&document).unwrap();
        let twice = CanonicalJson::from_stored(once.as_bytes().to_vec()).unwrap();
        prop_assert_eq!(once.digest(), twice.digest());
    }
}
