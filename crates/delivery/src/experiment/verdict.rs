//! What an experiment says: the split first, then harm in any metric, then the primary metric.

use evaluation::analysis::Conclusion;
use evaluation::statistics::means::{Effect, Moments};
use evaluation::statistics::ratio::{Period, mismatch};
use evaluation::statistics::{Interval, Scale, Verdict, guardrail};
use serde::{Deserialize, Serialize};

use super::design::{Design, Metric};

/// What was seen of an experiment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Newly assigned sessions by variant, in the variants' order; one entry for each time that it ran.
    pub assigned: Vec<Vec<u64>>,
    /// Each variant's sessions, in the variants' order.
    pub variants: Vec<Measured>,
}

/// What was measured of a variant's sessions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The primary metric.
    pub primary: Moments,
    /// The guardrails, in their order.
    pub guardrails: Vec<Moments>,
}

/// What was seen amounts to this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The verdict.
    pub verdict: Conclusion,
    /// The variant that it is about, from 0; none if it is about the whole.
    pub variant: Option<usize>,
    /// Why.
    pub why: String,
}

impl Judged {
    /// Whether it ends an experiment before its time: the others may change with more sessions.
    pub fn is_final(&self) -> bool {
        matches!(self.verdict, Conclusion::Win | Conclusion::Harm | Conclusion::Invalid)
    }
}

/// The order in which treatments decide: one that does harm ends it for all, as users suffer it; then
/// a winner, then what may become one.
const ORDER: [Conclusion; 6] = [
    Conclusion::Invalid,
    Conclusion::Harm,
    Conclusion::Win,
    Conclusion::Inconclusive,
    Conclusion::NoHarm,
    Conclusion::Flat,
];

/// What was seen amounts to.
///
/// - `Invalid` if sessions are not split as planned: nothing else counts then.
/// - `Harm` if a treatment is worse in the primary metric or in a guardrail (after Holm's adjustment)
///   by more than its margin.
/// - `Win`, `Flat` and `NoHarm` by the primary metric's interval, and only if all guardrails are safe.
/// - else `Inconclusive`.
pub fn judge(design: &Design, seen: &Seen) -> Judged {
    let weights: Vec<f64> =
        design.variants.iter().map(|variant| f64::from(variant.weight)).collect();
    let period = |units: &Vec<u64>| Period { units: units.clone(), weights: weights.clone() };
    let periods: Vec<Period> = seen.assigned.iter().map(period).collect();
    if mismatch(&periods) {
        let why = "sessions are not split as planned: nothing can be compared".to_owned();
        return Judged { verdict: Conclusion::Invalid, variant: None, why };
    }
    let Some((control, treatments)) = seen.variants.split_first() else {
        return nothing();
    };
    let all = (1..).zip(treatments).map(|(at, own)| treatment(design, at, control, own));
    let rank = |judged: &Judged| ORDER.iter().position(|known| *known == judged.verdict);
    all.min_by_key(rank).unwrap_or_else(nothing)
}

fn nothing() -> Judged {
    let why = "nothing was seen yet".to_owned();
    Judged { verdict: Conclusion::Inconclusive, variant: None, why }
}

fn treatment(design: &Design, at: usize, control: &Measured, own: &Measured) -> Judged {
    let name = design.variants.get(at).map_or("", |variant| variant.name.as_str());
    let told =
        |verdict, why: String| Judged { verdict, variant: Some(at), why: format!("{name}: {why}") };
    let pairs = control.guardrails.iter().zip(&own.guardrails).zip(&design.guardrails);
    let evidence: Vec<guardrail::Evidence> = pairs
        .map(|((control, own), metric)| guardrail::judge(control, own, &design.guardrail(metric)))
        .collect();
    let together = guardrail::together(&evidence, design.shared().alpha);
    if together == Verdict::Harm {
        let worst = evidence.iter().zip(&design.guardrails);
        let worst = worst.min_by(|(one, _), (other, _)| one.p_harm.total_cmp(&other.p_harm));
        let why = worst.map(|(evidence, metric)| format!("{}: {}", metric.name, evidence.reason()));
        return told(Conclusion::Harm, why.unwrap_or_default());
    }
    let Some(improvement) = improvement(design, control, own) else {
        return told(Conclusion::Inconclusive, "too few sessions".to_owned());
    };
    let Metric { name: primary, margin, .. } = &design.primary;
    let verdict = Conclusion::of(improvement, *margin);
    let Interval { lower, upper } = improvement;
    let why = format!("{primary} is better by {lower:.4} to {upper:.4}");
    let kept = design.guardrails.is_empty() || together == Verdict::Safe;
    match verdict {
        Conclusion::Win | Conclusion::Flat | Conclusion::NoHarm if !kept => {
            told(Conclusion::Inconclusive, format!("{why}; not all guardrails are safe yet"))
        }
        verdict => told(verdict, why),
    }
}

/// The interval of the primary metric's improvement, at all times; none while it cannot be told.
fn improvement(design: &Design, control: &Measured, own: &Measured) -> Option<Interval> {
    let (control, own) = (control.primary.summary()?, own.primary.summary()?);
    let primary = design.guardrail(&design.primary);
    if control.n.min(own.n) < primary.floor || control.variance == 0.0 || own.variance == 0.0 {
        return None;
    }
    let effect = match primary.scale {
        Scale::Absolute => Effect::absolute(&control, &own),
        Scale::Relative => Effect::relative(&control, &own)?,
    };
    let Interval { lower, upper } = effect.spreads().then(|| effect.interval(&design.shared()))?;
    let ends = [lower, upper].map(|end| primary.direction.improvement(end));
    Some(Interval { lower: ends[0].min(ends[1]), upper: ends[0].max(ends[1]) })
}
