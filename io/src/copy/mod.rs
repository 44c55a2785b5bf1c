//! From a reader to a writer, and both ways between two streams.
//!
//! ```text
//!               ┌── block of the thread's pool ──┐
//! reader ───────┤                                ├──────▶ writer      copy, copy_bidirectional: anything that reads and writes
//!               └── pipe in the kernel ──────────┘                    splice, splice_bidirectional: this crate's sockets
//! file ──────────── sendfile ───────────────────────────▶ socket      send_file
//! ```
//!
//! `one_way` is the state machine of one direction, `pipe` what splicing adds to it. All of them are futures that say how far they
//! have come, also after an error, and while they wait.
//!
//! Invariants
//! 1. A direction holds a block or a pipe only while bytes are in it: one that waits for its reader holds nothing.
//! 2. Nothing more is read while bytes wait for the writer: what is held is at most one block, or what went into the pipe at once.
//! 3. A writer that buffers is flushed before the reader is waited for: an answer may depend on what was written.
//! 4. A poll ends after so many rounds, whatever reader and writer are and whoever polls, and has itself woken then.

mod buffered;
mod error;
mod file;
mod one_way;
mod pipe;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

pub use buffered::{CopyBuf, copy_buf};
pub use file::{SendFile, send_file};
pub use one_way::ThroughMemory;
pub(crate) use pipe::Registered;
pub use pipe::{StreamSocket, ThroughPipe};

use one_way::{Finish, Leads, OneWay, Way};

/// Copies everything from a reader to a writer, until the reader's end, and returns how many bytes that were.
///
/// The writer is flushed whenever the reader has nothing at the moment, and at the end; it is not closed. Memory is held only
/// while there are bytes in it, one block of 16 KiB from the thread's [pool](crate::buffer::pool).
///
/// # Errors
///
/// The reader's or the writer's, with the same kind, a message that says whose it is, and the original error as its
/// [`source`](std::error::Error::source). `WriteZero` if the writer accepts nothing.
///
/// # Cancel safety
///
/// Not cancel safe: a dropped copy has read up to 16 KiB that it has not written. [`Transfer::in_transit`] says how much that would
/// be, [`Transfer::copied`] how much has been written. Poll it by reference (`&mut`) to ask after it was interrupted, and to go on.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # futures_lite::future::block_on(async {
/// let mut reader: &[u8] = b"hello";
/// let mut writer = Vec::new();
/// assert_eq!(levent_io::copy(&mut reader, &mut writer).await?, 5);
/// assert_eq!(writer, b"hello");
/// # Ok(()) })
/// # }
/// ```
pub fn copy<'a, R, W>(reader: &'a mut R, writer: &'a mut W) -> Transfer<'a, R, W>
where
    R: AsyncRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    Transfer::new(reader, writer)
}

/// Copies everything from one socket to another without bringing it into the program, and returns how many bytes that were.
///
/// As [`copy`], and pays where much comes at once: what fits into one block is read and written, which is less work for
/// so little; when a read fills its block, the rest goes through a pipe in the kernel (Linux's `splice`). That pipe is held while bytes are
/// in it, and goes back to a small store of the thread then. Where the system has no `splice`, refuses it for these
/// descriptors, or has no descriptor left for a pipe, everything is read and written.
///
/// In a program that has not ignored `SIGPIPE`, as Rust programs do from their start, splicing to a socket whose peer is gone kills it.
///
/// # Errors
///
/// As [`copy`].
///
/// # Cancel safety
///
/// As [`copy`]; what is lost may be all that went into the pipe at once.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use levent_io::net::TcpStream;
///
/// let mut from = TcpStream::connect("127.0.0.1:7000").await?;
/// let mut to = TcpStream::connect("127.0.0.1:7001").await?;
/// println!("{} bytes", levent_io::splice(&mut from, &mut to).await?);
/// # Ok(()) }
/// ```
pub fn splice<'a, R, W>(reader: &'a mut R, writer: &'a mut W) -> Transfer<'a, R, W, ThroughPipe>
where
    R: StreamSocket + AsyncRead + Unpin,
    W: StreamSocket + AsyncWrite + Unpin,
{
    Transfer::new(reader, writer)
}

/// Copies both ways between two streams until both have ended, and returns how many bytes went from `a` to `b`, and from `b` to `a`.
///
/// When one has ended, the other's writing side is closed, and the other direction goes on: half-closed connections work. Each
/// direction holds memory only while there are bytes in it, so an idle relay costs none.
///
/// A peer that never closes its side keeps the relay for ever. Let it end by a timer where that matters: drop it, or poll it
/// by reference and see in [`Relay::copied`] whether anything has moved.
///
/// # Errors
///
/// The first one of either direction ends both, with the same kind, a message that says which stream's it is and what was to be
/// done with it, and the original error as its [`source`](std::error::Error::source). Nothing is closed then.
///
/// # Cancel safety
///
/// Not cancel safe, as [`copy`] is not; [`Relay::in_transit`] says what would be lost.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use levent_io::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:7000").await?;
/// let (mut client, _) = listener.accept().await?;
/// let mut server = TcpStream::connect("127.0.0.1:7001").await?;
/// let (sent, received) = levent_io::copy_bidirectional(&mut client, &mut server).await?;
/// println!("{sent} bytes sent, {received} received");
/// # Ok(()) }
/// ```
pub fn copy_bidirectional<'a, A, B>(a: &'a mut A, b: &'a mut B) -> Relay<'a, A, B>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    Relay::new(a, b)
}

/// Copies both ways between two sockets, as [`copy_bidirectional`], without bringing much into the program, as [`splice`].
///
/// # Errors
///
/// As [`copy_bidirectional`].
///
/// # Cancel safety
///
/// As [`copy_bidirectional`].
///
/// # Examples
///
/// ```no_run
/// # async fn example(mut client: levent_io::net::TcpStream) -> std::io::Result<()> {
/// use levent_io::net::unix::UnixStream;
///
/// let mut server = UnixStream::connect("/run/server").await?;
/// levent_io::splice_bidirectional(&mut client, &mut server).await?;
/// # Ok(()) }
/// ```
pub fn splice_bidirectional<'a, A, B>(a: &'a mut A, b: &'a mut B) -> Relay<'a, A, B, ThroughPipe>
where
    A: StreamSocket + AsyncRead + AsyncWrite + Unpin,
    B: StreamSocket + AsyncRead + AsyncWrite + Unpin,
{
    Relay::new(a, b)
}

/// The future of [`copy`] and [`splice`]. `V` is the way that the bytes take.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # futures_lite::future::block_on(async {
/// let (mut reader, mut writer) = (&b"hello"[..], Vec::new());
/// let mut copy = levent_io::copy(&mut reader, &mut writer);
/// (&mut copy).await?;
/// assert_eq!((copy.copied(), copy.in_transit()), (5, 0));
/// # Ok(()) })
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Transfer<'a, R: ?Sized, W: ?Sized, V = ThroughMemory> {
    reader: &'a mut R,
    writer: &'a mut W,
    way: OneWay<V>,
}

impl<'a, R: ?Sized, W: ?Sized, V: Way> Transfer<'a, R, W, V> {
    fn new(reader: &'a mut R, writer: &'a mut W) -> Self {
        Transfer {
            reader,
            writer,
            way: OneWay::new(Finish::Flush),
        }
    }

    /// How many bytes the writer has accepted so far.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.way.copied()
    }

    /// How many bytes have been read that the writer has not accepted yet.
    #[must_use]
    pub fn in_transit(&self) -> usize {
        self.way.in_transit()
    }
}

impl<R, W, V> Future for Transfer<'_, R, W, V>
where
    R: AsyncRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
    V: Leads<R, W>,
{
    type Output = io::Result<u64>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let this = &mut *self;
        this.way
            .poll(cx, this.reader, this.writer)
            .map_err(|failure| failure.between("the reader", "the writer"))
    }
}

impl<R: ?Sized, W: ?Sized, V: Way> fmt::Debug for Transfer<'_, R, W, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("copied", &self.copied())
            .field("in_transit", &self.in_transit())
            .finish_non_exhaustive()
    }
}

/// The future of [`copy_bidirectional`] and [`splice_bidirectional`]. `V` is the way that the bytes take.
///
/// # Examples
///
/// A relay that ends when nothing has moved for a while, whatever measures the while:
///
/// ```no_run
/// # async fn while_() {}
/// # async fn example(mut a: levent_io::net::TcpStream, mut b: levent_io::net::TcpStream) -> std::io::Result<()> {
/// use futures_lite::future::{or, FutureExt};
///
/// let mut relay = levent_io::copy_bidirectional(&mut a, &mut b);
/// loop {
///     let before = relay.copied();
///     let ended = async { (&mut relay).await.map(Some) };
///     let waited = async { while_().await; Ok(None) };
///     if or(ended, waited).await?.is_some() || relay.copied() == before {
///         break;
///     }
/// }
/// # Ok(()) }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Relay<'a, A: ?Sized, B: ?Sized, V = ThroughMemory> {
    a: &'a mut A,
    b: &'a mut B,
    a_to_b: OneWay<V>,
    b_to_a: OneWay<V>,
}

impl<'a, A: ?Sized, B: ?Sized, V: Way> Relay<'a, A, B, V> {
    fn new(a: &'a mut A, b: &'a mut B) -> Self {
        Relay {
            a,
            b,
            a_to_b: OneWay::new(Finish::Close),
            b_to_a: OneWay::new(Finish::Close),
        }
    }

    /// How many bytes have gone so far from `a` to `b`, and from `b` to `a`.
    #[must_use]
    pub fn copied(&self) -> (u64, u64) {
        (self.a_to_b.copied(), self.b_to_a.copied())
    }

    /// How many bytes have been read that were not written yet, on their way from `a` to `b`, and from `b` to `a`.
    #[must_use]
    pub fn in_transit(&self) -> (usize, usize) {
        (self.a_to_b.in_transit(), self.b_to_a.in_transit())
    }
}

impl<A, B, V> Future for Relay<'_, A, B, V>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
    V: Leads<A, B> + Leads<B, A>,
{
    type Output = io::Result<(u64, u64)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<(u64, u64)>> {
        let this = &mut *self;
        let there = this.a_to_b.poll(cx, this.a, this.b);
        let there = there.map_err(|failure| failure.between("a", "b"))?;
        // Polled also while the first one is pending: each waits for itself.
        let back = this.b_to_a.poll(cx, this.b, this.a);
        let back = back.map_err(|failure| failure.between("b", "a"))?;
        Poll::Ready(Ok((ready!(there), ready!(back))))
    }
}

impl<A: ?Sized, B: ?Sized, V: Way> fmt::Debug for Relay<'_, A, B, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("copied", &self.copied())
            .field("in_transit", &self.in_transit())
            .finish_non_exhaustive()
    }
}
