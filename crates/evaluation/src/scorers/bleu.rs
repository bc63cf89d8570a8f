//! BLEU (Papineni and others, 2002) of one answer, as the package `sacrebleu` 2.6.0 computes it for
//! a sentence: tokenizer 13a, exponential smoothing, effective order.

use std::sync::LazyLock;

use regex::Regex;

use super::grams;

const ORDER: usize = 4;

/// The steps of the tokenizer `mteval-v13a` that pull words and marks apart.
static STEPS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let steps = [
        (r"([{-~\[-` -&(-+:-@/])", " $1 "),
        (r"([^0-9])([.,])", "$1 $2 "),
        (r"([.,])([^0-9])", " $1 $2"),
        (r"([0-9])(-)", "$1 $2 "),
    ];
    let compiled = steps.into_iter().map(|(step, with)| Some((Regex::new(step).ok()?, with)));
    compiled.flatten().collect()
});

/// BLEU of `answer` against `reference`, 0 to 100.
pub fn bleu(reference: &str, answer: &str) -> f64 {
    let (reference, answer) = (tokens(reference), tokens(answer));
    let shortness = match (answer.len(), reference.len()) {
        (0, _) => return 0.0,
        (ours, theirs) if ours < theirs => (1.0 - theirs as f64 / ours as f64).exp(),
        _ => 1.0,
    };
    let (mut smooth, mut logarithms, mut orders, mut any) = (1.0, 0.0, 0, false);
    for n in 1..=ORDER.min(answer.len()) {
        let total = (answer.len() + 1 - n) as f64;
        let correct = grams::common(n, &reference, &answer);
        any |= correct > 0;
        let precision = if correct == 0 {
            smooth *= 2.0;
            100.0 / (smooth * total)
        } else {
            100.0 * correct as f64 / total
        };
        logarithms += precision.ln();
        orders = n;
    }
    if any { shortness * (logarithms / orders as f64).exp() } else { 0.0 }
}

fn tokens(text: &str) -> Vec<String> {
    let text = text.trim_end().replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    let text = text.replace("&quot;", "\"").replace("&amp;", "&");
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    let mut text = format!(" {text} ");
    for (step, with) in STEPS.iter() {
        text = step.replace_all(&text, *with).into_owned();
    }
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
