//! What is wrong with a file of results.

/// The first thing that is wrong: where, what, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct InputError {
    /// A line, a line and a column, or a key such as `arms[1].successes`.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl InputError {
    pub(super) fn new(
        place: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { place: place.into(), message: message.into(), hint: hint.into() }
    }
}

/// How places are named in what is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    /// Elements of the list under this key, counted from 0.
    Key(&'static str),
    /// Lines of a table, counted from 1.
    Lines,
}

impl Origin {
    /// The place of a row.
    pub(super) fn row(self, at: usize) -> String {
        match self {
            Self::Key(key) => format!("`{key}[{at}]`"),
            Self::Lines => format!("line {at}"),
        }
    }

    /// The place of a field of a row.
    pub(super) fn field(self, at: usize, field: &str) -> String {
        match self {
            Self::Key(key) => format!("`{key}[{at}].{field}`"),
            Self::Lines => format!("line {at}, column `{field}`"),
        }
    }

    /// The place of all rows.
    pub(super) fn all(self) -> String {
        match self {
            Self::Key(key) => format!("`{key}`"),
            Self::Lines => "the table".to_owned(),
        }
    }
}
