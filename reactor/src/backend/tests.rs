//! One body per behaviour, all backends.

use std::{
    fs::File,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::{
        fd::{AsFd, AsRawFd, RawFd},
        unix::net::UnixStream,
    },
    time::Instant,
};

use super::*;
use crate::{
    sys::{bell::Bell, file::duplicate_from, limits},
    test_child::in_child,
};

const NONE: Interest = Interest::NONE;
const READ: Interest = Interest::READ;
const WRITE: Interest = Interest::WRITE;
const CLOSED: Interest = Interest::CLOSED;
const EDGE: Interest = Interest::EDGE;
/// What is reported of a closed descriptor.
const INVALID: Ready =
    Ready::from_bits_truncate(Ready::READ.bits() | Ready::WRITE.bits() | Ready::INVALID.bits());
/// A number that is never open here: above every limit of a test machine.
const NEVER_OPEN: RawFd = 50_000;

/// Runs `body` with a fresh backend of each kind: those of the system, and those of others over emulations of their system calls.
fn for_each_backend(body: impl Fn(&mut dyn Backend)) {
    let methods = || Method::supported().iter().copied();
    let batched = methods().find(|&method| method == Method::Epoll);
    let methods: Vec<_> = methods()
        .chain(batched.map(|_| Method::EpollBatched))
        .collect();
    let mut backends: Vec<Box<dyn Backend>> = methods
        .iter()
        .map(|&method| open(method, Options::default()).unwrap())
        .collect();
    for (backend, &method) in backends.iter().zip(&methods) {
        assert_eq!(backend.method(), method);
    }
    let driver = devpoll::tests::Emulation::default();
    backends.push(Box::new(devpoll::DevPoll::new(driver)));
    #[cfg(target_os = "linux")]
    {
        let queue = kqueue::tests::Emulation::new();
        backends.push(Box::new(kqueue::Kqueue::new(queue).unwrap()));
    }
    for (place, mut backend) in backends.into_iter().enumerate() {
        let method = backend.method();
        // Shown by the test harness if the body fails.
        let is_emulated = place >= methods.len();
        println!("backend: {}, emulated: {is_emulated}", method.name());
        assert_eq!(
            backend.has_edges(),
            method.features().contains(Features::ET)
        );
        assert_eq!(
            backend.shared_descriptor().is_some(),
            matches!(method, Method::Epoll | Method::EpollBatched)
        );
        body(&mut *backend);
    }
}

/// What is ready now, by ascending token.
fn ready_now(backend: &mut dyn Backend) -> Vec<(u64, Ready)> {
    let mut reports = Vec::new();
    backend
        .wait_into(Some(Duration::ZERO), &mut reports)
        .unwrap();
    let mut ready: Vec<_> = reports
        .iter()
        .map(|report| (report.token, report.ready))
        .collect();
    ready.sort_by_key(|entry| entry.0);
    ready
}

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

/// BK-2: what was there before, again and again while it lasts; EP-1's sequence of changes; the latest token.
#[test]
fn reports_readiness_while_it_lasts() {
    for_each_backend(|backend| {
        let (mut ours, mut theirs) = pair();
        let fd = ours.as_raw_fd();
        theirs.write_all(b"x").unwrap();
        backend.change(fd, 7, NONE, READ).unwrap();
        assert_eq!(ready_now(backend), [(7, Ready::READ)]);
        assert_eq!(ready_now(backend), [(7, Ready::READ)]);
        backend.change(fd, 8, READ, READ | WRITE).unwrap();
        assert_eq!(ready_now(backend), [(8, Ready::READ | Ready::WRITE)]);
        ours.read_exact(&mut [0]).unwrap();
        assert_eq!(ready_now(backend), [(8, Ready::WRITE)]);
        backend.change(fd, 8, READ | WRITE, WRITE).unwrap();
        theirs.write_all(b"x").unwrap();
        assert_eq!(ready_now(backend), [(8, Ready::WRITE)]);
        backend.change(fd, 8, WRITE, NONE).unwrap();
        assert_eq!(ready_now(backend), []);
    });
}

/// FLG-6, FLG-7: an edge is reported once where there are edges; elsewhere EDGE is ignored.
#[test]
fn edges_are_reported_once_or_ignored() {
    for_each_backend(|backend| {
        let (ours, mut theirs) = pair();
        backend
            .change(ours.as_raw_fd(), 1, NONE, READ | EDGE)
            .unwrap();
        theirs.write_all(b"x").unwrap();
        assert_eq!(ready_now(backend), [(1, Ready::READ)]);
        let again = ready_now(backend);
        assert_eq!(again.is_empty(), backend.has_edges());
        theirs.write_all(b"y").unwrap();
        assert_eq!(ready_now(backend), [(1, Ready::READ)]);
    });
}

/// BK-5, FLG-7, FLG-8: a half-close is CLOSED where the backend has early close, even with unread data, and READ.
#[test]
fn half_close_is_closed_and_readable() {
    for_each_backend(|backend| {
        let (ours, mut theirs) = pair();
        backend
            .change(ours.as_raw_fd(), 1, NONE, READ | CLOSED)
            .unwrap();
        theirs.write_all(b"unread").unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        // kqueue has no feature of that name, since it tells of a close beside READ only.
        let expected = match backend.method() {
            Method::Select => Ready::READ,
            _ => Ready::READ | Ready::CLOSED,
        };
        assert_eq!(ready_now(backend), [(1, expected)]);
    });
}

/// BK-5, EP-8, PO-4: a hang-up always says HANGUP where it is told apart at all.
#[test]
fn close_hangs_up() {
    for_each_backend(|backend| {
        let (ours, theirs) = pair();
        let fd = ours.as_raw_fd();
        drop(theirs);
        let both = Ready::READ | Ready::WRITE;
        let of = |epoll: Ready, poll: Ready, select: Ready, kqueue: Ready| match backend.method() {
            Method::Epoll | Method::EpollBatched => epoll,
            Method::Poll | Method::DevPoll => poll,
            Method::Select => select,
            Method::Kqueue => kqueue,
        };
        let end = Ready::READ | Ready::CLOSED;
        let plain = of(both | Ready::HANGUP, both | Ready::HANGUP, Ready::READ, end);
        let closed = of(
            end | Ready::HANGUP,
            both | Ready::CLOSED | Ready::HANGUP,
            Ready::READ,
            end,
        );
        backend.change(fd, 1, NONE, READ).unwrap();
        assert_eq!(ready_now(backend), [(1, plain)]);
        backend.change(fd, 1, READ, READ | CLOSED).unwrap();
        assert_eq!(ready_now(backend), [(1, closed)]);
    });
}

/// EP-7: a reset connection is readable and writable, whatever was asked for.
#[test]
fn reset_is_an_error_for_both_directions() {
    for_each_backend(|backend| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        ours.write_all(b"never read").unwrap();
        // A close with unread data is a reset; the data has arrived once it can be peeked.
        theirs.peek(&mut [0]).unwrap();
        drop(theirs);
        backend
            .change(ours.as_raw_fd(), 1, NONE, READ | WRITE)
            .unwrap();
        let mut reports = Vec::new();
        // Loopback delivers the reset before `drop` returns.
        backend.wait_into(None, &mut reports).unwrap();
        let both = Ready::READ | Ready::WRITE;
        let expected = if backend.method() == Method::Select {
            both
        } else {
            both | Ready::HANGUP
        };
        assert_eq!(reports[0].ready & (both | Ready::HANGUP), expected);
    });
}

/// BK-1, law 3: what is not in the set reports nothing, a hang-up neither.
#[test]
fn nothing_is_reported_without_interest() {
    for_each_backend(|backend| {
        let (ours, theirs) = pair();
        let fd = ours.as_raw_fd();
        backend.change(fd, 1, NONE, NONE).unwrap();
        backend.change(fd, 1, NONE, READ).unwrap();
        backend.change(fd, 1, READ, NONE).unwrap();
        drop(theirs);
        assert_eq!(ready_now(backend), []);
        backend.change(fd, 1, NONE, READ).unwrap();
        assert_eq!(ready_now(backend).len(), 1);
    });
}

/// TIME-15: never early.
#[test]
fn waits_are_not_early() {
    for_each_backend(|backend| {
        for wait in [
            Duration::from_nanos(1),
            Duration::from_micros(300),
            Duration::from_micros(1500),
        ] {
            let start = Instant::now();
            let mut reports = Vec::new();
            backend.wait_into(Some(wait), &mut reports).unwrap();
            assert!(
                start.elapsed() >= wait,
                "{:?} instead of {wait:?}",
                start.elapsed()
            );
            assert_eq!(reports, []);
        }
    });
}

/// The longest waits are taken; something ready ends them.
#[test]
fn readiness_ends_any_wait() {
    for_each_backend(|backend| {
        let bell = Bell::new().unwrap();
        bell.ring();
        backend
            .change(bell.as_fd().as_raw_fd(), 5, NONE, READ)
            .unwrap();
        for wait in [
            None,
            Some(Duration::MAX),
            Some(Duration::from_secs(1 << 40)),
        ] {
            let mut reports = Vec::new();
            backend.wait_into(wait, &mut reports).unwrap();
            assert_eq!(
                reports,
                [Report {
                    token: 5,
                    ready: Ready::READ
                }]
            );
        }
    });
}

/// Reports are appended, not replaced.
#[test]
fn reports_are_appended() {
    for_each_backend(|backend| {
        let (ours, _theirs) = pair();
        backend.change(ours.as_raw_fd(), 2, NONE, WRITE).unwrap();
        let mut reports = vec![Report {
            token: 1,
            ready: Ready::NONE,
        }];
        backend
            .wait_into(Some(Duration::ZERO), &mut reports)
            .unwrap();
        assert_eq!(
            reports
                .iter()
                .map(|report| report.token)
                .collect::<Vec<_>>(),
            [1, 2]
        );
    });
}

/// EP-3, FLG-9: adding twice replaces, but edges are not shared.
#[test]
fn adding_twice_replaces_or_is_refused() {
    for_each_backend(|backend| {
        let (ours, _theirs) = pair();
        let fd = ours.as_raw_fd();
        backend.change(fd, 1, NONE, READ).unwrap();
        backend.change(fd, 2, NONE, WRITE).unwrap();
        assert_eq!(ready_now(backend), [(2, Ready::WRITE)]);
        let error = backend.change(fd, 3, NONE, READ | EDGE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(ready_now(backend), [(2, Ready::WRITE)]);
    });
}

/// EP-2, EP-4, SE-5: changing what is not there adds it, deleting it succeeds.
#[test]
fn stale_beliefs_are_mended() {
    for_each_backend(|backend| {
        let (ours, _theirs) = pair();
        let fd = ours.as_raw_fd();
        backend.change(fd, 1, READ, NONE).unwrap();
        backend.change(NEVER_OPEN, 1, READ, NONE).unwrap();
        backend.change(fd, 1, READ, READ | WRITE).unwrap();
        assert_eq!(ready_now(backend), [(1, Ready::WRITE)]);
    });
}

/// EP-5: a descriptor that is not open has the same error on each backend, and costs no memory. CL-3: the batched variant finds out
/// at the wait, and reports it.
#[test]
fn closed_descriptor_is_refused() {
    for_each_backend(|backend| {
        if backend.method() == Method::EpollBatched {
            backend.change(NEVER_OPEN, 1, NONE, READ).unwrap();
            assert_eq!(ready_now(backend), [(1, INVALID)]);
            assert_eq!(ready_now(backend), []);
            backend.change(-1, 1, NONE, READ).unwrap_err();
            backend.change(RawFd::MAX, 1, NONE, READ).unwrap_err();
            return;
        }
        for fd in [-1, NEVER_OPEN] {
            let error = backend.change(fd, 1, NONE, READ).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{error}");
        }
        backend.change(RawFd::MAX, 1, NONE, READ).unwrap_err();
    });
}

/// SE-1 with a limit: told at the change, not by the wait.
#[test]
fn select_names_the_way_out_above_its_limit() {
    let mut backend = open(Method::Select, Options::default()).unwrap();
    let error = backend
        .change(sys::select::LIMIT, 1, NONE, READ)
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("use epoll or poll"), "{error}");
}

/// EP-6, PO-5: refused with advice, or always ready; CL-3: or refused at the wait.
#[test]
fn regular_file_is_refused_or_always_ready() {
    for_each_backend(|backend| {
        let file = File::open(std::env::current_exe().unwrap()).unwrap();
        let answer = backend.change(file.as_raw_fd(), 1, NONE, READ);
        if backend.method().features().contains(Features::FDS) {
            answer.unwrap();
            assert_eq!(ready_now(backend), [(1, Ready::READ)]);
        } else if backend.method() == Method::EpollBatched {
            answer.unwrap();
            assert_eq!(ready_now(backend), [(1, INVALID)]);
        } else {
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert!(error.to_string().contains("poll"), "{error}");
        }
    });
}

/// EP-13; better than PO-2 and SE-3: a descriptor that is closed while watched is reported once at most.
#[test]
fn closing_a_watched_descriptor_is_no_storm() {
    // Its own process: another test could be given the number in between.
    if !in_child("backend::tests::closing_a_watched_descriptor_is_no_storm") {
        return;
    }
    for_each_backend(|backend| {
        let (first, _first_peer) = pair();
        let (second, mut second_peer) = pair();
        let (third, _third_peer) = pair();
        for (token, stream) in [(1, &first), (2, &second), (3, &third)] {
            backend
                .change(stream.as_raw_fd(), token, NONE, READ)
                .unwrap();
        }
        let gone = first.as_raw_fd();
        drop(first);
        second_peer.write_all(b"x").unwrap();
        match backend.method() {
            Method::Epoll | Method::Kqueue => assert_eq!(ready_now(backend), [(2, Ready::READ)]),
            // The batched variant registers it only now.
            Method::EpollBatched | Method::Poll | Method::DevPoll => {
                assert_eq!(ready_now(backend), [(1, INVALID), (2, Ready::READ)]);
            }
            // The failed wait tells nothing about the others; the next one does.
            Method::Select => assert_eq!(ready_now(backend), [(1, INVALID)]),
        }
        assert_eq!(ready_now(backend), [(2, Ready::READ)]);
        backend.change(gone, 1, READ, NONE).unwrap();
        assert_eq!(ready_now(backend), [(2, Ready::READ)]);
    });
}

/// EP-9: nothing is lost when more is ready than one wait takes.
#[test]
fn hundred_ready_descriptors_are_all_reported() {
    for_each_backend(|backend| {
        let bells: Vec<_> = (0..100).map(|_| Bell::new().unwrap()).collect();
        for (token, bell) in (0..).zip(&bells) {
            bell.ring();
            backend
                .change(bell.as_fd().as_raw_fd(), token, NONE, READ)
                .unwrap();
        }
        let mut seen = vec![false; bells.len()];
        for round in 0.. {
            assert!(round < 10, "not all reported: {seen:?}");
            for (token, ready) in ready_now(backend) {
                assert_eq!(ready, Ready::READ);
                seen[token as usize] = true;
                bells[token as usize].drain();
            }
            if seen.iter().all(|&seen| seen) {
                break;
            }
        }
        assert_eq!(ready_now(backend), []);
    });
}

/// PO-1: those that remain after a removal from the middle still work.
#[test]
fn removal_from_the_middle_keeps_the_others() {
    for_each_backend(|backend| {
        let bells: Vec<_> = (0..10).map(|_| Bell::new().unwrap()).collect();
        for (token, bell) in (0..).zip(&bells) {
            bell.ring();
            backend
                .change(bell.as_fd().as_raw_fd(), token, NONE, READ)
                .unwrap();
        }
        for gone in [4, 0, 9] {
            backend
                .change(bells[gone].as_fd().as_raw_fd(), 0, READ, NONE)
                .unwrap();
        }
        let tokens: Vec<_> = ready_now(backend)
            .into_iter()
            .map(|(token, _)| token)
            .collect();
        assert_eq!(tokens, [1, 2, 3, 5, 6, 7, 8]);
    });
}

/// PO-1, SE-4: no descriptor is always first.
#[test]
fn scans_start_at_random() {
    for method in [Method::Poll, Method::Select] {
        let mut backend = open(method, Options::default()).unwrap();
        let bells: Vec<_> = (0..4).map(|_| Bell::new().unwrap()).collect();
        for (token, bell) in (0..).zip(&bells) {
            bell.ring();
            backend
                .change(bell.as_fd().as_raw_fd(), token, NONE, READ)
                .unwrap();
        }
        // select draws from all numbers up to the highest, most of which belong to nobody, so this takes many draws.
        let firsts: std::collections::HashSet<_> = (0..5000)
            .map(|_| {
                let mut reports = Vec::new();
                backend
                    .wait_into(Some(Duration::ZERO), &mut reports)
                    .unwrap();
                assert_eq!(reports.len(), 4);
                reports[0].token
            })
            .collect();
        assert!(firsts.len() > 1, "{method:?} always starts with {firsts:?}");
    }
}

/// SE-1: on Linux fd 2000 works with bit sets of our own; so it does elsewhere.
#[test]
fn descriptor_2000_works() {
    if !in_child("backend::tests::descriptor_2000_works") {
        return;
    }
    let (_, hard) = limits::descriptors().unwrap();
    assert!(
        hard > 2000,
        "the machine's hard limit of descriptors is {hard}"
    );
    limits::set_descriptors(hard, hard).unwrap();
    for_each_backend(|backend| {
        let (ours, mut theirs) = pair();
        let high = duplicate_from(ours.as_fd(), 2000).unwrap();
        assert!(high.as_raw_fd() >= 2000);
        backend.change(high.as_raw_fd(), 1, NONE, READ).unwrap();
        assert_eq!(ready_now(backend), []);
        theirs.write_all(b"x").unwrap();
        assert_eq!(ready_now(backend), [(1, Ready::READ)]);
        backend.change(high.as_raw_fd(), 1, READ, NONE).unwrap();
        assert_eq!(ready_now(backend), []);
    });
}
