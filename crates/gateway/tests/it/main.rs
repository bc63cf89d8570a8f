//! The request path, with real parts: its routes, keys, releases and log, over providers that
//! speak HTTP.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests speak by panicking")]

mod copies;
mod fixture;
mod goldens;
mod grounded;
mod requests;
mod streams;
