//! Nothing of what the kernel installs may stay open without an owner. What is left open is counted, so each test is alone in its
//! process.

use super::*;
use crate::{
    net::set_nonblocking,
    sys::{limits, socket},
    test_child::in_child,
};
use std::os::{
    fd::{AsFd, AsRawFd},
    unix::net::{UnixDatagram, UnixStream},
};

/// How many descriptors this process has open.
fn open() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Sends one byte and `sent` descriptors, asks for `max`, and says what came; all that came is closed again.
fn pass(left: BorrowedFd<'_>, right: BorrowedFd<'_>, sent: usize, max: usize) -> (usize, bool) {
    let (one, _other) = UnixStream::pair().unwrap();
    let before = open();
    let len = send_with_fds(left, &[IoSlice::new(b"x")], &vec![one.as_fd(); sent]).unwrap();
    assert_eq!(len, 1);
    let (mut byte, mut fds) = ([0], Vec::new());
    let received = recv_with_fds(right, &mut [IoSliceMut::new(&mut byte)], &mut fds, max).unwrap();
    assert_eq!((received.len, byte), (1, *b"x"));
    assert!(!received.has_lost_bytes);
    assert_eq!(open(), before + fds.len(), "{sent} sent, {max} wanted");
    (fds.len(), received.has_lost_fds)
}

/// Any number with any number: as many as were asked for come, the others are closed, and it is said.
#[test]
fn what_is_not_wanted_is_closed() {
    if !in_child("net::descriptors::tests::what_is_not_wanted_is_closed") {
        return;
    }
    let (left, right) = UnixStream::pair().unwrap();
    let (one, other) = UnixDatagram::pair().unwrap();
    for with_credentials in [0, 1] {
        // They come first, and take some of the room.
        for socket in [right.as_fd(), other.as_fd()] {
            let level = libc::SOL_SOCKET;
            socket::set_number(socket, level, libc::SO_PASSCRED, with_credentials).unwrap();
        }
        for sent in [0, 1, 2, 3, 4, 7, 8, 9, 252, MOST_FDS] {
            for max in [0, 1, 2, 3, 8, 252, 253, usize::MAX] {
                let expected = (sent.min(max), sent > max);
                assert_eq!(pass(left.as_fd(), right.as_fd(), sent, max), expected);
                assert_eq!(pass(one.as_fd(), other.as_fd(), sent, max), expected);
            }
        }
    }
}

/// A pidfd of the sender's, which somebody has asked the socket for, is closed too.
#[test]
fn senders_pidfd_is_closed() {
    const SO_PASSPIDFD: libc::c_int = 76;
    if !in_child("net::descriptors::tests::senders_pidfd_is_closed") {
        return;
    }
    let (left, right) = UnixStream::pair().unwrap();
    if socket::set_number(right.as_fd(), libc::SOL_SOCKET, SO_PASSPIDFD, 1).is_err() {
        return; // Linux before 6.5.
    }
    for (sent, max) in [(0, 0), (1, 1), (2, 1), (3, 8)] {
        let (came, _) = pass(left.as_fd(), right.as_fd(), sent, max);
        assert_eq!(came, sent.min(max));
    }
}

/// The process may have one more open, and three are sent: one comes, and the bytes with it.
#[test]
fn descriptors_without_a_number_are_told() {
    if !in_child("net::descriptors::tests::descriptors_without_a_number_are_told") {
        return;
    }
    let (left, right) = UnixStream::pair().unwrap();
    let (soft, hard) = limits::descriptors().unwrap();
    let three = [left.as_fd(); 3];
    send_with_fds(left.as_fd(), &[IoSlice::new(b"abc")], &three).unwrap();
    // The lowest number that is free; every one below is taken.
    let free = left.try_clone().unwrap().as_raw_fd() as u64;
    limits::set_descriptors(free + 1, hard).unwrap();
    let (mut bytes, mut fds) = ([0; 8], Vec::new());
    let received = recv_with_fds(
        right.as_fd(),
        &mut [IoSliceMut::new(&mut bytes)],
        &mut fds,
        3,
    );
    limits::set_descriptors(soft, hard).unwrap();
    let received = received.unwrap();
    assert_eq!((received.len, fds.len()), (3, 1));
    assert!(received.has_lost_fds);
}

/// A refusal is told before anything is sent.
#[test]
fn sends_that_cannot_be_are_refused() {
    let (left, right) = UnixStream::pair().unwrap();
    set_nonblocking(right.as_fd(), true).unwrap();
    let too_many = vec![left.as_fd(); MOST_FDS + 1];
    for (bufs, fds) in [
        (&[IoSlice::new(b"x")][..], &too_many[..]),
        (&[], &too_many[..1]),
        (&[IoSlice::new(b"")], &too_many[..1]),
    ] {
        let error = send_with_fds(left.as_fd(), bufs, fds).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    }
    assert_eq!(send_with_fds(left.as_fd(), &[], &[]).unwrap(), 0);
    let (mut byte, mut fds) = ([0], Vec::new());
    let nothing = recv_with_fds(
        right.as_fd(),
        &mut [IoSliceMut::new(&mut byte)],
        &mut fds,
        1,
    );
    assert_eq!(nothing.unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn peer_that_is_not_there_has_no_credentials() {
    let alone = socket::stream(libc::AF_UNIX).unwrap();
    let error = peer_cred(alone.as_fd()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
}
