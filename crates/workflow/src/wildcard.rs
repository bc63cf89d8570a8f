//! Texts in which `*` stands for any text, matched in time that grows with text × pattern at most.

/// A parsed pattern: `None` is a star.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard(Vec<Option<char>>);

impl Wildcard {
    /// Reads a pattern: a backslash keeps the character after it.
    pub fn parse(pattern: &str) -> Self {
        let mut parts = Vec::new();
        let mut characters = pattern.chars();
        while let Some(c) = characters.next() {
            match c {
                '*' => parts.push(None),
                '\\' => parts.extend(characters.next().map(Some)),
                c => parts.push(Some(c)),
            }
        }
        Self(parts)
    }

    /// Whether `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        let parts = &self.0;
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut part) = (0, 0);
        // Where to go on after the last star, should what follows it not fit.
        let mut again: Option<(usize, usize)> = None;
        while at < text.len() {
            match parts.get(part) {
                Some(None) => {
                    again = Some((part + 1, at));
                    part += 1;
                }
                Some(Some(c)) if *c == text[at] => {
                    part += 1;
                    at += 1;
                }
                _ => match &mut again {
                    Some((after, from)) => {
                        *from += 1;
                        (part, at) = (*after, *from);
                    }
                    None => return false,
                },
            }
        }
        parts[part..].iter().all(Option::is_none)
    }
}
