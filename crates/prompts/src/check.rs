//! Finding mistakes in a prompt before it is released.

mod template;

use minijinja::machinery::{Token, parse, tokenize};
use release::{Diagnostic, Place};

use crate::front_matter::{self, Located};
use crate::{MAX_BRANCHES, MAX_PARTS, MAX_PROMPT, Parts, codes, language};

/// Whether a prompt may still have includes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Includes {
    Allowed,
    Resolved,
}

/// Everything wrong with `text`, the contents of `file` with LF line ends, and what its front
/// matter says.
pub(crate) fn check(file: &str, text: &str, includes: Includes) -> (Located, Vec<Diagnostic>) {
    if text.len() > MAX_PROMPT {
        let message = format!("the prompt is larger than {MAX_PROMPT} bytes");
        let finding = Diagnostic::error(codes::TOO_LARGE, Place::start_of(file), message);
        return (Located::default(), vec![finding]);
    }
    let parts = match Parts::of(file, text) {
        Ok(parts) => parts,
        Err(finding) => return (Located::default(), vec![*finding]),
    };
    let mut found = Vec::new();
    let located = front_matter::read(file, text, &parts, &mut found);
    let place = |at: usize| Place::at(file, text, parts.template_offset + at);
    if let Some((at, message)) = too_complex(parts.template) {
        found.push(Diagnostic::error(codes::TOO_LARGE, place(at), message));
        return (located, found);
    }
    match parse(parts.template, file, language::syntax()) {
        Err(error) => found.push(syntax_error(file, text, &parts, &error)),
        Ok(tree) => {
            let findings = template::check(&tree, &located, includes);
            let declared = |at| Place::at(file, text, at);
            found.extend(findings.into_iter().map(|finding| finding.located(place, declared)));
        }
    }
    (located, found)
}

/// Why the template does not parse.
pub(crate) fn syntax_error(
    file: &str,
    text: &str,
    parts: &Parts<'_>,
    error: &minijinja::Error,
) -> Diagnostic {
    let at = error.range().map_or_else(
        || error.line().map_or(0, |line| line_offset(parts.template, line)),
        |range| range.start,
    );
    let place = Place::at(file, text, parts.template_offset + at);
    let what = error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned);
    Diagnostic::error(codes::TEMPLATE, place, what)
}

/// Where line `line`, from 1, begins.
fn line_offset(text: &str, line: usize) -> usize {
    text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum()
}

/// The first tag that nests or branches too far to be parsed within a thread's stack, and what is
/// wrong with it.
pub(crate) fn too_complex(template: &str) -> Option<(usize, String)> {
    let (mut opening, mut parts, mut branches) = (0, 0, 0);
    for (token, span) in tokenize(template, false, language::syntax()).map_while(Result::ok) {
        match token {
            Token::TemplateData(_) => continue,
            Token::BlockStart | Token::VariableStart => {
                opening = span.start_offset as usize;
                parts = 0;
                continue;
            }
            Token::Ident("elif") if parts == 0 => branches += 1,
            _ => {}
        }
        parts += 1;
        if parts > MAX_PARTS {
            return Some((opening, format!("one tag has more than {MAX_PARTS} parts")));
        }
        if branches > MAX_BRANCHES {
            return Some((opening, format!("more than {MAX_BRANCHES} branches of `elif`")));
        }
    }
    None
}

#[cfg(test)]
mod tests;
