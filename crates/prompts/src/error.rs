//! What can go wrong with a prompt.

use release::Diagnostic;

/// An operation on a prompt that failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PromptError {
    /// The bytes are not text.
    #[error("not valid UTF-8 at line {line}, column {column}")]
    NotUtf8 {
        /// Line of the first bad byte, from 1.
        line: u32,
        /// Its column in characters, from 1.
        column: u32,
    },
    /// The text has mistakes that [`crate::Prompt::check`] reports.
    #[error("{}", summary(.0))]
    Invalid(Vec<Diagnostic>),
    /// An include names a prompt that does not exist, or asks for more than a name.
    #[error("`{prompt}` line {line}, column {column}: {message}")]
    Include {
        /// The prompt with the include.
        prompt: String,
        /// Line, from 1.
        line: u32,
        /// Column in characters, from 1.
        column: u32,
        /// What is wrong with it.
        message: String,
    },
    /// Prompts include each other in a circle.
    #[error("prompts include each other in a circle: `{}`", .0.join("` → `"))]
    IncludeCycle(
        /// The names, the first and last being the same.
        Vec<String>,
    ),
    /// There is no prompt of this name to resolve.
    #[error("there is no prompt `{0}`")]
    Missing(
        /// The name.
        String,
    ),
    /// With its includes resolved, the prompt is too large.
    #[error("prompt `{prompt}` is larger than {limit} bytes with its includes")]
    TooLarge {
        /// The prompt.
        prompt: String,
        /// The most bytes.
        limit: usize,
    },
    /// A required variable was not given.
    #[error("variable `{name}` is required")]
    MissingVariable {
        /// The variable.
        name: String,
    },
    /// A variable was given a value that it cannot have. The value is not repeated.
    #[error("variable `{name}` must be {expected}")]
    WrongVariable {
        /// The variable.
        name: String,
        /// What it may be.
        expected: String,
    },
    /// The template failed on these variables and passages.
    #[error("line {line}: {message}")]
    Render {
        /// Line of the prompt, from 1.
        line: u32,
        /// What happened.
        message: String,
    },
    /// The rendered text is larger than [`crate::MAX_RENDERED`], or making it takes too much work.
    #[error("rendering takes more work or space than is allowed")]
    TooMuch,
}

fn summary(findings: &[Diagnostic]) -> String {
    match findings {
        [] => "the prompt is not valid".to_owned(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}
