//! Who may do what, and what may be said: keys, roles, secrets by reference and guardrails.
//!
//! Everything that reaches Groundcrew from outside passes here first, and nothing here reads the
//! database while a request waits: keys are checked in memory, guardrails are compiled once.
//!
//! The nouns: [`Identity`] (who a key speaks for), [`KeyRing`] (the keys that are valid now),
//! [`Accounts`] (tenants, users, service accounts and their keys, as they are stored),
//! [`SecretRef`] (where a secret lies) and [`guardrails::Guardrails`].
//!
//! ```text
//!   gc_<id>.<secret> ──KeyRing──► Identity ──authorize(action, resource)──► step inside
//!        ▲                            │
//!   Accounts ──events──► store        └─ question ─► Guardrails::input ─► …
//!                                        answer ──► OutputScreen::push ─► released text
//! ```
//!
//! Start reading at [`authorize`], then [`KeyRing`] and [`guardrails`].
//!
//! ```
//! use security::guardrails::{Guardrails, GuardrailsSpec};
//!
//! let spec: GuardrailsSpec = serde_json::from_str(r#"{"rules": [{
//!     "name": "cards", "kind": "pii", "on": ["input"], "action": "block",
//!     "entities": ["credit_card"]
//! }]}"#)?;
//! let guardrails = Guardrails::compile(&spec)?;
//! assert!(guardrails.input("my card is 4111 1111 1111 1111").blocked().is_some());
//! assert!(guardrails.input("my order is 4111 1111 1111 1112").blocked().is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accounts;
mod authorize;
mod error;
pub mod guardrails;
mod identity;
mod key;
mod key_ring;
mod secret_ref;

pub use accounts::{Accounts, CreatedKey, NewKey, PrincipalRecord, TenantRecord};
pub use authorize::{Action, Denied, Resource, authorize};
pub use error::SecurityError;
pub use identity::{Identity, KeyId, Role};
pub use key::{InstallationKey, Key};
pub use key_ring::{AuthError, KeyRing};
pub use secret_ref::SecretRef;
