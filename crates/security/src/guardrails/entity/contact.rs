//! Ways to reach a person or a machine: e-mail, telephone, IP addresses.

use super::{Position, Step, is_word_byte};

/// The most bytes of the part before `@` (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL: usize = 64;
/// The most bytes of a domain (RFC 5321 §4.5.3.1.2, without the last dot).
const MAX_DOMAIN: usize = 253;

pub(super) fn email(at: Position<'_>) -> Step {
    let is_local = |byte: u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte);
    if at.before().is_some_and(is_local) {
        return Step::No;
    }
    let local = (0..=MAX_LOCAL).find(|ahead| !at.byte(*ahead).is_some_and(is_local));
    let Some(local) = local.filter(|length| *length > 0) else { return Step::No };
    if at.is_open(local) {
        return Step::More;
    }
    if at.byte(local) != Some(b'@') {
        return Step::No;
    }
    let is_domain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let domain_start = local + 1;
    let end = (domain_start..=domain_start + MAX_DOMAIN + 1)
        .find(|ahead| !at.byte(*ahead).is_some_and(is_domain));
    let Some(mut end) = end else { return Step::No };
    if at.is_open(end) {
        return Step::More;
    }
    // A full stop after an address is the sentence's.
    while end > domain_start && at.byte(end - 1).is_some_and(|byte| b".-".contains(&byte)) {
        end -= 1;
    }
    let domain = &at.bytes[at.at + domain_start..at.at + end];
    let labels: Vec<&[u8]> = domain.split(|byte| *byte == b'.').collect();
    let top = labels.last().copied().unwrap_or_default();
    let valid = labels.len() >= 2
        && labels.iter().all(|label| (1..=63).contains(&label.len()))
        && top.len() >= 2
        && top.iter().all(u8::is_ascii_alphabetic);
    if valid { Step::Match(end) } else { Step::No }
}

pub(super) fn phone(at: Position<'_>) -> Step {
    if at.is_after_word() || at.before().is_some_and(|byte| b"+-.".contains(&byte)) {
        return Step::No;
    }
    match at.byte(0) {
        Some(b'+') => international(at),
        Some(b'(' | b'2'..=b'9') => north_american(at),
        _ => Step::No,
    }
}

/// `+` and 8 to 15 digits (E.164), with at most two signs between digits.
fn international(at: Position<'_>) -> Step {
    let (mut digits, mut ahead, mut end) = (0, 1, 1);
    loop {
        match at.byte(ahead) {
            Some(b'0') if digits == 0 => return Step::No,
            Some(byte) if byte.is_ascii_digit() => {
                digits += 1;
                ahead += 1;
                end = ahead;
                if digits > 15 {
                    return Step::No;
                }
            }
            Some(b' ' | b'-' | b'.' | b'(' | b')') if digits > 0 && ahead - end < 2 => ahead += 1,
            None if at.is_open(ahead) => return Step::More,
            _ => break,
        }
    }
    let ends = !at.byte(end).is_some_and(is_word_byte);
    if digits >= 8 && ends { Step::Match(end) } else { Step::No }
}

/// `(555) 234-5678`, `555-234-5678`, `555.234.5678` or `555 234 5678`; neither area nor exchange
/// starts with 0 or 1.
fn north_american(at: Position<'_>) -> Step {
    const FORMS: [&[u8]; 5] =
        [b"(Ndd) Ndd-dddd", b"(Ndd)Ndd-dddd", b"Ndd-Ndd-dddd", b"Ndd.Ndd.dddd", b"Ndd Ndd dddd"];
    let mut may_follow = false;
    for form in FORMS {
        let fits = |(ahead, sign): (usize, &u8)| match (sign, at.byte(ahead)) {
            (b'N', Some(byte)) => (b'2'..=b'9').contains(&byte),
            (b'd', Some(byte)) => byte.is_ascii_digit(),
            (sign, Some(byte)) => byte == *sign,
            (_, None) => at.is_open(ahead),
        };
        if form.iter().enumerate().all(fits) {
            if at.is_open(form.len()) {
                may_follow = true;
            } else if !at.byte(form.len()).is_some_and(is_word_byte) {
                return Step::Match(form.len());
            }
        }
    }
    if may_follow { Step::More } else { Step::No }
}

pub(super) fn ipv4(at: Position<'_>) -> Step {
    if at.is_after_word() || at.before() == Some(b'.') {
        return Step::No;
    }
    let mut ahead = 0;
    for part in 0..4 {
        if part > 0 {
            match at.byte(ahead) {
                Some(b'.') => ahead += 1,
                None if at.is_open(ahead) => return Step::More,
                _ => return Step::No,
            }
        }
        let start = ahead;
        let mut number = 0;
        while let Some(byte) = at.byte(ahead).filter(u8::is_ascii_digit) {
            number = number * 10 + u32::from(byte - b'0');
            ahead += 1;
            if number > 255 || (ahead - start > 1 && at.byte(start) == Some(b'0')) {
                return Step::No;
            }
        }
        if at.is_open(ahead) {
            return Step::More;
        }
        if ahead == start {
            return Step::No;
        }
    }
    match at.byte(ahead) {
        Some(byte) if is_word_byte(byte) => Step::No,
        Some(b'.') if at.is_open(ahead + 1) => Step::More,
        Some(b'.') if at.byte(ahead + 1).is_some_and(|b| b.is_ascii_digit()) => Step::No,
        _ => Step::Match(ahead),
    }
}
