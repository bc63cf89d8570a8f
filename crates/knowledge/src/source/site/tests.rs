use serde_json::{Value, json};

use super::*;
use crate::source::tests::web::Web;
use crate::source::tests::{all, documents, failures, fresh, marks, opened, read};

struct Fixture {
    web: Web,
    cache: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        Self { web: Web::new().await, cache: tempfile::tempdir().unwrap() }
    }

    /// A site that begins at `/docs/`, with these settings besides.
    fn site(&self, more: Value) -> Box<dyn Source> {
        let start = format!("{}/docs/", self.web.url);
        let mut source = json!({"kind": "site", "start": [start], "delay_ms": 0});
        for (key, value) in more.as_object().unwrap() {
            source[key] = value.clone();
        }
        opened(source, &Web::offered(&self.cache)).unwrap()
    }

    fn paths<'a>(&self, told: &'a [Seen]) -> Vec<&'a str> {
        let own = |path: &'a str| path.strip_prefix(self.web.host()).unwrap();
        fresh(told).into_iter().map(own).collect()
    }
}

fn nothing() -> BTreeMap<String, String> {
    BTreeMap::new()
}

#[tokio::test]
async fn links_are_followed_within_the_scope_and_no_further() {
    let fixture = Fixture::new().await;
    let web = &fixture.web;
    web.page("/docs/", "<a href='a#part'>a</a> <a href=\"b/\">b</a> <a href='/other'>o</a>
        <a href='http://elsewhere.example/docs/'>e</a> <a href='mailto:a@b'>m</a> <a href='c.css'>c</a>
        <script>'<a href=\"not-a-link\">'</script> <!-- <a href='comment'> -->");
    web.page("/docs/a", "<base href='/docs/deep/'><a href='x'>x</a><a href='../'>up</a>");
    web.page("/docs/b/", "leaf");
    web.page("/docs/deep/x", "deep");
    web.reply("/docs/c.css", 200, &[("content-type", "text/css".to_owned())], b"");
    let told = all(&*fixture.site(json!({})), &nothing()).await.unwrap();
    assert_eq!(fixture.paths(&told), ["/docs/", "/docs/a", "/docs/b/", "/docs/deep/x"]);
    let asked =
        ["/docs/ 200", "/docs/a 200", "/docs/b/ 200", "/docs/c.css 200", "/docs/deep/x 200"];
    assert_eq!(web.asked(), asked);
    let page = documents(&told).next().unwrap();
    assert_eq!(page.media_type.as_deref(), Some("text/html"));
    assert_eq!(page.metadata["url"], format!("{}/docs/", web.url));
    let told = all(&*fixture.site(json!({"max_depth": 1})), &nothing()).await.unwrap();
    assert_eq!(fixture.paths(&told), ["/docs/", "/docs/a", "/docs/b/"]);
}

#[tokio::test]
async fn a_page_that_is_not_modified_still_leads_on_and_a_page_that_is_gone_is_seen() {
    let fixture = Fixture::new().await;
    let web = &fixture.web;
    web.page("/docs/", "<a href='a'>a</a>");
    web.page("/docs/a", "<a href='b'>b</a>");
    web.page("/docs/b", "leaf");
    let source = fixture.site(json!({}));
    let first = all(&*source, &nothing()).await.unwrap();
    let before = marks(&first);
    web.asked();
    web.page("/docs/b", "changed");
    let second = all(&*source, &before).await.unwrap();
    assert_eq!((fixture.paths(&second), second.len()), (vec!["/docs/b"], 3));
    assert_eq!(web.asked(), ["/docs/ 304", "/docs/a 304", "/docs/b 200"]);
    web.status("/docs/b", 410);
    assert_eq!(all(&*source, &before).await.unwrap().len(), 2);
    // Where nothing is known, "not modified" is of no use.
    web.asked();
    assert_eq!(all(&*source, &nothing()).await.unwrap().len(), 2);
    assert_eq!(web.asked(), ["/docs/ 200", "/docs/a 200", "/docs/b 410"]);
}

#[tokio::test]
async fn without_what_was_remembered_all_is_read_again_and_the_same_is_told() {
    let fixture = Fixture::new().await;
    fixture.web.page("/docs/", "<a href='a'>a</a>");
    fixture.web.page("/docs/a", "leaf");
    let first = all(&*fixture.site(json!({})), &nothing()).await.unwrap();
    std::fs::remove_dir_all(fixture.cache.path().join("sites")).unwrap();
    let told = all(&*fixture.site(json!({})), &marks(&first)).await.unwrap();
    assert!(told.iter().all(|seen| matches!(seen, Seen::Same(_))) && told.len() == 2);
}

#[tokio::test]
async fn robots_txt_is_obeyed() {
    let fixture = Fixture::new().await;
    let web = &fixture.web;
    let robots = "User-agent: *\nDisallow: /docs/private\nUser-agent: other\nDisallow: /\n";
    web.reply("/robots.txt", 200, &[], robots.as_bytes());
    web.page("/docs/", "<a href='private/a'>a</a><a href='b'>b</a>");
    web.page("/docs/private/a", "private");
    web.page("/docs/b", "public");
    let told = all(&*fixture.site(json!({})), &nothing()).await.unwrap();
    assert_eq!(fixture.paths(&told), ["/docs/", "/docs/b"]);
    assert_eq!(web.asked(), ["/docs/ 200", "/docs/b 200"]);
    web.reply("/robots.txt", 200, &[], b"User-agent: Groundcrew\nDisallow: /\n");
    let why = all(&*fixture.site(json!({})), &nothing()).await.unwrap_err().to_string();
    assert!(why.contains("`robots.txt` forbids"), "{why}");
    web.status("/robots.txt", 503);
    let why = all(&*fixture.site(json!({})), &nothing()).await.unwrap_err().to_string();
    assert!(why.contains("`robots.txt` of its host"), "{why}");
}

#[tokio::test]
async fn a_page_that_cannot_be_told_of_now_makes_the_site_less_than_whole() {
    let fixture = Fixture::new().await;
    let web = &fixture.web;
    web.page("/docs/", "<a href='a'>a</a><a href='c'>c</a>");
    web.page("/docs/a", "<a href='b'>b</a>");
    web.page("/docs/b", "behind a");
    web.page("/docs/c", "forbidden soon");
    let source = fixture.site(json!({}));
    let first = all(&*source, &nothing()).await.unwrap();
    web.status("/docs/a", 503);
    web.status("/docs/c", 403);
    let (end, told) = read(&*source, &marks(&first)).await;
    let why = end.unwrap_err().to_string();
    assert!(why.contains("/docs/a`: it answers 503") && !why.contains("more)"), "{why}");
    // What it led to is told of, by what is remembered of it.
    let same = |path: &str| Seen::Same(format!("{}{path}", web.host()));
    assert!(told.contains(&same("/docs/b")) && told.contains(&same("/docs/")));
    let host = web.host();
    let paths = [format!("{host}/docs/a"), format!("{host}/docs/c")];
    assert!(paths.iter().all(|path| failures(&told).contains_key(path.as_str())));
    // Only what is forbidden is whole: it is there.
    web.page("/docs/a", "<a href='b'>b</a>");
    assert_eq!(all(&*source, &marks(&first)).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_start_that_is_missing_is_an_error_and_empties_nothing() {
    let fixture = Fixture::new().await;
    for status in [404, 410, 403, 500] {
        fixture.web.status("/docs/", status);
        let why = all(&*fixture.site(json!({})), &nothing()).await.unwrap_err().to_string();
        assert!(why.contains("/docs/`"), "{status}: {why}");
    }
}

#[tokio::test]
async fn redirects_are_followed_within_the_scope_and_end() {
    let fixture = Fixture::new().await;
    let web = &fixture.web;
    web.page(
        "/docs/",
        "<a href='moved'>m</a><a href='out'>o</a><a href='circle'>c</a><a href='/away?n=1'>n</a>",
    );
    web.moved("/docs/moved", "/docs/here");
    web.page("/docs/here", "here");
    web.moved("/docs/out", "http://169.254.169.254/latest/meta-data/");
    web.moved("/docs/circle", "/docs/circle2");
    web.moved("/docs/circle2", "/docs/circle");
    let scope = json!({"scope": [format!("{}/", web.url)]});
    let told = all(&*fixture.site(scope), &nothing()).await.unwrap();
    assert_eq!(fixture.paths(&told), ["/docs/", "/docs/here"]);
    let failures: Vec<_> = failures(&told).into_values().collect();
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures.contains(&"it redirects more than 10 times"));
    assert!(failures.contains(&"it redirects in a circle"));
    for (to, why) in [
        ("http://169.254.169.254/", "leads out of the scope"),
        ("/docs/", "redirects in a circle"),
        ("/other", "leads out of the scope"),
    ] {
        web.moved("/docs/", to);
        let told = read(&*fixture.site(json!({})), &nothing()).await;
        let told = told.0.map(|()| String::new()).unwrap_or_else(|error| error.to_string());
        assert!(told.contains(why), "{to}: {told}");
    }
}

#[tokio::test]
async fn a_site_inside_is_refused_unless_its_network_is_offered() {
    let fixture = Fixture::new().await;
    fixture.web.page("/docs/", "secret");
    let start = format!("{}/docs/", fixture.web.url);
    for start in [start.clone(), start.replace("127.0.0.1", "localhost")] {
        let source = json!({"kind": "site", "start": [start], "delay_ms": 0});
        let offered = Offered { networks: BTreeMap::new(), ..Web::offered(&fixture.cache) };
        let why = all(&*opened(source, &offered).unwrap(), &nothing()).await.unwrap_err();
        assert!(why.to_string().contains("not of the public internet"), "{why}");
    }
    assert!(fixture.web.asked().is_empty());
}

#[tokio::test]
async fn traps_end_by_the_limit_of_pages_with_its_name() {
    let fixture = Fixture::new().await;
    fixture.web.page("/docs/", "<a href='/trap?n=1'>calendar</a>");
    let scope = [format!("{}/", fixture.web.url)];
    let source = fixture.site(json!({"scope": scope, "max_pages": 5, "max_depth": 100}));
    let (end, told) = read(&*source, &nothing()).await;
    let why = end.unwrap_err().to_string();
    assert!(why.contains("more than 5 pages") && why.contains("`max_pages`"), "{why}");
    assert_eq!(told.len(), 5);
    let source = fixture.site(json!({"scope": scope, "exclude": ["**trap**"]}));
    assert_eq!(all(&*source, &nothing()).await.unwrap().len(), 1);
    let source = fixture.site(json!({"scope": scope, "max_bytes": 100, "max_depth": 100}));
    let why = read(&*source, &nothing()).await.0.unwrap_err().to_string();
    assert!(why.contains("more than 100 bytes"), "{why}");
}

#[tokio::test]
async fn sitemaps_are_read_with_what_they_say() {
    let fixture = Fixture::new().await;
    let (web, url) = (&fixture.web, &fixture.web.url);
    let index = format!(
        "<sitemapindex><sitemap><loc>{url}/docs/1.xml</loc></sitemap>
        <sitemap><loc>{url}/sitemap.xml</loc></sitemap></sitemapindex>"
    );
    web.reply("/sitemap.xml", 200, &[], index.as_bytes());
    let pages = format!("<urlset><url><loc>{url}/docs/a</loc><lastmod>2026-01-02</lastmod></url>
        <url><loc>{url}/docs/gone</loc></url><url><loc>http://elsewhere.example/</loc></url></urlset>");
    web.reply("/docs/1.xml", 200, &[], pages.as_bytes());
    web.page("/docs/a", "<a href='b'>b</a>");
    let sitemaps = [format!("{url}/sitemap.xml")];
    let source = fixture.site(json!({"start": [], "sitemaps": sitemaps, "max_depth": 0}));
    let told = all(&*source, &nothing()).await.unwrap();
    assert_eq!(fixture.paths(&told), ["/docs/a"]);
    let page = documents(&told).next().unwrap();
    assert_eq!(page.modified_at.unwrap().to_string(), "2026-01-02T00:00:00Z");
    web.reply("/docs/1.xml", 200, &[], b"<html></html>");
    let why = all(&*source, &nothing()).await.unwrap_err().to_string();
    assert!(why.contains("/docs/1.xml`: it is no sitemap"), "{why}");
}

#[tokio::test]
async fn a_page_that_is_too_large_is_told_as_failed() {
    let fixture = Fixture::new().await;
    fixture.web.page("/docs/", "<a href='large'>l</a>");
    let html = [("content-type", "text/html".to_owned())];
    fixture.web.reply("/docs/large", 200, &html, &vec![b' '; (16 << 20) + 1]);
    let told = all(&*fixture.site(json!({})), &nothing()).await.unwrap();
    assert!(failures(&told).values().all(|why| why.contains("bytes allowed")));
    assert_eq!(told.len(), 2);
}

#[test]
fn a_site_without_a_beginning_is_refused() {
    for source in [json!({}), json!({"start": ["ftp://example.com"]}), json!({"start": ["x"]})] {
        let mut source = source;
        source["kind"] = "site".into();
        assert!(opened(source.clone(), &Offered::default()).is_err(), "{source}");
    }
}
