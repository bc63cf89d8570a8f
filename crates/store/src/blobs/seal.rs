//! Keys of blobs: each sealed blob has one of its own, so that forgetting the key is forgetting the
//! blob, wherever copies of it are.
//!
//! A blob is sealed with AES-256-GCM under its data key, bound to its tenant and digest. The data
//! key is kept beside it, wrapped the same way under a key that HKDF-SHA256 derives from the
//! installation's.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hkdf, rand};
use bytes::{Bytes, BytesMut};
use release::{Digest, Secret, TenantId};
use serde::{Deserialize, Serialize};

use super::BlobError;

/// What the derived key is for; another purpose or form takes another text.
const PURPOSE: &str = "groundcrew: keys of blobs, 1";
/// How many bytes a key's id has.
pub const ID_LEN: usize = 8;
/// How many bytes a data key has.
const KEY_LEN: usize = 32;

/// What wraps data keys: the installation's key, or nothing.
#[derive(Debug, Clone, Default)]
pub struct Wrap(Option<Secret>);

/// A data key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptKey {
    /// Names it in the headers of what it sealed.
    #[serde(with = "hex::serde")]
    id: [u8; ID_LEN],
    /// Whether `key` is wrapped by the installation's key.
    wrapped: bool,
    #[serde(with = "hex::serde")]
    key: Vec<u8>,
}

/// A data key that is ready to be used for one blob.
pub struct DataKey {
    pub id: [u8; ID_LEN],
    key: RandomizedNonceKey,
    bound: Vec<u8>,
}

impl Wrap {
    /// Keys are wrapped by the key of the installation.
    pub fn new(installation: &Secret) -> Self {
        Self(Some(installation.clone()))
    }

    /// A new key for a blob.
    pub fn make(&self, tenant: &TenantId, digest: &Digest) -> Result<KeptKey, BlobError> {
        let failed = |_| BlobError::Backend("a key cannot be made".to_owned());
        let (mut id, mut key) = ([0; ID_LEN], vec![0; KEY_LEN]);
        rand::fill(&mut id).map_err(failed)?;
        rand::fill(&mut key).map_err(failed)?;
        if let Some(installation) = &self.0 {
            let wrap = wrapping(installation).map_err(failed)?;
            seal(&wrap, &bound(tenant, digest), &mut key).map_err(failed)?;
        }
        Ok(KeptKey { id, wrapped: self.0.is_some(), key })
    }

    /// The key of a blob, from how it is kept.
    pub fn open(
        &self,
        kept: &KeptKey,
        (tenant, digest): (&TenantId, &Digest),
    ) -> Result<DataKey, BlobError> {
        let corrupt =
            |why: &str| BlobError::Corrupt { digest: *digest, why: format!("its key {why}") };
        let bound = bound(tenant, digest);
        let mut key = kept.key.clone();
        if kept.wrapped {
            let wrap = self.0.as_ref().and_then(|key| wrapping(key).ok());
            let wrap = wrap.ok_or_else(|| corrupt("needs the installation's key"))?;
            let wrong = "was wrapped by another installation's key, or was changed";
            key = open(&wrap, &bound, &mut key).ok_or_else(|| corrupt(wrong))?.to_vec();
        }
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key);
        let key = key.map_err(|_| corrupt("has not the length of a key"))?;
        Ok(DataKey { id: kept.id, key, bound })
    }
}

impl DataKey {
    /// Appends `bytes` to `out`, sealed: a random nonce, the ciphertext, the tag.
    pub fn seal(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), BlobError> {
        let mut sealed = bytes.to_vec();
        let failed = |_| BlobError::Backend("a blob cannot be sealed".to_owned());
        seal(&self.key, &self.bound, &mut sealed).map_err(failed)?;
        out.append(&mut sealed);
        Ok(())
    }

    /// What was sealed; `None` if it was changed, or is another blob's.
    pub fn open(&self, sealed: Bytes) -> Option<Bytes> {
        let mut sealed =
            sealed.try_into_mut().unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        let length = open(&self.key, &self.bound, &mut sealed)?.len();
        let mut opened = sealed.split_off(NONCE_LEN);
        opened.truncate(length);
        Some(opened.freeze())
    }
}

fn wrapping(installation: &Secret) -> Result<RandomizedNonceKey, Unspecified> {
    RandomizedNonceKey::new(&AES_256_GCM, &derived_key(installation, PURPOSE)?)
}

/// A key for one purpose, which HKDF-SHA256 derives from the installation's. Keys of different
/// purposes tell nothing of each other.
///
/// # Errors
/// If the library refuses.
pub fn derived_key(installation: &Secret, purpose: &str) -> Result<[u8; KEY_LEN], Unspecified> {
    let mut key = [0; KEY_LEN];
    hkdf::Salt::none(hkdf::HKDF_SHA256)
        .extract(installation.expose().as_bytes())
        .expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256)?
        .fill(&mut key)?;
    Ok(key)
}

/// What a key is bound to: it opens nothing else.
fn bound(tenant: &TenantId, digest: &Digest) -> Vec<u8> {
    let mut bound = digest.as_bytes().to_vec();
    bound.extend_from_slice(tenant.as_str().as_bytes());
    bound
}

fn seal(key: &RandomizedNonceKey, bound: &[u8], bytes: &mut Vec<u8>) -> Result<(), Unspecified> {
    let nonce = key.seal_in_place_append_tag(Aad::from(bound), bytes)?;
    bytes.splice(..0, *nonce.as_ref());
    Ok(())
}

fn open<'a>(key: &RandomizedNonceKey, bound: &[u8], sealed: &'a mut [u8]) -> Option<&'a [u8]> {
    let (nonce, rest) = sealed.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let opened = key.open_in_place(nonce, Aad::from(bound), rest).ok()?;
    Some(opened)
}
