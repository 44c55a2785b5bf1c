//! What the handles of one listener share: whether it is enabled, its pause, its counts, its spare descriptor.
//!
//! Invariants
//! 1. A waker is in `gate` only while the listener is disabled: enabling takes them all.
//! 2. Nothing is woken, cloned or dropped under the lock of the state.
//! 3. Only the thread that swaps the spare descriptor has its lock, and it holds it for a few calls that do not wait.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use levent_reactor::current;
use levent_reactor::net::is_out_of_descriptors;

use crate::net::{ExhaustionPolicy, ListenerStats};

/// The pause after the first failure, and after the seventh in a row: doubled in between.
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Shared by the clones of a listener.
#[derive(Debug, Default)]
pub(crate) struct Control {
    policy: ExhaustionPolicy,
    state: Mutex<State>,
    /// A descriptor to give up when there is no other. `None` under the other policies, and after it could not be had again.
    spare: Mutex<Option<UnixDatagram>>,
}

#[derive(Debug, Default)]
struct State {
    is_disabled: bool,
    /// `None` unless the last accept failed.
    pause: Option<Pause>,
    /// Those who wait for the listener to be enabled, each with its number.
    gate: Vec<(u64, Waker)>,
    /// The number given last; 0 is nobody's.
    last_number: u64,
    /// `paused` counts the pauses that are over.
    stats: ListenerStats,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    since: Instant,
    until: Instant,
}

impl Pause {
    fn length(&self) -> Duration {
        self.until - self.since
    }

    /// What of it is over.
    fn elapsed(&self, now: Instant) -> Duration {
        now.min(self.until).saturating_duration_since(self.since)
    }
}

/// What an accept may do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Now,
    /// The listener pauses.
    After(Instant),
    /// The listener is disabled.
    Closed,
}

/// What the swap of the spare descriptor came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Swap<T> {
    /// A connection was taken, and closed.
    Refused,
    /// A connection was taken, and there is room for it after all.
    Accepted(T),
}

impl Control {
    /// # Errors
    ///
    /// The system's if there is no descriptor to keep.
    pub(crate) fn new(policy: ExhaustionPolicy, is_enabled: bool) -> io::Result<Control> {
        let spare = match policy {
            ExhaustionPolicy::ReserveAndRefuse => Some(open_spare()?),
            ExhaustionPolicy::Backoff | ExhaustionPolicy::Error => None,
        };
        let state = State {
            is_disabled: !is_enabled,
            ..State::default()
        };
        Ok(Control {
            policy,
            state: state.into(),
            spare: spare.into(),
        })
    }

    pub(crate) fn is_enabled(&self) -> bool {
        !self.lock().is_disabled
    }

    /// Lets accepts through; those who waited for that are woken.
    pub(crate) fn enable(&self) {
        let mut state = self.lock();
        state.is_disabled = false;
        let gate = std::mem::take(&mut state.gate);
        drop(state);
        for (_, waker) in gate {
            waker.wake();
        }
    }

    /// Answers whether it was enabled.
    pub(crate) fn disable(&self) -> bool {
        !std::mem::replace(&mut self.lock().is_disabled, true)
    }

    pub(crate) fn stats(&self) -> ListenerStats {
        let state = self.lock();
        let mut stats = state.stats;
        if let Some(pause) = state.pause {
            stats.paused += pause.elapsed(current::now());
        }
        stats
    }

    pub(super) fn admission(&self) -> Admission {
        let state = self.lock();
        match state.pause {
            _ if state.is_disabled => Admission::Closed,
            Some(pause) => Admission::After(pause.until),
            None => Admission::Now,
        }
    }

    /// Waits for the listener to be enabled, under the number in `place`, which is given at the first call. False if it is enabled.
    pub(super) fn wait_at_gate(&self, place: &mut u64, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut state = self.lock();
        if !state.is_disabled {
            drop(state);
            return false;
        }
        if *place == 0 {
            state.last_number += 1;
            *place = state.last_number;
        }
        let number = *place;
        let old = match state.gate.iter_mut().find(|(other, _)| *other == number) {
            Some((_, old)) => Some(std::mem::replace(old, waker)),
            None => {
                state.gate.push((number, waker));
                None
            }
        };
        drop(state);
        drop(old);
        true
    }

    /// Takes a number out of the gate, if it is there.
    pub(super) fn leave_gate(&self, place: u64) {
        if place == 0 {
            return;
        }
        let mut state = self.lock();
        let at = state.gate.iter().position(|(number, _)| *number == place);
        let waker = at.map(|at| state.gate.swap_remove(at));
        drop(state);
        drop(waker);
    }

    /// Does this failure call for the spare descriptor?
    pub(super) fn is_to_refuse(&self, error: &io::Error) -> bool {
        self.policy == ExhaustionPolicy::ReserveAndRefuse && is_out_of_descriptors(error)
    }

    /// Gives the spare descriptor up, accepts in its place, and takes it back, for which the connection has to go; unless there is
    /// room by now. `full` is the error that led here: the answer if there is no spare descriptor to be had.
    pub(super) fn swap<T>(
        &self,
        full: io::Error,
        accept: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<Swap<T>> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        match spare.take().map_or_else(open_spare, Ok) {
            Ok(given_up) => drop(given_up),
            Err(_) => return Err(full),
        }
        let accepted = accept();
        *spare = open_spare().ok();
        let stream = accepted?;
        if spare.is_some() {
            return Ok(Swap::Accepted(stream));
        }
        drop(stream);
        // Another thread may have been faster. Then there is none until the next failure, which asks again.
        *spare = open_spare().ok();
        self.lock().stats.refused += 1;
        Ok(Swap::Refused)
    }

    /// Notes connections that were passed over.
    pub(super) fn aborted(&self, count: u32) {
        if count > 0 {
            self.lock().stats.aborted += u64::from(count);
        }
    }

    pub(super) fn succeeded(&self) {
        let mut state = self.lock();
        state.stats.accepted += 1;
        // The clock is read only if there is a pause to end.
        if state.pause.is_some() {
            state.end_pause(current::now());
        }
    }

    /// Counts an error and starts a pause, twice as long as the last. A failure during a pause belongs to a task that tried before
    /// it began and does not lengthen it.
    pub(super) fn failed(&self, now: Instant) {
        let mut state = self.lock();
        state.stats.errors += 1;
        if self.policy == ExhaustionPolicy::Error
            || state.pause.is_some_and(|running| now < running.until)
        {
            return;
        }
        let last = state.pause.map(|last| last.length());
        state.end_pause(now);
        let length = last.map_or(PAUSE_MIN, |last| (last * 2).min(PAUSE_MAX));
        state.pause = Some(Pause {
            since: now,
            until: now + length,
        });
    }

    /// Nothing panics under this lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end_pause(&mut self, now: Instant) {
        if let Some(pause) = self.pause.take() {
            self.stats.paused += pause.elapsed(now);
        }
    }
}

/// A descriptor of no use but to be there: a socket without a name or peer, since a file would need a path, which a program in
/// a `chroot` may lack.
fn open_spare() -> io::Result<UnixDatagram> {
    UnixDatagram::unbound()
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Control {
        fn until(&self) -> Option<Instant> {
            match self.admission() {
                Admission::After(until) => Some(until),
                _ => None,
            }
        }
    }

    #[test]
    fn pause_doubles_up_to_a_second() {
        let control = Control::default();
        let mut now = Instant::now();
        let mut lengths = Vec::new();
        for _ in 0..9 {
            control.failed(now);
            let until = control.until().unwrap();
            lengths.push((until - now).as_millis());
            now = until;
        }
        assert_eq!(lengths, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    }

    #[test]
    fn failure_during_a_pause_does_not_lengthen_it() {
        let control = Control::default();
        let now = Instant::now();
        control.failed(now);
        let until = control.until();
        control.failed(now + PAUSE_MIN / 2);
        assert_eq!(control.until(), until);
        assert_eq!(control.stats().errors, 2);
    }

    #[test]
    fn success_forgets_the_pause() {
        let control = Control::default();
        let now = Instant::now();
        control.failed(now);
        control.failed(now + PAUSE_MIN);
        control.succeeded();
        assert_eq!(control.admission(), Admission::Now);
        control.failed(now);
        assert_eq!(control.until(), Some(now + PAUSE_MIN));
    }

    /// What is left of a pause does not count, and what has passed of it does.
    #[test]
    fn pauses_add_up() {
        let control = Control::default();
        let now = Instant::now();
        // 10 ms, 5 ms late the 20 ms, and then 40 ms, of which nothing has passed.
        control.failed(now);
        control.failed(now + Duration::from_millis(15));
        control.failed(now + Duration::from_millis(35));
        let state = control.lock();
        assert_eq!(state.stats.paused, Duration::from_millis(30));
        let pause = state.pause.unwrap();
        assert_eq!(pause.elapsed(now), Duration::ZERO);
        let later = now + Duration::from_secs(1);
        assert_eq!(pause.elapsed(later), Duration::from_millis(40));
    }

    #[test]
    fn policy_error_does_not_pause() {
        let control = Control::new(ExhaustionPolicy::Error, true).unwrap();
        control.failed(Instant::now());
        assert_eq!(control.admission(), Admission::Now);
        assert_eq!(control.stats().errors, 1);
    }

    /// With room for the spare one there is room for the connection.
    #[test]
    fn swap_keeps_what_there_is_room_for() {
        let control = Control::new(ExhaustionPolicy::ReserveAndRefuse, true).unwrap();
        let full = || io::Error::from_raw_os_error(24);
        assert!(control.is_to_refuse(&full()));
        assert_eq!(
            control.swap(full(), || Ok(7)).unwrap(),
            Swap::Accepted(7),
            "nothing was full"
        );
        // Nobody there: the spare one is back all the same.
        let nobody = || Err::<u8, _>(io::ErrorKind::WouldBlock.into());
        let error = control.swap(full(), nobody).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(control.spare.lock().unwrap().is_some());
        assert_eq!(control.stats().refused, 0);
    }
}
