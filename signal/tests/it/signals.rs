//! `Signals` and `ctrl_c`.

use std::{
    future::{Future, poll_fn},
    io::ErrorKind,
    pin::{Pin, pin},
    process, thread,
    time::Duration,
};

use futures_lite::{
    Stream, StreamExt,
    future::{self, poll_once},
};
use levent_executor::block_on;
use levent_signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, Signals, ctrl_c};
use levent_timer::timeout;

use crate::child::{in_child, in_child_killed_by};

/// Sends `signal` to the calling thread: handled when this returns.
fn raise(signal: i32) {
    // SAFETY: takes a number and touches no memory of ours.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

/// Sends `signal` to the process, from outside as it were: some thread handles it, at some time soon.
fn kill(signal: i32) {
    let process = i32::try_from(process::id()).unwrap();
    // SAFETY: takes two numbers and touches no memory of ours.
    assert_eq!(unsafe { libc::kill(process, signal) }, 0);
}

/// Is the disposition of `signal` the default one?
fn is_default(signal: i32) -> bool {
    // SAFETY: all zeroes are a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: no new action is given, and `action` is writable for one `sigaction`.
    let outcome = unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) };
    assert_eq!(outcome, 0);
    action.sa_sigaction == libc::SIG_DFL
}

/// The next item, or a panic instead of a test that hangs.
async fn next<S: Stream<Item = i32> + Unpin>(mut signals: S) -> i32 {
    let item = timeout(Duration::from_secs(20), signals.next()).await;
    item.expect("no signal came").expect("the stream ended")
}

/// SIG-5 and SIG-6: what came before the first poll is kept and counted.
#[test]
fn occurrences_before_the_first_poll_are_counted() {
    in_child(
        "signals::occurrences_before_the_first_poll_are_counted",
        || {
            let mut signals = Signals::new([SIGUSR1, SIGUSR2, SIGHUP]).unwrap();
            for signal in [SIGUSR2, SIGUSR1, SIGUSR1, SIGHUP, SIGUSR1] {
                raise(signal);
            }
            block_on(async {
                let mut came = Vec::new();
                while let Some(Some(signal)) = poll_once(signals.next()).await {
                    came.push(signal);
                }
                // In ascending order, each as often as it was raised.
                assert_eq!(came, [SIGHUP, SIGUSR1, SIGUSR1, SIGUSR1, SIGUSR2]);
                raise(SIGUSR1);
                assert_eq!(next(&mut signals).await, SIGUSR1);
            });
        },
    );
}

#[test]
fn wakes_the_task_that_waits() {
    in_child("signals::wakes_the_task_that_waits", || {
        let mut signals = Signals::new([SIGUSR1]).unwrap();
        block_on(async {
            for _ in 0..100 {
                assert_eq!(poll_once(signals.next()).await, None);
                // The thread begins after the poll above has found nothing.
                let sender = thread::spawn(|| kill(SIGUSR1));
                assert_eq!(next(&mut signals).await, SIGUSR1);
                sender.join().unwrap();
            }
        });
    });
}

/// Between a poll's last look and the wait nothing may be lost. The second signal says that all of the first are out.
#[test]
fn storm_from_another_thread_loses_no_wake() {
    in_child("signals::storm_from_another_thread_loses_no_wake", || {
        const SENT: usize = 20_000;
        let mut signals = Signals::new([SIGUSR1, SIGUSR2]).unwrap();
        let sender = thread::spawn(|| {
            for _ in 0..SENT {
                kill(SIGUSR1);
            }
            raise(SIGUSR2);
        });
        let mut came = 0;
        block_on(async {
            while next(&mut signals).await == SIGUSR1 {
                came += 1;
            }
        });
        sender.join().unwrap();
        // The kernel merges what is pending, and makes none up.
        assert!((1..=SENT).contains(&came), "{came}");
    });
}

/// SIG-10, better: whoever asked gets every occurrence.
#[test]
fn every_stream_gets_its_own_copy() {
    in_child("signals::every_stream_gets_its_own_copy", || {
        let mut first = Signals::new([SIGUSR1, SIGUSR2]).unwrap();
        let mut second = Signals::new([SIGUSR1]).unwrap();
        raise(SIGUSR1);
        raise(SIGUSR2);
        let elsewhere = thread::spawn(move || {
            block_on(async {
                assert_eq!(next(&mut second).await, SIGUSR1);
                assert_eq!(poll_once(second.next()).await, None);
            });
        });
        block_on(async {
            assert_eq!(next(&mut first).await, SIGUSR1);
            assert_eq!(next(&mut first).await, SIGUSR2);
        });
        elsewhere.join().unwrap();
    });
}

/// SIG-2.
#[test]
fn disposition_comes_back_with_the_last_stream() {
    in_child(
        "signals::disposition_comes_back_with_the_last_stream",
        || {
            assert!(is_default(SIGUSR1));
            let first = Signals::new([SIGUSR1, SIGUSR2]).unwrap();
            let second = Signals::new([SIGUSR1]).unwrap();
            assert!(!is_default(SIGUSR1));
            drop(first);
            assert!(is_default(SIGUSR2));
            assert!(!is_default(SIGUSR1));
            raise(SIGUSR1);
            second.remove(SIGUSR1).unwrap();
            assert!(is_default(SIGUSR1));
            second.add(SIGUSR1).unwrap();
            assert!(!is_default(SIGUSR1));
            drop(second);
            assert!(is_default(SIGUSR1));
        },
    );
}

#[test]
fn dropped_stream_lets_the_signal_end_the_process() {
    in_child_killed_by(
        SIGTERM,
        "signals::dropped_stream_lets_the_signal_end_the_process",
        || {
            let signals = Signals::new([SIGTERM]).unwrap();
            raise(SIGTERM);
            drop(signals);
            raise(SIGTERM);
        },
    );
}

#[test]
fn numbers_that_cannot_be_caught_are_refused() {
    in_child("signals::numbers_that_cannot_be_caught_are_refused", || {
        let refused = [
            libc::SIGKILL,
            libc::SIGSTOP,
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
        ];
        for number in refused
            .into_iter()
            .chain([0, -1, 65, 1000, i32::MIN, i32::MAX])
        {
            let error = Signals::new([SIGUSR1, number]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{number}: {error}");
            // Nothing of the refused list is left behind.
            assert!(is_default(SIGUSR1), "{number}");
        }
        // A stream that is refused a number keeps the others.
        let mut signals = Signals::new([SIGUSR1]).unwrap();
        assert_eq!(
            signals.add(libc::SIGKILL).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            signals.add_signals([SIGUSR2, 0]).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        // What is not caught can be given up.
        signals.remove(1000).unwrap();
        raise(SIGUSR1);
        raise(SIGUSR2);
        block_on(async {
            assert_eq!(next(&mut signals).await, SIGUSR1);
            assert_eq!(next(&mut signals).await, SIGUSR2);
        });
    });
}

#[test]
fn added_and_removed_while_it_waits() {
    in_child("signals::added_and_removed_while_it_waits", || {
        // An empty list is fine, by value or by reference.
        let signals = Signals::new::<&[i32]>(&[]).unwrap();
        block_on(async {
            let mut waiting = pin!(next(&signals));
            assert_eq!(poll_once(&mut waiting).await, None);
            signals.add_signals([SIGUSR1, SIGWINCH]).unwrap();
            // Twice is harmless.
            signals.add(SIGUSR1).unwrap();
            raise(SIGUSR1);
            assert_eq!(waiting.await, SIGUSR1);

            // Given up with an occurrence pending: that one is forgotten. SIGWINCH is harmless when it is not caught.
            raise(SIGWINCH);
            signals.remove_signals([SIGWINCH]).unwrap();
            signals.remove(SIGWINCH).unwrap();
            raise(SIGWINCH);
            raise(SIGUSR1);
            assert_eq!(next(&signals).await, SIGUSR1);
            assert_eq!(poll_once((&signals).next()).await, None);
            signals.add(SIGWINCH).unwrap();
            raise(SIGWINCH);
            assert_eq!(next(&signals).await, SIGWINCH);
        });
    });
}

#[test]
fn moves_between_threads_and_loops() {
    in_child("signals::moves_between_threads_and_loops", || {
        let mut signals = Signals::new([SIGUSR1]).unwrap();
        block_on(async { assert_eq!(poll_once(signals.next()).await, None) });
        let mut signals = thread::spawn(move || {
            kill(SIGUSR1);
            block_on(async { assert_eq!(next(&mut signals).await, SIGUSR1) });
            signals
        })
        .join()
        .unwrap();
        // Under a loop that is not ours, which has to be woken by the background base.
        let mut sender = None;
        future::block_on(poll_fn(|cx| {
            let polled = Pin::new(&mut signals).poll_next(cx);
            sender.get_or_insert_with(|| thread::spawn(|| kill(SIGUSR1)));
            polled.map(|signal| assert_eq!(signal, Some(SIGUSR1)))
        }));
        sender.take().unwrap().join().unwrap();
    });
}

#[test]
fn ctrl_c_is_caught_from_the_call_on() {
    in_child_killed_by(SIGINT, "signals::ctrl_c_is_caught_from_the_call_on", || {
        let mut pressed = ctrl_c().unwrap();
        raise(SIGINT);
        block_on(&mut pressed).unwrap();
        // Once more: the future is for the next one too.
        block_on(async { assert!(poll_once(&mut pressed).await.is_none()) });
        raise(SIGINT);
        block_on(poll_fn(|cx| Pin::new(&mut pressed).poll(cx))).unwrap();
        drop(pressed);
        raise(SIGINT);
    });
}

/// SIG-13: a stream leaves neither descriptor nor handler behind.
#[test]
fn made_and_dropped_ten_thousand_times() {
    in_child("signals::made_and_dropped_ten_thousand_times", || {
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let settle = || {
            let mut signals = Signals::new([SIGUSR1]).unwrap();
            raise(SIGUSR1);
            block_on(async { assert_eq!(next(&mut signals).await, SIGUSR1) });
        };
        settle();
        let before = open();
        (0..10_000).for_each(|_| settle());
        assert_eq!(open(), before);
        assert!(is_default(SIGUSR1));
    });
}
