//! Events that the base keeps itself: one-shots, exit, deferred closures.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::Base;
use crate::{Event, Flags};

impl Base {
    /// Runs a closure once, after `delay`; without one, or with zero, in the next pass (ONCE-1, ONCE-2).
    ///
    /// It cannot be cancelled; it keeps the loop alive, and is dropped unrun with the base (ONCE-5, BASE-27).
    pub fn once_after(&self, delay: Duration, closure: impl FnOnce() + 'static) {
        let event = Event::timer(self, run_once(move |_| closure()));
        if delay.is_zero() {
            event.activate(Flags::TIMEOUT);
        } else if let Err(error) = event.add_after(delay) {
            // A timer asks nothing of the system.
            debug_assert!(false, "a timer was refused: {error}");
        }
        event.detach();
    }

    /// Runs a closure once, when a descriptor is ready for any of `interest` or `timeout` has passed (ONCE-3). It receives what
    /// happened. The source is dropped, and so closed if it is owned, after the closure has run.
    ///
    /// # Errors
    ///
    /// `InvalidInput` unless `interest` has `READ`, `WRITE` or `CLOSED` and neither `SIGNAL` nor `PERSIST` (ONCE-4); else what
    /// adding an event may answer.
    pub fn once_fd<S: AsFd + 'static>(
        &self,
        source: S,
        interest: Flags,
        timeout: Option<Duration>,
        closure: impl FnOnce(&S, Flags) + 'static,
    ) -> io::Result<()> {
        if !interest.intersects(Flags::DESCRIPTOR)
            || interest.intersects(Flags::SIGNAL | Flags::PERSIST)
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a one-shot waits for READ, WRITE or CLOSED: use an `Event` for signals and persistence",
            ));
        }
        let mut closure = Some(closure);
        let event = Event::new(
            self,
            source,
            interest & Flags::DESCRIPTOR,
            move |source: &S, what, _: &Event| {
                if let Some(closure) = closure.take() {
                    closure(source, what);
                }
            },
        )?;
        match timeout {
            Some(timeout) => event.add_after(timeout)?,
            None => event.add()?,
        }
        event.detach();
        Ok(())
    }

    /// Runs a closure in the pass under way, behind what is active at the default priority, or in the next iteration if this
    /// one has had its share of deferred closures (ACT-20).
    pub fn defer(&self, closure: impl FnOnce(&Base) + 'static) {
        let event = Event::timer(
            self,
            run_once(move |event: &Event| {
                if let Some(base) = event.base() {
                    closure(&base);
                }
            }),
        );
        event.activate_deferred();
        event.detach();
    }

    /// Ends the loop once the current pass is done, or after `delay` (EXIT-3, EXIT-6).
    ///
    /// It is a callback at the default priority: more urgent events can delay it (EXIT-7). Before the loop runs it makes the
    /// next loop end after its first pass (EXIT-5).
    ///
    /// # Errors
    ///
    /// None today; a deadline too far to be reached simply never comes.
    pub fn loop_exit(&self, delay: Option<Duration>) -> io::Result<()> {
        let event = Event::timer(
            self,
            run_once(|event: &Event| {
                if let Some(base) = event.base() {
                    base.with(|engine| engine.exit = true);
                }
            }),
        );
        match delay {
            Some(delay) if !delay.is_zero() => event.add_after(delay)?,
            _ => event.activate(Flags::TIMEOUT),
        }
        event.detach();
        Ok(())
    }
}

/// A callback from a closure that can run only once.
fn run_once(closure: impl FnOnce(&Event) + 'static) -> impl FnMut(&Event, Flags) + 'static {
    let mut closure = Some(closure);
    move |event, _| {
        if let Some(closure) = closure.take() {
            closure(event);
        }
    }
}
