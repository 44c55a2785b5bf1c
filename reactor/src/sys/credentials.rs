//! Who is at the other end of a Unix socket.

use std::{io, os::fd::BorrowedFd};

/// User, group and, where the system tells it, process.
pub(crate) type Peer = (u32, u32, Option<i32>);

/// The peer's credentials when the connection was made: `SO_PEERCRED` (unix(7)).
#[cfg(target_os = "linux")]
pub(crate) fn peer(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    use std::{os::fd::AsRawFd, ptr};

    let mut peer = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut len = size_of_val(&peer) as libc::socklen_t;
    let pointer = ptr::from_mut(&mut peer).cast();
    // SAFETY: `peer` is writable for `len` bytes, its size, and `len` itself, until the call returns.
    super::check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            pointer,
            &mut len,
        )
    })?;
    // What a socket without a peer has: no process, and the number that is nobody's.
    if peer.pid == 0 && peer.uid == libc::uid_t::MAX {
        return Err(io::ErrorKind::NotConnected.into());
    }
    // No process of this namespace is 0.
    Ok((peer.uid, peer.gid, Some(peer.pid).filter(|&pid| pid != 0)))
}

/// The same where getpeereid(3) tells it: without the process.
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
))]
pub(crate) fn peer(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    use std::os::fd::AsRawFd;

    let (mut uid, mut gid) = (0, 0);
    // SAFETY: two integers that are writable until the call returns.
    super::check(unsafe { libc::getpeereid(socket.as_raw_fd(), &mut uid, &mut gid) })?;
    Ok((uid, gid, None))
}

/// Elsewhere nobody has asked for it yet.
#[cfg(not(any(
    target_os = "linux",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
pub(crate) fn peer(_: BorrowedFd<'_>) -> io::Result<Peer> {
    Err(io::ErrorKind::Unsupported.into())
}
