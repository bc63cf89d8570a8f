//! Texts in which `*` stands for any text, matched in time linear in the text.

use std::fmt;

/// A parsed pattern: the literal parts between its stars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard {
    /// What the text begins with; all of it if there is no star.
    first: String,
    /// What comes after each star. All but the last may be anywhere, in order.
    rest: Vec<String>,
}

impl fmt::Display for Wildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first)?;
        self.rest.iter().try_for_each(|part| write!(f, "*{part}"))
    }
}

impl Wildcard {
    /// Reads a pattern: a backslash keeps the character after it.
    pub fn parse(pattern: &str) -> Self {
        let mut done = Vec::new();
        let mut part = String::new();
        let mut characters = pattern.chars();
        while let Some(c) = characters.next() {
            match c {
                '*' => done.push(std::mem::take(&mut part)),
                '\\' => part.extend(characters.next()),
                c => part.push(c),
            }
        }
        done.push(part);
        let rest = done.split_off(1);
        Self { first: done.concat(), rest }
    }

    /// Whether `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        let Some((last, middle)) = self.rest.split_last() else { return text == self.first };
        let between = text.strip_prefix(&*self.first).and_then(|text| text.strip_suffix(&**last));
        let Some(mut between) = between else { return false };
        // To take each part as early as it comes leaves the most room for those after it.
        middle.iter().all(|part| match between.find(&**part) {
            Some(at) => {
                between = &between[at + part.len()..];
                true
            }
            None => false,
        })
    }
}

#[cfg(test)]
mod tests;
