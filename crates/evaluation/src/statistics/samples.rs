//! Two samples: which tends to be greater, and by how much.

use serde::{Deserialize, Serialize};

use super::means::Summary;
use super::special::normal_cdf;

/// Both samples must be smaller than this for the exact distribution, as in R.
const EXACT_BELOW: usize = 50;

/// What a test looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alternative {
    /// Either tends to be greater.
    TwoSided,
    /// The first tends to be greater.
    Greater,
    /// The first tends to be less.
    Less,
}

/// A Mann–Whitney test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MannWhitney {
    /// W, as R calls it: pairs in which the first is greater, ties counting half.
    pub w: f64,
    /// The probability of as much or more if both samples are of the same distribution.
    pub p: f64,
    /// Whether `p` is exact; else the normal approximation with corrections for continuity and
    /// ties.
    pub exact: bool,
}

/// Mann–Whitney's test (Mann and Whitney, "On a test of whether one of two random variables is
/// stochastically larger than the other", 1947), exact without ties and below 50 values each, as
/// R's `wilcox.test`. `None` if a sample is empty or a value is no number.
pub fn mann_whitney(
    first: &[f64],
    second: &[f64],
    alternative: Alternative,
) -> Option<MannWhitney> {
    let Ranked { w, ties } = rank(first, second)?;
    let exact = ties == 0.0 && first.len().max(second.len()) < EXACT_BELOW;
    let p = if exact {
        exact_p(w, (first.len(), second.len()), alternative)
    } else {
        normal_p(w, ties, (first.len() as f64, second.len() as f64), alternative)
    };
    Some(MannWhitney { w, p, exact })
}

/// The common language effect size (McGraw and Wong, 1992): the probability that a value of
/// `first` is greater than one of `second`, ties counting half. W / (n·m).
pub fn common_language(first: &[f64], second: &[f64]) -> Option<f64> {
    let ranked = rank(first, second)?;
    Some(ranked.w / (first.len() as f64 * second.len() as f64))
}

/// Cohen's d: the difference of means, first less second, in pooled standard deviations, whose
/// variance is ((n−1)s₁² + (m−1)s₂²) / (n + m − 2). `None` below two values or without spread.
pub fn cohens_d(first: &[f64], second: &[f64]) -> Option<f64> {
    let (one, two) = (Summary::of(first)?, Summary::of(second)?);
    let (n, m) = (one.n as f64 - 1.0, two.n as f64 - 1.0);
    let pooled = (n * one.variance + m * two.variance) / (n + m);
    (pooled > 0.0).then(|| (one.mean - two.mean) / pooled.sqrt())
}

struct Ranked {
    w: f64,
    /// Σ(t³ − t) over groups of t equal values.
    ties: f64,
}

fn rank(first: &[f64], second: &[f64]) -> Option<Ranked> {
    if first.is_empty() || second.is_empty() {
        return None;
    }
    let mut all: Vec<(f64, bool)> = first.iter().map(|value| (*value, true)).collect();
    all.extend(second.iter().map(|value| (*value, false)));
    if all.iter().any(|(value, _)| value.is_nan()) {
        return None;
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut before, mut sum, mut ties) = (0.0, 0.0, 0.0);
    // −0 and 0 are equal and lie side by side.
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        let equal = group.len() as f64;
        let of_first = group.iter().filter(|(_, is_first)| *is_first).count() as f64;
        sum += of_first * (before + (equal + 1.0) / 2.0);
        ties += equal * (equal * equal - 1.0);
        before += equal;
    }
    let n = first.len() as f64;
    Some(Ranked { w: sum - n * (n + 1.0) / 2.0, ties })
}

fn exact_p(w: f64, (n, m): (usize, usize), alternative: Alternative) -> f64 {
    let probabilities = distribution(n, m);
    let w = w as usize;
    let at_most: f64 = probabilities.iter().take(w + 1).sum();
    let at_least: f64 = probabilities.iter().skip(w).sum();
    match alternative {
        Alternative::Greater => at_least.min(1.0),
        Alternative::Less => at_most.min(1.0),
        Alternative::TwoSided => (2.0 * at_least.min(at_most)).min(1.0),
    }
}

/// The probability of each W from 0 to n·m. The greatest value of all is one of the first with
/// probability n/(n+m) and then exceeds all m of the second:
/// P(n, m, w) = n/(n+m)·P(n−1, m, w−m) + m/(n+m)·P(n, m−1, w). Only additions, so nothing cancels.
fn distribution(n: usize, m: usize) -> Vec<f64> {
    // `row[j]` is the distribution for the current count of the first and j of the second.
    let mut row: Vec<Vec<f64>> = vec![vec![1.0]; m + 1];
    for i in 1..=n {
        let mut next: Vec<Vec<f64>> = vec![vec![1.0]];
        for j in 1..=m {
            let all = (i + j) as f64;
            let (of_first, of_second) = (i as f64 / all, j as f64 / all);
            let mut here = vec![0.0; i * j + 1];
            for (w, p) in row[j].iter().enumerate() {
                here[w + j] += of_first * p;
            }
            for (w, p) in next[j - 1].iter().enumerate() {
                here[w] += of_second * p;
            }
            next.push(here);
        }
        row = next;
    }
    row.pop().unwrap_or_default()
}

fn normal_p(w: f64, ties: f64, (n, m): (f64, f64), alternative: Alternative) -> f64 {
    let all = n + m;
    let variance = n * m / 12.0 * ((all + 1.0) - ties / (all * (all - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    let off = w - n * m / 2.0;
    let deviation = variance.sqrt();
    match alternative {
        Alternative::Greater => normal_cdf(-(off - 0.5) / deviation),
        Alternative::Less => normal_cdf((off + 0.5) / deviation),
        Alternative::TwoSided => {
            (2.0 * normal_cdf(-(off.abs() - 0.5).max(0.0) / deviation)).min(1.0)
        }
    }
}

#[cfg(test)]
mod tests;
