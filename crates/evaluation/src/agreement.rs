//! How well a judge agrees with people, and whether it may decide.

use serde::{Deserialize, Serialize};

use crate::suite::JudgeSpec;

/// The quantile of the normal distribution for an interval of 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// Agreement of two raters on yes and no.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// How many answers both have rated.
    pub n: u32,
    /// The share on which they agree; `None` without answers.
    pub observed: Option<f64>,
    /// Cohen's κ (1960): (observed − expected) / (1 − expected), where `expected` is the share on
    /// which raters who say yes as often as these would agree by chance. `None` if both always say
    /// the same one thing, where it is undefined.
    pub kappa: Option<f64>,
    /// Its 95 % interval, by the large-sample error of Fleiss, Cohen and Everitt (1969), within −1
    /// and 1.
    pub interval: Option<(f64, f64)>,
    /// Answers on which people differ evenly, so that they say nothing.
    pub undecided: u32,
    /// Answers that people have labelled and the judge could not score.
    pub unscored: u32,
}

impl Agreement {
    /// The agreement of pairs: what people say, and what the judge says.
    pub fn of(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counts = [[0_u32; 2]; 2];
        for (people, judge) in pairs {
            counts[usize::from(people)][usize::from(judge)] += 1;
        }
        let n: u32 = counts.iter().flatten().sum();
        let none =
            Self { n, observed: None, kappa: None, interval: None, undecided: 0, unscored: 0 };
        if n == 0 {
            return none;
        }
        let total = f64::from(n);
        let share = counts.map(|row| row.map(|count| f64::from(count) / total));
        let rows = [share[0][0] + share[0][1], share[1][0] + share[1][1]];
        let columns = [share[0][0] + share[1][0], share[0][1] + share[1][1]];
        let observed = share[0][0] + share[1][1];
        let expected = rows[0] * columns[0] + rows[1] * columns[1];
        // Both always say the same one thing.
        if counts[0][0] == n || counts[1][1] == n {
            return Self { observed: Some(observed), ..none };
        }
        let kappa = (observed - expected) / (1.0 - expected);
        let error = standard_error(&share, (rows, columns), kappa, expected) / total.sqrt();
        let interval = ((kappa - Z * error).max(-1.0), (kappa + Z * error).min(1.0));
        Self { observed: Some(observed), kappa: Some(kappa), interval: Some(interval), ..none }
    }

    /// Whether a judge with this agreement may decide.
    ///
    /// # Errors
    /// Why not.
    pub fn may_gate(&self, judge: &JudgeSpec) -> Result<(), String> {
        let JudgeSpec { min_labels, min_kappa, .. } = judge;
        if self.n < *min_labels {
            let labelled = self.n;
            return Err(format!("people have labelled {labelled} answers of {min_labels}"));
        }
        match self.kappa {
            None => Err("κ is undefined: all answers have the same label".to_owned()),
            Some(kappa) if kappa < *min_kappa => {
                Err(format!("κ with people is {kappa:.2}, less than {min_kappa}"))
            }
            Some(_) => Ok(()),
        }
    }
}

/// The standard error of κ times √n.
fn standard_error(
    share: &[[f64; 2]; 2],
    (rows, columns): ([f64; 2], [f64; 2]),
    kappa: f64,
    expected: f64,
) -> f64 {
    let left = 1.0 - kappa;
    let mut sum = 0.0;
    for (row, shares) in share.iter().enumerate() {
        for (column, share) in shares.iter().enumerate() {
            let margins = rows[column] + columns[row];
            sum += if row == column {
                share * (1.0 - margins * left).powi(2)
            } else {
                share * (margins * left).powi(2)
            };
        }
    }
    let variance = sum - (kappa - expected * left).powi(2);
    variance.max(0.0).sqrt() / (1.0 - expected)
}

#[cfg(test)]
mod tests;
