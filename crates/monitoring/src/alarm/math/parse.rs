//! Reading expressions.

use super::{Function, Kind, MathError, Node, Operator};

/// How deep brackets may be nested.
const MAX_DEPTH: usize = 50;

/// Operators from the loosest to the tightest.
const LEVELS: [&[(&str, Operator)]; 5] = [
    &[("||", Operator::Or), ("OR", Operator::Or)],
    &[("&&", Operator::And), ("AND", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide)],
];

struct Parser {
    text: Vec<char>,
    at: usize,
    depth: usize,
}

/// Reads an expression.
pub fn parse(text: &str) -> Result<Node, MathError> {
    let mut parser = Parser { text: text.chars().collect(), at: 0, depth: 0 };
    let root = parser.level(0)?;
    match parser.peek() {
        None => Ok(root),
        Some(found) => Err(parser.error(format!("`{found}` was not expected"))),
    }
}

impl Parser {
    fn error(&self, message: impl Into<String>) -> MathError {
        MathError::new(self.at + 1, message)
    }

    /// The next character that is not blank.
    fn peek(&mut self) -> Option<char> {
        while self.text.get(self.at).is_some_and(|it| it.is_whitespace()) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Whether `mark` comes next; then it is passed over.
    fn take(&mut self, mark: char) -> bool {
        let found = self.peek() == Some(mark);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, mark: char) -> Result<(), MathError> {
        if self.take(mark) {
            return Ok(());
        }
        let found = self.peek().map_or("the end".to_owned(), |it| format!("`{it}`"));
        Err(self.error(format!("`{mark}` was expected, not {found}")))
    }

    fn operator(&mut self, level: &[(&str, Operator)]) -> Option<Operator> {
        self.peek();
        let rest = self.text.get(self.at..)?;
        let found = level.iter().find(|(sign, _)| {
            let word = sign.starts_with(char::is_alphabetic);
            let ends = rest.get(sign.len()).is_none_or(|next| !word || !is_word(*next));
            let same = |(have, want): (&char, char)| have.eq_ignore_ascii_case(&want);
            rest.len() >= sign.len() && ends && rest.iter().zip(sign.chars()).all(same)
        })?;
        self.at += found.0.len();
        Some(found.1)
    }

    fn level(&mut self, level: usize) -> Result<Node, MathError> {
        let Some(operators) = LEVELS.get(level) else { return self.power() };
        let mut left = self.level(level + 1)?;
        loop {
            self.peek();
            let at = self.at + 1;
            let Some(operator) = self.operator(operators) else { return Ok(left) };
            let right = self.level(level + 1)?;
            left = Node { at, kind: Kind::Binary(operator, Box::new(left), Box::new(right)) };
        }
    }

    fn power(&mut self) -> Result<Node, MathError> {
        let left = self.unary()?;
        self.peek();
        let at = self.at + 1;
        if !self.take('^') {
            return Ok(left);
        }
        self.deeper(|parser| {
            let right = parser.power()?;
            Ok(Node { at, kind: Kind::Binary(Operator::Power, Box::new(left), Box::new(right)) })
        })
    }

    fn unary(&mut self) -> Result<Node, MathError> {
        self.peek();
        let at = self.at + 1;
        if self.take('-') {
            let inner = self.deeper(Self::power)?;
            return Ok(Node { at, kind: Kind::Negated(Box::new(inner)) });
        }
        self.primary()
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, MathError>,
    ) -> Result<T, MathError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("nested more than {MAX_DEPTH} deep")));
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn primary(&mut self) -> Result<Node, MathError> {
        let next = self.peek();
        let at = self.at + 1;
        let Some(next) = next else { return Err(self.error("the expression ends too early")) };
        let kind = match next {
            '(' => {
                self.at += 1;
                let inner = self.deeper(|parser| parser.level(0))?;
                self.expect(')')?;
                return Ok(inner);
            }
            '[' => {
                self.at += 1;
                Kind::List(self.arguments(']')?)
            }
            '"' | '\'' => Kind::Text(self.text(next)?),
            '0'..='9' | '.' => Kind::Number(self.number()?),
            _ if is_word(next) => self.word()?,
            _ => return Err(self.error(format!("`{next}` was not expected"))),
        };
        Ok(Node { at, kind })
    }

    /// Values up to `end`, separated by commas.
    fn arguments(&mut self, end: char) -> Result<Vec<Node>, MathError> {
        let mut arguments = Vec::new();
        if self.take(end) {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.deeper(|parser| parser.level(0))?);
            if !self.take(',') {
                self.expect(end)?;
                return Ok(arguments);
            }
        }
    }

    fn text(&mut self, quote: char) -> Result<String, MathError> {
        let start = self.at + 1;
        let length = self.text[start..].iter().position(|it| *it == quote);
        let length = length.ok_or_else(|| self.error("the text does not end"))?;
        self.at = start + length + 1;
        Ok(self.text[start..start + length].iter().collect())
    }

    fn number(&mut self) -> Result<f64, MathError> {
        let start = self.at;
        let exponent = |text: &[char], at: usize| {
            matches!(text[at], '+' | '-') && at > start && matches!(text[at - 1], 'e' | 'E')
        };
        while self.text.get(self.at).is_some_and(|it| is_word(*it) || *it == '.')
            || self.at < self.text.len() && exponent(&self.text, self.at)
        {
            self.at += 1;
        }
        let text: String = self.text[start..self.at].iter().collect();
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(MathError::new(start + 1, format!("`{text}` is no number"))),
        }
    }

    fn word(&mut self) -> Result<Kind, MathError> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(|it| is_word(*it)) {
            self.at += 1;
        }
        let word: String = self.text[start..self.at].iter().collect();
        if self.peek() != Some('(') {
            return Ok(Kind::Name(word));
        }
        let Some(function) = Function::named(&word) else {
            let why = format!("there is no function `{word}`; there are {}", Function::names());
            return Err(MathError::new(start + 1, why));
        };
        self.at += 1;
        let arguments = self.arguments(')')?;
        let (least, most) = function.arity();
        if !(least..=most).contains(&arguments.len()) {
            let wanted =
                if least == most { least.to_string() } else { format!("{least} to {most}") };
            let why = format!("{function} takes {wanted} arguments, not {}", arguments.len());
            return Err(MathError::new(start + 1, why));
        }
        Ok(Kind::Call(function, arguments))
    }
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}
