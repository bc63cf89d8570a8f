//! Writes down the paragraphs of a Word document or a slide.

use std::collections::BTreeMap;

use quick_xml::events::BytesStart;

use super::xml::{Step, attribute, walk};
use super::{Builder, Refusal};

/// What is on every slide and says nothing.
const DECORATION: &[&str] = &["sldNum", "dt", "ftr", "hdr", "sldImg"];

pub struct Pen {
    pub out: Builder,
    /// The levels of the styles that are headings; 0 for those of list items.
    styles: BTreeMap<String, u8>,
    slides: bool,
    /// Whether Word noted where its pages broke, which tells more than the breaks that were asked for.
    noted_breaks: bool,
    /// How many elements are open that repeat what was said.
    repeats: u32,
    /// How many table cells are open.
    cells: u32,
    /// Whether text that comes is content.
    content: bool,
    /// The shape is decoration.
    decoration: bool,
    /// The level of the present paragraph, if it is a heading.
    heading: Option<u8>,
    /// Whether the present paragraph is an item of a list, and whether the one before was.
    item: (bool, bool),
    /// Whether the present paragraph has begun.
    begun: bool,
}

impl Pen {
    pub fn for_document(styles: BTreeMap<String, u8>) -> Self {
        Self {
            out: Builder::default(),
            styles,
            slides: false,
            noted_breaks: false,
            repeats: 0,
            cells: 0,
            content: false,
            decoration: false,
            heading: None,
            item: (false, false),
            begun: false,
        }
    }

    pub fn for_slides() -> Self {
        Self { slides: true, ..Self::for_document(BTreeMap::new()) }
    }

    /// Writes down a part.
    pub fn write(&mut self, xml: &[u8]) -> Result<(), Refusal> {
        let noted = memchr::memmem::find(xml, b"lastRenderedPageBreak").is_some();
        self.noted_breaks |= noted;
        walk(xml, |step| {
            match step {
                Step::Open("Fallback", _) => self.repeats += 1,
                Step::Close("Fallback") => self.repeats = self.repeats.saturating_sub(1),
                _ if self.repeats > 0 => {}
                Step::Open(name, start) => self.open(name, start),
                Step::Close(name) => self.close(name),
                Step::Text(text) if self.content => self.out.say(text),
                Step::Text(_) => {}
            }
            Ok(())
        })?;
        self.out.end();
        Ok(())
    }

    fn open(&mut self, name: &str, start: &BytesStart<'_>) {
        match name {
            "p" => {
                (self.begun, self.item) = (false, (false, self.item.0));
                if !self.slides {
                    self.heading = None;
                }
            }
            "pStyle" => {
                let style = attribute(start, "w:val").unwrap_or_default();
                match self.styles.get(&style) {
                    Some(0) => self.item.0 = true,
                    Some(level) => self.heading = Some(*level),
                    None => {}
                }
            }
            "numPr" => self.item.0 = true,
            "r" => self.begin(),
            "t" => self.content = !self.decoration,
            "tab" => self.out.say(" "),
            "br" => match attribute(start, "w:type").as_deref() {
                Some("page") if !self.noted_breaks => self.page(),
                Some(_) => {}
                None => self.out.line(),
            },
            "lastRenderedPageBreak" => self.page(),
            "sp" => (self.heading, self.decoration) = (None, false),
            "ph" => {
                let kind = attribute(start, "type").unwrap_or_default();
                self.decoration = DECORATION.contains(&&*kind);
                if matches!(&*kind, "title" | "ctrTitle") {
                    self.heading = Some(1);
                }
            }
            "tc" => self.cells += 1,
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "t" => self.content = false,
            "p" if self.cells > 0 => self.out.say(" "),
            "p" => match self.heading {
                Some(level) => self.out.heading(level),
                None if self.slides || self.item.0 => self.out.line(),
                None => self.out.end(),
            },
            "tc" => {
                self.cells = self.cells.saturating_sub(1);
                self.out.say(" | ");
            }
            "tr" => self.out.line(),
            "tbl" | "sp" => self.out.end(),
            _ => {}
        }
    }

    /// The first run of a paragraph: now it is known what it is.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) || self.slides || self.cells > 0 {
            return;
        }
        match (self.item, self.heading) {
            (_, Some(_)) => self.out.end(),
            ((true, _), None) => self.out.verbatim("- "),
            ((false, true), None) => self.out.end(),
            ((false, false), None) => {}
        }
    }

    fn page(&mut self) {
        if self.out.out.pages.is_empty() {
            self.out.out.pages.push(0);
        }
        self.out.page();
    }
}
