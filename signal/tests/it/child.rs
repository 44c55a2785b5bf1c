//! A process per test: signals are the process's, so tests that share one would meet each other's.
//!
//! The helper runs this very binary again, with the one test and a mark in the environment. Works under any test runner.
#![allow(unsafe_code, reason = "dispositions have no safe interface")]

use std::{
    env,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus},
};

const MARK: &str = "LEVENT_SIGNAL_CHILD";

/// Runs `body` in a child process and asserts that it ended well. `test` is the test's path, `module::name`.
pub(crate) fn in_child(test: &str, body: impl FnOnce()) {
    if let Some((status, output)) = run(test, body) {
        assert!(
            status.success(),
            "{test} in its own process: {status}\n{output}"
        );
    }
}

/// The same for a body that should be ended by `signal`.
///
/// A process inherits the signals that are ignored, and a shell's background jobs begin with SIGINT ignored. Our streams put that
/// back, as they should, and nothing would end the child; so it begins with the default.
pub(crate) fn in_child_killed_by(signal: i32, test: &str, body: impl FnOnce()) {
    let body = || {
        // SAFETY: takes two numbers, and no handler of ours is installed yet.
        let before = unsafe { libc::signal(signal, libc::SIG_DFL) };
        assert_ne!(before, libc::SIG_ERR);
        body();
    };
    if let Some((status, output)) = run(test, body) {
        assert_eq!(
            status.signal(),
            Some(signal),
            "{test} in its own process: {status}\n{output}"
        );
    }
}

/// In the parent: what became of the child. In the child: runs the body.
fn run(test: &str, body: impl FnOnce()) -> Option<(ExitStatus, String)> {
    if env::var(MARK).is_ok_and(|marked| marked == test) {
        body();
        return None;
    }
    let binary = env::current_exe().expect("a running program has a path");
    let child = Command::new(binary)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(MARK, test)
        .output()
        .expect("this binary can be started again");
    let output = [child.stdout, child.stderr].concat();
    let output = String::from_utf8_lossy(&output).into_owned();
    assert!(
        !output.contains("running 0 tests"),
        "no test of that name: {test}"
    );
    Some((child.status, output))
}
