//! From text to the terms that are indexed and asked for.

/// The longest term, in bytes; longer ones are noise.
const MAX_TERM: usize = 64;

/// The terms of `text`: words in lower case without plural endings; identifiers (`snake_case`,
/// `BRK-2204`, `app.config`) whole and in parts.
pub fn terms(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    let inner = |c: char| matches!(c, '-' | '_' | '.' | '/' | ':' | '@');
    for word in text.split(|c: char| !c.is_alphanumeric() && !inner(c)) {
        let word = word.trim_matches(inner).to_lowercase();
        if word.is_empty() {
            continue;
        }
        if word.contains(inner) {
            terms.extend(word.split(inner).filter(|part| !part.is_empty()).map(stem));
            terms.push(word);
        } else {
            terms.push(stem(&word));
        }
    }
    terms.retain(|term| term.len() <= MAX_TERM);
    terms
}

/// Removes plural endings (the S-stemmer of Harman 1991).
fn stem(word: &str) -> String {
    let ends = |endings: &[&str]| endings.iter().any(|ending| word.ends_with(ending));
    if word.len() > 4 && word.ends_with("ies") && !ends(&["eies", "aies"]) {
        format!("{}y", &word[..word.len() - 3])
    } else if word.len() > 3 && word.ends_with('s') && !ends(&["aes", "ees", "oes", "us", "ss"]) {
        word[..word.len() - 1].to_owned()
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::terms;

    #[test]
    fn identifiers_are_found_whole_and_in_parts() {
        assert_eq!(terms("See BRK-2204, policies!"), ["see", "brk", "2204", "brk-2204", "policy"]);
        assert_eq!(terms("os.path_join(x)."), ["os", "path", "join", "os.path_join", "x"]);
    }

    #[test]
    fn a_word_of_any_length_is_no_harm() {
        assert!(terms(&"x".repeat(1_000_000)).is_empty());
    }
}
