//! Keys: how they look, how they are made and what is stored of them.
//!
//! A key is `gc_<id>.<secret>`. The id is public and names the key; of the secret only an HMAC
//! under the installation's own key is stored, so a copy of the database lets nobody in and
//! guessing needs no slow hash: the secret has 256 random bits.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;

use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use release::{PrincipalId, Secret, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Identity, KeyId, Role, SecurityError};

const PREFIX: &str = "gc_";
/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;
/// Characters of a secret in base64url.
const SECRET_CHARS: usize = 43;
/// What the installation's key authenticates, so that one key can serve other uses later.
const PURPOSE: &[u8] = b"groundcrew api key v1\0";

/// The installation's own key, under which the HMACs of API keys are made.
#[derive(Clone)]
pub struct InstallationKey(Arc<hmac::Key>);

impl InstallationKey {
    /// Reads the key from `path`; makes it, readable by its owner alone, if there is none. All
    /// replicas of one installation share it.
    ///
    /// # Errors
    /// [`SecurityError::InstallationKey`] if the file cannot be read or made, is not a key, or can
    /// be read by others.
    pub fn open(path: &Path) -> Result<Self, SecurityError> {
        let failed = |source| SecurityError::InstallationKey { path: path.to_owned(), source };
        let bytes = match read_private(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let bytes = random::<32>()?;
                match write_private(path, &bytes) {
                    // Another process made it at the same time.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        read_private(path).map_err(failed)?
                    }
                    written => written.map(|()| bytes.to_vec()).map_err(failed)?,
                }
            }
            read => read.map_err(failed)?,
        };
        if bytes.len() != 32 {
            return Err(failed(io::Error::other("a key has 32 bytes")));
        }
        Ok(Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes))))
    }

    /// Tells this key from another without revealing it.
    pub(crate) fn fingerprint(&self) -> String {
        let tag = hmac::sign(&self.0, b"groundcrew installation fingerprint v1");
        URL_SAFE_NO_PAD.encode(tag)
    }

    fn tag(&self, id: &KeyId, secret: &str) -> hmac::Tag {
        hmac::sign(&self.0, &message(id, secret))
    }

    /// Whether `secret` is that of key `id`, in time that does not depend on `tag`.
    pub(crate) fn verify(&self, id: &KeyId, secret: &str, tag: &[u8]) -> bool {
        hmac::verify(&self.0, &message(id, secret), tag).is_ok()
    }
}

impl fmt::Debug for InstallationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstallationKey(***)")
    }
}

fn message(id: &KeyId, secret: &str) -> Vec<u8> {
    [PURPOSE, id.as_str().as_bytes(), b".", secret.as_bytes()].concat()
}

/// A file that only its owner may read; anything else is an error.
fn read_private(path: &Path) -> io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other("others can read it: run `chmod 600` on it"));
    }
    let mut bytes = Vec::new();
    file.take(1024).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes `path` with `bytes`, complete or not at all, readable by its owner alone.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let temporary = directory.join(format!(".{}.new", random_name()?));
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    // A link, unlike a rename, does not replace what is there.
    let linked = written.and_then(|()| std::fs::hard_link(&temporary, path));
    std::fs::remove_file(&temporary)?;
    linked?;
    std::fs::File::open(directory)?.sync_all()
}

fn random_name() -> io::Result<String> {
    let bytes = random::<12>().map_err(io::Error::other)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn random<const N: usize>() -> Result<[u8; N], SecurityError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| SecurityError::NoRandomness)?;
    Ok(bytes)
}

/// A key as it is stored and listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its public name.
    pub id: KeyId,
    /// Whom it speaks for.
    pub principal: PrincipalId,
    /// Where; `None` is the whole installation.
    pub tenant: Option<TenantId>,
    /// What it may do there.
    pub role: Role,
    /// What it is for, in its maker's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub created_by: PrincipalId,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

impl Key {
    /// Whether it lets in at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity {
            principal: self.principal.clone(),
            tenant: self.tenant.clone(),
            role: self.role,
            key: self.id.clone(),
        }
    }
}

/// A key with what verifies its secret; never leaves this crate.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StoredKey {
    #[serde(flatten)]
    pub(crate) key: Key,
    /// The HMAC of the secret, in base64url.
    hmac: String,
}

impl StoredKey {
    pub(crate) fn tag(&self) -> Vec<u8> {
        // What does not decode verifies nothing.
        URL_SAFE_NO_PAD.decode(&self.hmac).unwrap_or_default()
    }
}

/// A fresh id and secret.
pub(crate) struct Minted {
    pub(crate) id: KeyId,
    secret: String,
}

impl Minted {
    pub(crate) fn new() -> Result<Self, SecurityError> {
        let id = KeyId::from_random(random()?);
        Ok(Self { id, secret: URL_SAFE_NO_PAD.encode(random::<SECRET_BYTES>()?) })
    }

    /// What is stored of it.
    pub(crate) fn stored(&self, key: Key, installation: &InstallationKey) -> StoredKey {
        StoredKey { key, hmac: URL_SAFE_NO_PAD.encode(installation.tag(&self.id, &self.secret)) }
    }

    /// What its holder presents.
    pub(crate) fn presented(&self) -> Secret {
        Secret::new(format!("{PREFIX}{}.{}", self.id, self.secret))
    }
}

/// The id and secret of a presented key, if it has the form of one.
pub(crate) fn parse(presented: &str) -> Option<(KeyId, &str)> {
    let (id, secret) = presented.strip_prefix(PREFIX)?.split_once('.')?;
    let is_secret = secret.len() == SECRET_CHARS
        && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    Some((KeyId::from_str(id).ok().filter(|_| is_secret)?, secret))
}

/// Replaces `path` with a file of `text` that only its owner can read.
pub(crate) fn replace_private(path: &Path, text: &str) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write_private(path, text.as_bytes())
}

#[cfg(test)]
mod tests;
