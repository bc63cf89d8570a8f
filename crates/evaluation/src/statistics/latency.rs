//! Is the canary slower? Counts of slow units, judged like errors.
//!
//! What is slow is fixed before the canary starts, by a quantile of the control: a threshold that
//! moved with the data would make the evidence worthless. Then a unit is slow or not, whatever the
//! shape of the distribution, and [`super::errors`] says whether the canary has more slow ones.

use serde::{Deserialize, Serialize};

use super::errors::{self, Evidence, Settings, Step};

/// From when on a unit is slow, in the unit of what it was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold(pub f64);

impl Threshold {
    /// The quantile `level` (0.95 for p95) of the control's units before the canary started.
    /// `None` without units, if one is no number, or if the level is not between 0 and 1.
    pub fn of_control(units: &[f64], level: f64) -> Option<Self> {
        quantile(units, level).map(Self)
    }

    /// How many of `units` are slow.
    pub fn slow(self, units: &[f64]) -> u64 {
        units.iter().filter(|unit| **unit > self.0).count() as u64
    }

    /// The counts of a step: the canary's share of units, and how long each unit took.
    pub fn step(self, share: f64, canary: &[f64], control: &[f64]) -> Step {
        Step {
            share,
            canary: self.slow(canary),
            control: self.slow(control),
            canary_units: canary.len() as u64,
            control_units: control.len() as u64,
        }
    }
}

/// Judges counts of slow units. The absolute test is left out: slow units are common by
/// definition, so that "below 1 %" would say nothing.
pub fn judge(steps: &[Step], settings: &Settings) -> Evidence {
    errors::judge(steps, &Settings { p_ok: None, ..*settings })
}

/// The quantile `level` between 0 and 1, linear between the two nearest values (type 7 of Hyndman
/// and Fan, "Sample quantiles in statistical packages", 1996; R's default).
pub fn quantile(values: &[f64], level: f64) -> Option<f64> {
    if values.is_empty() || !(0.0..=1.0).contains(&level) || values.iter().any(|it| it.is_nan()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = level * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    let part = at.fract();
    // Written so that two equal values, infinite ones too, give that value.
    Some(if below == above { below } else { below * (1.0 - part) + above * part })
}

#[cfg(test)]
mod tests;
