//! How results are judged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::data::Data;
use super::input::InputError;
use crate::statistics::means::Sequence;
use crate::statistics::{Direction, Scale};

/// How results are judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The metric's name, for the report.
    pub metric: Option<String>,
    /// The probability of a false finding: intervals hold with 1 − α. Several treatments share it.
    pub alpha: f64,
    /// Which way the metric gets better; by default higher, and lower for counted failures.
    pub direction: Option<Direction>,
    /// How much worse is tolerated, and how small a difference is none; 0 for no such limit.
    pub margin: f64,
    /// What the margin is measured in.
    pub scale: Scale,
    /// The planned part of units by arm; only their proportion matters. Without them the split is
    /// not checked.
    pub shares: BTreeMap<String, f64>,
    /// The number of units at which anytime intervals are about as narrow as can be.
    pub n_star: f64,
    /// What the bootstrap draws by.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let Sequence { alpha, n_star } = Sequence::default();
        Self {
            metric: None,
            alpha,
            direction: None,
            margin: 0.0,
            scale: Scale::Absolute,
            shares: BTreeMap::new(),
            n_star,
            seed: 1,
        }
    }
}

impl Settings {
    /// Which way `data`'s metric gets better.
    pub fn direction_of(&self, data: &Data) -> Direction {
        match data {
            Data::Counts { counted, .. } => counted.direction(),
            _ => self.direction.unwrap_or_default(),
        }
    }

    pub(super) fn check(&self, data: &Data) -> Result<(), InputError> {
        let sequence = Sequence { alpha: self.alpha, n_star: self.n_star };
        sequence.check().map_err(|error| {
            let hint = format!("leave it out for {}", default_of(error.setting));
            InputError::new(format!("`{}`", error.setting), error.to_string(), hint)
        })?;
        if !(self.margin >= 0.0 && self.margin.is_finite()) {
            let message = format!("the margin is {}", self.margin);
            return Err(InputError::new("`margin`", message, "give a number, 0 or more"));
        }
        if let (Data::Counts { counted, .. }, Some(direction)) = (data, self.direction)
            && direction != counted.direction()
        {
            let message = "the direction contradicts what was counted";
            let hint = "leave it out: more successes are better, more failures are worse; count \
                        the other of both if it is the other way";
            return Err(InputError::new("`direction`", message, hint));
        }
        self.check_shares(data)
    }

    fn check_shares(&self, data: &Data) -> Result<(), InputError> {
        if self.shares.is_empty() {
            return Ok(());
        }
        let arms = data.arms();
        if arms.is_empty() {
            let message = "these data have no arms that units were assigned to";
            let hint = "leave it out for two samples and for pairs";
            return Err(InputError::new("`shares`", message, hint));
        }
        if let Some((name, share)) =
            self.shares.iter().find(|(_, share)| !(share.is_finite() && **share > 0.0))
        {
            let message = format!("the share is {share}");
            return Err(InputError::new(format!("`shares.{name}`"), message, "give it above 0"));
        }
        let stray = self.shares.keys().find(|name| !arms.contains(&name.as_str()));
        let missing = arms.iter().find(|name| !self.shares.contains_key(**name));
        let message = match (stray, missing) {
            (Some(name), _) => format!("there is no arm `{name}`"),
            (None, Some(name)) => format!("the arm `{name}` has none"),
            (None, None) => return Ok(()),
        };
        let hint = format!("give a share for each of the arms: {}", arms.join(", "));
        Err(InputError::new("`shares`", message, hint))
    }
}

fn default_of(setting: &str) -> f64 {
    let Sequence { alpha, n_star } = Sequence::default();
    if setting == "alpha" { alpha } else { n_star }
}
