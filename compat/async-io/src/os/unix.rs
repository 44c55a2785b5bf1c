//! What only Unix has: the reactor as a descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

/// The descriptor of the reactor that serves those who wait outside of our loops; it is readable while that has something to do.
///
/// It is epoll's, for a loop that wants to know of activity. The reactor is turned by its own thread in any case, which this call
/// starts. A program need not look at the descriptor; registering anything there of its own accord upsets the reactor.
///
/// `None` where the backend has no descriptor that could be shared (`poll`, `select`, kqueue), and if the reactor could not be started.
///
/// # Examples
///
/// ```
/// # #[cfg(target_os = "linux")]
/// # if levent_reactor::Method::supported()[0].name() == "epoll" && std::env::var_os("LEVENT_BACKEND").is_none() {
/// use levent_async_io::os::unix::reactor_fd;
///
/// assert!(reactor_fd().is_some());
/// # }
/// ```
pub fn reactor_fd() -> Option<BorrowedFd<'static>> {
    /// A share of the reactor's own, so that the number is not given to another file while somebody has it.
    static DESCRIPTOR: OnceLock<Arc<OwnedFd>> = OnceLock::new();

    if let Some(descriptor) = DESCRIPTOR.get() {
        return Some(descriptor.as_fd());
    }
    let descriptor = levent_reactor::background::descriptor().ok()??;
    Some(DESCRIPTOR.get_or_init(|| descriptor).as_fd())
}
