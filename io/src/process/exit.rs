//! The end of a child: the process itself, and what becomes ready when it ends.
//!
//! Invariant: the child is looked at after a watch was begun or reset, and before it is waited for. So an end before is seen by the look, and one
//! after it by the watch.

use std::env;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};

use levent_reactor::process::exit_descriptor;
use levent_reactor::signal::{Receiver, SIGCHLD};

use crate::Async;

/// A child that is ours to wait for.
pub(super) struct Exit {
    child: Mutex<Child>,
    /// Readable once the child has ended, and from then on; `None` where there is no such thing.
    descriptor: Option<Async<OwnedFd>>,
}

impl Exit {
    pub(super) fn new(child: Child) -> Exit {
        Exit {
            descriptor: descriptor(&child),
            child: Mutex::new(child),
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child().id()
    }

    /// Sends SIGKILL; an error if the status has been taken already.
    pub(super) fn kill(&self) -> io::Result<()> {
        self.child().kill()
    }

    /// The status, if the child has ended. It is remembered, so that everybody who asks gets it.
    pub(super) fn try_status(&self) -> io::Result<Option<ExitStatus>> {
        self.child().try_wait()
    }

    /// Waits for the end. Any number of tasks may.
    pub(super) async fn status(&self) -> io::Result<ExitStatus> {
        if let Some(status) = self.try_status()? {
            return Ok(status);
        }
        match &self.descriptor {
            Some(descriptor) => self.status_by_descriptor(descriptor).await,
            None => self.status_by_signal().await,
        }
    }

    async fn status_by_descriptor(&self, descriptor: &Async<OwnedFd>) -> io::Result<ExitStatus> {
        loop {
            descriptor.readable().await?;
            if let Some(status) = self.try_status()? {
                return Ok(status);
            }
        }
    }

    /// One receiver per waiting future, so that nobody takes another's signal away.
    async fn status_by_signal(&self) -> io::Result<ExitStatus> {
        let receiver = Receiver::new()?;
        receiver.add(SIGCHLD)?;
        let receiver = Async::new_nonblocking(receiver)?;
        loop {
            receiver.get_ref().drain();
            if let Some(status) = self.try_status()? {
                return Ok(status);
            }
            receiver.readable().await?;
        }
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        // Nothing that panics runs under the lock.
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The child's descriptor. Whatever goes wrong with it, the signal still comes.
fn descriptor(child: &Child) -> Option<Async<OwnedFd>> {
    if env::var_os("LEVENT_PIDFD").is_some_and(|value| value == "0") {
        return None;
    }
    // Nothing is read from it, so its mode is of no account.
    let descriptor = exit_descriptor(child).ok()?;
    Async::new_nonblocking(descriptor).ok()
}
