//! Descriptors and credentials over Unix sockets.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{BorrowedFd, OwnedFd},
};

use crate::sys::{
    credentials,
    message::{self, MOST_FDS},
    socket,
};

/// What [`recv_with_fds`] received, beside the descriptors.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use levent_reactor::net::{recv_with_fds, send_with_fds};
/// use std::io::{IoSlice, IoSliceMut, stdin, stdout};
/// use std::os::{fd::AsFd, unix::net::UnixStream};
///
/// let (left, right) = UnixStream::pair()?;
/// send_with_fds(left.as_fd(), &[IoSlice::new(b"two")], &[stdin().as_fd(), stdout().as_fd()])?;
///
/// // Only one is expected.
/// let (mut bytes, mut fds) = ([0; 16], Vec::new());
/// let received = recv_with_fds(right.as_fd(), &mut [IoSliceMut::new(&mut bytes)], &mut fds, 1)?;
/// assert_eq!((received.len, fds.len()), (3, 1));
/// assert!(received.has_lost_fds && !received.has_lost_bytes);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// How many bytes were received. From a stream, 0 into buffers that are not empty is its end.
    pub len: usize,
    /// The datagram was longer than the buffers, and the rest of it is gone. Never said of a stream.
    pub has_lost_bytes: bool,
    /// More descriptors came than were wanted, or than this process may have open: those are closed.
    pub has_lost_fds: bool,
}

/// Sends bytes, and with the first of them duplicates of these descriptors: the peer gets descriptors of its own for the same
/// open files.
///
/// From a stream fewer bytes may be sent than are given, but at least one, and with it all descriptors: send the rest without.
///
/// # Errors
///
/// `WouldBlock` if there is no room and the socket is non-blocking; `InvalidInput` for more descriptors than one message carries
/// (253 on Linux), and on a stream for descriptors without a byte, which would be sent nowhere; what `sendmsg(2)` says:
/// `ETOOMANYREFS` if too many are on their way already.
///
/// # Examples
///
/// See [`Received`].
pub fn send_with_fds(
    socket: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    if fds.len() > MOST_FDS {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "{} descriptors are too many for one message: {MOST_FDS} at most",
                fds.len()
            ),
        ));
    }
    // It would answer that nothing was sent, and that would be true of the descriptors too.
    if !fds.is_empty() && bufs.iter().all(|buf| buf.is_empty()) && socket::is_stream(socket) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "descriptors travel with a byte of the stream: send at least one",
        ));
    }
    message::send(socket, bufs, fds)
}

/// Receives bytes, and appends the descriptors that came with them, at most `max`, to `fds`.
///
/// The descriptors are new ones of this process, and close-on-exec (on macOS and illumos by another call, so that a child that
/// another thread starts in between inherits them). Those that are not wanted are closed at once.
///
/// One call receives the descriptors of one message at most, and from a stream it ends with the bytes of that message; it may
/// begin with bytes that were sent before without any. Reading a stream in any other way closes descriptors that came with the bytes.
///
/// # Errors
///
/// `WouldBlock` if nothing is there and the socket is non-blocking; what `recvmsg(2)` says. Then nothing was received.
///
/// # Examples
///
/// See [`Received`].
pub fn recv_with_fds(
    socket: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
    fds: &mut Vec<OwnedFd>,
    max: usize,
) -> io::Result<Received> {
    // Before there is anything to lose.
    fds.reserve(max.min(MOST_FDS));
    let mut wanted = max;
    let mut closed = false;
    let told = message::receive(socket, bufs, max, |fd| {
        if wanted > 0 {
            wanted -= 1;
            fds.push(fd);
        } else {
            closed = true;
        }
    })?;
    Ok(Received {
        len: told.len,
        has_lost_bytes: told.cut_bytes,
        has_lost_fds: closed || told.cut_control,
    })
}

/// Who a process is: the user, the group, and the process itself if the system tells.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::os::{fd::AsFd, unix::net::UnixStream};
///
/// let (ours, _theirs) = UnixStream::pair()?;
/// let peer = levent_reactor::net::peer_cred(ours.as_fd())?;
/// # #[cfg(target_os = "linux")]
/// assert_eq!(peer.pid, Some(std::process::id() as i32));
/// println!("connected to user {}", peer.uid);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerCred {
    /// The effective user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
    /// The process; none on systems other than Linux, and for one that has no number in our namespace.
    ///
    /// It may have ended, and another one have its number.
    pub pid: Option<i32>,
}

/// Who is at the other end of a Unix stream, as it was when the connection was made: who connected, and who called `listen`.
///
/// # Errors
///
/// `NotConnected`; `Unsupported` on illumos and Solaris.
///
/// # Examples
///
/// See [`PeerCred`].
pub fn peer_cred(socket: BorrowedFd<'_>) -> io::Result<PeerCred> {
    let (uid, gid, pid) = credentials::peer(socket)?;
    Ok(PeerCred { uid, gid, pid })
}

// They count by what Linux shows of a process.
#[cfg(all(test, target_os = "linux"))]
mod tests;
