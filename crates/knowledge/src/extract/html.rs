//! HTML, without the parts of a page that are not its content.
//!
//! What is not content is told by its element, its role, its name (consent banners) and, outside
//! `main` and `article`, by being a short block of hardly anything but links.

mod meta;

use scraper::{ElementRef, Html, Node, Selector};

use super::{Builder, Extracted, Refusal};

/// Elements whose contents are never content.
const SKIPPED: &[&str] = &[
    "script", "style", "noscript", "template", "nav", "footer", "aside", "form", "svg", "iframe",
    "head", "dialog",
];
/// Roles of what stands around the content (WAI-ARIA 1.2).
const ROLES: &[&str] = &[
    "navigation",
    "banner",
    "contentinfo",
    "complementary",
    "search",
    "dialog",
    "alertdialog",
    "menu",
    "menubar",
];
/// What ids and classes of banners that ask for consent have in them.
const CONSENT: &[&str] = &["cookie", "consent", "gdpr"];
/// The most bytes of a banner.
const MAX_BANNER: usize = 3000;
/// A menu has at least so many links.
const MIN_LINKS: usize = 3;
/// The links of a menu have at most so many bytes each, on average.
const LINK_BYTES: usize = 40;
/// The most nodes of a menu.
const MAX_MENU: usize = 500;
/// How deep elements may nest: parsing takes time by length times depth.
const MAX_DEPTH: usize = 256;
/// Elements that are not closed, or need not be.
const UNCLOSED: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr", "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "colgroup",
    "option", "optgroup", "html", "head", "body", "path", "rect", "circle", "line", "use", "g",
];

pub fn extract(text: &str) -> Result<Extracted, Refusal> {
    if depth(text) > MAX_DEPTH {
        let deep = format!("its elements nest deeper than {MAX_DEPTH} levels");
        return Err(Refusal::Malformed(deep));
    }
    let page = Html::parse_document(text);
    let mut walk = Walk { out: Builder::default(), around: false };
    if let Some(content) = main(&page) {
        walk.walk(content);
    } else if let Some(body) = first(&page, "body") {
        walk.around = true;
        walk.walk(body);
    }
    meta::tell(&page, &mut walk.out);
    let mut extracted = walk.out.finish()?;
    if extracted.headings.is_empty()
        && let Some(title) = first(&page, "title")
    {
        extracted.title = title.text().collect::<String>().trim().to_owned();
    }
    Ok(extracted)
}

fn first<'a>(page: &'a Html, selector: &str) -> Option<ElementRef<'a>> {
    page.select(&Selector::parse(selector).ok()?).next()
}

/// The part of a page that it says is its content: one of several articles is not all of it.
fn main(page: &Html) -> Option<ElementRef<'_>> {
    let articles = Selector::parse("article").ok()?;
    first(page, "main, [role=main]").or_else(|| {
        let mut articles = page.select(&articles);
        articles.next().filter(|_| articles.next().is_none())
    })
}

/// How deep elements nest at most, counted without parsing.
fn depth(text: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    for at in memchr::memchr_iter(b'<', text.as_bytes()) {
        let tag = &text[at + 1..];
        let unclosed = |tag: &str| {
            let length = tag.bytes().take(16).take_while(u8::is_ascii_alphanumeric).count();
            UNCLOSED.iter().any(|name| name.eq_ignore_ascii_case(&tag[..length]))
        };
        match tag.strip_prefix('/') {
            Some(tag) if !unclosed(tag) => open = open.saturating_sub(1),
            None if tag.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                let self_closed = tag.find('>').is_some_and(|end| tag[..end].ends_with('/'));
                if !self_closed && !unclosed(tag) {
                    open += 1;
                    deepest = deepest.max(open);
                }
            }
            _ => {}
        }
    }
    deepest
}

struct Walk {
    out: Builder,
    /// Whether what stands around the content is walked through too.
    around: bool,
}

impl Walk {
    /// Walks through an element. The parser bounds nothing, but `depth` did.
    fn walk(&mut self, element: ElementRef<'_>) {
        for child in element.children() {
            match child.value() {
                Node::Text(text) => self.out.say(text),
                Node::Element(_) => {
                    if let Some(inner) = ElementRef::wrap(child)
                        && !self.is_skipped(inner)
                    {
                        self.element(inner);
                    }
                }
                _ => {}
            }
        }
    }

    fn element(&mut self, element: ElementRef<'_>) {
        let name = element.value().name();
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.out.end();
                self.walk(element);
                self.out.heading(name.as_bytes()[1] - b'0');
            }
            "br" => self.out.line(),
            "pre" => {
                self.out.end();
                self.out.verbatim(&element.text().collect::<String>());
                self.out.end();
            }
            "li" => {
                self.out.line();
                self.out.verbatim("- ");
                self.walk(element);
                self.out.line();
            }
            "tr" => {
                self.walk(element);
                self.out.line();
            }
            "td" | "th" => {
                self.walk(element);
                self.out.say(" | ");
            }
            "p" | "div" | "section" | "article" | "ul" | "ol" | "table" | "blockquote" | "dl"
            | "dd" | "dt" | "figure" | "main" => {
                self.out.end();
                self.walk(element);
                self.out.end();
            }
            _ => self.walk(element),
        }
    }

    fn is_skipped(&self, element: ElementRef<'_>) -> bool {
        let value = element.value();
        let name = value.name();
        SKIPPED.contains(&name)
            || (name == "header" && self.around)
            || value.attr("role").is_some_and(|role| ROLES.contains(&role))
            || (name == "a" && is_anchor(element))
            || asks_for_consent(element)
            || (self.around && matches!(name, "ul" | "ol" | "div") && is_menu(element))
    }
}

/// The sign beside a heading that links to it.
fn is_anchor(link: ElementRef<'_>) -> bool {
    let mut text = link.text();
    matches!((text.next().map(str::trim), text.next()), (Some("¶" | "#" | "§" | "🔗"), None))
}

/// Whether it is called after consent, and speaks of it shortly.
fn asks_for_consent(element: ElementRef<'_>) -> bool {
    let speaks = |text: &str| {
        let lower = text.to_ascii_lowercase();
        CONSENT.iter().any(|word| lower.contains(word))
    };
    if !["id", "class"].iter().any(|name| element.value().attr(name).is_some_and(speaks)) {
        return false;
    }
    let mut length = 0;
    // A page about cookies is longer.
    let short = |text: &&str| {
        length += text.len();
        length <= MAX_BANNER
    };
    let said: String = element.text().take_while(short).collect();
    length <= MAX_BANNER && speaks(&said)
}

/// Whether a block is a few short links and little else.
fn is_menu(block: ElementRef<'_>) -> bool {
    let (mut links, mut linked, mut all) = (0, 0, 0);
    for (seen, node) in block.descendants().enumerate() {
        match node.value() {
            _ if seen > MAX_MENU => return false,
            Node::Element(element) => match element.name() {
                "p" | "pre" | "table" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => return false,
                "a" => {
                    links += 1;
                    let texts = ElementRef::wrap(node).into_iter().flat_map(|link| link.text());
                    linked += texts.map(|text| text.trim().len()).sum::<usize>();
                }
                _ => {}
            },
            Node::Text(text) => all += text.trim().len(),
            _ => {}
        }
    }
    links >= MIN_LINKS && linked * 5 >= all * 4 && linked <= links * LINK_BYTES
}

#[cfg(test)]
mod tests;
