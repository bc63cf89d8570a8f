use proptest::prelude::*;

use super::*;

#[test]
fn texts_sort_as_in_clouwatch_s_documentation() {
    // The list of the page on `sort`, in its order.
    let expected = [
        "!:",
        "#",
        "*%04",
        "0#",
        "5A",
        "111A",
        "2345_",
        "@",
        "@_",
        "A",
        "A9876fghj",
        "a12345hfh",
        "0",
        "01",
        "1",
        "2",
        "3",
    ];
    let mut sorted = expected;
    sorted.reverse();
    sorted.sort_by_key(|text| natural_key(text));
    assert_eq!(sorted, expected);
}

#[test]
fn numbers_sort_by_value_whatever_their_sign() {
    let mut sorted = ["3", "-1", "20", "-30", "0.5"];
    sorted.sort_by_key(|text| natural_key(text));
    assert_eq!(sorted, ["-30", "-1", "0.5", "3", "20"]);
}

#[test]
fn a_path_goes_through_members_lists_and_names_with_points() {
    let value = serde_json::json!({"a": {"b.c": [{"d": 1}, {"d": "two"}]}, "e.f": null});
    assert_eq!(descend(&value, "a.b.c.1.d").and_then(shown).as_deref(), Some("two"));
    assert_eq!(descend(&value, "a.b.c.0.d").and_then(shown).as_deref(), Some("1"));
    assert_eq!(descend(&value, "a.b.c.2.d"), None);
    assert_eq!(descend(&value, "e.f").and_then(shown), None);
    assert_eq!(descend(&value, "a.b.c.0").and_then(shown).as_deref(), Some(r#"{"d":1}"#));
}

#[test]
fn subnets_hold_the_addresses_of_their_own_version() {
    assert!(in_subnet("10.1.2.3", "10.0.0.0/8", None));
    assert!(!in_subnet("11.1.2.3", "10.0.0.0/8", None));
    assert!(in_subnet("11.1.2.3", "0.0.0.0/0", Some(true)));
    assert!(in_subnet("2001:db8::1", "2001:db8::/32", Some(false)));
    assert!(!in_subnet("2001:db8::1", "2001:db8::/32", Some(true)));
    assert!(!in_subnet("10.1.2.3", "10.0.0.0/33", None));
    assert!(!in_subnet("no address", "10.0.0.0/8", None));
}

#[test]
fn a_glob_takes_as_little_as_it_can_and_the_last_to_the_end() {
    let literals = |glob: &str| glob.split('*').map(str::to_owned).collect::<Vec<_>>();
    let found = |text, pattern| {
        let parts = glob(text, &literals(pattern))?;
        Some(parts.into_iter().flatten().collect::<Vec<_>>())
    };
    let line = "at user=ann, method:get, latency := 12 ms";
    assert_eq!(found(line, "user=*, method:*, latency := *"), Some(vec!["ann", "get", "12 ms"]));
    assert_eq!(found("[a] [b]", "[*]"), Some(vec!["a"]));
    assert_eq!(found("no brackets", "[*]"), None);
    assert_eq!(found("2 123 eni", "* * *"), Some(vec!["2", "123", "eni"]));
}

proptest! {
    /// The same as the lazy groups of a regular expression.
    #[test]
    fn a_glob_finds_what_a_regex_would(text in "[ab:, ]{0,20}", pattern in "[ab:, *]{0,8}") {
        let literals: Vec<_> = pattern.split('*').map(str::to_owned).collect();
        let last = literals.len() - 1;
        let regex: String = literals.iter().enumerate().map(|(index, literal)| {
            let group = match index {
                0 => "",
                _ if index == last && literal.is_empty() => "(.*)",
                _ => "(.*?)",
            };
            format!("{group}{}", regex::escape(literal))
        }).collect();
        let regex = regex::Regex::new(&format!("(?s){regex}")).unwrap();
        let by_regex = regex.captures(&text).map(|captures| {
            captures.iter().skip(1).map(|group| group.map(|found| found.as_str())).collect::<Vec<_>>()
        });
        prop_assert_eq!(glob(&text, &literals), by_regex);
    }

    /// A key orders whole numbers as they are.
    #[test]
    fn keys_order_numbers(left in any::<i32>(), right in any::<i32>()) {
        let key = |number: i32| natural_key(&number.to_string());
        prop_assert_eq!(key(left).cmp(&key(right)), left.cmp(&right));
    }
}
