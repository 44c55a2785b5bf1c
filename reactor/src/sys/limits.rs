//! Resource limits, in the 64-bit form that every Linux has.

use std::{io, mem::MaybeUninit};

use super::check;

/// The soft and the hard limit of open descriptors.
pub(crate) fn descriptors() -> io::Result<(u64, u64)> {
    let mut limit = MaybeUninit::<libc::rlimit64>::uninit();
    // SAFETY: `limit` has room for the one record that the call writes.
    check(unsafe { libc::getrlimit64(libc::RLIMIT_NOFILE, limit.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it has written the whole record.
    let limit = unsafe { limit.assume_init() };
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Sets the soft and the hard limit of open descriptors.
pub(crate) fn set_descriptors(soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: `limit` is readable until the call returns.
    check(unsafe { libc::setrlimit64(libc::RLIMIT_NOFILE, &limit) }).map(drop)
}
