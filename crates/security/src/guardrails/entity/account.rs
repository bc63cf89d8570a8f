//! Numbers of accounts: cards, bank accounts, social security.

use super::{Position, Step, is_word_byte};

/// Digits in groups set apart by one space or `-`. The first group end with a right checksum wins.
pub(super) fn credit_card(at: Position<'_>) -> Step {
    if !at.byte(0).is_some_and(|byte| byte.is_ascii_digit()) || at.is_after_word() {
        return Step::No;
    }
    let mut digits = [0_u8; 19];
    let (mut count, mut ahead) = (0, 0);
    while count < digits.len() {
        match at.byte(ahead) {
            Some(byte) if byte.is_ascii_digit() => {
                digits[count] = byte - b'0';
                count += 1;
                ahead += 1;
                let next = at.byte(ahead);
                if count >= 13 && !at.is_open(ahead) && !next.is_some_and(is_word_byte) {
                    let candidate = &digits[..count];
                    if is_card_number(candidate) && luhn(candidate) {
                        return Step::Match(ahead);
                    }
                }
            }
            Some(b' ' | b'-') if at.byte(ahead + 1).is_some_and(|b| b.is_ascii_digit()) => {
                ahead += 1;
            }
            Some(b' ' | b'-') if at.is_open(ahead + 1) => return Step::More,
            None if at.is_open(ahead) => return Step::More,
            _ => return Step::No,
        }
    }
    if at.is_open(ahead) { Step::More } else { Step::No }
}

/// Whether a scheme gives out numbers of this beginning and length.
fn is_card_number(digits: &[u8]) -> bool {
    match digits[0] {
        4 => matches!(digits.len(), 13 | 16 | 19),
        3 => (14..=19).contains(&digits.len()),
        2 | 5 | 6 => (15..=19).contains(&digits.len()),
        _ => false,
    }
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(*digit) * if place % 2 == 1 { 2 } else { 1 };
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Letters and digits, set apart by at most one space or `-`.
pub(super) fn iban(at: Position<'_>) -> Step {
    if at.is_after_word() || !at.byte(0).is_some_and(|byte| byte.is_ascii_alphabetic()) {
        return Step::No;
    }
    let mut characters = [0_u8; 34];
    let (mut count, mut ahead, mut wanted) = (0, 0, 4);
    while count < wanted {
        match at.byte(ahead) {
            Some(byte) if byte.is_ascii_alphanumeric() => {
                let fits = if count < 2 { byte.is_ascii_alphabetic() } else { true };
                let fits = fits && (!(2..4).contains(&count) || byte.is_ascii_digit());
                if !fits {
                    return Step::No;
                }
                characters[count] = byte.to_ascii_uppercase();
                count += 1;
                ahead += 1;
                if count == 2 {
                    match iban_length([characters[0], characters[1]]) {
                        Some(length) => wanted = length,
                        None => return Step::No,
                    }
                }
            }
            Some(b' ' | b'-') if count >= 4 => match at.byte(ahead + 1) {
                Some(next) if next.is_ascii_alphanumeric() => ahead += 1,
                None if at.is_open(ahead + 1) => return Step::More,
                _ => return Step::No,
            },
            None if at.is_open(ahead) => return Step::More,
            _ => return Step::No,
        }
    }
    if at.is_open(ahead) {
        return Step::More;
    }
    let ends = !at.byte(ahead).is_some_and(is_word_byte);
    if ends && mod_97(&characters[..count]) == 1 { Step::Match(ahead) } else { Step::No }
}

/// The first four characters behind the rest, letters as 10 to 35 (ISO 7064).
fn mod_97(characters: &[u8]) -> u32 {
    let (head, tail) = characters.split_at(4);
    tail.iter().chain(head).fold(0, |rest, character| {
        if character.is_ascii_digit() {
            (rest * 10 + u32::from(character - b'0')) % 97
        } else {
            (rest * 100 + u32::from(character - b'A') + 10) % 97
        }
    })
}

/// How long the IBANs of a country are, as SWIFT's registry lists them.
fn iban_length(country: [u8; 2]) -> Option<usize> {
    Some(match &country {
        b"NO" => 15,
        b"BE" => 16,
        b"DK" | b"FI" | b"FK" | b"FO" | b"GL" | b"NL" | b"SD" => 18,
        b"MK" | b"SI" => 19,
        b"AT" | b"BA" | b"EE" | b"KZ" | b"LT" | b"LU" | b"MN" | b"XK" => 20,
        b"CH" | b"HR" | b"LI" | b"LV" => 21,
        b"BG" | b"BH" | b"CR" | b"DE" | b"GB" | b"GE" | b"IE" | b"ME" | b"RS" | b"VA" => 22,
        b"AE" | b"GI" | b"IL" | b"IQ" | b"OM" | b"SO" | b"TL" => 23,
        b"AD" | b"CZ" | b"ES" | b"MD" | b"PK" | b"RO" | b"SA" | b"SE" | b"SK" | b"TN" | b"VG" => 24,
        b"LY" | b"PT" | b"ST" => 25,
        b"IS" | b"TR" => 26,
        b"BI" | b"DJ" | b"FR" | b"GR" | b"IT" | b"MC" | b"MR" | b"SM" => 27,
        b"AL" | b"AZ" | b"BY" | b"CY" | b"DO" | b"GT" | b"HN" | b"HU" | b"LB" | b"NI" | b"PL"
        | b"SV" => 28,
        b"BR" | b"EG" | b"PS" | b"QA" | b"UA" => 29,
        b"JO" | b"KW" | b"MU" | b"YE" => 30,
        b"MT" | b"SC" => 31,
        b"LC" => 32,
        b"RU" => 33,
        _ => return None,
    })
}

/// `AAA-GG-SSSS`: area not 000, 666 or 9xx, group not 00, serial not 0000.
pub(super) fn us_ssn(at: Position<'_>) -> Step {
    if at.is_after_word() || at.before() == Some(b'-') {
        return Step::No;
    }
    let mut text = [0_u8; 11];
    for (ahead, slot) in text.iter_mut().enumerate() {
        match at.byte(ahead) {
            None if at.is_open(ahead) => return Step::More,
            Some(byte @ (b'-' | b' ')) if matches!(ahead, 3 | 6) => *slot = byte,
            Some(byte) if byte.is_ascii_digit() && !matches!(ahead, 3 | 6) => *slot = byte,
            _ => return Step::No,
        }
    }
    if at.is_open(11) {
        return Step::More;
    }
    let area_is_given_out = &text[..3] != b"000" && &text[..3] != b"666" && text[0] != b'9';
    let valid = area_is_given_out
        && &text[4..6] != b"00"
        && &text[7..] != b"0000"
        && text[3] == text[6]
        && !at.byte(11).is_some_and(is_word_byte);
    if valid { Step::Match(11) } else { Step::No }
}
