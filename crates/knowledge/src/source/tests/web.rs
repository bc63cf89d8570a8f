//! A site to be read, on a port of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode, header};

use crate::source::Offered;
use crate::source::tests::offer;

/// A site: what it answers, and what it was asked.
#[derive(Clone)]
pub struct Web {
    pub url: String,
    pages: Arc<Mutex<BTreeMap<String, Reply>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Web {
    pub async fn new() -> Self {
        // Another test of this process may have installed it already.
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let web = Self { url, pages: Arc::default(), asked: Arc::default() };
        let router = axum::Router::new().fallback(answer).with_state(web.clone());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        web
    }

    /// What the site's documents' paths begin with.
    pub fn host(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// A page of HTML with an ETag.
    pub fn page(&self, path: &str, body: &str) {
        let headers = [("content-type", "text/html"), ("etag", &format!("\"{body:?}\""))];
        let headers = headers.map(|(name, value)| (name, value.replace(['<', '>', ' '], "")));
        self.reply(path, 200, &headers, body.as_bytes());
    }

    pub fn reply(&self, path: &str, status: u16, headers: &[(&'static str, String)], body: &[u8]) {
        let reply = Reply { status, headers: headers.to_vec(), body: body.to_vec() };
        self.pages.lock().unwrap().insert(path.to_owned(), reply);
    }

    pub fn status(&self, path: &str, status: u16) {
        self.reply(path, status, &[], b"");
    }

    pub fn moved(&self, path: &str, to: &str) {
        self.reply(path, 302, &[("location", to.to_owned())], b"");
    }

    /// What was asked for since the last time, `robots.txt` left out, with the status.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.retain(|path| !path.contains("/robots.txt"));
        asked.sort();
        asked
    }

    /// What makes the site one that may be read.
    pub fn offered(cache: &tempfile::TempDir) -> Offered {
        Offered {
            networks: offer(vec!["127.0.0.0/8".parse().unwrap()]),
            cache: cache.path().to_owned(),
            ..Offered::default()
        }
    }

    fn respond(
        &self,
        path: &str,
        asked: &HeaderMap,
    ) -> (u16, Vec<(&'static str, String)>, Vec<u8>) {
        let pages = self.pages.lock().unwrap();
        // `/trap` leads on for ever, `/away` redirects for ever.
        if let Some(number) = path.strip_prefix("/trap?n=").and_then(|n| n.parse::<u64>().ok()) {
            let body = format!("<a href='/trap?n={}'>next</a>", number + 1);
            return (200, vec![("content-type", "text/html".to_owned())], body.into_bytes());
        }
        if let Some(number) = path.strip_prefix("/away?n=").and_then(|n| n.parse::<u64>().ok()) {
            return (302, vec![("location", format!("/away?n={}", number + 1))], Vec::new());
        }
        let Some(reply) = pages.get(path) else { return (404, Vec::new(), b"none".to_vec()) };
        let etag = reply.headers.iter().find(|(name, _)| *name == "etag").map(|(_, value)| value);
        let known = asked.get(header::IF_NONE_MATCH).map(|value| value.to_str().unwrap());
        if etag.is_some() && etag.map(String::as_str) == known {
            return (304, Vec::new(), Vec::new());
        }
        (reply.status, reply.headers.clone(), reply.body.clone())
    }
}

async fn answer(State(web): State<Web>, request: Request) -> Response<Body> {
    let path = request.uri().path_and_query().unwrap().to_string();
    let (status, headers, body) = web.respond(&path, request.headers());
    web.asked.lock().unwrap().push(format!("{path} {status}"));
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
