//! A file to a socket.

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::AsyncWrite;
use levent_reactor::file::send_file as send;
use levent_reactor::lane::Direction;

use super::StreamSocket;
use super::error::{Action, Failure, accepts_nothing, claims_too_much};
use crate::buffer::pool::{Block, LARGE};
use crate::buffer::{again, is_unable};

/// The most that one call sends: it reads the disk, and others wait meanwhile.
const PIECE: u64 = 256 << 10;

/// How many calls a poll makes before others have their turn.
const ROUNDS: u32 = 8;

/// Sends `len` bytes of a file, from `offset` on, to a socket, and returns how many that were: `len`.
///
/// With Linux's `sendfile` they never come into the program; elsewhere, and where the system refuses these two, they are read
/// and written, a block of 16 KiB at a time. The file's own position stays. What is not in the system's cache is read
/// from the disk while the loop waits.
///
/// In a program that has not ignored `SIGPIPE`, as Rust programs do from their start, sending to a socket whose peer is gone kills it.
///
/// # Errors
///
/// `UnexpectedEof` if the file ends before; otherwise the file's or the socket's, with a message that says whose it is as far as the system tells,
/// and the original error as its [`source`](std::error::Error::source). [`SendFile::sent`] says how much has been sent by then.
///
/// # Cancel safety
///
/// Dropped, it has sent [`SendFile::sent`] bytes: poll it by reference to ask. Another `send_file` goes on from there.
///
/// # Examples
///
/// ```no_run
/// # async fn example(mut stream: levent_io::net::TcpStream) -> std::io::Result<()> {
/// let file = std::fs::File::open("page.html")?;
/// let len = file.metadata()?.len();
/// let mut sending = levent_io::send_file(&mut stream, &file, 0, len);
/// if let Err(error) = (&mut sending).await {
///     eprintln!("{error}, after {} of {len} bytes", sending.sent());
/// }
/// # Ok(()) }
/// ```
pub fn send_file<'a, S>(socket: &'a mut S, file: &'a File, offset: u64, len: u64) -> SendFile<'a, S>
where
    S: StreamSocket + AsyncWrite + Unpin,
{
    SendFile {
        socket,
        file,
        offset,
        left: len,
        sent: 0,
        is_refused: false,
        block: None,
        start: 0,
        end: 0,
    }
}

/// The future of [`send_file`](send_file()), which has an example.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct SendFile<'a, S> {
    socket: &'a mut S,
    file: &'a File,
    /// Where the next byte is that was not sent.
    offset: u64,
    left: u64,
    sent: u64,
    /// The system does not do it with these two.
    is_refused: bool,
    /// `Some` while `start..end` of it are to be written.
    block: Option<Block>,
    start: usize,
    end: usize,
}

impl<S: StreamSocket + AsyncWrite + Unpin> SendFile<'_, S> {
    /// How many bytes the socket has accepted so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.is_refused {
            return self.poll_write(cx);
        }
        let (socket, file, offset) = (&*self.socket, self.file, self.offset);
        // At most `PIECE`, which is a `usize` everywhere.
        let count = self.left.min(PIECE) as usize;
        let sent = socket.registration().poll_io(Direction::Write, cx, || {
            send(socket.descriptor(), file.as_fd(), offset, count)
        });
        match ready!(sent) {
            Ok(0) => return Poll::Ready(Err(Failure::new(Action::Read, too_short()))),
            Ok(count) => self.note_sent(count),
            Err(error) if is_unable(&error) => self.is_refused = true,
            // It may be the file's. Nearly always it is the socket's.
            Err(error) => return Poll::Ready(Err(Failure::new(Action::Write, error))),
        }
        Poll::Ready(Ok(()))
    }

    /// The other way: one write, of what is read now if nothing is left of the last time.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let block = match self.block.take() {
            Some(block) => block,
            None => match self.read() {
                Ok(block) => block,
                Err(error) => return Poll::Ready(Err(Failure::new(Action::Read, error))),
            },
        };
        let bytes = &block[self.start..self.end];
        let result = match Pin::new(&mut *self.socket).poll_write(cx, bytes) {
            Poll::Pending => {
                self.block = Some(block);
                return Poll::Pending;
            }
            Poll::Ready(Ok(0)) => Err(accepts_nothing()),
            Poll::Ready(Ok(count)) if count > bytes.len() => Err(claims_too_much()),
            Poll::Ready(Ok(count)) => {
                self.start += count;
                self.note_sent(count);
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(error),
        };
        self.block = (self.start < self.end).then_some(block);
        Poll::Ready(result.map_err(|error| Failure::new(Action::Write, error)))
    }

    /// Reads the next piece into a block.
    fn read(&mut self) -> io::Result<Block> {
        let mut block = Block::of(LARGE, 0)?;
        let count = self.left.min(block.len() as u64) as usize;
        let count = match again(|| self.file.read_at(&mut block[..count], self.offset))? {
            0 => return Err(too_short()),
            count => count,
        };
        (self.start, self.end) = (0, count);
        Ok(block)
    }

    fn note_sent(&mut self, count: usize) {
        let count = count as u64;
        self.offset += count;
        self.sent += count;
        self.left -= count;
    }
}

impl<S: StreamSocket + AsyncWrite + Unpin> Future for SendFile<'_, S> {
    type Output = io::Result<u64>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let this = &mut *self;
        for _ in 0..ROUNDS {
            if this.left == 0 {
                return Poll::Ready(Ok(this.sent));
            }
            ready!(this.poll_piece(cx))
                .map_err(|failure| failure.between("the file", "the socket"))?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S> fmt::Debug for SendFile<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendFile")
            .field("sent", &self.sent)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

fn too_short() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the file ends before all that was to be sent",
    )
}
