//! HTML, without the parts of a page that are not its content.

use scraper::{ElementRef, Html, Node, Selector};

use super::{Builder, Extracted};

/// Elements whose contents are never content.
const SKIPPED: &[&str] = &[
    "script", "style", "noscript", "template", "nav", "header", "footer", "aside", "form", "svg",
    "iframe", "head",
];
/// How deep elements may nest: parsing takes time by length times depth.
const MAX_DEPTH: usize = 256;
/// Elements that are not closed, or need not be.
const UNCLOSED: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr", "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "colgroup",
    "option", "optgroup", "html", "head", "body", "path", "rect", "circle", "line", "use", "g",
];

pub fn extract(text: &str) -> Result<Extracted, String> {
    if depth(text) > MAX_DEPTH {
        return Err(format!("its elements nest deeper than {MAX_DEPTH} levels"));
    }
    let page = Html::parse_document(text);
    let mut builder = Builder::default();
    let content = ["main", "article", "body"]
        .iter()
        .find_map(|name| page.select(&Selector::parse(name).ok()?).next());
    if let Some(content) = content {
        walk(content, &mut builder, 0);
    }
    let mut extracted = builder.finish();
    let title = Selector::parse("title").ok().and_then(|title| page.select(&title).next());
    if let (Some(title), true) = (title, extracted.headings.is_empty()) {
        extracted.title = title.text().collect::<String>().trim().to_owned();
    }
    Ok(extracted)
}

/// How deep elements nest at most, counted without parsing.
fn depth(text: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    for (at, _) in text.match_indices('<') {
        let tag = &text[at + 1..];
        let name = |tag: &str| {
            let name = tag.chars().take_while(char::is_ascii_alphanumeric).take(16);
            name.collect::<String>().to_ascii_lowercase()
        };
        match tag.strip_prefix('/') {
            Some(tag) if !UNCLOSED.contains(&name(tag).as_str()) => open = open.saturating_sub(1),
            None if tag.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                let self_closed = tag.find('>').is_some_and(|end| tag[..end].ends_with('/'));
                if !self_closed && !UNCLOSED.contains(&name(tag).as_str()) {
                    open += 1;
                    deepest = deepest.max(open);
                }
            }
            _ => {}
        }
    }
    deepest
}

fn walk(element: ElementRef<'_>, builder: &mut Builder, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    for child in element.children() {
        match child.value() {
            Node::Text(text) => builder.say(text),
            Node::Element(tag) => {
                let Some(inner) = ElementRef::wrap(child) else { continue };
                let name = tag.name();
                match name {
                    _ if SKIPPED.contains(&name) => {}
                    "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                        builder.end();
                        walk(inner, builder, depth + 1);
                        builder.heading(name.as_bytes()[1] - b'0');
                    }
                    "br" => builder.line(),
                    "pre" => {
                        builder.end();
                        builder.verbatim(&inner.text().collect::<String>());
                        builder.end();
                    }
                    "li" => {
                        builder.line();
                        builder.verbatim("- ");
                        walk(inner, builder, depth + 1);
                        builder.line();
                    }
                    "tr" => {
                        walk(inner, builder, depth + 1);
                        builder.line();
                    }
                    "td" | "th" => {
                        walk(inner, builder, depth + 1);
                        builder.say(" | ");
                    }
                    "p" | "div" | "section" | "article" | "ul" | "ol" | "table" | "blockquote"
                    | "dl" | "dd" | "dt" | "figure" => {
                        builder.end();
                        walk(inner, builder, depth + 1);
                        builder.end();
                    }
                    _ => walk(inner, builder, depth + 1),
                }
            }
            _ => {}
        }
    }
}
