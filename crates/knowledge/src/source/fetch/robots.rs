//! What a site lets one read: `robots.txt` (RFC 9309).

use std::time::Duration;

use security::outside::Url;

/// The name by which the file calls us.
const NAME: &str = "groundcrew";
/// The most rules that are kept.
const MAX_RULES: usize = 10_000;
/// The longest pause that is kept: nobody means more.
const MAX_DELAY: f64 = 3_600.0;

/// The rules for us.
#[derive(Debug, Default, PartialEq)]
pub struct Robots {
    rules: Vec<Rule>,
    /// How long to wait between two requests: not of the RFC, but commonly used.
    pub delay: Option<Duration>,
}

#[derive(Debug, PartialEq)]
struct Rule {
    allows: bool,
    pattern: String,
}

impl Robots {
    /// Reads the groups that are for us: those of our name, else those of everybody.
    pub fn read(text: &str) -> Self {
        let (mut own, mut all) = (None::<Self>, Self::default());
        let (mut names, mut naming) = (Vec::new(), false);
        for line in text.split(['\n', '\r']) {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once(':') else { continue };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            if key == "user-agent" {
                if !naming {
                    names.clear();
                }
                naming = true;
                names.push(value.to_ascii_lowercase());
                if value.eq_ignore_ascii_case(NAME) {
                    own.get_or_insert_default();
                }
                continue;
            }
            if !matches!(key.as_str(), "allow" | "disallow" | "crawl-delay") {
                continue;
            }
            naming = false;
            for name in &names {
                match name.as_str() {
                    NAME => own.get_or_insert_default().rule(&key, value),
                    "*" => all.rule(&key, value),
                    _ => {}
                }
            }
        }
        own.unwrap_or(all)
    }

    fn rule(&mut self, key: &str, value: &str) {
        if key == "crawl-delay" {
            let seconds = value.parse().ok().filter(|seconds| (0.0..=MAX_DELAY).contains(seconds));
            self.delay = seconds.map(Duration::from_secs_f64).or(self.delay);
        } else if !value.is_empty() && self.rules.len() < MAX_RULES {
            self.rules.push(Rule { allows: key == "allow", pattern: normal(value) });
        }
    }

    /// Whether a page may be read: the longest rule that fits it decides, and of two that are equally
    /// long the one that allows it.
    pub fn allows(&self, url: &Url) -> bool {
        let mut path = url.path().to_owned();
        if let Some(query) = url.query() {
            path = format!("{path}?{query}");
        }
        let path = normal(&path);
        let fitting = self.rules.iter().filter(|rule| fits(&rule.pattern, &path));
        let decides = fitting.max_by_key(|rule| (rule.pattern.len(), rule.allows));
        decides.is_none_or(|rule| rule.allows)
    }
}

/// Whether a path begins as a pattern says: `*` is anything, `$` at its end the end of the path.
fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, whole) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut pieces = pattern.split('*');
    let Some(mut rest) = path.strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return !whole || rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if whole && pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}

/// A path in the one form that two of them are compared in (RFC 9309, 2.2.2).
fn normal(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut normal = String::with_capacity(path.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%')
            .then(|| path.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                at += 3;
                // What need not be escaped is not.
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        normal.push(char::from(byte));
                    }
                    byte => normal.push_str(&format!("%{byte:02X}")),
                }
            }
            None => {
                at += 1;
                match byte.is_ascii() {
                    true => normal.push(char::from(byte)),
                    false => normal.push_str(&format!("%{byte:02X}")),
                }
            }
        }
    }
    normal
}

#[cfg(test)]
mod tests;
