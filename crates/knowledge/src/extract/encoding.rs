//! From bytes to characters.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::Refusal;

/// How many bytes at the beginning tell whether a file is text, and in which encoding.
const START: usize = 1024;

/// Decoded text, its lines ending with `\n`.
#[derive(Debug, Default, PartialEq)]
pub struct Decoded {
    pub text: String,
    /// The encoding, if nothing told it and UTF-8 it is not.
    pub assumed: Option<&'static str>,
}

/// The encoding that a media type names.
pub fn declared(media_type: &str) -> Option<&'static Encoding> {
    let name = media_type.to_ascii_lowercase();
    let name = name.split("charset=").nth(1)?.split([';', '"', '\'', ' ', '/', '>']);
    Encoding::for_label(name.into_iter().find(|name| !name.is_empty())?.as_bytes())
}

/// Decodes text: by its byte-order mark, as UTF-8 if that is what it is, as declared, as UTF-16 if
/// every other byte is mostly zero, and at last as Latin-1 (in the way of browsers: windows-1252).
pub fn decode(bytes: &[u8], declared: Option<&'static Encoding>) -> Result<Decoded, Refusal> {
    let whole = |text: String| Decoded { text: lines(text), assumed: None };
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return by(encoding, &bytes[mark..]).map(whole);
    }
    if let Some(encoding) = utf_16(bytes) {
        return by(encoding, bytes).map(whole);
    }
    if bytes.contains(&0) {
        return Err(Refusal::Unsupported("it is binary, not text".to_owned()));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(whole(text.to_owned()));
    }
    if let Some(encoding) = declared.filter(|encoding| *encoding != UTF_8) {
        return by(encoding, bytes).map(whole);
    }
    let start = &bytes[..bytes.len().min(START)];
    let controls = start.iter().filter(|byte| **byte < 32 && !b"\t\n\r\x0c\x1b".contains(byte));
    if controls.count() * 50 > start.len() {
        return Err(Refusal::Unsupported("it is binary, not text".to_owned()));
    }
    let text = WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned();
    Ok(Decoded { text: lines(text), assumed: Some("windows-1252") })
}

/// Decodes a page, which may name its encoding itself.
pub fn decode_html(bytes: &[u8], told: Option<&'static Encoding>) -> Result<Decoded, Refusal> {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(START)]);
    decode(bytes, told.or_else(|| declared(&start)))
}

fn by(encoding: &'static Encoding, bytes: &[u8]) -> Result<String, Refusal> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
    text.map(std::borrow::Cow::into_owned)
        .ok_or_else(|| Refusal::Malformed(format!("it is not valid {}", encoding.name())))
}

/// UTF-16 without a mark: of the text's first characters most are of the first 256.
fn utf_16(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = &bytes[..bytes.len().min(START) & !1];
    let zeros = |place: usize| start.iter().skip(place).step_by(2).filter(|b| **b == 0).count();
    let (first, second, most) = (zeros(0), zeros(1), start.len() / 2 * 7 / 10);
    match start.len() >= 4 && bytes.len().is_multiple_of(2) {
        true if second > most && first == 0 => Some(UTF_16LE),
        true if first > most && second == 0 => Some(UTF_16BE),
        _ => None,
    }
}

fn lines(text: String) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
}

#[cfg(test)]
mod tests;
