//! Listeners with options: what becomes of libevent's evconnlistener.
//!
//! Every test runs under our executor and under a foreign one; `backends` has all of them run again on each backend. Those that are
//! about descriptors or their lack are processes of their own.

mod backends;
mod exhaustion;
mod options;
mod switching;

use std::process::Command;

/// The variable that tells the second process which test it is.
const CHILD: &str = "LEVENT_IO_LISTENER_CHILD";

/// Are we the process that this test was started in for itself?
fn is_child(name: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|child| child == name)
}

/// A process for one test of this binary, with room for so many descriptors.
fn child(name: &str, descriptors: u32) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n \"$0\" && exec \"$@\""])
        .arg(descriptors.to_string())
        .arg(std::env::current_exe().expect("our own binary"))
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, name);
    command
}

/// True in the process that shall do the work, which has room for 64 descriptors; elsewhere runs that process.
pub(crate) fn in_child(name: &str) -> bool {
    if is_child(name) {
        return true;
    }
    let output = child(name, 64).output().expect("a child");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{name}: {}\n{stdout}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    false
}
