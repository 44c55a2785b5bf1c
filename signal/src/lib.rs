//! Unix signals as a stream, on the levent reactor.
//!
//! ```no_run
//! use futures_lite::StreamExt;
//! use levent_signal::{SIGHUP, SIGINT, SIGTERM, Signals};
//!
//! # fn main() -> std::io::Result<()> {
//! let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
//! levent_executor::block_on(async {
//!     while let Some(signal) = signals.next().await {
//!         match signal {
//!             SIGHUP => println!("read the configuration again"),
//!             _ => break,
//!         }
//!     }
//! });
//! # Ok(())
//! # }
//! ```
//!
//! | Constant | Default action | Comes when (Linux) | Number on x86 and ARM |
//! |---|---|---|---|
//! | [`SIGHUP`] | end | the terminal went away; for daemons: read the configuration again | 1 |
//! | [`SIGINT`] | end | Ctrl-C | 2 |
//! | [`SIGQUIT`] | end, core dump | Ctrl-\ | 3 |
//! | [`SIGUSR1`], [`SIGUSR2`] | end | somebody sent it: free for programs | 10, 12 |
//! | [`SIGPIPE`] | end; Rust programs ignore it | write to a pipe or socket that nobody reads | 13 |
//! | [`SIGALRM`] | end | the timer of `alarm(2)` or `setitimer(2)` ran out | 14 |
//! | [`SIGTERM`] | end | somebody asks the process to end | 15 |
//! | [`SIGCHLD`] | nothing | a child ended, stopped or went on | 17 |
//! | [`SIGCONT`] | go on | the process goes on after a stop | 18 |
//! | [`SIGWINCH`] | nothing | the terminal changed its size | 28 |
//!
//! The constants have this platform's values; any other number that can be caught may be used as a plain `i32`.
//!
//! What holds
//! 1. A signal is caught from the moment [`Signals::new`], [`Signals::add`] or [`ctrl_c`] returns, not from the first poll.
//! 2. **Occurrences are counted, not merged, once the process has received them**: three that reached the process before a poll
//!    are three items. But the kernel keeps only one pending standard signal of a number, so two that are sent while a first
//!    one is on its way may arrive as one. Take an item for "at least once since the last".
//! 3. Every `Signals` gets its own copy of every occurrence; several of them, on any threads, do not disturb each other.
//! 4. While anybody catches a number, its default action does not happen. The disposition that was found is put back when the
//!    last one gives the number up.
//! 5. Nothing of the user's runs in signal context. The handler counts and notifies.

#![forbid(unsafe_code)]

mod ctrl_c;
mod signals;

pub use ctrl_c::{CtrlC, ctrl_c};
pub use levent_reactor::signal::{
    SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
    SIGWINCH,
};
pub use signals::Signals;

/// Signals may be waited for on any thread.
const _: () = {
    const fn crosses<T: Send + Sync + Unpin>() {}
    crosses::<Signals>();
    crosses::<CtrlC>();
};
