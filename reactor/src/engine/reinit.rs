//! After a fork: kernel objects of the child's own, with everything registered again.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::Ordering;

use super::fds::Owner;
use super::{BELL, Engine, Kind, pack};
use crate::flags::Interest;
use crate::sys::fork;

impl Engine {
    /// Makes backend, notifier and signal receiver anew, and registers every descriptor and signal again (FORK-1). Deadlines,
    /// active events and the states of all events stay (FORK-3). Says the first error; the rest is registered all the same
    /// (FORK-4).
    pub(crate) fn reinit(&mut self) -> io::Result<()> {
        self.backend.reinit()?;
        self.shared.bell.renew()?;
        self.forks = fork::count();
        self.shared.forks.store(self.forks, Ordering::Relaxed);
        let interest = if self.edges {
            Interest::READ | Interest::EDGE
        } else {
            Interest::READ
        };
        let bell = self.shared.bell.as_fd().as_raw_fd();
        self.backend.change(bell, BELL, Interest::NONE, interest)?;
        let mut result = Ok(());
        for fd in self.fds.numbers() {
            result = result.and(self.reinit_fd(fd));
        }
        if let Some(signals) = &mut self.signals {
            result = result.and(signals.reinit(self.backend.as_mut()));
        }
        result
    }

    /// Once with the union of what is wanted (FORK-5).
    fn reinit_fd(&mut self, fd: RawFd) -> io::Result<()> {
        let Some(entry) = self.fds.get_mut(fd) else {
            return Ok(());
        };
        match entry.owner {
            Owner::Nobody => Ok(()),
            Owner::Events => {
                let wanted = entry.wanted();
                let result = self.backend.change(fd, entry.token, Interest::NONE, wanted);
                entry.registered = match result {
                    Ok(()) => wanted,
                    Err(_) => Interest::NONE,
                };
                result
            }
            Owner::Lane(index) => {
                let Some(slot) = self.lane.get_mut(index) else {
                    return Ok(());
                };
                let token = pack(Kind::Lane, slot.key, index);
                let result = self
                    .backend
                    .change(fd, token, Interest::NONE, slot.interest());
                if result.is_err() {
                    // Whoever waits there finds out what is wrong by trying.
                    slot.lose(&mut self.woken);
                }
                result
            }
        }
    }
}
