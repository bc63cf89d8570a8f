//! Prices per million tokens, exact.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What a million tokens cost, in billionths of the currency's unit; exact to nine decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Billionths of the unit for a million tokens.
    pub const fn nanos_per_million(self) -> u64 {
        self.0
    }

    /// Reads a decimal such as `2`, `0.25` or `1e-3`, exactly as it is written. The most is
    /// a million units for a million tokens.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no price: use a number from 0 to 1000000 with at most nine decimals"
            )
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: String = [whole, fraction].concat();
        let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        if !all_digits || digits.len() > 30 || exponent.unsigned_abs() > 30 {
            return Err(wrong());
        }
        // The value is `digits` · 10^shift billionths.
        let shift = 9 + exponent - fraction.len() as i32;
        let number: u128 = digits.parse().map_err(|_| wrong())?;
        let power = 10_u128.checked_pow(shift.unsigned_abs()).ok_or_else(wrong)?;
        let nanos = if shift >= 0 {
            number.checked_mul(power).ok_or_else(wrong)?
        } else if number.is_multiple_of(power) {
            number / power
        } else {
            return Err(wrong());
        };
        match u64::try_from(nanos) {
            Ok(nanos) if nanos <= 1_000_000_000_000_000 => Ok(Self(nanos)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let fraction = format!("{nanos:09}");
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            fraction => write!(f, "{whole}.{fraction}"),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    /// From a number or a text. A binary fraction is taken as its shortest decimal, which is what
    /// was written in the file.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Whole(i64),
            Binary(f64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Whole(whole) => whole.to_string(),
            Written::Binary(binary) => binary.to_string(),
            Written::Text(text) => text,
        };
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["number", "string"],
            "minimum": 0,
            "maximum": 1_000_000,
        })
    }
}

#[cfg(test)]
mod tests;
