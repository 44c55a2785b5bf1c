//! Descriptors beside the bytes of Unix sockets, and the peer's credentials.
//!
//! Neither transfer goes by the latch of [`poll_stream`][levent_reactor::lane::Source::poll_stream]: a receive ends with the bytes of
//! a message that carries descriptors, so a short one does not say that nothing more is there. Both are tried first and
//! awaited on `WouldBlock`, by any number of tasks. Waiting marks the direction as parked, so that a stream's own poll that
//! comes in between tries again too.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net as std_unix;

use levent_reactor::net::{PeerCred, Received, peer_cred, recv_with_fds, send_with_fds};

use super::unix::{UnixDatagram, UnixStream};
use crate::Async;

/// How many buffers one call to the system takes. A stream's further ones wait for the next call; a datagram has to go at once, and
/// with more the system refuses it.
const SLICES: usize = 1024;

impl Async<std_unix::UnixStream> {
    /// Sends bytes, and with the first of them descriptors. See [`UnixStream::send_with_fds`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` for descriptors without a byte, or for more than one message carries; what `sendmsg(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes and descriptors were sent if and only if the future answered so.
    pub async fn send_with_fds(
        &self,
        bufs: &[IoSlice<'_>],
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        let bufs = &bufs[..bufs.len().min(SLICES)];
        self.write_with(|io| send_with_fds(io.as_fd(), bufs, fds))
            .await
    }

    /// Receives bytes, and appends at most `max_fds` descriptors that came with them to `fds`. See
    /// [`UnixStream::recv_with_fds`].
    ///
    /// # Errors
    ///
    /// What `recvmsg(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: neither bytes nor descriptors are lost.
    pub async fn recv_with_fds(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        fds: &mut Vec<OwnedFd>,
        max_fds: usize,
    ) -> io::Result<Received> {
        let count = bufs.len().min(SLICES);
        let bufs = &mut bufs[..count];
        if bufs.iter().all(|buf| buf.is_empty()) {
            // As any read into nothing. The system would hand descriptors out, with no byte that tells so from the end.
            return Ok(Received::default());
        }
        self.read_with(|io| recv_with_fds(io.as_fd(), bufs, fds, max_fds))
            .await
    }

    /// Who is at the other end. See [`UnixStream::peer_cred`].
    ///
    /// # Errors
    ///
    /// `NotConnected`; `Unsupported` on illumos and Solaris.
    pub fn peer_cred(&self) -> io::Result<PeerCred> {
        peer_cred(self.as_fd())
    }
}

impl Async<std_unix::UnixDatagram> {
    /// Sends one datagram with descriptors to the connected peer. See [`UnixDatagram::send_with_fds`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` for more descriptors than one message carries; what `sendmsg(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the datagram was sent if and only if the future answered so.
    pub async fn send_with_fds(
        &self,
        bufs: &[IoSlice<'_>],
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        self.write_with(|io| send_with_fds(io.as_fd(), bufs, fds))
            .await
    }

    /// Receives one datagram, and appends at most `max_fds` descriptors that came with it to `fds`. See
    /// [`UnixDatagram::recv_with_fds`].
    ///
    /// # Errors
    ///
    /// What `recvmsg(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: neither the datagram nor descriptors are lost.
    pub async fn recv_with_fds(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        fds: &mut Vec<OwnedFd>,
        max_fds: usize,
    ) -> io::Result<Received> {
        self.read_with(|io| recv_with_fds(io.as_fd(), bufs, fds, max_fds))
            .await
    }
}

impl UnixStream {
    /// Sends bytes, and with the first of them duplicates of these descriptors: the peer gets descriptors of its own for the same
    /// open files, whatever becomes of ours.
    ///
    /// Fewer bytes may be sent than are given, but at least one, and with it all descriptors: send the rest without. Awaits room
    /// in the socket's buffer. Do not mix it with a task that writes the stream, or nobody knows which byte carries them.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for descriptors without a byte, which would be sent nowhere, or for more than one message carries (253 on
    /// Linux); what `sendmsg(2)` says: `BrokenPipe` if the peer is gone, `ETOOMANYREFS` if too many descriptors are on their way.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes and descriptors were sent if and only if the future answered so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(worker: levent_io::net::unix::UnixStream) -> std::io::Result<()> {
    /// use std::io::IoSlice;
    /// use std::os::fd::AsFd;
    ///
    /// let log = std::fs::File::create("/tmp/log")?;
    /// worker.send_with_fds(&[IoSlice::new(b"log")], &[log.as_fd()]).await?;
    /// # Ok(()) }
    /// ```
    pub async fn send_with_fds(
        &self,
        bufs: &[IoSlice<'_>],
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        self.async_io().send_with_fds(bufs, fds).await
    }

    /// Receives bytes, and appends at most `max_fds` descriptors that came with them to `fds`.
    ///
    /// One call receives the descriptors of one send at most, and ends with the bytes of that. It may begin with bytes that were sent
    /// before without any: let the protocol say to which ones the descriptors belong. The descriptors are new ones of this process, and close-on-exec. Those beyond `max_fds`,
    /// and on Linux those that the process may not have open, are closed, and
    /// [`has_lost_fds`][Received::has_lost_fds] says so.
    ///
    /// Reading the stream in any other way closes descriptors that came with the bytes. Into no room, it receives nothing at once.
    ///
    /// # Errors
    ///
    /// What `recvmsg(2)` says. Then nothing was received.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: neither bytes nor descriptors are lost.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(parent: levent_io::net::unix::UnixStream) -> std::io::Result<()> {
    /// use std::fs::File;
    /// use std::io::IoSliceMut;
    ///
    /// let (mut name, mut fds) = ([0; 3], Vec::new());
    /// let received = parent.recv_with_fds(&mut [IoSliceMut::new(&mut name)], &mut fds, 1).await?;
    /// if received.len == 3 && !received.has_lost_fds {
    ///     let log = fds.pop().map(File::from);
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn recv_with_fds(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        fds: &mut Vec<OwnedFd>,
        max_fds: usize,
    ) -> io::Result<Received> {
        self.async_io().recv_with_fds(bufs, fds, max_fds).await
    }

    /// Who is at the other end, as it was when the connection was made: who connected, or who called `listen`.
    ///
    /// # Errors
    ///
    /// `NotConnected`; `Unsupported` on illumos and Solaris.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(listener: levent_io::net::unix::UnixListener) -> std::io::Result<()> {
    /// let (stream, _) = listener.accept().await?;
    /// let peer = stream.peer_cred()?;
    /// println!("user {}, process {:?}", peer.uid, peer.pid);
    /// # Ok(()) }
    /// ```
    pub fn peer_cred(&self) -> io::Result<PeerCred> {
        self.async_io().peer_cred()
    }
}

impl UnixDatagram {
    /// Sends one datagram, which may be empty, and duplicates of these descriptors to the connected peer.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for more descriptors than one message carries (253 on Linux); what `sendmsg(2)` says: `NotConnected`,
    /// `EMSGSIZE` for too long a datagram or more than 1,024 buffers, `ETOOMANYREFS` if too many descriptors are on their way.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the datagram was sent if and only if the future answered so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(socket: levent_io::net::unix::UnixDatagram) -> std::io::Result<()> {
    /// use std::io::IoSlice;
    /// use std::os::fd::AsFd;
    ///
    /// let file = std::fs::File::open("/etc/services")?;
    /// socket.send_with_fds(&[IoSlice::new(b"read this")], &[file.as_fd()]).await?;
    /// # Ok(()) }
    /// ```
    pub async fn send_with_fds(
        &self,
        bufs: &[IoSlice<'_>],
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        self.async_io().send_with_fds(bufs, fds).await
    }

    /// Receives one datagram, and appends at most `max_fds` descriptors that came with it to `fds`.
    ///
    /// What does not fit is lost, and [`Received`] says so: bytes are cut off, descriptors are closed. The descriptors are new ones
    /// of this process, and close-on-exec. Receiving in any other way closes them all.
    ///
    /// # Errors
    ///
    /// What `recvmsg(2)` says. Then nothing was received.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: neither the datagram nor descriptors are lost.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(socket: levent_io::net::unix::UnixDatagram) -> std::io::Result<()> {
    /// use std::io::IoSliceMut;
    ///
    /// let (mut bytes, mut fds) = ([0; 512], Vec::new());
    /// let received = socket.recv_with_fds(&mut [IoSliceMut::new(&mut bytes)], &mut fds, 4).await?;
    /// println!("{} bytes and {} descriptors", received.len, fds.len());
    /// # Ok(()) }
    /// ```
    pub async fn recv_with_fds(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        fds: &mut Vec<OwnedFd>,
        max_fds: usize,
    ) -> io::Result<Received> {
        self.async_io().recv_with_fds(bufs, fds, max_fds).await
    }
}
