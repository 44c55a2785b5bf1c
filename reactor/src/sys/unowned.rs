//! Descriptors that are known by number only.

use std::io;
use std::os::fd::RawFd;

use crate::Base;
use crate::event::{Event, Flags};

impl Event {
    /// Makes an event from a bare descriptor or signal number, for callers whose descriptors are owned elsewhere (a C
    /// library's, say). -1: a timer or user event. With `SIGNAL` in `interest` the number is a signal's.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for `SIGNAL` together with `READ`, `WRITE` or `CLOSED` (FLG-2).
    ///
    /// # Safety
    ///
    /// The descriptor must stay open while the event is pending (DEL-17).
    ///
    /// # Examples
    ///
    /// ```
    /// use levent_reactor::{Base, Event, Flags};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let base = Base::new()?;
    /// // SAFETY: standard input is never closed here.
    /// let event = unsafe { Event::from_raw_fd(&base, 0, Flags::READ, |_, _| {}) }?;
    /// assert_eq!(event.number(), 0);
    /// # Ok(()) }
    /// ```
    pub unsafe fn from_raw_fd(
        base: &Base,
        number: RawFd,
        interest: Flags,
        callback: impl FnMut(&Event, Flags) + 'static,
    ) -> io::Result<Event> {
        Event::from_number(base, number, interest, callback)
    }
}
