//! select(2) on sets of any size.

use std::{io, ptr};

use super::seconds;

/// A word of a set, as the kernel counts its bits: `unsigned long`, on either byte order.
pub(crate) type Word = libc::c_ulong;

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
    // SAFETY: the kernel reads and writes `count` bits of each set, in whole `unsigned long`s, whatever the size of the
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
