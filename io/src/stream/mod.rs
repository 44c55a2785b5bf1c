//! [`BufferedStream`]: a stream with a buffer in front and one behind, libevent's bufferevent for `async fn`.
//!
//! ```text
//!            take_line, read_exact, read_frame …          write_all, try_write, append_file …
//!                        ▲                                          │
//!                 ┌──────┴──────┐  high mark: no more reads  ┌──────▼──────┐  high mark: writers park
//!                 │    input    │  low mark: readers wait    │   output    │  low mark: they go on
//!                 └──────▲──────┘                            └──────┬──────┘
//!                        │ fill        drive, timers, events        │ drain
//!                 ┌──────┴───────────── seam ───────────────────────▼──────┐
//!                 │       transport: socket, pair, filter, TLS, any S      │
//!                 └────────────────────────────────────────────────────────┘
//! ```
//!
//! Who moves the bytes? Whoever waits. A poll of any method that has to wait first sends what there is to send, then reads if that is
//! what it waits for; one that waits for room or for a flush also reads up to the high mark, so that two peers who write at each other do not
//! block. Nothing else runs: there is no task, no registration and no memory behind a stream but its own.
//!
//! Names in parentheses such as (BE-23) are rules of the specification that the tests cite; `CONFORMANCE.md` of this crate has them all.
//!
//! Invariants
//! 1. Bytes leave `input` only in the poll that hands them to the caller, and come into `output` in the call that takes them from it. So
//!    dropping any future of this module at any time loses and repeats nothing.
//! 2. The transport is asked for bytes only when somebody waits and `input` is below the mark, and never while the direction has ended, is disabled, or has
//!    no allowance.
//! 3. A direction that has ended (end of stream, error, timeout) makes no system call until it is enabled again.
//! 4. An idle stream holds no block: fills take theirs when there are bytes.
//!
//! | File | What |
//! |---|---|
//! | `drive` | the two state machines: fill and drain, with timers, allowances and marks |
//! | `read`, `write` | what users call, on top of those |
//! | `frame` | whole messages |
//! | `relay` | from one stream to another |
//! | `side`, `event` | a direction's settings and how it ended; what is told of it |
//! | `views` | the buffers as users see them |
//! | `settings`, `quota` | marks, timeouts, limits, enabling; what many streams hold together |
//! | `seam` | the only way to the transport |
//! | `waiters` | several tasks at one stream |
//! | `connect`, `pair` | streams that are not there yet, and those in memory |
//! | `below`, `filter`, `stage` | streams over streams, and what transforms the bytes in between |

pub(crate) mod below;
mod connect;
mod drive;
mod event;
mod filter;
mod frame;
mod pair;
mod quota;
mod read;
mod relay;
pub(crate) mod seam;
mod settings;
mod side;
mod stage;
mod views;
mod waiters;
mod write;

use std::fmt;

use futures_io::{AsyncRead, AsyncWrite};

use crate::Buffer;
use connect::Connecting;
use event::Pending;
use seam::Seam;
use settings::Timing;
use side::{End, Side};
use waiters::Waiters;

pub use event::Event;
pub use filter::{Filter, FilterParts};
pub use frame::{Decoder, Delimited, LengthPrefixed};
pub use levent_reactor::lane::{Direction, Priority};
pub use pair::{PairEnd, pair};
pub use quota::Quota;
pub use relay::{Relaying, relay};
pub use seam::Socket;
pub use settings::{DEFAULT_HIGH_MARK, DEFAULT_MAX_SINGLE};
pub use stage::{Mode, Progress, Stage, StageFns, pass, stage};
pub use views::{Input, Output};
pub use write::WriteAll;

/// A stream with an input and an output buffer, watermarks, timeouts and events, over anything that reads and writes.
///
/// Reading helpers take bytes out of the buffer only when they have all they want, and writing puts them into the buffer in the call: any of the
/// futures may be dropped, in a `select`, by a timeout, and nothing is lost or sent twice.
///
/// It is `AsyncRead`, `AsyncBufRead` and `AsyncWrite`. Its own `read_exact`, `write_all`, `flush` and so on come before those of
/// the extension traits.
///
/// # When are bytes sent?
///
/// What has been written is sent as soon as somebody waits for the stream: for input, for room, for a [`flush`](BufferedStream::flush). So answering and
/// reading the next request is one `write` and one `read`, however many pieces the answer had. If another task waits for the stream already, it is woken and sends. A task that writes and
/// then waits for *something else*, with nobody at the stream, flushes first.
///
/// Dropping a stream drops what has not been sent, as closing a descriptor does: [`close`](BufferedStream::close) waits for it.
///
/// # Examples
///
/// ```
/// use levent_io::buffer::Eol;
/// use levent_io::stream::pair;
///
/// # fn main() -> std::io::Result<()> {
/// # levent_executor::block_on(async {
/// let (mut client, mut server) = pair();
/// client.write_all(b"hello\nworld\n").await?;
/// client.flush().await?;
/// assert_eq!(server.read_line(Eol::Lf).await?.as_deref(), Some(&b"hello"[..]));
/// assert_eq!(server.read_line(Eol::Lf).await?.as_deref(), Some(&b"world"[..]));
/// # Ok(()) })
/// # }
/// ```
pub struct BufferedStream<S> {
    input: Buffer,
    output: Buffer,
    /// `None` while it is connecting, and after it has been taken away.
    transport: Option<S>,
    seam: Seam<S>,
    reading: Side,
    writing: Side,
    /// What has happened and has not been told.
    pending: Pending,
    waiters: Waiters,
    /// `None` unless timeouts or rate limits have been set.
    timing: Option<Box<Timing>>,
    /// `None` unless the stream is still to come.
    connecting: Option<Box<Connecting<S>>>,
}

/// What a [`BufferedStream`] is made of: see [`into_parts`](BufferedStream::into_parts).
#[derive(Debug)]
pub struct Parts<S> {
    /// The stream below; `None` if it has not connected, or was taken away.
    pub transport: Option<S>,
    /// Bytes that were read and not taken.
    pub input: Buffer,
    /// Bytes that were written and not sent.
    pub output: Buffer,
}

impl<S: AsyncRead + AsyncWrite + Unpin> BufferedStream<S> {
    /// A stream over `transport`, with both directions enabled, no timeouts, no rate limit, and marks of [`DEFAULT_HIGH_MARK`].
    ///
    /// For this crate's sockets [`socket`](BufferedStream::socket) is the same with less on the way, and sends files without reading them.
    pub fn new(transport: S) -> BufferedStream<S> {
        BufferedStream::over(transport, seam::any::<S>)
    }
}

impl<S: seam::Socket> BufferedStream<S> {
    /// A stream over one of this crate's sockets, [`TcpStream`](crate::net::TcpStream) or [`UnixStream`](crate::net::unix::UnixStream).
    ///
    /// Otherwise as [`new`](BufferedStream::new). Parts of files in the output go out with `sendfile`.
    pub fn socket(socket: S) -> BufferedStream<S> {
        BufferedStream::over(socket, seam::socket::<S>).without_flush()
    }
}

impl<S: seam::Socket> BufferedStream<S> {
    /// Sets how urgent those are whom the socket wakes, from now on, or from when it is connected (BE-70). A transport that takes its place has its own.
    ///
    /// Of the streams that are ready in one turn the tasks of the urgent ones are polled first, and so are they before all that wait for their turn already. It is the socket's
    /// priority: set it before a filter or TLS is put over the stream. What timers wake, a rate limit's next tick among them, has the usual one.
    pub fn set_priority(&mut self, priority: Priority) {
        if let Some(socket) = &self.transport {
            socket.registration().set_priority(priority);
        } else if let Some(connecting) = &mut self.connecting {
            connecting.prepare(Box::new(move |socket| {
                socket.registration().set_priority(priority);
            }));
        }
    }

    /// How urgent those are whom the socket wakes; the usual while there is none.
    #[must_use]
    pub fn priority(&self) -> Priority {
        let socket = self.transport.as_ref();
        socket.map_or(Priority::Normal, |socket| socket.registration().priority())
    }
}

impl<S> BufferedStream<S> {
    pub(crate) fn over(transport: S, seam: Seam<S>) -> BufferedStream<S> {
        BufferedStream {
            transport: Some(transport),
            ..BufferedStream::without(seam)
        }
    }

    /// For a transport that holds nothing of what it has taken: it is not asked to flush.
    fn without_flush(mut self) -> BufferedStream<S> {
        self.writing.has_flush = false;
        self
    }

    /// One that has no transport yet.
    fn without(seam: Seam<S>) -> BufferedStream<S> {
        BufferedStream {
            input: Buffer::new(),
            output: Buffer::new(),
            transport: None,
            seam,
            reading: Side::reading(),
            writing: Side::writing(),
            pending: Pending::default(),
            waiters: Waiters::default(),
            timing: None,
            connecting: None,
        }
    }

    /// The stream below, for its addresses and options; `None` while it is connecting.
    ///
    /// Bytes that are read from it or written to it directly are missing in the buffers, or overtake them.
    pub fn get_ref(&self) -> Option<&S> {
        self.transport.as_ref()
    }

    /// As [`get_ref`](BufferedStream::get_ref).
    pub fn get_mut(&mut self) -> Option<&mut S> {
        self.transport.as_mut()
    }

    /// Takes the stream apart: nothing is sent, and nothing that was read is lost.
    pub fn into_parts(self) -> Parts<S> {
        Parts {
            transport: self.transport,
            input: self.input,
            output: self.output,
        }
    }

    /// Gives the stream bytes that were read elsewhere, in front of what it reads itself, and bytes to be sent before all others.
    ///
    /// With [`into_parts`](BufferedStream::into_parts) and `new`, this is the way back.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` if the lengths overflow; nothing is taken over then.
    pub fn restore(&mut self, input: &mut Buffer, output: &mut Buffer) -> std::io::Result<()> {
        self.input.prepend_buffer(input)?;
        self.output.prepend_buffer(output)?;
        self.settle_quota();
        self.waiters.wake_all();
        Ok(())
    }

    /// Takes the transport away and leaves the buffers; until [`set_transport`](BufferedStream::set_transport) the stream waits for one (BE-69).
    ///
    /// A connect that is under way is given up.
    pub fn take_transport(&mut self) -> Option<S> {
        self.connecting = None;
        self.restart();
        // Timers run without a transport, too: whoever waits sets them.
        self.waiters.wake_all();
        self.transport.take()
    }

    /// Puts another transport in the place of the old one, which is returned. Buffers, marks, timeouts and what is enabled stay (BE-69).
    ///
    /// A direction that had ended begins anew; a connect that is under way is given up.
    pub fn set_transport(&mut self, transport: S) -> Option<S> {
        let old = self.take_transport();
        self.transport = Some(transport);
        self.waiters.wake_all();
        old
    }

    /// Forgets what the old transport came to.
    fn restart(&mut self) {
        self.reading.end = None;
        self.writing.end = None;
        self.writing.is_held = false;
        self.pending = Pending::default();
        if let Some(timing) = &mut self.timing {
            timing.stop(Direction::Read);
            timing.stop(Direction::Write);
        }
    }

    fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Read => &self.reading,
            Direction::Write => &self.writing,
        }
    }

    fn side_mut(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Read => &mut self.reading,
            Direction::Write => &mut self.writing,
        }
    }

    /// Notes how a direction has ended, and that it has to be told.
    fn ended(&mut self, direction: Direction, end: End) {
        self.pending.note(direction, &end);
        self.side_mut(direction).end = Some(Box::new(end));
        if let Some(timing) = &mut self.timing {
            timing.stop(direction);
        }
    }
}

/// Nothing is ever pinned inside.
impl<S> Unpin for BufferedStream<S> {}

impl<S: fmt::Debug> fmt::Debug for BufferedStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedStream")
            .field("transport", &self.transport)
            .field("input", &self.input.len())
            .field("output", &self.output.len())
            .field("reading", &self.reading)
            .field("writing", &self.writing)
            .finish_non_exhaustive()
    }
}
