//! What only Unix can ask of a command.

use std::ffi::OsStr;
use std::io;

use super::Command;

/// The methods of std's [`CommandExt`](std::os::unix::process::CommandExt) that need no unsafe code, as async-process has them.
///
/// The trait is sealed: [`Command`] is the only type that has it.
///
/// # Examples
///
/// ```no_run
/// use levent_io::process::{Command, unix::CommandExt};
///
/// # async fn example() -> std::io::Result<()> {
/// Command::new("daemon").uid(65534).gid(65534).status().await?;
/// # Ok(()) }
/// ```
pub trait CommandExt: sealed::Sealed {
    /// Has the child run as the user of this number.
    fn uid(&mut self, id: u32) -> &mut Command;

    /// Has the child run with the group of this number.
    fn gid(&mut self, id: u32) -> &mut Command;

    /// Becomes the command: this process goes on as that program. Returns only if it cannot.
    ///
    /// Nothing is dropped; tasks, buffers that were not flushed and descriptors without close-on-exec are what the caller has to think of.
    fn exec(&mut self) -> io::Error;

    /// Sets the zeroth argument, by which the program is told its own name.
    fn arg0<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command;
}

pub(super) mod sealed {
    /// Keeps the trait to ourselves, so that it can grow as std's does.
    pub trait Sealed {}
}
