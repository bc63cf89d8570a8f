//! The price book.

use models::{EXTRACTIVE, Usage};
use release::{Currency, Money, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Prices of one model from one moment on, in billionths of the currency per token: a price of
/// 2.50 USD per million tokens is 2,500 nanodollars a token. Fractions are allowed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceRow {
    /// The provider, as models name it.
    pub provider: String,
    /// The model's id as the provider reports it; `*` at its end stands for any ending.
    pub model: String,
    /// The currency.
    #[serde(default = "usd")]
    #[schemars(with = "String")]
    pub currency: Currency,
    /// Price of a million input tokens, in the currency's unit.
    #[schemars(range(min = 0.0))]
    pub input: f64,
    /// Price of a million output tokens.
    #[schemars(range(min = 0.0))]
    pub output: f64,
    /// Price of a million input tokens read from the provider's cache; as `input` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub cache_read: Option<f64>,
    /// Price of a million input tokens written to the provider's cache; as `input` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub cache_creation: Option<f64>,
    /// When these prices begin (RFC 3339); always if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub effective_from: Option<Timestamp>,
}

fn usd() -> Currency {
    Currency::USD
}

/// What one answer cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Cost {
    /// It has a price.
    Priced {
        /// How much.
        money: Money,
    },
    /// Its price is not known.
    Unpriced {
        /// Why not.
        reason: Unpriced,
    },
}

/// Why an answer has no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// No row of the price book fits the model.
    NoPrice,
    /// The provider reported less usage in total than in part.
    InconsistentUsage,
    /// The amount is larger than money can be.
    Overflow,
}

impl Unpriced {
    /// The reason as one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoPrice => "no_price",
            Self::InconsistentUsage => "inconsistent_usage",
            Self::Overflow => "overflow",
        }
    }
}

/// The prices of an installation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PriceBook {
    rows: Vec<PriceRow>,
}

impl PriceBook {
    /// A book of these rows.
    pub fn new(rows: Vec<PriceRow>) -> Self {
        Self { rows }
    }

    /// What `usage` of a model cost at `at`. The built-in model runs on the machine that the
    /// operator pays for anyway, so it is priced, at zero.
    pub fn price(&self, provider: &str, model: &str, usage: &Usage, at: Timestamp) -> Cost {
        if provider == EXTRACTIVE {
            return Cost::Priced { money: Money::zero(Currency::USD) };
        }
        let unpriced = |reason| Cost::Unpriced { reason };
        let Some(row) = self.row(provider, model, at) else { return unpriced(Unpriced::NoPrice) };
        let cached = usage.cache_read_tokens.saturating_add(usage.cache_creation_tokens);
        // Input includes what was cached and output includes reasoning: neither is paid twice.
        let Some(fresh) = usage.input_tokens.checked_sub(cached) else {
            return unpriced(Unpriced::InconsistentUsage);
        };
        let parts = [
            (fresh, row.input),
            (usage.cache_read_tokens, row.cache_read.unwrap_or(row.input)),
            (usage.cache_creation_tokens, row.cache_creation.unwrap_or(row.input)),
            (usage.output_tokens, row.output),
        ];
        match sum(&parts) {
            Some(nanos) => Cost::Priced { money: Money { currency: row.currency, nanos } },
            None => unpriced(Unpriced::Overflow),
        }
    }

    /// The newest row in force for a model; an exact name beats a pattern, a longer pattern a
    /// shorter one.
    fn row(&self, provider: &str, model: &str, at: Timestamp) -> Option<&PriceRow> {
        let fits = |row: &&PriceRow| {
            let named = match row.model.strip_suffix('*') {
                Some(start) => model.starts_with(start),
                None => row.model == model,
            };
            row.provider == provider && named && row.effective_from.is_none_or(|from| from <= at)
        };
        self.rows
            .iter()
            .filter(fits)
            .max_by_key(|row| (!row.model.ends_with('*'), row.model.len(), row.effective_from))
    }
}

/// Σ tokens · price, in billionths, rounded once and half up. Prices are per million tokens and
/// are held to a millionth of a billionth, so that the sum is exact before it is rounded.
fn sum(parts: &[(u64, f64)]) -> Option<i64> {
    const SCALE: f64 = 1e9;
    let mut total: i128 = 0;
    for (tokens, per_million) in parts {
        let price = (per_million * SCALE).round();
        if !price.is_finite() || price >= i64::MAX as f64 {
            return None;
        }
        total = total.checked_add(i128::from(*tokens).checked_mul(price as i128)?)?;
    }
    i64::try_from((total + 500_000) / 1_000_000).ok()
}

#[cfg(test)]
mod tests;
