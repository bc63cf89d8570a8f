//! Sample-ratio mismatch: is the split of units what was planned? If not, assignment or recording
//! is broken and no comparison of the arms means anything.
//!
//! Count *newly assigned* units, each once. For a report, [`chi_squared`]; for a running
//! experiment, which is looked at again and again, [`ln_bayes_factor`].

use serde::{Deserialize, Serialize};

use super::special::{chi_squared_survival, ln_gamma};

/// Below this p-value a report says that the split is not the planned one.
pub const P_MISMATCH: f64 = 0.001;
/// The fewest units that each arm must be expected to have for the χ² test.
pub const LEAST_EXPECTED: f64 = 8.0;
/// From this Bayes factor on a running experiment is invalid: false with probability 1/1000.
pub const BAYES_FACTOR_MISMATCH: f64 = 1_000.0;
/// How close to the plan the alternative is, in units.
const CONCENTRATION: f64 = 100.0;

/// The units assigned while the planned split stayed the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Period {
    /// Newly assigned units by arm.
    pub units: Vec<u64>,
    /// The planned weight of each arm; only their proportion matters.
    pub weights: Vec<f64>,
}

/// A χ² test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChiSquared {
    /// Σ (units − expected)² / expected.
    pub statistic: f64,
    /// Its degrees of freedom: arms less one.
    pub degrees: u32,
    /// The probability of as much or more under the planned split.
    pub p: f64,
}

impl ChiSquared {
    /// Whether the split is not the planned one.
    pub fn mismatch(&self) -> bool {
        self.p < P_MISMATCH
    }
}

/// Pearson's χ² test of the split, once, when all units are there. `None` if there are fewer than
/// two arms of some weight, a weight is negative or no number, the lists differ in length, or an
/// arm is expected to have fewer than eight units. Units in an arm of weight 0 give p = 0.
pub fn chi_squared(period: &Period) -> Option<ChiSquared> {
    let planned = planned(period)?;
    let all = period.units.iter().map(|units| *units as f64).sum::<f64>();
    let arms = planned.iter().filter(|part| **part > 0.0).count();
    let mut statistic = 0.0;
    for (units, part) in period.units.iter().zip(&planned) {
        let (units, expected) = (*units as f64, part * all);
        if *part == 0.0 {
            statistic += if units > 0.0 { f64::INFINITY } else { 0.0 };
        } else if expected < LEAST_EXPECTED {
            return None;
        } else {
            statistic += (units - expected) * (units - expected) / expected;
        }
    }
    let degrees = u32::try_from(arms - 1).ok()?;
    Some(ChiSquared { statistic, degrees, p: chi_squared_survival(statistic, degrees) })
}

/// ln of the Bayes factor of "another split" against the planned one, that may be looked at after
/// every unit: a Dirichlet-multinomial around the plan, k = 100 (Lindon and Malek, arXiv
/// 2011.03567). Where weights changed, the factors of the periods are multiplied: each starts
/// again. +∞ if an arm of weight 0 has units, 0 without units; a period that [`chi_squared`] calls
/// malformed adds nothing.
///
/// lnΓ(k) − lnΓ(k+n) + Σ[lnΓ(kθ_i+x_i) − lnΓ(kθ_i)] − Σ x_i ln θ_i
pub fn ln_bayes_factor(periods: &[Period]) -> f64 {
    periods.iter().map(ln_bayes_factor_of).sum()
}

/// Whether the split is shown not to be the planned one, at any look.
pub fn mismatch(periods: &[Period]) -> bool {
    ln_bayes_factor(periods) >= BAYES_FACTOR_MISMATCH.ln()
}

fn ln_bayes_factor_of(period: &Period) -> f64 {
    let Some(planned) = planned(period) else { return 0.0 };
    let all = period.units.iter().map(|units| *units as f64).sum::<f64>();
    let mut ln_factor = ln_gamma(CONCENTRATION) - ln_gamma(CONCENTRATION + all);
    for (units, part) in period.units.iter().zip(&planned) {
        let (units, prior) = (*units as f64, CONCENTRATION * part);
        if *part > 0.0 {
            ln_factor += ln_gamma(prior + units) - ln_gamma(prior) - units * part.ln();
        } else if units > 0.0 {
            return f64::INFINITY;
        }
    }
    ln_factor
}

/// The planned part of each arm, or `None` if the period is malformed.
fn planned(period: &Period) -> Option<Vec<f64>> {
    let good = |weight: &f64| weight.is_finite() && *weight >= 0.0;
    let all: f64 = period.weights.iter().sum();
    let arms = period.weights.iter().filter(|weight| **weight > 0.0).count();
    let fits = period.units.len() == period.weights.len() && all.is_finite();
    if arms < 2 || !fits || !period.weights.iter().all(good) {
        return None;
    }
    Some(period.weights.iter().map(|weight| weight / all).collect())
}

#[cfg(test)]
mod tests;
