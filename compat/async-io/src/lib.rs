//! The root of [async-io](https://docs.rs/async-io/2.6) 2.6, on the levent reactor.
//!
//! A program that depends on async-io changes one line of its manifest, and none of its source:
//!
//! ```toml
//! async-io = { package = "levent-async-io", version = "0.1" }
//! ```
//!
//! That reaches the program's own code. To move the crates *below* it as well (async-net, async-process, async-signal, zbus, sqlx, quinn, redis …), replace the
//! package of that name for the whole tree; the repository has a stand-in, `compat/patch/async-io`:
//!
//! ```toml
//! [patch.crates-io]
//! async-io = { git = "https://github.com/levent-rs/levent" }
//! ```
//!
//! # What is the same
//!
//! Every name, signature, conversion, trait and auto trait of async-io 2.6 on Unix, which the project's tests compare. async-io's own tests and the
//! examples in its documentation pass (`tests/compat/run`).
//!
//! # What is different
//!
//! | | async-io | here |
//! |---|---|---|
//! | the reactor | one for the process, behind a lock | one per thread; those who wait outside our loops share one in the background |
//! | a thread `async-io` | from the first use on | `levent-background`, when somebody waits outside of [`block_on`], not before |
//! | `block_on` on a thread | drives the reactor, and everybody's timers with it | drives its thread's base and the tasks of `levent::spawn` there; is never busy with another thread's work |
//! | `block_on` of another crate, inside a future that [`block_on`] polls | the thread `async-io` goes on | it waits for ever if it has to wait for one of ours: it blocks the loop; [`block_on`] itself nests |
//! | a system call per operation that waits | an `epoll_ctl` to arm | none: sources are registered once, for edges |
//! | equal deadlines | in the order in which they were registered | the same |
//! | [`os::unix::reactor_fd`] | the reactor's epoll descriptor | the background reactor's, which is where those wait who have no loop of ours |
//! | `os::kqueue` on the BSDs and macOS | a filter in the reactor's queue | a queue of its own, which the reactor watches |
//! | Windows | yes | no |

#![deny(unsafe_code)]

pub mod os;

pub use levent_executor::block_on;
pub use levent_io::{Async, IoSafe, Readable, ReadableOwned, Writable, WritableOwned};
pub use levent_timer::Timer;
