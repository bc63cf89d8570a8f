//! The page of two runs side by side. It shows what differs; whether that is more than chance is
//! for statistics to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::page::{facts, question, title};
use super::{escape, number, outcome, shell, why};
use crate::replay::{self, Piece};
use crate::run::{Answered, CaseResult, Run};
use crate::scorers::Outcome;

/// A page about `candidate` beside `base`.
pub fn html_compared(base: &Run, candidate: &Run) -> String {
    let heading = format!("{}: two releases", candidate.name);
    let mut body = format!("<h1>{}</h1>\n<div class=\"sides\">\n", escape(&heading));
    for (name, run) in [("Base", base), ("Candidate", candidate)] {
        let _ = write!(body, "<div><h2>{name}</h2>\n{}</div>\n", facts(run));
    }
    body.push_str("</div>\n");
    if base.suite != candidate.suite {
        body.push_str("<p class=\"warn\">The runs are of different versions of the suite.</p>\n");
    }
    if base.judge != candidate.judge {
        body.push_str("<p class=\"warn\">The runs had different judges or prompts.</p>\n");
    }
    body.push_str("<h2>Scorers</h2>\n");
    body.push_str(&scorers(base, candidate));
    body.push_str("<h2>Cases</h2>\n");
    body.push_str(&cases(base, candidate));
    shell(&heading, &body)
}

fn scorers(base: &Run, candidate: &Run) -> String {
    let names: BTreeSet<&String> =
        base.summaries.keys().chain(candidate.summaries.keys()).collect();
    let mut table = String::from(
        "<table>\n<tr><th>Scorer</th><th class=\"number\">Base</th>\
         <th class=\"number\">Candidate</th><th class=\"number\">Difference</th>\
         <th class=\"number\">Base passes</th><th class=\"number\">Candidate passes</th></tr>\n",
    );
    for name in names {
        let of = |run: &Run| run.summaries.get(name).map(|it| (it.mean, it.pass_rate));
        let (before, rate_before) = of(base).unwrap_or_default();
        let (after, rate_after) = of(candidate).unwrap_or_default();
        let difference = before.zip(after).map(|(before, after)| format!("{:+.3}", after - before));
        let _ = writeln!(
            table,
            "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            escape(name),
            number(before),
            number(after),
            difference.unwrap_or_else(|| "–".to_owned()),
            number(rate_before),
            number(rate_after),
        );
    }
    table.push_str("</table>\n");
    table
}

/// How a case fares with the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Something that passed fails, or cannot be said any more.
    Worse,
    /// Something that failed passes, and nothing is worse.
    Better,
    /// The answer differs, and no scorer minds.
    Other,
    /// Nothing differs.
    None,
}

fn change(before: &CaseResult, after: &CaseResult) -> Change {
    let pass = |result: &CaseResult, name: &str| -> Option<bool> {
        result.scores.get(name).and_then(Outcome::score).and_then(|score| score.pass)
    };
    let names = before.scores.keys().chain(after.scores.keys());
    let names: BTreeSet<&String> = names.collect();
    let moved = names.iter().map(|name| (pass(before, name), pass(after, name)));
    let (mut worse, mut better) = (false, false);
    for (before, after) in moved {
        worse |= before == Some(true) && after != Some(true);
        better |= before != Some(true) && after == Some(true);
    }
    let text = |result: &CaseResult| result.answered.answer().map(|answer| answer.text.clone());
    worse |= text(before).is_some() && text(after).is_none();
    match (worse, better) {
        (true, _) => Change::Worse,
        (_, true) => Change::Better,
        _ if text(before) != text(after) => Change::Other,
        _ => Change::None,
    }
}

fn cases(base: &Run, candidate: &Run) -> String {
    let mut left: BTreeMap<(&str, u32), &CaseResult> =
        base.results.iter().map(|result| ((result.case.as_str(), result.repeat), result)).collect();
    let (mut pairs, mut alone) = (Vec::new(), Vec::new());
    for after in &candidate.results {
        match left.remove(&(after.case.as_str(), after.repeat)) {
            Some(before) => pairs.push((change(before, after), before, after)),
            None => alone.push((after, "candidate")),
        }
    }
    alone.extend(left.into_values().map(|before| (before, "base")));
    let count = |wanted| pairs.iter().filter(|(change, ..)| *change == wanted).count();
    let mut shown = format!(
        "<p><span class=\"bad\">{} worse</span>, <span class=\"good\">{} better</span>, {} \
         otherwise different, {} the same.</p>\n",
        count(Change::Worse),
        count(Change::Better),
        count(Change::Other),
        count(Change::None),
    );
    // The worse first; a stable sort keeps the order of the cases else.
    pairs.sort_by_key(|(change, ..)| *change != Change::Worse);
    for (change, before, after) in pairs {
        shown.push_str(&pair(change, before, after));
    }
    for (result, side) in alone {
        let title = title(result);
        let _ = writeln!(shown, "<p>{title} <span class=\"note\">in the {side} alone</span></p>");
    }
    shown
}

fn pair(change: Change, before: &CaseResult, after: &CaseResult) -> String {
    let (word, class) = match change {
        Change::Worse => ("worse", "bad"),
        Change::Better => ("better", "good"),
        Change::Other => ("different", ""),
        Change::None => ("the same", "note"),
    };
    let opened = if change == Change::Worse { " open" } else { "" };
    let mut shown = format!(
        "<details{opened}>\n<summary>{}<span class=\"{class}\">{word}</span></summary>\n{}",
        title(after),
        question(after)
    );
    let (old, new) = (text(&before.answered), text(&after.answered));
    let (old, new) = marked(old, new);
    let _ = writeln!(
        shown,
        "<div class=\"sides\">\n<div><div class=\"note\">Base</div>\n<pre>{old}</pre></div>\n\
         <div><div class=\"note\">Candidate</div>\n<pre>{new}</pre></div>\n</div>"
    );
    shown.push_str(&scores(before, after));
    shown.push_str("</details>\n");
    shown
}

fn text(answered: &Answered) -> &str {
    match answered {
        Answered::Answer(answer) | Answered::Given(answer) => &answer.text,
        Answered::Erased(_) => "erased with a document that it was given",
        Answered::Failed { reason } => reason,
    }
}

/// Both texts escaped, with the words that differ marked.
fn marked(old: &str, new: &str) -> (String, String) {
    let Some(pieces) = replay::words(old, new) else {
        return (escape(old), escape(new));
    };
    let (mut before, mut after) = (String::new(), String::new());
    for piece in pieces {
        match piece {
            Piece::Same(words) => {
                before.push_str(&escape(&words));
                after.push_str(&escape(&words));
            }
            Piece::Lost(words) => before.push_str(&format!("<del>{}</del>", escape(&words))),
            Piece::Gained(words) => after.push_str(&format!("<ins>{}</ins>", escape(&words))),
        }
    }
    (before, after)
}

fn scores(before: &CaseResult, after: &CaseResult) -> String {
    let names: BTreeSet<&String> = before.scores.keys().chain(after.scores.keys()).collect();
    let mut table = String::from("<table>\n");
    for name in names {
        let (old, new) = (before.scores.get(name), after.scores.get(name));
        let ((was, was_class), (is, is_class)) = (outcome(old), outcome(new));
        let _ = writeln!(
            table,
            "<tr><td>{}</td><td class=\"number {was_class}\">{was}</td><td>{}</td>\
             <td class=\"number {is_class}\">{is}</td><td>{}</td></tr>",
            escape(name),
            escape(why(old)),
            escape(why(new)),
        );
    }
    table.push_str("</table>\n");
    table
}
