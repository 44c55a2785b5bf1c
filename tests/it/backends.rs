//! `sockets` and `turns` on each backend, one process per backend.

use crate::support::Watchdog;
use crate::support::process::rerun;

fn all_on(backend: &str) {
    let _dog = Watchdog::new(60);
    for module in ["sockets::", "turns::descriptors::"] {
        rerun(backend, &[module], &[("LEVENT_BACKEND", backend)]);
    }
}

#[test]
fn sockets_on_epoll() {
    all_on("epoll");
}

#[test]
fn sockets_on_poll() {
    all_on("poll");
}

#[test]
fn sockets_on_select() {
    all_on("select");
}
