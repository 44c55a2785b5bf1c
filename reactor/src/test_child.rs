//! One helper for tests that change what belongs to the whole process: signals, limits, forks, descriptor numbers.
//!
//! Such a test runs in a process of its own, whatever the test runner does: the first call starts this very binary
//! again with only that test in it, and the second, in that process, says so.

use std::process::Command;

/// The variable that tells the second process who it is.
const MARK: &str = "LEVENT_CHILD";

/// True in the process that shall do the work; elsewhere starts that process and passes on its failure.
///
/// `name` is the test's full path, such as `signal::tests::counts`.
pub(crate) fn in_child(name: &str) -> bool {
    if std::env::var(MARK).is_ok_and(|child| child == name) {
        return true;
    }
    let binary = std::env::current_exe().expect("a running test has a path");
    let output = Command::new(binary)
        .args([name, "--exact", "--nocapture"])
        .env(MARK, name)
        .output()
        .expect("the test binary starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    // "1 passed" as well: a misspelled name runs nothing, and that succeeds.
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{name} failed in its own process ({}):\n{stdout}\n{stderr}",
        output.status
    );
    false
}
