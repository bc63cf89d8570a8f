//! How much is taken.

/// The most bytes of a body as it is sent.
pub const MAX_BODY: usize = 32 << 20;
/// The most bytes of a body once it is unpacked.
pub const MAX_PLAIN: usize = 64 << 20;
/// The most messages within a message: a span, an attribute and an event are one each. What is
/// empty takes 2 bytes on the wire and some hundred in memory.
pub const MAX_MESSAGES: usize = 1_000_000;
/// The most values of a JSON body.
pub const MAX_JSON_VALUES: usize = 2_000_000;
/// The most bytes of a column.
pub const MAX_COLUMN: usize = 4 << 10;
/// The most bytes of an attribute's name.
pub const MAX_NAME: usize = 256;
/// The most bytes of an attribute's value.
pub const MAX_VALUE: usize = 16 << 10;
/// The most attributes of a row.
pub const MAX_ATTRIBUTES: usize = 256;
/// The most bytes of a text that is kept beside its row.
pub const MAX_TEXT: usize = 4 << 20;
/// The most bytes of a log record's text.
pub const MAX_LOG: usize = 256 << 10;
/// The most bytes of a span's events, and of its links.
pub const MAX_EVENTS: usize = 64 << 10;
/// The most characters of a preview.
pub const PREVIEW: usize = 200;

/// The longest start of `text` that has at most `most` bytes.
pub fn start(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// The first characters of `text`.
pub fn preview(text: &str) -> String {
    text.trim().chars().take(PREVIEW).collect()
}
