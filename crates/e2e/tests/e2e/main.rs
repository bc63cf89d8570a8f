//! Tests of the whole product.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests speak by panicking")]

mod acceptance;
mod backups;
mod bad_input;
mod calls;
mod crash;
mod diagnosis;
mod doors;
mod engines;
mod erasure;
mod evals;
mod freshness;
mod full_disk;
mod ingest;
mod kept;
mod kills;
mod pipelines;
mod release;
mod replays;
mod retrieval;
mod rollouts;
mod sdks;
mod servers;
mod sources;
mod telemetry;
mod workflows;
