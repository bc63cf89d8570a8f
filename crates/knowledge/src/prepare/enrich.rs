//! What is known about a document beside its text: title, dates, tags.

use serde_json::Value;

use crate::document::{Extracted, Metadata};

/// Names of when a document was made and last changed, the more telling ones first.
const DATES: &[(&str, &[&str])] = &[
    ("created", &["created", "published", "date"]),
    ("modified", &["modified", "updated", "lastmod", "last_modified"]),
];
/// Names of what a document says it is about.
const TAGS: &[&str] = &["tags", "tag", "categories", "category", "keywords"];
/// The most tags of a document, and the most bytes of one.
const MAX_TAGS: usize = 64;
const MAX_TAG: usize = 64;

/// Adds what the source tells and what path and text say, and gives the tags. What the source tells
/// counts more than what the document says of itself.
pub fn enrich(content: &mut Extracted, path: &str, told: Metadata) -> Vec<String> {
    content.metadata.extend(told);
    let name = path.rsplit('/').next().unwrap_or_default();
    if let Some(Value::String(title)) = content.metadata.remove("title") {
        content.title = title;
    }
    if content.title.is_empty() {
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        content.title = stem.replace(['-', '_'], " ").trim().to_owned();
    }
    for (date, names) in DATES {
        let said = names.iter().find_map(|name| day(content.metadata.get(*name)?.as_str()?));
        let named = || if *date == "created" { day(name) } else { None };
        if let Some(day) = said.or_else(named) {
            content.metadata.insert((*date).to_owned(), day.into());
        }
    }
    tags(&content.metadata, path)
}

/// The first day in `text` that is written as `2026-11-26`.
fn day(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let found = bytes.windows(10).enumerate().find(|(at, day)| {
        let number = |from: usize, to: usize| {
            let digits = std::str::from_utf8(&day[from..to]).ok();
            digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?.parse::<u16>().ok()
        };
        let bounded = |at: Option<usize>| {
            at.and_then(|at| bytes.get(at)).is_none_or(|byte| !byte.is_ascii_digit())
        };
        day[4] == b'-'
            && day[7] == b'-'
            && number(0, 4).is_some_and(|year| (1000..=2999).contains(&year))
            && number(5, 7).is_some_and(|month| (1..=12).contains(&month))
            && number(8, 10).is_some_and(|day| (1..=31).contains(&day))
            && bounded(at.checked_sub(1))
            && bounded(Some(at + 10))
    });
    found.map(|(_, day)| String::from_utf8_lossy(day).into_owned())
}

fn tags(metadata: &Metadata, path: &str) -> Vec<String> {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders).split('/');
    let mut tags: Vec<String> = folders.map(str::to_lowercase).collect();
    for value in TAGS.iter().filter_map(|name| metadata.get(*name)) {
        match value {
            Value::String(list) => tags.extend(list.split([',', ';']).map(str::to_lowercase)),
            Value::Array(list) => {
                tags.extend(list.iter().filter_map(Value::as_str).map(str::to_lowercase));
            }
            _ => {}
        }
    }
    let trimmed = tags.iter().map(|tag| tag.trim().to_owned());
    let mut tags: Vec<String> =
        trimmed.filter(|tag| !tag.is_empty() && tag.len() <= MAX_TAG).collect();
    tags.sort();
    tags.dedup();
    tags.truncate(MAX_TAGS);
    tags
}
