//! Personal data and secrets: patterns, and the checksums that tell them from mere digits.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of personal data or secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Entity {
    /// A payment card's number: an issuer of the financial industry (2 to 6), checked by Luhn
    /// (ISO/IEC 7812-1).
    CreditCard,
    /// An international bank account number, checked modulo 97 (ISO 13616).
    Iban,
    /// An e-mail address.
    Email,
    /// A phone number in international form (E.164).
    Phone,
    /// A United States social security number that can have been issued.
    UsSsn,
    /// A key of a well-known service.
    ApiKey,
}

/// How an entity is found.
struct Pattern {
    /// The whole entity; or its beginning, if it is `grouped`.
    regex: Option<Regex>,
    /// The longest text it can be, in bytes.
    longest: usize,
    /// How many characters it has, for one that is written in groups with single separators
    /// between them.
    grouped: Option<RangeInclusive<usize>>,
}

static PATTERNS: LazyLock<[Pattern; 6]> = LazyLock::new(|| {
    let pattern = |text: &str, longest, grouped| {
        let regex = Regex::new(text).ok();
        Pattern { regex, longest, grouped }
    };
    [
        pattern(r"\b[2-6]", 37, Some(13..=19)),
        pattern(r"\b[A-Z]{2}[0-9]{2}", 67, Some(15..=34)),
        pattern(
            r"\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24}\b",
            345,
            None,
        ),
        pattern(r"\+[0-9](?:[ -]?[0-9]){7,14}\b", 31, None),
        pattern(r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", 11, None),
        pattern(
            r"\b(?:sk|pk|rk|ghp|gho|ghs|xoxb|xoxp|AKIA|gc)[-_A-Z0-9][-_A-Za-z0-9.]{15,120}",
            125,
            None,
        ),
    ]
});

impl Entity {
    fn pattern(self) -> &'static Pattern {
        &PATTERNS[self as usize]
    }

    /// The longest text it can be, in bytes.
    pub fn longest(self) -> usize {
        self.pattern().longest
    }

    /// Whether one stands in `text`, ending before `until`.
    pub fn is_in(self, text: &str, until: usize) -> bool {
        let Pattern { regex, grouped, .. } = self.pattern();
        let mut found = regex.iter().flat_map(|regex| regex.find_iter(text));
        found.any(|found| match grouped {
            None => found.end() < until && self.is_valid(found.as_str()),
            // Other digits or capitals may follow, so every length is tried.
            Some(lengths) => {
                let text = &text[found.start()..];
                let mut ends = ends(text, lengths).into_iter();
                ends.any(|end| found.start() + end < until && self.is_valid(&text[..end]))
            }
        })
    }

    fn is_valid(self, text: &str) -> bool {
        match self {
            Self::CreditCard => luhn(text),
            Self::Iban => mod_97(text),
            Self::UsSsn => issued(text),
            Self::Email | Self::Phone | Self::ApiKey => true,
        }
    }
}

/// The lengths in bytes of the whole words at the beginning of `text` that have that many digits and
/// capitals, with single spaces or hyphens between them.
fn ends(text: &str, lengths: &RangeInclusive<usize>) -> Vec<usize> {
    let mut ends = Vec::new();
    let (mut count, mut apart) = (0, false);
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' if count < *lengths.end() => count += 1,
            b' ' | b'-' if !apart => {
                apart = true;
                continue;
            }
            _ => break,
        }
        apart = false;
        let goes_on = text[place + 1..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if !goes_on && lengths.contains(&count) {
            ends.push(place + 1);
        }
    }
    ends
}

fn luhn(text: &str) -> bool {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return false;
    }
    let digits = text.bytes().rev().filter(u8::is_ascii_digit).map(|digit| u32::from(digit - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, doubled) => doubled / 10 + doubled % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

fn mod_97(text: &str) -> bool {
    let text: String = text.chars().filter(|c| *c != ' ').collect();
    let turned = text[4..].chars().chain(text[..4].chars());
    let rest = turned.filter_map(|c| c.to_digit(36)).fold(0, |rest, value| {
        let shift = if value < 10 { 10 } else { 100 };
        (rest * shift + value) % 97
    });
    rest == 1
}

/// Area 000, 666 and 900–999, group 00 and serial 0000 are never issued.
fn issued(text: &str) -> bool {
    let area = &text[..3];
    !matches!(area, "000" | "666")
        && !area.starts_with('9')
        && &text[4..6] != "00"
        && &text[7..] != "0000"
}
