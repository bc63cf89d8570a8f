//! The canonical request: the one text that all ways of sending the same request come to.

use std::borrow::Cow;

use http::HeaderMap;
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::SignatureError;
use super::authorization::Authorization;

const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');
/// The most bytes that all signed headers together may have.
const MAX_HEADERS: usize = 64 << 10;

pub(super) fn request(
    request: &Parts,
    authorization: &Authorization<'_>,
    body: &str,
) -> Result<String, SignatureError> {
    let signed = &authorization.signed_headers;
    all_are_signed(&request.headers, signed)?;
    Ok(format!(
        "{}\n{}\n{}\n{}\n{}\n{body}",
        request.method,
        path(request.uri.path(), authorization.service),
        query(request.uri.query().unwrap_or_default()),
        headers(request, signed)?,
        signed.join(";"),
    ))
}

/// The headers that decide what a request means must be signed: the host and all of AWS's own.
fn all_are_signed(headers: &HeaderMap, signed: &[&str]) -> Result<(), SignatureError> {
    if signed.binary_search(&"host").is_err() {
        return Err(SignatureError::NotSigned("'Host' or ':authority'".to_owned()));
    }
    let mut own = headers.keys().map(|name| name.as_str()).filter(|n| n.starts_with("x-amz-"));
    match own.find(|name| signed.binary_search(name).is_err()) {
        Some(name) => Err(SignatureError::NotSigned(format!("'{name}'"))),
        None => Ok(()),
    }
}

/// The path as it came, encoded once more; only S3's is not, nor are its dots and slashes resolved.
fn path(path: &str, service: &str) -> String {
    let path: Cow<'_, [u8]> = match service {
        "s3" => percent_decode_str(path).into(),
        _ => resolve(path).into_bytes().into(),
    };
    percent_encode(&path, RESERVED_IN_PATH).to_string()
}

/// Without `.`, `..` and empty segments; a slash at the end stays.
fn resolve(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let directory = matches!(path.rsplit('/').next(), Some("" | "." | ".."));
    let end = if directory && !segments.is_empty() { "/" } else { "" };
    format!("/{}{end}", segments.join("/"))
}

/// The parameters in order, each name and value encoded in the one way there is.
fn query(query: &str) -> String {
    let encode = |text: &str| {
        let bytes: Cow<'_, [u8]> = percent_decode_str(text).into();
        percent_encode(&bytes, RESERVED).to_string()
    };
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let mut parameters: Vec<(String, String)> = parameters
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    parameters.sort();
    let parameters: Vec<String> =
        parameters.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    parameters.join("&")
}

/// One line for each signed header, values of the same name together.
fn headers(request: &Parts, signed: &[&str]) -> Result<String, SignatureError> {
    let mut lines = String::new();
    for &name in signed {
        let values = request.headers.get_all(name).iter();
        let values: Option<Vec<String>> = values.map(|value| folded(value.as_bytes())).collect();
        let mut values = values.ok_or_else(|| SignatureError::Header {
            name: name.to_owned(),
            why: "is not readable text",
        })?;
        // HTTP/2 has the host in the URI.
        let host = request.uri.authority().filter(|_| name == "host" && values.is_empty());
        values.extend(host.map(ToString::to_string));
        if values.is_empty() {
            return Err(SignatureError::Absent(name.to_owned()));
        }
        lines.push_str(&format!("{name}:{}\n", values.join(",")));
        if lines.len() > MAX_HEADERS {
            return Err(SignatureError::Incomplete("Signed headers are longer than 65536 bytes."));
        }
    }
    Ok(lines)
}

/// A value without white space around it, and with one space for each run of it within.
fn folded(value: &[u8]) -> Option<String> {
    let value = std::str::from_utf8(value).ok()?;
    Some(value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}
