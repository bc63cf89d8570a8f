//! What kind of document it is.

use super::{Refusal, archive::Archive};
use crate::document::RawDocument;

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Plain text.
    Text,
    /// Markdown.
    Markdown,
    /// HTML.
    Html,
    /// A table of separated values.
    Csv,
    /// JSON.
    Json,
    /// JSON, one value a line.
    JsonLines,
    /// A spreadsheet: XLSX or ODS.
    Sheet,
    /// A Word document.
    Docx,
    /// A PowerPoint presentation.
    Pptx,
    /// An e-mail.
    Mail,
    /// PDF.
    Pdf,
    /// A picture of a page.
    Image,
    /// A zip archive: which of the formats that are packed in one, only unpacking tells.
    Archive,
}

/// Kinds by media type and by endings.
const KNOWN: &[(Kind, &[&str], &[&str])] = &[
    (Kind::Markdown, &["text/markdown", "text/x-markdown"], &["md", "markdown"]),
    (Kind::Html, &["text/html", "application/xhtml+xml"], &["html", "htm", "xhtml"]),
    (Kind::Csv, &["text/csv", "text/tab-separated-values"], &["csv", "tsv"]),
    (Kind::Json, &["application/json"], &["json"]),
    (Kind::JsonLines, &["application/jsonl", "application/x-ndjson"], &["jsonl", "ndjson"]),
    (
        Kind::Sheet,
        &[
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.oasis.opendocument.spreadsheet",
        ],
        &["xlsx", "ods"],
    ),
    (
        Kind::Docx,
        &["application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
        &["docx"],
    ),
    (
        Kind::Pptx,
        &["application/vnd.openxmlformats-officedocument.presentationml.presentation"],
        &["pptx"],
    ),
    (Kind::Mail, &["message/rfc822"], &["eml"]),
    (Kind::Pdf, &["application/pdf"], &["pdf"]),
    (
        Kind::Image,
        &["image/png", "image/jpeg", "image/tiff", "image/webp"],
        &["png", "jpg", "jpeg", "tif", "tiff", "webp"],
    ),
];

/// Media types that say no more than the ending does.
const VAGUE: &[&str] =
    &["text/plain", "application/octet-stream", "binary/octet-stream", "application/zip"];

/// How files begin that are no text.
const BEGINNINGS: &[(&[u8], Kind)] = &[
    (b"%PDF-", Kind::Pdf),
    (b"\x89PNG\r\n\x1a\n", Kind::Image),
    (b"\xff\xd8\xff", Kind::Image),
    (b"II*\0", Kind::Image),
    (b"MM\0*", Kind::Image),
    (b"PK\x03\x04", Kind::Archive),
];

impl Kind {
    /// The kind of a document: by the media type that its source tells, else by the ending of its
    /// path, else by its first bytes; what says nothing else is text.
    ///
    /// # Errors
    /// If its format is not read.
    pub fn of(document: &RawDocument) -> Result<Self, Refusal> {
        let told = document.media_type.as_deref().unwrap_or_default();
        let media = told.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if let Some((kind, ..)) = KNOWN.iter().find(|(_, types, _)| types.contains(&&*media)) {
            return Ok(*kind);
        }
        let name = document.path.rsplit('/').next().unwrap_or_default();
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
        if let Some((kind, ..)) = KNOWN.iter().find(|(.., endings)| endings.contains(&&*ending)) {
            return Ok(*kind);
        }
        let bytes = &document.bytes[..];
        if let Some((_, kind)) = BEGINNINGS.iter().find(|(start, _)| bytes.starts_with(start)) {
            return Ok(*kind);
        }
        let unread = |what: String| Err(Refusal::Unsupported(format!("{what} is not read")));
        if bytes.starts_with(b"\xd0\xcf\x11\xe0") {
            return unread("an Office file of before 2007".to_owned());
        }
        let textual = media.is_empty()
            || media.starts_with("text/")
            || media.ends_with("xml")
            || VAGUE.contains(&&*media);
        if !textual {
            return unread(format!("`{media}`"));
        }
        let start = bytes.trim_ascii_start();
        let start = start[..start.len().min(32)].to_ascii_lowercase();
        let page = start.starts_with(b"<!doctype html") || start.starts_with(b"<html");
        Ok(if page { Self::Html } else { Self::Text })
    }

    /// Whether it is read without a child process: no reader of it nests or allocates more than
    /// the text has bytes.
    pub fn is_plain(self) -> bool {
        matches!(self, Self::Text | Self::Markdown)
    }

    /// Whether it is text that may be in any encoding.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Markdown | Self::Csv | Self::Json | Self::JsonLines)
    }
}

/// What an archive holds.
pub fn packed(bytes: &[u8]) -> Result<Kind, Refusal> {
    let archive = Archive::open(bytes)?;
    let holds = |name: &str| archive.names().any(|held| held == name);
    if holds("word/document.xml") {
        Ok(Kind::Docx)
    } else if holds("ppt/presentation.xml") {
        Ok(Kind::Pptx)
    } else if holds("xl/workbook.xml") || holds("content.xml") {
        Ok(Kind::Sheet)
    } else {
        Err(Refusal::Unsupported("an archive is not read; unpack it".to_owned()))
    }
}
