//! A child process and whatever it starts, killed as one.

use std::io;

use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::Child;

/// The process group that a child leads: it is killed when this is dropped. Drop it before the child
/// is waited for, while its number is still its own.
#[derive(Debug)]
pub struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// The group of a child that was started as the leader of one (`process_group(0)`).
    pub fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    /// Waits until its leader has ended, and leaves its number with it.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub async fn ended(&self) -> io::Result<()> {
        let Some(leader) = self.0 else { return Ok(()) };
        let wait = move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            retry_on_intr(|| waitid(WaitId::Pid(leader), options))
        };
        // It ends at the latest when the group is killed.
        tokio::task::spawn_blocking(wait).await??;
        Ok(())
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.0.map(|leader| kill_process_group(leader, Signal::KILL));
    }
}
