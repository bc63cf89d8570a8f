//! CloudWatch Logs Insights: its query language, run on the tables of telemetry.
//!
//! A query is a list of commands with `|` between them, each working on the rows of the one
//! before:
//!
//! ```text
//!  text ─► parse ─► commands ─► compile ─► LogicalPlan ─► DataFusion
//!          lex.rs   syntax.rs   compile.rs   (one step for each command)
//!          parse.rs             expression.rs, stats.rs, functions.rs
//! ```
//!
//! Fields have no types, as in CloudWatch: what is not a column of the table is looked for in the
//! row's attributes and then in its text ([`discover`](self)), and a text counts as a number where
//! one is needed. Whatever is wrong is an [`InsightsError`] that points at the place.
//!
//! Start reading at `syntax.rs`, then `compile.rs`.

mod compile;
mod discover;
mod error;
mod expression;
mod functions;
mod lex;
mod parse;
mod pattern;
mod scalar;
mod stats;
mod syntax;

#[cfg(test)]
mod tests;

use datafusion::logical_expr::LogicalPlan;
use release::Timestamp;

pub use error::InsightsError;

/// The most rows that a query answers with, whatever it asks for.
pub const MAX_LIMIT: usize = 100_000;
/// How many rows a query answers with that does not say.
pub const DEFAULT_LIMIT: usize = 10_000;
/// The most bytes of a query, as CloudWatch has it.
pub const MAX_QUERY: usize = 10_000;
/// How deep expressions may be nested.
const MAX_DEPTH: usize = 32;

/// A query that was read and has no mistakes of spelling.
#[derive(Debug, Clone)]
pub struct Query {
    text: String,
    commands: Vec<syntax::Command>,
}

/// What a query is compiled over.
#[derive(Debug, Clone)]
pub struct Source {
    /// The table's rows of the time that is asked about.
    pub rows: LogicalPlan,
    /// Its rows of the time before that `diff` compares with: [`Query::compared`] says which.
    pub before: Option<LogicalPlan>,
    /// The present moment.
    pub now: Timestamp,
    /// The most rows, whatever the query says.
    pub limit: usize,
}

/// Which earlier time a query compares with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// The time of the same length just before.
    Previous,
    /// The same time so many days earlier.
    DaysEarlier(i64),
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    ///
    /// If it is misspelt.
    pub fn parse(text: &str) -> Result<Self, InsightsError> {
        Ok(Self { text: text.to_owned(), commands: parse::parse(text)? })
    }

    /// The table it asks: what `SOURCE` names, else `logs`.
    pub fn table(&self) -> &str {
        let named = self.commands.iter().find_map(|command| match &command.step {
            syntax::Step::Source(table) => Some(table.as_str()),
            _ => None,
        });
        named.unwrap_or("logs")
    }

    /// The most rows that it is answered with: what is `asked` for, else as many as its own `limit`
    /// leaves, else [`DEFAULT_LIMIT`]; never more than [`MAX_LIMIT`].
    pub fn limit(&self, asked: Option<usize>) -> usize {
        let limits = |command: &syntax::Command| matches!(command.step, syntax::Step::Limit(_));
        let own = if self.commands.iter().any(limits) { MAX_LIMIT } else { DEFAULT_LIMIT };
        asked.unwrap_or(own).min(MAX_LIMIT)
    }

    /// The earlier time that it compares with, if it does.
    pub fn compared(&self) -> Option<Compared> {
        self.commands.iter().find_map(|command| match command.step {
            syntax::Step::Diff(compared) => Some(compared),
            _ => None,
        })
    }

    /// Makes a plan of it.
    ///
    /// # Errors
    ///
    /// If it names what is not there, or does with it what cannot be done.
    pub fn compile(&self, source: Source) -> Result<LogicalPlan, InsightsError> {
        compile::compile(&self.text, &self.commands, source)
    }
}
