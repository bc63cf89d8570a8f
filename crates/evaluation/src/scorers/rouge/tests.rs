use super::{RougeVariant, rouge};

const VARIANTS: [RougeVariant; 3] = [RougeVariant::One, RougeVariant::Two, RougeVariant::Longest];

/// Reference, answer, and F1 of ROUGE-1, 2 and L by `rouge-score` 0.1.2 with its stemmer.
const STEMMED: [(&str, &str, [f64; 3]); 8] = [
    (
        "Refunds are available within thirty days of purchase with a receipt.",
        "You can get a refund within thirty days of purchase if you have the receipt.",
        [0.615385, 0.333333, 0.538462],
    ),
    ("The cat sat on the mat.", "the the the the cat", [0.545455, 0.222222, 0.363636]),
    (
        "Prices rose 3.5% to $1,200.50 in Q3-2024, the \"best\" year.",
        "Prices went up by 3.5% to $1,200.50 in Q3-2024; it's the best year yet!",
        [0.787879, 0.645161, 0.787879],
    ),
    // Letters beyond a–z are no part of a word.
    (
        "Die Rückgabe ist möglich.",
        "Die Rückgabe ist nicht möglich.",
        [0.923077, 0.727273, 0.923077],
    ),
    ("Yes.", "No.", [0.0, 0.0, 0.0]),
    (
        "The refunds were processed quickly; customers happily agreed.",
        "Processing a refund quickly made the customer happy.",
        [0.625, 0.0, 0.375],
    ),
    (
        "It's $5,000.00 (approx.) -- see http://a.b/c?d=1&e=2.",
        "It is $5000 -- see http://a.b/c?d=1&e=2 (approx.)",
        [0.785714, 0.615385, 0.714286],
    ),
    ("Line one\nline two-\nthree", "line one line twothree", [0.666667, 0.571429, 0.666667]),
];

#[test]
fn scores_are_those_of_the_reference() {
    for (reference, answer, wanted) in STEMMED {
        for (variant, wanted) in VARIANTS.into_iter().zip(wanted) {
            let f1 = rouge(variant, true, reference, answer).unwrap().f1;
            assert!((f1 - wanted).abs() < 1e-6, "{variant:?} of `{answer}`: {f1}, not {wanted}");
        }
    }
}

#[test]
fn without_stems_other_words_are_the_same() {
    let (reference, answer, _) = STEMMED[0];
    let f1 = |variant| rouge(variant, false, reference, answer).unwrap().f1;
    for (variant, wanted) in VARIANTS.into_iter().zip([0.538462, 0.333333, 0.461538]) {
        assert!((f1(variant) - wanted).abs() < 1e-6);
    }
}

#[test]
fn precision_is_of_the_answer_and_recall_of_the_reference() {
    let (reference, answer, _) = STEMMED[0];
    let overlap = rouge(RougeVariant::One, true, reference, answer).unwrap();
    assert!((overlap.precision - 0.533333).abs() < 1e-6);
    assert!((overlap.recall - 0.727273).abs() < 1e-6);
}

#[test]
fn texts_that_would_take_too_long_have_no_score() {
    let long = "word ".repeat(5_001);
    assert!(rouge(RougeVariant::Longest, true, &long, "word").is_none());
    assert!(rouge(RougeVariant::One, true, &long, "word").is_some());
}

proptest::proptest! {
    #[test]
    fn every_text_is_like_itself_and_scores_stay_between_0_and_1(
        one in "[a-c ]{1,30}",
        two in "[a-c ]{0,30}",
    ) {
        for variant in VARIANTS {
            let f1 = rouge(variant, true, &one, &two).unwrap().f1;
            assert!((0.0..=1.0).contains(&f1));
            let same = rouge(variant, true, &one, &one).unwrap().f1;
            assert!(same == 1.0 || same == 0.0, "{same}");
        }
    }
}
