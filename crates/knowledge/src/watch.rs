//! How far a long piece of work is, and whether it is still wanted.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::KnowledgeError;

/// Looks at work that takes long. Whoever holds it reads how far the work is, and may stop it.
#[derive(Debug, Default)]
pub struct Watch {
    part: Mutex<Part>,
    done: AtomicU64,
    stopped: AtomicBool,
}

/// What is being done.
#[derive(Debug, Clone, Default)]
struct Part {
    name: String,
    /// What is counted.
    things: &'static str,
    /// How many there are, if that is known.
    of: Option<u64>,
}

impl Watch {
    /// Stops the work at its next document.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// A part of the work begins, as `reading wiki`, in which `things` are counted; `of` is how many
    /// there are.
    pub fn begin(&self, name: impl Into<String>, things: &'static str, of: Option<u64>) {
        let part = Part { name: name.into(), things, of };
        *self.part.lock().unwrap_or_else(PoisonError::into_inner) = part;
        self.done.store(0, Ordering::Relaxed);
    }

    /// Goes on only if the work is still wanted.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn wanted(&self) -> Result<(), KnowledgeError> {
        if self.stopped.load(Ordering::Relaxed) { Err(KnowledgeError::Stopped) } else { Ok(()) }
    }

    /// One more document is about to be done.
    ///
    /// # Errors
    /// If the work is not wanted any more.
    pub(crate) fn step(&self) -> Result<(), KnowledgeError> {
        self.wanted()?;
        self.did(1);
        Ok(())
    }

    /// So many more are done.
    pub(crate) fn did(&self, count: u64) {
        self.done.fetch_add(count, Ordering::Relaxed);
    }
}

/// As `reading wiki: 12 documents` or `embedding: 40 of 120 texts`.
impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = self.part.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Part { name, things, of } = part;
        let done = self.done.load(Ordering::Relaxed);
        match (things, of) {
            ("", _) => f.write_str(&name),
            (things, Some(of)) => write!(f, "{name}: {done} of {of} {things}"),
            (things, None) => write!(f, "{name}: {done} {things}"),
        }
    }
}
