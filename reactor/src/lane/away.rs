//! Sources polled, cancelled or released away from home: the slow paths, and the moves.
//!
//! Moves of registrations between bases are serialised by one lock; polls at home never take it. A poll at home that races
//! with a move parks in the old slot, and the message that ends the old slot wakes it, to find the new home.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use super::Direction;
use super::source::{PARKED, Source, pack};
use crate::engine::Engine;
use crate::engine::lane::Waiting;
use crate::engine::{Kind, pack as pack_token};
use crate::flags::Ready;
use crate::shared::{Message, Shared, lock};
use crate::sys::epoll::Control;
use crate::{background, current, sys};

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

/// Parks a waker from away. The caller has found nothing to do; whoever arms asks the kernel again.
pub(super) fn park(
    source: &Source,
    fd: BorrowedFd<'_>,
    direction: Direction,
    waiter: Option<u64>,
    waker: &Waker,
) -> io::Result<()> {
    if let Some(error) = refusal(source.key) {
        return Err(error);
    }
    let moving = lock(&MOVES);
    let home = source.home.load(Ordering::Relaxed);
    let (base, index) = ((home >> 32) as u32, home as u32);
    let raw = fd.as_raw_fd();

    if current::with(|engine| engine.id) == Some(base) {
        // Home, but the engine was in use: a message to ourselves. Or the slot is gone with a move: then register again.
        let known = current::with(|engine| engine.lane.slot(index, source.key).is_some());
        if known != Some(false) {
            let refused = arm(
                Shared::find(base).as_deref(),
                source,
                raw,
                direction,
                waiter,
                waker,
            );
            drop(moving);
            crate::shared::wake_all(refused);
            return Ok(());
        }
    }

    let shared = Shared::find(base);
    let is_waited_for = source
        .state
        .iter()
        .any(|state| state.load(Ordering::Relaxed) == PARKED);
    // From where nobody can be waiting: gone, at rest, an outer loop of this thread, or running without waiters.
    let taken = match &shared {
        None => Some(Vec::new()),
        Some(shared) => take_from(shared, source, index, raw, is_waited_for),
    };
    let Some(mut wakers) = taken else {
        // Somebody waits there: home keeps it, and is asked.
        let refused = arm(shared.as_deref(), source, raw, direction, waiter, waker);
        drop(moving);
        crate::shared::wake_all(refused);
        return Ok(());
    };

    let here = current::with(|engine| {
        let (index, _) = engine.lane_insert(raw, Some(source.key))?;
        source.home.store(pack(engine.id, index), Ordering::Relaxed);
        park_here(engine, index, direction, waiter, waker)
    });
    let result = match here {
        Some(result) => result,
        None => background::base().map(|background| {
            source
                .home
                .store(pack(background.id, UNKNOWN), Ordering::Relaxed);
            wakers.extend(arm(
                Some(&background),
                source,
                raw,
                direction,
                waiter,
                waker,
            ));
        }),
    };
    drop(moving);
    // Those who waited at the old home look for the new one.
    crate::shared::wake_all(wakers);
    result
}

fn park_here(
    engine: &mut Engine,
    index: u32,
    direction: Direction,
    waiter: Option<u64>,
    waker: &Waker,
) -> io::Result<()> {
    let parked = match waiter {
        None => engine.lane_park(index, direction, waker),
        Some(id) => engine.lane_wait(
            index,
            Waiting {
                id,
                direction,
                waker: waker.clone(),
            },
        ),
    };
    match engine.lane.refusal.take() {
        Some(error) if !parked => Err(error),
        _ => Ok(()),
    }
}

/// Takes a registration away from its home, with the wakers in it. `None` if it must stay there.
fn take_from(
    shared: &Arc<Shared>,
    source: &Source,
    index: u32,
    fd: RawFd,
    is_waited_for: bool,
) -> Option<Vec<Waker>> {
    let remove = |engine: &mut Engine| {
        if let Some(index) = engine.lane_find_any(index, fd, source.key) {
            engine.lane_remove(index, true);
        }
        // What is to be dropped is woken instead, outside the lock: a wake too many does no harm.
        let mut wakers = std::mem::take(&mut engine.woken);
        wakers.append(&mut engine.discarded);
        wakers
    };
    let mut remove = Some(remove);
    if let Some(wakers) = current::with_outer(shared.id, &mut remove) {
        return Some(wakers);
    }
    if let Some(wakers) = shared.at_rest(remove?) {
        return Some(wakers);
    }
    if is_waited_for {
        return None;
    }
    forget(shared, index, fd, source.key);
    Some(Vec::new())
}

/// Ends a registration at a base that another thread runs. Where the backend's descriptor is shared, the descriptor leaves the
/// backend now, before the caller closes it or registers it elsewhere.
///
/// The base deletes once more when it reads the message. It may have registered the source only meanwhile, for a message that
/// was on its way; by then the number can even be another file's, and the registration must go all the same. The message is
/// posted before the number can be used again, so the base reads it before anything about the number's next owner.
fn forget(shared: &Shared, index: u32, fd: RawFd, key: u64) {
    if let Some(descriptor) = &shared.descriptor {
        // Refused only if it is not registered there.
        let _ = sys::epoll::control(descriptor.as_fd(), Control::Delete, fd, 0, 0);
    }
    // A base that has ended has forgotten already.
    let _ = shared.post(Message::Forget { index, fd, key });
}

/// Asks a base that another thread runs (or this one, further up the stack) to wake the waker. If it ended just now, the waker
/// comes back to be woken once the lock is gone: the next poll finds a new home.
fn arm(
    shared: Option<&Shared>,
    source: &Source,
    fd: RawFd,
    direction: Direction,
    waiter: Option<u64>,
    waker: &Waker,
) -> Vec<Waker> {
    let message = Message::Arm {
        fd,
        key: source.key,
        direction,
        waiter,
        waker: waker.clone(),
    };
    match shared.map(|shared| shared.post(message)) {
        Some(Ok(())) => Vec::new(),
        _ => vec![waker.clone()],
    }
}

/// Forgets a waiter from away.
pub(super) fn cancel(source: &Source, fd: BorrowedFd<'_>, id: u64) {
    let home = source.home.load(Ordering::Relaxed);
    let (base, index) = ((home >> 32) as u32, home as u32);
    let Some(shared) = Shared::find(base) else {
        return;
    };
    let fd = fd.as_raw_fd();
    let key = source.key;
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
        // A base that has ended has no waiters.
        None => drop(shared.post(Message::Cancel {
            fd,
            key,
            waiter: id,
        })),
    }
}

/// Ends the registration of a source that is dropped away from home.
pub(super) fn release(source: &Source, fd: BorrowedFd<'_>) {
    let moving = lock(&MOVES);
    let home = source.home.load(Ordering::Relaxed);
    let (base, index) = ((home >> 32) as u32, home as u32);
    drop(refusal(source.key));
    let Some(shared) = Shared::find(base) else {
        return;
    };
    let wakers = take_from(&shared, source, index, fd.as_raw_fd(), false);
    // Foreign code only once the lock is gone. Those of the source itself are stale, but there may be others' that were due.
    drop(moving);
    crate::shared::wake_all(wakers.unwrap_or_default());
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
    pub(crate) fn arm_from_away(
        &mut self,
        fd: RawFd,
        key: u64,
        direction: Direction,
        waiter: Option<u64>,
        waker: Waker,
    ) {
        let found = match self.lane_find(fd, key) {
            Some(index) => Ok(index),
            None => self.lane_insert(fd, Some(key)).map(|(index, _)| index),
        };
        let parked = found
            .and_then(|index| park_here(self, index, direction, waiter, &waker).map(|()| index));
        match parked {
            Ok(index) => {
                self.discarded.push(waker);
                // An error, or a descriptor that is closed meanwhile, is answered by waking: the operation will say what is
                // wrong. It is not the backend's report, which means that the backend has dropped the descriptor.
                let ready = sys::unowned::poll_raw(fd, direction.asked())
                    .unwrap_or(direction.ready() | Ready::INVALID);
                if !ready.is_empty() {
                    let ready = ready.without(Ready::INVALID) | direction.ready();
                    // Not a report of the turn: it never counts as before a transfer.
                    let turn = std::mem::replace(&mut self.turn, u64::MAX);
                    self.report_lane(pack_token(Kind::Lane, key, index), ready);
                    self.turn = turn;
                }
            }
            Err(error) => {
                let mut refused = lock(&REFUSED);
                refused
                    .get_or_insert_default()
                    .insert(key, (error.kind(), error.to_string()));
                REFUSALS.fetch_add(1, Ordering::Relaxed);
                self.woken.push(waker);
            }
        }
    }
}
