//! The nouns of Groundcrew: what a release is, where it is live, and how a request finds it.
//!
//! A release pins everything that shapes an answer: a set of digests whose own digest is its name.
//! This crate is pure: no I/O, no async, no clock of its own. Everything above builds on it.
//!
//! The nouns: [`ArtifactVersion`], [`Release`], [`Change`], [`Environment`] (with its
//! [`TrafficPlan`] and [`DeploymentEntry`] log) and [`RoutingTable`].
//!
//! ```text
//!  ArtifactVersion ─┐
//!  ArtifactVersion ─┼─► Release ◄── Change          (who proposed it, against which parent, why)
//!  ArtifactVersion ─┘      │
//!                          ▼
//!  DeploymentEntry* ──fold──► Environment ──► RoutingTable ──bind(unit)──► Binding
//! ```
//!
//! Start reading at [`Release::seal`], then [`Environment::apply`] and [`RoutingTable::bind`].
//!
//! ```
//! use release::{AppName, Digest, Release, SlotName};
//!
//! let prompt = Digest::of(b"Answer politely.\n");
//! let sealed = Release::seal("support".parse::<AppName>()?, [(SlotName::PROMPT, prompt)])?;
//! assert_eq!(Release::open(sealed.bytes().to_vec(), sealed.digest())?, sealed);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod artifact;
mod assignment;
mod canonical;
mod change;
mod clock;
mod deployment;
mod diagnostic;
mod digest;
mod draw;
mod environment;
pub mod invariants;
mod money;
mod name;
mod principal;
mod quarantine;
mod routing;
mod sealed;
mod secret;

pub use artifact::{ArtifactKind, ArtifactRef, ArtifactState, ArtifactVersion, Reproducibility};
pub use assignment::{BUCKETS, bucket};
pub use canonical::{CanonicalError, CanonicalJson};
pub use change::{Change, ChangeId, SlotDiff, slot_diff};
pub use clock::{Clock, Timestamp};
pub use deployment::{Cause, DeploymentEntry, Move, fold};
pub use diagnostic::{Code, Diagnostic, Place, Severity};
pub use digest::{Digest, DigestMismatch, ParseDigestError};
pub use draw::Draw;
pub use environment::{
    Arm, BasisPoints, BucketRange, Environment, EnvironmentError, Mirror, MoveRequest, PlanError,
    PlanId, PlanOwner, Route, RouteMatch, SHADOW, TrafficPlan,
};
pub use money::{Currency, Money};
pub use name::{AppName, ArtifactName, EnvironmentName, InvalidName, SlotName, TenantId};
pub use principal::{PrincipalId, PrincipalKind};
pub use quarantine::quarantined_closure;
pub use routing::{Binding, Caller, RoutingTable, Unit, UnknownTarget};
pub use sealed::{Release, ReleaseDigest, ReleaseError};
pub use secret::Secret;
