//! From text to [`Intrinsic`].

use serde_json::Value;

use super::{Argument, Function, Intrinsic};

/// How deep calls may nest.
const DEPTH: usize = 10;

/// Reads a whole text as a call.
pub fn call(text: &str) -> Result<Intrinsic, String> {
    let mut reader = Reader { text, at: 0 };
    let call = reader.call(1)?;
    reader.space();
    if reader.at < text.len() {
        return Err(format!("unexpected text after the call: `{}`", &text[reader.at..]));
    }
    Ok(call)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, expected: char) -> bool {
        self.space();
        let found = self.rest().starts_with(expected);
        self.at += if found { expected.len_utf8() } else { 0 };
        found
    }

    fn call(&mut self, depth: usize) -> Result<Intrinsic, String> {
        if depth > DEPTH {
            return Err(format!("calls are nested more than {DEPTH} deep"));
        }
        self.space();
        let begin = self.at;
        let rest = self.rest().strip_prefix("States.").ok_or("a call starts with `States.`")?;
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        let function = Function::named(&name);
        let function = function.ok_or_else(|| format!("there is no function `States.{name}`"))?;
        self.at += "States.".len() + end;
        if !self.eat('(') {
            return Err(format!("`States.{name}` needs its arguments in parentheses"));
        }
        let mut arguments = Vec::new();
        if !self.eat(')') {
            loop {
                let marks = function == Function::Format && arguments.is_empty();
                arguments.push(self.argument(depth, marks)?);
                if self.eat(')') {
                    break;
                }
                if !self.eat(',') {
                    return Err(format!("`,` or `)` is missing in `States.{name}`"));
                }
            }
        }
        Ok(Intrinsic { text: self.text[begin..self.at].to_owned(), function, arguments })
    }

    fn argument(&mut self, depth: usize, marks: bool) -> Result<Argument, String> {
        self.space();
        if self.rest().starts_with("States.") {
            return self.call(depth + 1).map(Argument::Call);
        }
        if self.rest().starts_with('\'') {
            return self.quoted(marks).map(|text| Argument::Value(text.into()));
        }
        let word = self.word();
        if word.starts_with('$') {
            let path = word.parse().map_err(|error| format!("`{word}` is no path: {error}"))?;
            return Ok(Argument::Path(path));
        }
        let value = serde_json::from_str::<Value>(&word);
        let value = value.ok().filter(|value| !value.is_object() && !value.is_array());
        value.map(Argument::Value).ok_or_else(|| format!("`{word}` is not an argument"))
    }

    /// Up to the `,` or `)` that ends the argument; brackets and quotes of a path are skipped.
    fn word(&mut self) -> String {
        let (mut open, mut quote, mut end) = (0_usize, None, self.rest().len());
        for (at, c) in self.rest().char_indices() {
            match (quote, c) {
                (Some(mark), _) if c == mark => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '[' | '(') => open += 1,
                (None, ']') => open = open.saturating_sub(1),
                (None, ')') if open > 0 => open -= 1,
                (None, ',' | ')') if open == 0 => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        let word = self.rest()[..end].trim_end().to_owned();
        self.at += end;
        word
    }

    /// A text in single quotes. A backslash makes a quote, a brace or a backslash a plain one; before
    /// anything else it is part of the text. What `Format` is to leave alone stays marked for it.
    fn quoted(&mut self, marks: bool) -> Result<String, String> {
        let mut text = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((at, c)) = characters.next() {
            match c {
                '\'' => {
                    self.at += at + 1;
                    return Ok(text);
                }
                '\\' => match characters.next() {
                    Some((_, c @ ('{' | '}' | '\\'))) if marks => text.extend(['\\', c]),
                    Some((_, c @ ('{' | '}' | '\\' | '\''))) => text.push(c),
                    Some((_, c)) if marks => text.extend(['\\', '\\', c]),
                    Some((_, c)) => text.extend(['\\', c]),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err("a quote is not closed".to_owned())
    }
}
