//! What a page says of itself in its head.

use scraper::{Html, Selector};

use crate::extract::Builder;

/// The names and properties of `meta` elements that are told, and as what.
const TOLD: &[(&str, &str)] = &[
    ("author", "author"),
    ("description", "description"),
    ("keywords", "keywords"),
    ("date", "created"),
    ("dc.date", "created"),
    ("dcterms.created", "created"),
    ("article:published_time", "created"),
    ("dcterms.modified", "modified"),
    ("last-modified", "modified"),
    ("article:modified_time", "modified"),
];

pub fn tell(page: &Html, out: &mut Builder) {
    if let Some(language) = page.root_element().value().attr("lang") {
        out.tell("language", language.trim());
    }
    let Ok(selector) = Selector::parse("head meta[content]") else { return };
    for meta in page.select(&selector) {
        let value = meta.value();
        let name = value.attr("name").or(value.attr("property")).unwrap_or_default();
        let known = TOLD.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        if let (Some((_, name)), Some(content)) = (known, value.attr("content")) {
            out.tell(name, content.trim());
        }
    }
}
