//! The base for those who wait outside our loops.
//!
//! A source polled under a foreign `block_on` needs somebody who waits in the backend. The first such poll starts one thread
//! that does nothing else; a program that only uses our loops never has it. On Linux it interrupts nobody (`SCHED_BATCH`): on a busy processor it waits
//! for its turn, a few milliseconds at most, and then finds all that has come.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use crate::base::{Base, Wait};
use crate::shared::{Shared, lock};
use crate::sys::{fork, thread as thread_policy};

/// The base and the count of forks when it was started: its thread does not live on in a forked child.
static BACKGROUND: Mutex<Option<(u32, Arc<Shared>)>> = Mutex::new(None);

/// The descriptor of the background base's backend, for an outer loop that wants to know when there is something to do; `None` where it cannot be
/// shared, which is everywhere but on epoll. The base is started now if need be.
///
/// Nothing must be registered or changed through it. A forked child has a base of its own, and another descriptor.
///
/// # Errors
///
/// The base's or the thread's, if it cannot be started.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let descriptor = levent_reactor::background::descriptor()?;
/// println!("{descriptor:?}");
/// # Ok(()) }
/// ```
pub fn descriptor() -> io::Result<Option<Arc<OwnedFd>>> {
    Ok(base()?.descriptor.clone())
}

/// The background base, started now if need be.
pub(crate) fn base() -> io::Result<Arc<Shared>> {
    let mut background = lock(&BACKGROUND);
    match &*background {
        Some((forks, shared)) if *forks == fork::count() => Ok(shared.clone()),
        _ => {
            let shared = start().map_err(|error| {
                let message = format!("no base for waiting outside levent's loops: {error}");
                io::Error::new(error.kind(), message)
            })?;
            *background = Some((fork::count(), shared.clone()));
            Ok(shared)
        }
    }
}

fn start() -> io::Result<Arc<Shared>> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new()
        .name("levent-background".into())
        .spawn(move || match Base::new() {
            Ok(base) => {
                // Those who wait here run elsewhere, and have the processor before us: then one wait reports for many of them.
                thread_policy::interrupt_nobody();
                let entered = match base.enter() {
                    Ok(entered) => entered,
                    Err(error) => return drop(sender.send(Err(error))),
                };
                if sender.send(Ok(base.shared().clone())).is_err() {
                    return;
                }
                // A backend that fails is asked again; it cannot be given up while others wait here.
                loop {
                    if entered.turn(Wait::Block).is_err() {
                        thread::yield_now();
                    }
                }
            }
            Err(error) => drop(sender.send(Err(error))),
        })?;
    receiver.recv().unwrap_or_else(|_| {
        Err(io::Error::other(
            "the background thread ended before it began",
        ))
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;

    /// The thread waits for its turn: its policy is `SCHED_BATCH` (3, in proc(5)'s field 41).
    #[test]
    fn thread_interrupts_nobody() {
        super::base().unwrap();
        let policies: Vec<_> = fs::read_dir("/proc/self/task")
            .unwrap()
            // Other tests' threads come and go.
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok())
            .filter(|stat| stat.contains("(levent-backgrou)"))
            .filter_map(|stat| Some(stat.rsplit_once(')')?.1.split(' ').nth(39)?.to_owned()))
            .collect();
        assert_eq!(policies, ["3"]);
    }
}
