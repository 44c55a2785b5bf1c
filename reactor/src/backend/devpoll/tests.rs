//! The mapping over an emulation of the driver, by poll(2). `backend/tests.rs` runs each of its tests over it.

use std::{
    collections::BTreeMap,
    io::Write,
    os::{fd::AsRawFd, unix::net::UnixStream},
};

use super::*;
use crate::sys::devpoll::REMOVE;

const NONE: Interest = Interest::NONE;
const READ: Interest = Interest::READ;
const WRITE: Interest = Interest::WRITE;

/// The driver: what is written of a descriptor adds to what it has of it, until it is removed.
#[derive(Default)]
pub(crate) struct Emulation {
    set: BTreeMap<RawFd, i16>,
    /// Each write so far.
    log: Vec<Vec<(RawFd, i16)>>,
    refuses_writes: bool,
    max_results: Option<usize>,
}

impl Calls for Emulation {
    fn renew(&mut self) -> io::Result<()> {
        *self = Emulation::default();
        Ok(())
    }

    fn write(&mut self, records: &[Record]) -> io::Result<()> {
        assert!((1..=MAX_WRITTEN).contains(&records.len()));
        if self.refuses_writes {
            return Err(io::Error::from_raw_os_error(libc::EACCES));
        }
        self.log.push(
            records
                .iter()
                .map(|record| (record.fd, record.events))
                .collect(),
        );
        for record in records {
            if record.events & REMOVE != 0 {
                self.set.remove(&record.fd);
            } else {
                *self.set.entry(record.fd).or_default() |= record.events;
            }
        }
        Ok(())
    }

    fn wait(&mut self, results: &mut [Record], wait_ms: i32) -> io::Result<usize> {
        let mut records: Vec<_> = self
            .set
            .iter()
            .map(|(&fd, &events)| Record {
                fd,
                events,
                revents: 0,
            })
            .collect();
        let wait = (wait_ms >= 0).then(|| {
            let wait = Duration::from_millis(wait_ms.unsigned_abs().into());
            wait::wait_ns(wait)
        });
        poll::wait(&mut records, wait)?;
        let ready = records.iter().filter(|record| record.revents != 0);
        let mut n = 0;
        for (result, record) in results.iter_mut().zip(ready) {
            *result = *record;
            n += 1;
        }
        Ok(n)
    }

    fn max_results(&self) -> usize {
        self.max_results.unwrap_or(usize::MAX)
    }
}

fn emulated() -> DevPoll<Emulation> {
    DevPoll::new(Emulation::default())
}

fn ready_now(backend: &mut dyn Backend) -> Vec<(u64, Ready)> {
    let mut reports = Vec::new();
    backend
        .wait_into(Some(Duration::ZERO), &mut reports)
        .unwrap();
    reports
        .iter()
        .map(|report| (report.token, report.ready))
        .collect()
}

/// DP-1: what was written, with REMOVE as -1.
fn written(backend: &mut DevPoll<Emulation>) -> Vec<(RawFd, i16)> {
    let log = std::mem::take(&mut backend.calls.log);
    let short = |(fd, events)| (fd, if events == REMOVE { -1 } else { events });
    log.into_iter().flatten().map(short).collect()
}

/// DP-1: taking one of two kinds away removes the descriptor and adds the other again; one more is only added.
#[test]
fn removal_comes_before_what_is_left() {
    let mut backend = emulated();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let fd = ours.as_raw_fd();
    let (read, write) = (libc::POLLIN, libc::POLLOUT);
    theirs.write_all(b"x").unwrap();
    backend.change(fd, 1, NONE, READ).unwrap();
    assert_eq!(ready_now(&mut backend), [(1, Ready::READ)]);
    assert_eq!(written(&mut backend), [(fd, read)]);
    backend.change(fd, 1, READ, READ | WRITE).unwrap();
    assert_eq!(ready_now(&mut backend), [(1, Ready::READ | Ready::WRITE)]);
    assert_eq!(written(&mut backend), [(fd, read | write)]);
    backend.change(fd, 1, READ | WRITE, WRITE).unwrap();
    assert_eq!(ready_now(&mut backend), [(1, Ready::WRITE)]);
    assert_eq!(written(&mut backend), [(fd, -1), (fd, write)]);
    // From one kind to the other, and back before the wait: the last state, after a removal all the same.
    backend.change(fd, 1, WRITE, READ).unwrap();
    backend.change(fd, 1, READ, WRITE).unwrap();
    assert_eq!(ready_now(&mut backend), [(1, Ready::WRITE)]);
    assert_eq!(written(&mut backend), [(fd, -1), (fd, write)]);
    // Out and in again: it may be another file by now, of which the driver must have nothing left.
    backend.change(fd, 1, WRITE, NONE).unwrap();
    backend.change(fd, 2, NONE, READ).unwrap();
    assert_eq!(ready_now(&mut backend), [(2, Ready::READ)]);
    assert_eq!(written(&mut backend), [(fd, -1), (fd, read)]);
    backend.change(fd, 2, READ, NONE).unwrap();
    assert_eq!(ready_now(&mut backend), []);
    assert_eq!(written(&mut backend), [(fd, -1)]);
    // Never written, so nothing to remove.
    backend.change(fd, 2, NONE, READ).unwrap();
    backend.change(fd, 2, READ, NONE).unwrap();
    assert_eq!(ready_now(&mut backend), []);
    assert_eq!(written(&mut backend), []);
}

/// DP-2: more than one write takes, and more than one wait has room for.
#[test]
fn long_queues_and_results_are_cut() {
    let mut backend = emulated();
    backend.calls.max_results = Some(150);
    let pairs: Vec<_> = (0..200).map(|_| UnixStream::pair().unwrap()).collect();
    for (token, (ours, _)) in (0..).zip(&pairs) {
        backend
            .change(ours.as_raw_fd(), token, NONE, WRITE)
            .unwrap();
    }
    assert_eq!(ready_now(&mut backend).len(), 64);
    assert_eq!(backend.calls.log.len(), 4);
    assert_eq!(ready_now(&mut backend).len(), 128);
    // The driver refuses more room than there can be descriptors.
    assert_eq!(ready_now(&mut backend).len(), 150);
    assert_eq!(ready_now(&mut backend).len(), 150);
}

/// A write that fails is the wait's error, and is repeated.
#[test]
fn refused_write_is_repeated() {
    let mut backend = emulated();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    backend.change(ours.as_raw_fd(), 1, NONE, WRITE).unwrap();
    backend.calls.refuses_writes = true;
    let error = backend.wait(None, &mut Batch::default()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EACCES));
    backend.calls.refuses_writes = false;
    assert_eq!(ready_now(&mut backend), [(1, Ready::WRITE)]);
}

/// FORK-1: a driver that is opened again has what is registered then; what was queued for the old one is not written to it.
#[test]
fn reopened_driver_has_nothing_of_the_old_one() {
    let mut backend = emulated();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (other, _peer) = UnixStream::pair().unwrap();
    theirs.write_all(b"x").unwrap();
    backend.change(ours.as_raw_fd(), 1, NONE, READ).unwrap();
    assert_eq!(ready_now(&mut backend), [(1, Ready::READ)]);
    backend.change(ours.as_raw_fd(), 1, READ, NONE).unwrap();
    backend.change(other.as_raw_fd(), 2, NONE, WRITE).unwrap();
    backend.reinit().unwrap();
    assert_eq!(ready_now(&mut backend), []);
    assert_eq!(written(&mut backend), []);
    backend.change(ours.as_raw_fd(), 3, NONE, READ).unwrap();
    assert_eq!(ready_now(&mut backend), [(3, Ready::READ)]);
}
