//! Rules about entities: what tells a person or a system apart, verified as far as its form allows.
//!
//! Entities are written in ASCII. None is longer than a few hundred bytes, so a streamed answer is
//! never held back for long.

mod account;
mod contact;
mod credential;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{End, Scan};

/// Something to look for by its form.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Entity {
    /// A payment card: 13 to 19 digits of a known scheme with a right Luhn checksum (ISO/IEC 7812).
    CreditCard,
    /// A bank account: a country's IBAN length and a right checksum (ISO 13616, mod 97).
    Iban,
    /// An e-mail address with a domain of at least two labels.
    Email,
    /// A telephone number: `+` and 8 to 15 digits (E.164), or ten digits as in North America.
    Phone,
    /// A US social security number written with `-` or spaces, in ranges that are given out.
    UsSsn,
    /// An IPv4 address of four decimal numbers.
    Ipv4,
    /// A key or token of a form that is used for nothing else: Groundcrew's, OpenAI's,
    /// Anthropic's, AWS's, GitHub's, Slack's, Google's, JSON web tokens, PEM private keys.
    Secret,
}

/// Whether an entity starts at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    No,
    /// It does and is this many bytes long.
    Match(usize),
    /// It may; the text ends too early to know.
    More,
}

impl Entity {
    pub(super) fn scan(self, text: &str, from: usize, end: End, most: usize) -> Scan {
        let mut scan = Scan { matches: Vec::new(), resume: from };
        while scan.resume < text.len() && scan.matches.len() < most {
            let at = Position { bytes: text.as_bytes(), at: scan.resume, end };
            match self.starts(at) {
                Step::No => scan.resume += 1,
                Step::Match(length) => {
                    scan.matches.push(scan.resume..scan.resume + length);
                    scan.resume += length;
                }
                Step::More => break,
            }
        }
        scan
    }

    fn starts(self, at: Position<'_>) -> Step {
        match self {
            Self::CreditCard => account::credit_card(at),
            Self::Iban => account::iban(at),
            Self::UsSsn => account::us_ssn(at),
            Self::Email => contact::email(at),
            Self::Phone => contact::phone(at),
            Self::Ipv4 => contact::ipv4(at),
            Self::Secret => credential::secret(at),
        }
    }
}

/// A place in a text from which to look forward.
#[derive(Clone, Copy)]
struct Position<'a> {
    bytes: &'a [u8],
    at: usize,
    end: End,
}

impl Position<'_> {
    /// The byte before.
    fn before(&self) -> Option<u8> {
        self.at.checked_sub(1).map(|at| self.bytes[at])
    }

    /// The byte `ahead` of the place; `None` at the end.
    fn byte(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    /// Whether the text stops before `ahead` but may go on.
    fn is_open(&self, ahead: usize) -> bool {
        self.end == End::Open && self.at + ahead >= self.bytes.len()
    }

    fn is_after_word(&self) -> bool {
        self.before().is_some_and(is_word_byte)
    }
}

/// Whether a byte belongs to a word or number, so that nothing starts or ends beside it.
fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests;
