//! Datagrams with their addresses, several in one call: Linux's recvmmsg(2) and sendmmsg(2); and one by one, for other systems.
//!
//! None of these calls waits, whatever the socket's mode is.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

use super::{
    check_len, message,
    socket::{Address, PeerAddress},
};

/// What is known of a datagram beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) len: usize,
    /// Whom it is from, or for. None if the socket is connected to them.
    pub(crate) peer: Option<SocketAddr>,
    /// It was longer than there was room for.
    pub(crate) is_cut: bool,
}

impl Entry {
    pub(crate) const EMPTY: Entry = Entry {
        len: 0,
        peer: None,
        is_cut: false,
    };
}

/// A message of one part and, unless it is null, an address. The pointers are to be good when it is used.
fn header(part: *mut libc::iovec, name: *mut libc::c_void, len: libc::socklen_t) -> libc::msghdr {
    let mut header = message::header(part, 1);
    header.msg_name = name;
    header.msg_namelen = len;
    header
}

/// What a message tells that has been received.
fn received(header: &libc::msghdr, len: usize, peer: &mut PeerAddress) -> Entry {
    peer.set_len(header.msg_namelen as usize);
    Entry {
        len,
        peer: peer.ip(),
        is_cut: header.msg_flags & libc::MSG_TRUNC != 0,
    }
}

/// Receives one datagram.
pub(crate) fn receive_one(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<Entry> {
    let mut peer = PeerAddress::default();
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let (name, name_len) = peer.as_raw_mut();
    let mut header = header(ptr::from_mut(&mut part), name, name_len);
    // SAFETY: `header` points to `part`, that to `bytes`, and `name` to `peer`, writable for the lengths given; all of them live until
    // the call returns, which keeps no pointer.
    let len = check_len(unsafe {
        libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT)
    })?;
    Ok(received(&header, len, &mut peer))
}

/// Sends one datagram.
pub(crate) fn send_one(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    peer: Option<&SocketAddr>,
) -> io::Result<()> {
    let address = peer.map(Address::ip);
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let (name, name_len) = address
        .as_ref()
        .map_or((ptr::null(), 0), |address| address.as_raw());
    let header = header(ptr::from_mut(&mut part), name.cast_mut().cast(), name_len);
    // SAFETY: `header` points to `part`, that to `bytes`, and `name` is null or points to `address`, readable for the lengths given; all
    // of them live until the call returns, which writes to none and keeps no pointer.
    check_len(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) })
        .map(drop)
}

/// How many datagrams one call moves at most: with more, what a call costs is not seen any more.
pub(crate) const AT_ONCE: usize = 32;

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{receive_many, send_many};
#[cfg(target_os = "linux")]
pub(crate) use linux::{receive_many, send_many};

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        array, io,
        net::SocketAddr,
        os::fd::{AsRawFd, BorrowedFd},
        ptr,
    };

    use super::super::{
        check,
        socket::{Address, PeerAddress},
    };
    use super::{AT_ONCE, Entry, header, received};

    /// A part without bytes.
    const NOTHING: libc::iovec = libc::iovec {
        iov_base: ptr::null_mut(),
        iov_len: 0,
    };

    /// A message without parts.
    fn blank() -> libc::mmsghdr {
        libc::mmsghdr {
            msg_hdr: header(ptr::null_mut(), ptr::null_mut(), 0),
            msg_len: 0,
        }
    }

    /// Receives datagrams, each into `size` bytes of `bytes`, and says how many: as many as there are, at most one per entry and
    /// [`AT_ONCE`].
    ///
    /// An error behind some of them is told by the socket's next call.
    pub(crate) fn receive_many(
        socket: BorrowedFd<'_>,
        bytes: &mut [u8],
        size: usize,
        entries: &mut [Entry],
    ) -> io::Result<usize> {
        let mut peers: [PeerAddress; AT_ONCE] = array::from_fn(|_| PeerAddress::default());
        let mut parts = [NOTHING; AT_ONCE];
        let mut headers = [blank(); AT_ONCE];
        let mut count = 0;
        let places = headers.iter_mut().zip(&mut parts).zip(&mut peers);
        for (((message, part), peer), room) in
            places.zip(bytes.chunks_exact_mut(size)).take(entries.len())
        {
            part.iov_base = room.as_mut_ptr().cast();
            part.iov_len = room.len();
            let (name, name_len) = peer.as_raw_mut();
            message.msg_hdr = header(ptr::from_mut(part), name, name_len);
            count += 1;
        }
        // SAFETY: the first `count` headers point each to its part, that to its own room in `bytes`, and to its peer, writable for the
        // lengths given; all of them live until the call returns, which keeps no pointer. Without a timeout, null, it does not look
        // for one.
        let moved = check(unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                // The type differs between C libraries.
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        })?;
        let moved = moved as usize;
        for ((entry, message), peer) in entries.iter_mut().zip(&headers).zip(&mut peers).take(moved)
        {
            *entry = received(&message.msg_hdr, message.msg_len as usize, peer);
        }
        Ok(moved)
    }

    /// Sends datagrams, each from `size` bytes of `bytes`, and says how many went, from the first on: at most [`AT_ONCE`].
    ///
    /// An error of any but the first is not told: the next call, which begins with that one, finds it again, if it lasts.
    pub(crate) fn send_many(
        socket: BorrowedFd<'_>,
        bytes: &[u8],
        size: usize,
        entries: &[Entry],
    ) -> io::Result<usize> {
        let peer = |entry: &Entry| {
            entry
                .peer
                .as_ref()
                .map(|peer: &SocketAddr| Address::ip(peer))
        };
        let addresses: [Option<Address>; AT_ONCE] =
            array::from_fn(|index| entries.get(index).and_then(peer));
        let mut parts = [NOTHING; AT_ONCE];
        let mut headers = [blank(); AT_ONCE];
        let mut count = 0;
        let places = headers.iter_mut().zip(&mut parts).zip(&addresses);
        for (((message, part), address), (entry, full)) in
            places.zip(entries.iter().zip(bytes.chunks_exact(size)))
        {
            let datagram = &full[..entry.len];
            part.iov_base = datagram.as_ptr().cast_mut().cast();
            part.iov_len = datagram.len();
            let (name, name_len) = address
                .as_ref()
                .map_or((ptr::null(), 0), |address| address.as_raw());
            message.msg_hdr = header(ptr::from_mut(part), name.cast_mut().cast(), name_len);
            count += 1;
        }
        // SAFETY: the first `count` headers point each to its part, that to its datagram in `bytes`, and to its address or nowhere,
        // readable for the lengths given; all of them live until the call returns, which writes to the headers alone, exclusively
        // borrowed here, and keeps no pointer.
        let moved = check(unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT as _,
            )
        })?;
        Ok(moved as usize)
    }
}

/// Other systems have no such calls, or had them late: one by one there.
#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::{io, os::fd::BorrowedFd};

    use super::Entry;

    pub(crate) fn receive_many(
        _socket: BorrowedFd<'_>,
        _bytes: &mut [u8],
        _size: usize,
        _entries: &mut [Entry],
    ) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }

    pub(crate) fn send_many(
        _socket: BorrowedFd<'_>,
        _bytes: &[u8],
        _size: usize,
        _entries: &[Entry],
    ) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }
}
