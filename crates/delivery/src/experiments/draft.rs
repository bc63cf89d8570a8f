//! An experiment as people write it.

use evaluation::statistics::means::Sequence;
use evaluation::statistics::{Direction, Scale};
use monitoring::arms::{MEASURES, SCORE, is_measure};
use release::{ArtifactName, BUCKETS, BasisPoints};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::experiment::design::{Design, Metric, Variant};

/// What an experiment is to find out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewExperiment {
    /// Its name; no other of the environment has it, or ever had.
    pub name: ArtifactName,
    /// What is expected to change, and why, in words.
    pub hypothesis: String,
    /// The releases, two or more. The first is the control: the environment's stable release.
    pub variants: Vec<NewVariant>,
    /// The one metric that decides whether a variant is better.
    pub primary: NewMetric,
    /// Metrics that must not get worse.
    #[serde(default)]
    pub guardrails: Vec<NewMetric>,
    /// After how many days it stops whatever it says.
    pub days: u16,
    /// The probability of a false finding, below 0.5 (0.05 if absent). Variants share it.
    #[serde(default)]
    pub alpha: Option<f64>,
    /// At how many sessions of two variants the intervals are about as narrow as can be (5,000 if
    /// absent).
    #[serde(default)]
    pub n_star: Option<f64>,
}

/// A release, and how many sessions are its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVariant {
    /// What it is called.
    pub name: ArtifactName,
    /// The release: a change, a sequence number or a digest.
    pub release: String,
    /// How many per cent of the sessions it answers; those of all are 100 together.
    pub weight: f64,
}

/// Something that is measured of each session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMetric {
    /// `failures`, `requests`, `latency` (seconds), `cost`, `input_tokens`, `output_tokens`, or
    /// `score.NAME` for the mean of the scores of that name that traces were given.
    pub measure: String,
    /// Which way it gets better; higher for scores and lower for everything else if absent.
    /// `requests` must say.
    #[serde(default)]
    pub direction: Option<Direction>,
    /// How much worse is tolerated, and how small a difference counts as none.
    #[serde(default)]
    pub margin: f64,
    /// What the margin is measured in: the measure's own unit, or parts of the control's mean.
    #[serde(default)]
    pub scale: Scale,
}

impl NewVariant {
    /// Its weight in hundredths of a per cent; 0 if it is out of range.
    pub(super) fn weight(&self) -> BasisPoints {
        (self.weight * 100.0).round().clamp(0.0, f64::from(BUCKETS)) as BasisPoints
    }
}

impl NewExperiment {
    /// The design over these variants, or what is wrong with it.
    pub(super) fn design(&self, variants: Vec<Variant>) -> Result<Design, String> {
        let known = Sequence::default();
        let design = Design {
            hypothesis: self.hypothesis.clone(),
            variants,
            primary: self.primary.metric()?,
            guardrails: self.guardrails.iter().map(NewMetric::metric).collect::<Result<_, _>>()?,
            sequence: Sequence {
                alpha: self.alpha.unwrap_or(known.alpha),
                n_star: self.n_star.unwrap_or(known.n_star),
            },
            days: self.days,
        };
        design.check().map_err(|(key, why)| format!("`{key}`: {why}"))?;
        Ok(design)
    }
}

impl NewMetric {
    fn metric(&self) -> Result<Metric, String> {
        let Self { measure, margin, scale, .. } = self;
        if !is_measure(measure) {
            let known = MEASURES.join("`, `");
            return Err(format!(
                "`{measure}` is not measured of sessions: write `{known}`, or `{SCORE}NAME`"
            ));
        }
        let usual = match measure.as_str() {
            score if score.starts_with(SCORE) => Some(Direction::HigherIsBetter),
            "requests" => None,
            _ => Some(Direction::LowerIsBetter),
        };
        let direction = self.direction.or(usual);
        let direction = direction
            .ok_or_else(|| format!("`{measure}` gets better either way: say its `direction`"))?;
        Ok(Metric { name: measure.clone(), direction, margin: *margin, scale: *scale })
    }
}
