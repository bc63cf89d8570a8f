//! The suites that every engine and every blob store must pass.
