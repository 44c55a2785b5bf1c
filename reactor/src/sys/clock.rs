//! clock_gettime(2), for the one reading that every turn makes.

use std::mem::MaybeUninit;

/// The clock of `Instant`.
#[cfg(target_vendor = "apple")]
const CLOCK: libc::clockid_t = libc::CLOCK_UPTIME_RAW;
#[cfg(not(target_vendor = "apple"))]
const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;

/// Nanoseconds on the monotonic clock that `Instant` reads too. `Instant` hands its reading out only as a difference of two
/// checked and normalised pairs, which costs more than the call.
#[inline]
pub(crate) fn monotonic() -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: `time` has room for the one record that the call writes. It cannot fail: the clock exists since Linux 2.6, and for
    // as long on the other systems as Rust has been there.
    unsafe { libc::clock_gettime(CLOCK, time.as_mut_ptr()) };
    // SAFETY: all zeros is a time, whatever the call has written.
    let time = unsafe { time.assume_init() };
    // Neither is negative: the clock counts from the start of the system.
    (time.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec as u64)
}
