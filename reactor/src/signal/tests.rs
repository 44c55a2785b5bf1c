//! Receivers, each test that signals in a process of its own.

use super::*;
use crate::{
    Interest, Method,
    backend::{self, Report},
    flags::Ready,
    sys::{
        poll::poll_now,
        signal::{raise, signal_thread, this_thread},
    },
    test_child::in_child,
};
use libc::{SIGUSR1, SIGUSR2};
use std::{
    os::fd::AsRawFd,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

fn is_ringing(receiver: &Receiver) -> bool {
    poll_now(receiver.as_fd(), Interest::READ)
        .unwrap()
        .contains(Ready::READ)
}

/// SIG-5, SIG-6; better than SIG-10: each receiver has all of them.
#[test]
fn each_receiver_counts_each_occurrence() {
    if !in_child("signal::tests::each_receiver_counts_each_occurrence") {
        return;
    }
    let (one, two, other) = (
        Receiver::new().unwrap(),
        Receiver::new().unwrap(),
        Receiver::new().unwrap(),
    );
    one.add(SIGUSR1).unwrap();
    one.add(SIGUSR1).unwrap();
    two.add(SIGUSR1).unwrap();
    two.add(SIGUSR2).unwrap();
    other.add(SIGUSR2).unwrap();
    raise(SIGUSR1);
    raise(SIGUSR1);
    assert!(is_ringing(&one) && is_ringing(&two) && !is_ringing(&other));
    one.drain();
    assert!(!is_ringing(&one));
    assert_eq!((one.take(SIGUSR1), one.take(SIGUSR1)), (2, 0));
    raise(SIGUSR2);
    assert_eq!(
        [two.pop(), two.pop(), two.pop(), two.pop()],
        [Some(SIGUSR1), Some(SIGUSR1), Some(SIGUSR2), None]
    );
    assert_eq!(other.take(SIGUSR2), 1);
}

/// SIG-21: whichever thread handles it, the waiting backend is woken.
#[test]
fn occurrence_ends_the_wait_of_another_thread() {
    if !in_child("signal::tests::occurrence_ends_the_wait_of_another_thread") {
        return;
    }
    for &method in Method::supported() {
        let receiver = Receiver::new().unwrap();
        receiver.add(SIGUSR1).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| raise(SIGUSR1));
            let mut backend = backend::open(method, backend::Options::default()).unwrap();
            backend
                .change(
                    receiver.as_fd().as_raw_fd(),
                    3,
                    Interest::NONE,
                    Interest::READ,
                )
                .unwrap();
            let mut reports = Vec::new();
            backend.wait_into(None, &mut reports).unwrap();
            assert_eq!(
                reports,
                [Report {
                    token: 3,
                    ready: Ready::READ
                }]
            );
        });
        assert_eq!(receiver.take(SIGUSR1), 1);
    }
}

/// BK-3: an interrupted wait found nothing.
#[test]
fn interrupted_wait_is_no_error() {
    if !in_child("signal::tests::interrupted_wait_is_no_error") {
        return;
    }
    let receiver = Receiver::new().unwrap();
    receiver.add(SIGUSR1).unwrap();
    for &method in Method::supported() {
        for wait in [None, Some(std::time::Duration::from_secs(3600))] {
            let mut backend = backend::open(method, backend::Options::default()).unwrap();
            let is_over = AtomicBool::new(false);
            let waiter = this_thread();
            std::thread::scope(|scope| {
                // Again and again: nobody can tell from outside whether the wait has begun.
                scope.spawn(|| {
                    while !is_over.load(SeqCst) {
                        signal_thread(waiter, SIGUSR1);
                        std::thread::yield_now();
                    }
                });
                let mut reports = Vec::new();
                backend.wait_into(wait, &mut reports).unwrap();
                is_over.store(true, SeqCst);
                assert_eq!(reports, []);
            });
        }
    }
}

/// SIG-15, and the messages say what to do.
#[test]
fn impossible_numbers_are_refused() {
    let receiver = Receiver::new().unwrap();
    // Of the C library's own.
    #[cfg(target_os = "linux")]
    let reserved = (libc::SIGRTMIN() - 1, "SIGRTMIN");
    #[cfg(not(target_os = "linux"))]
    let reserved = (0, "from 1 to");
    for (signal, advice) in [
        (-1, "from 1 to"),
        (0, "from 1 to"),
        (65, "from 1 to"),
        (i32::MAX, "from 1 to"),
        (i32::MIN, "from 1 to"),
        (libc::SIGKILL, "SIGTERM"),
        (libc::SIGSTOP, "SIGTSTP"),
        (libc::SIGSEGV, "leave it to the default"),
        (libc::SIGBUS, "leave it to the default"),
        (libc::SIGFPE, "leave it to the default"),
        (libc::SIGILL, "leave it to the default"),
        reserved,
    ] {
        let error = receiver.add(signal).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{signal}");
        assert!(error.to_string().contains(advice), "{signal}: {error}");
        receiver.remove(signal).unwrap();
        assert_eq!(receiver.take(signal), 0);
    }
    assert_eq!(receiver.pop(), None);
}

/// SIG-13, SIG-22.
#[test]
fn removal_forgets_what_was_counted() {
    if !in_child("signal::tests::removal_forgets_what_was_counted") {
        return;
    }
    let keeper = Receiver::new().unwrap();
    keeper.add(SIGUSR1).unwrap();
    let receiver = Receiver::new().unwrap();
    receiver.add(SIGUSR1).unwrap();
    raise(SIGUSR1);
    receiver.remove(SIGUSR1).unwrap();
    receiver.remove(SIGUSR1).unwrap();
    receiver.add(SIGUSR1).unwrap();
    assert_eq!(receiver.pop(), None);
    raise(SIGUSR1);
    assert_eq!([receiver.pop(), receiver.pop()], [Some(SIGUSR1), None]);
    assert_eq!(keeper.take(SIGUSR1), 2);
}

#[test]
fn receivers_are_send_and_sync() {
    fn check<T: Send + Sync>() {}
    check::<Receiver>();
}

#[test]
fn debug_names_the_numbers() {
    let receiver = Receiver::new().unwrap();
    assert!(format!("{receiver:?}").contains("signals: []"));
}
