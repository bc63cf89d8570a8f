//! Why a signature is refused, in the words of AWS's services.

use jiff::Timestamp;

use super::basic;

/// A signature that is not accepted. Messages and codes are those of AWS's JSON services, as far as
/// they have one for the case, and repeat nothing that could be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no `Authorization` header.
    #[error("Missing Authentication Token")]
    Missing,
    /// What must be known to verify the signature is missing or malformed.
    #[error("{0}")]
    Incomplete(&'static str),
    /// A header that must be known is there twice or cannot be read.
    #[error("'{name}' header {why}.")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It was signed too long ago, or the client's clock is slow.
    #[error(
        "Signature expired: {} is now earlier than {} ({} - 5 min.)",
        basic(*signed), basic(*earliest), basic(*now)
    )]
    Expired {
        /// When it was signed.
        signed: Timestamp,
        /// When it would have to be signed at the earliest.
        earliest: Timestamp,
        /// The server's time.
        now: Timestamp,
    },
    /// The client's clock is fast.
    #[error(
        "Signature not yet current: {} is still later than {} ({} + 5 min.)",
        basic(*signed), basic(*latest), basic(*now)
    )]
    NotYetCurrent {
        /// When it was signed.
        signed: Timestamp,
        /// When it would have to be signed at the latest.
        latest: Timestamp,
        /// The server's time.
        now: Timestamp,
    },
    /// The credential is for another day.
    #[error(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
         '{scope}' != '{}', from '{time}'.",
        time.get(..8).unwrap_or_default()
    )]
    ScopeDate {
        /// The credential's date.
        scope: String,
        /// When it was signed.
        time: String,
    },
    /// A header that decides what the request means is not signed.
    #[error("{0} must be a 'SignedHeader' in the AWS Authorization.")]
    NotSigned(String),
    /// A header is signed and not there.
    #[error("'{0}' is a 'SignedHeader' in the AWS Authorization, but not a header of the request.")]
    Absent(String),
    /// The body is not signed, or in chunks.
    #[error(
        "The body must be signed: 'UNSIGNED-PAYLOAD' and 'STREAMING-' values of \
         'x-amz-content-sha256' are not supported."
    )]
    UnsignedBody,
    /// The body is another than the one that was signed.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    OtherBody,
    /// A session token came along.
    #[error(
        "The security token included in the request is invalid: there are no session tokens here, \
         sign with an access key alone, without 'X-Amz-Security-Token'."
    )]
    SessionToken,
    /// There is no such access key, or it has expired or was revoked.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// It is not the signature of this request by this key.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your \
         AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}

impl SignatureError {
    /// The code that clients know it by.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete(_) | Self::Header { .. } => "IncompleteSignatureException",
            Self::SessionToken | Self::UnknownKey => "UnrecognizedClientException",
            Self::Expired { .. }
            | Self::NotYetCurrent { .. }
            | Self::ScopeDate { .. }
            | Self::NotSigned(_)
            | Self::Absent(_)
            | Self::UnsignedBody
            | Self::OtherBody
            | Self::Mismatch => "InvalidSignatureException",
        }
    }
}
