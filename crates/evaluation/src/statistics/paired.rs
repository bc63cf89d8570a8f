//! The same cases answered before and after: is the new release worse?
//!
//! For offline gates, looked at once. Outcomes (passed or not) are here; scores are in
//! [`super::bootstrap`], which ends in the same [`Gate`].

use std::fmt;

use serde::{Deserialize, Serialize};

use super::planning::Plan;
use super::special::{binomial_at_most, normal_quantile};
use super::{Interval, SettingError, between};

/// Cases by outcome before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outcomes {
    /// Passed before and after.
    pub both: u64,
    /// Passed before only: lost.
    pub lost: u64,
    /// Passed after only: gained.
    pub gained: u64,
    /// Passed neither time.
    pub neither: u64,
}

impl Outcomes {
    /// Of cases, each (passed before, passed after).
    pub fn of(cases: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut outcomes = Self::default();
        for case in cases {
            let cell = match case {
                (true, true) => &mut outcomes.both,
                (true, false) => &mut outcomes.lost,
                (false, true) => &mut outcomes.gained,
                (false, false) => &mut outcomes.neither,
            };
            *cell += 1;
        }
        outcomes
    }

    /// How many cases.
    pub fn cases(&self) -> u64 {
        self.before().saturating_add(self.gained).saturating_add(self.neither)
    }

    /// How many passed before.
    pub fn before(&self) -> u64 {
        self.both.saturating_add(self.lost)
    }

    /// How many passed after.
    pub fn after(&self) -> u64 {
        self.both.saturating_add(self.gained)
    }
}

/// The two-sided p-value of as many cases being lost as gained: exact McNemar,
/// p = min(1, 2·P(Bin(b+c, ½) ≤ min(b, c))).
pub fn mcnemar(lost: u64, gained: u64) -> f64 {
    (2.0 * binomial_at_most(lost.min(gained), lost.saturating_add(gained), 0.5)).min(1.0)
}

/// The interval of a proportion (Wilson, "Probable inference", 1927), at `confidence` (0.95):
/// (p̂ + z²/2n ± z√(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n). All of 0 to 1 without units.
pub fn wilson(successes: u64, units: u64, confidence: f64) -> Interval {
    if units == 0 {
        return Interval { lower: 0.0, upper: 1.0 };
    }
    let (n, p) = (units as f64, successes as f64 / units as f64);
    let z = normal_quantile(0.5 + confidence / 2.0);
    let square = z * z / n;
    let center = (p + square / 2.0) / (1.0 + square);
    let half = z * (p * (1.0 - p) / n + square / (4.0 * n)).sqrt() / (1.0 + square);
    // Where none or all succeed an end is exactly 0 or 1, which rounding misses.
    Interval {
        lower: if successes == 0 { 0.0 } else { center - half },
        upper: if successes == units { 1.0 } else { center + half },
    }
}

/// A proportion as counted: (successes, units).
pub type Proportion = (u64, u64);

/// The interval of the difference p1 − p2 from the Wilson intervals (l, u) of both (Newcombe,
/// "Interval estimation for the difference between independent proportions", 1998, method 10):
/// D − √((p1−l1)² + (u2−p2)²), D + √((u1−p1)² + (p2−l2)²).
///
/// It takes the two as independent. Answers to the same case mostly agree, and then the interval
/// is wider than it need be; it would be too narrow only where one passes what the other fails.
pub fn newcombe(first: Proportion, second: Proportion, confidence: f64) -> Interval {
    let part = |(successes, units): Proportion| successes as f64 / units.max(1) as f64;
    let (p1, p2) = (part(first), part(second));
    let one = wilson(first.0, first.1, confidence);
    let two = wilson(second.0, second.1, confidence);
    let difference = p1 - p2;
    Interval {
        lower: difference - (p1 - one.lower).hypot(two.upper - p2),
        upper: difference + (one.upper - p1).hypot(p2 - two.lower),
    }
}

/// What an offline gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Not worse by more than the margin.
    Pass,
    /// Worse by more than the margin, or not shown to be within it by a suite large enough for it.
    Fail,
    /// The suite is too small to tell.
    Inconclusive,
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        })
    }
}

/// How much worse a release may be, and how sure the gate must be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NonInferiority {
    /// δ: the tolerated worsening, above 0, in the score's unit (0.03: three points of pass rate).
    pub margin: f64,
    /// The probabilities of passing what is worse by the margin, and of passing what is equal.
    pub plan: Plan,
}

impl Default for NonInferiority {
    fn default() -> Self {
        Self { margin: 0.03, plan: Plan::default() }
    }
}

impl NonInferiority {
    /// Whether it can be judged by.
    ///
    /// # Errors
    /// `margin` is not above 0, or a probability is out of range.
    pub fn check(&self) -> Result<(), SettingError> {
        between("margin", self.margin, (0.0, f64::INFINITY), "above 0")?;
        self.plan.check()
    }

    /// The confidence of the two-sided interval of which each end alone holds with 1 − α.
    pub fn confidence(&self) -> f64 {
        1.0 - 2.0 * self.plan.alpha
    }

    /// Judges outcomes in pairs: the interval is Newcombe's, the cases needed are those of
    /// [`Plan::units_for_proportions`] at the pass rate before. That is taken as Wilson's center,
    /// so that a small suite that passed altogether does not look as if no case more were needed.
    pub fn judge(&self, outcomes: &Outcomes) -> Decision {
        let n = outcomes.cases();
        let (before, after) = ((outcomes.before(), n), (outcomes.after(), n));
        let square = normal_quantile(0.975).powi(2);
        let center = (outcomes.before() as f64 + square / 2.0) / (n as f64 + square);
        let count = n.max(1) as f64;
        self.decide(Seen {
            difference: (outcomes.after() as f64 - outcomes.before() as f64) / count,
            interval: newcombe(after, before, self.confidence()),
            cases: n,
            needed: self.plan.units_for_proportions(center, self.margin),
        })
    }

    /// Passes if the lower end is −δ or more; fails if the upper end is below −δ, or if as many
    /// cases as are needed did not show it; is inconclusive otherwise.
    pub(super) fn decide(&self, seen: Seen) -> Decision {
        let gate = if seen.cases == 0 {
            Gate::Inconclusive
        } else if seen.interval.lower >= -self.margin {
            Gate::Pass
        } else if seen.interval.upper < -self.margin || seen.cases >= seen.needed {
            Gate::Fail
        } else {
            Gate::Inconclusive
        };
        Decision { gate, seen, margin: self.margin }
    }
}

/// What was seen of the difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// After less before.
    pub difference: f64,
    /// Its interval.
    pub interval: Interval,
    /// How many cases.
    pub cases: u64,
    /// How many are needed to pass what is equal, with the planned power.
    pub needed: u64,
}

/// What the gate says, and why.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The conclusion.
    pub gate: Gate,
    /// What it was drawn from.
    pub seen: Seen,
    /// δ: what was tolerated.
    pub margin: f64,
}

impl Decision {
    /// The reason in one sentence.
    pub fn reason(&self) -> String {
        let Seen { difference, interval: Interval { lower, upper }, cases, needed } = self.seen;
        let margin = self.margin;
        let seen = format!("{difference:+.4} ({lower:+.4} to {upper:+.4}) on {cases} cases");
        match self.gate {
            Gate::Pass => format!("{seen}: not worse by more than {margin}"),
            Gate::Fail if upper < -margin => format!("{seen}: worse by more than {margin}"),
            Gate::Fail => {
                format!("{seen}: not shown to be within {margin}, by cases enough for it")
            }
            Gate::Inconclusive => {
                format!("{seen}: too few to tell {margin}, about {needed} are needed")
            }
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.gate, self.reason())
    }
}

#[cfg(test)]
mod tests;
