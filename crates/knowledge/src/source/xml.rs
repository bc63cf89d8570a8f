//! Reading XML piece by piece. Entities of a document's own are refused, so that none can grow.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// A piece of a document. Elements go by their names without a prefix.
#[derive(Debug)]
pub enum Piece {
    /// An element begins, with its attributes.
    Start(String, Vec<(String, String)>),
    /// Text.
    Text(String),
    /// An element ends.
    End(String),
}

/// Tells `each` of every piece.
///
/// # Errors
/// Why it is no XML, or what `each` says.
pub fn read(bytes: &[u8], mut each: impl FnMut(Piece) -> Result<(), String>) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut open = 0_usize;
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        match event {
            Event::Start(start) => {
                open += 1;
                each(begins(&start)?)?;
            }
            Event::Empty(start) => {
                each(begins(&start)?)?;
                each(Piece::End(start.local_name().as_ref().to_owned()))?;
            }
            Event::End(end) => {
                open = open.saturating_sub(1);
                each(Piece::End(end.local_name().as_ref().to_owned()))?;
            }
            Event::Text(text) => each(Piece::Text(text.xml10_content().into_owned()))?,
            Event::CData(text) => each(Piece::Text(text.xml10_content().into_owned()))?,
            Event::GeneralRef(reference) => {
                let text = match reference.resolve_char_ref().map_err(told)? {
                    Some(character) => character.to_string(),
                    None => {
                        let name = reference.xml10_content();
                        let known = resolve_predefined_entity(&name);
                        known
                            .ok_or_else(|| format!("the entity `&{name};` is not known"))?
                            .to_owned()
                    }
                };
                each(Piece::Text(text))?;
            }
            Event::Eof if open > 0 => return Err("it ends too early".to_owned()),
            Event::Eof => return Ok(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

fn begins(start: &BytesStart<'_>) -> Result<Piece, String> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(told)?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(told)?.into_owned();
        attributes.push((attribute.key.local_name().as_ref().to_owned(), value));
    }
    Ok(Piece::Start(start.local_name().as_ref().to_owned(), attributes))
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
