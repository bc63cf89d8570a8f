//! The binary `groundcrew`: the server, and the command line that is its client.
//!
//! `groundcrew up` owns a data directory and serves the request path below `/v1` and the control
//! plane below `/api/v1`; every other command calls it there, so that local and remote are alike.
//!
//! ```text
//!  cli ──(HTTP)──► api ──► delivery, security, monitoring
//!  SDK ──(HTTP)──► gateway ──► models
//!         wiring: config ─► store, blobs, key ring, reconciler, live releases, gateway
//! ```
//!
//! Start reading at `wiring.rs`, then `api.rs`.

mod alarms;
mod api;
mod aws;
mod backups;
mod buckets;
mod cli;
mod client;
mod clock;
mod config;
mod connections;
mod contributors;
mod evaluations;
mod explain;
mod freshness;
mod functions;
mod gates;
mod holder;
mod hooks;
mod knowledge_models;
mod links;
mod listen;
mod online;
mod outside;
mod platform;
mod prometheus;
mod pushes;
mod reference;
mod rollouts;
mod steps;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse())
}
