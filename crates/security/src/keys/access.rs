//! Access keys: pairs of an id and a secret, for clients that sign their requests.
//!
//! The secret is kept sealed with AES-256-GCM, under a key that HKDF-SHA256 derives from the
//! installation's, and bound to the id and the tenant it was made for. It is opened for each request
//! and not held open in memory.

use std::sync::{Arc, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use base64::Engine;
use release::{PrincipalId, Secret, TenantId, Timestamp};
use store::derived_key;

use super::{BASE64, Invalid, KeyId, KeyProof, KeyRecord, KeyRing, Proof};
use crate::{Identity, SecurityError};

/// What ids begin with: of the form of AWS's ids, and none of AWS's prefixes.
const PREFIX: &str = "GCAK";
/// How many characters follow it, each of five random bits.
const RANDOM: usize = 16;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// How many random bytes a secret has: 40 characters in base 64, as AWS's.
const SECRET: usize = 30;
/// What the derived key is for; another purpose or form takes another text.
const PURPOSE: &str = "groundcrew: secrets of access keys, 1";

/// An access key just made: the only time its secret is seen.
#[derive(Debug, Clone)]
pub struct IssuedAccessKey {
    /// Its id: 20 characters that begin with `GCAK`.
    pub id: KeyId,
    /// Its secret: 40 characters.
    pub secret: Secret,
}

/// A valid access key, its secret opened to verify a signature with.
#[derive(Debug)]
pub struct AccessKey {
    /// Who signs with it.
    pub identity: Arc<Identity>,
    /// What they sign with.
    pub secret: Secret,
}

impl KeyRing {
    /// Makes an access key for a principal. It counts at once.
    ///
    /// # Errors
    /// If there is no such principal.
    pub async fn issue_access_key(
        &self,
        actor: &PrincipalId,
        principal: &PrincipalId,
        expires_at: Option<Timestamp>,
    ) -> Result<IssuedAccessKey, SecurityError> {
        let tenant = self.principal(principal).await?.tenant;
        let id = random_id()?;
        let mut secret = [0; SECRET];
        rand::fill(&mut secret).map_err(|_| SecurityError::Randomness)?;
        let secret = Secret::new(BASE64.encode(secret));
        let sealed = self.seal.close(&secret, &id, tenant.as_ref())?;
        let record = KeyRecord {
            id,
            principal: principal.clone(),
            proof: KeyProof::Sealed(BASE64.encode(sealed)),
            created_at: self.clock.now(),
            expires_at,
            revoked_at: None,
        };
        self.add(actor, &record).await?;
        Ok(IssuedAccessKey { id: record.id, secret })
    }

    /// The access key of that id.
    ///
    /// # Errors
    /// [`Invalid`] if it is unknown, expired, revoked, or its secret does not open.
    pub fn access_key(&self, id: &str) -> Result<AccessKey, Invalid> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(id).ok_or(Invalid)?;
        let Proof::Sealed(sealed) = &found.proof else { return Err(Invalid) };
        let identity = found.identity(self.clock.now())?;
        match self.seal.open(sealed, &identity.key, identity.tenant.as_ref()) {
            Some(secret) => Ok(AccessKey { identity, secret }),
            None => {
                tracing::warn!(key = id, "the secret of an access key does not open");
                Err(Invalid)
            }
        }
    }
}

fn random_id() -> Result<KeyId, SecurityError> {
    let mut random = [0; RANDOM];
    rand::fill(&mut random).map_err(|_| SecurityError::Randomness)?;
    let letters = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    Ok(KeyId(PREFIX.chars().chain(letters).collect()))
}

/// Closes and opens secrets.
#[derive(Debug)]
pub(super) struct Seal(RandomizedNonceKey);

impl Seal {
    /// The seal of the installation whose key is `pepper`.
    pub(super) fn new(pepper: &Secret) -> Result<Self, SecurityError> {
        derived_key(pepper, PURPOSE)
            .and_then(|key| RandomizedNonceKey::new(&AES_256_GCM, &key))
            .map(Self)
            .map_err(|_| SecurityError::Sealing)
    }

    /// `secret` sealed: a random nonce, the ciphertext, the tag.
    fn close(
        &self,
        secret: &Secret,
        id: &KeyId,
        tenant: Option<&TenantId>,
    ) -> Result<Vec<u8>, SecurityError> {
        let mut text = secret.expose().as_bytes().to_vec();
        let nonce = self.0.seal_in_place_append_tag(bound_to(id, tenant), &mut text);
        let nonce = nonce.map_err(|_| SecurityError::Sealing)?;
        Ok([nonce.as_ref().as_slice(), text.as_slice()].concat())
    }

    /// The secret, if it was sealed here for this id and tenant and is unchanged.
    fn open(&self, sealed: &[u8], id: &KeyId, tenant: Option<&TenantId>) -> Option<Secret> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let opened = self.0.open_in_place(nonce, bound_to(id, tenant), &mut text).ok()?;
        Some(Secret::new(std::str::from_utf8(opened).ok()?))
    }
}

/// Neither ids nor names of tenants hold a line break, and no tenant's name is empty.
fn bound_to(id: &KeyId, tenant: Option<&TenantId>) -> Aad<String> {
    Aad::from(format!("{id}\n{}", tenant.map_or("", TenantId::as_str)))
}

#[cfg(test)]
mod tests;
