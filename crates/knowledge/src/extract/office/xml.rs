//! XML, read without what makes it dangerous: no document type, so no entities but the five.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::Refusal;
use crate::extract::encoding;

/// How deep elements may nest.
const MAX_DEPTH: usize = 256;

/// A step through a document. Names are without their prefix.
pub enum Step<'a> {
    /// An element begins.
    Open(&'a str, &'a BytesStart<'a>),
    /// An element ends.
    Close(&'a str),
    /// Text, or a piece of it.
    Text(&'a str),
}

/// Walks through a document.
pub fn walk(
    xml: &[u8],
    mut visit: impl FnMut(Step<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let text = encoding::decode(xml, None)?.text;
    let mut reader = Reader::from_str(&text);
    reader.config_mut().expand_empty_elements = true;
    let mut depth = 0_usize;
    loop {
        match reader.read_event().map_err(Refusal::malformed)? {
            Event::Start(start) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    let deep = format!("its elements nest deeper than {MAX_DEPTH} levels");
                    return Err(Refusal::Malformed(deep));
                }
                visit(Step::Open(start.local_name().as_ref(), &start))?;
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                visit(Step::Close(end.local_name().as_ref()))?;
            }
            Event::Text(text) => visit(Step::Text(&text.xml10_content()))?,
            Event::CData(text) => visit(Step::Text(&text.xml10_content()))?,
            Event::GeneralRef(entity) => {
                let known = entity.resolve_char_ref().map_err(Refusal::malformed)?;
                let name = entity.xml10_content();
                let known = known.map(String::from);
                let known = known.or(resolve_predefined_entity(&name).map(str::to_owned));
                let text = known.ok_or_else(|| {
                    Refusal::Malformed(format!("it names the entity `{name}`, which is unknown"))
                })?;
                visit(Step::Text(&text))?;
            }
            Event::DocType(_) => {
                return Err(Refusal::malformed("its XML declares a document type"));
            }
            Event::Eof => return Ok(()),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

/// An attribute of an element.
pub fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = start.try_get_attribute(name).ok()??;
    found.normalized_value(XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned)
}
