//! Signed statements: what somebody may hold as a credential, though nothing of it is stored.
//!
//! A statement is its bytes and an HMAC-SHA256 of them, under a key that HKDF-SHA256 derives from
//! the installation's. One without that key can neither make nor change one. With another
//! installation's key, all statements end.

use aws_lc_rs::hmac;
use base64::Engine;
use release::Secret;
use store::derived_key;

use super::{BASE64, KeyRing};
use crate::SecurityError;

/// What the derived key is for; another purpose or form takes another text.
const PURPOSE: &str = "groundcrew: signed statements, 1";
/// The longest statement, signed, in bytes.
const MAX_LENGTH: usize = 4_096;

/// A text that is no statement of this installation. Why is not told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the statement is not one that was signed here")]
pub struct Forged;

impl KeyRing {
    /// `statement` with its signature, in characters that a URL can hold. What is signed for one
    /// `purpose` counts for no other.
    pub fn sign(&self, purpose: &str, statement: &[u8]) -> Secret {
        let tag = hmac::sign(&self.statements, &[purpose.as_bytes(), b"\n", statement].concat());
        Secret::new(format!("{}.{}", BASE64.encode(statement), BASE64.encode(tag)))
    }

    /// The statement that was signed for `purpose`.
    ///
    /// # Errors
    /// [`Forged`] if it was not signed here, or is changed in any way.
    pub fn verify(&self, purpose: &str, signed: &str) -> Result<Vec<u8>, Forged> {
        if signed.len() > MAX_LENGTH {
            return Err(Forged);
        }
        let (statement, tag) = signed.split_once('.').ok_or(Forged)?;
        let decode = |text: &str| BASE64.decode(text).map_err(|_| Forged);
        let (statement, tag) = (decode(statement)?, decode(tag)?);
        let whole = [purpose.as_bytes(), b"\n", &statement].concat();
        hmac::verify(&self.statements, &whole, &tag).map_err(|_| Forged)?;
        Ok(statement)
    }
}

/// The key of the installation whose key is `pepper`.
pub(super) fn key(pepper: &Secret) -> Result<hmac::Key, SecurityError> {
    let key = derived_key(pepper, PURPOSE).map_err(|_| SecurityError::Sealing)?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
}

#[cfg(test)]
mod tests;
