//! Every long piece of work is a durable execution in the Amazon States Language.
