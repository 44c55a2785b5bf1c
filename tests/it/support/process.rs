//! Processes: one of a test's own, and what the system says about them.
#![allow(
    unsafe_code,
    reason = "limits, signals and clocks have no safe interface"
)]

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::Duration;

/// The variable that tells the second process who it is.
const MARK: &str = "LEVENT_CHILD";

/// True in the process that shall do the work; elsewhere starts that process and passes on its failure.
///
/// `name` is the test's full path, such as `limits::no_storm`.
pub(crate) fn in_child(name: &str) -> bool {
    if std::env::var(MARK).is_ok_and(|child| child == name) {
        return true;
    }
    rerun(name, &[name, "--exact"], &[]);
    false
}

/// Runs tests of this very binary in another process, and panics with their output unless at least one ran and all passed.
pub(crate) fn rerun(mark: &str, filter: &[&str], environment: &[(&str, &str)]) -> String {
    let binary = std::env::current_exe().expect("a running test has a path");
    let output = Command::new(binary)
        .args(filter)
        .arg("--nocapture")
        .env(MARK, mark)
        .envs(environment.iter().copied())
        .output()
        .expect("the test binary starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    // "0 passed" as well: a misspelled name runs nothing, and that succeeds.
    assert!(
        output.status.success()
            && stdout.contains("test result: ok.")
            && !stdout.contains(" 0 passed"),
        "{mark} failed in its own process ({}):\n{stdout}\n{stderr}",
        output.status
    );
    // What a test says about itself (a skip, a figure) is not lost.
    for line in stderr.lines().filter(|line| line.starts_with("note: ")) {
        eprintln!("{line}");
    }
    stderr.into_owned()
}

/// Open descriptors of this process; the one that lists them is not counted.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, |list| list.count() - 1)
}

/// Threads of a process (`"self"` for this one).
pub(crate) fn threads(pid: impl ToString) -> usize {
    fs::read_dir(format!("/proc/{}/task", pid.to_string()))
        .expect("the process lives")
        .count()
}

/// The processor time that a process has used (0 for this one).
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let mut clock = 0;
    // SAFETY: the call writes one clock id into `clock`, which outlives it.
    let answer = unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &mut clock) };
    assert_eq!(answer, 0, "process {pid} has no clock");
    read_clock(clock)
}

/// The processor time that this thread has used.
pub(crate) fn thread_time() -> Duration {
    read_clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn read_clock(clock: libc::clockid_t) -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the call writes one timespec into `time`, which outlives it.
    let answer = unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    assert_eq!(answer, 0, "{}", io::Error::last_os_error());
    // SAFETY: all zeros is a timespec, whatever the call has written.
    let time = unsafe { time.assume_init() };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Lowers the number of descriptors that this process may have, for good.
pub(crate) fn limit_descriptors(most: u64) {
    try_limit_descriptors(most).expect("lowering is always allowed");
}

fn try_limit_descriptors(most: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: the call reads `limit`, which outlives it.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has a command begin with a lower limit of descriptors.
pub(crate) fn with_limit(command: &mut Command, most: u64) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only setrlimit is called, which is async-signal-safe, and nothing is allocated.
    unsafe { command.pre_exec(move || try_limit_descriptors(most)) };
}

/// Sends a signal.
pub(crate) fn kill(pid: u32, signal: i32) {
    // SAFETY: no memory is passed.
    let answer = unsafe { libc::kill(pid as libc::pid_t, signal) };
    assert_eq!(answer, 0, "{}", io::Error::last_os_error());
}

/// Has the stream's close send a reset and leave nothing behind (no `TIME_WAIT` either).
pub(crate) fn reset_on_close(stream: &TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the call reads `linger`, whose size it is given, and which outlives it.
    let answer = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of_val(&linger) as libc::socklen_t,
        )
    };
    assert_eq!(answer, 0, "{}", io::Error::last_os_error());
}
