//! Personal data and secrets are masked, or the document that holds them is left out.

use std::collections::BTreeMap;
use std::ops::Range;

use security::guardrails::Entity;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::Extracted;
use crate::extract::Refusal;
use crate::spec::Preparation;

/// What was masked in a document: how often, never what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The kind.
    pub kind: Entity,
    /// How often.
    pub count: u64,
}

/// Masks what is to be masked in text, headings, title and metadata.
pub fn screen(content: &mut Extracted, spec: &Preparation) -> Result<Vec<Finding>, Refusal> {
    let mut counts = BTreeMap::new();
    let found = find(&content.text, spec, &mut counts)?;
    rewrite(content, &found);
    let mut mask = |text: &mut String| {
        let found = find(text, spec, &mut counts)?;
        if !found.is_empty() {
            *text = masked(text, &found, |_| {});
        }
        Ok(())
    };
    mask(&mut content.title)?;
    content.headings.iter_mut().try_for_each(|heading| mask(&mut heading.text))?;
    content.metadata.values_mut().try_for_each(|value| each_text(value, &mut mask))?;
    Ok(counts.into_iter().map(|(kind, count)| Finding { kind, count }).collect())
}

fn each_text(
    value: &mut Value,
    mask: &mut impl FnMut(&mut String) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    match value {
        Value::String(text) => mask(text),
        Value::Array(items) => items.iter_mut().try_for_each(|item| each_text(item, mask)),
        Value::Object(members) => members.values_mut().try_for_each(|item| each_text(item, mask)),
        _ => Ok(()),
    }
}

/// What is to be masked, in order and apart from each other.
fn find(
    text: &str,
    spec: &Preparation,
    counts: &mut BTreeMap<Entity, u64>,
) -> Result<Vec<(Range<usize>, Entity)>, Refusal> {
    let mut all = Vec::new();
    for kind in &spec.drop {
        let times = kind.find(text).len();
        if times > 0 {
            let kind = kind.name();
            return Err(Refusal::Withheld(format!("it holds `{kind}` ({times} times)")));
        }
    }
    for kind in &spec.mask {
        all.extend(kind.find(text).into_iter().map(|range| (range, *kind)));
    }
    all.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut apart: Vec<(Range<usize>, Entity)> = Vec::new();
    for (range, kind) in all {
        match apart.last_mut().filter(|(before, _)| range.start < before.end) {
            Some((before, _)) => before.end = before.end.max(range.end),
            None => {
                *counts.entry(kind).or_default() += 1;
                apart.push((range, kind));
            }
        }
    }
    Ok(apart)
}

/// Masks the text; headings and pages move along.
fn rewrite(content: &mut Extracted, found: &[(Range<usize>, Entity)]) {
    if found.is_empty() {
        return;
    }
    let mut ends = vec![(0, 0)];
    content.text = masked(&content.text, found, |end| ends.push(end));
    let moved = |at: usize| {
        let (old, new) = ends[ends.partition_point(|(old, _)| *old <= at) - 1];
        let next = found.get(ends.partition_point(|(old, _)| *old <= at) - 1);
        // A place within what is masked is where the mask begins.
        let at = next.map_or(at, |(range, _)| at.min(range.start));
        new + (at - old)
    };
    content.headings.iter_mut().for_each(|heading| heading.at = moved(heading.at));
    content.pages.iter_mut().for_each(|at| *at = moved(*at));
}

/// The masked text. `end` is told where each masked place ended, and where its mask ends.
fn masked(
    text: &str,
    found: &[(Range<usize>, Entity)],
    mut end: impl FnMut((usize, usize)),
) -> String {
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for (range, kind) in found {
        out.push_str(&text[from..range.start]);
        out.push('[');
        out.push_str(kind.name());
        out.push(']');
        from = range.end;
        end((from, out.len()));
    }
    out.push_str(&text[from..]);
    out
}
