//! Includes are resolved when a prompt is applied, so that its digest covers them.

use std::collections::BTreeMap;

use crate::PromptError;
use crate::prompt::split;

/// How deep includes may nest.
const MAX_DEPTH: usize = 8;
/// The most bytes a resolved prompt may have.
const MAX_RESOLVED: usize = 1 << 20;

/// The text of prompt `name` of `library`, every `{% include "other" %}` replaced by the template
/// of that prompt.
///
/// # Errors
/// [`PromptError::Include`] for a name that is not there, not fixed, includes itself or nests
/// deeper than 8 levels.
pub fn resolve_includes(
    name: &str,
    library: &BTreeMap<String, String>,
) -> Result<String, PromptError> {
    let text = library.get(name).ok_or_else(|| missing(name))?;
    let mut out = String::new();
    expand(text, library, &mut vec![name.to_owned()], &mut out)?;
    Ok(out)
}

fn expand(
    text: &str,
    library: &BTreeMap<String, String>,
    path: &mut Vec<String>,
    out: &mut String,
) -> Result<(), PromptError> {
    let mut rest = text;
    while let Some(open) = rest.find("{%") {
        let Some(length) = rest[open..].find("%}") else { break };
        let close = open + length + 2;
        let inside = rest[open + 2..close - 2].trim_matches(['-', '+']).trim();
        let Some(target) = inside.strip_prefix("include").filter(|t| !t.starts_with(is_name))
        else {
            out.push_str(&rest[..close]);
            rest = &rest[close..];
            continue;
        };
        let target = target.trim();
        let quoted = target.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
        let quoted =
            quoted.or_else(|| target.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')));
        let target = quoted.ok_or_else(|| {
            PromptError::Include(format!("`include {target}` must name a fixed prompt in quotes"))
        })?;
        let target = target.strip_suffix(".md").unwrap_or(target);
        if path.iter().any(|name| name == target) {
            return Err(PromptError::Include(format!("prompt `{target}` includes itself")));
        }
        if path.len() >= MAX_DEPTH {
            let message = format!("includes nest deeper than {MAX_DEPTH} levels at `{target}`");
            return Err(PromptError::Include(message));
        }
        out.push_str(&rest[..open]);
        let included = library.get(target).ok_or_else(|| missing(target))?;
        path.push(target.to_owned());
        expand(split(included)?.template.trim_end_matches('\n'), library, path, out)?;
        path.pop();
        if out.len() > MAX_RESOLVED {
            return Err(PromptError::TooLong);
        }
        rest = &rest[close..];
    }
    out.push_str(rest);
    Ok(())
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn missing(name: &str) -> PromptError {
    PromptError::Include(format!("there is no prompt `{name}` to include"))
}
