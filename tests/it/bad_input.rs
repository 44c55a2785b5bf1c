//! What cannot work is refused with an error that says what to do, and loses nothing.
#![allow(
    unsafe_code,
    reason = "descriptors that are not open have no safe form"
)]

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use levent::net::{TcpListener, TcpStream};
use levent::reactor::{Base, Config, Event, Flags, Method};
use levent::{Async, Signals, Timer, block_on, sleep, timeout};

use crate::support::echo::{Count, connected};
use crate::support::{Watchdog, in_child};

/// A number that is not an open descriptor.
struct Closed(RawFd);

impl AsFd for Closed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: wrong on purpose, and harmless: the kernel is asked about a number above all that this process opens,
        // and answers EBADF.
        unsafe { BorrowedFd::borrow_raw(self.0) }
    }
}

/// Below the limit of descriptors, above what the tests open.
const NOT_OPEN: RawFd = 19_999;

/// The error is of this kind, and its text says these words.
#[track_caller]
fn says(error: &io::Error, kind: ErrorKind, words: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for word in words {
        assert!(text.contains(word), "`{text}` does not say `{word}`");
    }
}

/// Sockets and timers of this thread still do their work.
fn nothing_lost() {
    block_on(async {
        use futures_lite::{AsyncReadExt, AsyncWriteExt};
        let (mut client, mut server) = connected().await.unwrap();
        client.write_all(b"x").await.unwrap();
        server.read_exact(&mut [0]).await.unwrap();
        sleep(Duration::from_millis(1)).await;
    });
}

fn base(method: Method) -> Base {
    let others = [Method::Epoll, Method::Poll, Method::Select];
    let config = others
        .into_iter()
        .filter(|&other| other != method)
        .fold(Config::new().ignore_env(), |config, other| {
            config.avoid_method(other.name())
        });
    let base = Base::with_config(&config).unwrap();
    assert_eq!(base.method(), method);
    base
}

#[test]
fn closed_descriptor_is_refused() {
    let _dog = Watchdog::new(20);
    let error = Async::new(Closed(NOT_OPEN)).map(drop).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("descriptor 19999 is closed: keep it open"),
        "{error}"
    );
    let error = Async::new_nonblocking(Closed(NOT_OPEN))
        .map(drop)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("descriptor 19999 is closed: keep it open"),
        "{error}"
    );
    nothing_lost();
}

#[test]
fn closed_descriptor_is_refused_for_events() {
    let _dog = Watchdog::new(20);
    let base = base(Method::Epoll);
    let event = Event::new(&base, Closed(NOT_OPEN), Flags::READ, |_, _, _| ()).unwrap();
    let error = event.add().unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("descriptor 19999 is closed: keep it open"),
        "{text}"
    );
    assert!(!event.is_pending());
    nothing_lost();
}

/// poll and select learn of it only when they wait: then the event is told, and the loop does not spin.
#[test]
fn closed_descriptor_does_not_spin_poll_and_select() {
    for method in [Method::Poll, Method::Select] {
        let _dog = Watchdog::new(20);
        let base = base(method);
        let calls = Count::default();
        let event = {
            let calls = calls.clone();
            let flags = Flags::READ | Flags::PERSIST;
            Event::new(&base, Closed(NOT_OPEN), flags, move |_, _, _| calls.add()).unwrap()
        };
        let added = event.add();
        let rang = Count::default();
        {
            let rang = rang.clone();
            base.once_after(Duration::from_millis(50), move || rang.add());
        }
        base.loop_exit(Some(Duration::from_millis(100))).unwrap();
        base.dispatch().unwrap();
        assert_eq!(rang.get(), 1, "{method:?}: the timer was lost");
        assert!(
            calls.get() <= 2,
            "{method:?}: {} calls for a closed descriptor; add answered {added:?}",
            calls.get()
        );
    }
}

#[test]
fn regular_file_is_refused_by_async() {
    let _dog = Watchdog::new(20);
    let file = File::open(std::env::current_exe().unwrap()).unwrap();
    let error = Async::new(file).map(drop).unwrap_err();
    says(
        &error,
        ErrorKind::PermissionDenied,
        &["regular file", "thread"],
    );
    nothing_lost();
}

/// epoll refuses, with advice; on poll and select a file is always ready.
#[test]
fn regular_file_is_refused_by_epoll_alone() {
    let _dog = Watchdog::new(20);
    for method in [Method::Epoll, Method::Poll, Method::Select] {
        let base = base(method);
        let calls = Count::default();
        let event = {
            let calls = calls.clone();
            let file = File::open(std::env::current_exe().unwrap()).unwrap();
            Event::new(&base, file, Flags::READ, move |_, _, _| calls.add()).unwrap()
        };
        let added = event.add();
        if method == Method::Epoll {
            let error = added.unwrap_err();
            says(
                &error,
                ErrorKind::PermissionDenied,
                &["regular file", "poll backend"],
            );
            assert!(!event.is_pending());
        } else {
            added.unwrap();
            base.dispatch().unwrap();
            assert_eq!(calls.get(), 1, "{method:?}");
        }
    }
}

#[test]
fn descriptor_above_the_select_limit_is_refused() {
    let _dog = Watchdog::new(20);
    let base = base(Method::Select);
    for (number, words) in [
        (64 * 1024, "use epoll or poll"),
        // Absurd everywhere, and no reason to allocate a table of that size.
        (i32::MAX, "pass one that the system returned"),
    ] {
        let event = Event::new(&base, Closed(number), Flags::READ, |_, _, _| ()).unwrap();
        let error = event.add().unwrap_err();
        says(&error, ErrorKind::InvalidInput, &[words]);
        assert!(!event.is_pending());
    }
    // The base has kept what it had.
    let calls = Count::default();
    let (one, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
    let event = {
        let calls = calls.clone();
        Event::new(&base, one, Flags::READ, move |_: &_, _, _: &Event| {
            calls.add()
        })
        .unwrap()
    };
    event.add().unwrap();
    other.write_all(b"x").unwrap();
    base.dispatch().unwrap();
    assert_eq!(calls.get(), 1);
}

#[test]
fn address_in_use_is_refused() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = first.local_addr().unwrap();
        let error = TcpListener::bind(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        // The first one is none the worse.
        let (accepted, connected) =
            futures_lite::future::zip(first.accept(), TcpStream::connect(address)).await;
        accepted.unwrap();
        connected.unwrap();
    });
}

#[test]
fn unresolvable_name_is_refused() {
    let _dog = Watchdog::new(30);
    block_on(async {
        let error = TcpStream::connect("no such host!:80").await.unwrap_err();
        assert!(error.to_string().contains("no such host!"), "{error}");
        let error = TcpListener::bind("no such host!:80").await.unwrap_err();
        assert!(error.to_string().contains("no such host!"), "{error}");
        let error = TcpStream::connect("127.0.0.1").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    });
    nothing_lost();
}

#[test]
fn zero_and_endless_timers_are_what_they_say() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let start = Instant::now();
        assert!(poll_once(sleep(Duration::ZERO)).await.is_some());
        assert!(Timer::after(Duration::ZERO).await >= start);
        let mut endless = Timer::after(Duration::MAX);
        assert!(!endless.will_fire());
        assert!(poll_once(&mut endless).await.is_none());
        let mut sleeping = sleep(Duration::MAX);
        assert!(poll_once(&mut sleeping).await.is_none());
        let mut ticks = Timer::interval(Duration::MAX);
        assert!(poll_once(ticks.next()).await.is_none());
        assert_eq!(timeout(Duration::MAX, async { 5 }).await.unwrap(), 5);
        assert_eq!(timeout(Duration::ZERO, async { 6 }).await.unwrap(), 6);
        timeout(Duration::ZERO, futures_lite::future::pending::<()>())
            .await
            .unwrap_err();
        // Beside all of these a near one rings.
        sleep(Duration::from_millis(2)).await;
        endless.set_after(Duration::from_millis(1));
        endless.await;
    });
    let base = Base::new().unwrap();
    let calls = Count::default();
    let timers: Vec<_> = [Duration::ZERO, Duration::MAX]
        .into_iter()
        .map(|after| {
            let calls = calls.clone();
            let timer = Event::timer(&base, move |_, _| calls.add());
            timer.add_after(after).unwrap();
            timer
        })
        .collect();
    base.loop_exit(Some(Duration::from_millis(10))).unwrap();
    base.dispatch().unwrap();
    assert_eq!(calls.get(), 1);
    assert!(timers[1].is_pending());
}

#[test]
fn what_belongs_to_another_base_is_refused() {
    let _dog = Watchdog::new(20);
    let (one, other) = (Base::new().unwrap(), Base::new().unwrap());
    let token = one.common_timeout(Duration::from_millis(1)).unwrap();
    let calls = Count::default();
    let timer = {
        let calls = calls.clone();
        Event::timer(&other, move |_, _| calls.add())
    };
    let error = timer.add_common(token).unwrap_err();
    says(
        &error,
        ErrorKind::InvalidInput,
        &["another base", "register it with this one"],
    );
    // A pending event stays where it is.
    timer.add_after(Duration::from_millis(1)).unwrap();
    let error = timer.set_base(&one).unwrap_err();
    says(&error, ErrorKind::ResourceBusy, &["delete it first"]);
    other.dispatch().unwrap();
    assert_eq!(calls.get(), 1);
    // And one whose base has ended says so.
    drop(other);
    let error = timer.add_after(Duration::ZERO).unwrap_err();
    says(&error, ErrorKind::NotConnected, &["base has ended"]);
}

/// The numbers that the process catches, as the kernel sees them.
fn caught() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}

#[test]
fn uncatchable_signal_is_refused() {
    if !in_child("bad_input::uncatchable_signal_is_refused") {
        return;
    }
    let _dog = Watchdog::new(20);
    let before = caught();
    for (signal, words) in [
        (libc::SIGKILL, "SIGTERM"),
        (libc::SIGSTOP, "SIGTSTP"),
        (libc::SIGSEGV, "leave it to the default"),
        (0, "from 1 to"),
        (-1, "from 1 to"),
        (1_000, "from 1 to"),
    ] {
        let error = Signals::new([signal]).unwrap_err();
        says(&error, ErrorKind::InvalidInput, &[words]);
        // Together with one that can be caught: all or nothing.
        let error = Signals::new([libc::SIGUSR1, signal]).unwrap_err();
        says(&error, ErrorKind::InvalidInput, &[words]);
        assert_eq!(caught(), before, "SIGUSR1 stays caught");
    }
    let base = Base::new().unwrap();
    let event = Event::signal(&base, libc::SIGKILL, |_, _| ());
    let error = event.add().unwrap_err();
    says(&error, ErrorKind::InvalidInput, &["cannot be caught"]);
    assert!(!event.is_pending());
    assert_eq!(caught(), before);
    // One that is caught goes on after a refused addition.
    let mut signals = Signals::new([libc::SIGUSR1]).unwrap();
    signals.add(libc::SIGKILL).unwrap_err();
    crate::support::process::kill(std::process::id(), libc::SIGUSR1);
    assert_eq!(block_on(signals.next()), Some(libc::SIGUSR1));
    drop(signals);
    assert_eq!(caught(), before);
}

/// A second registration of one descriptor is refused, and leaves the first as it is.
#[test]
fn second_registration_is_refused() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let (one, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
        let one = std::sync::Arc::new(one);
        let first = Async::new(std::sync::Arc::clone(&one)).unwrap();
        let error = Async::new(one).map(drop).unwrap_err();
        says(
            &error,
            ErrorKind::AlreadyExists,
            &["already registered", "share the one source"],
        );
        other.write_all(b"x").unwrap();
        first.readable().await.unwrap();
    });
}
