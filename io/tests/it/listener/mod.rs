//! Listeners with options: what becomes of libevent's evconnlistener.
//!
//! Every test runs under our executor and under a foreign one; `backends` has all of them run again on each backend. Those that are
//! about descriptors or their lack are processes of their own.

mod backends;
mod exhaustion;
mod options;
mod switching;

use std::process::Command;

use crate::support::{as_child, is_child, run_child};

/// A shell that runs this binary with room for so many descriptors.
fn limited(descriptors: u32) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n \"$0\" && exec \"$@\""])
        .arg(descriptors.to_string())
        .arg(std::env::current_exe().expect("our own binary"));
    command
}

/// A process for one test of this binary, with room for so many descriptors.
fn child(name: &str, descriptors: u32) -> Command {
    as_child(limited(descriptors), name)
}

/// True in the process that shall do the work, which has room for 64 descriptors; elsewhere runs that process.
pub(crate) fn in_child(name: &str) -> bool {
    if is_child(name) {
        return true;
    }
    run_child(limited(64), name);
    false
}
