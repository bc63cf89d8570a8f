//! `pattern` and `diff`: what log lines have in common.
//!
//! Lines are put together as in Drain (He et al., “Drain: An Online Log Parsing Approach with Fixed
//! Depth Tree”, ICWS 2017): what looks like a number, an address or a time is a variable from the
//! start; lines with equally many words, of which at least half are the same, are one pattern, and
//! the words that differ become variables.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    ArrayRef, AsArray, Int64Array, ListArray, StringArray, StructArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::expr_fn::{abs, get_field};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, Expr, Volatility, create_udaf, lit, when,
};
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::InsightsError;
use super::compile::{CURRENT, Rows};
use super::expression::{Names, column, float};
use super::syntax::{Expression, Node, Span};

/// The most patterns that are told apart. What fits none of them counts to the most alike.
const MAX_PATTERNS: usize = 1_000;
/// The most words of a line that count.
const MAX_WORDS: usize = 64;
/// A variable whose kind is not known.
const TOKEN: &str = "<Token>";

const PATTERN: &str = "@pattern";
const COUNT: &str = "@sampleCount";
const BEFORE: &str = "@previousCount";
const SEVERITY: &str = "@severityLabel";

impl Rows<'_> {
    /// Leaves the patterns of a text, the most frequent first.
    pub fn pattern(&mut self, of: &Expression, span: &Span) -> Result<(), InsightsError> {
        self.patterns(of, span)?;
        let named = [PATTERN, "@ratio", COUNT, SEVERITY];
        self.shown = Some(named.map(|name| (name.to_owned(), span.clone())).into());
        Ok(())
    }

    fn patterns(&mut self, of: &Expression, span: &Span) -> Result<(), InsightsError> {
        let text = self.compiler.text_value(of, self)?;
        let current = match self.compares && self.open {
            true => column(CURRENT),
            false => lit(true),
        };
        let found = self.hide();
        let computed = patterns().call(vec![text, current]).alias(&found);
        self.step(span, |plan| {
            plan.aggregate(Vec::<Expr>::new(), vec![computed])?.unnest_column(found.as_str())
        })?;
        let part = |name: &str| get_field(column(&found), name);
        let columns = vec![
            (PATTERN.to_owned(), part("pattern")),
            ("@ratio".to_owned(), float(part("count")) / float(part("total"))),
            (COUNT.to_owned(), part("count")),
            (BEFORE.to_owned(), part("before")),
            (SEVERITY.to_owned(), part("severity")),
        ];
        self.leave(span, columns)?;
        let (count, pattern) = (self.field(COUNT, span)?, self.field(PATTERN, span)?);
        self.order = vec![count.sort(false, false), pattern.sort(true, false)];
        Ok(())
    }

    /// Leaves the patterns whose number changed, the greatest change first.
    pub fn diff(&mut self, span: &Span) -> Result<(), InsightsError> {
        let patterned = self.names.iter().any(|(name, _)| name == BEFORE);
        if self.open {
            let message = Node::Field("@message".to_owned());
            self.patterns(&Expression { node: message, span: span.clone() }, span)?;
        } else if !patterned {
            let error = self.compiler.error(span, "`diff` compares log events or patterns");
            return Err(error.hint("`stats` may come after it"));
        }
        let (now, before) = (self.field(COUNT, span)?, self.field(BEFORE, span)?);
        let change = now.clone() - before.clone();
        let described = when(before.clone().eq(lit(0_i64)), lit("New"))
            .when(now.eq(lit(0_i64)), lit("Gone"))
            .when(change.clone().gt(lit(0_i64)), lit("More"))
            .when(change.clone().lt(lit(0_i64)), lit("Fewer"))
            .otherwise(lit("Same"));
        let described = self.planned(span, described)?;
        let added = vec![
            ("@difference".to_owned(), change.clone()),
            ("@differenceDescription".to_owned(), described),
        ];
        self.add(span, added)?;
        let pattern = self.field(PATTERN, span)?;
        self.order = vec![abs(change).sort(false, false), pattern.sort(true, false)];
        let named = [PATTERN, COUNT, BEFORE, "@difference", "@differenceDescription", SEVERITY];
        self.shown = Some(named.map(|name| (name.to_owned(), span.clone())).into());
        Ok(())
    }
}

/// One pattern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pattern {
    words: Vec<String>,
    /// Lines of the time that is asked about.
    count: i64,
    /// Lines of the time before.
    before: i64,
    severity: Option<String>,
}

/// Patterns by how many words they have.
#[derive(Debug, Clone, Default)]
struct Patterns {
    by_length: BTreeMap<usize, Vec<Pattern>>,
    number: usize,
}

impl Patterns {
    fn add(&mut self, added: Pattern) {
        let full = self.number >= MAX_PATTERNS;
        let alike = self.by_length.entry(added.words.len()).or_default();
        let scored = alike.iter_mut().map(|pattern| (same(&pattern.words, &added.words), pattern));
        // The first of those that are equally alike, so that the same lines give the same patterns.
        let best = scored.rev().max_by_key(|(same, _)| *same);
        match best {
            Some((same, pattern)) if full || 2 * same >= added.words.len() => {
                pattern.count += added.count;
                pattern.before += added.before;
                for (word, other) in pattern.words.iter_mut().zip(added.words) {
                    if *word != other {
                        *word = TOKEN.to_owned();
                    }
                }
            }
            _ => {
                alike.push(added);
                self.number += 1;
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Pattern> {
        self.by_length.values().flatten()
    }
}

/// How many words are the same, or variable.
fn same(left: &[String], right: &[String]) -> usize {
    let same = |(a, b): &(&String, &String)| a == b || *a == TOKEN || *b == TOKEN;
    left.iter().zip(right).filter(same).count()
}

/// A line's words, with names of kinds for what varies in any line.
fn words(line: &str) -> Vec<String> {
    const KINDS: [&str; 5] = ["Time", "UUID", "IP", "Hex", "Number"];
    static VARIABLE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(concat!(
            r"(\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?|",
            r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?)",
            r"|(\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b)",
            r"|(\b\d{1,3}(?:\.\d{1,3}){3}\b)",
            r"|(\b0x[0-9a-fA-F]+\b|\b(?:[0-9]+[a-fA-F]|[a-fA-F]+[0-9])[0-9a-fA-F]{6,}\b)",
            r"|(\d+(?:\.\d+)?)",
        ))
        .ok()
    });
    let masked = match &*VARIABLE {
        Some(variable) => variable.replace_all(line, |found: &regex::Captures<'_>| {
            let kind = (1..found.len()).find(|group| found.get(*group).is_some());
            format!("<{}>", KINDS[kind.unwrap_or(KINDS.len()) - 1])
        }),
        None => line.into(),
    };
    masked.split_whitespace().take(MAX_WORDS).map(str::to_owned).collect()
}

/// How severe a line says it is.
fn severity(line: &str) -> Option<String> {
    const LABELS: [&str; 6] = ["FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
    let line = line.to_ascii_uppercase();
    let found = LABELS.into_iter().filter_map(|label| Some((line.find(label)?, label)));
    found.min().map(|(_, label)| label.to_owned())
}

/// A pattern's text, with its variables numbered.
fn written(words: &[String]) -> String {
    let mut number = 0;
    let mut text = words.join(" ");
    for kind in ["Time", "UUID", "IP", "Hex", "Number", "Token"] {
        text = text.replace(&format!("<{kind}>"), &format!("<{kind}-\u{0}>"));
    }
    while text.contains('\u{0}') {
        number += 1;
        text = text.replacen('\u{0}', &number.to_string(), 1);
    }
    text
}

/// The function of many rows that finds patterns, as a list of structures.
fn patterns() -> AggregateUDF {
    let returns = Arc::new(DataType::List(Arc::new(Field::new("item", item(), true))));
    create_udaf(
        "patterns",
        vec![DataType::Utf8, DataType::Boolean],
        returns,
        Volatility::Immutable,
        Arc::new(|_| Ok(Box::new(Patterns::default()))),
        Arc::new(vec![DataType::Utf8]),
    )
}

fn item() -> DataType {
    let number = |name| Field::new(name, DataType::Int64, true);
    let text = |name| Field::new(name, DataType::Utf8, true);
    DataType::Struct(Fields::from(vec![
        text("pattern"),
        number("count"),
        number("before"),
        number("total"),
        text("severity"),
    ]))
}

impl Accumulator for Patterns {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (lines, current) = (values[0].as_string::<i32>(), values[1].as_boolean());
        for (line, current) in lines.iter().zip(current) {
            let Some(line) = line else { continue };
            let now = i64::from(current.unwrap_or(true));
            let (words, severity) = (words(line), severity(line));
            self.add(Pattern { words, count: now, before: 1 - now, severity });
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let all: Vec<_> = self.all().collect();
        let total: i64 = all.iter().map(|pattern| pattern.count).sum();
        let texts = all.iter().map(|pattern| Some(written(&pattern.words)));
        let severities = all.iter().map(|pattern| pattern.severity.as_deref());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(texts.collect::<StringArray>()),
            Arc::new(all.iter().map(|pattern| pattern.count).collect::<Int64Array>()),
            Arc::new(all.iter().map(|pattern| pattern.before).collect::<Int64Array>()),
            Arc::new(all.iter().map(|_| total.max(1)).collect::<Int64Array>()),
            Arc::new(severities.collect::<StringArray>()),
        ];
        let DataType::Struct(fields) = item() else {
            return Err(DataFusionError::Internal("patterns are structures".to_owned()));
        };
        let items = Arc::new(StructArray::try_new(fields, columns, None)?);
        let field = Arc::new(Field::new("item", item(), true));
        let offsets = OffsetBuffer::from_lengths([all.len()]);
        Ok(ScalarValue::List(Arc::new(ListArray::try_new(field, offsets, items, None)?)))
    }

    fn size(&self) -> usize {
        let words = self.all().flat_map(|pattern| &pattern.words);
        size_of::<Self>() + words.map(|word| word.len() + size_of::<String>()).sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let all: Vec<_> = self.all().collect();
        let state = serde_json::to_string(&all);
        let state = state.map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(vec![ScalarValue::Utf8(Some(state))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for state in states[0].as_string::<i32>().iter().flatten() {
            let read: Vec<Pattern> = serde_json::from_str(state)
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            read.into_iter().for_each(|pattern| self.add(pattern));
        }
        Ok(())
    }
}
