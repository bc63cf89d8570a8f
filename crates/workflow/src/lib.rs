//! Every long piece of work is a durable execution in the Amazon States Language.

mod choice;
mod draw;
mod fault;
mod hash;
mod intrinsic;
mod jsonata;
mod path;
mod template;
