//! What an experiment is to find out, fixed before anything is seen.

use evaluation::statistics::guardrail::Guardrail;
use evaluation::statistics::means::Sequence;
use evaluation::statistics::planning::{Plan, days};
use evaluation::statistics::{Direction, Scale};
use release::{BUCKETS, BasisPoints, ReleaseDigest};
use serde::{Deserialize, Serialize};

/// What an experiment is to find out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Design {
    /// What is expected to change, and why, in words.
    pub hypothesis: String,
    /// The releases, two or more; the first is the control.
    pub variants: Vec<Variant>,
    /// The one metric that decides whether a variant is better.
    pub primary: Metric,
    /// Metrics that must not get worse.
    #[serde(default)]
    pub guardrails: Vec<Metric>,
    /// How sure verdicts must be. Variants share its α, and so do their guardrails.
    #[serde(default)]
    pub sequence: Sequence,
    /// After how many days it stops whatever it says.
    pub days: u16,
}

/// A variant: a release, and how many sessions are its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// What it is called.
    pub name: String,
    /// What answers.
    pub release: ReleaseDigest,
    /// Its part of the sessions; the parts of all are 10,000 together.
    pub weight: BasisPoints,
}

/// Something that is measured of each session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Which way it gets better.
    #[serde(default)]
    pub direction: Direction,
    /// How much worse is tolerated, and how small a difference counts as none.
    #[serde(default)]
    pub margin: f64,
    /// What the margin is measured in.
    #[serde(default)]
    pub scale: Scale,
}

/// What is known of a metric before an experiment, and what it is to find.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// By how much sessions spread around their mean.
    pub deviation: f64,
    /// The smallest difference that is to be found, in the metric's unit.
    pub difference: f64,
    /// New sessions in a day, of all variants.
    pub sessions_per_day: f64,
}

/// How much an experiment needs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Needed {
    /// Sessions of each variant.
    pub sessions: u64,
    /// Days until the smallest variant has them.
    pub days: f64,
}

impl Needed {
    /// How many sessions, and days, variants with these parts of the sessions need for what is
    /// expected to be found with the power of `plan`.
    pub fn of(weights: &[f64], expected: &Expected, plan: &Plan) -> Self {
        let Expected { deviation, difference, sessions_per_day } = *expected;
        let treatments = weights.len().saturating_sub(1).max(1) as f64;
        let once = Plan { alpha: plan.alpha / treatments, ..*plan };
        let sessions = once.units_for_means(deviation, difference).saturating_mul(ANYTIME);
        let smallest = weights.iter().copied().fold(f64::INFINITY, f64::min);
        let share = smallest / weights.iter().sum::<f64>();
        Self { sessions, days: days(sessions, sessions_per_day, share) }
    }
}

/// Evidence that may be looked at at any time needs about so many times what one look needs.
const ANYTIME: u64 = 2;

impl Design {
    /// Whether it can be run.
    ///
    /// # Errors
    /// The key that is wrong, and why.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let wrong = |key, why: &str| Err((key, why.to_owned()));
        let variants = &self.variants;
        if self.hypothesis.trim().is_empty() {
            return wrong("hypothesis", "say what is expected to change, and why");
        }
        if variants.len() < 2 {
            return wrong("variants", "there are two or more, the first of which is the control");
        }
        for (number, variant) in variants.iter().enumerate() {
            let mut others = variants.iter().take(number);
            if others.any(|other| other.name == variant.name || other.release == variant.release) {
                let why = format!("`{}` is there twice, by its name or its release", variant.name);
                return Err(("variants", why));
            }
        }
        let all: u32 = variants.iter().map(|variant| u32::from(variant.weight)).sum();
        if all != u32::from(BUCKETS) || variants.iter().any(|variant| variant.weight == 0) {
            return wrong("variants", "weights are above 0, and 100 per cent together");
        }
        let names = self.guardrails.iter().map(|metric| &metric.name);
        let names: Vec<_> = names.chain([&self.primary.name]).collect();
        if (1..names.len()).any(|at| names.iter().take(at).any(|other| *other == names[at])) {
            return wrong("guardrails", "each metric is there once, the primary one included");
        }
        if self.days == 0 {
            return wrong("days", "it takes a day or more");
        }
        self.sequence.check().map_err(|error| ("sequence", error.to_string()))?;
        let metrics = self.guardrails.iter().chain([&self.primary]);
        for guardrail in metrics.map(|metric| self.guardrail(metric)) {
            guardrail.check().map_err(|error| ("margin", error.to_string()))?;
        }
        Ok(())
    }

    /// How sure the verdict of one treatment must be.
    pub(super) fn shared(&self) -> Sequence {
        Sequence { alpha: self.sequence.alpha / self.treatments(), ..self.sequence }
    }

    /// How a guardrail is judged for one treatment.
    pub(super) fn guardrail(&self, metric: &Metric) -> Guardrail {
        Guardrail {
            direction: metric.direction,
            margin: metric.margin,
            scale: metric.scale,
            sequence: self.shared(),
            ..Guardrail::default()
        }
    }

    fn treatments(&self) -> f64 {
        self.variants.len().saturating_sub(1).max(1) as f64
    }
}
