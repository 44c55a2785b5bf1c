//! Child processes: spawn, talk through pipes, await the end.
//!
//! The names and the behaviour are those of async-process, which smol's users know; below is levent's reactor, and no thread.
//!
//! ```text
//! command   what to run, and with which pipes
//!    │ spawn
//! child ──▶ pipes     our ends, non-blocking; the child's ends and whatever it inherits stay as they are
//!    │
//! exit      the end: a pidfd that becomes readable, or SIGCHLD
//!    │ dropped before the end
//! reap      waits on, so that no zombie is left
//! ```
//!
//! Invariants
//! 1. Only pipes that we made are put into non-blocking mode, and of those only our ends. A descriptor that is shared with another process (an
//!    inherited standard input) keeps its mode, which it would share.
//! 2. Only children of ours are waited for, each by its number: another library's children keep their status.
//! 3. A number is signalled and waited for by std's `Child`, which forgets it with the status: nothing is ever sent to a number that is
//!    free again.
//! 4. A child that was spawned is owned by a `Child`, a reaper, or nobody (`reap_on_drop(false)`); a spawn that fails afterwards, because its pipes
//!    cannot be registered, ends the child.
//!
//! | | Linux 5.3 and later | elsewhere, and with `LEVENT_PIDFD=0` |
//! |---|---|---|
//! | awaits the end by | a pidfd: one wake, for this child | SIGCHLD: each end of any child wakes all who wait, and each looks at its own |
//! | costs while it waits | a descriptor per child | a descriptor per waiting future, and the signal's disposition |
//!
//! # Examples
//!
//! ```no_run
//! use futures_lite::{AsyncBufReadExt, StreamExt, io::BufReader};
//! use levent_io::process::{Command, Stdio};
//!
//! # fn main() -> std::io::Result<()> {
//! levent_executor::block_on(async {
//!     let mut child = Command::new("find").arg(".").stdout(Stdio::piped()).spawn()?;
//!     if let Some(stdout) = child.stdout.take() {
//!         let mut lines = BufReader::new(stdout).lines();
//!         while let Some(line) = lines.next().await {
//!             println!("{}", line?);
//!         }
//!     }
//!     println!("{}", child.status().await?);
//!     Ok(())
//! })
//! # }
//! ```

mod child;
mod command;
mod exit;
mod pipes;
mod reap;
pub mod unix;

use std::convert::Infallible;
use std::future::{Future, pending};

#[doc(no_inline)]
pub use std::process::{ExitStatus, Output, Stdio};

pub use child::Child;
pub use command::Command;
pub use pipes::{ChildStderr, ChildStdin, ChildStdout};

/// Never ends, and need not be polled.
///
/// async-process has a thread of its own unless somebody polls its driver. Here whoever waits for a child does so in its own loop, and children that were dropped are
/// watched by the loop of the thread that dropped them, or by the background base. The function is here so that programs which call it compile.
pub fn driver() -> impl Future<Output = Infallible> + Send + 'static {
    pending()
}
