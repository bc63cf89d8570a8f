//! Who may do what, and what may be said.
//!
//! Principals belong to a tenant or to the installation, have one role, and prove themselves with
//! keys of which only an HMAC is stored. Guardrails screen what comes in and what goes out.
//!
//! The nouns: [`Identity`], [`Role`], [`Action`], [`KeyRing`], [`guardrails::Guardrails`].
//!
//! ```text
//!  request ─► KeyRing::authenticate (in memory) ─► Identity ─► authorize(identity, action, resource)
//!  text ────► Guardrails::input / OutputScreen ─► pass, flag or block
//! ```
//!
//! Start reading at `authorize.rs`, then `keys.rs`.

mod authorize;
mod error;
pub mod guardrails;
mod keys;
mod secrets;

pub use authorize::{Action, Denied, Identity, Resource, Role, authorize};
pub use error::SecurityError;
pub use keys::{Invalid, IssuedKey, KeyId, KeyRecord, KeyRing, PrincipalRecord, TenantRecord};
pub use secrets::SecretRef;
