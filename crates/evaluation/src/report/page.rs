//! The page of one run.

use std::fmt::Write;

use super::{escape, number, outcome, shell, spend, verdict, why};
use crate::answer::Answer;
use crate::run::{Answered, CaseResult, Run, Summary};
use crate::scorers::Outcome;

/// A page about `run`.
pub fn html(run: &Run) -> String {
    let mut body = format!("<h1>{}</h1>\n", escape(&run.name));
    body.push_str(&facts(run));
    body.push_str("<h2>Scorers</h2>\n");
    body.push_str(&scorers(run));
    body.push_str("<h2>Cases</h2>\n");
    for result in &run.results {
        body.push_str(&case(result));
    }
    if run.results.len() < run.planned {
        let left = run.planned - run.results.len();
        body.push_str(&format!("<p class=\"warn\">{left} were not asked.</p>\n"));
    }
    shell(&run.name, &body)
}

/// What was run, and what came out.
pub(super) fn facts(run: &Run) -> String {
    let (said, class) = verdict(run);
    let mut list = String::from("<dl>\n");
    let mut fact = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(list, "<dt>{name}</dt><dd>{value}</dd>");
    };
    fact("Verdict", format!("<strong class=\"{class}\">{}</strong>", escape(&said)));
    fact("Release", format!("<code>{}</code>", run.subject));
    fact("Suite", format!("<code>{}</code>", run.suite));
    let held = match run.given() {
        0 => String::new(),
        given => format!(", {given} of them held by the cases"),
    };
    let answers = run.results.len() - run.unanswered();
    fact("Answers", format!("{answers} of {}{held}", run.planned));
    fact("Cost", escape(&spend(&run.spend)));
    if let Some(judge) = &run.judge {
        let model = escape(&judge.model);
        fact("Judge", format!("{model} <code>{}</code>", judge.digest));
        let prompts = judge.prompts.iter();
        let prompts = prompts
            .map(|(name, digest)| format!("{} <code>{}</code>", escape(name), digest.short()));
        fact("Prompts", prompts.collect::<Vec<_>>().join(", "));
    }
    list.push_str("</dl>\n");
    list
}

fn scorers(run: &Run) -> String {
    let mut table = String::from(
        "<table>\n<tr><th>Scorer</th><th class=\"number\">Mean</th><th class=\"number\">Scores</th>\
         <th class=\"number\">Pass</th><th class=\"number\">Fail</th><th class=\"number\">Errors</th>\
         <th class=\"number\">Not applicable</th><th>Says</th></tr>\n",
    );
    for (name, summary) in &run.summaries {
        let Summary { mean, n, passed, failed, errors, not_applicable, .. } = summary;
        let _ = writeln!(
            table,
            "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{n}</td>\
             <td class=\"number\">{passed}</td><td class=\"number\">{failed}</td>\
             <td class=\"number\">{errors}</td><td class=\"number\">{not_applicable}</td>\
             <td>{}</td></tr>",
            escape(name),
            number(*mean),
            says(summary),
        );
    }
    table.push_str("</table>\n");
    table
}

/// What a scorer's scores mean for the verdict.
fn says(summary: &Summary) -> String {
    let mut said = match (summary.pass_rate, &summary.advisory) {
        (_, Some(why)) => format!("<span class=\"warn\">decides nothing: {}</span>", escape(why)),
        (None, None) => "<span class=\"note\">no bounds</span>".to_owned(),
        (Some(rate), None) => {
            let (word, class) =
                if rate < summary.required { ("less", "bad") } else { ("no less", "good") };
            format!(
                "<span class=\"{class}\">{rate:.3} pass, {word} than {:.3}</span>",
                summary.required
            )
        }
    };
    if let Some(agreement) = &summary.agreement {
        let interval = agreement.interval;
        let interval = interval
            .map(|(low, high)| format!(" (95 %: {low:.2} to {high:.2})"))
            .unwrap_or_default();
        let kappa = agreement.kappa.map_or_else(|| "undefined".to_owned(), |it| format!("{it:.2}"));
        let _ = write!(said, "<br>κ with people {kappa}{interval}, {} labels", agreement.n);
        if agreement.undecided + agreement.unscored > 0 {
            let (undecided, unscored) = (agreement.undecided, agreement.unscored);
            let _ = write!(said, "; {undecided} undecided, {unscored} without a score");
        }
    }
    if !summary.steps.is_empty() {
        let _ = write!(said, "<br>Steps: {}", escape(&summary.steps.join(" · ")));
    }
    said
}

fn case(result: &CaseResult) -> String {
    let bad = |outcome: &Outcome| {
        let fails = outcome.score().is_some_and(|score| score.pass == Some(false));
        fails || matches!(outcome, Outcome::Error { .. })
    };
    let opened = result.answered.answer().is_none() || result.scores.values().any(bad);
    let mut shown = format!(
        "<details{}>\n<summary>{}{}</summary>\n",
        if opened { " open" } else { "" },
        title(result),
        badges(result)
    );
    shown.push_str(&question(result));
    shown.push_str(&answered(&result.answered));
    shown.push_str(&scores(result));
    shown.push_str("</details>\n");
    shown
}

/// A case's id and which time it was asked.
pub(super) fn title(result: &CaseResult) -> String {
    let again = match result.repeat {
        0 => String::new(),
        repeat => format!(" <span class=\"note\">again ({})</span>", repeat + 1),
    };
    format!("<code>{}</code>{again}", escape(&result.case))
}

fn badges(result: &CaseResult) -> String {
    if result.answered.answer().is_none() {
        return "<span class=\"warn\">no answer</span>".to_owned();
    }
    let badge = |(name, found): (&String, &Outcome)| {
        let (text, class) = outcome(Some(found));
        format!("<span class=\"{class}\">{} {text}</span>", escape(name))
    };
    result.scores.iter().map(badge).collect()
}

/// What was asked, and what was expected.
pub(super) fn question(result: &CaseResult) -> String {
    let mut shown = block("Question", &result.question);
    if let Some(expected) = &result.expected {
        shown.push_str(&block("Expected", expected));
    }
    shown
}

fn answered(answered: &Answered) -> String {
    match answered {
        Answered::Failed { reason } => block("No answer", reason),
        Answered::Given(answer) => {
            block("Answer that the case holds", &answer.text) + &made(answer)
        }
        Answered::Answer(answer) => block("Answer", &answer.text) + &made(answer),
        Answered::Erased(answer) => {
            block("Answer", "erased with a document that it was given") + &made(answer)
        }
    }
}

/// How an answer was made.
fn made(answer: &Answer) -> String {
    let latency = answer.latency.map(|seconds| format!("{seconds:.3} s"));
    let cost = answer.cost.map(|cost| cost.to_string());
    let trace = answer.trace.as_ref().map(|trace| format!("trace {trace}"));
    let cited =
        (!answer.citations.is_empty()).then(|| format!("cites {}", answer.citations.join(", ")));
    let facts = [answer.model.clone(), answer.finish_reason.clone(), latency, cost, trace, cited];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    let mut shown = String::new();
    if !facts.is_empty() {
        let _ = writeln!(shown, "<p class=\"note\">{}</p>", escape(&facts.join(" · ")));
    }
    for passage in &answer.passages {
        let score = passage.score.map(|score| format!(", {score:.3}")).unwrap_or_default();
        let name = format!("Passage {} of {}{score}", passage.id, passage.document);
        shown.push_str(&block(&name, &passage.text));
    }
    shown
}

fn scores(result: &CaseResult) -> String {
    if result.scores.is_empty() {
        return String::new();
    }
    let mut table = String::from("<table>\n");
    for (name, found) in &result.scores {
        let (text, class) = outcome(Some(found));
        let people = match result.labels.get(name) {
            Some(Some(true)) => "people: pass",
            Some(Some(false)) => "people: fail",
            Some(None) => "people differ",
            None => "",
        };
        let _ = writeln!(
            table,
            "<tr><td>{}</td><td class=\"number {class}\">{text}</td><td>{}</td><td>{people}</td></tr>",
            escape(name),
            escape(why(Some(found))),
        );
    }
    table.push_str("</table>\n");
    table
}

/// A text with a heading.
pub(super) fn block(name: &str, text: &str) -> String {
    format!("<div class=\"note\">{}</div>\n<pre>{}</pre>\n", escape(name), escape(text))
}
