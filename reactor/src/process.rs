//! A child process as something that can become ready.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;

use crate::sys::pidfd;

/// A descriptor that becomes readable when the child ends, and stays so (Linux's pidfd, 5.3 and later).
///
/// It tells that the child has ended, not how: ask with [`Child::try_wait`], which also takes the zombie away. The child must not have been
/// waited for before: its number may be another process's by then.
///
/// # Errors
///
/// `Unsupported` on other systems; whatever the kernel says: it is too old, a filter forbids the call, there is no descriptor left. Then SIGCHLD is
/// what is left to wait for: [`signal::Receiver`](crate::signal::Receiver).
///
/// # Examples
///
/// ```
/// # #[cfg(target_os = "linux")]
/// # fn main() -> std::io::Result<()> {
/// use std::process::Command;
///
/// let mut child = Command::new("true").spawn()?;
/// match levent_reactor::process::exit_descriptor(&child) {
///     Ok(descriptor) => println!("readable when the child has ended: {descriptor:?}"),
///     Err(error) => println!("wait for SIGCHLD instead: {error}"),
/// }
/// child.wait()?;
/// # Ok(()) }
/// # #[cfg(not(target_os = "linux"))]
/// # fn main() {}
/// ```
pub fn exit_descriptor(child: &Child) -> io::Result<OwnedFd> {
    pidfd::open(child.id())
}
