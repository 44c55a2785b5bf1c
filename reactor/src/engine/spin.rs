//! The spin guard: finds a descriptor that is ready again and again while its owner does nothing about it, and stops watching it.
//!
//! ```text
//! every so many waits ──▶ who is ready every time? ──▶ does its callback do anything?
//! (a count per wait)      (for 64 waits)               (for as many as the limit)
//! ```
//!
//! An honest server hardly gets as far as the third question, and never beyond the first few callbacks there. Then it is left alone
//! for as many waits as the limit. Only level-triggered events are looked at: edges and the lane report a
//! state once.

use std::os::fd::RawFd;

use super::record::Record;
use super::{Engine, Kind, is_kind};
use crate::backend::{Batch, Report};
use crate::base::Spin;
use crate::event::Flags;
use crate::flags::{Interest, Ready};
use crate::sys::progress::{self, Progress};

/// How many waits a descriptor must be ready in before it is looked at closely.
const SIFTED: u32 = 64;
/// How many are looked at, at a time.
const MOST: usize = 16;
/// How many findings are kept for the dump.
const KEPT: usize = 16;

/// A descriptor that was ready in every wait for some time.
#[derive(Debug)]
struct Suspect {
    fd: RawFd,
    /// All that it was ready for.
    ready: Ready,
    /// In the current wait too.
    is_ready: bool,
    /// What its owner had done before the callback that runs now.
    before: Option<Progress>,
    /// Callbacks in a row that did nothing.
    idle: u32,
}

/// What the guard knows.
#[derive(Debug)]
pub(crate) struct Guard {
    limit: u32,
    /// Waits until it looks again.
    left: u32,
    /// Waits that it has been looking at.
    looked: u32,
    suspects: Vec<Suspect>,
    /// Are callbacks being looked at?
    pub(crate) is_checking: bool,
    /// The hook has not heard of these yet.
    pub(crate) news: Vec<Spin>,
    /// The last that were found.
    pub(crate) found: Vec<Spin>,
    pub(crate) count: u64,
}

impl Guard {
    /// With a limit of 0 it does nothing.
    pub(crate) fn new(limit: u32) -> Guard {
        Guard {
            limit,
            left: limit,
            looked: 0,
            suspects: Vec::new(),
            is_checking: false,
            news: Vec::new(),
            found: Vec::new(),
            count: 0,
        }
    }

    /// Counts a wait; is it one to look at?
    #[inline(always)]
    pub(crate) fn is_looking(&mut self) -> bool {
        // With a limit of 0 it wraps, and is looked at once in 2^32 waits to no effect.
        self.left = self.left.wrapping_sub(1);
        self.left == 0
    }

    /// The interest in a descriptor changes: its owner does something about it.
    #[inline]
    pub(crate) fn forgive(&mut self, fd: RawFd) {
        if !self.suspects.is_empty() {
            self.suspects.retain(|suspect| suspect.fd != fd);
        }
    }

    fn suspect(&mut self, fd: RawFd) -> Option<&mut Suspect> {
        self.suspects.iter_mut().find(|suspect| suspect.fd == fd)
    }
}

impl Engine {
    /// After a wait: sees who is ready every time.
    #[cold]
    #[inline(never)]
    pub(super) fn look_for_spin(&mut self, batch: &Batch) {
        if self.guard.limit == 0 {
            return;
        }
        if self.guard.looked == 0 {
            // Not always the same ones, where there are many.
            let skipped = self.turn as usize % reports_of(batch).count().max(1);
            for report in reports_of(batch).skip(skipped).chain(reports_of(batch)) {
                self.suspect(report);
            }
        } else {
            for report in reports_of(batch) {
                if let Some(suspect) = self.guard.suspect(report.token as u32 as RawFd) {
                    suspect.ready |= report.ready;
                    suspect.is_ready = true;
                }
            }
        }
        let guard = &mut self.guard;
        guard
            .suspects
            .retain_mut(|suspect| std::mem::take(&mut suspect.is_ready));
        let is_over = guard.suspects.is_empty();
        guard.looked = if is_over { 0 } else { guard.looked + 1 };
        guard.is_checking = guard.looked > SIFTED;
        // Looks at the next wait again, or in a while.
        guard.left = if is_over { guard.limit } else { 1 };
    }

    fn suspect(&mut self, report: Report) {
        let is_level = |engine: &Engine| {
            let entry = engine.fds.named(report.token);
            entry.is_some_and(|entry| entry.token == report.token && !entry.edge)
        };
        let fd = report.token as u32 as RawFd;
        if self.guard.suspects.len() < MOST && self.guard.suspect(fd).is_none() && is_level(self) {
            self.guard.suspects.push(Suspect {
                fd,
                ready: report.ready,
                is_ready: true,
                before: None,
                idle: 0,
            });
        }
    }

    /// Before the callback of an event.
    pub(super) fn note_before(&mut self, index: u32) {
        let Record { number, what, .. } = self.records[index];
        if !what.intersects(Flags::DESCRIPTOR) || self.records[index].is_signal() {
            return;
        }
        if let Some(suspect) = self.guard.suspect(number) {
            suspect.before = look(suspect);
            if suspect.before.is_none() {
                // It may do its work unseen.
                self.guard.forgive(number);
            }
        }
    }

    /// After that callback.
    pub(super) fn note_after(&mut self) {
        let limit = self.guard.limit;
        let mut spinning = None;
        self.guard.suspects.retain_mut(|suspect| {
            let Some(before) = suspect.before.take() else {
                return true;
            };
            if look(suspect) != Some(before) {
                return false;
            }
            suspect.idle += 1;
            if suspect.idle >= limit {
                spinning = Some((suspect.fd, suspect.ready));
            }
            suspect.idle < limit
        });
        if let Some((fd, ready)) = spinning {
            self.disarm(fd, ready);
        }
    }

    /// Stops watching a descriptor for what it was ready for. The events stay pending; any change of interest watches it again.
    #[cold]
    fn disarm(&mut self, fd: RawFd, ready: Ready) {
        let Some(entry) = self.fds.get_mut(fd) else {
            return;
        };
        let rest = rest(entry.registered, ready);
        // Refused only for a descriptor that is closed, and that is as good.
        let _ = self.backend.change(fd, entry.token, entry.registered, rest);
        entry.registered = rest;
        let spin = Spin {
            descriptor: fd,
            name: progress::name(fd),
            ready: Flags::from_ready(ready),
            callbacks: self.guard.limit,
        };
        self.guard.count += 1;
        if self.guard.found.len() == KEPT {
            self.guard.found.remove(0);
        }
        self.guard.found.push(spin.clone());
        self.guard.news.push(spin);
        // The driver tells the hook where it runs what was posted.
        self.mail = true;
    }
}

/// The reports about descriptors of events.
fn reports_of(batch: &Batch) -> impl Iterator<Item = Report> + '_ {
    let reports = batch.kernel().chain(batch.reports.iter().copied());
    reports.filter(|report| is_kind(report.token, Kind::Fd))
}

fn look(suspect: &Suspect) -> Option<Progress> {
    // After a hang-up nothing can be written.
    let ends = Ready::HANGUP | Ready::INVALID;
    let may_write = suspect.ready.intersects(Ready::WRITE) && !suspect.ready.intersects(ends);
    Progress::of(suspect.fd, may_write)
}

/// What is left of an interest. Errors and hang-ups are reported whatever is asked, so nothing then.
fn rest(registered: Interest, ready: Ready) -> Interest {
    if ready.intersects(Ready::HANGUP | Ready::INVALID) {
        return Interest::NONE;
    }
    [
        (Ready::READ, Interest::READ),
        (Ready::WRITE, Interest::WRITE),
        (Ready::CLOSED, Interest::CLOSED),
    ]
    .into_iter()
    .filter(|(bit, _)| ready.intersects(*bit))
    .fold(registered, |left, (_, interest)| left.without(interest))
}
