//! Includes are resolved when a prompt is applied, so that its digest covers them.

use std::collections::BTreeMap;

use crate::PromptError;
use crate::prompt::split;

/// How deep includes may nest.
const MAX_DEPTH: usize = 8;
/// The most bytes a resolved prompt may have.
const MAX_RESOLVED: usize = 1 << 20;
/// How many includes one prompt may come to, those of its includes counted.
const MAX_INCLUDES: usize = 1_000;

/// The text of prompt `name` of `library`, every `{% include "other" %}` replaced by the template
/// of that prompt.
///
/// # Errors
/// [`PromptError::Include`] for a name that is not there, not fixed, includes itself or nests
/// deeper than 8 levels, or for more than 1,000 of them; [`PromptError::TooLong`] beyond 1 MiB.
pub fn resolve_includes(
    name: &str,
    library: &BTreeMap<String, String>,
) -> Result<String, PromptError> {
    let text = library.get(name).ok_or_else(|| missing(name))?;
    let path = vec![name.to_owned()];
    let mut expansion = Expansion { library, path, includes: 0, out: String::new() };
    expansion.expand(text)?;
    Ok(expansion.out)
}

struct Expansion<'a> {
    library: &'a BTreeMap<String, String>,
    /// The prompts whose texts are being expanded, outermost first.
    path: Vec<String>,
    includes: usize,
    out: String,
}

impl Expansion<'_> {
    fn expand(&mut self, text: &str) -> Result<(), PromptError> {
        let mut rest = text;
        while let Some(open) = rest.find("{%") {
            let Some(length) = rest[open..].find("%}") else { break };
            let close = open + length + 2;
            let inside = rest[open + 2..close - 2].trim_matches(['-', '+']).trim();
            match inside.strip_prefix("include").filter(|target| !target.starts_with(is_name)) {
                Some(target) => {
                    self.out.push_str(&rest[..open]);
                    self.include(target.trim())?;
                }
                None => self.out.push_str(&rest[..close]),
            }
            rest = &rest[close..];
        }
        self.out.push_str(rest);
        Ok(())
    }

    fn include(&mut self, target: &str) -> Result<(), PromptError> {
        let refuse = |why: String| Err(PromptError::Include(why));
        let within = |quote| target.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        let Some(name) = within('"').or_else(|| within('\'')) else {
            return refuse(format!("`include {target}` must name a fixed prompt in quotes"));
        };
        let name = name.strip_suffix(".md").unwrap_or(name);
        if self.path.iter().any(|outer| outer == name) {
            return refuse(format!("prompt `{name}` includes itself"));
        }
        if self.path.len() >= MAX_DEPTH {
            return refuse(format!("includes nest deeper than {MAX_DEPTH} levels at `{name}`"));
        }
        self.includes += 1;
        if self.includes > MAX_INCLUDES {
            return refuse(format!("more than {MAX_INCLUDES} includes, at `{name}`"));
        }
        let included = self.library.get(name).ok_or_else(|| missing(name))?;
        self.path.push(name.to_owned());
        self.expand(split(included)?.template.trim_end_matches('\n'))?;
        self.path.pop();
        if self.out.len() > MAX_RESOLVED { Err(PromptError::TooLong) } else { Ok(()) }
    }
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn missing(name: &str) -> PromptError {
    PromptError::Include(format!("there is no prompt `{name}` to include"))
}
