//! chrF (Popović, 2015) of one answer, as the package `sacrebleu` 2.6.0 computes it: n-grams of up
//! to six characters without white space, no words, β = 2.

use super::grams;

const ORDER: usize = 6;
/// β²: how much more recall weighs than precision.
const WEIGHT: f64 = 4.0;

/// chrF of `answer` against `reference`, 0 to 100.
pub fn chrf(reference: &str, answer: &str) -> f64 {
    let (reference, answer) = (characters(reference), characters(answer));
    let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
    for n in 1..=ORDER.min(reference.len()).min(answer.len()) {
        let common = grams::common(n, &reference, &answer) as f64;
        precision += common / (answer.len() + 1 - n) as f64;
        recall += common / (reference.len() + 1 - n) as f64;
        orders += 1.0;
    }
    if precision + recall == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (precision / orders, recall / orders);
    100.0 * (1.0 + WEIGHT) * precision * recall / (WEIGHT * precision + recall)
}

fn characters(text: &str) -> Vec<char> {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests;
