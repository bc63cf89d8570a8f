//! Sitemaps, and indexes of sitemaps (sitemaps.org, protocol 0.9), plain or compressed.

use std::io::Read;

use flate2::read::GzDecoder;
use release::Timestamp;
use security::outside::Url;

use super::fetch;
use crate::source::xml::{self, Piece};

/// The most bytes and entries of a sitemap, as the protocol has it.
const MAX_BYTES: u64 = 50 << 20;
const MAX_ENTRIES: usize = 50_000;

/// What a sitemap lists.
#[derive(Debug, Default, PartialEq)]
pub struct Sitemap {
    /// Pages, and when they were changed.
    pub pages: Vec<(Url, Option<Timestamp>)>,
    /// Other sitemaps.
    pub sitemaps: Vec<Url>,
}

/// Reads a sitemap or an index of sitemaps.
///
/// # Errors
/// Why it cannot be read.
pub fn read(bytes: &[u8]) -> Result<Sitemap, String> {
    let mut unpacked = Vec::new();
    let bytes = match bytes.starts_with(&[0x1f, 0x8b]) {
        false => bytes,
        true => {
            let mut decoder = GzDecoder::new(bytes).take(MAX_BYTES + 1);
            decoder.read_to_end(&mut unpacked).map_err(|error| error.to_string())?;
            &unpacked
        }
    };
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    let (mut sitemap, mut known) = (Sitemap::default(), false);
    let (mut address, mut changed, mut text) = (None, None, String::new());
    let mut entries = 0_usize;
    xml::read(bytes, |piece| {
        match piece {
            Piece::Start(element, _) => {
                known |= matches!(element.as_str(), "urlset" | "sitemapindex");
                text.clear();
            }
            Piece::Text(more) => text.push_str(&more),
            Piece::End(element) => match element.as_str() {
                "loc" => address = Url::parse(text.trim()).ok().and_then(fetch::page),
                "lastmod" => changed = moment(text.trim()),
                "url" | "sitemap" => {
                    entries += 1;
                    let (address, changed) = (address.take(), changed.take());
                    match address {
                        Some(url) if element == "url" => sitemap.pages.push((url, changed)),
                        Some(url) => sitemap.sitemaps.push(url),
                        None => {}
                    }
                }
                _ => {}
            },
        }
        (entries <= MAX_ENTRIES)
            .then_some(())
            .ok_or(format!("it has more than {MAX_ENTRIES} entries"))
    })?;
    if known { Ok(sitemap) } else { Err("it is no sitemap".to_owned()) }
}

/// A moment of W3C's profile: a day, or a time with its zone.
fn moment(text: &str) -> Option<Timestamp> {
    let day = || {
        let day: jiff::civil::Date = text.parse().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(day.to_datetime(jiff::civil::Time::midnight())).ok()
    };
    text.parse().ok().or_else(day)
}

#[cfg(test)]
mod tests;
