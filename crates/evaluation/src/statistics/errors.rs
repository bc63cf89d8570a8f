//! Does the canary fail more often than the control? Evidence from counts of failed units, that
//! may be looked at as often as one likes.
//!
//! Given that a unit failed, it is the canary's with a probability that depends only on the
//! canary's share and on how much more often it fails, so the failures of both arms are a series
//! of biased coins whatever the base rate does meanwhile. A bet on 32 ratios, spread evenly in
//! logarithms, is an e-process against any ratio on the other side (Lindon and Malek,
//! "Anytime-valid inference for multinomial count data", arXiv 2011.03567).
//!
//! Keep the counts per step and derive the evidence from them: the same counts always give the
//! same verdict. A failure counts in the step in which its unit was bound, however late it comes.

use std::f64::consts::LN_2;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::binomial::ln_e_below;
use super::special::ln_sum_exp;
use super::{SettingError, Verdict, between, shown};

/// How many ratios are bet on.
const POINTS: u32 = 32;
/// The greatest ratio that is bet on when looking for harm.
const GREATEST: f64 = 20.0;
/// The least ratio that is bet on when looking for safety.
const LEAST: f64 = 0.1;
/// From so many failed units of both arms on, they are compared and nothing else.
const COMPARABLE: u64 = 20;

/// What happened at one weight: units are distinct sessions or users, bound during the step.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Step {
    /// The canary's part of the units of both arms, between 0 and 1. At 0 and 1 there is nothing
    /// to compare, and the step says nothing about the ratio.
    pub share: f64,
    /// Units of the canary that failed.
    pub canary: u64,
    /// Units of the control that failed.
    pub control: u64,
    /// All units of the canary.
    pub canary_units: u64,
    /// All units of the control.
    pub control_units: u64,
}

impl Step {
    /// x·ln(θ(g)/θ(r)) + y·ln((1−θ(g))/(1−θ(r))), written so that nothing cancels.
    fn ln_factor(&self, ratio: f64, null: f64) -> f64 {
        if !(self.share > 0.0 && self.share < 1.0) {
            return 0.0;
        }
        let all = |ratio: f64| 1.0 - self.share + self.share * ratio;
        let both = (all(null) / all(ratio)).ln();
        let canary = (ratio / null).ln() + both;
        self.canary as f64 * canary + self.control as f64 * both
    }
}

/// ln E that the canary fails more than `r_tol` times as often as the control, by a bet on
/// 32 ratios from 1.05·r_tol to 20. The null hypothesis is that the ratio is at most `r_tol`.
///
/// L_j = Σ_s x_s·ln(θ_s(g_j)/θ_s(r)) + y_s·ln((1−θ_s(g_j))/(1−θ_s(r))); ln E = ln Σ_j e^L_j − ln 32,
/// with θ_s(g) = ρ_s·g / (1 − ρ_s + ρ_s·g).
pub fn ln_e_bad(steps: &[Step], r_tol: f64) -> f64 {
    let least = 1.05 * r_tol;
    ln_mixture(steps, r_tol, (least, least.max(GREATEST)))
}

/// ln E that the canary fails less than `r_max` times as often as the control, by a bet on
/// 32 ratios from 0.1 to 0.95·r_max. The null hypothesis is that the ratio is at least `r_max`.
pub fn ln_e_good(steps: &[Step], r_max: f64) -> f64 {
    let greatest = 0.95 * r_max;
    ln_mixture(steps, r_max, (greatest.min(LEAST), greatest))
}

fn ln_mixture(steps: &[Step], null: f64, (least, greatest): (f64, f64)) -> f64 {
    let ln_bets: Vec<f64> = (0..POINTS)
        .map(|point| {
            let part = f64::from(point) / f64::from(POINTS - 1);
            let ratio = least * (greatest / least).powf(part);
            steps.iter().map(|step| step.ln_factor(ratio, null)).sum()
        })
        .collect();
    ln_sum_exp(&ln_bets) - f64::from(POINTS).ln()
}

/// What is tolerated, and how sure a verdict must be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The probability of ever calling harm where there is none, and of ever calling safe what
    /// is not: each at most this.
    pub alpha: f64,
    /// Harm is a canary that fails more than this many times as often as the control.
    pub r_tol: f64,
    /// Safe is a canary that fails less than this many times as often as the control …
    pub r_max: f64,
    /// … or, while there are too few failures to compare, whose own failure rate is below this.
    /// Without it, a service in which nothing fails could never be called safe. `None` leaves only
    /// the comparison.
    pub p_ok: Option<f64>,
    /// Harm is not called before this many units of the canary failed.
    pub floor: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { alpha: 0.05, r_tol: 1.0, r_max: 2.0, p_ok: Some(0.01), floor: 3 }
    }
}

impl Settings {
    /// Whether the evidence can be computed with them.
    ///
    /// # Errors
    /// A probability is not between 0 and 1, or a ratio is out of range.
    pub fn check(&self) -> Result<(), SettingError> {
        between("alpha", self.alpha, (0.0, 1.0), "between 0 and 1")?;
        between("r_tol", self.r_tol, (0.0, 19.0), "above 0 and below 19")?;
        between("r_max", self.r_max, (0.0, f64::INFINITY), "above 0")?;
        self.p_ok.map_or(Ok(()), |rate| between("p_ok", rate, (0.0, 1.0), "between 0 and 1"))
    }
}

/// An arm in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// All its units.
    pub units: u64,
    /// Those that failed.
    pub failures: u64,
}

/// What the counts say, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The conclusion.
    pub verdict: Verdict,
    /// ln E that the ratio is above `r_tol`.
    pub ln_e_bad: f64,
    /// ln E that the ratio is below `r_max`.
    pub ln_e_good: f64,
    /// ln E that the canary's own rate is below `p_ok`.
    pub ln_e_absolute: Option<f64>,
    /// ln E that the canary is safe: of the mean of the two before, in which the absolute test
    /// counts for nothing once 20 units of both arms have failed.
    pub ln_e_safe: f64,
    /// What they must reach: ln(1/α).
    pub bound: f64,
    /// The canary over all steps.
    pub canary: Tally,
    /// The control over all steps.
    pub control: Tally,
    /// What was tolerated.
    pub settings: Settings,
}

/// Judges the canary by all steps so far.
///
/// - `Harm` at E_bad ≥ 1/α with at least `floor` failed units of the canary, whatever else holds.
/// - `Safe` at E_safe ≥ 1/α if E_bad is below 1/α. E_safe is the mean of E_good and of the
///   absolute test of the canary alone, which is again an e-value; "either crosses" would double α.
///   It says: less than `r_max` times the control's rate, or a rate below `p_ok`. Once 20 units of
///   both arms have failed the absolute test no longer adds to the mean, which keeps it an e-value
///   (a bet may be given up at any time): while the base rate is low, twice of it may well be
///   below `p_ok`.
/// - `NoData` if an arm has no unit yet; else `Inconclusive`.
///
/// **A crossing is final**, and that is the caller's to keep: record the first `Harm` or `Safe` and
/// act on it. More data may carry the evidence below the bound again, which revokes nothing.
///
/// Settings that do not pass [`Settings::check`] may give `Inconclusive` forever.
pub fn judge(steps: &[Step], settings: &Settings) -> Evidence {
    let tally = |units: fn(&Step) -> u64, failures: fn(&Step) -> u64| Tally {
        units: steps.iter().map(units).fold(0, u64::saturating_add),
        failures: steps.iter().map(failures).fold(0, u64::saturating_add),
    };
    let canary = tally(|step| step.canary_units, |step| step.canary);
    let control = tally(|step| step.control_units, |step| step.control);
    let ln_e_good = ln_e_good(steps, settings.r_max);
    let ln_e_absolute = settings.p_ok.map(|rate| {
        ln_e_below(canary.failures, canary.units.saturating_sub(canary.failures), rate)
    });
    let comparable = canary.failures.saturating_add(control.failures) >= COMPARABLE;
    let ln_e_safe = match ln_e_absolute {
        None => ln_e_good,
        Some(_) if comparable => ln_e_good - LN_2,
        Some(absolute) => ln_sum_exp(&[ln_e_good, absolute]) - LN_2,
    };
    let mut evidence = Evidence {
        verdict: Verdict::Inconclusive,
        ln_e_bad: ln_e_bad(steps, settings.r_tol),
        ln_e_good,
        ln_e_absolute,
        ln_e_safe,
        bound: -settings.alpha.ln(),
        canary,
        control,
        settings: *settings,
    };
    evidence.verdict = evidence.conclusion();
    evidence
}

impl Evidence {
    fn conclusion(&self) -> Verdict {
        if self.canary.units == 0 || self.control.units == 0 {
            Verdict::NoData
        } else if self.ln_e_bad >= self.bound {
            let enough = self.canary.failures >= self.settings.floor;
            if enough { Verdict::Harm } else { Verdict::Inconclusive }
        } else if self.ln_e_safe >= self.bound {
            Verdict::Safe
        } else {
            Verdict::Inconclusive
        }
    }

    /// The verdict's reason in one sentence: statistic, bound, and how much was seen.
    pub fn reason(&self) -> String {
        let Settings { r_tol, r_max, p_ok, floor, .. } = self.settings;
        let (bad, safe) = (shown(self.ln_e_bad), shown(self.ln_e_safe));
        let bound = shown(self.bound);
        let seen = format!(
            "{} of {} canary units and {} of {} control units failed",
            self.canary.failures, self.canary.units, self.control.failures, self.control.units
        );
        let tolerated = match p_ok {
            Some(rate) => format!("less than {r_max} times as often, or below {rate}"),
            None => format!("less than {r_max} times as often"),
        };
        match self.verdict {
            Verdict::Harm if r_tol == 1.0 => {
                format!(
                    "the canary fails more often than the control: E {bad} reached {bound}; {seen}"
                )
            }
            Verdict::Harm => format!(
                "the canary fails more than {r_tol} times as often as the control: E {bad} reached \
                 {bound}; {seen}"
            ),
            Verdict::Safe => {
                format!("the canary fails {tolerated}: E {safe} reached {bound}; {seen}")
            }
            Verdict::NoData => format!("an arm has no units yet; {seen}"),
            Verdict::Inconclusive if self.ln_e_bad >= self.bound => format!(
                "E {bad} for harm reached {bound}, but fewer than {floor} canary units failed; \
                 {seen}"
            ),
            Verdict::Inconclusive => {
                format!("neither harm (E {bad}) nor safety (E {safe}) reached {bound}; {seen}")
            }
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.verdict, self.reason())
    }
}

#[cfg(test)]
mod tests;
