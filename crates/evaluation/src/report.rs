//! What a run found, to look at: a page in HTML, two runs side by side, and JUnit's XML for a
//! build server.
//!
//! A page stands for itself: no script, and nothing is loaded. All text of cases and answers is
//! escaped, and the page's own policy forbids the rest.

mod compare;
mod junit;
mod page;

use crate::answer::Spend;
use crate::run::{Run, State, Verdict};
use crate::scorers::Outcome;

pub use compare::html_compared;
pub use junit::{attribute, junit};
pub use page::html;

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --good: #1a7f37; --bad: #c62828;
  --warn: #b26a00; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem;
  border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; margin: .2rem 0 .8rem;
  padding: .5rem .7rem; background: var(--soft); font: 13px/1.45 ui-monospace, monospace; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: .3rem .8rem; }
summary { cursor: pointer; } summary span { margin-left: .6rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.note { opacity: .75; } code { font-size: .9em; }
.sides { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
ins { background: #1a7f3733; text-decoration: none; } del { background: #c6282833; }
";

/// A whole page around `body`.
fn shell(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// `text` for HTML and XML, in content and in quoted attributes. What XML 1.0 has no place for
/// becomes the replacement character.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' => escaped.push(c),
            '\r' => escaped.push_str("&#13;"),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push('\u{fffd}');
            }
            _ => escaped.push(c),
        }
    }
    escaped
}

/// A number to three places; a dash for none.
fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
}

/// What the run says, for people, and how the page marks it.
fn verdict(run: &Run) -> (String, &'static str) {
    match (run.verdict(), &run.state) {
        (Verdict::Passed, _) => ("passed".to_owned(), "good"),
        (Verdict::Failed, _) => ("failed".to_owned(), "bad"),
        (Verdict::Error, _) => ("errors: answers or scores are missing".to_owned(), "warn"),
        (_, State::Stopped { reason }) => {
            let done = run.results.len();
            (format!("stopped: {reason} ({done} of {} done)", run.planned), "warn")
        }
        _ => ("inconclusive: nothing decides".to_owned(), "warn"),
    }
}

/// What a run has cost.
fn spend(spend: &Spend) -> String {
    let cost = spend.cost.map_or_else(|| "unknown".to_owned(), |cost| cost.to_string());
    let unpriced = match spend.unpriced {
        0 => String::new(),
        count => format!(", {count} of them without a known price"),
    };
    format!("{cost} for {} calls{unpriced}", spend.calls)
}

/// An outcome in a few words, and how the page marks it.
fn outcome(outcome: Option<&Outcome>) -> (String, &'static str) {
    match outcome {
        None => ("–".to_owned(), "note"),
        Some(Outcome::NotApplicable { .. }) => ("not applicable".to_owned(), "note"),
        Some(Outcome::Error { .. }) => ("error".to_owned(), "warn"),
        Some(Outcome::Scored(score)) => {
            let class = match score.pass {
                Some(true) => "good",
                Some(false) => "bad",
                None => "",
            };
            (number(Some(score.value)), class)
        }
    }
}

/// How an outcome came about.
fn why(outcome: Option<&Outcome>) -> &str {
    match outcome {
        None => "",
        Some(Outcome::NotApplicable { reason } | Outcome::Error { reason, .. }) => reason,
        Some(Outcome::Scored(score)) => score.explanation.as_deref().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
