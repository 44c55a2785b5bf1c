//! Resource limits, in the 64-bit form that every Linux has; elsewhere the only form is 64 bits wide.

use std::{io, mem::MaybeUninit};

use super::check;

#[cfg(not(target_os = "linux"))]
use libc::{getrlimit, rlimit, setrlimit};
#[cfg(target_os = "linux")]
use libc::{getrlimit64 as getrlimit, rlimit64 as rlimit, setrlimit64 as setrlimit};

/// The soft and the hard limit of open descriptors.
///
/// "No limit" is a number as any other, the largest; but for macOS, which names it as the hard limit and refuses it as the soft one:
/// there it is `OPEN_MAX`.
// FreeBSD counts in signed numbers, none of which is negative; elsewhere nothing is converted.
#[allow(clippy::unnecessary_cast)]
pub(crate) fn descriptors() -> io::Result<(u64, u64)> {
    let mut limit = MaybeUninit::<rlimit>::uninit();
    // SAFETY: `limit` has room for the one record that the call writes.
    check(unsafe { getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it has written the whole record.
    let limit = unsafe { limit.assume_init() };
    let (soft, hard) = (limit.rlim_cur as u64, limit.rlim_max as u64);
    // `OPEN_MAX` of <sys/syslimits.h>; a soft limit beyond it was put there by somebody who knew.
    #[cfg(target_vendor = "apple")]
    let hard = hard.min(soft.max(10_240));
    Ok((soft, hard))
}

/// Sets the soft and the hard limit of open descriptors.
#[allow(clippy::unnecessary_cast)]
pub(crate) fn set_descriptors(soft: u64, hard: u64) -> io::Result<()> {
    let limit = rlimit {
        rlim_cur: soft as _,
        rlim_max: hard as _,
    };
    // SAFETY: `limit` is readable until the call returns.
    check(unsafe { setrlimit(libc::RLIMIT_NOFILE, &limit) }).map(drop)
}

/// Does the process have the rights of another user or group than who started it (set-user-id, set-group-id)?
pub(crate) fn is_privileged() -> bool {
    // SAFETY: the call takes nothing and cannot fail.
    let (user, group) = (unsafe { libc::getuid() }, unsafe { libc::getgid() });
    // SAFETY: as above.
    (user, group) != (unsafe { libc::geteuid() }, unsafe { libc::getegid() })
}
