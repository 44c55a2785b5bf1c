//! The fast lane: one slot per descriptor that futures wait for.
//!
//! A slot latches what the backend reported and holds one waker per direction (plus a list for the rare case of several
//! `readable()` futures). A report takes the wakers straight to the engine's `woken` list: no callback box and no active queue
//! are on the way.
//!
//! Invariants
//! 1. With edges, a descriptor is registered once for IN, PRI and RDHUP; OUT joins, for good, when a write first has to wait.
//!    Without edges, the interest is exactly the directions that somebody waits for: a reported one is taken out at once, so
//!    that nothing spins.
//! 2. `ready` latches reports that found no waker to take: a poll that looks at it learns whether anything came since. A report
//!    that took a waker is noted with its turn in `told`; the poll it woke tries at once, and a later look compares that turn
//!    with the one of the last transfer. Looking and parking clear the direction. A latched hang-up or error is never cleared, so
//!    that data and FIN reported together cannot lose the end of the stream; nor is urgent data, since reads stop short at it.
//! 3. A slot is known by its index and its key; keys are never used again. Whoever comes with another key comes too late.

use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::task::Waker;

use super::fds::Owner;
use super::{Engine, Kind, pack};
use crate::current;
use crate::flags::{Interest, Ready};
use crate::lane::{Direction, Priority};
use crate::shared::Arm;

/// Reports that let a read go on: READ, URGENT, CLOSED, HANGUP, INVALID.
const READS: Ready = Ready::from_bits_truncate(
    Ready::READ.bits()
        | Ready::URGENT.bits()
        | Ready::CLOSED.bits()
        | Ready::HANGUP.bits()
        | Ready::INVALID.bits(),
);
/// Reports that let a write go on: WRITE, HANGUP, INVALID.
const WRITES: Ready =
    Ready::from_bits_truncate(Ready::WRITE.bits() | Ready::HANGUP.bits() | Ready::INVALID.bits());

/// One `readable()` or `writable()` future that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) id: u64,
    pub(crate) direction: Direction,
    pub(crate) waker: Waker,
}

#[derive(Debug)]
pub(crate) struct Slot {
    /// Unique for all time; 0 while the slot is free.
    pub(crate) key: u64,
    pub(crate) fd: RawFd,
    /// What the backend watches.
    interest: Interest,
    ready: Ready,
    read: Option<Waker>,
    write: Option<Waker>,
    /// The turns whose reports took the wakers last, or the turn of the registration.
    told: [u64; 2],
    /// What few slots have, hence the box.
    more: Option<Box<More>>,
}

/// More than one waker per direction, and another priority than the usual one. Never neither of them.
#[derive(Debug, Default)]
struct More {
    waiting: Vec<Waiting>,
    priority: Priority,
}

impl Slot {
    /// May an operation in this direction be tried?
    #[inline]
    pub(crate) fn is_ready(&self, direction: Direction) -> bool {
        self.ready.intersects(direction.reports())
    }

    /// Did a report take the waker that was parked, and not surely before the transfer made in this turn? The waker may have been
    /// an old one, of a poll that found its data without being woken: then the news is still to be had.
    #[inline]
    pub(crate) fn was_told_after(&self, direction: Direction, transfer: u64) -> bool {
        !current::is_before(self.told[direction as usize], transfer)
    }

    /// Forgets that the direction was ready, unless a hang-up or an error is latched.
    #[inline]
    pub(crate) fn clear(&mut self, direction: Direction) {
        self.ready = self.ready.without(direction.ready());
    }

    /// Forgets that writing is possible, unless nobody would tell when it is again: until OUT is registered the next write has
    /// to find out itself. Says whether it did.
    pub(crate) fn clear_write(&mut self) -> bool {
        let is_watched = self.interest.intersects(Interest::WRITE);
        if is_watched {
            self.clear(Direction::Write);
        }
        is_watched
    }

    /// Parks a waker if the direction is watched and its place is free: all that there is to do in the usual case.
    #[inline]
    pub(crate) fn park_quickly(&mut self, direction: Direction, waker: &Waker) -> bool {
        let is_watched = self.interest.contains(direction.interest());
        let place = self.place(direction);
        if place.is_some() || !is_watched {
            return false;
        }
        *place = Some(waker.clone());
        true
    }

    #[inline]
    fn place(&mut self, direction: Direction) -> &mut Option<Waker> {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    /// What the backend watches.
    pub(crate) fn interest(&self) -> Interest {
        self.interest
    }

    /// The backend watches the descriptor no longer: everybody is woken.
    pub(crate) fn lose(&mut self, woken: &mut Vec<Waker>) {
        self.interest = Interest::NONE;
        self.take_wakers(woken);
    }

    fn take_wakers(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(self.read.take());
        woken.extend(self.write.take());
        if let Some(more) = &mut self.more {
            woken.extend(more.waiting.drain(..).map(|waiting| waiting.waker));
            self.tidy();
        }
    }

    /// Gives the box back if it holds nothing out of the usual any more.
    fn tidy(&mut self) {
        let is_usual = |more: &More| more.waiting.is_empty() && more.priority == Priority::Normal;
        if self.more.as_deref().is_some_and(is_usual) {
            self.more = None;
        }
    }

    fn priority(&self) -> Priority {
        self.more
            .as_ref()
            .map_or(Priority::Normal, |more| more.priority)
    }
}

impl Direction {
    #[inline]
    fn reports(self) -> Ready {
        match self {
            Direction::Read => READS,
            Direction::Write => WRITES,
        }
    }

    #[inline]
    pub(crate) fn ready(self) -> Ready {
        match self {
            Direction::Read => Ready::READ,
            Direction::Write => Ready::WRITE,
        }
    }

    /// What `poll(2)` is asked for.
    pub(crate) fn asked(self) -> Interest {
        match self {
            Direction::Read => Interest::READ,
            Direction::Write => Interest::WRITE,
        }
    }

    fn interest(self) -> Interest {
        match self {
            Direction::Read => Interest::READ | Interest::CLOSED,
            Direction::Write => Interest::WRITE,
        }
    }
}

/// The slots.
#[derive(Debug)]
pub(crate) struct Lane {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The next key: the base's number above, a count below.
    next_key: u64,
    /// Why the backend refused to watch, until the poll that asked takes it.
    pub(crate) refusal: Option<io::Error>,
}

impl Lane {
    pub(crate) fn new(id: u32) -> Lane {
        Lane {
            slots: Vec::new(),
            free: Vec::new(),
            next_key: u64::from(id) << 40 | 1,
            refusal: None,
        }
    }

    pub(crate) fn key(&mut self) -> u64 {
        if self.next_key & super::GENERATION == 0 {
            self.next_key += 1;
        }
        let key = self.next_key;
        self.next_key += 1;
        key
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Slot> {
        self.slots.get_mut(index as usize)
    }

    /// The slot of this index if it still belongs to the key.
    #[inline]
    pub(crate) fn slot(&mut self, index: u32, key: u64) -> Option<&mut Slot> {
        self.slots
            .get_mut(index as usize)
            .filter(|slot| slot.key == key)
    }

    pub(crate) fn take_all_wakers(&mut self, woken: &mut Vec<Waker>) {
        for slot in &mut self.slots {
            slot.take_wakers(woken);
        }
    }

    /// The descriptors in use, and whether somebody waits to read, and to write.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (RawFd, bool, bool)> + '_ {
        self.slots.iter().filter(|slot| slot.key != 0).map(|slot| {
            let more = slot.more.as_ref().map_or(&[][..], |more| &more.waiting);
            let waits = |direction| more.iter().any(|waiting| waiting.direction == direction);
            (
                slot.fd,
                slot.read.is_some() || waits(Direction::Read),
                slot.write.is_some() || waits(Direction::Write),
            )
        })
    }
}

impl Engine {
    /// Gives a descriptor a slot and registers it. `key`: of a source that moves here, else a new one is made.
    ///
    /// `AlreadyExists` if the descriptor has a slot or an event already.
    pub(crate) fn lane_insert(&mut self, fd: RawFd, key: Option<u64>) -> io::Result<(u32, u64)> {
        if self.fds.entry(fd)?.owner != Owner::Nobody {
            // What was posted before the number was used again has to be known first.
            self.read_mail();
        }
        let known = self.fds.entry(fd)?.owner;
        let is_taken = match known {
            Owner::Nobody => false,
            Owner::Events => true,
            // With edges the kernel knows better than we do: if it accepts the descriptor, our entry is of a closed one.
            Owner::Lane(_) => !self.edges,
        };
        if is_taken {
            return Err(taken(fd));
        }
        let key = key.unwrap_or_else(|| self.lane.key());
        let index = match self.lane.free.pop() {
            Some(index) => index,
            None => u32::try_from(self.lane.slots.len())
                .expect("four thousand million slots do not fit into memory"),
        };
        let interest = if self.edges {
            Interest::READ | Interest::CLOSED | Interest::URGENT | Interest::EDGE
        } else {
            Interest::NONE
        };
        if self.edges {
            if let Err(error) =
                self.backend
                    .change(fd, pack(Kind::Lane, key, index), Interest::NONE, interest)
            {
                if (index as usize) < self.lane.slots.len() {
                    self.lane.free.push(index);
                }
                return Err(if error.kind() == io::ErrorKind::AlreadyExists {
                    taken(fd)
                } else {
                    error
                });
            }
        }
        let slot = Slot {
            key,
            fd,
            interest,
            ready: Ready::NONE,
            read: None,
            write: None,
            told: [current::turn(); 2],
            more: None,
        };
        match self.lane.slots.get_mut(index as usize) {
            Some(free) => *free = slot,
            None => self.lane.slots.push(slot),
        }
        let entry = self.fds.entry(fd)?;
        entry.owner = Owner::Lane(index);
        Ok((index, key))
    }

    /// Has the backend watch a direction that somebody is about to wait for. If it refuses, the reason is kept and the
    /// answer is false.
    #[inline]
    fn lane_watch(&mut self, index: u32, direction: Direction) -> bool {
        let watched = self.lane.slots[index as usize].interest;
        watched.contains(direction.interest()) || self.lane_extend(index, direction)
    }

    #[cold]
    fn lane_extend(&mut self, index: u32, direction: Direction) -> bool {
        let slot = &mut self.lane.slots[index as usize];
        let wanted = slot.interest | direction.interest() | Interest::EDGE;
        match self.backend.change(
            slot.fd,
            pack(Kind::Lane, slot.key, index),
            slot.interest,
            wanted,
        ) {
            Ok(()) => {
                slot.interest = wanted;
                true
            }
            Err(error) => {
                self.lane.refusal = Some(error);
                false
            }
        }
    }

    /// Parks a waker in the direction's one place. A different one that was there is woken by the next turn.
    #[inline(never)]
    pub(crate) fn lane_park(&mut self, index: u32, direction: Direction, waker: &Waker) -> bool {
        if !self.lane_watch(index, direction) {
            return false;
        }
        let place = self.lane.slots[index as usize].place(direction);
        match place {
            None => *place = Some(waker.clone()),
            Some(parked) if parked.will_wake(waker) => {}
            Some(parked) => {
                let replaced = std::mem::replace(parked, waker.clone());
                self.woken.push(replaced);
            }
        }
        true
    }

    /// Parks the waker of a request, which is moved and not cloned: requests are dealt with under locks.
    pub(crate) fn lane_park_for(&mut self, index: u32, arm: Arm) -> io::Result<()> {
        let Arm {
            direction, waker, ..
        } = arm;
        let is_parked = match arm.waiter {
            Some(id) => {
                let waiting = Waiting {
                    id,
                    direction,
                    waker,
                };
                self.lane_wait(index, waiting)
            }
            None if self.lane_watch(index, direction) => {
                let place = self.lane.slots[index as usize].place(direction);
                let is_same = place.as_ref().is_some_and(|old| old.will_wake(&waker));
                let old = place.replace(waker);
                if is_same {
                    self.discarded.extend(old);
                } else {
                    self.woken.extend(old);
                }
                true
            }
            None => {
                self.discarded.push(waker);
                false
            }
        };
        match self.lane.refusal.take() {
            Some(error) if !is_parked => Err(error),
            _ => Ok(()),
        }
    }

    /// Adds one of any number of waiters, or renews its waker.
    pub(crate) fn lane_wait(&mut self, index: u32, waiting: Waiting) -> bool {
        if !self.lane_watch(index, waiting.direction) {
            self.discarded.push(waiting.waker);
            return false;
        }
        let more = self.lane.slots[index as usize].more.get_or_insert_default();
        let more = &mut more.waiting;
        match more.iter_mut().find(|other| other.id == waiting.id) {
            Some(same) => self
                .discarded
                .push(std::mem::replace(&mut same.waker, waiting.waker)),
            None => more.push(waiting),
        }
        true
    }

    /// Does this waiter still wait here?
    pub(crate) fn lane_cancel(&mut self, index: u32, id: u64) -> Option<Waker> {
        let slot = &mut self.lane.slots[index as usize];
        let more = slot.more.as_mut()?;
        let at = more.waiting.iter().position(|waiting| waiting.id == id)?;
        let waker = more.waiting.swap_remove(at).waker;
        slot.tidy();
        Some(waker)
    }

    /// Sets the priority with which those are woken who wait for this descriptor.
    pub(crate) fn lane_rank(&mut self, index: u32, priority: Priority) {
        let slot = &mut self.lane.slots[index as usize];
        if slot.priority() != priority {
            slot.more.get_or_insert_default().priority = priority;
            slot.tidy();
        }
    }

    /// Has a waker woken with the others of its priority.
    fn wake(&mut self, priority: Priority, waker: Waker) {
        if priority != Priority::Normal {
            self.ranked.push((self.woken.len(), priority));
        }
        self.woken.push(waker);
    }

    /// Ends a registration. The wakers in it are discarded, or woken so that they find the source's new home.
    pub(crate) fn lane_remove(&mut self, index: u32, wake: bool) {
        let slot = &mut self.lane.slots[index as usize];
        let (fd, interest) = (slot.fd, slot.interest);
        let token = pack(Kind::Lane, slot.key, index);
        slot.take_wakers(if wake {
            &mut self.woken
        } else {
            &mut self.discarded
        });
        slot.key = 0;
        slot.interest = Interest::NONE;
        self.lane.free.push(index);
        // The number may belong to another registration by now: then the backend holds nothing of ours.
        if let Some(entry) = self.fds.get_mut(fd) {
            if entry.owner == Owner::Lane(index) {
                entry.owner = Owner::Nobody;
                if !interest.is_empty() {
                    // Refused only if the descriptor is closed or was deleted from away, and then nothing is left to delete.
                    let _ = self.backend.change(fd, token, interest, Interest::NONE);
                }
            }
        }
    }

    /// Delivers a backend's report: latches it and takes the wakers of the reported directions.
    #[inline(always)]
    pub(crate) fn report_lane(&mut self, token: u64, ready: Ready) {
        let index = token as u32;
        let Some(slot) = self.lane.slots.get_mut(index as usize) else {
            return;
        };
        // A free slot has key 0, and no key in use has generation 0.
        if (slot.key ^ token >> 32) & super::GENERATION != 0 {
            return;
        }
        // A waker that is taken carries the news; the latch is for those who come later. An end or an error stays latched.
        if ready == Ready::READ && self.edges && slot.more.is_none() {
            // By far the most frequent report.
            match slot.read.take() {
                Some(waker) => {
                    self.woken.push(waker);
                    slot.told[Direction::Read as usize] = self.turn;
                }
                None => slot.ready |= ready,
            }
            return;
        }
        self.report_lane_other(index, ready);
    }

    #[inline(never)]
    fn report_lane_other(&mut self, index: u32, ready: Ready) {
        let slot = &mut self.lane.slots[index as usize];
        let mut latched = ready;
        let (mut reader, mut writer) = (None, None);
        if ready.intersects(READS) {
            reader = slot.read.take();
            if reader.is_some() {
                slot.told[Direction::Read as usize] = self.turn;
                latched = latched.without(Ready::READ);
            }
        }
        if ready.intersects(WRITES) {
            writer = slot.write.take();
            if writer.is_some() {
                slot.told[Direction::Write as usize] = self.turn;
                latched = latched.without(Ready::WRITE);
            }
        }
        slot.ready |= latched;
        if slot.more.is_some() {
            self.report_more(index, ready, [reader, writer]);
        } else {
            self.woken.extend(reader);
            self.woken.extend(writer);
        }
        if !self.edges {
            self.lane_disarm(index, ready);
        }
    }

    /// Has these woken, and those further waiters whose direction was reported, in the order they came.
    #[cold]
    fn report_more(&mut self, index: u32, ready: Ready, wakers: [Option<Waker>; 2]) {
        let slot = &mut self.lane.slots[index as usize];
        let priority = slot.priority();
        let waiting = slot.more.as_mut().map(|more| mem::take(&mut more.waiting));
        let (due, rest): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .flatten()
            .partition(|waiting| ready.intersects(waiting.direction.reports()));
        if let Some(more) = &mut slot.more {
            more.waiting = rest;
        }
        slot.tidy();
        let due = due.into_iter().map(|waiting| waiting.waker);
        for waker in wakers.into_iter().flatten().chain(due) {
            self.wake(priority, waker);
        }
    }

    /// Without edges, takes what was reported out of the interest until somebody waits for it again.
    #[inline(never)]
    fn lane_disarm(&mut self, index: u32, ready: Ready) {
        let slot = &mut self.lane.slots[index as usize];
        let mut rest = slot.interest;
        if ready.intersects(READS) {
            rest = rest.without(Direction::Read.interest());
        }
        if ready.intersects(WRITES) {
            rest = rest.without(Direction::Write.interest());
        }
        if rest == Interest::EDGE {
            // No direction is left.
            rest = Interest::NONE;
        }
        if ready.intersects(Ready::INVALID) {
            // The backend has dropped the descriptor itself.
            slot.interest = Interest::NONE;
        } else if rest != slot.interest {
            // These backends keep a table and cannot refuse to forget.
            let _ = self.backend.change(
                slot.fd,
                pack(Kind::Lane, slot.key, index),
                slot.interest,
                rest,
            );
            slot.interest = rest;
        }
    }
}

fn taken(fd: RawFd) -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!(
            "descriptor {fd} is already registered with this base: share the one source, or duplicate the descriptor"
        ),
    )
}
