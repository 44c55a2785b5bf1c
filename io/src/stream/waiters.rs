//! Several tasks at one stream: one reads, another writes, a third hears of events.
//!
//! Each of them drives both directions while it waits, and a transport keeps one waker per direction, so the last to ask would be the only one to be woken.
//! While one task alone has been seen waiting it waits with its own waker, and that is all there is. From the moment that another waits in
//! another role, all wait with one waker that wakes them all.
//!
//! Invariant: whoever is parked is either the last to have asked the transport, or in the crowd.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// What a task waits for. Two tasks in one role displace each other, as with any stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Reader,
    Writer,
    Listener,
}

const ROLES: usize = 3;

#[derive(Default)]
pub(super) enum Waiters {
    #[default]
    Nobody,
    /// The last that was parked.
    One(Role, Waker),
    Crowd(Arc<Crowd>),
}

#[derive(Default)]
pub(super) struct Crowd {
    wakers: Mutex<[Option<Waker>; ROLES]>,
}

impl Waiters {
    /// The waker to ask the transport with, if it is not the task's own.
    #[inline]
    pub(super) fn join(&mut self, role: Role, waker: &Waker) -> Option<Waker> {
        match self {
            Waiters::Nobody => None,
            Waiters::One(before, parked) if *before == role || parked.will_wake(waker) => None,
            _ => Some(self.crowd(role, waker)),
        }
    }

    #[cold]
    fn crowd(&mut self, role: Role, waker: &Waker) -> Waker {
        if let Waiters::One(..) = self {
            let crowd = Arc::new(Crowd::default());
            if let Waiters::One(before, parked) = mem::replace(self, Waiters::Crowd(crowd.clone()))
            {
                crowd.lock()[before as usize] = Some(parked);
            }
        }
        match self {
            Waiters::Crowd(crowd) => {
                crowd.set(role, waker);
                crowd.clone().into()
            }
            _ => waker.clone(),
        }
    }

    /// The task is about to answer `Pending`.
    #[inline]
    pub(super) fn park(&mut self, role: Role, waker: &Waker) {
        match self {
            Waiters::One(before, parked) if parked.will_wake(waker) => *before = role,
            Waiters::Crowd(crowd) => crowd.set(role, waker),
            _ => *self = Waiters::One(role, waker.clone()),
        }
    }

    /// Something has moved that tasks in other roles may wait for.
    #[inline]
    pub(super) fn moved_by(&self, role: Role) {
        if let Waiters::Crowd(crowd) = self {
            crowd.wake_others(Some(role));
        }
    }

    /// A setting has changed that anybody may wait for.
    pub(super) fn wake_all(&mut self) {
        match mem::take(self) {
            Waiters::Nobody => {}
            Waiters::One(_, waker) => waker.wake(),
            Waiters::Crowd(crowd) => {
                crowd.wake_others(None);
                *self = Waiters::Crowd(crowd);
            }
        }
    }
}

impl Crowd {
    /// Nothing panics under this lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, [Option<Waker>; ROLES]> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, role: Role, waker: &Waker) {
        let mut wakers = self.lock();
        let old = match &mut wakers[role as usize] {
            Some(same) if same.will_wake(waker) => None,
            other => other.replace(waker.clone()),
        };
        // Dropped with the lock free: a waker is foreign code.
        drop(wakers);
        drop(old);
    }

    fn wake_others(&self, role: Option<Role>) {
        let mut taken = [const { None }; ROLES];
        {
            let mut wakers = self.lock();
            for (index, waker) in wakers.iter_mut().enumerate() {
                if role.is_none_or(|role| role as usize != index) {
                    taken[index] = waker.take();
                }
            }
        }
        for waker in taken.into_iter().flatten() {
            waker.wake();
        }
    }
}

impl Wake for Crowd {
    fn wake(self: Arc<Self>) {
        self.wake_others(None);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_others(None);
    }
}
