use serde_json::json;

use super::*;
use crate::source::tests::web::Web;
use crate::source::tests::{all, documents, failures, fresh, marks, opened};

fn rss(entries: &[(&str, &str)]) -> String {
    let items = entries.iter().map(|(name, text)| {
        format!(
            "<item><guid>{name}</guid><link>/{name}</link><title>{name}</title>\
            <description>{text}</description></item>"
        )
    });
    format!("<rss><channel>{}</channel></rss>", items.collect::<String>())
}

struct Fixture {
    web: Web,
    cache: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        Self { web: Web::new().await, cache: tempfile::tempdir().unwrap() }
    }

    fn set(&self, entries: &[(&str, &str)]) {
        let body = rss(entries);
        let etag = Digest::of(body.as_bytes()).short();
        self.web.reply("/feed", 200, &[("etag", format!("\"{etag}\""))], body.as_bytes());
    }

    fn feed(&self, follow: bool) -> Box<dyn Source> {
        let url = format!("{}/feed", self.web.url);
        let source = json!({"kind": "feed", "url": url, "follow": follow});
        opened(source, &Web::offered(&self.cache)).unwrap()
    }
}

fn nothing() -> BTreeMap<String, String> {
    BTreeMap::new()
}

#[tokio::test]
async fn entries_are_added_and_changed_and_stay_when_they_fall_out() {
    let fixture = Fixture::new().await;
    fixture.set(&[("one", "first"), ("two", "second")]);
    let source = fixture.feed(false);
    let first = all(&*source, &nothing()).await.unwrap();
    assert_eq!(fresh(&first), ["one", "two"]);
    let entry = documents(&first).next().unwrap();
    assert!(String::from_utf8_lossy(&entry.bytes).contains("first"));
    assert_eq!((&entry.metadata["title"], &entry.metadata["url"]), (&json!("one"), &json!("/one")));
    let mut before = marks(&first);
    before.insert("page.html".to_owned(), "another source's".to_owned());
    fixture.set(&[("three", "third"), ("two", "other")]);
    let second = all(&*source, &before).await.unwrap();
    assert_eq!(fresh(&second), ["three", "two"]);
    assert!(second.contains(&Seen::Same("one".to_owned())) && second.len() == 3);
}

#[tokio::test]
async fn a_feed_that_is_not_modified_tells_of_what_is_known() {
    let fixture = Fixture::new().await;
    fixture.set(&[("one", "first")]);
    let source = fixture.feed(false);
    let first = all(&*source, &nothing()).await.unwrap();
    assert_eq!(all(&*source, &marks(&first)).await.unwrap(), [Seen::Same("one".to_owned())]);
    assert_eq!(fixture.web.asked(), ["/feed 200", "/feed 304"]);
    // What was read but never taken is read again.
    assert_eq!(fresh(&all(&*source, &nothing()).await.unwrap()), ["one"]);
}

#[tokio::test]
async fn pages_that_entries_link_to_are_read_when_that_is_asked_for() {
    let fixture = Fixture::new().await;
    fixture.set(&[("one", "short"), ("lost", "short")]);
    fixture.web.moved("/one", "/here");
    fixture.web.page("/here", "the whole page");
    let told = all(&*fixture.feed(true), &nothing()).await.unwrap();
    assert_eq!(documents(&told).next().unwrap().bytes, "the whole page");
    assert!(failures(&told)["lost"].contains("is not there"));
    fixture.web.asked();
    all(&*fixture.feed(true), &marks(&told)).await.unwrap();
    assert_eq!(fixture.web.asked(), ["/feed 200", "/lost 404"], "what failed is tried again");
}

#[tokio::test]
async fn a_feed_that_is_broken_or_inside_is_an_error() {
    let fixture = Fixture::new().await;
    for (status, body) in [(200, "<html></html>"), (404, ""), (500, ""), (200, "<rss>")] {
        fixture.web.reply("/feed", status, &[], body.as_bytes());
        let told = all(&*fixture.feed(false), &nothing()).await.unwrap_err().to_string();
        assert!(told.contains("feed `http"), "{told}");
    }
    fixture.web.moved("/feed", "http://169.254.169.254/feed");
    let told = all(&*fixture.feed(false), &nothing()).await.unwrap_err().to_string();
    assert!(told.contains("not of the public internet"), "{told}");
}
