//! Every long piece of work is an execution in the Amazon States Language.
//!
//! A definition is parsed once, with every mistake told; an execution of it is a value that a pure
//! function takes from step to step. Event patterns and schedules, in EventBridge's languages, say
//! when work begins.
//!
//! The nouns: [`Machine`], [`Run`], [`Input`], [`Effect`], [`Event`].
//!
//! ```text
//!  definition ─► Machine ──┐
//!                          ├─► step(machine, run, input, moment) ─► history events, effects
//!  Run ── Input ───────────┘        ▲                                         │
//!                                   └── task reports, timers ◄── the world ◄──┘
//! ```
//!
//! The world is whoever carries effects out: [`simulate`] is one with a virtual clock and pretended
//! tasks. Start reading at `definition.rs`, then `interpreter.rs`.
//!
//! ```
//! use serde_json::json;
//! use workflow::simulate::{Mocks, Setting, simulate};
//!
//! let definition = r#"{"StartAt": "Hello", "States": {
//!     "Hello": {"Type": "Pass", "Parameters": {"to.$": "$.name"}, "End": true}}}"#;
//! let (machine, _warnings) = workflow::Machine::parse(definition).unwrap();
//! let setting = Setting::of(json!({"name": "world"}));
//! let simulated = simulate(&machine, &setting, &mut Mocks::default());
//! assert_eq!(simulated.run.outcome.unwrap().output, Some(json!({"to": "world"})));
//! ```

pub mod cases;
mod choice;
pub mod definition;
mod draw;
pub mod engine;
mod fault;
pub mod graph;
mod hash;
mod history;
mod interpreter;
mod intrinsic;
mod jsonata;
mod name;
mod path;
pub mod pattern;
pub mod portable;
#[cfg(test)]
mod recordings;
mod results;
pub mod rule;
pub mod schedule;
pub mod simulate;
mod template;
pub mod teststate;
pub mod transform;
mod weight;
mod wildcard;

pub use definition::Machine;
pub use fault::Fault;
pub use history::{Event, seconds};
pub use interpreter::{
    About, Effect, FrameId, Input, MAX_PAYLOAD, MapRun, Moment, Outcome, Report, Run, Status, Step,
    TaskRequest, step,
};
pub use name::{NotAWorkflow, WorkflowRef};
