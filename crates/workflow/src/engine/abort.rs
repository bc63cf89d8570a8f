//! An engine that stops dead at a chosen point, as a process does that is killed there. Tests only.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Where an engine can stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Before a transition is committed: nothing of it is written.
    Commit,
    /// After it, before any of its effects is carried out.
    Effects,
    /// After the work of a task, before its report is taken.
    Report,
}

/// Which points an engine has passed, and where it stops.
#[derive(Debug, Default)]
pub struct Aborts {
    passed: [AtomicU64; 3],
    at: OnceLock<(Point, u64)>,
    dead: watch::Sender<bool>,
}

impl Aborts {
    /// Has the engine stop at a point when it comes there for the `number`th time.
    pub fn set(&self, point: Point, number: u64) {
        self.at.set((point, number)).unwrap();
    }

    /// How often the engine has come to a point.
    pub fn passed(&self, point: Point) -> u64 {
        self.passed[point as usize].load(Ordering::SeqCst)
    }

    /// The engine is at a point. Of one that has stopped, nothing passes any more.
    pub async fn pass(&self, point: Point) {
        let passed = self.passed[point as usize].fetch_add(1, Ordering::SeqCst) + 1;
        if self.at.get() == Some(&(point, passed)) {
            self.dead.send_replace(true);
        }
        if self.has_stopped() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether effects of what is committed are still to be carried out.
    pub fn is_moving(&self) -> bool {
        !self.has_stopped() && self.passed(Point::Commit) > self.passed(Point::Effects)
    }

    /// Whether the engine has stopped.
    pub fn has_stopped(&self) -> bool {
        *self.dead.borrow()
    }

    /// Waits until the engine has stopped.
    pub async fn stopped(&self) {
        self.dead.subscribe().wait_for(|dead| *dead).await.unwrap();
    }
}

mod tests;
