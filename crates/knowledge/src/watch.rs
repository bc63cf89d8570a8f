//! How far a long piece of work is, and whether it is still wanted.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::KnowledgeError;

/// Looks at work that blocks a thread of its own. Whoever holds it reads how far the work is, and
/// may stop it.
#[derive(Debug, Default)]
pub struct Watch {
    done: AtomicU64,
    stopped: AtomicBool,
}

impl Watch {
    /// Stops the work at its next document.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
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
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} documents", self.done.load(Ordering::Relaxed))
    }
}
