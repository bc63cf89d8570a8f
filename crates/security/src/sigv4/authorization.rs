//! The `Authorization` header of a signed request.

use http::HeaderMap;

use super::{ALGORITHM, SignatureError, TERMINATOR, only};

/// The most bytes the header may have. Its text says so too, below.
const MAX_HEADER: usize = 4096;
/// The most bytes of a region's or a service's name.
const MAX_NAME: usize = 64;

/// `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=…, Signature=…`.
#[derive(Debug)]
pub(super) struct Authorization<'a> {
    pub(super) access_key: &'a str,
    pub(super) date: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    /// Names in lower case, in order, each once.
    pub(super) signed_headers: Vec<&'a str>,
    /// In hexadecimal digits, if it is right.
    pub(super) signature: &'a str,
}

impl<'a> Authorization<'a> {
    pub(super) fn read(headers: &'a HeaderMap) -> Result<Self, SignatureError> {
        let text = only(headers, "authorization")?.ok_or(SignatureError::Missing)?;
        Self::parse(text).map_err(SignatureError::Incomplete)
    }

    fn parse(text: &'a str) -> Result<Self, &'static str> {
        if text.len() > MAX_HEADER {
            return Err("Authorization header is longer than 4096 bytes.");
        }
        let parameters = match text.split_once(' ') {
            Some((ALGORITHM, parameters)) => parameters,
            _ => return Err("Unsupported AWS 'algorithm': only 'AWS4-HMAC-SHA256' is supported."),
        };
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for parameter in parameters.split(',') {
            let Some((name, value)) = parameter.trim().split_once('=') else {
                return Err("Authorization header has a part that is not a valid key=value pair \
                            (missing equal-sign).");
            };
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err("Authorization header has an unknown parameter."),
            };
            if place.replace(value).is_some() {
                return Err("Authorization header has a parameter twice.");
            }
        }
        let credential =
            credential.ok_or("Authorization header requires 'Credential' parameter.")?;
        let signed_headers =
            signed_headers.ok_or("Authorization header requires 'SignedHeaders' parameter.")?;
        let signature = signature.ok_or("Authorization header requires 'Signature' parameter.")?;

        let parts: Vec<&str> = credential.split('/').collect();
        let &[access_key, date, region, service, terminator] = parts.as_slice() else {
            return Err("Credential must have exactly 5 slash-delimited elements, e.g. \
                        keyid/date/region/service/term.");
        };
        if terminator != TERMINATOR {
            return Err("Credential should be scoped with a valid terminator: 'aws4_request'.");
        }
        if !is_name(region) || !is_name(service) {
            return Err("Credential should be scoped to a region and a service, each of 1 to 64 \
                        letters, digits, '-' or '_'.");
        }
        let signed_headers: Vec<&str> = signed_headers.split(';').collect();
        let lower = signed_headers.iter().all(|name| !name.bytes().any(|b| b.is_ascii_uppercase()));
        if !lower || !signed_headers.is_sorted_by(|one, next| one < next) {
            return Err("SignedHeaders must be in lower case and in order, each once.");
        }
        Ok(Self { access_key, date, region, service, signed_headers, signature })
    }
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}
