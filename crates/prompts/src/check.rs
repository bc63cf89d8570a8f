//! Checking a prompt file: every mistake, at its place.

use std::collections::BTreeSet;

use minijinja::Environment;
use release::{Code, Diagnostic, Place};

use crate::Prompt;
use crate::prompt::{FrontMatter, Parts, TEMPLATE, environment, split};

/// Front matter that is not what it should be.
const FRONT_MATTER: Code = Code::new("GC0201");
/// A template that does not parse.
const SYNTAX: Code = Code::new("GC0202");
/// A name that nothing declares.
const UNDECLARED: Code = Code::new("GC0203");
/// A declared variable that the template does not use.
const UNUSED: Code = Code::new("GC0204");
/// A default that is not of its variable's type.
const DEFAULT_TYPE: Code = Code::new("GC0205");
/// A filter, test or function that does not exist.
const UNKNOWN_FUNCTION: Code = Code::new("GC0206");

impl Prompt {
    /// Every mistake in `text`, the contents of `file`, its includes resolved.
    pub fn check(file: &str, text: &str) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        if text.starts_with("---\n") {
            let message = "the front matter is YAML";
            let finding = Diagnostic::error(FRONT_MATTER, Place::start_of(file), message);
            return vec![finding.hint("write it in TOML, between two lines of `+++`")];
        }
        let parts = match split(text) {
            Ok(parts) => parts,
            Err(error) => {
                let place = Place::start_of(file);
                return vec![Diagnostic::error(FRONT_MATTER, place, error.to_string())];
            }
        };
        // Front matter starts on the line after the fence.
        let front_at = parts.template_at.min(4);
        let front = match toml::from_str::<FrontMatter>(parts.front) {
            Ok(front) => Some(front),
            Err(error) => {
                let offset = front_at + error.span().map_or(0, |span| span.start);
                let place = Place::at(file, text, offset);
                found.push(Diagnostic::error(FRONT_MATTER, place, error.message()));
                None
            }
        };
        check_template(file, text, parts, front.as_ref(), &mut found);
        for (name, variable) in front.iter().flat_map(|front| &front.variables) {
            let wrong = variable.default.as_ref().filter(|value| !variable.r#type.admits(value));
            if wrong.is_some() {
                let place = place_of(file, text, &format!("variables.{name}"));
                let expected = variable.r#type.as_str();
                let message = format!("the default of `{name}` is not of type {expected}");
                found.push(Diagnostic::error(DEFAULT_TYPE, place, message));
            }
        }
        found.sort();
        found
    }
}

fn check_template(
    file: &str,
    text: &str,
    parts: Parts<'_>,
    front: Option<&FrontMatter>,
    found: &mut Vec<Diagnostic>,
) {
    let mut environment = environment();
    if let Err(error) = environment.add_template_owned(TEMPLATE, parts.template.to_owned()) {
        let offset = error.range().map_or(0, |range| range.start);
        let place = Place::at(file, text, parts.template_at + offset);
        let message = error.detail().unwrap_or("the template does not parse").to_owned();
        found.push(Diagnostic::error(SYNTAX, place, message));
        return;
    }
    unknown_functions(file, text, parts, &environment, found);
    let (Some(front), Ok(template)) = (front, environment.get_template(TEMPLATE)) else { return };
    let globals: BTreeSet<_> = environment.globals().map(|(name, _)| name.to_owned()).collect();
    let used: BTreeSet<_> = template.undeclared_variables(false).into_iter().collect();
    for name in &used {
        if name != "passages" && !front.variables.contains_key(name) && !globals.contains(name) {
            let place = place_of(file, text, name);
            let message = format!("`{name}` is not declared");
            let hint = format!("declare it: `[variables.{name}]` with a `type`");
            found.push(Diagnostic::error(UNDECLARED, place, message).hint(hint));
        }
    }
    for name in front.variables.keys().filter(|name| !used.contains(*name)) {
        let place = place_of(file, text, &format!("variables.{name}"));
        let message = format!("`{name}` is declared but the template does not use it");
        found.push(Diagnostic::warning(UNUSED, place, message));
    }
}

/// Filters that do not exist. MiniJinja finds them only when it renders, so the template is looked
/// through for `| name`.
fn unknown_functions(
    file: &str,
    text: &str,
    parts: Parts<'_>,
    environment: &Environment<'_>,
    found: &mut Vec<Diagnostic>,
) {
    let mut at = 0;
    while let Some(open) = parts.template[at..].find('{') {
        let start = at + open;
        let Some(close) = parts.template[start..].find('}') else { return };
        let inside = &parts.template[start..start + close];
        if inside.starts_with("{{") || inside.starts_with("{%") {
            for (pipe, _) in inside.match_indices('|') {
                let after = inside[pipe + 1..].trim_start();
                let name: String =
                    after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let probe = format!("{{{{ ''|{name} }}}}");
                let missing = !name.is_empty() && is_unknown_filter(environment, &probe);
                if missing {
                    let offset = inside.len() - inside[pipe + 1..].len();
                    let place = Place::at(file, text, parts.template_at + start + offset);
                    let message = format!("there is no filter `{name}`");
                    found.push(Diagnostic::error(UNKNOWN_FUNCTION, place, message));
                }
            }
        }
        at = start + close;
    }
}

fn is_unknown_filter(environment: &Environment<'_>, probe: &str) -> bool {
    let rendered = environment.render_str(probe, ());
    rendered.is_err_and(|error| error.kind() == minijinja::ErrorKind::UnknownFilter)
}

/// Where `name` first stands as a whole word.
fn place_of(file: &str, text: &str, name: &str) -> Place {
    let boundary = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    let at = text.match_indices(name).find(|(at, _)| {
        boundary(text[..*at].chars().next_back())
            && boundary(text[at + name.len()..].chars().next())
    });
    Place::at(file, text, at.map_or(0, |(at, _)| at))
}
