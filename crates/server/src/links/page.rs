//! The pages behind a link: plain HTML that needs nothing else.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use release::Digest;
use store::StoreError;
use workflow::engine::{Approval, Link};
use workflow::graph::escape;

/// The most characters of evidence that are shown.
const MAX_EVIDENCE: usize = 20_000;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}\
h1{font-size:1.4rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1rem}\
dt{opacity:.7}dd{margin:0;overflow-wrap:anywhere}\
.message{font-size:1.15rem;white-space:pre-wrap;overflow-wrap:anywhere}\
pre{overflow:auto;max-height:24rem;padding:.8rem;border:1px solid #8886;border-radius:6px}\
textarea{width:100%;box-sizing:border-box;font:inherit;min-height:5rem}\
button{font:inherit;padding:.5rem 1.2rem;margin:.8rem .6rem 0 0;border-radius:6px;border:1px solid #8888;cursor:pointer}\
.approve{background:#1a7f37;color:#fff}.reject{background:#cf222e;color:#fff}";

/// A page.
pub struct Page {
    status: StatusCode,
    title: String,
    /// HTML.
    body: String,
}

impl Page {
    /// A page that says something; neither text may hold HTML.
    pub fn told(status: StatusCode, title: &str, text: &str) -> Self {
        let body = format!("<p>{}</p>", escape(text));
        Self { status, title: title.to_owned(), body }
    }

    /// A page about our own failure.
    pub fn failed(error: &StoreError) -> Self {
        tracing::error!(%error, "an approval link could not be answered");
        let text = "Nothing was decided. Try again in a moment.";
        Self::told(StatusCode::INTERNAL_SERVER_ERROR, "Something failed here", text)
    }
}

/// What is asked, with the form that decides it.
pub fn asked(link: &Link, approval: &Approval) -> Page {
    let mut body = format!("<p class=\"message\">{}</p>\n", escape(&approval.asked.message));
    body.push_str(&facts(link, approval));
    if !approval.asked.evidence.is_null() {
        let evidence = format!("{:#}", approval.asked.evidence);
        let shown: String = evidence.chars().take(MAX_EVIDENCE).collect();
        let cut = if shown.len() < evidence.len() { "\n… (cut)" } else { "" };
        body.push_str(&format!("<h2>Evidence</h2>\n<pre>{}{cut}</pre>\n", escape(&shown)));
    }
    body.push_str(
        "<form method=\"post\">\n<p><label for=\"comment\">Comment</label><br>\n\
         <textarea id=\"comment\" name=\"comment\" maxlength=\"2000\"></textarea></p>\n\
         <button class=\"approve\" name=\"decision\" value=\"approve\">Approve</button>\n\
         <button class=\"reject\" name=\"decision\" value=\"reject\">Reject</button>\n</form>\n",
    );
    Page { status: StatusCode::OK, title: "Your decision is asked for".to_owned(), body }
}

/// What was decided.
pub fn decided(link: &Link, approval: &Approval, approved: bool) -> Page {
    let verdict = if approved { "approved" } else { "rejected" };
    let body = format!(
        "<p>{} {verdict} it by link. This page can be closed.</p>\n{}",
        escape(&link.principal.to_string()),
        facts(link, approval)
    );
    Page { status: StatusCode::OK, title: format!("It is {verdict}"), body }
}

fn facts(link: &Link, approval: &Approval) -> String {
    let until = approval.times_out_at.unwrap_or(link.expires_at).min(link.expires_at);
    let facts = [
        ("Execution", approval.execution.to_string()),
        ("Waiting state", approval.state.clone()),
        ("Asked by", approval.requester.to_string()),
        ("You decide as", link.principal.to_string()),
        ("Until", until.strftime("%Y-%m-%d %H:%M UTC").to_string()),
    ];
    let rows =
        facts.iter().map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(value)));
    format!("<dl>\n{}</dl>\n", rows.collect::<String>())
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let title = escape(&self.title);
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>{title}</h1>\n{}</main>\n</body>\n</html>\n",
            self.body
        );
        let mut response = (self.status, Html(html)).into_response();
        let style = STANDARD.encode(Digest::of(STYLE.as_bytes()).as_bytes());
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'"
        );
        let headers = response.headers_mut();
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        // The address is the credential: it goes nowhere, is kept nowhere, and is framed by nobody.
        for (name, value) in [
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
