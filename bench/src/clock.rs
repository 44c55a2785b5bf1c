//! What std does not offer: the CPU clocks of processes, and the cpu that a thread runs on.
#![allow(unsafe_code)]

use std::io;

/// The CPU time of this process in nanoseconds.
pub(crate) fn process_cpu_nanos() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or(0)
}

/// The CPU time, user and system, that another process has used so far, in nanoseconds.
///
/// # Errors
///
/// When there is no such process.
pub fn cpu_nanos_of(pid: i32) -> io::Result<u64> {
    let mut clock = 0;
    // SAFETY: `clock` is writable for the length of the call, which keeps no pointer to it.
    match unsafe { libc::clock_getcpuclockid(pid, &mut clock) } {
        0 => read(clock),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Keeps the calling thread on one cpu. A machine that has no such cpu leaves the thread where it is.
pub fn pin_to_cpu(cpu: usize) {
    // SAFETY: a set is plain bits, and all bits clear is a set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is ours; a number past its end is ignored.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is readable for the given size; 0 is the calling thread.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
}

fn read(clock: libc::clockid_t) -> io::Result<u64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is writable for the length of the call, which keeps no pointer to it.
    match unsafe { libc::clock_gettime(clock, &mut time) } {
        0 => Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64),
        _ => Err(io::Error::last_os_error()),
    }
}
