use super::*;

#[test]
fn rss_is_read() {
    let feed = r#"<?xml version="1.0"?><rss version="2.0" xmlns:content="c" xmlns:dc="d"><channel>
        <title>News</title><link>https://example.com/</link>
        <item><title>One &amp; only</title><link>https://example.com/1</link>
          <guid isPermaLink="false">news-1</guid><pubDate>Sun, 06 Nov 1994 08:49:37 GMT</pubDate>
          <description>Short</description><content:encoded><![CDATA[<p>Long &lt; text</p>]]></content:encoded>
          <dc:creator>Ada</dc:creator><category>a</category><category>b</category></item>
        <item><title>Two</title><link>https://example.com/2</link><description>&lt;b&gt;bold&lt;/b&gt;</description></item>
        </channel></rss>"#;
    let entries = read(feed.as_bytes()).unwrap();
    let one = &entries[0];
    assert_eq!(
        (one.id.as_deref(), one.link.as_deref()),
        (Some("news-1"), Some("https://example.com/1"))
    );
    assert_eq!((one.author.as_deref(), one.categories.len()), (Some("Ada"), 2));
    assert_eq!(one.changed.unwrap().to_string(), "1994-11-06T08:49:37Z");
    let page = one.page();
    assert!(page.contains("<h1>One &amp; only</h1>\n<p>Long &lt; text</p>"), "{page}");
    assert!(entries[1].page().contains("<b>bold</b>"));
    assert_eq!(entries.len(), 2);
}

#[test]
fn atom_is_read() {
    let feed = r#"<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title><id>urn:feed</id>
        <entry><title type="text">One</title><id>urn:1</id><link rel="self" href="/self"/>
          <link href="https://example.com/1"/><updated>2026-01-02T03:04:05Z</updated>
          <published>2025-01-01T00:00:00Z</published>
          <author><name>Ada</name><uri>https://ada.example</uri></author><category term="a"/>
          <content type="xhtml"><div><p>First.</p><p>Second &amp; last.</p></div></content></entry>
        <entry><id>urn:2</id><title>Two</title><summary type="html">&lt;i&gt;short&lt;/i&gt;</summary></entry></feed>"#;
    let entries = read(feed.as_bytes()).unwrap();
    let one = &entries[0];
    assert_eq!(
        (one.id.as_deref(), one.link.as_deref()),
        (Some("urn:1"), Some("https://example.com/1"))
    );
    assert_eq!((one.author.as_deref(), &one.categories[..]), (Some("Ada"), &["a".to_owned()][..]));
    assert_eq!(one.changed.unwrap().to_string(), "2026-01-02T03:04:05Z");
    let page = one.page();
    assert!(page.contains("<p>First.</p>\n<p>Second &amp; last.</p>"), "{page}");
    assert!(entries[1].page().contains("<i>short</i>"));
}

#[test]
fn rss_of_rdf_is_read() {
    let feed = r#"<rdf:RDF xmlns:rdf="r" xmlns="http://purl.org/rss/1.0/" xmlns:dc="d"><channel/>
        <item rdf:about="https://example.com/1"><title>One</title><link>https://example.com/1</link>
          <dc:date>2026-01-02T03:04:05+01:00</dc:date></item></rdf:RDF>"#;
    let entries = read(feed.as_bytes()).unwrap();
    assert_eq!(entries[0].link.as_deref(), Some("https://example.com/1"));
    assert_eq!(entries[0].changed.unwrap().to_string(), "2026-01-02T02:04:05Z");
}

#[test]
fn what_is_no_feed_is_refused() {
    for (feed, why) in [
        ("<html><body>sorry</body></html>", "neither"),
        ("<rss><channel><item>", "ends"),
        ("", "neither"),
    ] {
        assert!(read(feed.as_bytes()).unwrap_err().contains(why), "{feed}");
    }
    let endless = format!("<rss>{}</rss>", "<item></item>".repeat(10_001));
    assert!(read(endless.as_bytes()).unwrap_err().contains("entries"));
}

#[test]
fn an_entry_that_says_something_else_has_another_digest() {
    let read = |text: &str| {
        let feed =
            format!("<rss><item><guid>1</guid><description>{text}</description></item></rss>");
        read(feed.as_bytes()).unwrap()[0].digest()
    };
    assert_eq!(read("a"), read("a"));
    assert_ne!(read("a"), read("b"));
}
