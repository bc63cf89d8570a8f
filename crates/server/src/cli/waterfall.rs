//! A trace as a waterfall: who caused whom, when each span began, how long it took, what failed.
//!
//! It is drawn from `spans`, the rows of the table of that name as JSON. Traces may have any
//! number of spans; what is not drawn is counted.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};

use release::Timestamp;
use serde_json::{Value, json};

use super::show::{rows, text};

/// The most spans that are drawn.
const LINES: usize = 200;
/// The most spans that are drawn below one.
const BELOW: usize = 12;
/// Beyond, spans are only counted.
const DEPTH: usize = 32;
/// The columns of a bar.
const BAR: usize = 30;
/// The most characters of a name with what leads to it.
const LABEL: usize = 48;

/// What is drawn of a span.
struct Span<'a> {
    row: &'a Value,
    start: i64,
    duration: i64,
    failed: bool,
    children: Vec<usize>,
    /// How many spans are below, and how many of them failed.
    below: usize,
    failed_below: usize,
}

/// The spans of a trace in lines.
pub fn waterfall(spans: &Value) -> String {
    let tree = Tree::new(spans);
    let Some(first) = tree.spans.iter().map(|span| span.start).min() else {
        return "no spans".to_owned();
    };
    let end = tree.spans.iter().map(|span| span.start + span.duration).max().unwrap_or(first);
    let total = (end - first).max(1);
    let drawn = tree.drawn();
    let mut lines = Vec::new();
    tree.draw(&drawn, &mut lines);

    let many = lines
        .iter()
        .any(|line| matches!(line, Line::Span { at, .. } if tree.service(*at) != tree.service(0)));
    let label = |line: &Line| line.label(&tree).chars().count();
    let widest = lines.iter().filter(|line| matches!(line, Line::Span { .. })).map(label).max();
    let widest = widest.unwrap_or(0).min(LABEL);
    let service = tree.spans.iter().enumerate().map(|(at, _)| tree.service(at).chars().count());
    let service = if many { service.max().unwrap_or(0).min(20) } else { 0 };
    let failed = tree.spans.iter().filter(|span| span.failed).count();
    let counted = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    let mut out = vec![format!(
        "{} in {}, {}",
        counted(tree.spans.len(), "span"),
        took(total),
        if failed == 0 { "none failed".to_owned() } else { format!("{failed} failed") }
    )];
    for line in &lines {
        let label = cut(&line.label(&tree), widest);
        match line {
            Line::Span { at, .. } => {
                let span = &tree.spans[*at];
                let start = span.start - first;
                let whose = match many {
                    true => format!("  {:<service$}", cut(&tree.service(*at), service)),
                    false => String::new(),
                };
                let line = format!(
                    "{label:<widest$}{whose}  {:>9}  {:>9}  {}  {}",
                    took(start),
                    took(span.duration),
                    bar(start, span.duration, total),
                    tree.details(*at)
                );
                out.push(line.trim_end().to_owned());
            }
            Line::More { .. } => out.push(line.label(&tree)),
        }
    }
    if tree.knotted > 0 {
        let spans = counted(tree.knotted, "span");
        out.push(format!("{spans} caused by themselves, not drawn"));
    }
    if tree.repeated > 0 {
        out.push(format!("{} sent again, drawn once", counted(tree.repeated, "span")));
    }
    out.join("\n")
}

enum Line {
    Span {
        at: usize,
        lead: String,
    },
    /// What is not drawn of the spans below one.
    More {
        lead: String,
        text: String,
    },
}

impl Line {
    fn label(&self, tree: &Tree<'_>) -> String {
        match self {
            Self::Span { at, lead } => format!("{lead}{}", tree.name(*at)),
            Self::More { lead, text } => format!("{lead}{text}"),
        }
    }
}

struct Tree<'a> {
    spans: Vec<Span<'a>>,
    roots: Vec<usize>,
    /// Spans below no root: their ancestors go round in a circle.
    knotted: usize,
    repeated: usize,
}

impl<'a> Tree<'a> {
    fn new(rows_: &'a Value) -> Self {
        let mut spans: Vec<Span<'a>> = Vec::new();
        let mut by_id: HashMap<&str, usize> = HashMap::new();
        let mut repeated = 0;
        for row in rows(rows_) {
            let id = row["span_id"].as_str().unwrap_or_default();
            if !id.is_empty() {
                match by_id.entry(id) {
                    Entry::Occupied(_) => {
                        repeated += 1;
                        continue;
                    }
                    Entry::Vacant(free) => free.insert(spans.len()),
                };
            }
            spans.push(Span {
                row,
                start: nanoseconds(&row["timestamp"]),
                duration: row["duration_ns"].as_i64().unwrap_or_default().max(0),
                failed: row["status"] == "error" || row["outcome"] == "failed",
                children: Vec::new(),
                below: 0,
                failed_below: 0,
            });
        }
        let mut roots = Vec::new();
        for at in 0..spans.len() {
            let parent = spans[at].row["parent_span_id"].as_str().unwrap_or_default();
            match by_id.get(parent) {
                Some(&above) if !parent.is_empty() && above != at => spans[above].children.push(at),
                Some(_) if !parent.is_empty() => {}
                _ => roots.push(at),
            }
        }
        let mut tree = Self { spans, roots, knotted: 0, repeated };
        tree.sum_up();
        tree
    }

    /// Counts what is below each span, and brings children in order.
    fn sum_up(&mut self) {
        let starts: Vec<i64> = self.spans.iter().map(|span| span.start).collect();
        let mut order: Vec<usize> = self.roots.clone();
        let mut next = 0;
        while let Some(&at) = order.get(next) {
            self.spans[at].children.sort_by_key(|child| starts[*child]);
            order.extend_from_slice(&self.spans[at].children);
            next += 1;
        }
        self.roots.sort_by_key(|root| starts[*root]);
        self.knotted = self.spans.len() - order.len();
        for &at in order.iter().rev() {
            let below: Vec<usize> = self.spans[at].children.clone();
            let counts = below.iter().map(|child| &self.spans[*child]);
            let (all, failed) = counts.fold((0, 0), |(all, failed), child| {
                (all + 1 + child.below, failed + usize::from(child.failed) + child.failed_below)
            });
            (self.spans[at].below, self.spans[at].failed_below) = (all, failed);
        }
    }

    /// Which spans are drawn: level by level, below each one those with failures and the longest.
    fn drawn(&self) -> Vec<bool> {
        let mut drawn = vec![false; self.spans.len()];
        let mut left = LINES;
        let mut queue = VecDeque::from([(self.roots.as_slice(), 0)]);
        while let Some((below, depth)) = queue.pop_front() {
            let mut best = below.to_vec();
            best.sort_by_key(|at| {
                let span = &self.spans[*at];
                let fails = span.failed || span.failed_below > 0;
                std::cmp::Reverse((fails, span.duration))
            });
            for at in best.into_iter().take(BELOW.min(left)) {
                drawn[at] = true;
                left -= 1;
                if depth < DEPTH {
                    queue.push_back((self.spans[at].children.as_slice(), depth + 1));
                }
            }
        }
        drawn
    }

    /// The lines, in the order of the tree.
    fn draw(&self, drawn: &[bool], lines: &mut Vec<Line>) {
        enum Left {
            Line(Line),
            Below { spans: Vec<usize>, lead: String, is_root: bool },
        }
        let mut left =
            vec![Left::Below { spans: self.roots.clone(), lead: String::new(), is_root: true }];
        while let Some(next) = left.pop() {
            let (spans, lead, is_root) = match next {
                Left::Line(line) => {
                    lines.push(line);
                    continue;
                }
                Left::Below { spans, lead, is_root } => (spans, lead, is_root),
            };
            let (shown, hidden): (Vec<usize>, Vec<usize>) =
                spans.into_iter().partition(|at| drawn[*at]);
            let mut here = Vec::new();
            let last = shown.len() + usize::from(!hidden.is_empty());
            for (number, at) in (1..).zip(shown) {
                let (mark, after) = match (is_root, number == last) {
                    (true, _) => ("", ""),
                    (false, true) => ("└─ ", "   "),
                    (false, false) => ("├─ ", "│  "),
                };
                here.push(Left::Line(Line::Span { at, lead: format!("{lead}{mark}") }));
                let (spans, lead) = (self.spans[at].children.clone(), format!("{lead}{after}"));
                here.push(Left::Below { spans, lead, is_root: false });
            }
            if !hidden.is_empty() {
                let mark = if is_root { "" } else { "└─ " };
                let (lead, text) = (format!("{lead}{mark}"), self.hidden(&hidden));
                here.push(Left::Line(Line::More { lead, text }));
            }
            left.extend(here.into_iter().rev());
        }
    }

    /// What is not drawn: `… 180 more: 150 search, 30 fetch and 400 below; 12 failed; up to 3.2 s`.
    fn hidden(&self, hidden: &[usize]) -> String {
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let (mut below, mut failed, mut longest) = (0, 0, 0);
        for &at in hidden {
            let span = &self.spans[at];
            *names.entry(self.name(at)).or_default() += 1;
            below += span.below;
            failed += usize::from(span.failed) + span.failed_below;
            longest = longest.max(span.duration);
        }
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let kinds = names.len();
        let mut told: Vec<_> = names
            .into_iter()
            .take(3)
            .map(|(name, count)| format!("{count} {}", cut(&name, 24)))
            .collect();
        if kinds > 3 {
            told.push(format!("{} others", kinds - 3));
        }
        let mut text = format!("… {} more: {}", hidden.len(), told.join(", "));
        if below > 0 {
            text.push_str(&format!(" and {below} below"));
        }
        if failed > 0 {
            text.push_str(&format!("; {failed} failed"));
        }
        text.push_str(&format!("; up to {}", took(longest)));
        text
    }

    fn details(&self, at: usize) -> String {
        let span = &self.spans[at];
        let mut told = details(span.row, span.failed);
        let caused = span.row["parent_span_id"].as_str().is_some_and(|parent| !parent.is_empty());
        if caused && self.roots.contains(&at) {
            told.push("its cause is not here".to_owned());
        }
        told.join(", ")
    }

    fn name(&self, at: usize) -> String {
        let name = plain(self.spans[at].row["name"].as_str().unwrap_or_default());
        if name.is_empty() { "(no name)".to_owned() } else { name }
    }

    fn service(&self, at: usize) -> String {
        let row = &self.spans[at].row;
        let named = [&row["app"], &row["service"]].into_iter().find_map(|it| it.as_str());
        plain(named.unwrap_or_default())
    }
}

/// What a line tells beside its times: the model and its tokens, what it cost, what went wrong.
fn details(row: &Value, failed: bool) -> Vec<String> {
    let mut told = Vec::new();
    let named = |name: &str| row[name].as_str().filter(|it| !it.is_empty()).map(plain);
    let name = named("name").unwrap_or_default();
    if let Some(operation) = named("operation").filter(|it| !name.contains(it.as_str())) {
        told.push(operation);
    }
    let model = named("response_model").or(named("request_model"));
    told.extend(model.filter(|it| !name.contains(it.as_str())));
    told.extend(
        row["attributes"]["gen_ai.tool.name"]
            .as_str()
            .map(plain)
            .filter(|it| !name.contains(it.as_str())),
    );
    if row["input_tokens"].is_number() || row["output_tokens"].is_number() {
        let cached = row["cache_read_tokens"].as_i64().filter(|count| *count > 0);
        let cached = cached.map_or(String::new(), |count| format!(" ({count} cached)"));
        let [input, output] = ["input_tokens", "output_tokens"].map(|name| text(&row[name]));
        told.push(format!("{input}{cached} → {output} tokens"));
    }
    if let Some(seconds) = row["time_to_first_chunk"].as_f64() {
        told.push(format!("first after {}", took((seconds * 1e9) as i64)));
    }
    if let Some(cost) = row["cost"].as_f64() {
        told.push(
            format!("{cost} {}", named("currency").unwrap_or_default()).trim_end().to_owned(),
        );
    }
    if let Some(outcome) = named("outcome").filter(|it| it != "answered" && it != "failed") {
        told.push(outcome);
    }
    if failed {
        let why: Vec<_> = ["error_type", "status_message"].into_iter().filter_map(named).collect();
        let why = if why.is_empty() { "failed".to_owned() } else { why.join(": ") };
        told.push(format!("✗ {}", cut(&why, 60)));
    }
    told
}

/// The spans of an answer's record, where its trace has no others.
pub fn spans_of_answer(answer: &Value) -> Value {
    let generation = &answer["generation"];
    let at = |after: i64| {
        let begin = answer["started_at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
        let begin = begin.unwrap_or_default();
        let after = std::time::Duration::from_nanos(u64::try_from(after).unwrap_or_default());
        begin.checked_add(after).unwrap_or(begin).to_string()
    };
    let end = |step: &Value| step["end_ns"].as_i64().unwrap_or_default();
    let steps = rows(&answer["steps"]).enumerate().map(|(number, step)| {
        let begin = step["begin_ns"].as_i64().unwrap_or_default();
        let mut span = json!({
            "span_id": (number + 1).to_string(),
            "parent_span_id": "0",
            "name": step["name"],
            "app": answer["app"],
            "timestamp": at(begin),
            "duration_ns": end(step) - begin,
        });
        if step["name"] == "generate" {
            for name in [
                "response_model",
                "input_tokens",
                "output_tokens",
                "cache_read_tokens",
                "time_to_first_chunk",
            ] {
                span[name] = generation[name].clone();
            }
        }
        span
    });
    let root = json!({
        "span_id": "0",
        "name": "answer",
        "app": answer["app"],
        "timestamp": at(0),
        "duration_ns": rows(&answer["steps"]).map(end).max().unwrap_or(0),
        "outcome": answer["outcome"]["outcome"],
        "error_type": answer["outcome"]["kind"],
        "status_message": answer["outcome"]["message"],
    });
    std::iter::once(root).chain(steps).collect()
}

/// When a span was, within all of it.
fn bar(start: i64, duration: i64, total: i64) -> String {
    let column = |at: i64| (at as f64 / total as f64 * BAR as f64).round() as usize;
    let begin = column(start).min(BAR - 1);
    let end = column(start + duration).clamp(begin + 1, BAR);
    format!("{}{}{}", "·".repeat(begin), "█".repeat(end - begin), "·".repeat(BAR - end))
}

/// Nanoseconds, as `12.3 ms`.
pub fn took(nanoseconds: i64) -> String {
    let value = nanoseconds as f64;
    if nanoseconds == 0 {
        return "0".to_owned();
    }
    let (value, unit) = match nanoseconds {
        ..1_000 => (value, "ns"),
        1_000..1_000_000 => (value / 1e3, "µs"),
        1_000_000..1_000_000_000 => (value / 1e6, "ms"),
        1_000_000_000..120_000_000_000 => (value / 1e9, "s"),
        _ => (value / 60e9, "min"),
    };
    match value {
        ..10.0 => format!("{value:.2} {unit}"),
        ..100.0 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

fn nanoseconds(moment: &Value) -> i64 {
    let text = moment.as_str().unwrap_or_default();
    let parsed: Result<Timestamp, _> = text.parse().or_else(|_| format!("{text}Z").parse());
    parsed.ok().and_then(|at| i64::try_from(at.as_nanosecond()).ok()).unwrap_or_default()
}

/// Without control characters: what others named must not move a cursor.
pub fn plain(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
}

/// At most so many characters.
pub fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width && width > 0 {
        true => text.chars().take(width - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
