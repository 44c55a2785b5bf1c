//! Tasks that wait for something that many share: a quota, a group's bucket.
//!
//! Invariants
//! 1. A member has one place, whichever of its tasks asked last, and gives it up when it goes: nothing is kept for tasks that are gone.
//! 2. Wakers come in and go out by value, so that their owner can clone, wake and drop them with its lock free: they are foreign code.

use std::collections::BTreeMap;
use std::mem;
use std::task::Waker;

/// The places of those who wait, by the member's number.
#[derive(Default)]
pub(crate) struct Waiting {
    places: BTreeMap<u64, Waker>,
    /// How many numbers have been given out.
    members: u64,
}

impl Waiting {
    /// A number for a new member.
    pub(crate) fn add_member(&mut self) -> u64 {
        self.members += 1;
        self.members
    }

    /// Puts the waker into the member's place, and returns one that is to be dropped.
    pub(crate) fn park(&mut self, member: u64, waker: Waker) -> Option<Waker> {
        self.places.insert(member, waker)
    }

    /// Empties the member's place.
    pub(crate) fn remove(&mut self, member: u64) -> Option<Waker> {
        self.places.remove(&member)
    }

    /// Empties all places, for those who are to be woken.
    pub(crate) fn take_all(&mut self) -> Woken {
        Woken(mem::take(&mut self.places))
    }
}

/// Those who are woken, when the lock is free.
#[must_use]
pub(crate) struct Woken(BTreeMap<u64, Waker>);

impl Woken {
    /// Nobody.
    pub(crate) fn nobody() -> Woken {
        Woken(BTreeMap::new())
    }

    pub(crate) fn wake(self) {
        self.0.into_values().for_each(Waker::wake);
    }
}
