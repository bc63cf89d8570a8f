//! Near-duplicates are found, and nothing else.

use super::*;

fn words(seed: usize, count: usize) -> Vec<String> {
    (0..count).map(|at| format!("w{}", mix((seed * 10_000 + at) as u64) % 5_000)).collect()
}

fn found(texts: &[(&str, &str)], similarity: f64) -> Vec<(String, String)> {
    let signed: Vec<_> = texts.iter().map(|(path, text)| (*path, Signature::of(text))).collect();
    let signed: Vec<_> = signed.iter().map(|(path, signed)| (*path, signed)).collect();
    let names = |found: Vec<NearDuplicate>| {
        found.into_iter().map(|near| (near.document, near.of)).collect::<Vec<_>>()
    };
    let at_once = names(near_duplicates([], &signed, similarity));
    // What comes later is a copy of what is served, as if all had come together.
    for (at, _) in signed.iter().enumerate() {
        let (served, fresh) = signed.split_at(at);
        let copy = |path: &&str| at_once.iter().any(|(copy, _)| copy == path);
        let served = served.iter().filter(|(path, _)| !copy(path)).copied();
        let later = names(near_duplicates(served, fresh, similarity));
        let expected = at_once.iter().filter(|(copy, _)| fresh.iter().any(|one| one.0 == copy));
        assert_eq!(later, expected.cloned().collect::<Vec<_>>());
    }
    at_once
}

#[test]
fn a_few_changed_words_make_a_near_duplicate_of_the_first() {
    let text = words(1, 400);
    let mut changed = text.clone();
    changed[100] = "other".to_owned();
    let (text, changed, other) = (text.join(" "), changed.join(" "), words(2, 400).join(" "));
    let texts = [("old", text.as_str()), ("other", &other), ("new", &changed)];
    assert_eq!(found(&texts, 0.85), [("new".to_owned(), "old".to_owned())]);
    assert_eq!(found(&texts, 0.999), []);
}

#[test]
fn equal_texts_are_duplicates_however_short_and_empty_ones_too() {
    let texts = [("a", "Yes."), ("b", "Yes."), ("c", "No."), ("d", "…"), ("e", "…")];
    let pairs = [("b", "a"), ("e", "d")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(found(&texts, 0.9), pairs);
}

#[test]
fn case_and_punctuation_do_not_count() {
    let (plain, loud) = (words(3, 50).join(" "), words(3, 50).join(", ").to_uppercase());
    assert_eq!(Signature::of(&plain).similarity(&Signature::of(&loud)), 1.0);
}

#[test]
fn the_estimate_is_near_the_true_similarity() {
    let text = words(4, 2_000);
    let half = [&text[..1_000], &words(5, 1_000)].concat();
    // 996 shingles of 2,996 are shared.
    let estimate = Signature::of(&text.join(" ")).similarity(&Signature::of(&half.join(" ")));
    assert!((0.13..0.53).contains(&estimate), "{estimate}");
}

#[test]
fn a_signature_survives_being_written_down() {
    let signature = Signature::of("One two three four five six.");
    let written = serde_json::to_string(&signature).unwrap();
    assert_eq!(serde_json::from_str::<Signature>(&written).unwrap(), signature);
    assert!(written.len() < 500);
    assert!(
        serde_json::from_str::<Signature>(&written.replace("\"minima\":\"", "\"minima\":\"AAAA"))
            .is_err()
    );
    insta::assert_snapshot!(written);
}
