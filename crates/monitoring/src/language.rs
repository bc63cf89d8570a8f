//! The languages that telemetry is queried in.

use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::insights::Query;

/// A language of queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// SQL, as DataFusion has it.
    Sql,
    /// CloudWatch Logs Insights.
    Insights,
}

/// What is wrong with a query's spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misspelt {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Language {
    /// The language that a text is probably in: what begins as SQL does is SQL.
    pub fn of(text: &str) -> Self {
        const FIRST: [&str; 6] = ["select", "with", "explain", "show", "describe", "values"];
        let code = text.lines().map(str::trim_start);
        let mut code = code.filter(|line| !line.is_empty() && !line.starts_with(['#', '-']));
        let line = code.next().unwrap_or_default().trim_start_matches('(');
        let word = line.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        match FIRST.iter().any(|first| first.eq_ignore_ascii_case(word)) {
            true => Self::Sql,
            false => Self::Insights,
        }
    }

    /// How files in it end.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Insights => "insights",
        }
    }

    /// Whether a text is spelt right. What it names is not looked up.
    ///
    /// # Errors
    ///
    /// What is wrong, and where.
    pub fn check(self, text: &str) -> Result<(), Misspelt> {
        match self {
            Self::Insights => match Query::parse(text) {
                Ok(_) => Ok(()),
                Err(error) => Err(Misspelt {
                    line: error.line,
                    column: error.column,
                    message: error.message,
                    hint: error.hint,
                }),
            },
            Self::Sql => check_sql(text),
        }
    }
}

fn check_sql(text: &str) -> Result<(), Misspelt> {
    let misspelt = |(line, column), message: String, hint: Option<&str>| Misspelt {
        line,
        column,
        message,
        hint: hint.map(str::to_owned),
    };
    let parsed = DFParser::parse_sql(text).map_err(|error| {
        let message = error.strip_backtrace();
        misspelt(place(&message).unwrap_or((1, 1)), message, None)
    })?;
    let reads = |statement: &Statement| match statement {
        Statement::Statement(statement) => matches!(
            statement.as_ref(),
            SqlStatement::Query(_)
                | SqlStatement::ExplainTable { .. }
                | SqlStatement::ShowTables { .. }
                | SqlStatement::ShowColumns { .. }
        ),
        Statement::Explain(_) => true,
        _ => false,
    };
    match parsed.len() {
        1 if parsed.iter().all(reads) => Ok(()),
        1 => Err(misspelt((1, 1), "this is no query".to_owned(), Some("tables are only read"))),
        count => {
            let message = format!("one statement is expected here, not {count}");
            Err(misspelt((1, 1), message, None))
        }
    }
}

/// The place that the SQL parser tells at the end of a message.
fn place(message: &str) -> Option<(u32, u32)> {
    let (_, rest) = message.rsplit_once("Line: ")?;
    let (line, rest) = rest.split_once(", Column: ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((line.parse().ok()?, rest[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests;
