//! From text to commands.

use std::collections::BTreeSet;

use super::lex::{Lexer, Token};
use super::syntax::{Binary, Command, Expression, Extract, Item, Node, Order, Period, Span, Step};
use super::{Compared, InsightsError, MAX_DEPTH, MAX_LIMIT, MAX_QUERY};

/// The commands there are.
const COMMANDS: [&str; 14] = [
    "fields",
    "display",
    "filter",
    "filterIndex",
    "stats",
    "sort",
    "limit",
    "head",
    "dedup",
    "parse",
    "pattern",
    "diff",
    "unnest",
    "SOURCE",
];
/// Commands of CloudWatch's that are not offered, and what to do instead.
const NOT_OFFERED: [(&str, &str); 8] = [
    ("anomaly", "an alarm with an anomaly band watches a metric"),
    ("lookup", "SQL can join tables"),
    ("join", "SQL can join tables"),
    ("unmask", "nothing is masked here: what may not be seen is not kept"),
    ("logcompare", "`diff previousWeek` compares with the same time a week earlier"),
    ("tail", "use `sort` and `limit`"),
    ("addtotals", "SQL has `GROUP BY ROLLUP`"),
    ("relevantfields", "use `stats count(*) by` a field"),
];
/// Words that are no field unless they stand in backticks.
const KEYWORDS: [&str; 10] = ["and", "or", "not", "like", "in", "as", "by", "asc", "desc", "into"];
/// How many operators may follow one another without brackets.
const MAX_CHAIN: usize = 256;

/// Reads a query.
pub fn parse(text: &str) -> Result<Vec<Command>, InsightsError> {
    if text.len() > MAX_QUERY {
        let message = format!("the query has {} bytes, more than {MAX_QUERY}", text.len());
        return Err(InsightsError::at(text, &(0..0), message));
    }
    let mut parser = Parser::new(text)?;
    let mut commands = Vec::new();
    loop {
        let command = parser.command()?;
        if matches!(command.step, Step::Source(_)) && !commands.is_empty() {
            return Err(parser.error(&command.span, "`SOURCE` is the first command, and only once"));
        }
        commands.push(command);
        match parser.take()? {
            (Token::End, _) => return Ok(commands),
            (Token::Sign("|"), _) => {}
            (token, span) => {
                return Err(parser
                    .error(&span, format!("{} is not expected here", described(&token)))
                    .hint("commands are separated by `|`"));
            }
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    next: (Token, Span),
    /// Where the token before ended.
    end: usize,
    depth: usize,
}

type Parsed<T> = Result<T, InsightsError>;

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Parsed<Self> {
        let mut lexer = Lexer::new(text);
        let next = lexer.token()?;
        Ok(Self { text, lexer, next, end: 0, depth: 0 })
    }

    fn error(&self, span: &Span, message: impl Into<String>) -> InsightsError {
        self.lexer.error(span, message)
    }

    fn take(&mut self) -> Parsed<(Token, Span)> {
        let next = self.lexer.token()?;
        self.end = self.next.1.end;
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn at_sign(&self, sign: &str) -> bool {
        matches!(&self.next.0, Token::Sign(found) if *found == sign)
    }

    fn at_word(&self, word: &str) -> bool {
        matches!(&self.next.0, Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn take_sign(&mut self, sign: &str) -> Parsed<bool> {
        let found = self.at_sign(sign);
        if found {
            self.take()?;
        }
        Ok(found)
    }

    fn take_word(&mut self, word: &str) -> Parsed<bool> {
        let found = self.at_word(word);
        if found {
            self.take()?;
        }
        Ok(found)
    }

    fn expect_sign(&mut self, sign: &str) -> Parsed<()> {
        match self.take_sign(sign)? {
            true => Ok(()),
            false => Err(self.unexpected(&format!("`{sign}`"))),
        }
    }

    fn unexpected(&self, wanted: &str) -> InsightsError {
        let found = described(&self.next.0);
        self.error(&self.next.1, format!("{wanted} is expected here, not {found}"))
    }

    fn name(&mut self, what: &str) -> Parsed<String> {
        match &self.next.0 {
            Token::Word(_) | Token::Quoted(_) => match self.take()?.0 {
                Token::Word(name) | Token::Quoted(name) => Ok(name),
                _ => Ok(String::new()),
            },
            _ => Err(self.unexpected(what)),
        }
    }

    /// One or more, with commas between them.
    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut list = vec![one(self)?];
        while self.take_sign(",")? {
            list.push(one(self)?);
        }
        Ok(list)
    }

    fn command(&mut self) -> Parsed<Command> {
        let start = self.next.1.start;
        let Token::Word(word) = &self.next.0 else {
            let wanted = self.unexpected("a command");
            return Err(wanted.hint(format!("the commands are {}", COMMANDS.join(", "))));
        };
        let word = word.clone();
        let span = self.take()?.1;
        let step = match word.to_ascii_lowercase().as_str() {
            "source" => Step::Source(self.name("a table")?),
            "fields" => Step::Fields(self.list(Self::item)?),
            "display" => Step::Display(self.list(Self::item)?),
            "filter" | "filterindex" => Step::Filter(self.expression()?),
            "stats" => self.stats()?,
            "sort" => self.sort()?,
            "limit" | "head" => self.limit()?,
            "dedup" => Step::Dedup(self.list(Self::expression)?),
            "parse" => self.extract()?,
            "pattern" => Step::Pattern(self.expression()?),
            "diff" => self.diff()?,
            "unnest" => {
                let list = self.expression()?;
                match self.take_word("into")? {
                    true => Step::Unnest { list, into: self.name("a name for the items")? },
                    false => return Err(self.unexpected("`into` and a name")),
                }
            }
            other => return Err(self.no_command(other, &word, &span)),
        };
        Ok(Command { step, span: start..self.end })
    }

    fn no_command(&self, lower: &str, word: &str, span: &Span) -> InsightsError {
        match NOT_OFFERED.into_iter().find(|(name, _)| *name == lower) {
            Some((_, instead)) => {
                self.error(span, format!("the command `{word}` is not offered")).hint(instead)
            }
            None => self.error(span, format!("there is no command `{word}`")).like(word, COMMANDS),
        }
    }

    fn item(&mut self) -> Parsed<Item> {
        let value = self.expression()?;
        let name = match (self.take_word("as")?, &value.node) {
            (true, _) => self.name("a name")?,
            (false, Node::Field(name)) => name.clone(),
            (false, _) => {
                let words = self.text[value.span.clone()].split_whitespace();
                words.collect::<Vec<_>>().join(" ")
            }
        };
        Ok(Item { value, name })
    }

    fn stats(&mut self) -> Parsed<Step> {
        let outputs = self.list(Self::item)?;
        let by = if self.take_word("by")? { self.list(Self::item)? } else { Vec::new() };
        let mut names = BTreeSet::new();
        for item in outputs.iter().chain(&by) {
            if !names.insert(item.name.as_str()) {
                let message = format!("there are two results named `{}`", item.name);
                return Err(self.error(&item.value.span, message).hint("name one with `as`"));
            }
        }
        Ok(Step::Stats { outputs, by })
    }

    fn sort(&mut self) -> Parsed<Step> {
        self.take_word("by")?;
        let keys = self.list(|parser| {
            let key = parser.expression()?;
            let descending = parser.take_word("desc")?;
            if !descending {
                parser.take_word("asc")?;
            }
            Ok((key, if descending { Order::Descending } else { Order::Ascending }))
        })?;
        Ok(Step::Sort(keys))
    }

    fn limit(&mut self) -> Parsed<Step> {
        let (token, span) = self.take()?;
        match token {
            Token::Number(count) if count.fract() == 0.0 && count <= MAX_LIMIT as f64 => {
                Ok(Step::Limit(count as usize))
            }
            Token::Number(_) => Err(self
                .error(&span, format!("a limit is a whole number up to {MAX_LIMIT}"))
                .hint("for more rows, ask for shorter times one after the other")),
            token => {
                let found = described(&token);
                Err(self.error(&span, format!("a number of rows is expected here, not {found}")))
            }
        }
    }

    fn diff(&mut self) -> Parsed<Step> {
        const PERIODS: [&str; 3] = ["previousDay", "previousWeek", "previousMonth"];
        let Token::Word(word) = &self.next.0 else { return Ok(Step::Diff(Compared::Previous)) };
        let word = word.clone();
        let span = self.take()?.1;
        Ok(Step::Diff(match word.to_ascii_lowercase().as_str() {
            "previousday" => Compared::DaysEarlier(1),
            "previousweek" => Compared::DaysEarlier(7),
            "previousmonth" => Compared::DaysEarlier(30),
            _ => {
                let error = self.error(&span, format!("`{word}` is no time to compare with"));
                return Err(error.like(&word, PERIODS));
            }
        }))
    }

    fn extract(&mut self) -> Parsed<Step> {
        let of = match &self.next.0 {
            Token::Text(_) | Token::Sign("/") => {
                Expression { node: Node::Field("@message".to_owned()), span: self.next.1.clone() }
            }
            _ => self.primary()?,
        };
        if self.at_sign("/") {
            let (pattern, span) = self.regex()?;
            let regex = checked(self.text, &pattern, &span)?;
            return self.groups(of, regex, &span);
        }
        let Token::Text(glob) = &self.next.0 else {
            return Err(self.unexpected("a text with `*`, or a regular expression,"));
        };
        let parts: Vec<_> = glob.split('*').map(str::to_owned).collect();
        let span = self.take()?.1;
        let names = if self.take_word("as")? { self.list(|p| p.name("a name"))? } else { vec![] };
        let wildcards = parts.len() - 1;
        if wildcards == 0 || wildcards != names.len() {
            let message = format!("there are {wildcards} `*` and {} names", names.len());
            return Err(self.error(&span, message).hint("each `*` takes one name after `as`"));
        }
        self.distinct(&names, &span)?;
        Ok(Step::Parse { of, with: Extract::Glob(parts), names })
    }

    /// The names of a regular expression's groups: its own, or those after `as`.
    fn groups(&mut self, of: Expression, regex: regex::Regex, span: &Span) -> Parsed<Step> {
        let own: Vec<_> = regex.capture_names().skip(1).collect();
        let names = match own.iter().copied().collect::<Option<Vec<_>>>() {
            Some(named) => named.into_iter().map(str::to_owned).collect(),
            None if self.take_word("as")? => self.list(|p| p.name("a name"))?,
            None => Vec::new(),
        };
        if names.is_empty() || names.len() != own.len() {
            let message = format!("there are {} groups and {} names", own.len(), names.len());
            return Err(self.error(span, message).hint("a group is named as `(?<name>…)`"));
        }
        self.distinct(&names, span)?;
        Ok(Step::Parse { of, with: Extract::Regex(regex), names })
    }

    fn distinct(&self, names: &[String], span: &Span) -> Parsed<()> {
        let mut seen = BTreeSet::new();
        match names.iter().find(|name| !seen.insert(name.as_str())) {
            Some(twice) => Err(self.error(span, format!("the name `{twice}` is given twice"))),
            None => Ok(()),
        }
    }

    /// Takes a regular expression. The slash before it is the next token.
    fn regex(&mut self) -> Parsed<(String, Span)> {
        let mut lexer = Lexer::new(self.text);
        lexer.seek(self.next.1.start);
        let Some(found) = lexer.regex()? else {
            return Err(self.unexpected("a regular expression"));
        };
        self.lexer = lexer;
        self.next = self.lexer.token()?;
        self.end = found.1.end + 1;
        Ok(found)
    }

    /// An expression of any kind.
    fn expression(&mut self) -> Parsed<Expression> {
        self.nested(Self::or)
    }

    /// Goes one level deeper.
    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Parsed<Expression>) -> Parsed<Expression> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = format!("expressions are nested more than {MAX_DEPTH} deep");
            return Err(self.error(&self.next.1, message));
        }
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Operators of one strength, one after the other.
    fn chain(
        &mut self,
        operator: fn(&Token) -> Option<Binary>,
        side: fn(&mut Self) -> Parsed<Expression>,
    ) -> Parsed<Expression> {
        let mut left = side(self)?;
        let mut length = 0;
        while let Some(operator) = operator(&self.next.0) {
            length += 1;
            if length > MAX_CHAIN {
                let message = format!("more than {MAX_CHAIN} operators follow one another");
                return Err(self.error(&self.next.1, message).hint("`in […]` takes many values"));
            }
            self.take()?;
            let right = side(self)?;
            left = binary(operator, left, right);
        }
        Ok(left)
    }

    fn or(&mut self) -> Parsed<Expression> {
        self.chain(|token| word(token, "or").then_some(Binary::Or), Self::and)
    }

    fn and(&mut self) -> Parsed<Expression> {
        self.chain(|token| word(token, "and").then_some(Binary::And), Self::not)
    }

    fn not(&mut self) -> Parsed<Expression> {
        let start = self.next.1.start;
        if self.take_word("not")? {
            let inner = self.nested(Self::not)?;
            return Ok(negated(inner, start));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed<Expression> {
        let left = self.sum()?;
        let start = left.span.start;
        if let Some(operator) = comparison(&self.next.0) {
            self.take()?;
            return Ok(binary(operator, left, self.sum()?));
        }
        let not = self.take_word("not")?;
        let found = if self.at_word("like") || self.at_sign("=~") {
            self.take()?;
            self.like(left)?
        } else if self.take_word("in")? {
            self.members(left)?
        } else if not {
            return Err(self.unexpected("`like` or `in`"));
        } else {
            left
        };
        Ok(if not { negated(found, start) } else { found })
    }

    fn like(&mut self, left: Expression) -> Parsed<Expression> {
        let start = left.span.start;
        let node = if self.at_sign("/") {
            let (pattern, span) = self.regex()?;
            checked(self.text, &pattern, &span)?;
            Node::Matches(Box::new(left), pattern)
        } else if matches!(self.next.0, Token::Text(_)) {
            match self.take()?.0 {
                Token::Text(part) => Node::Contains(Box::new(left), part),
                _ => left.node,
            }
        } else {
            return Err(self.unexpected("a text in quotes or a regular expression in slashes"));
        };
        Ok(Expression { node, span: start..self.end })
    }

    fn members(&mut self, left: Expression) -> Parsed<Expression> {
        let start = left.span.start;
        let close = match (self.take_sign("[")?, self.at_sign("(")) {
            (true, _) => "]",
            (false, true) => {
                self.take()?;
                ")"
            }
            (false, false) => return Err(self.unexpected("`[`")),
        };
        let members = if self.at_sign(close) { vec![] } else { self.list(Self::expression)? };
        self.expect_sign(close)?;
        Ok(Expression { node: Node::In(Box::new(left), members), span: start..self.end })
    }

    fn sum(&mut self) -> Parsed<Expression> {
        let operator = |token: &Token| match token {
            Token::Sign("+") => Some(Binary::Add),
            Token::Sign("-") => Some(Binary::Subtract),
            _ => None,
        };
        self.chain(operator, Self::product)
    }

    fn product(&mut self) -> Parsed<Expression> {
        let operator = |token: &Token| match token {
            Token::Sign("*") => Some(Binary::Multiply),
            Token::Sign("/") => Some(Binary::Divide),
            Token::Sign("%") => Some(Binary::Remainder),
            _ => None,
        };
        self.chain(operator, Self::negative)
    }

    fn negative(&mut self) -> Parsed<Expression> {
        let start = self.next.1.start;
        if self.take_sign("-")? {
            let inner = self.nested(Self::negative)?;
            let span = start..inner.span.end;
            return Ok(Expression { node: Node::Negative(Box::new(inner)), span });
        }
        self.power()
    }

    /// `2 ^ 3 ^ 2` is `2 ^ 9`, as in mathematics.
    fn power(&mut self) -> Parsed<Expression> {
        let base = self.primary()?;
        if !self.take_sign("^")? {
            return Ok(base);
        }
        Ok(binary(Binary::Power, base, self.nested(Self::negative)?))
    }

    fn primary(&mut self) -> Parsed<Expression> {
        let start = self.next.1.start;
        let node = match &self.next.0 {
            Token::Sign("(") => {
                self.take()?;
                let inner = self.expression()?;
                self.expect_sign(")")?;
                inner.node
            }
            Token::Word(name) if KEYWORDS.iter().any(|word| word.eq_ignore_ascii_case(name)) => {
                let hint = format!("a field that is named so stands in backticks: `{name}`");
                return Err(self.unexpected("a field, a value or a function").hint(hint));
            }
            Token::Word(_) | Token::Quoted(_) | Token::Number(_) | Token::Text(_) => {
                match self.take()?.0 {
                    Token::Number(number) => self.quantity(number)?,
                    Token::Text(text) => Node::Text(text),
                    Token::Word(name) if self.at_sign("(") => self.call(&name)?,
                    Token::Word(name) if name.eq_ignore_ascii_case("true") => Node::Boolean(true),
                    Token::Word(name) if name.eq_ignore_ascii_case("false") => Node::Boolean(false),
                    Token::Word(name) | Token::Quoted(name) => Node::Field(name),
                    Token::Sign(_) | Token::End => Node::Star,
                }
            }
            _ => return Err(self.unexpected("a field, a value or a function")),
        };
        Ok(Expression { node, span: start..self.end })
    }

    /// A number, or a length of time if a unit follows it.
    fn quantity(&mut self, count: f64) -> Parsed<Node> {
        let Token::Word(unit) = &self.next.0 else { return Ok(Node::Number(count)) };
        if Period::of(1.0, unit).is_none() {
            return Ok(Node::Number(count));
        }
        match Period::of(count, unit) {
            Some(period) => {
                self.take()?;
                Ok(Node::Period(period))
            }
            None => {
                let message =
                    format!("`{count}{unit}` is no length of time that can be counted in");
                Err(self.error(&self.next.1, message))
            }
        }
    }

    fn call(&mut self, name: &str) -> Parsed<Node> {
        self.take()?;
        let arguments = if self.at_sign(")") {
            Vec::new()
        } else if self.at_sign("*") {
            let span = self.take()?.1;
            vec![Expression { node: Node::Star, span }]
        } else {
            self.list(Self::expression)?
        };
        self.expect_sign(")")?;
        Ok(Node::Call(name.to_lowercase(), arguments))
    }
}

fn binary(operator: Binary, left: Expression, right: Expression) -> Expression {
    let span = left.span.start..right.span.end;
    Expression { node: Node::Binary(operator, Box::new(left), Box::new(right)), span }
}

fn negated(inner: Expression, start: usize) -> Expression {
    let span = start.min(inner.span.start)..inner.span.end;
    Expression { node: Node::Not(Box::new(inner)), span }
}

fn word(token: &Token, wanted: &str) -> bool {
    matches!(token, Token::Word(found) if found.eq_ignore_ascii_case(wanted))
}

fn comparison(token: &Token) -> Option<Binary> {
    match token {
        Token::Sign("=" | "==") => Some(Binary::Equal),
        Token::Sign("!=") => Some(Binary::NotEqual),
        Token::Sign("<") => Some(Binary::Less),
        Token::Sign("<=") => Some(Binary::LessOrEqual),
        Token::Sign(">") => Some(Binary::Greater),
        Token::Sign(">=") => Some(Binary::GreaterOrEqual),
        _ => None,
    }
}

/// A regular expression that can be run in time linear to the text. Others are refused.
fn checked(text: &str, pattern: &str, span: &Span) -> Parsed<regex::Regex> {
    let refused = |from: usize, to: usize, why: String| {
        let at = span.start + from..(span.start + to).max(span.start + from + 1);
        InsightsError::at(text, &at, format!("the regular expression cannot be used: {why}"))
    };
    let error = match regex_syntax::Parser::new().parse(pattern) {
        Ok(_) => {
            let regex = regex::Regex::new(pattern);
            return regex.map_err(|error| refused(0, pattern.len(), error.to_string()));
        }
        Err(error) => error,
    };
    Err(match &error {
        regex_syntax::Error::Parse(error) => {
            use regex_syntax::ast::ErrorKind;
            let span = error.span();
            let refused = refused(span.start.offset, span.end.offset, error.kind().to_string());
            match error.kind() {
                ErrorKind::UnsupportedLookAround => refused.hint(
                    "look-around could take time without bound: use a second `filter`, or `not \
                     like`",
                ),
                ErrorKind::UnsupportedBackreference => refused.hint(
                    "a back-reference could take time without bound: extract with `parse` and \
                     compare",
                ),
                _ => refused,
            }
        }
        regex_syntax::Error::Translate(error) => {
            let span = error.span();
            refused(span.start.offset, span.end.offset, error.kind().to_string())
        }
        error => refused(0, pattern.len(), error.to_string()),
    })
}

fn described(token: &Token) -> String {
    match token {
        Token::Word(word) => format!("`{word}`"),
        Token::Quoted(name) => format!("the name `{name}`"),
        Token::Number(number) => format!("the number {number}"),
        Token::Text(_) => "a text".to_owned(),
        Token::Sign(sign) => format!("`{sign}`"),
        Token::End => "the end".to_owned(),
    }
}
