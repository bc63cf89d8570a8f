//! What can go wrong with keys, principals and secrets.

use release::{InvalidName, PrincipalId, TenantId};
use store::StoreError;

/// An error of the security side.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// A secret was written down where only a reference to it may stand.
    #[error("a secret must be referred to as `env:NAME` or `file:PATH`, not written down")]
    PlainSecret,
    /// A secret cannot be read.
    #[error("the secret `{reference}` cannot be read: {why}")]
    UnreadableSecret {
        /// The reference.
        reference: String,
        /// Why not.
        why: String,
    },
    /// No such principal.
    #[error("there is no principal `{0}`")]
    UnknownPrincipal(PrincipalId),
    /// No such tenant.
    #[error("there is no tenant `{0}`")]
    UnknownTenant(TenantId),
    /// No such key.
    #[error("there is no key `{0}`")]
    UnknownKey(String),
    /// It is there already.
    #[error("`{0}` exists already")]
    Exists(String),
    /// A name is not valid.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The system's source of randomness failed.
    #[error("no randomness is to be had")]
    Randomness,
    /// The installation's key seals nothing.
    #[error("the secret cannot be sealed")]
    Sealing,
    /// A record could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}
