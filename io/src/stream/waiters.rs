//! Several tasks at one stream: one reads, another writes, a third hears of events.
//!
//! Each of them drives both directions while it waits, and a transport keeps one waker per direction, so the last to ask would be the only one to be woken.
//! While one task alone has been seen waiting it waits with its own waker, and that is all there is. From the moment that another waits in
//! another role, all wait with one waker that wakes them all.
//!
//! Who is *parked* has answered `Pending` and has not been polled since. What it would do for others as well, send what they write, it is woken for; a task that is being polled does
//! it in its own time.
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
    /// The last that was parked, and whether it still is.
    One(Role, Waker, bool),
    Crowd(Arc<Crowd>),
}

#[derive(Default)]
pub(super) struct Crowd {
    places: Mutex<[Place; ROLES]>,
}

#[derive(Default)]
struct Place {
    waker: Option<Waker>,
    is_parked: bool,
}

impl Waiters {
    /// The waker to ask the transport with, if it is not the task's own.
    #[inline]
    pub(super) fn join(&mut self, role: Role, waker: &Waker) -> Option<Waker> {
        match self {
            Waiters::Nobody => None,
            Waiters::One(before, parked, is_parked)
                if *before == role || parked.will_wake(waker) =>
            {
                *is_parked = false;
                None
            }
            _ => Some(self.crowd(role, waker)),
        }
    }

    #[cold]
    fn crowd(&mut self, role: Role, waker: &Waker) -> Waker {
        if let Waiters::One(..) = self {
            let crowd = Arc::new(Crowd::default());
            if let Waiters::One(before, parked, is_parked) =
                mem::replace(self, Waiters::Crowd(crowd.clone()))
            {
                crowd.lock()[before as usize] = Place {
                    waker: Some(parked),
                    is_parked,
                };
            }
        }
        match self {
            Waiters::Crowd(crowd) => {
                crowd.set(role, waker, false);
                crowd.clone().into()
            }
            _ => waker.clone(),
        }
    }

    /// The task is about to answer `Pending`.
    #[inline]
    pub(super) fn park(&mut self, role: Role, waker: &Waker) {
        match self {
            Waiters::One(before, parked, is_parked) if parked.will_wake(waker) => {
                *before = role;
                *is_parked = true;
            }
            Waiters::Crowd(crowd) => crowd.set(role, waker, true),
            _ => *self = Waiters::One(role, waker.clone(), true),
        }
    }

    /// Something has moved that tasks in other roles may wait for.
    #[inline]
    pub(super) fn moved_by(&self, role: Role) {
        if let Waiters::Crowd(crowd) = self {
            crowd.wake_others(Some(role));
        }
    }

    /// There is something to do for whoever is parked. It stays so until it is polled: being woken twice does no harm.
    #[inline(always)]
    pub(super) fn wake_parked(&self) {
        if !matches!(self, Waiters::Nobody | Waiters::One(_, _, false)) {
            self.wake_them();
        }
    }

    #[cold]
    fn wake_them(&self) {
        match self {
            Waiters::Nobody => {}
            Waiters::One(_, waker, _) => waker.wake_by_ref(),
            Waiters::Crowd(crowd) => crowd.wake_if(|_, place| place.is_parked),
        }
    }

    /// A setting has changed that anybody may wait for.
    pub(super) fn wake_all(&mut self) {
        match mem::take(self) {
            Waiters::Nobody => {}
            Waiters::One(_, waker, _) => waker.wake(),
            Waiters::Crowd(crowd) => {
                crowd.wake_others(None);
                *self = Waiters::Crowd(crowd);
            }
        }
    }
}

impl Crowd {
    /// Nothing panics under this lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, [Place; ROLES]> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, role: Role, waker: &Waker, is_parked: bool) {
        let mut places = self.lock();
        let place = &mut places[role as usize];
        place.is_parked = is_parked;
        let old = match &mut place.waker {
            Some(same) if same.will_wake(waker) => None,
            other => other.replace(waker.clone()),
        };
        // Dropped with the lock free: a waker is foreign code.
        drop(places);
        drop(old);
    }

    fn wake_others(&self, role: Option<Role>) {
        self.wake_if(|other, _| role.is_none_or(|role| role as usize != other));
    }

    fn wake_if(&self, is_wanted: impl Fn(usize, &Place) -> bool) {
        let mut taken = [const { None }; ROLES];
        {
            let mut places = self.lock();
            for (index, place) in places.iter_mut().enumerate() {
                if is_wanted(index, place) {
                    taken[index] = mem::take(place).waker;
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
