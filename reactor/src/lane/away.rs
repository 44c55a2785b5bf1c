//! Sources polled, cancelled or released away from home: the slow paths, and the moves.
//!
//! Moves of registrations between bases are serialised by one lock; polls at home never take it. A poll at home that races
//! with a move parks in the old slot, and the message that ends the old slot wakes it, to find the new home.

use std::collections::HashMap;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use super::source::{PARKED, SHARED, Source};
use super::{Direction, Priority};
use crate::engine::{Engine, Kind, pack as pack_token};
use crate::flags::Ready;
use crate::shared::{Arm, Loose, Message, Shared, lock};
use crate::{backend, background, current, sys};

/// The slot's index when only the key is known.
const UNKNOWN: u32 = u32::MAX;

/// Serialises moves. Taken before any base's lock.
static MOVES: Mutex<()> = Mutex::new(());

/// Sources that a base could not register when asked by message: the reason waits here for the next poll.
static REFUSED: Mutex<Option<HashMap<u64, (io::ErrorKind, String)>>> = Mutex::new(None);
static REFUSALS: AtomicUsize = AtomicUsize::new(0);

/// A number for a waiter. Relaxed: only uniqueness counts.
pub(super) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Where a thread waits.
enum Target {
    /// In its innermost loop, over the base of this number.
    Here(u32),
    /// In none of our loops (or the engine is in use further up the stack, where nothing can be parked).
    Background(Arc<Shared>),
}

impl Target {
    fn base(&self) -> u32 {
        match self {
            Target::Here(id) => *id,
            Target::Background(shared) => shared.id,
        }
    }
}

/// Parks a waker from away, and says what the direction's state is then. The caller has found nothing to do; whoever arms asks
/// the kernel again.
pub(super) fn park(
    source: &Source,
    direction: Direction,
    waiter: Option<u64>,
    waker: &Waker,
) -> io::Result<u8> {
    if let Some(error) = refusal(source.key) {
        return Err(error);
    }
    // Before the lock: a clone is foreign code, and the background base's thread may have to be started.
    let arm = Arm {
        fd: source.fd,
        key: source.key,
        direction,
        waiter,
        priority: source.priority(),
        waker: waker.clone(),
    };
    let target = match current::with(|engine| engine.id) {
        Some(id) => Target::Here(id),
        None => Target::Background(background::base()?),
    };
    let mut loose = Loose::default();
    let moving = lock(&MOVES);
    let result = park_at(&target, source, arm, &mut loose);
    drop(moving);
    // Those who waited at the old home look for the new one.
    loose.settle();
    result
}

fn park_at(target: &Target, source: &Source, arm: Arm, loose: &mut Loose) -> io::Result<u8> {
    let (base, index) = source.home();
    let home = if base == target.base() {
        None
    } else {
        // In a forked child nobody runs the bases of the parent's other threads.
        Shared::find(base).filter(|home| home.is_ours())
    };
    let mut state = PARKED;
    if let Some(home) = home {
        if let Some(taken) = take_idle(&home, source.key, index, arm.fd) {
            loose.append(taken);
        } else if source.is(SHARED) {
            // Two threads wait: home keeps it, and is asked. Else they would take it from each other for ever.
            post_arm(&home, arm, loose);
            return Ok(SHARED);
        } else {
            // Whoever had parked there has most likely given up, and must not hold up who waits now. If not, being told that the
            // source is gone makes it look here, and find that it is shared.
            if source.is(PARKED) {
                state = SHARED;
            }
            loose.append(forget(&home, index, arm.fd, source.key));
        }
    }
    match target {
        Target::Here(_) => current::with(|engine| settle_in(engine, source, arm))
            .unwrap_or_else(|| Err(io::Error::other("the loop ended while it was polled in")))?,
        Target::Background(background) => {
            if base != background.id {
                source.settle(background.id, UNKNOWN);
            }
            post_arm(background, arm, loose);
        }
    }
    Ok(state)
}

/// Parks at this thread's innermost loop, which becomes the source's home if it is not.
fn settle_in(engine: &mut Engine, source: &Source, arm: Arm) -> io::Result<()> {
    let index = match engine.lane_find_any(source.home().1, arm.fd, source.key) {
        Some(index) => index,
        None => match engine.lane_insert(arm.fd, Some(source.key)) {
            Ok((index, _)) => {
                engine.lane_rank(index, arm.priority);
                index
            }
            Err(error) => {
                engine.discarded.push(arm.waker);
                return Err(error);
            }
        },
    };
    source.settle(engine.id, index);
    engine.lane_park_for(index, arm)
}

/// Takes a registration away from a base that no other thread runs, with the wakers in it: one at rest, or one of an outer loop of
/// this thread.
fn take_idle(shared: &Shared, key: u64, index: u32, fd: RawFd) -> Option<Loose> {
    let remove = |engine: &mut Engine| {
        if let Some(index) = engine.lane_find_any(index, fd, key) {
            engine.lane_remove(index, true);
        }
        // Out of the engine while the lock is held: what is left in there would be woken under it.
        engine.take_loose()
    };
    let mut remove = Some(remove);
    current::with_outer(shared.id, &mut remove).or_else(|| shared.at_rest(remove?))
}

/// Ends a registration at a base that another thread runs. Where the backend's descriptor is shared, the descriptor leaves the
/// backend now, before the caller closes it or registers it elsewhere.
///
/// The base deletes once more when it reads the message. It may have registered the source only meanwhile, for a message that
/// was on its way; by then the number can even be another file's, and the registration must go all the same. The message is
/// posted before the number can be used again, so the base reads it before anything about the number's next owner.
fn forget(shared: &Shared, index: u32, fd: RawFd, key: u64) -> Loose {
    if let (Some(descriptor), true) = (&shared.descriptor, shared.is_ours()) {
        backend::withdraw(descriptor, fd);
    }
    // A base that has ended has forgotten already.
    let posted = shared.post(Message::Forget { index, fd, key });
    posted.unwrap_or_default()
}

/// Asks a base to wake the waker. If it ended just now, the waker is woken: the next poll finds a new home.
fn post_arm(shared: &Shared, arm: Arm, loose: &mut Loose) {
    match shared.post(Message::Arm(arm)) {
        Ok(due) => loose.append(due),
        Err(Message::Arm(arm)) => loose.woken.push(arm.waker),
        Err(_) => unreachable!("a message that is refused comes back as it was"),
    }
}

/// Forgets a waiter from away.
pub(super) fn cancel(source: &Source, id: u64) {
    let (base, index) = source.home();
    let Some(shared) = Shared::find(base) else {
        return;
    };
    let (fd, key) = (source.fd, source.key);
    let mut remove = Some(|engine: &mut Engine| {
        let index = engine.lane_find_any(index, fd, key)?;
        engine.lane_cancel(index, id)
    });
    if let Some(waker) = current::with_outer(base, &mut remove) {
        return drop(waker);
    }
    let Some(remove) = remove else { return };
    match shared.at_rest(remove) {
        Some(waker) => drop(waker),
        None => {
            // A base that has ended has no waiters.
            let message = Message::Cancel {
                fd,
                key,
                waiter: id,
            };
            shared.post(message).unwrap_or_default().settle();
        }
    }
}

/// Has the source's home know another priority, from away.
pub(super) fn rank(source: &Source, priority: Priority) {
    let (base, index) = source.home();
    let Some(shared) = Shared::find(base) else {
        return;
    };
    let (fd, key) = (source.fd, source.key);
    let mut set = Some(|engine: &mut Engine| {
        if let Some(index) = engine.lane_find_any(index, fd, key) {
            engine.lane_rank(index, priority);
        }
        Some(())
    });
    if current::with_outer(base, &mut set).is_some() {
        return;
    }
    let Some(set) = set else { return };
    if shared.at_rest(set).is_none() {
        // A base that has ended tells nobody anything.
        let message = Message::Rank { fd, key, priority };
        shared.post(message).unwrap_or_default().settle();
    }
}

/// Ends the registration of a source that is dropped away from home.
pub(super) fn release(source: &Source) {
    let fd = source.fd;
    let moving = lock(&MOVES);
    let (base, index) = source.home();
    drop(refusal(source.key));
    let Some(shared) = Shared::find(base) else {
        return;
    };
    let loose = take_idle(&shared, source.key, index, fd)
        .unwrap_or_else(|| forget(&shared, index, fd, source.key));
    // Foreign code only once the lock is gone. Those of the source itself are stale, but there may be others' that were due.
    drop(moving);
    loose.settle();
}

/// Takes the reason why a base could not register the source.
fn refusal(key: u64) -> Option<io::Error> {
    // Relaxed: the waker that made us look was woken after the count was raised.
    if REFUSALS.load(Ordering::Relaxed) == 0 {
        return None;
    }
    let (kind, message) = lock(&REFUSED).as_mut()?.remove(&key)?;
    REFUSALS.fetch_sub(1, Ordering::Relaxed);
    Some(io::Error::new(kind, message))
}

impl Engine {
    /// The slot with this key, by the descriptor that it is for.
    pub(crate) fn lane_find(&mut self, fd: RawFd, key: u64) -> Option<u32> {
        let crate::engine::fds::Owner::Lane(index) = self.fds.get(fd)?.owner else {
            return None;
        };
        self.lane.slot(index, key).map(|_| index)
    }

    fn lane_find_any(&mut self, index: u32, fd: RawFd, key: u64) -> Option<u32> {
        if self.lane.slot(index, key).is_some() {
            Some(index)
        } else {
            self.lane_find(fd, key)
        }
    }

    /// Handles [`Message::Forget`].
    pub(crate) fn forget_from_away(&mut self, index: u32, fd: RawFd, key: u64) {
        if let Some(index) = self.lane_find_any(index, fd, key) {
            self.lane_remove(index, true);
        }
        // An error that nobody will ask for any more.
        drop(refusal(key));
    }

    /// Handles [`Message::Arm`]: registers the source if it is new here, parks the waker, and asks the kernel again, since what
    /// the sender saw may have changed before the registration.
    pub(crate) fn arm_from_away(&mut self, arm: Arm) {
        let Arm {
            fd, key, direction, ..
        } = arm;
        let found = match self.lane_find(fd, key) {
            Some(index) => Ok(index),
            None => self.lane_insert(fd, Some(key)).map(|(index, _)| {
                self.lane_rank(index, arm.priority);
                index
            }),
        };
        let index = match found {
            Ok(index) => index,
            Err(error) => {
                self.woken.push(arm.waker);
                return refuse(key, &error);
            }
        };
        if let Err(error) = self.lane_park_for(index, arm) {
            // The waker is among those to be dropped; woken instead, it comes to ask why.
            self.woken.append(&mut self.discarded);
            return refuse(key, &error);
        }
        // An error, or a descriptor that is closed meanwhile, is answered by waking: the operation will say what is wrong. It is
        // not the backend's report, which means that the backend has dropped the descriptor.
        let ready = sys::poll::poll_number(fd, direction.asked())
            .unwrap_or(direction.ready() | Ready::INVALID);
        if !ready.is_empty() {
            let ready = ready.without(Ready::INVALID) | direction.ready();
            // Not a report of the turn: it never counts as before a transfer.
            let turn = std::mem::replace(&mut self.turn, u64::MAX);
            self.report_lane(pack_token(Kind::Lane, key, index), ready);
            self.turn = turn;
        }
    }
}

/// Keeps the reason why a source could not be registered for the poll that follows.
fn refuse(key: u64, error: &io::Error) {
    let before = lock(&REFUSED)
        .get_or_insert_default()
        .insert(key, (error.kind(), error.to_string()));
    if before.is_none() {
        REFUSALS.fetch_add(1, Ordering::Relaxed);
    }
}
