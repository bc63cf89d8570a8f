//! Time comes through a handle, so that tests own it.

use std::fmt;

/// A moment, to the nanosecond, in UTC; serialised as RFC 3339.
pub use jiff::Timestamp;

/// Where a component reads the time from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}
