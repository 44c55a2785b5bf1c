//! Timers, sleeps, intervals and timeouts on the levent reactor.
//!
//! | Want | Take | Answers with |
//! |---|---|---|
//! | wait a while, or until an instant | [`sleep`], [`sleep_until`] | `()` |
//! | give another future a limit | [`timeout`], [`timeout_at`] | its output or [`Elapsed`] |
//! | do something regularly, late ticks left out | [`interval`], [`interval_at`] | the tick's instant |
//! | one object that can be set, cleared, made to repeat; smol's type | [`Timer`] | the instant asked for |
//!
//! ```
//! use levent_timer::{interval, sleep, timeout};
//! use std::time::Duration;
//!
//! # fn main() -> std::io::Result<()> {
//! levent_executor::block_on(async {
//!     let mut ticks = interval(Duration::from_millis(1));
//!     ticks.tick().await;
//!     ticks.tick().await;
//!
//!     let slow = sleep(Duration::from_secs(3600));
//!     assert!(timeout(Duration::from_millis(1), slow).await.is_err());
//!     Ok(())
//! })
//! # }
//! ```
//!
//! What holds for all of them
//! 1. Never early: when a timer answers, `Instant::now()` is at or past its deadline. How late depends on the base, which
//!    waits with the kernel's nanosecond calls where there are any and rounds up where there are none.
//! 2. A deadline in the past is ready at the first poll, without a turn of the loop and without a registration.
//! 3. A wait that no `Instant` can express (`Duration::MAX` above all) is *never*: pending for good, not a panic.
//! 4. Nothing happens before the first poll, which registers the deadline at the polling thread's base. A timer that is
//!    polled on another thread moves there; outside our loops the background base serves it. All are `Send + Sync`.
//! 5. Equal deadlines of one base are answered in the order in which they were registered.
//! 6. Dropping one deregisters it. Nothing else is kept: no thread, no allocation, no reference to the task.
//!
//! Time is the monotonic clock of [`Instant`](std::time::Instant); setting the wall clock moves no timer.

#![forbid(unsafe_code)]

mod interval;
mod sleep;
mod timeout;
mod timer;

pub use interval::{Interval, Tick, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};
pub use timer::Timer;

/// The promises of design: every type here crosses threads and `catch_unwind`, whatever holds it.
const _: () = {
    const fn crosses<
        T: Send + Sync + Unpin + std::panic::UnwindSafe + std::panic::RefUnwindSafe,
    >() {
    }
    crosses::<Timer>();
    crosses::<Sleep>();
    crosses::<Interval>();
    crosses::<Timeout<std::future::Ready<()>>>();
    crosses::<Elapsed>();
};
