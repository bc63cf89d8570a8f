use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const PAGES: &str = r#"<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
    <url><loc> https://example.com/a?x=1&amp;y=2#part </loc><lastmod>2026-01-02</lastmod></url>
    <url><loc><![CDATA[https://example.com/b]]></loc><lastmod>2026-01-02T03:04:05+01:00</lastmod></url>
    <url><loc>ftp://example.com/c</loc></url><url><lastmod>2026-01-01</lastmod></url></urlset>"#;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn pages_are_read_with_their_times_plain_or_compressed() {
    let plain = read(PAGES.as_bytes()).unwrap();
    let told = plain.pages.iter().map(|(url, at)| (url.as_str(), at.map(|at| at.to_string())));
    let expected = [
        ("https://example.com/a?x=1&y=2", Some("2026-01-02T00:00:00Z".to_owned())),
        ("https://example.com/b", Some("2026-01-02T02:04:05Z".to_owned())),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert_eq!(read(&gzip(PAGES.as_bytes())).unwrap(), plain);
}

#[test]
fn an_index_lists_sitemaps() {
    let index =
        "<sitemapindex><sitemap><loc>https://example.com/1.xml</loc></sitemap></sitemapindex>";
    assert_eq!(read(index.as_bytes()).unwrap().sitemaps[0].as_str(), "https://example.com/1.xml");
}

#[test]
fn what_is_no_sitemap_or_never_ends_is_refused() {
    for (bytes, why) in [
        (b"<html><body>not found</body></html>".to_vec(), "no sitemap"),
        (b"".to_vec(), "no sitemap"),
        (b"<urlset><url>".to_vec(), ""),
        (gzip(&vec![b' '; 60 << 20]), "bytes"),
        (format!("<urlset>{}</urlset>", "<url></url>".repeat(50_001)).into_bytes(), "entries"),
    ] {
        let told = read(&bytes).unwrap_err();
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn entities_are_not_expanded() {
    let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>
        <urlset><url><loc>https://example.com/&b;</loc></url></urlset>"#;
    assert!(read(bomb.as_bytes()).is_err());
}
