//! Releases: sets of digests whose own digest is their name.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{
    AppName, CanonicalError, CanonicalJson, Digest, DigestMismatch, ParseDigestError, SlotName,
};

/// The digest of a sealed release: its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseDigest(Digest);

impl ReleaseDigest {
    /// Wraps the digest of a release's bytes.
    pub const fn new(digest: Digest) -> Self {
        Self(digest)
    }

    /// The digest of the release's bytes.
    pub const fn digest(self) -> Digest {
        self.0
    }

    /// The first 12 hex digits, for people.
    pub fn short(self) -> String {
        self.0.short()
    }
}

impl fmt::Display for ReleaseDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ReleaseDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Release({})", self.short())
    }
}

impl FromStr for ReleaseDigest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        text.parse().map(Self)
    }
}

/// Why bytes are not a release.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The bytes changed since they were stored.
    #[error(transparent)]
    Corrupt(#[from] DigestMismatch),
    /// The bytes are not canonical JSON.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// The JSON is not of the form `release/v1`.
    #[error("release `{digest}` does not have the form `release/v1`")]
    Form {
        /// The release that was read.
        digest: ReleaseDigest,
        /// What did not fit.
        source: serde_json::Error,
    },
    /// A release that pins nothing shapes no answer.
    #[error("a release of `{app}` fills no slot")]
    Empty {
        /// The app it was to be a release of.
        app: AppName,
    },
}

/// The hashed form: `{"app":…,"slots":{…},"type":"release/v1"}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    app: AppName,
    slots: BTreeMap<SlotName, Digest>,
    r#type: Form,
}

#[derive(Serialize, Deserialize)]
enum Form {
    #[serde(rename = "release/v1")]
    V1,
}

/// A sealed release. It cannot change: its digest is over exactly the bytes it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    app: AppName,
    slots: BTreeMap<SlotName, Digest>,
    bytes: Vec<u8>,
    digest: ReleaseDigest,
}

impl Release {
    /// Seals `slots` as a release of `app`. The same slots always give the same release.
    ///
    /// # Errors
    /// [`ReleaseError::Empty`] if there are no slots.
    pub fn seal(
        app: AppName,
        slots: impl IntoIterator<Item = (SlotName, Digest)>,
    ) -> Result<Self, ReleaseError> {
        let slots: BTreeMap<_, _> = slots.into_iter().collect();
        if slots.is_empty() {
            return Err(ReleaseError::Empty { app });
        }
        let body = Body { app, slots, r#type: Form::V1 };
        let json = CanonicalJson::of(&body)?;
        let digest = ReleaseDigest(json.digest());
        Ok(Self { app: body.app, slots: body.slots, bytes: json.into_bytes(), digest })
    }

    /// Opens stored bytes, recomputing their digest.
    ///
    /// # Errors
    /// If the bytes do not have `digest`, are not canonical or are not a release.
    pub fn open(bytes: Vec<u8>, digest: ReleaseDigest) -> Result<Self, ReleaseError> {
        digest.0.verify(&bytes)?;
        let json = CanonicalJson::from_stored(bytes)?;
        let body: Body = json.read().map_err(|source| ReleaseError::Form { digest, source })?;
        Ok(Self { app: body.app, slots: body.slots, bytes: json.into_bytes(), digest })
    }

    /// The app this is a release of.
    pub fn app(&self) -> &AppName {
        &self.app
    }

    /// What each slot is filled by.
    pub fn slots(&self) -> &BTreeMap<SlotName, Digest> {
        &self.slots
    }

    /// The canonical bytes: what is stored and hashed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The release's name.
    pub fn digest(&self) -> ReleaseDigest {
        self.digest
    }
}

#[cfg(test)]
mod tests;
