use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::ProviderKind;
use crate::fixtures::{binding, target};

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

#[test]
fn a_wait_is_read_in_every_form_it_has() {
    let read = |fields: &[(&str, &str)]| retry_after::read(&headers(fields));
    assert_eq!(read(&[("retry-after", "2")]), Some(Duration::from_secs(2)));
    assert_eq!(read(&[("retry-after", "1.5")]), Some(Duration::from_millis(1_500)));
    let both = [("retry-after", "2"), ("retry-after-ms", "1800")];
    assert_eq!(read(&both), Some(Duration::from_millis(1_800)));
    let later = ("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT");
    let now = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
    assert_eq!(read(&[later, now]), Some(Duration::from_secs(30)));
    let past = ("retry-after", "Wed, 21 Oct 2026 07:27:00 GMT");
    assert_eq!(read(&[past, now]), Some(Duration::ZERO));
    for nonsense in ["soon", "-1", "NaN", "1e40"] {
        assert_eq!(read(&[("retry-after", nonsense)]), None, "{nonsense}");
    }
    assert_eq!(read(&[]), None);
}

#[test]
fn a_body_is_judged_by_its_content_type_and_else_by_its_first_bytes() {
    let of = |value| Form::of(&headers(&[("content-type", value)]));
    assert_eq!(of("text/event-stream; charset=utf-8"), Form::Events);
    assert_eq!(of("Application/JSON"), Form::Json);
    assert_eq!(of("application/problem+json"), Form::Json);
    assert_eq!(of("text/html"), Form::Html);
    assert_eq!(of("text/plain"), Form::Unclear);
    assert_eq!(Form::of(&headers(&[])), Form::Unclear);
    assert_eq!(Form::guess(b" \n{\"a\""), Some(Form::Json));
    assert_eq!(Form::guess(b"data: {"), Some(Form::Events));
    assert_eq!(Form::guess(b": ping"), Some(Form::Events));
    assert_eq!(Form::guess(b"<!doctype"), Some(Form::Html));
    assert_eq!(Form::guess(b"hello"), None);
}

#[test]
fn an_endpoint_that_cannot_be_used_says_why() {
    let wrong = |endpoint| Target::new(&binding(ProviderKind::Openai, endpoint)).unwrap_err();
    assert!(wrong("api.openai.com").contains("no URL"), "{}", wrong("api.openai.com"));
    assert!(wrong("ftp://example.com").contains("https://"));
    assert!(wrong("https://me:secret@example.com").contains("user or password"));
    assert!(!wrong("https://me:secret@example.com").contains("secret@"));
    assert!(wrong("https://example.com/v1?key=1").contains("path"));
}

#[test]
fn a_credential_is_masked_wherever_a_provider_echoes_it() {
    let mut target = target(ProviderKind::Openai, "http://localhost:1/v1");
    target.credential = Some(Secret::new("sk-very-secret"));
    assert_eq!(target.quote("bad key sk-very-secret!"), "bad key ***!");
    assert_eq!(target.quote(&"x".repeat(5_000)).len(), MAX_MESSAGE);
    // Cutting must not leave the beginning of a credential behind.
    let edge = format!("{}sk-very-secret", "x".repeat(MAX_MESSAGE - 5));
    assert!(!target.quote(&edge).contains("sk-"), "{}", target.quote(&edge));
}
