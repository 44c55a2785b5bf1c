//! Both ways of moving datagrams on loopback, and what a call may answer that loopback does not.

use super::*;
use crate::test_child::in_child;
use std::{net::UdpSocket, os::fd::AsFd};

const WAYS: &[Way] = if cfg!(target_os = "linux") {
    &[Way::Many, Way::OneByOne]
} else {
    &[Way::OneByOne]
};

fn pair() -> (UdpSocket, UdpSocket) {
    let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
    (bind(), bind())
}

/// Datagrams of all lengths from 0 to `size`, again and again.
fn text(index: usize, size: usize) -> Vec<u8> {
    vec![index as u8; index % (size + 1)]
}

fn receive(batch: &mut Batch, socket: &UdpSocket, way: Way) -> io::Result<usize> {
    batch.receive_by(way, |batch, way| batch.receive_some(socket.as_fd(), way))
}

fn send(batch: &mut Batch, socket: &UdpSocket, way: Way) -> io::Result<usize> {
    batch.send_by(way, |batch, way| batch.send_some(socket.as_fd(), way))
}

/// Counts around the edge of one call; there and back, in order, each to the one that sent it.
#[test]
fn there_and_back_in_order() {
    for &way in WAYS {
        for count in [1, 2, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE + 5] {
            let (client, server) = pair();
            let address = server.local_addr().unwrap();
            let mut batch = Batch::new(count, 9);
            for index in 0..count {
                batch.push(&text(index, 9), Some(address)).unwrap();
            }
            assert_eq!(send(&mut batch, &client, way).unwrap(), count);
            assert!(batch.is_empty());
            assert_eq!(send(&mut batch, &client, way).unwrap(), 0);

            assert_eq!(receive(&mut batch, &server, way).unwrap(), count);
            let client_address = client.local_addr().unwrap();
            for (index, datagram) in batch.iter().enumerate() {
                assert_eq!(datagram.bytes, text(index, 9));
                assert_eq!(datagram.peer, Some(client_address));
                assert!(!datagram.is_cut);
            }
            assert_eq!(send(&mut batch, &server, way).unwrap(), count);

            // A connected socket needs no names; both ends know theirs.
            client.connect(address).unwrap();
            assert_eq!(receive(&mut batch, &client, way).unwrap(), count);
            assert!(batch.iter().all(|datagram| datagram.peer == Some(address)));
            batch.clear();
            batch.push(b"last", None).unwrap();
            assert_eq!(send(&mut batch, &client, way).unwrap(), 1);
            assert_eq!(receive(&mut batch, &server, way).unwrap(), 1);
            assert_eq!(batch.iter().next().unwrap().bytes, b"last");
        }
    }
}

/// IPv6 addresses keep what belongs to them.
#[test]
fn ipv6_peer_is_named() {
    for &way in WAYS {
        let Ok(server) = UdpSocket::bind("[::1]:0") else {
            return; // A machine without IPv6 has nothing to test.
        };
        let client = UdpSocket::bind("[::1]:0").unwrap();
        let mut batch = Batch::new(2, 8);
        let address = server.local_addr().unwrap();
        batch.push(b"six", Some(address)).unwrap();
        send(&mut batch, &client, way).unwrap();
        receive(&mut batch, &server, way).unwrap();
        let datagram = batch.iter().next().unwrap();
        assert_eq!(datagram.peer, Some(client.local_addr().unwrap()));
    }
}

/// More than there is room for waits in the socket, in order; then there is nothing, and a blocking socket is not waited for.
#[test]
fn what_finds_no_room_stays() {
    for &way in WAYS {
        let (client, server) = pair();
        client.connect(server.local_addr().unwrap()).unwrap();
        for index in 0..10 {
            client.send(&[index]).unwrap();
        }
        let mut batch = Batch::new(4, 1);
        let mut came = Vec::new();
        for expected in [4, 4, 2] {
            assert_eq!(receive(&mut batch, &server, way).unwrap(), expected);
            came.extend(batch.iter().map(|datagram| datagram.bytes[0]));
        }
        assert_eq!(came, (0..10).collect::<Vec<_>>());
        let error = receive(&mut batch, &server, way).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(batch.is_empty());
    }
}

/// What is too long for its room is cut, and said; the next datagram is whole, and what a room held before does not show.
#[test]
fn long_datagram_is_cut() {
    for &way in WAYS {
        let (client, server) = pair();
        client.connect(server.local_addr().unwrap()).unwrap();
        let mut batch = Batch::new(3, 4);
        for datagrams in [[&b"12345"[..], b"6789", b"0"], [b"a", b"", b"bcdefgh"]] {
            for datagram in datagrams {
                client.send(datagram).unwrap();
            }
            assert_eq!(receive(&mut batch, &server, way).unwrap(), 3);
            for (datagram, sent) in batch.iter().zip(datagrams) {
                assert_eq!(datagram.bytes, &sent[..sent.len().min(4)]);
                assert_eq!(datagram.is_cut, sent.len() > 4);
            }
        }
    }
}

/// One that cannot be sent ends the call behind those before it, is the error of the next, and can be passed over.
#[test]
fn one_that_cannot_be_sent_stays_first() {
    for &way in WAYS {
        let (client, server) = pair();
        let address = server.local_addr().unwrap();
        let mut batch = Batch::new(4, 8);
        batch.push(b"one", Some(address)).unwrap();
        // Another family: refused for this socket.
        let other = "[::1]:9".parse().unwrap();
        batch.push(b"two", Some(other)).unwrap();
        batch.push(b"three", Some(address)).unwrap();
        assert_eq!(send(&mut batch, &client, way).unwrap(), 1);
        for _ in 0..2 {
            send(&mut batch, &client, way).unwrap_err();
            assert_eq!(batch.iter().next().unwrap().bytes, b"two");
        }
        assert!(batch.remove_first());
        assert_eq!(send(&mut batch, &client, way).unwrap(), 1);
        assert!(!batch.remove_first());
        assert_eq!(receive(&mut batch, &server, way).unwrap(), 2);
        let came: Vec<_> = batch.iter().map(|datagram| datagram.bytes).collect();
        assert_eq!(came, [&b"one"[..], b"three"]);
    }
}

/// A connected peer that is gone is an error of the receive, with nothing lost.
#[cfg(target_os = "linux")]
#[test]
fn refusal_is_told_once() {
    for &way in WAYS {
        let (client, server) = pair();
        client.connect(server.local_addr().unwrap()).unwrap();
        server.send_to(b"x", client.local_addr().unwrap()).unwrap();
        drop(server);
        client.send(b"y").unwrap();
        let mut batch = Batch::new(4, 8);
        let error = receive(&mut batch, &client, way).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(receive(&mut batch, &client, way).unwrap(), 1);
    }
}

/// Invariant 3: what came before an error is told first, the error by the next call, once; "nothing there" is no error then.
#[test]
fn error_behind_datagrams_is_kept() {
    let mut batch = Batch::new(4, 1);
    for (number, told) in [
        (libc::ECONNREFUSED, true),
        (libc::EAGAIN, false),
        (libc::EINTR, false),
    ] {
        let mut answers = vec![Err(number), Ok(1), Ok(1)];
        let mut call = |_: &mut Batch, way: Way| {
            assert_eq!(way, Way::OneByOne);
            answers
                .pop()
                .unwrap_or(Err(libc::EAGAIN))
                .map_err(io::Error::from_raw_os_error)
        };
        assert_eq!(batch.receive_by(Way::OneByOne, &mut call).unwrap(), 2);
        let next = batch.receive_by(Way::OneByOne, &mut call).unwrap_err();
        assert_eq!(
            next.raw_os_error() == Some(number),
            told || number == libc::EAGAIN
        );
        let last = batch.receive_by(Way::OneByOne, &mut call).unwrap_err();
        assert_eq!(last.kind(), io::ErrorKind::WouldBlock);
    }
}

/// A kernel, or a filter, without the calls for many: the same call goes on one by one, and the next begins so.
#[test]
fn missing_calls_are_done_without() {
    if !in_child("net::batch::tests::missing_calls_are_done_without") {
        return;
    }
    let missing = || Err(io::Error::from_raw_os_error(libc::ENOSYS));
    let (client, server) = pair();
    client.connect(server.local_addr().unwrap()).unwrap();
    let mut batch = Batch::new(3, 8);
    for _ in 0..3 {
        batch.push(b"x", None).unwrap();
    }
    let sent = batch.send_by(Way::Many, |batch, way| match way {
        Way::Many => missing(),
        Way::OneByOne => batch.send_some(client.as_fd(), way),
    });
    assert_eq!(sent.unwrap(), 3);
    assert_eq!(Way::now(), Way::OneByOne);
    let received = batch.receive_by(Way::Many, |batch, way| match way {
        Way::Many => missing(),
        Way::OneByOne => batch.receive_some(server.as_fd(), way),
    });
    assert_eq!(received.unwrap(), 3);
    // One by one, the answer would be an error like any other.
    assert!(batch.receive_by(Way::OneByOne, |_, _| missing()).is_err());
}

#[test]
fn pushes_that_do_not_fit_are_refused() {
    let mut batch = Batch::new(0, 0);
    assert_eq!((batch.capacity(), batch.datagram_size()), (1, 1));
    let error = batch.push(b"no", None).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    batch.push(b"y", None).unwrap();
    let error = batch.push(b"z", None).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(batch.len(), 1);
    batch.clear();
    batch.push(b"", None).unwrap();
    assert_eq!(batch.iter().next_back().unwrap().bytes, b"");
}
