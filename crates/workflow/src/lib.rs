//! Every long piece of work is a durable execution in the Amazon States Language.

pub mod cases;
mod choice;
pub mod definition;
mod draw;
mod fault;
mod hash;
mod history;
mod interpreter;
mod intrinsic;
mod jsonata;
mod path;
pub mod simulate;
mod template;

pub use definition::Machine;
pub use fault::Fault;
pub use history::Event;
pub use interpreter::{
    About, Effect, FrameId, Input, MAX_PAYLOAD, Moment, Outcome, Report, Run, Status, Step,
    TaskRequest, step,
};
