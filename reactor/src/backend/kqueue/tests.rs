//! The mapping over an emulation of kevent(2), and over scripted answers of it.
//!
//! The emulation stands on two epoll sets, one per filter, so that it watches real descriptors and forgets them when they are closed.
//! `backend/tests.rs` runs each of its tests over it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs::File,
    io::Write,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use super::*;
use crate::sys::{
    epoll::{self, Control},
    kqueue::{ADD, CLEAR, DELETE, ENABLE, EOF, ERROR, RECEIPT},
    poll::{self, poll_number},
};

const NONE: Interest = Interest::NONE;
const READ: Interest = Interest::READ;
const WRITE: Interest = Interest::WRITE;
const CLOSED: Interest = Interest::CLOSED;
const EDGE: Interest = Interest::EDGE;

/// kevent(2) in the process, with what it was asked.
pub(crate) struct Emulation {
    /// By filter: an epoll set of the descriptors that have it.
    sets: [OwnedFd; 2],
    /// Filters of what epoll does not take. As FreeBSD has it: ready, if the end of a file is to be told.
    files: HashSet<(RawFd, Filter)>,
    /// Was the filter added with CLEAR? Of filters that exist; others may be left over.
    edges: HashMap<(RawFd, Filter), bool>,
    /// NetBSD before 10 and others: the flag means nothing.
    knows_receipts: bool,
    /// Forked: no call is to be made.
    is_gone: bool,
    /// The changes of each call so far, of calls that had any.
    log: Vec<String>,
}

impl Emulation {
    pub(crate) fn new() -> Emulation {
        Emulation {
            sets: [epoll::create().unwrap(), epoll::create().unwrap()],
            files: HashSet::new(),
            edges: HashMap::new(),
            knows_receipts: true,
            is_gone: false,
            log: Vec::new(),
        }
    }

    fn set(&self, filter: Filter) -> BorrowedFd<'_> {
        self.sets[filter as usize].as_fd()
    }

    /// Applies one change; the error's number.
    fn apply(&mut self, change: &Event) -> Result<(), i32> {
        let (fd, filter) = (change.fd(), change.filter().unwrap());
        let id = (fd, filter);
        let number = |error: io::Error| error.raw_os_error().unwrap();
        sys::check_open(fd).map_err(number)?;
        let bits = |is_edge: bool| {
            let bits = match filter {
                Filter::Read => libc::EPOLLIN | libc::EPOLLRDHUP,
                Filter::Write => libc::EPOLLOUT,
            };
            bits as u32 | if is_edge { libc::EPOLLET as u32 } else { 0 }
        };
        let flags = change.flags();
        if flags & DELETE != 0 && self.files.remove(&id) {
            return Ok(());
        }
        let set = self.sets[filter as usize].as_fd();
        let control = |control, is_edge| {
            epoll::control(set, control, fd, bits(is_edge), fd as u64).map_err(number)
        };
        if flags & DELETE != 0 {
            return control(Control::Delete, false);
        }
        let was_edge = self.edges.get(&id) == Some(&true);
        let answer = if flags & ADD == 0 {
            control(Control::Modify, was_edge)
        } else {
            let is_edge = flags & CLEAR != 0;
            match control(Control::Add, is_edge) {
                // What it has it keeps as it was, and looks again.
                Err(libc::EEXIST) => control(Control::Modify, was_edge),
                Err(libc::EPERM) => {
                    self.files.insert(id);
                    Ok(())
                }
                Ok(()) if filter == Filter::Write && is_broken_pipe(fd) => {
                    control(Control::Delete, false).unwrap();
                    Err(libc::EPIPE)
                }
                answer => {
                    self.edges.insert(id, is_edge);
                    answer
                }
            }
        };
        assert!(
            flags & (ADD | ENABLE) != 0,
            "a change that asks for nothing"
        );
        answer
    }

    /// What is ready now, as far as there is room.
    fn look(&mut self, results: &mut [Event]) -> usize {
        let mut n = 0;
        for filter in [Filter::Read, Filter::Write] {
            let room = results.len() - n;
            if room == 0 {
                break;
            }
            let mut events = vec![epoll::Event { events: 0, u64: 0 }; room];
            let found = epoll::wait_ms(self.set(filter), &mut events, 0).unwrap();
            for event in &events[..found] {
                let bits = event.events as i32;
                let is_end = match filter {
                    Filter::Read => bits & (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR),
                    Filter::Write => bits & (libc::EPOLLHUP | libc::EPOLLERR),
                };
                let flags = if is_end != 0 { EOF } else { 0 };
                let notes = if bits & libc::EPOLLERR != 0 {
                    libc::ECONNRESET as u32
                } else {
                    0
                };
                results[n] = Event::result(event.u64 as RawFd, filter, flags, notes, 0);
                n += 1;
            }
        }
        self.files.retain(|&(fd, _)| sys::check_open(fd).is_ok());
        for (&(fd, filter), result) in self.files.iter().zip(&mut results[n..]) {
            *result = Event::result(fd, filter, 0, 0, 1);
            n += 1;
        }
        n
    }
}

/// Is this a pipe that nobody reads?
fn is_broken_pipe(fd: RawFd) -> bool {
    let ready = poll_number(fd, Interest::NONE).unwrap();
    let is_socket = std::fs::read_link(format!("/proc/self/fd/{fd}"))
        .unwrap()
        .to_string_lossy()
        .starts_with("socket:");
    ready.contains(Ready::HANGUP) && !is_socket
}

impl Calls for Emulation {
    const IS_LIBRARY: bool = false;

    fn is_ours(&self) -> bool {
        !self.is_gone
    }

    fn renew(&mut self) -> io::Result<()> {
        *self = Emulation::new();
        Ok(())
    }

    fn kevent(
        &mut self,
        changes: &[Event],
        results: &mut [Event],
        wait: Option<(i64, i64)>,
    ) -> io::Result<usize> {
        assert!(!self.is_gone, "a child asks of what its parent has");
        if !changes.is_empty() {
            self.log.push(words(changes));
        }
        let mut n = 0;
        for change in changes {
            let answer = self.apply(change);
            let is_told = change.flags() & RECEIPT != 0 && self.knows_receipts || answer.is_err();
            if !is_told {
                continue;
            }
            let error = answer.err().unwrap_or(0);
            let Some(result) = results.get_mut(n) else {
                // Half of the changes applied: nobody may let it come to that.
                panic!("no room for an error: {}", words(changes));
            };
            let filter = change.filter().unwrap();
            *result = Event::result(change.fd(), filter, ERROR, 0, error.into());
            n += 1;
        }
        if n > 0 {
            return Ok(n);
        }
        let end = wait.map(|(whole, rest)| {
            Instant::now() + Duration::new(whole.try_into().unwrap(), rest.try_into().unwrap())
        });
        loop {
            let n = self.look(results);
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if n > 0 || left == Some(Duration::ZERO) || results.is_empty() {
                return Ok(n);
            }
            let mut entries = [Filter::Read, Filter::Write]
                .map(|filter| poll::entry(self.set(filter).as_raw_fd(), READ));
            poll::wait(&mut entries, left.map(wait::wait_ns))?;
        }
    }
}

/// Changes in words: "+4r" adds the read filter of 4, with "*" edge-triggered; "-" deletes, "?" enables.
fn words(changes: &[Event]) -> String {
    let word = |change: &Event| {
        let what = match change.flags() {
            flags if flags & ADD != 0 => "+",
            flags if flags & DELETE != 0 => "-",
            _ => "?",
        };
        let filter = match change.filter() {
            Some(Filter::Read) => "r",
            _ => "w",
        };
        let edge = if change.flags() & CLEAR != 0 { "*" } else { "" };
        format!("{what}{}{filter}{edge}", change.fd())
    };
    changes.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn emulated() -> Kqueue<Emulation> {
    let mut backend = Kqueue::new(Emulation::new()).unwrap();
    // What the probe asked.
    assert_eq!(backend.calls.log, ["+-1r"]);
    backend.calls.log.clear();
    backend
}

fn wait(backend: &mut dyn Backend, wait: Option<Duration>) -> io::Result<Vec<Report>> {
    let mut reports = Vec::new();
    backend.wait_into(wait, &mut reports)?;
    Ok(reports)
}

fn ready_now(backend: &mut dyn Backend) -> Vec<(u64, Ready)> {
    let mut ready: Vec<_> = wait(backend, Some(Duration::ZERO))
        .unwrap()
        .iter()
        .map(|report| (report.token, report.ready))
        .collect();
    ready.sort_by_key(|entry| entry.0);
    ready
}

/// The calls so far, with `fd` for the descriptor's number.
fn calls(backend: &mut Kqueue<Emulation>, fd: RawFd) -> Vec<String> {
    let log = std::mem::take(&mut backend.calls.log);
    let number = fd.to_string();
    log.into_iter()
        .map(|call| call.replace(&number, "fd"))
        .collect()
}

/// BK-5, with the records of the manual pages.
#[test]
fn mapping_follows_the_table() {
    let error = libc::ECONNRESET as u32;
    let both = Ready::READ | Ready::WRITE;
    assert_eq!(ready(Filter::Read, CLEAR, 0), Ready::READ);
    assert_eq!(ready(Filter::Write, 0, 0), Ready::WRITE);
    // EV_EOF, with data left or not: the record does not differ but in its count.
    assert_eq!(ready(Filter::Read, EOF, 0), Ready::READ | Ready::CLOSED);
    // The other end of a pipe is gone; or our own half is closed.
    assert_eq!(ready(Filter::Write, EOF, 0), Ready::WRITE);
    assert_eq!(
        ready(Filter::Read, EOF, error),
        both | Ready::CLOSED | Ready::HANGUP
    );
    assert_eq!(
        ready(Filter::Write, EOF | CLEAR, error),
        both | Ready::HANGUP
    );
    // Notes without an end are the filter's own (OpenBSD's NOTE_EOF of a file).
    assert_eq!(ready(Filter::Read, 0, 2), Ready::READ);
}

/// KQ-1, CL-1, CL-2, EP-1: what is asked of the kernel, call by call.
#[test]
fn deletions_are_collected_and_additions_are_not() {
    let mut backend = emulated();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let fd = ours.as_raw_fd();
    backend.change(fd, 1, NONE, READ).unwrap();
    assert_eq!(calls(&mut backend, fd), ["+fdr"]);
    // One call for both, the known one too: the descriptor may be another one by now.
    backend.change(fd, 1, READ, READ | WRITE).unwrap();
    assert_eq!(calls(&mut backend, fd), ["+fdr +fdw"]);
    backend.change(fd, 1, READ | WRITE, WRITE).unwrap();
    assert!(calls(&mut backend, fd).is_empty());
    // Back again before the wait: added, and never deleted.
    backend.change(fd, 1, WRITE, READ | WRITE).unwrap();
    assert_eq!(calls(&mut backend, fd), ["+fdr +fdw"]);
    assert_eq!(ready_now(&mut backend), [(1, Ready::WRITE)]);
    assert!(calls(&mut backend, fd).is_empty());
    // With the next wait, in the same call.
    backend.change(fd, 1, READ | WRITE, READ).unwrap();
    assert_eq!(ready_now(&mut backend), []);
    assert_eq!(calls(&mut backend, fd), ["-fdw"]);
    // Out and in again, as a one-shot event does.
    backend.change(fd, 1, READ, NONE).unwrap();
    backend.change(fd, 2, NONE, WRITE).unwrap();
    assert_eq!(calls(&mut backend, fd), ["+fdw"]);
    assert_eq!(ready_now(&mut backend), [(2, Ready::WRITE)]);
    assert_eq!(calls(&mut backend, fd), ["-fdr"]);
    backend.change(fd, 2, WRITE, NONE).unwrap();
    backend.change(fd, 2, NONE, NONE).unwrap();
    assert_eq!(ready_now(&mut backend), []);
    assert_eq!(calls(&mut backend, fd), ["-fdw"]);
    assert_eq!(ready_now(&mut backend), []);
    assert!(calls(&mut backend, fd).is_empty());
}

/// KQ-1: a filter keeps its mode when it is added again, so it is deleted first.
#[test]
fn change_of_mode_replaces_the_filter() {
    let mut backend = emulated();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let fd = ours.as_raw_fd();
    backend.change(fd, 1, NONE, READ).unwrap();
    backend.change(fd, 1, READ, NONE).unwrap();
    backend.change(fd, 1, NONE, READ | EDGE).unwrap();
    assert_eq!(calls(&mut backend, fd), ["+fdr", "-fdr", "+fdr*"]);
    theirs.write_all(b"x").unwrap();
    assert_eq!(ready_now(&mut backend), [(1, Ready::READ)]);
    assert_eq!(ready_now(&mut backend), []);
    backend.change(fd, 1, READ | EDGE, NONE).unwrap();
    backend.change(fd, 1, NONE, READ).unwrap();
    assert_eq!(calls(&mut backend, fd), ["-fdr", "+fdr"]);
    assert_eq!(ready_now(&mut backend), [(1, Ready::READ)]);
    assert_eq!(ready_now(&mut backend), [(1, Ready::READ)]);
}

/// KQ-2: a descriptor that is closed before its deletion is written. The wait still waits.
#[test]
fn deletion_of_a_closed_descriptor_costs_no_wait() {
    let mut backend = emulated();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let (other, mut peer) = UnixStream::pair().unwrap();
    backend
        .change(ours.as_raw_fd(), 1, NONE, READ | WRITE)
        .unwrap();
    backend.change(other.as_raw_fd(), 2, NONE, READ).unwrap();
    backend
        .change(ours.as_raw_fd(), 1, READ | WRITE, NONE)
        .unwrap();
    peer.write_all(b"x").unwrap();
    drop(ours);
    assert_eq!(
        wait(&mut backend, None).unwrap(),
        [Report {
            token: 2,
            ready: Ready::READ
        }]
    );
    let start = Instant::now();
    backend.change(other.as_raw_fd(), 2, READ, NONE).unwrap();
    drop(other);
    let reports = wait(&mut backend, Some(Duration::from_millis(20))).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(reports, []);
}

/// EP-2: closed and opened again behind our back. The kernel says so when something is deleted that it does not have.
#[test]
fn number_that_was_reused_is_added_again() {
    let mut backend = emulated();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let fd = ours.as_raw_fd();
    backend.change(fd, 1, NONE, READ | WRITE | EDGE).unwrap();
    // Stands for "closed and opened again": the kernel has nothing.
    let set = |backend: &Kqueue<Emulation>, filter| {
        epoll::control(backend.calls.set(filter), Control::Delete, fd, 0, 0).unwrap();
    };
    set(&backend, Filter::Read);
    set(&backend, Filter::Write);
    backend
        .change(fd, 1, READ | WRITE | EDGE, WRITE | EDGE)
        .unwrap();
    backend.calls.log.clear();
    assert_eq!(ready_now(&mut backend), [(1, Ready::WRITE)]);
    assert_eq!(calls(&mut backend, fd), ["-fdr", "+fdw*"]);
    // The lane adds what the table has: the kernel decides whether that is stale.
    let error = backend.change(fd, 2, NONE, READ | EDGE).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    set(&backend, Filter::Write);
    backend.change(fd, 2, NONE, READ | CLOSED | EDGE).unwrap();
    assert_eq!(calls(&mut backend, fd), ["?fdw", "?fdw", "+fdr*"]);
    drop(theirs);
    assert_eq!(ready_now(&mut backend), [(2, Ready::READ | Ready::CLOSED)]);
}

/// KQ-2: a pipe that nobody reads refuses its write filter. Writers and readers are told, while it lasts; with edges once.
#[test]
fn write_end_of_a_broken_pipe_is_reported() {
    let dead = Ready::READ | Ready::WRITE | Ready::HANGUP;
    for edge in [NONE, EDGE] {
        let mut backend = emulated();
        let mut child = std::process::Command::new("true")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        child.wait().unwrap();
        // A program that another test starts at this moment has the other end too, until it is replaced by what it executes.
        while pipe.write(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let fd = pipe.as_raw_fd();
        backend.change(fd, 7, NONE, WRITE | edge).unwrap();
        // A wait without limit: it must not be waited.
        assert_eq!(
            wait(&mut backend, None).unwrap(),
            [Report {
                token: 7,
                ready: dead
            }]
        );
        let again = if edge == EDGE {
            vec![]
        } else {
            vec![(7, dead)]
        };
        assert_eq!(ready_now(&mut backend), again);
        backend.change(fd, 7, WRITE | edge, NONE).unwrap();
        assert_eq!(ready_now(&mut backend), []);
    }
}

/// KQ-3: a file is ready, as for select.
#[test]
fn regular_file_is_ready() {
    let mut backend = emulated();
    let file = File::open(std::env::current_exe().unwrap()).unwrap();
    backend
        .change(file.as_raw_fd(), 1, NONE, READ | WRITE)
        .unwrap();
    assert_eq!(ready_now(&mut backend), [(1, Ready::READ | Ready::WRITE)]);
    if !kqueue::IS_LIBRARY {
        assert_ne!(Event::new(3, Filter::Read, ADD).notes(), 0);
    }
    assert_eq!(Event::new(3, Filter::Write, ADD).notes(), 0);
}

/// A system that ignores the flag for receipts puts results in their place: edges among them must not get lost.
#[test]
fn results_in_place_of_receipts_are_kept() {
    let mut backend = emulated();
    backend.calls.knows_receipts = false;
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (other, _peer) = UnixStream::pair().unwrap();
    backend
        .change(ours.as_raw_fd(), 1, NONE, READ | EDGE)
        .unwrap();
    theirs.write_all(b"x").unwrap();
    backend
        .change(other.as_raw_fd(), 2, NONE, READ | WRITE | EDGE)
        .unwrap();
    assert_eq!(
        ready_now(&mut backend),
        [(1, Ready::READ), (2, Ready::WRITE)]
    );
    assert_eq!(ready_now(&mut backend), []);
    let error = backend.change(9_999, 3, NONE, READ).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

/// KQ-4: the results grow with each wait that filled them, without limit; deletions have room too.
#[test]
fn two_hundred_ready_descriptors_are_all_reported() {
    let mut backend = emulated();
    let pairs: Vec<_> = (0..200).map(|_| UnixStream::pair().unwrap()).collect();
    for (token, (ours, _)) in (0..).zip(&pairs) {
        backend
            .change(ours.as_raw_fd(), token, NONE, WRITE)
            .unwrap();
    }
    assert_eq!(ready_now(&mut backend).len(), 64);
    assert_eq!(ready_now(&mut backend).len(), 128);
    assert_eq!(ready_now(&mut backend).len(), 200);
    // More errors than there is room for at first.
    let mut backend = emulated();
    for (token, (ours, _)) in (0..).zip(&pairs) {
        backend
            .change(ours.as_raw_fd(), token, NONE, READ | WRITE)
            .unwrap();
        backend
            .change(ours.as_raw_fd(), token, READ | WRITE, NONE)
            .unwrap();
    }
    drop(pairs);
    assert_eq!(ready_now(&mut backend), []);
}

/// A call with answers that were written down before.
#[derive(Default)]
struct Script {
    answers: VecDeque<Result<Vec<Event>, i32>>,
    asked: Vec<(String, Option<(i64, i64)>)>,
}

impl Calls for Script {
    const IS_LIBRARY: bool = false;

    fn is_ours(&self) -> bool {
        true
    }

    fn renew(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn kevent(
        &mut self,
        changes: &[Event],
        results: &mut [Event],
        wait: Option<(i64, i64)>,
    ) -> io::Result<usize> {
        self.asked.push((words(changes), wait));
        match self.answers.pop_front().expect("a call too many") {
            Ok(events) => {
                results[..events.len()].copy_from_slice(&events);
                Ok(events.len())
            }
            Err(error) => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

fn receipt(fd: RawFd, filter: Filter, error: i32) -> Event {
    Event::result(fd, filter, ERROR, 0, error.into())
}

fn scripted(answers: impl IntoIterator<Item = Result<Vec<Event>, i32>>) -> Kqueue<Script> {
    let probe = Ok(vec![receipt(-1, Filter::Read, libc::EBADF)]);
    let answers = [probe].into_iter().chain(answers).collect();
    Kqueue::new(Script {
        answers,
        asked: Vec::new(),
    })
    .unwrap()
}

/// KQ-4: an implementation that swallows errors is declined.
#[test]
fn broken_implementation_is_declined() {
    let event = Event::result(-1, Filter::Read, 0, 0, 0);
    for answer in [
        vec![],
        vec![event],
        vec![receipt(0, Filter::Read, libc::EBADF)],
    ] {
        let script = Script {
            answers: [Ok(answer)].into(),
            asked: Vec::new(),
        };
        let error = Kqueue::new(script).err().expect("it is broken");
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}

/// KQ-2, each error of an addition: ready at once, or the caller's; and the other filter of a refused addition goes again.
#[test]
fn refused_additions_are_told_apart() {
    let read = |error| receipt(0, Filter::Read, error);
    let write = |error| receipt(0, Filter::Write, error);
    let both = Ready::READ | Ready::WRITE;
    for (error, expected) in [
        (libc::EPIPE, Some(both | Ready::HANGUP)),
        (libc::EPERM, Some(Ready::WRITE)),
        (libc::EBADF, None),
        (libc::EINVAL, None),
        (libc::ENOENT, None),
        (libc::ENOMEM, None),
    ] {
        let mut backend = scripted([Ok(vec![read(0), write(error)]), Ok(vec![])]);
        let answer = backend.change(0, 5, NONE, READ | WRITE);
        match expected {
            Some(ready) => {
                answer.unwrap();
                assert_eq!(ready_now(&mut backend), [(5, ready)]);
                assert_eq!(backend.calls.asked.last().unwrap().0, "");
            }
            None => {
                assert_eq!(answer.unwrap_err().raw_os_error(), Some(error));
                assert_eq!(ready_now(&mut backend), []);
                assert_eq!(backend.calls.asked.last().unwrap().0, "-0r");
            }
        }
    }
}

/// BK-3, and what becomes of collected deletions when the call is interrupted or fails.
#[test]
fn interrupted_and_failed_calls_lose_nothing() {
    let added = || Ok(vec![receipt(0, Filter::Read, 0)]);
    let interrupted = || Err(libc::EINTR);
    let mut backend = scripted([
        interrupted(),
        added(),
        Err(libc::ENOMEM),
        interrupted(),
        Ok(vec![]),
    ]);
    // Repeated: what came of it was lost.
    backend.change(0, 1, NONE, READ).unwrap();
    backend.change(0, 1, READ, NONE).unwrap();
    let hour = Some(Duration::from_secs(3600));
    let error = wait(&mut backend, hour).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
    // Still to be deleted.
    assert_eq!(wait(&mut backend, hour).unwrap(), []);
    // Deleted: after EINTR the changes have been applied.
    assert_eq!(wait(&mut backend, Some(Duration::MAX)).unwrap(), []);
    let asked: Vec<_> = backend
        .calls
        .asked
        .iter()
        .map(|(changes, _)| &changes[..])
        .collect();
    assert_eq!(asked, ["+-1r", "+0r", "+0r", "-0r", "-0r", ""]);
    // The longest wait is cut to a day.
    assert_eq!(backend.calls.asked.last().unwrap().1, Some((86_400, 0)));
}

/// What was watched before is watched after an addition that failed.
#[test]
fn failed_addition_takes_nothing_away() {
    let mut backend = scripted([
        Ok(vec![receipt(0, Filter::Read, 0)]),
        Ok(vec![receipt(0, Filter::Write, libc::EINVAL)]),
        Ok(vec![Event::result(0, Filter::Read, 0, 0, 1)]),
    ]);
    backend.change(0, 1, NONE, READ).unwrap();
    backend.change(0, 2, READ, WRITE).unwrap_err();
    assert_eq!(ready_now(&mut backend), [(1, Ready::READ)]);
    assert_eq!(backend.calls.asked.last().unwrap().0, "");
}

/// EP-2, KQ-2: several descriptors at once. Each is added again, and the wait goes on as long as it was to be.
#[test]
fn all_reused_numbers_are_added_again() {
    let receipts = |fd| {
        Ok(vec![
            receipt(fd, Filter::Read, 0),
            receipt(fd, Filter::Write, 0),
        ])
    };
    let gone = |fd| receipt(fd, Filter::Read, libc::ENOENT);
    let mut backend = scripted([
        receipts(0),
        receipts(1),
        Ok(vec![gone(0), gone(1)]),
        Ok(vec![receipt(0, Filter::Write, 0)]),
        Ok(vec![receipt(1, Filter::Write, 0)]),
        Ok(vec![]),
    ]);
    for fd in [0, 1] {
        backend.change(fd, 7, NONE, READ | WRITE).unwrap();
        backend.change(fd, 7, READ | WRITE, WRITE).unwrap();
    }
    let hour = Some(Duration::from_secs(3600));
    wait(&mut backend, hour).unwrap();
    let now = Some((0, 0));
    let expected = [
        ("-0r -1r", Some((3600, 0))),
        ("+0w", now),
        ("+1w", now),
        ("", Some((3600, 0))),
    ];
    let asked = backend.calls.asked.iter().skip(3);
    assert!(
        asked
            .map(|(changes, wait)| (&changes[..], *wait))
            .eq(expected)
    );
}

/// BK-1: results that nobody can have asked for are dropped.
#[test]
fn results_of_strangers_are_dropped() {
    let of = |fd| Event::result(fd, Filter::Write, 0, 0, 0);
    let mut backend = scripted([
        Ok(vec![receipt(0, Filter::Read, 0)]),
        Ok(vec![of(-1), of(0), of(1), of(RawFd::MAX)]),
    ]);
    backend.change(0, 1, NONE, READ).unwrap();
    assert_eq!(ready_now(&mut backend), []);
}

/// Both filters of a descriptor make one report, whatever is between them; those of others are theirs.
#[test]
fn filters_of_a_descriptor_make_one_report() {
    let of = |fd, filter| Event::result(fd, filter, 0, 0, 1);
    let receipts = |fd| {
        Ok(vec![
            receipt(fd, Filter::Read, 0),
            receipt(fd, Filter::Write, 0),
        ])
    };
    let mixed = vec![
        of(0, Filter::Write),
        of(1, Filter::Read),
        of(0, Filter::Read),
        of(1, Filter::Write),
    ];
    let mut backend = scripted([
        receipts(0),
        receipts(1),
        Ok(mixed),
        Ok(vec![of(1, Filter::Read)]),
    ]);
    backend.change(0, 10, NONE, READ | WRITE).unwrap();
    backend.change(1, 11, NONE, READ | WRITE).unwrap();
    let both = Ready::READ | Ready::WRITE;
    // One batch for both waits: what the first has found is not the second's.
    let mut batch = Batch::default();
    let mut seen = Vec::new();
    for _ in 0..2 {
        backend.wait(None, &mut batch).unwrap();
        seen.append(&mut batch.reports.clone());
    }
    let seen: Vec<_> = seen
        .iter()
        .map(|report| (report.token, report.ready))
        .collect();
    assert_eq!(seen, [(10, both), (11, both), (11, Ready::READ)]);
}

/// FORK-1, FORK-8: a forked child has no queue, so nothing is asked of it; the new one has what is registered then, and no more.
#[test]
fn forked_child_gets_a_queue_of_its_own() {
    let mut backend = emulated();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (other, mut peer) = UnixStream::pair().unwrap();
    backend.change(ours.as_raw_fd(), 1, NONE, READ).unwrap();
    backend.change(other.as_raw_fd(), 2, NONE, READ).unwrap();
    // Pending, and not to be deleted from the new queue.
    backend.change(ours.as_raw_fd(), 1, READ, NONE).unwrap();
    theirs.write_all(b"x").unwrap();
    peer.write_all(b"x").unwrap();
    backend.calls.is_gone = true;
    for interest in [READ, READ | WRITE, READ | EDGE] {
        let error = backend.change(3, 3, NONE, interest).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
    backend.change(other.as_raw_fd(), 2, READ, NONE).unwrap();
    backend.reinit().unwrap();
    assert_eq!(ready_now(&mut backend), []);
    // No trace of the old table: what it had is not there twice.
    backend
        .change(other.as_raw_fd(), 3, NONE, READ | EDGE)
        .unwrap();
    assert_eq!(ready_now(&mut backend), [(3, Ready::READ)]);
    assert_eq!(calls(&mut backend, other.as_raw_fd()), ["+fdr*"]);
}
