//! Words, numbers, texts and signs of a query.
//!
//! A regular expression looks like a division, so the parser asks for tokens one by one and says
//! when it expects one.

use super::InsightsError;
use super::syntax::Span;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A name or a keyword.
    Word(String),
    /// A name in backticks: never a keyword.
    Quoted(String),
    /// A number.
    Number(f64),
    /// A text in double or single quotes.
    Text(String),
    /// An operator or a bracket.
    Sign(&'static str),
    /// The end.
    End,
}

/// Longer signs before those they begin with.
const SIGNS: [&str; 20] = [
    "!=", "<=", ">=", "=~", "==", "|", ",", "(", ")", "[", "]", "=", "<", ">", "+", "-", "*", "/",
    "%", "^",
];

/// Reads tokens off a text.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    /// Reads from the start.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Reads on from byte `at`, where a token began.
    pub fn seek(&mut self, at: usize) {
        self.at = at;
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Skips blanks and comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            if !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    /// The next token.
    pub fn token(&mut self) -> Result<(Token, Span), InsightsError> {
        self.skip();
        let start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok((Token::End, start..start));
        };
        let token = match first {
            '"' | '\'' => Token::Text(self.quoted(first, "text")?),
            '`' => Token::Quoted(self.quoted(first, "name")?),
            '0'..='9' => self.number(),
            first if is_word(first) => Token::Word(self.word()?),
            _ => match SIGNS.into_iter().find(|sign| self.rest().starts_with(sign)) {
                Some(sign) => {
                    self.at += sign.len();
                    Token::Sign(sign)
                }
                None => {
                    let span = start..start + first.len_utf8();
                    let error = self.error(&span, format!("`{first}` has no meaning here"));
                    return Err(error.hint(
                        "a field's name with other characters than letters, digits, `_`, `.` and \
                         `@` stands in backticks",
                    ));
                }
            },
        };
        Ok((token, start..self.at))
    }

    /// The regular expression that stands here between slashes, if one does.
    pub fn regex(&mut self) -> Result<Option<(String, Span)>, InsightsError> {
        self.skip();
        if !self.rest().starts_with('/') {
            return Ok(None);
        }
        let start = self.at + 1;
        let (mut escaped, mut class) = (false, false);
        for (offset, c) in self.text[start..].char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '[' => class = true,
                ']' => class = false,
                '/' if !class => {
                    self.at = start + offset + 1;
                    let span = start..start + offset;
                    return Ok(Some((self.text[span.clone()].to_owned(), span)));
                }
                _ => {}
            }
        }
        let span = self.at..self.at + 1;
        Err(self
            .error(&span, "the regular expression that begins here has no end")
            .hint("it ends with `/`; a `/` inside it is written `\\/`"))
    }

    fn quoted(&mut self, quote: char, what: &str) -> Result<String, InsightsError> {
        let start = self.at;
        let mut value = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((offset, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at = start + offset + 1;
                    return Ok(value);
                }
                '\\' if quote != '`' => match chars.next().map(|(_, next)| next) {
                    Some('n') => value.push('\n'),
                    Some('t') => value.push('\t'),
                    Some('r') => value.push('\r'),
                    Some(next @ ('\\' | '"' | '\'' | '/')) => value.push(next),
                    Some(next) => value.extend(['\\', next]),
                    None => break,
                },
                c => value.push(c),
            }
        }
        Err(self.error(&(start..start + 1), format!("the {what} that begins here has no end")))
    }

    fn number(&mut self) -> Token {
        let rest = self.rest();
        let digits = |from: usize| {
            rest[from..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |end| from + end)
        };
        let mut end = digits(0);
        if rest[end..].starts_with('.') && rest[end + 1..].starts_with(|c: char| c.is_ascii_digit())
        {
            end = digits(end + 1);
        }
        self.at += end;
        // Digits and at most one point: it is a number.
        Token::Number(rest[..end].parse().unwrap_or_default())
    }

    /// A name. Its parts are separated by points; one in backticks may have any characters, and a
    /// place in a list may stand in brackets: `a.`b c`[0].d` is `a.b c.0.d`.
    fn word(&mut self) -> Result<String, InsightsError> {
        let mut name = String::new();
        loop {
            let rest = self.rest();
            let end = rest.find(|c: char| !is_word(c) && c != '.').unwrap_or(rest.len());
            // A point at the end is none of the name, unless a part in backticks follows.
            let end = rest[..end].trim_end_matches('.').len();
            name.push_str(&rest[..end]);
            self.at += end;
            if self.rest().starts_with(".`") {
                self.at += 1;
                let part = self.quoted('`', "name")?;
                name.push('.');
                name.push_str(&part);
            } else if let Some(place) = self.place().filter(|_| !name.eq_ignore_ascii_case("in")) {
                name.push('.');
                name.push_str(place);
                self.at += place.len() + 2;
            } else if !self.rest().starts_with('.') || end == 0 {
                return Ok(name);
            }
        }
    }

    /// The place in a list that stands here in brackets.
    fn place(&self) -> Option<&'a str> {
        let inside = self.rest().strip_prefix('[')?;
        let (place, _) = inside.split_once(']')?;
        let digits = !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_digit());
        digits.then_some(place)
    }

    /// A mistake at a place of the text.
    pub fn error(&self, span: &Span, message: impl Into<String>) -> InsightsError {
        InsightsError::at(self.text, span, message)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '@' || c == '$'
}
