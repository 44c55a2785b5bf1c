//! The table of descriptors: who watches each one.
//!
//! Indexed by descriptor number. A descriptor belongs to events (any number of them, one backend registration with the union
//! of what they want) or to one slot of the lane, never to both: events are level-triggered unless they ask otherwise, the
//! lane is always edge-triggered, and one registration cannot be both.

use std::io;
use std::os::fd::RawFd;

use super::record::NIL;
use super::{Kind, pack};
use crate::event::Flags;
use crate::flags::Interest;

/// Numbers beyond this are refused rather than given a table. Linux opens none above `nr_open`, 2^20 unless raised.
const LIMIT: RawFd = 1 << 22;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    Nobody,
    /// Events, listed from `FdEntry::head`.
    Events,
    /// This slot of the lane.
    Lane(u32),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FdEntry {
    pub(crate) owner: Owner,
    /// The first event, newest first.
    pub(crate) head: u32,
    /// What the backend watches on behalf of the events.
    pub(crate) registered: Interest,
    /// Do the events want edges? All of one descriptor or none do (FLG-9).
    pub(crate) edge: bool,
    /// What reports about the events carry; 0 before the first. It changes when the last event goes: a report with an older one is
    /// stale, and one that is not finds events.
    pub(crate) token: u64,
    /// How many of the events want each kind (ADD-18).
    pub(crate) readers: u16,
    pub(crate) writers: u16,
    pub(crate) closers: u16,
}

impl FdEntry {
    const EMPTY: FdEntry = FdEntry {
        owner: Owner::Nobody,
        head: NIL,
        registered: Interest::NONE,
        edge: false,
        token: 0,
        readers: 0,
        writers: 0,
        closers: 0,
    };

    /// Makes what is on its way for this token stale.
    pub(crate) fn renew_token(&mut self, fd: RawFd) {
        let generation = (self.token >> 32).wrapping_add(1);
        self.token = pack(Kind::Fd, generation, fd as u32);
    }

    /// Counts one more event. `None` if there are as many as can be counted.
    pub(crate) fn count(&mut self, interest: Flags) -> Option<()> {
        let one = |flag| u16::from(interest.intersects(flag));
        self.readers = self.readers.checked_add(one(Flags::READ))?;
        self.writers = self.writers.checked_add(one(Flags::WRITE))?;
        self.closers = self.closers.checked_add(one(Flags::CLOSED))?;
        Some(())
    }

    pub(crate) fn uncount(&mut self, interest: Flags) {
        let one = |flag| u16::from(interest.intersects(flag));
        self.readers -= one(Flags::READ);
        self.writers -= one(Flags::WRITE);
        self.closers -= one(Flags::CLOSED);
    }

    /// What the events want together.
    pub(crate) fn wanted(&self) -> Interest {
        let mut wanted = Interest::NONE;
        if self.readers > 0 {
            wanted |= Interest::READ;
        }
        if self.writers > 0 {
            wanted |= Interest::WRITE;
        }
        if self.closers > 0 {
            wanted |= Interest::CLOSED;
        }
        if self.edge && !wanted.is_empty() {
            wanted |= Interest::EDGE;
        }
        wanted
    }
}

/// Half a cache line, found by a shift.
const _: () = assert!(size_of::<FdEntry>() == 32);

#[derive(Debug, Default)]
pub(crate) struct FdTable {
    entries: Vec<FdEntry>,
}

impl FdTable {
    #[inline]
    pub(crate) fn get(&self, fd: RawFd) -> Option<&FdEntry> {
        self.entries.get(usize::try_from(fd).ok()?)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, fd: RawFd) -> Option<&mut FdEntry> {
        self.entries.get_mut(usize::try_from(fd).ok()?)
    }

    /// The entry that a token names.
    #[inline]
    pub(crate) fn named(&self, token: u64) -> Option<&FdEntry> {
        self.entries.get(token as u32 as usize)
    }

    /// All numbers that the table has room for.
    pub(crate) fn numbers(&self) -> std::ops::Range<RawFd> {
        // The table is never longer than `LIMIT`'s power of two.
        0..self.entries.len() as RawFd
    }

    /// The entry of a descriptor, made if need be.
    pub(crate) fn entry(&mut self, fd: RawFd) -> io::Result<&mut FdEntry> {
        if !(0..LIMIT).contains(&fd) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("descriptor {fd} is out of range: pass one that the system returned"),
            ));
        }
        let index = fd as usize;
        if index >= self.entries.len() {
            let length = (index + 1).next_power_of_two().max(32);
            self.entries.resize(length, FdEntry::EMPTY);
        }
        Ok(&mut self.entries[index])
    }
}
