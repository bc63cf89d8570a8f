//! Signature Version 4: whether a request was signed with an access key.
//!
//! A signature is accepted in the `Authorization` header and over the whole body: URLs signed in
//! their query, unsigned or chunked bodies and session tokens are refused. Any region and service
//! may be named. One who sees a signed request can send it again, unchanged, for five minutes, as
//! with AWS itself; only TLS keeps it from being seen.
//!
//! ```text
//!  Authorization ─► access key, scope, signed headers, signature
//!  X-Amz-Date ────► within five minutes of the server's clock, of the scope's date
//!  method, path, query, signed headers, body ─► canonical request ─┐
//!  secret, date, region, service ─► signing key ───────────────────┴─► HMAC ─► equal?
//! ```
//!
//! After "Create a signed AWS API request" in AWS's IAM User Guide.

mod authorization;
mod canonical;
mod error;

use std::sync::Arc;

use aws_lc_rs::{constant_time, digest, hmac};
use http::HeaderMap;
use http::request::Parts;
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};

use crate::{AccessKey, Identity, Invalid};

use authorization::Authorization;
pub use error::SignatureError;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
/// How far the client's clock may be from the server's.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The service that a request was signed for, as `states` or `events`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Service(String);

impl Service {
    /// Its name in the credential scope.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A request whose signature is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Who signed it.
    pub identity: Arc<Identity>,
    /// For which service.
    pub service: Service,
    /// For which region.
    pub region: String,
}

/// Who signed `request`, which must be as it was received: its URI with the whole path, nothing
/// decoded. `find` gives the access key of an id.
///
/// A path with `.`, `..` or empty segments has the signature of the path it resolves to (but for
/// `s3`): one who routes by the path must not give it another meaning than that one.
///
/// # Errors
/// If the signature is missing, malformed, out of time, by no valid key, or not of this request.
pub fn verify(
    request: &Parts,
    body: &[u8],
    now: Timestamp,
    find: impl FnOnce(&str) -> Result<AccessKey, Invalid>,
) -> Result<Signed, SignatureError> {
    let headers = &request.headers;
    let authorization = Authorization::read(headers)?;
    if headers.contains_key("x-amz-security-token") {
        return Err(SignatureError::SessionToken);
    }
    let time = signing_time(headers)?;
    check_clock(time, now)?;
    let time = basic(time);
    if time.get(..8) != Some(authorization.date) {
        return Err(SignatureError::ScopeDate { scope: authorization.date.to_owned(), time });
    }
    let body = body_digest(headers, body)?;
    let canonical = canonical::request(request, &authorization, &body)?;

    let AccessKey { identity, secret } =
        find(authorization.access_key).map_err(|Invalid| SignatureError::UnknownKey)?;
    let Authorization { date, region, service, signature, .. } = authorization;
    let mut key = format!("AWS4{}", secret.expose()).into_bytes();
    for part in [date, region, service, TERMINATOR] {
        key = sign(&key, part);
    }
    let canonical = sha256(canonical.as_bytes());
    let signed =
        format!("{ALGORITHM}\n{time}\n{date}/{region}/{service}/{TERMINATOR}\n{canonical}");
    let expected = hex::encode(sign(&key, &signed));
    constant_time::verify_slices_are_equal(expected.as_bytes(), signature.as_bytes())
        .map_err(|_| SignatureError::Mismatch)?;
    Ok(Signed { identity, service: Service(service.to_owned()), region: region.to_owned() })
}

/// When the client says it signed.
fn signing_time(headers: &HeaderMap) -> Result<Timestamp, SignatureError> {
    const MISSING: &str = "Authorization header requires existence of either a 'X-Amz-Date' or a \
                           'Date' header.";
    const MALFORMED: &str = "Date must be in ISO-8601 'basic format', as 20150830T123600Z.";
    let amazon = only(headers, "x-amz-date")?;
    let text = amazon.or(only(headers, "date")?).ok_or(SignatureError::Incomplete(MISSING))?;
    let iso = text.parse::<Timestamp>().ok().filter(|&time| basic(time) == text);
    match (iso, amazon) {
        (Some(time), _) => Ok(time),
        (None, Some(_)) => Err(SignatureError::Incomplete(MALFORMED)),
        (None, None) => rfc2822::DateTimeParser::new()
            .parse_timestamp(text)
            .map_err(|_| SignatureError::Incomplete(MALFORMED)),
    }
}

fn check_clock(signed: Timestamp, now: Timestamp) -> Result<(), SignatureError> {
    let earliest = now.checked_sub(SKEW).unwrap_or(Timestamp::MIN);
    let latest = now.checked_add(SKEW).unwrap_or(Timestamp::MAX);
    if signed < earliest {
        Err(SignatureError::Expired { signed, earliest, now })
    } else if signed > latest {
        Err(SignatureError::NotYetCurrent { signed, latest, now })
    } else {
        Ok(())
    }
}

/// The digest of `body`, which must be the one that the client names, if it names any.
fn body_digest(headers: &HeaderMap, body: &[u8]) -> Result<String, SignatureError> {
    let actual = sha256(body);
    match only(headers, "x-amz-content-sha256")? {
        Some("UNSIGNED-PAYLOAD") => Err(SignatureError::UnsignedBody),
        Some(named) if named.starts_with("STREAMING-") => Err(SignatureError::UnsignedBody),
        Some(named) if named != actual => Err(SignatureError::OtherBody),
        _ => Ok(actual),
    }
}

/// The value of a header that is there once at most.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, SignatureError> {
    let mut values = headers.get_all(name).iter();
    let wrong = |why| SignatureError::Header { name: name.to_owned(), why };
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| wrong("is not readable text"))?;
            Ok(Some(text.trim()))
        }
        (Some(_), Some(_)) => Err(wrong("is there more than once")),
    }
}

/// A moment in ISO 8601's basic format.
fn basic(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

#[cfg(test)]
mod tests;
