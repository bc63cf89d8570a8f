//! From an answer's usage to its cost.

use std::fmt;

use models::Usage;
use release::{Currency, Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{PriceBook, PriceRow};

/// What is to be priced.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The provider's name in `server.toml`, or `extractive`.
    pub provider: &'a str,
    /// The model's id.
    pub model: &'a str,
    /// What the answer used.
    pub usage: &'a Usage,
    /// When it was asked.
    pub at: Timestamp,
}

/// What an answer cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Cost {
    /// It cost this much.
    Priced {
        /// The amount, rounded once, half to even, to a billionth of the unit.
        money: Money,
        /// The pattern of the row that says so; `built-in` for the extractive model.
        row: String,
        /// Whether the tokens were counted by us, because the provider did not.
        estimated: bool,
    },
    /// Nobody knows. This is not free: reports show it as a gap.
    Unpriced {
        /// Why.
        reason: Unpriced,
    },
}

/// Why an answer has no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// No row names the model.
    NoRow,
    /// Rows name the model, but all hold only from a later moment on.
    NotYetEffective,
    /// The counts contradict themselves: parts are larger than their totals.
    ImplausibleUsage,
    /// The amount is larger than money can be.
    Overflow,
}

impl fmt::Display for Unpriced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRow => "no row of the price book names the model",
            Self::NotYetEffective => "the model's prices hold only from a later moment on",
            Self::ImplausibleUsage => "the token counts contradict themselves",
            Self::Overflow => "the amount is too large",
        })
    }
}

impl PriceBook {
    /// What an answer cost. Every token is priced once: cached tokens are part of the input's
    /// count and reasoning tokens of the output's, so each total is reduced by its parts first.
    ///
    /// The built-in extractive model costs nothing, whatever the rows say: it runs in this
    /// process, and nobody charges for it.
    pub fn price(&self, answered: Answered<'_>) -> Cost {
        let Answered { provider, model, usage, at } = answered;
        if provider == models::extractive::Extractive::NAME {
            let (money, row) = (Money::zero(Currency::USD), "built-in".to_owned());
            return Cost::Priced { money, row, estimated: false };
        }
        let Some(row) = self.row(provider, model, at) else {
            let named = self.names(provider, model);
            let reason = if named { Unpriced::NotYetEffective } else { Unpriced::NoRow };
            return Cost::Unpriced { reason };
        };
        match nanos(row, usage) {
            Ok(nanos) => Cost::Priced {
                money: Money { currency: row.currency, nanos },
                row: row.model.clone(),
                estimated: usage.estimated,
            },
            Err(reason) => Cost::Unpriced { reason },
        }
    }
}

fn nanos(row: &PriceRow, usage: &Usage) -> Result<i64, Unpriced> {
    if !usage.is_plausible() {
        return Err(Unpriced::ImplausibleUsage);
    }
    let cached = usage.cache_read_tokens + usage.cache_creation_tokens;
    let parts = [
        (usage.input_tokens - cached, row.input),
        (usage.cache_read_tokens, row.cache_read.unwrap_or(row.input)),
        (usage.cache_creation_tokens, row.cache_creation.unwrap_or(row.input)),
        (usage.output_tokens - usage.reasoning_tokens, row.output),
        (usage.reasoning_tokens, row.reasoning.unwrap_or(row.output)),
    ];
    let millionths: u128 = parts
        .iter()
        .map(|(tokens, rate)| u128::from(*tokens) * u128::from(rate.nanos_per_million()))
        .sum();
    i64::try_from(rounded(millionths)).map_err(|_| Unpriced::Overflow)
}

/// Divides by a million; halves go to the even neighbour, so that sums do not drift.
fn rounded(millionths: u128) -> u128 {
    let (whole, rest) = (millionths / 1_000_000, millionths % 1_000_000);
    let up = rest > 500_000 || (rest == 500_000 && whole % 2 == 1);
    whole + u128::from(up)
}

#[cfg(test)]
mod tests;
