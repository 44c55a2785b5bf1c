//! Many UDP datagrams at once.
//!
//! The batch and its system calls are the reactor's, for callbacks too; here they are tried, and awaited on `WouldBlock`.

use std::io;
use std::net::UdpSocket as StdSocket;
use std::os::fd::AsFd;

use levent_reactor::net::Batch;

use super::udp::UdpSocket;
use crate::Async;

impl Async<StdSocket> {
    /// Receives the datagrams that are there. See [`UdpSocket::recv_many`].
    ///
    /// # Errors
    ///
    /// What `recvmmsg(2)` says. An error that comes behind some datagrams is told by the batch's next receive.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no datagram is lost but those that the batch held before.
    pub async fn recv_many(&self, batch: &mut Batch) -> io::Result<usize> {
        self.read_with(|io| batch.receive(io.as_fd())).await
    }

    /// Sends the datagrams of a batch. See [`UdpSocket::send_many`].
    ///
    /// # Errors
    ///
    /// What `sendmmsg(2)` says of the first of them.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a datagram was sent if and only if it is not in the batch any more.
    pub async fn send_many(&self, batch: &mut Batch) -> io::Result<usize> {
        self.write_with(|io| batch.send(io.as_fd())).await
    }
}

impl UdpSocket {
    /// Receives the datagrams that are there, at least one and as many as the batch has room for, in the place of those that it
    /// held; says how many.
    ///
    /// Waits for the first, never for more. To move them allocates nothing; on Linux one system call receives up to 32. Compared with
    /// [`recv_from`][UdpSocket::recv_from] the price is that other tasks wait until all of them are copied: size the batch by what
    /// you want to handle in one go.
    ///
    /// # Errors
    ///
    /// What `recvmmsg(2)` says: `ConnectionRefused` if the peer that the socket is connected to is not there. An error that comes
    /// behind some datagrams is told by the next call: let a batch receive from one socket only.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no datagram is lost but those that the batch held before.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// use levent_io::net::{Batch, UdpSocket};
    ///
    /// let socket = UdpSocket::bind("0.0.0.0:7000").await?;
    /// let mut batch = Batch::new(64, 1500);
    /// loop {
    ///     socket.recv_many(&mut batch).await?;
    ///     // An echo: each goes back to the peer that it came from.
    ///     while !batch.is_empty() {
    ///         socket.send_many(&mut batch).await?;
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn recv_many(&self, batch: &mut Batch) -> io::Result<usize> {
        self.async_io().recv_many(batch).await
    }

    /// Sends the datagrams that the batch holds, each to its peer, from the first on, and takes those that went out of it; says how
    /// many.
    ///
    /// Waits until one at least has gone; an empty batch is sent at once, with 0. Those that did not go stay: send again. To move them
    /// allocates nothing; on Linux one system call sends up to 32.
    ///
    /// # Errors
    ///
    /// What `sendmmsg(2)` says of the first of them, which then stays: [`Batch::remove_first`] gets past it. An error of a later
    /// one is found by the next call, if it lasts till then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a datagram was sent if and only if it is not in the batch any more.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(socket: levent_io::net::UdpSocket) -> std::io::Result<()> {
    /// use levent_io::net::Batch;
    ///
    /// let mut batch = Batch::new(2, 512);
    /// batch.push(b"tick", Some(([127, 0, 0, 1], 7000).into()))?;
    /// batch.push(b"tick", Some(([127, 0, 0, 1], 7001).into()))?;
    /// while !batch.is_empty() {
    ///     if let Err(error) = socket.send_many(&mut batch).await {
    ///         eprintln!("not sent: {error}");
    ///         batch.remove_first();
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn send_many(&self, batch: &mut Batch) -> io::Result<usize> {
        self.async_io().send_many(batch).await
    }
}
