//! How a process learns that it is a forked child.
//!
//! `fork(2)` copies memory but shares kernel objects: what a child does to an inherited epoll descriptor, its parent feels. So
//! whatever owns such an object remembers the count of forks at which it was made, and compares; that costs a load where asking
//! for the process id would cost a system call. A child made past `fork(3)`'s handlers, by `_Fork` or a bare `clone(2)`, is not
//! noticed.

use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// Forks between the first ancestor that watched and this process.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// The current count. It changes only in a child, before the child's own code runs.
#[inline]
pub(crate) fn count() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Counts forks from now on.
pub(crate) fn watch() {
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function touches one atomic, which is all that a child of a process with threads may do. In a library that is
        // unloaded the C library forgets the function with it, or never unloads.
        let answer = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        // Refused only for want of memory, at the first base of a process. Then forks go unnoticed, as before.
        let _ = answer;
    });
}

/// What a base of the parent says in the child.
pub(crate) fn stale() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this base belongs to the parent process: call `Base::reinit` in the child after a fork, before anything else",
    )
}
