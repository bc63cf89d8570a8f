//! RSS 2.0 and 1.0, and Atom (RFC 4287): the entries and what they say.

use jiff::fmt::rfc2822;
use release::{Digest, Timestamp};

use crate::source::xml::{self, Piece};

/// The most entries of a feed.
const MAX_ENTRIES: usize = 10_000;

/// An entry.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Entry {
    /// What names it for good.
    pub id: Option<String>,
    pub link: Option<String>,
    pub title: Option<String>,
    pub author: Option<String>,
    pub categories: Vec<String>,
    pub changed: Option<Timestamp>,
    summary: Option<Text>,
    content: Option<Text>,
}

/// A text, and whether it is HTML.
#[derive(Debug, Clone, PartialEq)]
struct Text {
    text: String,
    html: bool,
}

/// What is read at a time.
#[derive(Default)]
struct Reading {
    entries: Vec<Entry>,
    known: bool,
    entry: Option<Entry>,
    /// The elements that are open within the entry.
    open: Vec<String>,
    text: String,
    html: bool,
}

/// Reads a feed.
///
/// # Errors
/// Why it cannot be read.
pub fn read(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let mut reading = Reading::default();
    xml::read(bytes, |piece| {
        reading.take(piece);
        let most = format!("it has more than {MAX_ENTRIES} entries");
        (reading.entries.len() <= MAX_ENTRIES).then_some(()).ok_or(most)
    })?;
    if reading.known { Ok(reading.entries) } else { Err("it is neither RSS nor Atom".to_owned()) }
}

impl Reading {
    fn take(&mut self, piece: Piece) {
        match (piece, &mut self.entry) {
            (Piece::Start(element, _), None) => match element.as_str() {
                "item" | "entry" => self.entry = Some(Entry::default()),
                "rss" | "RDF" | "feed" => self.known = true,
                _ => {}
            },
            (Piece::Start(element, attributes), Some(_)) => {
                if self.open.is_empty() {
                    self.text.clear();
                    self.begins(&element, &attributes);
                } else {
                    // Markup within a text: of it the text is kept, its elements apart.
                    self.text.push('\n');
                }
                self.open.push(element);
            }
            (Piece::Text(more), Some(_)) => self.text.push_str(&more),
            (Piece::End(element), Some(_)) => match self.open.pop() {
                None => {
                    self.entries.extend(self.entry.take());
                }
                Some(_) if self.open.is_empty() => self.ends(&element),
                Some(_) => self.text.push('\n'),
            },
            (Piece::Text(_) | Piece::End(_), None) => {}
        }
    }

    /// An element of the entry begins.
    fn begins(&mut self, element: &str, attributes: &[(String, String)]) {
        let of = |name: &str| {
            let found = attributes.iter().find(|(own, _)| own == name);
            found.map(|(_, value)| value.as_str())
        };
        let Some(entry) = &mut self.entry else { return };
        match element {
            "link" if of("rel").is_none_or(|rel| rel == "alternate") => {
                entry.link = of("href").map(str::to_owned).or(entry.link.take());
            }
            "category" => entry.categories.extend(of("term").map(str::to_owned)),
            // RSS means HTML, Atom says so.
            "description" | "encoded" => self.html = true,
            "summary" | "content" => self.html = of("type").is_some_and(|kind| kind == "html"),
            _ => {}
        }
    }

    /// An element of the entry is over, and its text whole.
    fn ends(&mut self, element: &str) {
        let Some(entry) = &mut self.entry else { return };
        let text = std::mem::take(&mut self.text).trim().to_owned();
        if text.is_empty() {
            return;
        }
        match element {
            "guid" | "id" => entry.id = Some(text),
            "link" => entry.link = Some(text),
            "title" => entry.title = Some(text),
            "author" | "creator" => {
                let name = text.lines().map(str::trim).find(|line| !line.is_empty());
                entry.author = name.map(str::to_owned);
            }
            "category" | "subject" => entry.categories.push(text),
            "pubDate" | "date" | "published" => entry.changed = entry.changed.or(moment(&text)),
            "updated" => entry.changed = moment(&text).or(entry.changed),
            "description" | "summary" => entry.summary = Some(Text { text, html: self.html }),
            "encoded" | "content" => entry.content = Some(Text { text, html: self.html }),
            _ => {}
        }
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    let rfc2822 = || rfc2822::parse(text).ok().map(|date| date.timestamp());
    text.parse().ok().or_else(rfc2822)
}

impl Entry {
    /// What changes when the entry does.
    pub fn digest(&self) -> String {
        let page = self.page();
        let link = self.link.as_deref().unwrap_or_default();
        let changed = self.changed.map(|at| at.to_string()).unwrap_or_default();
        let author = self.author.as_deref().unwrap_or_default();
        let categories = self.categories.join("\n");
        let fields = [page.as_str(), link, &changed, author, &categories];
        Digest::of_fields(fields.map(str::as_bytes)).short()
    }

    /// The entry as a page of its own.
    pub fn page(&self) -> String {
        let title = escaped(self.title.as_deref().unwrap_or_default());
        let text = self.content.as_ref().or(self.summary.as_ref());
        let body = match text {
            None => String::new(),
            Some(Text { text, html: true }) => text.clone(),
            Some(Text { text, html: false }) => {
                let lines = text.split("\n\n").map(str::trim).filter(|line| !line.is_empty());
                lines.map(|line| format!("<p>{}</p>\n", escaped(line))).collect()
            }
        };
        format!(
            "<!DOCTYPE html>\n<html><head><title>{title}</title></head><body>\n<h1>{title}</h1>\n\
             {body}\n</body></html>\n"
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
