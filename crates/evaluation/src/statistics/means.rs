//! How far apart two means are, that may be looked at as often as one likes: scores, tokens, cost,
//! and proportions.
//!
//! An asymptotic confidence sequence (AsympCS; Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
//! "Time-uniform central limit theory and asymptotic confidence sequences", arXiv 2103.06476) as
//! GrowthBook computes it. It holds at all times at once, once the central limit theorem does: it
//! is not for a handful of units, nor for very rare failures, which [`super::errors`] is for.
//!
//! **The unit is what was assigned.** Where a session has several messages, sum them up first, one
//! number per session: messages of one session are not independent, and the variance of the mean
//! over messages would be too small.

use serde::{Deserialize, Serialize};

use super::{Interval, SettingError, between};

/// What is kept of an arm: enough for mean and variance, and it can be added up.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Moments {
    /// How many units.
    pub n: u64,
    /// Their sum, in the metric's unit.
    pub sum: f64,
    /// The sum of their squares. Numbers whose spread is less than about 10⁻⁷ of their size lose
    /// it here; subtract something first.
    pub sum_of_squares: f64,
}

impl Moments {
    /// Of these units.
    pub fn of(values: &[f64]) -> Self {
        values.iter().fold(Self::default(), |moments, value| moments.with(*value))
    }

    /// Of `units`, of which each that succeeded counts 1 and each other 0.
    pub fn of_outcomes(successes: u64, units: u64) -> Self {
        Self { n: units, sum: successes as f64, sum_of_squares: successes as f64 }
    }

    /// With one unit more.
    #[must_use]
    pub fn with(self, value: f64) -> Self {
        self.merge(Self { n: 1, sum: value, sum_of_squares: value * value })
    }

    /// Of both.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            n: self.n.saturating_add(other.n),
            sum: self.sum + other.sum,
            sum_of_squares: self.sum_of_squares + other.sum_of_squares,
        }
    }

    /// The mean and the variance of a unit, (Σx² − (Σx)²/n) / (n − 1); `None` below two units.
    pub fn summary(&self) -> Option<Summary> {
        if self.n < 2 {
            return None;
        }
        let n = self.n as f64;
        let variance = (self.sum_of_squares - self.sum * self.sum / n) / (n - 1.0);
        Some(Summary { n: self.n, mean: self.sum / n, variance: variance.max(0.0) })
    }
}

/// An arm's mean and how much its units spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many units.
    pub n: u64,
    /// Their mean.
    pub mean: f64,
    /// The variance s² of a unit, not of the mean.
    pub variance: f64,
}

impl Summary {
    /// Of units, in two passes, so that no spread is lost; `None` below two units.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.len() < 2 {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        Some(Self { n: values.len() as u64, mean, variance: squares / (n - 1.0) })
    }

    /// Of a proportion: s² = p(1 − p), where p is (x + 1)/(n + 2) if none or all succeeded: a few
    /// units that are all equal are no proof that all others are. `None` without units.
    pub fn proportion(successes: u64, units: u64) -> Option<Self> {
        if units == 0 {
            return None;
        }
        let (x, n) = (successes as f64, units as f64);
        let mean = x / n;
        let p = if successes == 0 || successes >= units { (x + 1.0) / (n + 2.0) } else { mean };
        Some(Self { n: units, mean, variance: (p * (1.0 - p)).max(0.0) })
    }
}

/// How sure an interval is, and for which size it is narrowest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sequence {
    /// The probability that the sequence ever misses the truth.
    pub alpha: f64,
    /// N*: the units of both arms at which the interval is about as narrow as can be.
    pub n_star: f64,
}

impl Default for Sequence {
    fn default() -> Self {
        Self { alpha: 0.05, n_star: 5_000.0 }
    }
}

impl Sequence {
    /// Whether an interval can be computed with them.
    ///
    /// # Errors
    /// `alpha` is not between 0 and 0.5, or `n_star` is not above 0.
    pub fn check(&self) -> Result<(), SettingError> {
        between("alpha", self.alpha, (0.0, 0.5), "between 0 and 0.5")?;
        between("n_star", self.n_star, (0.0, f64::INFINITY), "above 0")
    }

    /// ρ = √((−2 ln α + ln(−2 ln α + 1)) / N*).
    pub fn rho(&self) -> f64 {
        rho(self.alpha, self.n_star)
    }

    /// The same with 2α, for a bound on one side.
    pub fn rho_one_sided(&self) -> f64 {
        rho(2.0 * self.alpha, self.n_star)
    }
}

fn rho(alpha: f64, n_star: f64) -> f64 {
    let twice = -2.0 * alpha.ln();
    ((twice + twice.ln_1p()) / n_star).sqrt()
}

/// Half the width of the interval for the mean of `n` units of `variance` σ²:
/// σ·√(2(nρ²+1)/(n²ρ²) · ln(√(nρ²+1)/α)).
///
/// TensorZero's ρ is ours divided by σ.
pub fn half_width(variance: f64, n: f64, alpha: f64, rho: f64) -> f64 {
    let grown = n * rho * rho + 1.0;
    (variance * 2.0 * grown / (n * n * rho * rho) * (grown.sqrt() / alpha).ln()).sqrt()
}

/// How far below the mean its lower bound is, or above it the upper one:
/// σ·√(2(nρ²+1)/(n²ρ²) · ln(1 + √(nρ²+1)/(2α))), with ρ of 2α.
pub fn half_width_one_sided(variance: f64, n: f64, alpha: f64, rho: f64) -> f64 {
    let grown = n * rho * rho + 1.0;
    let factor = (grown.sqrt() / (2.0 * alpha)).ln_1p();
    (variance * 2.0 * grown / (n * n * rho * rho) * factor).sqrt()
}

/// The difference between two means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The difference δ: treatment less control.
    pub estimate: f64,
    /// Its squared standard error V.
    pub squared_error: f64,
    /// N, the units of both arms.
    pub n: u64,
}

impl Effect {
    /// m_b − m_a, in the metric's unit; V = s²_a/n_a + s²_b/n_b.
    pub fn absolute(control: &Summary, treatment: &Summary) -> Self {
        let of = |arm: &Summary| arm.variance / arm.n as f64;
        Self {
            estimate: treatment.mean - control.mean,
            squared_error: of(control) + of(treatment),
            n: control.n.saturating_add(treatment.n),
        }
    }

    /// (m_b − m_a) / |m_a|; V = s²_b/(m_a² n_b) + s²_a m_b²/(m_a⁴ n_a) (delta method). `None` if
    /// the control's mean is 0.
    pub fn relative(control: &Summary, treatment: &Summary) -> Option<Self> {
        if control.mean == 0.0 {
            return None;
        }
        let square = control.mean * control.mean;
        let of_control = control.variance / control.n as f64;
        let of_treatment = treatment.variance / treatment.n as f64;
        let ratio = treatment.mean / control.mean;
        Some(Self {
            estimate: (treatment.mean - control.mean) / control.mean.abs(),
            squared_error: of_treatment / square + of_control / square * ratio * ratio,
            n: control.n.saturating_add(treatment.n),
        })
    }

    /// Whether units spread at all. Before they do, nothing can be said.
    pub fn spreads(&self) -> bool {
        self.squared_error > 0.0 && self.squared_error.is_finite()
    }

    /// σ̂² = V·N.
    fn variance(&self) -> f64 {
        self.squared_error * self.n as f64
    }

    /// The interval that holds the true difference at all times.
    pub fn interval(&self, sequence: &Sequence) -> Interval {
        let (n, alpha, rho) = (self.n as f64, sequence.alpha, sequence.rho());
        Interval::around(self.estimate, half_width(self.variance(), n, alpha, rho))
    }

    /// A lower and an upper bound, each of which alone holds at all times. Both together hold with
    /// 2α.
    pub fn bounds(&self, sequence: &Sequence) -> Interval {
        let (n, alpha, rho) = (self.n as f64, sequence.alpha, sequence.rho_one_sided());
        Interval::around(self.estimate, half_width_one_sided(self.variance(), n, alpha, rho))
    }

    /// ln E against the null hypothesis that there is no difference:
    /// E = exp(ρ²S / (2(Nρ²+1))) / √(Nρ²+1), S = N·δ²/V. NaN before units spread.
    pub fn ln_e(&self, sequence: &Sequence) -> f64 {
        let grown = self.n as f64 * sequence.rho().powi(2) + 1.0;
        self.exponent(self.estimate, sequence.rho()) - 0.5 * grown.ln()
    }

    /// The p-value that holds at all times: min(1, 1/E).
    pub fn p(&self, sequence: &Sequence) -> f64 {
        (-self.ln_e(sequence)).exp().min(1.0)
    }

    /// The p-value, that holds at all times, of the null hypothesis that the difference is at most
    /// `margin`: the α at which the lower bound of one side is `margin`,
    /// √(Nρ²+1) / (2(exp(ρ²S/(2(Nρ²+1))) − 1)).
    pub fn p_above(&self, margin: f64, sequence: &Sequence) -> f64 {
        let beyond = self.estimate - margin;
        if beyond <= 0.0 || !self.spreads() {
            return 1.0;
        }
        let rho = sequence.rho_one_sided();
        let grown = self.n as f64 * rho * rho + 1.0;
        (grown.sqrt() / (2.0 * self.exponent(beyond, rho).exp_m1())).min(1.0)
    }

    /// ρ²S / (2(Nρ²+1)).
    fn exponent(&self, difference: f64, rho: f64) -> f64 {
        let n = self.n as f64;
        let square = rho * rho;
        square * n * difference * difference / (2.0 * self.squared_error * (n * square + 1.0))
    }
}

#[cfg(test)]
mod tests;
