//! Personal data and secrets: patterns, and the checksums that tell them from mere digits.

use std::ops::{Range, RangeInclusive};
use std::sync::LazyLock;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of personal data or secret.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
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
    /// A key or token of a well-known service, as of AWS, GitHub, GitLab, Google, OpenAI, Slack or
    /// Stripe.
    ApiKey,
    /// A private key in PEM form (RFC 7468), whole or cut off.
    PrivateKey,
    /// A signed JSON Web Token (RFC 7519).
    Jwt,
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

static PATTERNS: LazyLock<[Pattern; 8]> = LazyLock::new(|| {
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
            concat!(
                r"\b(?:sk|pk|rk|gh[opsur]|github_pat|glpat|xox[abeoprs]|AKIA|ASIA|AIza|gc)",
                r"[-_A-Z0-9][-_A-Za-z0-9.]{15,120}",
                // A secret key of AWS has no form of its own: its name gives it away.
                r"|(?i:aws_?secret(?:_?access)?_?key)[\x22']?\s{0,4}[:=]\s{0,4}[\x22']?",
                r"[A-Za-z0-9/+]{40}\b",
            ),
            131,
            None,
        ),
        pattern(
            concat!(
                r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----",
                // Its headers, its lines, and its end if it is there.
                r"(?:\s{1,2}[A-Za-z-]{1,20}: [^\n]{1,60}){0,2}",
                r"(?:\s{1,2}[A-Za-z0-9+/=]{20,64})(?:\s{1,2}[A-Za-z0-9+/=]{1,64}){0,55}",
                r"(?:\s{1,2}-----END [A-Z0-9 ]{0,50}PRIVATE KEY(?: BLOCK)?-----)?",
            ),
            4_090,
            None,
        ),
        pattern(
            r"\beyJ[A-Za-z0-9_-]{8,1000}\.eyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{16,1000}",
            4_008,
            None,
        ),
    ]
});

impl Entity {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::CreditCard,
        Self::Iban,
        Self::Email,
        Self::Phone,
        Self::UsSsn,
        Self::ApiKey,
        Self::PrivateKey,
        Self::Jwt,
    ];

    fn pattern(self) -> &'static Pattern {
        &PATTERNS[self as usize]
    }

    /// The longest text it can be, in bytes.
    pub fn longest(self) -> usize {
        self.pattern().longest
    }

    /// Its name, as files have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CreditCard => "credit_card",
            Self::Iban => "iban",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::UsSsn => "us_ssn",
            Self::ApiKey => "api_key",
            Self::PrivateKey => "private_key",
            Self::Jwt => "jwt",
        }
    }

    /// Whether one stands in `text`, ending before `until`.
    pub fn is_in(self, text: &str, until: usize) -> bool {
        self.candidates(text).any(|found| found.end < until)
    }

    /// Where in `text` they stand, in order and apart from each other, in bytes.
    pub fn find(self, text: &str) -> Vec<Range<usize>> {
        let mut apart: Vec<Range<usize>> = Vec::new();
        for found in self.candidates(text) {
            match apart.last_mut().filter(|before| found.start < before.end) {
                Some(before) => before.end = before.end.max(found.end),
                None => apart.push(found),
            }
        }
        apart
    }

    /// All that can be one, by where they start; of those in groups also parts of others.
    fn candidates(self, text: &str) -> impl Iterator<Item = Range<usize>> {
        let Pattern { regex, grouped, .. } = self.pattern();
        let found = regex.iter().flat_map(move |regex| regex.find_iter(text));
        found.flat_map(move |found| {
            let start = found.start();
            let ends = match grouped {
                None => vec![found.end()],
                // Other digits or capitals may follow, so every length is tried.
                Some(lengths) => {
                    let ends = ends(&text[start..], lengths).into_iter();
                    ends.map(|end| start + end).collect()
                }
            };
            let valid = move |end: &usize| self.is_valid(&text[start..*end]);
            ends.into_iter().filter(valid).map(move |end| start..end)
        })
    }

    fn is_valid(self, text: &str) -> bool {
        match self {
            Self::CreditCard => luhn(text),
            Self::Iban => mod_97(text),
            Self::UsSsn => issued(text),
            Self::Email | Self::Phone | Self::ApiKey | Self::PrivateKey | Self::Jwt => true,
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
