//! Why something is slow or fails: what spans and metrics tell about it together.
//!
//! ```text
//!  spans ─► Piece ─┬► graph: who calls whom, how often, how long
//!                  ├► path: what traces wait for
//!                  └► hot spots: where errors begin
//!  datapoints ─► changes ─┐
//!  event log ─► happenings ┴► timeline: what changed, and what happened just before
//! ```
//!
//! All of it is pure. Start reading at `graph.rs`.

mod changes;
mod graph;
mod path;
mod piece;
mod timeline;

pub use changes::{Change, changes};
pub use graph::{Edge, Graph, HotSpot, Service, graph};
pub use path::{Waited, Waiting, critical_path, waiting};
pub use piece::{Piece, pieces, select};
pub use timeline::{Happening, Moment, Suspect, timeline};

#[cfg(test)]
mod tests;
