//! /dev/poll: poll's entries, kept in a driver of the kernel; cost by what is ready.
//!
//! ```text
//! change ─▶ table, queue ─┐
//! wait ───────────────────┴▶ write(entries) ─▶ ioctl(DP_POLL) ─▶ reports
//! ```
//!
//! The logic is separate from the system calls ([`Calls`]). On Linux it is tested over an emulation of them. **It has not been run on
//! illumos or Solaris**, for which it is type-checked.
//!
//! Invariants
//! 1. What is written of a descriptor adds to what the driver has of it. So whatever is taken away is a removal first, and then what
//!    is left (DP-1).
//! 2. Changes are written before the wait, in the order of their first change, each descriptor's last state only (DP-1).
//! 3. The driver knows a descriptor by number. One that was closed is reported as INVALID once, and taken out.

use std::{
    io,
    os::fd::{OwnedFd, RawFd},
    sync::Arc,
    time::Duration,
};

use super::{Backend, Batch, Method, Report, wait};
use crate::{
    flags::{Interest, Ready},
    sys::{
        self,
        devpoll::{self, Driver},
        limits,
        poll::{self, Entry as Record},
    },
};

/// The result array starts here, and doubles after each wait that filled it, up to the limit of open descriptors, beyond which the
/// driver refuses it (DP-2, which begins there).
const FIRST_RESULTS: usize = 64;

/// Entries per write: the driver refuses more than the limit of open descriptors, which is never below this by far.
const MAX_WRITTEN: usize = 64;

/// The system calls.
pub(super) trait Calls: Send {
    /// Opens the driver again, in the place of this set.
    fn renew(&mut self) -> io::Result<()>;

    /// As [`Driver::write`].
    fn write(&mut self, records: &[Record]) -> io::Result<()>;

    /// As [`Driver::wait`].
    fn wait(&mut self, results: &mut [Record], wait_ms: i32) -> io::Result<usize>;

    /// The most entries that a wait may have room for.
    fn max_results(&self) -> usize {
        let soft = limits::descriptors().map_or(0, |(soft, _)| soft);
        usize::try_from(soft).unwrap_or(usize::MAX)
    }
}

impl Calls for Driver {
    fn renew(&mut self) -> io::Result<()> {
        *self = Driver::new()?;
        Ok(())
    }

    fn write(&mut self, records: &[Record]) -> io::Result<()> {
        Driver::write(self, records)
    }

    fn wait(&mut self, results: &mut [Record], wait_ms: i32) -> io::Result<usize> {
        Driver::wait(self, results, wait_ms)
    }
}

#[derive(Debug)]
pub(super) struct DevPoll<C> {
    calls: C,
    /// By descriptor. As long as the highest one that was ever watched.
    entries: Vec<Entry>,
    /// Descriptors whose entry is not what the driver has.
    queue: Vec<RawFd>,
    /// What is written; empty between waits.
    records: Vec<Record>,
    /// Where the driver puts its results. Each wait overwrites the front; what was there means nothing.
    results: Vec<Record>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    token: u64,
    /// What is asked for; NONE: not in the set.
    interest: Interest,
    /// Does the driver have something of this descriptor, as far as we know?
    is_written: bool,
    /// Is it to be taken out before anything is added?
    is_removed: bool,
    /// Is the descriptor in `queue`?
    is_queued: bool,
}

const NOBODY: Entry = Entry {
    token: 0,
    interest: Interest::NONE,
    is_written: false,
    is_removed: false,
    is_queued: false,
};

impl<C: Calls> DevPoll<C> {
    pub(super) fn new(calls: C) -> DevPoll<C> {
        let blank = poll::entry(-1, Interest::NONE);
        DevPoll {
            calls,
            entries: Vec::new(),
            queue: Vec::new(),
            records: Vec::new(),
            results: vec![blank; FIRST_RESULTS],
        }
    }

    /// Notes what is asked of a descriptor, to be written before the next wait.
    fn set(&mut self, index: usize, token: u64, interest: Interest, is_less: bool) {
        let entry = &mut self.entries[index];
        entry.token = token;
        entry.interest = interest;
        entry.is_removed |= is_less && entry.is_written;
        if !entry.is_queued {
            entry.is_queued = true;
            self.queue.push(index as RawFd);
        }
    }

    /// Writes what was queued. If the driver refuses, it stays queued.
    fn flush(&mut self) -> io::Result<()> {
        for &fd in &self.queue {
            let entry = &self.entries[fd as usize];
            if entry.is_removed {
                self.records.push(devpoll::removal(fd));
            }
            if !entry.interest.is_empty() {
                self.records.push(poll::entry(fd, entry.interest));
            }
        }
        let answer = self
            .records
            .chunks(MAX_WRITTEN)
            .try_for_each(|records| self.calls.write(records));
        self.records.clear();
        answer?;
        for fd in self.queue.drain(..) {
            let entry = &mut self.entries[fd as usize];
            entry.is_queued = false;
            entry.is_removed = false;
            entry.is_written = !entry.interest.is_empty();
        }
        Ok(())
    }
}

impl<C: Calls> Backend for DevPoll<C> {
    fn method(&self) -> Method {
        Method::DevPoll
    }

    fn change(&mut self, fd: RawFd, token: u64, old: Interest, new: Interest) -> io::Result<()> {
        let index = usize::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
        let present = self
            .entries
            .get(index)
            .map_or(Interest::NONE, |entry| entry.interest);
        if new.is_empty() {
            if !present.is_empty() {
                self.set(index, token, new, true);
            }
            return Ok(());
        }
        if present.is_empty() {
            // Asked first: an absurd number is an error, not an allocation, and the same error as epoll's. The lane, which asks for
            // edges, has looked when it made the slot, and comes here once per wait.
            if index >= self.entries.len() || !new.contains(Interest::EDGE) {
                sys::check_open(fd)?;
            }
        } else if old.is_empty() && new.contains(Interest::EDGE) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("descriptor {fd} is already watched here; use one source per descriptor"),
            ));
        }
        if index >= self.entries.len() {
            self.entries.resize(index + 1, NOBODY);
        }
        // What the driver has may be of another file, if the caller believes that it has nothing.
        let is_less = old.is_empty() || !new.contains(present);
        self.set(index, token, new, is_less);
        Ok(())
    }

    fn wait(&mut self, wait: Option<Duration>, batch: &mut Batch) -> io::Result<()> {
        batch.clear();
        let reports = &mut batch.reports;
        self.flush()?;
        let n = match self.calls.wait(&mut self.results, wait::wait_ms(wait)) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        };
        reports.reserve(n);
        for place in 0..n {
            let Record { fd, revents, .. } = self.results[place];
            let Some(entry) = usize::try_from(fd)
                .ok()
                .and_then(|index| self.entries.get(index).copied())
            else {
                continue;
            };
            let ready = poll::ready(revents);
            if ready.contains(Ready::INVALID) {
                self.set(fd as usize, entry.token, Interest::NONE, true);
            }
            if !entry.interest.is_empty() {
                reports.push(Report {
                    token: entry.token,
                    ready,
                });
            }
        }
        if n == self.results.len() {
            let room = (2 * n).min(self.calls.max_results()).max(n);
            let blank = self.results[0];
            self.results.resize(room, blank);
        }
        Ok(())
    }

    fn reinit(&mut self) -> io::Result<()> {
        self.calls.renew()?;
        self.entries.clear();
        self.queue.clear();
        Ok(())
    }

    fn shared_descriptor(&self) -> Option<Arc<OwnedFd>> {
        None
    }

    fn has_edges(&self) -> bool {
        false
    }

    fn may_trust_short(&self) -> bool {
        true
    }
}

#[cfg(test)]
pub(super) mod tests;
