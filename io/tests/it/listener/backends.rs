//! All other tests of this folder again, one process per backend.

use crate::support::MARK;
use std::process::Command;

fn all_on(backend: &str) {
    // We run among those that we start.
    if std::env::var_os("LEVENT_IO_LISTENER_BACKEND").is_some() || std::env::var_os(MARK).is_some()
    {
        return;
    }
    let output = Command::new(std::env::current_exe().expect("our own binary"))
        .arg("listener::")
        .env("LEVENT_IO_LISTENER_BACKEND", backend)
        .env("LEVENT_BACKEND", backend)
        .output()
        .expect("a child");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && !stdout.contains(" 0 passed"),
        "{backend}: {}\n{stdout}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn listeners_on_poll() {
    all_on("poll");
}

#[test]
fn listeners_on_select() {
    all_on("select");
}

/// The default where there is one, and named all the same.
#[cfg(target_os = "linux")]
#[test]
fn listeners_on_epoll() {
    all_on("epoll");
}
