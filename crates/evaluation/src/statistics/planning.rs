//! How many units an experiment needs, and how long it takes.
//!
//! Normal approximations for one look at a fixed size. Evidence that may be looked at at any time
//! needs about twice as many to be as powerful at the one size that it is tuned for.

use serde::{Deserialize, Serialize};

use super::special::{normal_cdf, normal_quantile};
use super::{SettingError, between};

/// How sure the experiment is to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// The probability of a false finding, on one side. Half of it for a test of both sides.
    pub alpha: f64,
    /// The probability of finding an effect of the planned size.
    pub power: f64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { alpha: 0.05, power: 0.8 }
    }
}

impl Plan {
    /// Whether units can be planned with it.
    ///
    /// # Errors
    /// A probability is out of range.
    pub fn check(&self) -> Result<(), SettingError> {
        between("alpha", self.alpha, (0.0, 0.5), "between 0 and 0.5")?;
        between("power", self.power, (0.0, 1.0), "between 0 and 1")
    }

    /// z_{1−α} + z_{power}.
    fn z(&self) -> f64 {
        normal_quantile(1.0 - self.alpha) + normal_quantile(self.power)
    }

    /// Units per arm to tell apart two proportions around `p` that differ by `difference`:
    /// n = 2p(1−p)·((z_{1−α}+z_{power})/δ)², rounded up. For non-inferiority `difference` is the
    /// margin.
    pub fn units_for_proportions(&self, p: f64, difference: f64) -> u64 {
        self.units_for_means((p * (1.0 - p)).sqrt(), difference)
    }

    /// Units per arm to tell apart two means whose units spread by `deviation`:
    /// n = 2σ²·((z_{1−α}+z_{power})/δ)², rounded up. `u64::MAX` for a difference of 0.
    pub fn units_for_means(&self, deviation: f64, difference: f64) -> u64 {
        up(2.0 * (deviation * self.z() / difference).powi(2))
    }

    /// Cases to show a mean difference by, in pairs, where differences spread by `deviation`:
    /// n = (σ·(z_{1−α}+z_{power})/δ)², rounded up.
    pub fn cases_for_pairs(&self, deviation: f64, difference: f64) -> u64 {
        up((deviation * self.z() / difference).powi(2))
    }

    /// The probability of finding `difference` between two means with `units` per arm:
    /// Φ(δ/(σ√(2/n)) − z_{1−α}).
    pub fn power_with(&self, units: u64, deviation: f64, difference: f64) -> f64 {
        let error = deviation * (2.0 / units as f64).sqrt();
        normal_cdf(difference.abs() / error - normal_quantile(1.0 - self.alpha))
    }
}

/// Days until the smallest of the arms has `units`, if `units_per_day` new units arrive in all and
/// `smallest_share` of them fall to that arm. Infinite if none do.
pub fn days(units: u64, units_per_day: f64, smallest_share: f64) -> f64 {
    units as f64 / (units_per_day * smallest_share)
}

/// A float saturates when it becomes an integer.
fn up(units: f64) -> u64 {
    units.ceil() as u64
}

#[cfg(test)]
mod tests;
