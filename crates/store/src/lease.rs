//! Leases: who may run what must run once.

use release::Timestamp;

/// A lease on a name. Its fence grows with every holder, so that work done under an older lease
/// can be told and refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is a lease on.
    pub name: String,
    /// Who holds it.
    pub holder: String,
    /// Grows with every change of holder.
    pub fence: u64,
    /// When it ends unless renewed.
    pub expires: Timestamp,
}
