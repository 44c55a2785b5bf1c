//! How the kernel schedules the calling thread.

/// Has the thread wait for its turn when it wakes, instead of interrupting whoever runs on its processor (`SCHED_BATCH`, sched(7)).
///
/// For one that wakes others and sleeps again: where it would interrupt those that it has woken, for one event each time, it finds all that came meanwhile.
/// A thread of a real-time policy keeps that. What the system refuses is of no account.
#[cfg(target_os = "linux")]
pub(crate) fn interrupt_nobody() {
    // SAFETY: the call takes no pointer; 0 is the calling thread.
    let policy = unsafe { libc::sched_getscheduler(0) };
    if policy != libc::SCHED_OTHER {
        return;
    }
    // SAFETY: all zeros is a value of the record, whose fields are integers; with this policy the priority has to be 0.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: `parameters` is readable until the call returns, and the kernel keeps no pointer; 0 is the calling thread.
    let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
}

/// Other systems have no such policy.
#[cfg(not(target_os = "linux"))]
pub(crate) fn interrupt_nobody() {}
