//! Keys and tokens, known by forms that nothing else has.

use super::{Position, Step, is_word_byte};

/// The most bytes of a token that are looked at; what follows is not part of the finding.
const MAX_TOKEN: usize = 256;

/// A beginning and what must follow it.
struct Form {
    prefix: &'static [u8],
    /// What the rest is made of.
    rest: fn(u8) -> bool,
    /// The fewest and most bytes of the rest.
    length: (usize, usize),
    /// What the rest must contain; empty for nothing.
    contains: &'static [u8],
}

impl Form {
    const fn new(prefix: &'static [u8], rest: fn(u8) -> bool, length: (usize, usize)) -> Self {
        Self { prefix, rest, length, contains: b"" }
    }

    const fn containing(mut self, part: &'static [u8]) -> Self {
        self.contains = part;
        self
    }

    const fn line(prefix: &'static [u8]) -> Self {
        Self::new(prefix, nothing, (0, 0))
    }
}

const FORMS: &[Form] = &[
    Form::new(b"gc_", dotted, (60, MAX_TOKEN)).containing(b"."),
    // OpenAI's and Anthropic's (`sk-ant-…`).
    Form::new(b"sk-", base64url, (20, MAX_TOKEN)),
    Form::new(b"AKIA", upper, (16, 16)),
    Form::new(b"ASIA", upper, (16, 16)),
    Form::new(b"ghp_", alphanumeric, (36, MAX_TOKEN)),
    Form::new(b"gho_", alphanumeric, (36, MAX_TOKEN)),
    Form::new(b"ghu_", alphanumeric, (36, MAX_TOKEN)),
    Form::new(b"ghs_", alphanumeric, (36, MAX_TOKEN)),
    Form::new(b"ghr_", alphanumeric, (36, MAX_TOKEN)),
    Form::new(b"github_pat_", base64url, (22, MAX_TOKEN)),
    Form::new(b"xoxb-", base64url, (20, MAX_TOKEN)),
    Form::new(b"xoxp-", base64url, (20, MAX_TOKEN)),
    Form::new(b"xoxa-", base64url, (20, MAX_TOKEN)),
    Form::new(b"xoxr-", base64url, (20, MAX_TOKEN)),
    Form::new(b"xoxs-", base64url, (20, MAX_TOKEN)),
    Form::new(b"AIza", base64url, (35, 35)),
    // A JSON web token: the header's JSON starts with `{"`, and so does the payload's.
    Form::new(b"eyJ", dotted, (20, MAX_TOKEN)).containing(b".eyJ"),
    Form::line(b"-----BEGIN PRIVATE KEY-----"),
    Form::line(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"),
    Form::line(b"-----BEGIN RSA PRIVATE KEY-----"),
    Form::line(b"-----BEGIN EC PRIVATE KEY-----"),
    Form::line(b"-----BEGIN DSA PRIVATE KEY-----"),
    Form::line(b"-----BEGIN OPENSSH PRIVATE KEY-----"),
    Form::line(b"-----BEGIN PGP PRIVATE KEY BLOCK-----"),
];

fn nothing(_: u8) -> bool {
    false
}

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn dotted(byte: u8) -> bool {
    base64url(byte) || byte == b'.'
}

pub(super) fn secret(at: Position<'_>) -> Step {
    let first = at.byte(0);
    if at.is_after_word() || !first.is_some_and(|byte| b"gsAxe-".contains(&byte)) {
        return Step::No;
    }
    let mut may_follow = false;
    for form in FORMS.iter().filter(|form| Some(form.prefix[0]) == first) {
        match starts(at, form) {
            Step::No => {}
            Step::More => may_follow = true,
            found @ Step::Match(_) => return found,
        }
    }
    if may_follow { Step::More } else { Step::No }
}

fn starts(at: Position<'_>, form: &Form) -> Step {
    for (ahead, byte) in form.prefix.iter().enumerate() {
        match at.byte(ahead) {
            None if at.is_open(ahead) => return Step::More,
            Some(found) if found == *byte => {}
            _ => return Step::No,
        }
    }
    let start = form.prefix.len();
    let (least, most) = form.length;
    let follows = |ahead: usize| at.byte(ahead).is_some_and(form.rest);
    let length = (0..most).find(|length| !follows(start + length)).unwrap_or(most);
    let end = start + length;
    if most > 0 && at.is_open(end) && length < MAX_TOKEN {
        return Step::More;
    }
    let rest = &at.bytes[at.at + start..at.at + end];
    let contained = form.contains.is_empty()
        || rest.windows(form.contains.len()).any(|part| part == form.contains);
    let goes_on = most < MAX_TOKEN && most > 0 && at.byte(end).is_some_and(is_word_byte);
    if length >= least && contained && !goes_on { Step::Match(end) } else { Step::No }
}
