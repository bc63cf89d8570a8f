use super::bleu;

/// Reference, answer, and the score of `sacrebleu` 2.6.0 with effective order.
const SCORES: [(&str, &str, f64); 10] = [
    (
        "Refunds are available within thirty days of purchase with a receipt.",
        "You can get a refund within thirty days of purchase if you have the receipt.",
        27.2259,
    ),
    ("The cat sat on the mat.", "the the the the cat", 8.5153),
    (
        "Prices rose 3.5% to $1,200.50 in Q3-2024, the \"best\" year.",
        "Prices went up by 3.5% to $1,200.50 in Q3-2024; it's the best year yet!",
        44.0245,
    ),
    ("Die Rückgabe ist möglich.", "Die Rückgabe ist nicht möglich.", 37.9918),
    ("Yes.", "No.", 50.0),
    ("identical text here, word for word", "identical text here, word for word", 100.0),
    ("hello", "hello there general kenobi &amp; friends", 8.1167),
    (
        "The refunds were processed quickly; customers happily agreed.",
        "Processing a refund quickly made the customer happy.",
        5.0736,
    ),
    (
        "It's $5,000.00 (approx.) -- see http://a.b/c?d=1&e=2.",
        "It is $5000 -- see http://a.b/c?d=1&e=2 (approx.)",
        78.8472,
    ),
    ("Line one\nline two-\nthree", "line one line twothree", 59.4604),
];

#[test]
fn scores_are_those_of_the_reference() {
    for (reference, answer, wanted) in SCORES {
        let score = bleu(reference, answer);
        assert!((score - wanted).abs() < 1e-4, "of `{answer}`: {score}, not {wanted}");
    }
}

#[test]
fn nothing_in_common_is_0_and_so_is_nothing_at_all() {
    assert_eq!(bleu("one two three four", "five six seven eight"), 0.0);
    assert_eq!(bleu("one", ""), 0.0);
    assert_eq!(bleu("", "one"), 0.0);
}
