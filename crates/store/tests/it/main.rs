//! The conformance suites on every engine and blob store, and what is particular to each.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, also in its fixtures; the crash test's child reports by printing"
)]

mod blobs;
mod crash;
mod model;
mod postgres;
mod sqlite;
