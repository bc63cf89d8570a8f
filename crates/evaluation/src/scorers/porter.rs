//! Porter's stemmer (Porter, "An algorithm for suffix stripping", 1980) with the extensions of
//! NLTK, which the reference implementation of ROUGE uses. Crates offer the Snowball family, whose
//! English stemmer gives other stems.

use std::borrow::Cow;

/// Words that the rules would stem wrongly.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// Suffix and replacement, where the rest has a measure above 0.
const STEP_2: [(&str, &str); 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

/// As [`STEP_2`].
const STEP_3: [(&str, &str); 7] = [
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

/// Suffixes that go where the rest has a measure above 1.
const STEP_4: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou",
    "ism", "ate", "iti", "ous", "ive", "ize",
];

/// The stem of `word`, which is of a–z and 0–9.
pub(super) fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == word) {
        return (*stem).to_owned();
    }
    if word.len() <= 2 {
        return word.to_owned();
    }
    let word = plural(word);
    let word = past(&word);
    let word = final_y(&word);
    let word = step_2(&word);
    let word = replace(&word, &STEP_3);
    let word = step_4(&word);
    step_5(word).to_owned()
}

/// Step 1a.
fn plural(word: &str) -> Cow<'_, str> {
    let longer = |suffix: &str| word.strip_suffix(suffix);
    match (longer("ies"), longer("sses"), longer("ss"), longer("s")) {
        (Some(rest), ..) if word.len() == 4 => Cow::Owned(format!("{rest}ie")),
        (_, Some(rest), ..) => Cow::Owned(format!("{rest}ss")),
        (Some(rest), ..) => Cow::Owned(format!("{rest}i")),
        (_, _, Some(_), _) => Cow::Borrowed(word),
        (_, _, _, Some(rest)) => Cow::Borrowed(rest),
        _ => Cow::Borrowed(word),
    }
}

/// Step 1b.
fn past(word: &str) -> String {
    if let Some(rest) = word.strip_suffix("ied") {
        return if word.len() == 4 { format!("{rest}ie") } else { format!("{rest}i") };
    }
    if let Some(rest) = word.strip_suffix("eed") {
        return if measure(rest) > 0 { format!("{rest}ee") } else { word.to_owned() };
    }
    let stripped = ["ed", "ing"].iter().filter_map(|suffix| word.strip_suffix(suffix));
    let Some(rest) = stripped.into_iter().find(|rest| consonants(rest).contains(&false)) else {
        return word.to_owned();
    };
    if ["at", "bl", "iz"].iter().any(|suffix| rest.ends_with(suffix)) {
        return format!("{rest}e");
    }
    if ends_in_double_consonant(rest) {
        let single = !rest.ends_with(['l', 's', 'z']);
        return rest[..rest.len() - usize::from(single)].to_owned();
    }
    if measure(rest) == 1 && ends_in_cvc(rest) {
        return format!("{rest}e");
    }
    rest.to_owned()
}

/// Step 1c.
fn final_y(word: &str) -> String {
    match word.strip_suffix('y') {
        Some(rest) if rest.len() > 1 && consonants(rest).last() == Some(&true) => {
            format!("{rest}i")
        }
        _ => word.to_owned(),
    }
}

fn step_2(word: &str) -> String {
    if let Some(rest) = word.strip_suffix("alli").filter(|rest| measure(rest) > 0) {
        return step_2(&format!("{rest}al"));
    }
    let listed = STEP_2.iter().any(|(suffix, _)| word.ends_with(suffix));
    match word.strip_suffix("logi") {
        // The `l` counts for the measure.
        Some(rest) if !listed && measure(&word[..word.len() - 3]) > 0 => format!("{rest}log"),
        _ => replace(word, &STEP_2),
    }
}

/// Applies the first rule whose suffix `word` has, or none.
fn replace(word: &str, rules: &[(&str, &str)]) -> String {
    for (suffix, replacement) in rules {
        if let Some(rest) = word.strip_suffix(suffix) {
            let applies = measure(rest) > 0;
            return if applies { format!("{rest}{replacement}") } else { word.to_owned() };
        }
    }
    word.to_owned()
}

fn step_4(word: &str) -> &str {
    let found = STEP_4.iter().find_map(|suffix| Some((*suffix, word.strip_suffix(suffix)?)));
    let Some((suffix, rest)) = found else { return word };
    let applies = measure(rest) > 1 && (suffix != "ion" || rest.ends_with(['s', 't']));
    if applies { rest } else { word }
}

fn step_5(word: &str) -> &str {
    let word = match word.strip_suffix('e') {
        Some(rest) if measure(rest) > 1 => rest,
        Some(rest) if measure(rest) == 1 && !ends_in_cvc(rest) => rest,
        _ => word,
    };
    match word.strip_suffix('l') {
        Some(rest) if rest.ends_with('l') && measure(rest) > 1 => rest,
        _ => word,
    }
}

/// For each letter whether it is a consonant. A `y` is one at the beginning and after a vowel.
fn consonants(word: &str) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for byte in word.bytes() {
        let flag = match byte {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => flags.last().is_none_or(|before| !before),
            _ => true,
        };
        flags.push(flag);
    }
    flags
}

/// How often a consonant follows a vowel.
fn measure(word: &str) -> usize {
    consonants(word).windows(2).filter(|pair| matches!(pair, [false, true])).count()
}

fn ends_in_double_consonant(word: &str) -> bool {
    let bytes = word.as_bytes();
    matches!(bytes, [.., a, b] if a == b) && consonants(word).last() == Some(&true)
}

fn ends_in_cvc(word: &str) -> bool {
    match consonants(word).as_slice() {
        [.., true, false, true] => !word.ends_with(['w', 'x', 'y']),
        [false, true] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
