//! The prompt library: what turns an app, its variables and its passages into a system message.
//!
//! A prompt is a Markdown file with TOML front matter and a MiniJinja template. Its text, with its
//! includes resolved, is the artifact; identical text is the same version.
//!
//! The nouns: [`Prompt`], [`FrontMatter`], [`Variable`].
//!
//! ```text
//!  prompts/support.md ─► resolve_includes ─► check (every mistake, placed) ─► artifact bytes
//!  artifact bytes ─► Prompt::parse ─► render(variables, passages) ─► system message
//! ```
//!
//! Start reading at [`Prompt::parse`].
//!
//! ```
//! use prompts::Prompt;
//!
//! let prompt = Prompt::parse("+++\n[variables.tone]\ntype = \"string\"\n+++\nBe {{ tone }}.\n")?;
//! let values = serde_json::json!({"tone": "kind"});
//! assert_eq!(prompt.render(values.as_object().unwrap(), &[])?, "Be kind.");
//! # Ok::<(), prompts::PromptError>(())
//! ```

mod check;
mod include;
mod prompt;

pub use include::resolve_includes;
pub use prompt::{
    FrontMatter, ModelHints, PassageView, Prompt, PromptError, Variable, VariableType,
};
