//! What results say, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::conclusion::Conclusion;
use crate::statistics::{Direction, Interval, Scale, shown};

/// What results say. As text it is a plain table; as JSON it has the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The shape of the data, in words.
    pub shape: &'static str,
    /// The metric's name.
    pub metric: Option<String>,
    /// Which way it gets better.
    pub direction: Direction,
    /// The probability of a false finding, over all comparisons.
    pub alpha: f64,
    /// The tolerated worsening.
    pub margin: f64,
    /// What the margin is measured in.
    pub scale: Scale,
    /// Each treatment with the control.
    pub comparisons: Vec<Comparison>,
    /// Whether units were split as planned, if that was said and there are enough of them.
    pub split: Option<Split>,
    /// What else one should know of how it was judged.
    pub notes: Vec<String>,
    /// What the experiment comes to.
    pub verdict: Conclusion,
    /// Why.
    pub reason: String,
}

/// A treatment with the control.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// What is compared with.
    pub control: Arm,
    /// What is compared.
    pub treatment: Arm,
    /// Treatment less control, in the metric's unit.
    pub absolute: Option<Estimate>,
    /// The same as a part of the control's mean, unless that is 0.
    pub relative: Option<Estimate>,
    /// The test of no difference.
    pub test: Option<&'static str>,
    /// The logarithm of its e-value, if it has one.
    pub ln_e: Option<f64>,
    /// Its p-value, if it has one.
    pub p: Option<f64>,
    /// What else the data's shape tells.
    pub figures: Vec<Figure>,
    /// What it comes to.
    pub verdict: Conclusion,
    /// Why.
    pub reason: String,
}

/// An arm in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// How many units, values or cases.
    pub n: u64,
    /// Their mean, or the part that was counted.
    pub mean: f64,
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// As it was seen.
    pub estimate: f64,
    /// Where the true one is, with 1 − α.
    pub interval: Option<Interval>,
}

/// A number with a name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What it is.
    pub name: &'static str,
    /// How much.
    pub value: f64,
}

/// The χ² test of how units were split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Split {
    /// χ².
    pub statistic: f64,
    /// Its degrees of freedom.
    pub degrees: u32,
    /// The probability of as much or more under the planned split.
    pub p: f64,
    /// Whether that is below 0.001.
    pub mismatch: bool,
}

impl Arm {
    pub(super) fn of_values(name: &str, values: &[f64]) -> Self {
        let n = values.len() as u64;
        let mean = values.iter().sum::<f64>() / n.max(1) as f64;
        Self { name: name.to_owned(), n, mean }
    }
}

impl Figure {
    pub(super) fn known<const N: usize>(figures: [(&'static str, Option<f64>); N]) -> Vec<Self> {
        let known = |(name, value): (&'static str, Option<f64>)| Some(Self { name, value: value? });
        figures.into_iter().filter_map(known).collect()
    }
}

impl Comparison {
    pub(super) fn undecided(control: Arm, treatment: Arm, reason: String) -> Self {
        Self {
            control,
            treatment,
            absolute: None,
            relative: None,
            test: None,
            ln_e: None,
            p: None,
            figures: Vec::new(),
            verdict: Conclusion::Inconclusive,
            reason,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = self.metric.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
        let better = match self.direction {
            Direction::HigherIsBetter => "higher is better",
            Direction::LowerIsBetter => "lower is better",
        };
        write!(f, "{metric}{}, {better}, alpha {}", self.shape, figure(self.alpha))?;
        if self.margin > 0.0 {
            let scale = match self.scale {
                Scale::Absolute => "absolute",
                Scale::Relative => "of the control's mean",
            };
            write!(f, ", margin {} {scale}", figure(self.margin))?;
        }
        writeln!(f, "\n")?;
        self.arms(f)?;
        for comparison in &self.comparisons {
            write!(f, "\n{comparison}")?;
        }
        writeln!(f)?;
        if let Some(split) = &self.split {
            writeln!(f, "{split}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        writeln!(f, "verdict: {}, {}", self.verdict, self.reason)
    }
}

impl Report {
    fn arms(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let control = self.comparisons.first().map(|comparison| &comparison.control);
        let treatments = self.comparisons.iter().map(|comparison| &comparison.treatment);
        let arms: Vec<&Arm> = control.into_iter().chain(treatments).collect();
        let width = arms.iter().map(|arm| arm.name.chars().count()).max().unwrap_or(0).max(3);
        writeln!(f, "{:width$}  {:>10}  {:>12}", "ARM", "N", "MEAN")?;
        for Arm { name, n, mean } in arms {
            writeln!(f, "{name:width$}  {n:>10}  {:>12}", figure(*mean))?;
        }
        Ok(())
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} against {}", self.treatment.name, self.control.name)?;
        let mut line = |name: &str, value: String| writeln!(f, "  {name}: {value}");
        if let Some(absolute) = &self.absolute {
            line("difference", absolute.shown(figure))?;
        }
        if let Some(relative) = &self.relative {
            line("relative", relative.shown(|part| format!("{:.2} %", 100.0 * part)))?;
        }
        if let Some(test) = self.test {
            line("test", test.to_owned())?;
        }
        if let Some(ln_e) = self.ln_e {
            line("e-value", shown(ln_e))?;
        }
        if let Some(p) = self.p {
            line("p-value", figure(p))?;
        }
        for Figure { name, value } in &self.figures {
            line(name, figure(*value))?;
        }
        line("verdict", format!("{}, {}", self.verdict, self.reason))
    }
}

impl Estimate {
    fn shown(&self, number: impl Fn(f64) -> String) -> String {
        match self.interval {
            Some(Interval { lower, upper }) => {
                format!("{} ({} to {})", number(self.estimate), number(lower), number(upper))
            }
            None => number(self.estimate),
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let as_planned = if self.mismatch { "not as planned" } else { "as planned" };
        let (statistic, p) = (figure(self.statistic), figure(self.p));
        write!(f, "split of units: {as_planned} (chi-squared {statistic}, p {p})")
    }
}

/// A number with four significant digits.
pub(super) fn figure(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{}", value + 0.0);
    }
    let magnitude = value.abs().log10().floor();
    if !(-5.0..9.0).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let decimals = (3.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
