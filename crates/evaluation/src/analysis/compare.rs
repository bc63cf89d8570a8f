//! From results to what they say.

use super::conclusion::Conclusion;
use super::data::{ArmCount, ArmValues, Data};
use super::report::{Arm, Comparison, Estimate, Figure, Report, Split, figure};
use super::settings::Settings;
use crate::statistics::bootstrap::{self, Case, LEAST_CASES};
use crate::statistics::means::{Effect, Sequence, Summary};
use crate::statistics::paired::{Outcomes, mcnemar, newcombe};
use crate::statistics::ratio::{Period, chi_squared};
use crate::statistics::samples::{Alternative, cohens_d, common_language, mann_whitney};
use crate::statistics::{Direction, Interval, Scale};

/// The fewest units of each arm for an interval that rests on the central limit theorem.
const LEAST_UNITS: u64 = 30;
/// The fewest units of each outcome that each arm must be expected to have if both are equal, for
/// the same reason.
const LEAST_OUTCOMES: f64 = 10.0;

/// What the results say. Settings that do not pass [`super::Analysis::check`] may make it
/// inconclusive.
pub fn analyse(data: &Data, settings: &Settings) -> Report {
    let treatments = data.arms().len().saturating_sub(1).max(1);
    let judge = Judge {
        settings,
        direction: settings.direction_of(data),
        alpha: settings.alpha / treatments as f64,
    };
    let (shape, comparisons) = match data {
        Data::Counts { arms, .. } => ("counts per arm", judge.counts(arms)),
        Data::Values(arms) => ("values per unit", judge.values(arms)),
        Data::Samples { control, treatment } => {
            ("two samples", vec![judge.samples(control, treatment)])
        }
        Data::Outcomes(outcomes) => ("outcomes in pairs", vec![judge.outcomes(outcomes)]),
        Data::Scores(cases) => ("scores in pairs", vec![judge.scores(cases)]),
    };
    let split = split(data, settings);
    let (verdict, reason) = together(&comparisons, split.as_ref());
    Report {
        shape,
        metric: settings.metric.clone(),
        direction: judge.direction,
        alpha: settings.alpha,
        margin: settings.margin,
        scale: settings.scale,
        comparisons,
        notes: notes(data, settings, split.as_ref()),
        split,
        verdict,
        reason,
    }
}

/// Why the split was not checked, and what several treatments share.
fn notes(data: &Data, settings: &Settings, split: Option<&Split>) -> Vec<String> {
    let mut notes = Vec::new();
    let arms = data.arms().len();
    if arms > 0 && split.is_none() {
        let why = match settings.shares.is_empty() {
            true => "no planned shares are given",
            false => "an arm is expected to have fewer than 8 units",
        };
        notes.push(format!("the split of units is not checked: {why}"));
    }
    if arms > 2 {
        let each = figure(settings.alpha / (arms - 1) as f64);
        notes.push(format!("the treatments share alpha: each is judged at {each}"));
    }
    notes
}

/// An invalid split first; of several treatments, the first verdict of: win, inconclusive,
/// no_harm, flat, harm.
fn together(comparisons: &[Comparison], split: Option<&Split>) -> (Conclusion, String) {
    use Conclusion::{Flat, Harm, Inconclusive, NoHarm, Win};
    if let Some(split) = split.filter(|split| split.mismatch) {
        let why = "look for units that are lost, counted twice or assigned otherwise";
        let p = figure(split.p);
        let reason = format!("the split of units is not the planned one (p {p}): {why}");
        return (Conclusion::Invalid, reason);
    }
    let found = [Win, Inconclusive, NoHarm, Flat, Harm]
        .into_iter()
        .find_map(|wanted| comparisons.iter().find(|it| it.verdict == wanted));
    match found {
        Some(it) if comparisons.len() > 1 => {
            (it.verdict, format!("{}: {}", it.treatment.name, it.reason))
        }
        Some(it) => (it.verdict, it.reason.clone()),
        None => (Inconclusive, "there is nothing to compare".to_owned()),
    }
}

fn split(data: &Data, settings: &Settings) -> Option<Split> {
    let units: Vec<u64> = match data {
        Data::Counts { arms, .. } => arms.iter().map(|arm| arm.units).collect(),
        Data::Values(arms) => arms.iter().map(|arm| arm.values.len() as u64).collect(),
        _ => return None,
    };
    let share = |name: &&str| settings.shares.get(*name).copied();
    let weights: Option<Vec<f64>> = data.arms().iter().map(share).collect();
    let test = chi_squared(&Period { units, weights: weights? })?;
    Some(Split {
        statistic: test.statistic,
        degrees: test.degrees,
        p: test.p,
        mismatch: test.mismatch(),
    })
}

/// How each comparison is judged.
struct Judge<'a> {
    settings: &'a Settings,
    direction: Direction,
    /// α of one comparison.
    alpha: f64,
}

/// How many units of the rarer outcome the smaller arm is expected to have if both are equal.
fn rarest(control: &ArmCount, treatment: &ArmCount) -> f64 {
    let (hits, all) = (
        control.count as f64 + treatment.count as f64,
        control.units as f64 + treatment.units as f64,
    );
    hits.min(all - hits) * control.units.min(treatment.units) as f64 / all.max(1.0)
}

/// What a test of a fixed size found.
struct Found {
    control: Arm,
    treatment: Arm,
    interval: Option<Interval>,
    test: &'static str,
    p: Option<f64>,
}

impl Judge<'_> {
    fn counts(&self, arms: &[ArmCount]) -> Vec<Comparison> {
        let Some((control, treatments)) = arms.split_first() else { return Vec::new() };
        let arm = |arm: &ArmCount| {
            let summary = Summary::proportion(arm.count, arm.units);
            let mean = summary.map_or(0.0, |it| it.mean);
            (Arm { name: arm.name.clone(), n: arm.units, mean }, summary)
        };
        let compare = |treatment: &ArmCount| {
            let few = (rarest(control, treatment) < LEAST_OUTCOMES).then(|| {
                format!(
                    "too little to tell: fewer than {LEAST_OUTCOMES} units of each outcome are to \
                     be expected in an arm"
                )
            });
            self.anytime(arm(control), arm(treatment), few)
        };
        treatments.iter().map(compare).collect()
    }

    fn values(&self, arms: &[ArmValues]) -> Vec<Comparison> {
        let Some((control, treatments)) = arms.split_first() else { return Vec::new() };
        let arm =
            |arm: &ArmValues| (Arm::of_values(&arm.name, &arm.values), Summary::of(&arm.values));
        let compare = |treatment: &ArmValues| self.anytime(arm(control), arm(treatment), None);
        treatments.iter().map(compare).collect()
    }

    /// Compares two means by a confidence sequence. `few` says why there is too little, if so.
    fn anytime(
        &self,
        (control, before): (Arm, Option<Summary>),
        (treatment, after): (Arm, Option<Summary>),
        few: Option<String>,
    ) -> Comparison {
        let few_units = control.n.min(treatment.n) < LEAST_UNITS;
        let few = few_units
            .then(|| format!("too little to tell: fewer than {LEAST_UNITS} units in an arm"))
            .or(few);
        let (Some(before), Some(after)) = (before, after) else {
            return Comparison::undecided(control, treatment, few.unwrap_or_default());
        };
        let sequence = Sequence { alpha: self.alpha, n_star: self.settings.n_star };
        let absolute = Effect::absolute(&before, &after);
        let relative = Effect::relative(&before, &after);
        let estimate = |effect: &Effect| Estimate {
            estimate: effect.estimate,
            interval: effect.spreads().then(|| effect.interval(&sequence)),
        };
        let judged = match self.settings.scale {
            Scale::Absolute => Some(absolute),
            Scale::Relative => relative,
        };
        let spread = before.variance > 0.0 && after.variance > 0.0;
        let judged = judged.filter(|effect| spread && effect.spreads());
        let (verdict, reason) = match (few, judged) {
            (Some(few), _) => (Conclusion::Inconclusive, few),
            (None, Some(effect)) => self.conclude(effect.interval(&sequence), self.settings.margin),
            (None, None) => {
                let why = "too little to tell: all units of an arm are equal, or the control's \
                           mean is 0";
                (Conclusion::Inconclusive, why.to_owned())
            }
        };
        Comparison {
            control,
            treatment,
            absolute: Some(estimate(&absolute)),
            relative: relative.as_ref().map(estimate),
            test: Some("anytime-valid (AsympCS)"),
            ln_e: judged.map(|effect| effect.ln_e(&sequence)),
            p: judged.map(|effect| effect.p(&sequence)),
            figures: Vec::new(),
            verdict,
            reason,
        }
    }

    fn samples(&self, control: &[f64], treatment: &[f64]) -> Comparison {
        let confidence = 1.0 - self.alpha;
        let seed = self.settings.seed;
        let test = mann_whitney(treatment, control, Alternative::TwoSided);
        let few = (control.len().min(treatment.len()) as u64) < LEAST_CASES;
        let mut comparison = self.fixed(
            Found {
                control: Arm::of_values("control", control),
                treatment: Arm::of_values("treatment", treatment),
                interval: bootstrap::difference_of_means(control, treatment, confidence, seed),
                test: "Mann-Whitney, two-sided",
                p: test.map(|test| test.p),
            },
            few.then(|| format!("fewer than {LEAST_CASES} values in a sample")),
        );
        let figures = [
            ("W of the treatment", test.map(|test| test.w)),
            ("Cohen's d", cohens_d(treatment, control)),
            ("chance that a treatment value is greater", common_language(treatment, control)),
        ];
        comparison.figures = Figure::known(figures);
        comparison
    }

    fn outcomes(&self, outcomes: &Outcomes) -> Comparison {
        let n = outcomes.cases();
        let rate = |passed: u64| passed as f64 / n.max(1) as f64;
        let (before, after) = (outcomes.before(), outcomes.after());
        let mut comparison = self.fixed(
            Found {
                control: Arm { name: "before".to_owned(), n, mean: rate(before) },
                treatment: Arm { name: "after".to_owned(), n, mean: rate(after) },
                interval: Some(newcombe((after, n), (before, n), 1.0 - self.alpha)),
                test: "McNemar, exact",
                p: Some(mcnemar(outcomes.lost, outcomes.gained)),
            },
            None,
        );
        let figures = [("cases lost", outcomes.lost), ("cases gained", outcomes.gained)];
        comparison.figures = Figure::known(figures.map(|(name, count)| (name, Some(count as f64))));
        comparison
    }

    fn scores(&self, cases: &[Case]) -> Comparison {
        let before: Vec<f64> = cases.iter().map(|case| case.before).collect();
        let after: Vec<f64> = cases.iter().map(|case| case.after).collect();
        let found = Found {
            control: Arm::of_values("before", &before),
            treatment: Arm::of_values("after", &after),
            interval: bootstrap::difference(cases, 1.0 - self.alpha, self.settings.seed),
            test: "bootstrap by case",
            p: None,
        };
        let few = (cases.len() as u64) < LEAST_CASES;
        let mut comparison = self.fixed(found, None);
        if few {
            comparison.verdict = Conclusion::Inconclusive;
            comparison.reason = format!("too little to tell: fewer than {LEAST_CASES} cases");
        }
        comparison
    }

    /// Judges by an interval and a test, which must agree on a win and on harm. `few` says why
    /// the interval shows no absence of a difference, if so.
    fn fixed(&self, found: Found, few: Option<String>) -> Comparison {
        let Found { control, treatment, interval, test, p } = found;
        let Some(interval) = interval else {
            let why = "too little to tell: fewer than two values in a sample".to_owned();
            return Comparison::undecided(control, treatment, why);
        };
        let baseline = control.mean.abs();
        let margin = match self.settings.scale {
            Scale::Absolute => self.settings.margin,
            Scale::Relative => self.settings.margin * baseline,
        };
        let (mut verdict, mut reason) = self.conclude(interval, margin);
        let differs = matches!(verdict, Conclusion::Win | Conclusion::Harm);
        let unsure = p.filter(|p| differs && *p > self.alpha);
        let few = few.filter(|_| matches!(verdict, Conclusion::NoHarm | Conclusion::Flat));
        if let Some(p) = unsure {
            verdict = Conclusion::Inconclusive;
            let (p, alpha) = (figure(p), figure(self.alpha));
            reason = format!("too little to tell: p {p} of the test is above {alpha}");
        } else if let Some(few) = few {
            verdict = Conclusion::Inconclusive;
            reason = format!("too little to tell: {few}");
        }
        let difference = treatment.mean - control.mean;
        Comparison {
            absolute: Some(Estimate { estimate: difference, interval: Some(interval) }),
            relative: (baseline > 0.0)
                .then(|| Estimate { estimate: difference / baseline, interval: None }),
            control,
            treatment,
            test: Some(test),
            ln_e: None,
            p,
            figures: Vec::new(),
            verdict,
            reason,
        }
    }

    fn conclude(&self, interval: Interval, margin: f64) -> (Conclusion, String) {
        let improvement = interval.improvement(self.direction);
        let conclusion = Conclusion::of(improvement, margin);
        (conclusion, conclusion.reason(improvement, margin))
    }
}
