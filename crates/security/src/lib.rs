//! Who may do what, and what may be said.
//!
//! Principals belong to a tenant or to the installation, have one role, and prove themselves with
//! keys of which only an HMAC is stored, or with signatures by access keys, whose secrets are
//! sealed. Guardrails screen what comes in and what goes out. Calls to addresses that tenants write do
//! not lead inside.
//!
//! The nouns: [`Identity`], [`Role`], [`Action`], [`KeyRing`], [`guardrails::Guardrails`],
//! [`outside::Outside`].
//!
//! ```text
//!  request ─► KeyRing::authenticate (in memory) ─► Identity ─► authorize(identity, action, resource)
//!  signed request ─► sigv4::verify (KeyRing::access_key) ─► Identity
//!  text ────► Guardrails::input / OutputScreen ─► pass, flag or block
//! ```
//!
//! Start reading at `authorize.rs`, then `keys.rs`, whose module comment also says what each stored
//! part is worth to one who steals it.

mod authorize;
mod error;
mod group;
pub mod guardrails;
mod keys;
pub mod outside;
mod secrets;
pub mod sigv4;
pub mod webhook;

pub use authorize::{Action, Denied, Identity, Resource, Role, authorize};
pub use error::SecurityError;
pub use group::ProcessGroup;
pub use keys::{
    AccessKey, Forged, Invalid, IssuedAccessKey, IssuedKey, KeyId, KeyProof, KeyRecord, KeyRing,
    PrincipalRecord, TenantRecord,
};
pub use secrets::SecretRef;
