//! From text to [`Path`].

use super::filter::{Comparison, Filter, Operand, Operator};
use super::{Path, PathError, Root, Segment};
use crate::weight::NESTED;

/// How deep filters may nest.
const DEPTH: usize = 16;
/// The most steps of a path: what it leads to, or makes, may not nest deeper.
const STEPS: usize = NESTED;

/// Reads a whole text as a path.
pub fn path(text: &str) -> Result<Path, PathError> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let path = reader.path(false)?;
    match reader.peek() {
        None => Ok(path),
        Some(_) => Err(reader.error("unexpected text")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn error(&self, message: &'static str) -> PathError {
        PathError { message, at: self.at }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn eat(&mut self, expected: &str) -> bool {
        let found = self.text[self.at..].starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    fn expect(&mut self, expected: &str, message: &'static str) -> Result<(), PathError> {
        if self.eat(expected) { Ok(()) } else { Err(self.error(message)) }
    }

    fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += self.peek().map_or(0, char::len_utf8);
        }
    }

    /// The longest run of characters that `part` admits.
    fn run(&mut self, part: impl Fn(char) -> bool) -> String {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    fn path(&mut self, in_filter: bool) -> Result<Path, PathError> {
        let begin = self.at;
        let root = if in_filter && self.eat("@") {
            Root::Item
        } else {
            self.expect("$", "a path starts with `$`")?;
            match self.peek() {
                Some('$') => {
                    self.at += 1;
                    Root::Context
                }
                Some(c) if c.is_alphabetic() || c == '_' => {
                    Root::Variable(self.run(|c| c.is_alphanumeric() || c == '_'))
                }
                _ => Root::Input,
            }
        };
        let mut segments = Vec::new();
        loop {
            if self.eat("..") {
                segments.push(Segment::Descent);
                if self.peek() != Some('[') {
                    segments.push(self.dotted(in_filter)?);
                }
            } else if self.eat(".") {
                if self.peek() == Some('[') {
                    continue;
                }
                segments.push(self.dotted(in_filter)?);
            } else if self.eat("[") {
                segments.push(self.bracketed()?);
            } else {
                break;
            }
            if segments.len() > STEPS {
                return Err(self.error("a path has too many steps"));
            }
        }
        if matches!(segments.last(), Some(Segment::Descent)) {
            return Err(self.error("`..` needs a name"));
        }
        Ok(Path { text: self.text[begin..self.at].to_owned(), root, segments })
    }

    fn dotted(&mut self, in_filter: bool) -> Result<Segment, PathError> {
        if self.eat("*") {
            return Ok(Segment::Wildcard);
        }
        if self.eat("length()") {
            return Ok(Segment::Length);
        }
        let ends = |c: char| {
            matches!(c, '.' | '[' | ']' | '(' | ')' | '*' | '@' | '?' | ',' | '\'' | '"')
                || c.is_whitespace()
                || (in_filter && matches!(c, '=' | '!' | '<' | '>' | '&' | '|' | '~'))
        };
        match self.run(|c| !ends(c)) {
            name if name.is_empty() => Err(self.error("a name is missing")),
            name => Ok(Segment::Name(name)),
        }
    }

    fn bracketed(&mut self) -> Result<Segment, PathError> {
        self.space();
        let segment = if self.eat("*") {
            Segment::Wildcard
        } else if self.eat("?") {
            self.space();
            self.expect("(", "a filter starts with `(`")?;
            let filter = self.either()?;
            self.expect(")", "a filter ends with `)`")?;
            Segment::Filter(Box::new(filter))
        } else if matches!(self.peek(), Some('\'' | '"')) {
            let mut names = vec![self.quoted()?];
            while self.comma() {
                names.push(self.quoted()?);
            }
            match names.as_slice() {
                [_] => Segment::Name(names.remove(0)),
                _ => Segment::Names(names),
            }
        } else {
            self.positions()?
        };
        self.space();
        self.expect("]", "`]` is missing")?;
        Ok(segment)
    }

    fn comma(&mut self) -> bool {
        self.space();
        let found = self.eat(",");
        self.space();
        found
    }

    fn positions(&mut self) -> Result<Segment, PathError> {
        let start = self.number()?;
        if !self.eat(":") {
            let mut indexes = vec![start.ok_or_else(|| self.error("an index is missing"))?];
            while self.comma() {
                indexes.push(self.number()?.ok_or_else(|| self.error("an index is missing"))?);
            }
            return Ok(match indexes.as_slice() {
                [only] => Segment::Index(*only),
                _ => Segment::Indexes(indexes),
            });
        }
        let end = self.number()?;
        let step = if self.eat(":") { self.number()?.unwrap_or(1) } else { 1 };
        if step < 1 {
            return Err(self.error("a step must be positive"));
        }
        Ok(Segment::Slice { start, end, step })
    }

    fn number(&mut self) -> Result<Option<i64>, PathError> {
        self.space();
        let digits = self.run(|c| c.is_ascii_digit() || c == '-');
        self.space();
        if digits.is_empty() {
            return Ok(None);
        }
        digits.parse().map(Some).map_err(|_| self.error("not a whole number"))
    }

    fn quoted(&mut self) -> Result<String, PathError> {
        let quote = self.peek().filter(|c| matches!(c, '\'' | '"'));
        let quote = quote.ok_or_else(|| self.error("a quoted name is missing"))?;
        self.at += 1;
        let mut text = String::new();
        loop {
            let c = self.peek().ok_or_else(|| self.error("a quote is not closed"))?;
            self.at += c.len_utf8();
            if c == quote {
                return Ok(text);
            }
            if c == '\\' {
                let escaped = self.peek().ok_or_else(|| self.error("a quote is not closed"))?;
                self.at += escaped.len_utf8();
                text.push(escaped);
            } else {
                text.push(c);
            }
        }
    }

    fn deeper(&mut self) -> Result<(), PathError> {
        self.depth += 1;
        if self.depth > DEPTH { Err(self.error("filters are nested too deeply")) } else { Ok(()) }
    }

    fn either(&mut self) -> Result<Filter, PathError> {
        self.deeper()?;
        let mut any = vec![self.both()?];
        while self.eat("||") {
            any.push(self.both()?);
        }
        self.depth -= 1;
        Ok(if any.len() == 1 { any.remove(0) } else { Filter::Any(any) })
    }

    fn both(&mut self) -> Result<Filter, PathError> {
        let mut all = vec![self.term()?];
        while self.eat("&&") {
            all.push(self.term()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Filter::All(all) })
    }

    fn term(&mut self) -> Result<Filter, PathError> {
        self.space();
        let term = if self.eat("!") {
            self.deeper()?;
            let term = Filter::Not(Box::new(self.term()?));
            self.depth -= 1;
            term
        } else if self.eat("(") {
            let inner = self.either()?;
            self.expect(")", "`)` is missing")?;
            inner
        } else {
            let left = self.operand()?;
            self.space();
            match self.operator() {
                Some(operator) => {
                    self.space();
                    Filter::Compare(Comparison { left, operator, right: self.operand()? })
                }
                None => Filter::Exists(left),
            }
        };
        self.space();
        Ok(term)
    }

    fn operator(&mut self) -> Option<Operator> {
        const ALL: [(&str, Operator); 8] = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::AtMost),
            (">=", Operator::AtLeast),
            ("<", Operator::Less),
            (">", Operator::Greater),
            ("in ", Operator::In),
            ("nin ", Operator::NotIn),
        ];
        ALL.into_iter().find(|(text, _)| self.eat(text)).map(|(_, operator)| operator)
    }

    fn operand(&mut self) -> Result<Operand, PathError> {
        match self.peek() {
            Some('@' | '$') => Ok(Operand::Path(self.path(true)?)),
            Some('\'' | '"') => Ok(Operand::Value(self.quoted()?.into())),
            Some('[') => {
                self.at += 1;
                self.deeper()?;
                let mut items = Vec::new();
                self.space();
                while !self.eat("]") {
                    match self.operand()? {
                        Operand::Value(value) => items.push(value),
                        Operand::Path(_) => return Err(self.error("a list holds values only")),
                    }
                    self.comma();
                }
                self.depth -= 1;
                Ok(Operand::Value(items.into()))
            }
            _ => {
                let word = self.run(|c| c.is_alphanumeric() || matches!(c, '-' | '+' | '.'));
                let value = serde_json::from_str(&word);
                value.map(Operand::Value).map_err(|_| self.error("not a value"))
            }
        }
    }
}
