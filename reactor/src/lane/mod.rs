//! The fast lane: how futures wait for descriptors and deadlines without a callback.
//!
//! [`Source`] is a descriptor's registration, [`Alarm`] a deadline's. Both hold only *names*: the number of a base, a slot, a
//! key. That makes them `Send + Sync` without a lock: the state is plain memory of the base's thread, and whoever comes from
//! elsewhere posts a message.
//!
//! ```text
//!               polled at home                        polled away
//! Source ──▶ thread-local engine ──▶ slot      home at rest:  its lock, and the slot moves here
//!                                              home running, nobody waits there:  the slot moves here
//!                                              home running, somebody waits there: message "arm this waker"
//!                                              thread outside all loops: the background base is the home
//! ```
//!
//! The types here are what `levent-io`, `levent-timer` and `levent-signal` are built from, and what a wrapper of one's own
//! would use.

mod alarm;
mod away;
mod priority;
mod source;

pub use alarm::Alarm;
pub use priority::Priority;
pub use source::{Source, Waiter};

/// Which way data moves.
///
/// ```
/// use levent_reactor::lane::{Direction, Source};
/// use std::os::{fd::AsFd, unix::net::UnixStream};
/// use std::task::{Context, Waker};
///
/// # fn main() -> std::io::Result<()> {
/// let (here, _there) = UnixStream::pair()?;
/// let source = Source::new(here.as_fd())?;
/// let mut cx = Context::from_waker(Waker::noop());
/// assert!(source.poll_ready(Direction::Write, &mut cx).is_ready()); // there is room
/// assert!(source.poll_ready(Direction::Read, &mut cx).is_pending()); // nothing came
/// source.release();
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Reading, and accepting connections.
    Read,
    /// Writing, and finishing a connect.
    Write,
}
