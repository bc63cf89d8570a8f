//! The price book: rows of prices, and which of them holds.

use release::{Currency, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Rate;

/// What is wrong with a price book.
#[derive(Debug, thiserror::Error)]
pub enum CostError {
    /// The text is not TOML of the expected form.
    #[error("the price book cannot be read: {0}")]
    Unreadable(#[from] toml::de::Error),
    /// Two rows are equally good for the same models from the same moment.
    #[error(
        "rows {first} and {second} of the price book price `{model}` of `{provider}` from the same moment"
    )]
    Ambiguous {
        /// The first row, counted from 1.
        first: usize,
        /// The second row.
        second: usize,
        /// Their provider.
        provider: String,
        /// Their model pattern.
        model: String,
    },
}

/// The operator's prices, as `prices.toml` or the `[prices]` of `server.toml` has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceBook {
    /// The rows, in any order.
    #[serde(default)]
    rows: Vec<PriceRow>,
}

/// What models of one pattern cost from a moment on. Prices are for a million tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceRow {
    /// The provider's name in `server.toml`.
    pub provider: String,
    /// The model's id; a `*` at its end stands for any ending.
    pub model: String,
    /// The currency, such as `USD`.
    #[schemars(with = "String", regex(pattern = "^[A-Z]{3}$"))]
    pub currency: Currency,
    /// Input tokens that no other column prices.
    pub input: Rate,
    /// Output tokens that no other column prices.
    pub output: Rate,
    /// Input tokens read from the provider's cache; as `input` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Rate>,
    /// Input tokens written to the provider's cache; as `input` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_creation: Option<Rate>,
    /// Output tokens spent on reasoning; as `output` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Rate>,
    /// From when on it holds; always when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub effective_from: Option<Timestamp>,
}

impl PriceRow {
    /// How closely the row's pattern names `model`: the length of the matching part, an exact
    /// name above any pattern. `None` if it does not name it.
    fn closeness(&self, provider: &str, model: &str) -> Option<usize> {
        if self.provider != provider {
            return None;
        }
        match self.model.strip_suffix('*') {
            Some(prefix) => model.starts_with(prefix).then_some(prefix.len()),
            None => (self.model == model).then_some(usize::MAX),
        }
    }
}

impl PriceBook {
    /// Reads a price book.
    pub fn parse(text: &str) -> Result<Self, CostError> {
        let book: Self = toml::from_str(text)?;
        Self::new(book.rows)
    }

    /// A price book of `rows`; two rows that would price the same answers equally well are
    /// refused.
    pub fn new(rows: Vec<PriceRow>) -> Result<Self, CostError> {
        for (second, row) in rows.iter().enumerate() {
            let key =
                |row: &PriceRow| (row.provider.clone(), row.model.clone(), row.effective_from);
            if let Some(first) = rows[..second].iter().position(|other| key(other) == key(row)) {
                let (provider, model) = (row.provider.clone(), row.model.clone());
                return Err(CostError::Ambiguous {
                    first: first + 1,
                    second: second + 1,
                    provider,
                    model,
                });
            }
        }
        Ok(Self { rows })
    }

    /// The rows.
    pub fn rows(&self) -> &[PriceRow] {
        &self.rows
    }

    /// The rows that name `model` of `provider`, whenever they hold.
    pub(crate) fn names(&self, provider: &str, model: &str) -> bool {
        self.rows.iter().any(|row| row.closeness(provider, model).is_some())
    }

    /// The row that holds for `model` of `provider` at `at`: of those that hold by then the one
    /// that names the model most closely, and of these the latest.
    pub(crate) fn row(&self, provider: &str, model: &str, at: Timestamp) -> Option<&PriceRow> {
        self.rows
            .iter()
            .filter(|row| row.effective_from.is_none_or(|from| from <= at))
            .filter_map(|row| Some((row.closeness(provider, model)?, row.effective_from, row)))
            .max_by_key(|(closeness, from, _)| (*closeness, *from))
            .map(|(_, _, row)| row)
    }
}

#[cfg(test)]
mod tests;
