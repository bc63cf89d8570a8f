//! The prompt library: Markdown files with typed variables, checked before they are released.
//!
//! A prompt is a MiniJinja template behind TOML front matter. Its includes are resolved when it is
//! applied, so that its digest covers every word of it, and rendering reads no files.
//!
//! The nouns: [`Prompt`], [`FrontMatter`] with its [`Variable`]s and [`ModelHints`], and
//! [`PassageView`], what a prompt sees of retrieved knowledge.
//!
//! ```text
//!   prompts/support.md ─normalize─► resolve_includes ─► check ─► artifact (text, digest)
//!   prompts/_style.md  ────────────────┘                            │
//!                                                      Prompt::parse ─► render(variables, passages)
//! ```
//!
//! Start reading at [`Prompt::parse`], then [`resolve_includes`] and [`Prompt::check`].
//!
//! ```
//! let prompt = prompts::Prompt::parse(
//!     "+++\n[variables.company]\ndefault = \"Tarn & Tread\"\n+++\nYou speak for {{ company }}.\n",
//! )?;
//! let rendered = prompt.render(&serde_json::Map::new(), &[])?;
//! assert_eq!(rendered, "You speak for Tarn & Tread.");
//! # Ok::<(), prompts::PromptError>(())
//! ```

mod check;
pub mod codes;
mod compare;
mod error;
mod front_matter;
mod include;
mod language;
mod prompt;
mod text;

pub use compare::diff;
pub use error::PromptError;
pub use front_matter::{FrontMatter, ModelHints, Variable, VariableType};
pub use include::resolve_includes;
pub use language::{FILTERS, FUNCTIONS, TESTS};
pub use prompt::{PassageView, Prompt};
pub use text::{Parts, normalize};

/// The most bytes a prompt may have, includes resolved.
pub const MAX_PROMPT: usize = 1 << 20;
/// The most bytes a rendered prompt may have.
pub const MAX_RENDERED: usize = 4 << 20;
/// The most parts (names, operators, values) of one `{{ … }}` or `{% … %}`.
pub const MAX_PARTS: usize = 256;
/// The most `{% elif %}` branches of one prompt.
pub const MAX_BRANCHES: usize = 100;
