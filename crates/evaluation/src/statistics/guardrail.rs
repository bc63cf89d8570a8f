//! Guardrails: means that must not get worse by more than is tolerated.
//!
//! Both bounds are one-sided confidence sequences ([`super::means`]), so that a guardrail may be
//! looked at as often as one likes. Of several guardrails, see [`together`].

use std::fmt;

use serde::{Deserialize, Serialize};

use super::holm::holm;
use super::means::{Effect, Moments, Sequence, Summary};
use super::{Direction, Interval, Scale, SettingError, Verdict, between};

/// What is tolerated of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guardrail {
    /// Which way the metric gets better.
    pub direction: Direction,
    /// How much worse it may be, 0 or more, on `scale`. At 0, `Safe` needs proof that it is not
    /// worse at all, which an unchanged metric never gives.
    pub margin: f64,
    /// What `margin` is measured in.
    pub scale: Scale,
    /// The fewest units of each arm: below, the central limit theorem is not relied on. For a
    /// proportion choose it such that ten units of each outcome are to be expected.
    pub floor: u64,
    /// How sure a verdict must be.
    pub sequence: Sequence,
}

impl Default for Guardrail {
    fn default() -> Self {
        Self {
            direction: Direction::HigherIsBetter,
            margin: 0.0,
            scale: Scale::Absolute,
            floor: 100,
            sequence: Sequence::default(),
        }
    }
}

impl Guardrail {
    /// Whether it can be judged by.
    ///
    /// # Errors
    /// `margin` is negative, or the sequence's settings are out of range.
    pub fn check(&self) -> Result<(), SettingError> {
        if self.margin != 0.0 {
            between("margin", self.margin, (0.0, f64::INFINITY), "0 or more")?;
        }
        self.sequence.check()
    }
}

/// What two arms say, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The conclusion.
    pub verdict: Verdict,
    /// How much worse the treatment is, on the guardrail's scale; negative if it is better.
    pub worsening: Option<f64>,
    /// What the worsening is at least, and what it is at most; each alone holds with 1 − α.
    pub bounds: Option<Interval>,
    /// The p-value, that holds at all times, of the worsening being within the margin.
    pub p_harm: f64,
    /// Units of the control.
    pub control: u64,
    /// Units of the treatment.
    pub treatment: u64,
    /// What was tolerated.
    pub guardrail: Guardrail,
}

/// Judges the treatment by what was seen so far.
///
/// - `Harm` if the worsening's lower bound is above the margin.
/// - `Safe` if its upper bound is within the margin.
/// - `NoData` if an arm has fewer units than the floor; else `Inconclusive`, also as long as all
///   units of an arm are equal, or the scale is relative and the control's mean is 0. Failures,
///   which may stay at none for long, are better judged by [`super::errors`].
///
/// **A crossing is final**: the caller records the first and acts on it.
pub fn judge(control: &Moments, treatment: &Moments, guardrail: &Guardrail) -> Evidence {
    let mut evidence = Evidence {
        verdict: Verdict::NoData,
        worsening: None,
        bounds: None,
        p_harm: 1.0,
        control: control.n,
        treatment: treatment.n,
        guardrail: *guardrail,
    };
    let (Some(before), Some(after)) = (control.summary(), treatment.summary()) else {
        return evidence;
    };
    if control.n.min(treatment.n) < guardrail.floor {
        return evidence;
    }
    evidence.verdict = Verdict::Inconclusive;
    let spread = before.variance > 0.0 && after.variance > 0.0;
    let effect = worsening(&before, &after, guardrail).filter(|effect| effect.spreads());
    let Some(effect) = effect.filter(|_| spread) else {
        return evidence;
    };
    let bounds = effect.bounds(&guardrail.sequence);
    evidence.worsening = Some(effect.estimate);
    evidence.bounds = Some(bounds);
    evidence.p_harm = effect.p_above(guardrail.margin, &guardrail.sequence);
    if bounds.lower > guardrail.margin {
        evidence.verdict = Verdict::Harm;
    } else if bounds.upper <= guardrail.margin {
        evidence.verdict = Verdict::Safe;
    }
    evidence
}

/// The effect, such that more is worse.
fn worsening(control: &Summary, treatment: &Summary, guardrail: &Guardrail) -> Option<Effect> {
    let effect = match guardrail.scale {
        Scale::Absolute => Effect::absolute(control, treatment),
        Scale::Relative => Effect::relative(control, treatment)?,
    };
    let estimate = -guardrail.direction.improvement(effect.estimate);
    Some(Effect { estimate, ..effect })
}

/// The verdict of several guardrails together: `Harm` if any is harmed after Holm's adjustment of
/// their p-values at `alpha`, `Safe` only if all are. `NoData` if there are none.
pub fn together(guardrails: &[Evidence], alpha: f64) -> Verdict {
    let p: Vec<f64> = guardrails.iter().map(|evidence| evidence.p_harm).collect();
    let any = |verdict| guardrails.iter().any(|evidence| evidence.verdict == verdict);
    if holm(&p).iter().any(|p| *p < alpha) {
        Verdict::Harm
    } else if guardrails.is_empty() || any(Verdict::NoData) {
        Verdict::NoData
    } else if any(Verdict::Inconclusive) || any(Verdict::Harm) {
        Verdict::Inconclusive
    } else {
        Verdict::Safe
    }
}

impl Evidence {
    /// The verdict's reason in one sentence: statistic, bound, and how much was seen.
    pub fn reason(&self) -> String {
        let Guardrail { margin, floor, scale, .. } = self.guardrail;
        let unit = match scale {
            Scale::Absolute => "",
            Scale::Relative => " of the control's mean",
        };
        let seen = format!("{} control and {} treatment units", self.control, self.treatment);
        let Some(Interval { lower, upper }) = self.bounds else {
            return match self.verdict {
                Verdict::NoData => format!("fewer than {floor} units in an arm; {seen}"),
                _ => {
                    format!("all units of an arm are equal, or the control's mean is 0; {seen}")
                }
            };
        };
        match self.verdict {
            Verdict::Harm => format!(
                "worse by at least {lower:.4}{unit}, which is more than the tolerated {margin}; \
                 {seen}"
            ),
            Verdict::Safe => format!(
                "worse by at most {upper:.4}{unit}, which is within the tolerated {margin}; {seen}"
            ),
            _ => format!(
                "worse by {lower:.4} to {upper:.4}{unit}, which is on both sides of the tolerated \
                 {margin}; {seen}"
            ),
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
