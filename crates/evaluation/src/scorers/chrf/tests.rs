use super::chrf;

/// Reference, answer, and the score of `sacrebleu` 2.6.0.
const SCORES: [(&str, &str, f64); 10] = [
    (
        "Refunds are available within thirty days of purchase with a receipt.",
        "You can get a refund within thirty days of purchase if you have the receipt.",
        60.2950,
    ),
    ("The cat sat on the mat.", "the the the the cat", 23.5646),
    (
        "Prices rose 3.5% to $1,200.50 in Q3-2024, the \"best\" year.",
        "Prices went up by 3.5% to $1,200.50 in Q3-2024; it's the best year yet!",
        60.9219,
    ),
    ("Die Rückgabe ist möglich.", "Die Rückgabe ist nicht möglich.", 86.297),
    ("Yes.", "No.", 8.7719),
    ("identical text here, word for word", "identical text here, word for word", 100.0),
    ("hello", "hello there general kenobi &amp; friends", 32.8808),
    (
        "The refunds were processed quickly; customers happily agreed.",
        "Processing a refund quickly made the customer happy.",
        41.9234,
    ),
    (
        "It's $5,000.00 (approx.) -- see http://a.b/c?d=1&e=2.",
        "It is $5000 -- see http://a.b/c?d=1&e=2 (approx.)",
        70.3589,
    ),
    ("Line one\nline two-\nthree", "line one line twothree", 73.9072),
];

#[test]
fn scores_are_those_of_the_reference() {
    for (reference, answer, wanted) in SCORES {
        let score = chrf(reference, answer);
        assert!((score - wanted).abs() < 1e-4, "of `{answer}`: {score}, not {wanted}");
    }
}

#[test]
fn an_empty_side_is_0() {
    assert_eq!(chrf("one", ""), 0.0);
    assert_eq!(chrf("", "one"), 0.0);
}
