//! Scores in pairs: the interval of the mean difference by drawing cases again.
//!
//! Whole cases are drawn, with all repeats of each (Efron and Tibshirani, "An introduction to the
//! bootstrap", 1993, ch. 13; percentile interval): repeats of one case are not independent, so a
//! suite of 20 cases asked five times has 20 cases, not 100.

use release::Draw;
use serde::{Deserialize, Serialize};

use super::Interval;
use super::means::Summary;
use super::paired::{Decision, NonInferiority, Seen};
use super::special::normal_quantile;

/// How often cases are drawn again.
const DRAWS: usize = 2_000;
/// From this many cases on the interval is the normal one, as the bootstrap's would be.
const MANY: usize = 20_000;
/// The fewest cases from which a bootstrap tells anything.
pub const LEAST_CASES: u64 = 20;

/// A case and the scores of its repeats: before and after, each averaged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The mean score before.
    pub before: f64,
    /// The mean score after.
    pub after: f64,
}

impl Case {
    /// Of repeats, each (before, after); `None` without any.
    pub fn of(repeats: &[(f64, f64)]) -> Option<Self> {
        if repeats.is_empty() {
            return None;
        }
        let count = repeats.len() as f64;
        Some(Self {
            before: repeats.iter().map(|(before, _)| before).sum::<f64>() / count,
            after: repeats.iter().map(|(_, after)| after).sum::<f64>() / count,
        })
    }

    fn difference(&self) -> f64 {
        self.after - self.before
    }
}

/// The interval of the mean difference, after less before, at `confidence` (0.95). The same seed
/// gives the same interval. `None` below two cases.
pub fn difference(cases: &[Case], confidence: f64, seed: u64) -> Option<Interval> {
    let differences: Vec<f64> = cases.iter().map(Case::difference).collect();
    let summary = Summary::of(&differences)?;
    if differences.len() >= MANY {
        return Some(normal(&[summary], confidence));
    }
    let mut draw = Draw::seeded(seed);
    let means = (0..DRAWS).map(|_| mean_of_drawn(&differences, &mut draw)).collect();
    Some(percentiles(means, confidence))
}

/// The interval of the difference between the means of two independent samples, treatment less
/// control, each drawn again on its own. `None` if one has fewer than two values.
pub fn difference_of_means(
    control: &[f64],
    treatment: &[f64],
    confidence: f64,
    seed: u64,
) -> Option<Interval> {
    let (before, after) = (Summary::of(control)?, Summary::of(treatment)?);
    if control.len().max(treatment.len()) >= MANY {
        let interval = normal(&[after, before], confidence);
        let half = (interval.upper - interval.lower) / 2.0;
        return Some(Interval::around(after.mean - before.mean, half));
    }
    let mut draw = Draw::seeded(seed);
    let differences = (0..DRAWS)
        .map(|_| mean_of_drawn(treatment, &mut draw) - mean_of_drawn(control, &mut draw))
        .collect();
    Some(percentiles(differences, confidence))
}

/// Judges scores in pairs. Below twenty cases it is inconclusive: scores that happen to be equal
/// would otherwise look like certainty.
pub fn judge(cases: &[Case], non_inferiority: &NonInferiority, seed: u64) -> Decision {
    let differences: Vec<f64> = cases.iter().map(Case::difference).collect();
    let summary = Summary::of(&differences);
    let interval = difference(cases, non_inferiority.confidence(), seed)
        .filter(|_| cases.len() as u64 >= LEAST_CASES)
        .unwrap_or(Interval { lower: f64::NEG_INFINITY, upper: f64::INFINITY });
    let needed = summary.map_or(LEAST_CASES, |it| {
        non_inferiority.plan.cases_for_pairs(it.variance.sqrt(), non_inferiority.margin)
    });
    non_inferiority.decide(Seen {
        difference: summary.map_or(0.0, |it| it.mean),
        interval,
        cases: cases.len() as u64,
        needed: needed.max(LEAST_CASES),
    })
}

fn mean_of_drawn(values: &[f64], draw: &mut Draw) -> f64 {
    let sum: f64 = (0..values.len()).map(|_| values[draw.index(values.len())]).sum();
    sum / values.len() as f64
}

fn percentiles(mut drawn: Vec<f64>, confidence: f64) -> Interval {
    drawn.sort_by(f64::total_cmp);
    let last = drawn.len() - 1;
    let outside = ((1.0 - confidence) / 2.0 * drawn.len() as f64) as usize;
    Interval { lower: drawn[outside.min(last)], upper: drawn[last - outside.min(last)] }
}

/// Around the first mean, with the variances of all.
fn normal(summaries: &[Summary], confidence: f64) -> Interval {
    let variance: f64 = summaries.iter().map(|it| it.variance / it.n as f64).sum();
    let center = summaries.first().map_or(0.0, |it| it.mean);
    Interval::around(center, normal_quantile(0.5 + confidence / 2.0) * variance.sqrt())
}

#[cfg(test)]
mod tests;
