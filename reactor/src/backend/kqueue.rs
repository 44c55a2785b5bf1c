//! kqueue: cost by what is ready, edges, and one call for changes and wait together.
//!
//! ```text
//! change: adds ────────────────▶ kevent, with receipts: refused now or never
//!         deletes ─▶ pending ─┐
//! wait ───────────────────────┴▶ kevent ─▶ results ─▶ one report per descriptor
//! ```
//!
//! The logic is separate from the one system call ([`Calls`]). On Linux it is tested over an emulation of that call and, in a build with
//! `--cfg levent_libkqueue`, over libkqueue. **It has not been run on a BSD or on macOS**, for which it is type-checked.
//!
//! Invariants
//! 1. What is added is in the kernel when `change` returns, so the kernel's refusal is the caller's error (better than CL-3).
//! 2. What is no longer wanted leaves the kernel's set with the next call, at the latest before the next wait looks for results (CL-1).
//!    A descriptor that is wanted again before that is added again: it may have been closed and opened meanwhile (CL-2).
//! 3. The kernel forgets a descriptor when it is closed, by number: duplicates do not keep it. So the table here is a belief; where the
//!    kernel says otherwise, the kernel is right. A foreign thread need not delete anything before it closes (as it must on epoll).
//! 4. The token comes from the table, by descriptor: `udata` is a pointer, too narrow for a token on 32 bits. Nothing is ever read
//!    through it; it is null.
//! 5. A forked child has no queue: it is not inherited. Until `reinit` nothing is asked of the kernel there (FORK-8).
//! 6. No user filter: the base's bell is a descriptor as any other, so that no identifier can meet a descriptor's number (KQ-5).

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
        self, fork,
        kqueue::{self, Event, Filter, Queue},
    },
};

/// KQ-4: the result array starts here, and doubles after each wait that filled it.
const FIRST_RESULTS: usize = 64;

/// macOS refuses a wait of more than 10⁸ seconds, libkqueue one that is too long in milliseconds. Nobody minds one wake a day.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The system call.
pub(super) trait Calls: Send {
    /// As [`kqueue::IS_LIBRARY`].
    const IS_LIBRARY: bool;

    /// As [`Queue::is_ours`].
    fn is_ours(&self) -> bool;

    /// Makes a new queue in the place of this one. The old one goes if it is ours.
    fn renew(&mut self) -> io::Result<()>;

    /// As [`Queue::kevent`].
    fn kevent(
        &mut self,
        changes: &[Event],
        results: &mut [Event],
        wait: Option<(i64, i64)>,
    ) -> io::Result<usize>;
}

impl Calls for Queue {
    const IS_LIBRARY: bool = kqueue::IS_LIBRARY;

    fn is_ours(&self) -> bool {
        Queue::is_ours(self)
    }

    fn renew(&mut self) -> io::Result<()> {
        *self = Queue::new()?;
        Ok(())
    }

    fn kevent(
        &mut self,
        changes: &[Event],
        results: &mut [Event],
        wait: Option<(i64, i64)>,
    ) -> io::Result<usize> {
        Queue::kevent(self, changes, results, wait)
    }
}

#[derive(Debug)]
pub(super) struct Kqueue<C> {
    calls: C,
    /// By descriptor. As long as the highest one that was ever watched.
    entries: Vec<Entry>,
    /// Descriptors with filters in the kernel that nobody wants.
    pending: Vec<RawFd>,
    /// Descriptors with something to report that the kernel has no filter for.
    refused: Vec<RawFd>,
    /// Results that came where receipts were expected: a system that does not know receipts fills the room with them. For the next wait.
    early: Vec<Event>,
    /// What the next call is given; empty between calls.
    changes: Vec<Event>,
    /// Where the kernel puts its results. Each call overwrites the front; what was there means nothing.
    results: Vec<Event>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    token: u64,
    /// Where in the batch of the wait the descriptor's report is; means nothing unless the report there has this token.
    place: u32,
    /// What is asked for; NONE: not in the set.
    interest: Interest,
    /// READ and WRITE: the filters that we believe to be in the kernel's set.
    filters: Interest,
    /// Were those filters added with CLEAR? The kernel does not change that of a filter that it has.
    has_edges: bool,
    /// Is the descriptor in `pending`?
    is_pending: bool,
    /// What the kernel answered instead of taking a filter. While it is something, and only then, the descriptor is in `refused`.
    refused: Ready,
}

const NOBODY: Entry = Entry {
    token: 0,
    place: 0,
    interest: Interest::NONE,
    filters: Interest::NONE,
    has_edges: false,
    is_pending: false,
    refused: Ready::NONE,
};

impl<C: Calls> Kqueue<C> {
    /// # Errors
    ///
    /// `Unsupported` if the implementation is one of those that swallow errors (KQ-4).
    pub(super) fn new(mut calls: C) -> io::Result<Kqueue<C>> {
        let mut results = vec![Event::new(-1, Filter::Read, 0); FIRST_RESULTS];
        let impossible = [Event::new(-1, Filter::Read, kqueue::ADD)];
        // Room for one, or libkqueue waits for results after the error, and forgets it when there are none.
        let n = calls.kevent(&impossible, &mut results[..1], Some((0, 0)))?;
        let answer = results[0];
        if n != 1 || answer.fd() != -1 || answer.flags() & kqueue::ERROR == 0 {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this system's kqueue does not report errors of changes; use poll",
            ));
        }
        Ok(Kqueue {
            calls,
            entries: Vec::new(),
            pending: Vec::new(),
            refused: Vec::new(),
            early: Vec::new(),
            changes: Vec::new(),
            results,
        })
    }

    /// Notes that filters of a descriptor have to leave the kernel's set, if any do.
    fn put_off(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        if !entry.is_pending && !entry.filters.without(entry.interest).is_empty() {
            entry.is_pending = true;
            self.pending.push(index as RawFd);
        }
        if C::IS_LIBRARY {
            self.delete_pending();
        }
    }

    /// Does not put off what was put off.
    fn delete_pending(&mut self) {
        self.collect_pending();
        let changes = std::mem::take(&mut self.changes);
        for change in &changes {
            // Not there: fine.
            let _ = self.submit(change.fd(), std::slice::from_ref(change));
        }
    }

    /// Moves what is pending to the list of changes, and out of our belief.
    fn collect_pending(&mut self) {
        for fd in self.pending.drain(..) {
            let entry = &mut self.entries[fd as usize];
            entry.is_pending = false;
            let gone = entry.filters.without(entry.interest);
            entry.filters = entry.filters.without(gone);
            self.changes
                .extend(filters(gone).map(|filter| Event::new(fd, filter, kqueue::DELETE)));
        }
    }

    /// The call with the collected changes failed as a whole: they are pending again.
    fn restore_pending(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            let index = change.fd() as usize;
            if let Some(filter) = change.filter() {
                self.entries[index].filters |= bit(filter);
            }
            self.put_off(index);
        }
    }

    /// Applies the changes now, all of one descriptor and no filter twice, and tells what came of each that failed.
    fn submit(&mut self, fd: RawFd, changes: &[Event]) -> io::Result<Vec<(Filter, i32)>> {
        if self.results.len() < changes.len() {
            self.results.resize(changes.len(), changes[0]);
        }
        // As much room as there are receipts: none is left for results, which would be lost here.
        let room = &mut self.results[..changes.len()];
        let n = loop {
            match self.calls.kevent(changes, room, Some((0, 0))) {
                // The changes have been applied, but what was said of them is lost. Repeating them says it again. Not for long: the
                // call does not wait.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                answer => break answer?,
            }
        };
        let mut failed = Vec::new();
        for receipt in &self.results[..n] {
            match receipt.filter() {
                Some(filter) if receipt.flags() & kqueue::ERROR != 0 && receipt.fd() == fd => {
                    if receipt.error() != 0 {
                        failed.push((filter, receipt.error()));
                    }
                }
                _ => self.early.push(*receipt),
            }
        }
        Ok(failed)
    }

    /// Does the kernel have a filter of ours for this descriptor? What is asked changes nothing: the filters are enabled.
    fn is_in_kernel(&mut self, index: usize) -> io::Result<bool> {
        let fd = index as RawFd;
        let Some(filter) = filters(self.entries[index].filters).next() else {
            return Ok(false);
        };
        if C::IS_LIBRARY {
            // It would not know.
            return Ok(true);
        }
        let flags = kqueue::ENABLE | kqueue::RECEIPT;
        let failed = self.submit(fd, &[Event::new(fd, filter, flags)])?;
        Ok(failed.is_empty())
    }

    /// Has the kernel watch what `interest` asks for, and makes it the entry's. What it watches beyond that is put off.
    fn add(&mut self, index: usize, token: u64, interest: Interest) -> io::Result<()> {
        let fd = index as RawFd;
        let has_edges = interest.contains(Interest::EDGE);
        let wanted = interest & (Interest::READ | Interest::WRITE);
        let entry = self.entries[index];
        let has_other_mode = entry.has_edges != has_edges || C::IS_LIBRARY;
        if has_other_mode && !entry.filters.is_empty() {
            // A filter that is added again stays as edgy as it was. A call of its own, so that no filter is in a list twice.
            let both = changes(fd, kqueue::DELETE | kqueue::RECEIPT);
            // A deletion fails if the descriptor was closed meanwhile, and then there is nothing to delete (KQ-2).
            self.submit(fd, of(entry.filters, &both))?;
            self.entries[index].filters = Interest::NONE;
        }
        let mut flags = kqueue::ADD | kqueue::RECEIPT;
        if has_edges {
            flags |= kqueue::CLEAR;
        }
        // All that is wanted, even if we believe it to be there already (invariant 3).
        let both = changes(fd, flags);
        let failed = if wanted.is_empty() {
            // Nothing to add for CLOSED alone, which comes with READ; but a closed descriptor is an error all the same.
            sys::check_open(fd)?;
            Vec::new()
        } else {
            self.submit(fd, of(wanted, &both))?
        };
        let (mut added, mut refused, mut fatal) = (wanted, Ready::NONE, None);
        for (filter, error) in failed {
            added = added.without(bit(filter));
            match error {
                // KQ-2, and better: all waiters learn of it, writers too. A pipe that nobody reads.
                libc::EPIPE => refused |= Ready::READ | Ready::WRITE | Ready::HANGUP,
                // Something that cannot be waited for is always ready, as for poll.
                libc::EPERM => refused |= ready(filter, 0, 0),
                _ => fatal = Some(error),
            }
        }
        let entry = &mut self.entries[index];
        entry.filters = entry.filters.without(wanted) | added;
        entry.has_edges = has_edges;
        if let Some(error) = fatal {
            // The caller's belief stands; what was added beyond it goes.
            self.put_off(index);
            return Err(io::Error::from_raw_os_error(error));
        }
        entry.token = token;
        entry.interest = interest;
        let was_refused = !entry.refused.is_empty();
        entry.refused = refused;
        if !refused.is_empty() && !was_refused {
            self.refused.push(fd);
        } else if refused.is_empty() && was_refused {
            self.refused.retain(|&other| other != fd);
        }
        self.put_off(index);
        Ok(())
    }

    /// Takes a descriptor out of the set, as far as we are concerned.
    fn forget(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        entry.interest = Interest::NONE;
        if !entry.refused.is_empty() {
            entry.refused = Ready::NONE;
            self.refused.retain(|&other| other as usize != index);
        }
        self.put_off(index);
    }

    /// Reports what the kernel would not take a filter for: by each wait, as all that lasts; with edges once.
    fn report_refused(&mut self, reports: &mut Vec<Report>) {
        for fd in std::mem::take(&mut self.refused) {
            let entry = &mut self.entries[fd as usize];
            // Closed: silent, as the kernel is for those that it watches (EP-13).
            if sys::check_open(fd).is_err() {
                entry.refused = Ready::NONE;
                continue;
            }
            reports.push(Report {
                token: entry.token,
                ready: entry.refused,
            });
            entry.place = (reports.len() - 1) as u32;
            if entry.interest.contains(Interest::EDGE) {
                entry.refused = Ready::NONE;
            } else {
                self.refused.push(fd);
            }
        }
    }

    /// Adds one result to this wait's reports. The two filters of a descriptor make one report.
    fn report(&mut self, result: Event, reports: &mut Vec<Report>) {
        let (Some(filter), Ok(index)) = (result.filter(), usize::try_from(result.fd())) else {
            return;
        };
        // Not wanted: left over from before a change.
        let Some(entry) = self
            .entries
            .get_mut(index)
            .filter(|entry| entry.interest.contains(bit(filter)))
        else {
            return;
        };
        let ready = ready(filter, result.flags(), result.notes());
        let place = entry.place as usize;
        match reports.get_mut(place) {
            Some(report) if report.token == entry.token => report.ready |= ready,
            _ => {
                entry.place = reports.len() as u32;
                reports.push(Report {
                    token: entry.token,
                    ready,
                });
            }
        }
    }

    /// One call. False if the kernel did not look for results, since changes failed.
    fn wait_once(&mut self, wait: Option<Duration>, reports: &mut Vec<Report>) -> io::Result<bool> {
        // KQ-2: a failed change is reported among the results if there is room. Without, the call would fail half-way.
        if self.results.len() < self.changes.len() {
            let blank = self.results[0];
            self.results.resize(self.changes.len(), blank);
        }
        let wait = wait.map(|wait| wait::wait_ns(wait.min(MAX_WAIT)));
        let n = match self.calls.kevent(&self.changes, &mut self.results, wait) {
            Ok(n) => n,
            // The changes have been applied, successfully: a failure would have ended the call before its wait.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => {
                self.restore_pending();
                return Err(error);
            }
        };
        self.changes.clear();
        let mut has_looked = n == 0;
        let mut stale = Vec::new();
        for place in 0..n {
            let result = self.results[place];
            if result.flags() & kqueue::ERROR == 0 {
                has_looked = true;
                self.report(result, reports);
                continue;
            }
            // A deletion: nothing there (closed meanwhile), or nothing that we can do about it (KQ-2).
            stale.push(result.fd());
        }
        if has_looked && n == self.results.len() {
            let blank = self.results[0];
            self.results.resize(2 * n, blank);
        }
        // Last, since it uses the results' room.
        stale.into_iter().for_each(|fd| self.mend(fd));
        Ok(has_looked)
    }

    /// EP-2: the kernel does not have what was to be deleted, so the descriptor was closed and opened again behind our back. What is
    /// still wanted of it is added.
    fn mend(&mut self, fd: RawFd) {
        let Some(&entry) = usize::try_from(fd)
            .ok()
            .and_then(|index| self.entries.get(index))
        else {
            return;
        };
        if !entry.interest.is_empty() {
            // Not open: silent (EP-13).
            let _ = self.add(fd as usize, entry.token, entry.interest);
        }
    }
}

impl<C: Calls> Backend for Kqueue<C> {
    fn method(&self) -> Method {
        Method::Kqueue
    }

    fn change(&mut self, fd: RawFd, token: u64, old: Interest, new: Interest) -> io::Result<()> {
        let index = usize::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
        if !self.calls.is_ours() {
            return if new.is_empty() {
                Ok(())
            } else {
                Err(fork::stale())
            };
        }
        if index >= self.entries.len() {
            if new.is_empty() {
                return Ok(());
            }
            // Asked first: an absurd number is an error, not an allocation.
            sys::check_open(fd)?;
            self.entries.resize(index + 1, NOBODY);
        }
        if new.is_empty() {
            self.forget(index);
            return Ok(());
        }
        let entry = self.entries[index];
        if old.is_empty() && new.contains(Interest::EDGE) && !entry.interest.is_empty() {
            if self.is_in_kernel(index)? {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    format!(
                        "descriptor {fd} is already watched for edges here; use one source per descriptor"
                    ),
                ));
            }
            // Closed and opened again behind our back.
            self.forget(index);
            self.entries[index].filters = Interest::NONE;
        }
        let wanted = new & (Interest::READ | Interest::WRITE);
        let is_less = !wanted.is_empty()
            && entry.filters.contains(wanted)
            && entry.filters != wanted
            && entry.has_edges == new.contains(Interest::EDGE);
        if !old.is_empty() && !entry.interest.is_empty() && is_less {
            // Nothing to add, so nothing that could be refused.
            let entry = &mut self.entries[index];
            entry.token = token;
            entry.interest = new;
            self.put_off(index);
            return Ok(());
        }
        self.add(index, token, new)
    }

    fn wait(&mut self, wait: Option<Duration>, batch: &mut Batch) -> io::Result<()> {
        batch.clear();
        let reports = &mut batch.reports;
        self.collect_pending();
        self.report_refused(reports);
        for result in std::mem::take(&mut self.early) {
            self.report(result, reports);
        }
        let first = if reports.is_empty() {
            wait
        } else {
            Some(Duration::ZERO)
        };
        if self.wait_once(first, reports)? {
            return Ok(());
        }
        // Failed changes end a call before its wait. This one has no changes.
        let has_more = !self.refused.is_empty() || !self.early.is_empty();
        let second = if reports.is_empty() && !has_more {
            wait
        } else {
            Some(Duration::ZERO)
        };
        self.wait_once(second, reports).map(drop)
    }

    fn reinit(&mut self) -> io::Result<()> {
        self.calls.renew()?;
        self.entries.clear();
        self.pending.clear();
        self.refused.clear();
        self.early.clear();
        Ok(())
    }

    fn shared_descriptor(&self) -> Option<Arc<OwnedFd>> {
        None
    }

    fn has_edges(&self) -> bool {
        true
    }

    fn may_trust_short(&self) -> bool {
        false
    }
}

/// The interest that a filter stands for.
fn bit(filter: Filter) -> Interest {
    match filter {
        Filter::Read => Interest::READ,
        Filter::Write => Interest::WRITE,
    }
}

/// The filters of an interest.
fn filters(interest: Interest) -> impl Iterator<Item = Filter> {
    [Filter::Read, Filter::Write]
        .into_iter()
        .filter(move |&filter| interest.contains(bit(filter)))
}

/// The change that does `flags` to each filter.
fn changes(fd: RawFd, flags: u32) -> [Event; 2] {
    [Filter::Read, Filter::Write].map(|filter| Event::new(fd, filter, flags))
}

/// Those of the two that are for an interest's filters.
fn of(interest: Interest, both: &[Event; 2]) -> &[Event] {
    let start = usize::from(!interest.contains(Interest::READ));
    let end = 1 + usize::from(interest.contains(Interest::WRITE));
    &both[start..end]
}

/// BK-5, the row of kqueue, and better: the end of what the peer sends is told as CLOSED, and an error of the socket as HANGUP.
///
/// The end of the other direction is nothing but WRITE: it is also what our own half-close looks like, and that must not wake readers.
fn ready(filter: Filter, flags: u32, notes: u32) -> Ready {
    let is_end = flags & kqueue::EOF != 0;
    let ready = match filter {
        Filter::Read if is_end => Ready::READ | Ready::CLOSED,
        Filter::Read => Ready::READ,
        Filter::Write => Ready::WRITE,
    };
    // Only at the end are the notes an error's number.
    if is_end && notes != 0 {
        ready | Ready::READ | Ready::WRITE | Ready::HANGUP
    } else {
        ready
    }
}

// The emulation stands on epoll.
#[cfg(all(test, target_os = "linux"))]
pub(super) mod tests;
