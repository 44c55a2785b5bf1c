//! select(2) on sets of any size.

use std::{io, ptr};

use super::seconds;

/// A word of a set, as the kernel counts its bits, which matters where the byte order is big: `unsigned long`, but for some.
#[cfg(not(any(target_vendor = "apple", target_os = "netbsd", target_os = "openbsd")))]
pub(crate) type Word = libc::c_ulong;
#[cfg(any(target_vendor = "apple", target_os = "netbsd", target_os = "openbsd"))]
pub(crate) type Word = u32;

/// Descriptors from here on are refused. Linux and the BSDs would take more, but every wait copies and scans the sets up to the highest
/// descriptor: with this limit 16 kB, beyond it nobody should be using select. Solaris has the same limit of its own; macOS takes no
/// more than fit into the C library's sets, unless the program is built for it.
pub(crate) const LIMIT: std::os::fd::RawFd = if cfg!(target_vendor = "apple") {
    1024
} else {
    64 * 1024
};

/// Descriptors per word.
pub(crate) const WORD_BITS: usize = Word::BITS as usize;

/// Waits at most (seconds, microseconds) (None: no limit) for descriptors below `count`; leaves in the sets those that
/// are ready and returns the number of bits that are left.
///
/// # Panics
///
/// If a set has not got a bit for each descriptor below `count`.
pub(crate) fn wait(
    count: usize,
    read: &mut [Word],
    write: &mut [Word],
    wait: Option<(i64, i64)>,
) -> io::Result<usize> {
    let words = count.div_ceil(WORD_BITS);
    assert!(
        read.len() >= words && write.len() >= words,
        "sets too small for {count} descriptors"
    );
    let count = libc::c_int::try_from(count).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut wait = wait.map(|(whole, microseconds)| libc::timeval {
        tv_sec: seconds(whole),
        // Below 10⁶, which every `suseconds_t` holds.
        tv_usec: microseconds as libc::suseconds_t,
    });
    let wait_pointer = wait.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
    // SAFETY: the kernel reads and writes `count` bits of each set, in whole words, whatever the size of the
    // C type `fd_set` is (the C library passes the pointers on); the assertion above says that they are there. No third
    // set. `wait` is ours and writable: Linux stores the time that is left in it. Nothing is kept.
    let n = unsafe {
        libc::select(
            count,
            read.as_mut_ptr().cast(),
            write.as_mut_ptr().cast(),
            ptr::null_mut(),
            wait_pointer,
        )
    };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}
