//! libevent's event loop in safe Rust: [`Base`], [`Event`], timers, signals; and a [fast lane](lane) for futures.
//!
//! ```text
//!  callbacks                         futures
//!  Base, Event, Watcher              lane::Source, lane::Alarm
//!        └──────────────┬──────────────────┘
//!                    engine            tokens in, active entries and due wakers out
//!        ┌──────────────┼───────────────┬───────────┐
//!     backend        deadlines       signals     mailbox (other threads: Remote)
//!  epoll kqueue …    heap, queues   receiver    notifier
//! ```
//!
//! It is of use alone, with callbacks, as libevent is; and it is what levent's executor, sockets, timers and signals stand on.
//! The semantics are libevent's 2.2 line, minus its accidents ([every deviation](from_libevent#every-deviation)); names in
//! parentheses such as (LOOP-6) are rules of the specification that the tests cite.
//!
#![doc = include_str!("guide.md")]
//!
//! # Platforms
//!
//! Backends are chosen at run time ([`Config`]), from those of the system in order of preference:
//!
//! | System | Backends | Proved |
//! |---|---|---|
//! | Linux | epoll, poll, select | every test |
//! | macOS, FreeBSD, NetBSD, OpenBSD | kqueue, poll, select | type-checked; kqueue tested on Linux, over an emulation of `kevent` and over libkqueue; never run there |
//! | DragonFly | the same | not even type-checked |
//! | illumos, Solaris | devpoll, poll, select | type-checked; devpoll tested on Linux over an emulation of the driver; never run there |
//!
//! A build with `--cfg levent_libkqueue` on Linux has kqueue too, last in the order, from an installed libkqueue, and the other
//! systems' way to end a wait: for tests.

#![deny(unsafe_code)]

/// The crate's version, `major.minor.patch`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The same as a number: a byte each for major, minor and patch, and a low byte that is 0 for a release and 1 before one (INT-19).
pub const VERSION_NUMBER: u32 = version::NUMBER;

mod backend;
pub mod background;
mod base;
mod clock;
mod config;
pub mod current;
mod doze;
mod engine;
mod event;
pub mod file;
mod flags;
pub mod from_libevent;
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
    levent_libkqueue
))]
pub mod kqueue;
pub mod lane;
pub mod net;
pub mod process;
mod receipt;
mod remote;
mod shared;
pub mod signal;
#[allow(unsafe_code)]
mod sys;
#[cfg(test)]
mod test_child;
mod version;

pub use backend::{Features, Method};
pub use base::{
    Base, CommonTimeout, Counted, Entered, EventInfo, LoopEnd, LoopFlags, PrepareInfo, SourceInfo,
    Spin, Wait, Waits, Watcher,
};
pub use clock::{Clock, ClockHand};
pub use config::Config;
pub use event::{Event, Flags, RemoteEvent};
pub use flags::Interest;
pub use receipt::Receipt;
pub use remote::Remote;
pub use sys::io_safe::IoSafe;
