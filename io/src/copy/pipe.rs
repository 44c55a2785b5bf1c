//! Through the kernel: socket ──splice──▶ pipe ──splice──▶ socket.
//!
//! What makes this subtle is that `splice` answers `WouldBlock` for an empty socket and for a full pipe, and a pipe may be full with few
//! bytes in it. So the pipe is filled only while it is empty, and drained only while it is not: then the answer speaks of the socket.
//!
//! Nor is a pipe the place to learn that a socket has nothing. In front of urgent data, for one, `splice` answers `WouldBlock`, or the end, and
//! no event follows that would say more. Hence each run of splices ends with a read, and that one waits, or ends the direction. A run begins when
//! a read has filled its block, so that little messages, and idle connections, never see a pipe.
//!
//! Invariants
//! 1. `held` bytes are in the pipe; there is a pipe if `held > 0` or the run goes on.
//! 2. The thread's store has empty pipes only, made since the last fork: what went through an inherited one could come out at the parent.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll, ready};

use levent_reactor::file::Pipe;
use levent_reactor::lane::{Direction, Source};

use super::one_way::{Leads, Way};
use crate::buffer::{again, is_unable};
use crate::net::{ReadHalf, WriteHalf};

/// The most that goes into the pipe at once: what a pipe of the usual size has room for.
///
/// A larger pipe takes fewer calls, and a few percent less time; but a direction whose writer is slow holds what went in, and the system
/// gives pipes of a larger size to so few that other programs of the same user would notice.
const RUN: usize = 64 << 10;

/// How many empty pipes a thread keeps: two descriptors each. To make and close one costs as much as splicing some ten KiB.
const KEPT: usize = 4;

thread_local! {
    static STORE: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// The stream sockets of this crate and their halves: what [`splice`](super::splice()) and [`send_file`](super::send_file()) go to.
///
/// # Examples
///
/// ```no_run
/// # async fn example(stream: levent_io::net::TcpStream) -> std::io::Result<()> {
/// let (mut reader, mut writer) = stream.split();
/// levent_io::splice(&mut reader, &mut writer).await?; // an echo
/// # Ok(()) }
/// ```
pub trait StreamSocket: Registered {}

impl<S: Registered> StreamSocket for S {}

/// What nobody else can implement.
pub trait Registered {
    fn registration(&self) -> &Source;
    fn descriptor(&self) -> BorrowedFd<'_>;
}

impl<S: Registered> Registered for ReadHalf<S> {
    fn registration(&self) -> &Source {
        self.get_ref().registration()
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.get_ref().descriptor()
    }
}

impl<S: Registered> Registered for WriteHalf<S> {
    fn registration(&self) -> &Source {
        self.get_ref().registration()
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.get_ref().descriptor()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Reads have been short.
    #[default]
    Reading,
    /// There was much, and a splice has not said otherwise since.
    Splicing,
    /// The system does not splice these.
    Refused,
}

/// Bytes are spliced where there are many, and read and written where there are few: the way of [`splice`](super::splice()), by its
/// name in types.
///
/// # Examples
///
/// ```
/// use levent_io::{Relay, ThroughPipe, net::TcpStream};
///
/// /// A relay that a structure keeps.
/// type Spliced<'a> = Relay<'a, TcpStream, TcpStream, ThroughPipe>;
/// ```
#[derive(Default)]
pub struct ThroughPipe {
    pipe: Option<Pipe>,
    held: usize,
    stage: Stage,
}

impl ThroughPipe {
    /// One splice into the pipe, which is empty.
    fn fill(&mut self, from: BorrowedFd<'_>) -> io::Result<usize> {
        let pipe = match &self.pipe {
            Some(pipe) => pipe,
            None => self.pipe.insert(take_pipe()?),
        };
        again(|| pipe.fill(from, RUN))
    }

    /// Gives the pipe back. One with bytes in it is closed, and they are gone.
    fn let_go(&mut self) {
        if let Some(pipe) = self.pipe.take() {
            if self.held == 0 {
                keep_pipe(pipe);
            }
        }
    }
}

impl Way for ThroughPipe {
    fn note_full(&mut self) {
        if self.stage == Stage::Reading {
            self.stage = Stage::Splicing;
        }
    }

    fn held(&self) -> usize {
        self.held
    }

    fn fetch(&mut self, memory: &mut [u8]) -> io::Result<usize> {
        let Some(pipe) = &self.pipe else {
            return Ok(0);
        };
        let count = pipe.read(memory)?;
        self.held = self.held.saturating_sub(count);
        if self.held == 0 {
            self.let_go();
        }
        Ok(count)
    }
}

impl<R: Registered, W: Registered> Leads<R, W> for ThroughPipe {
    fn take(&mut self, reader: &R) -> io::Result<usize> {
        if self.stage != Stage::Splicing {
            return Ok(0);
        }
        debug_assert_eq!(self.held, 0, "a pipe that is not empty may be full");
        let next = match self.fill(reader.descriptor()) {
            Ok(0) => Stage::Reading,
            Ok(count) => {
                self.held = count;
                return Ok(count);
            }
            Err(error) if is_unable(&error) => Stage::Refused,
            // Nothing there, or no pipe to be had just now. An error of the socket is the socket's only once: it is not asked again.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock || self.pipe.is_none() => {
                Stage::Reading
            }
            Err(error) => return Err(error),
        };
        self.stage = next;
        self.let_go();
        Ok(0)
    }

    fn poll_deliver(&mut self, cx: &mut Context<'_>, writer: &W) -> Poll<io::Result<usize>> {
        let Some(pipe) = &self.pipe else {
            return Poll::Ready(Ok(0));
        };
        if self.stage == Stage::Refused {
            return Poll::Ready(Ok(0));
        }
        let (to, held) = (writer.descriptor(), self.held);
        // The pipe is not empty, so it is the socket that would block.
        let drained = writer
            .registration()
            .poll_io(Direction::Write, cx, || pipe.drain(to, held));
        match ready!(drained) {
            Ok(count) => {
                self.held -= count.min(held);
                Poll::Ready(Ok(count))
            }
            Err(error) if is_unable(&error) => {
                self.stage = Stage::Refused;
                Poll::Ready(Ok(0))
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl Drop for ThroughPipe {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl fmt::Debug for ThroughPipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThroughPipe")
            .field("held", &self.held)
            .field("stage", &self.stage)
            .finish()
    }
}

/// A pipe of the store, or a new one.
fn take_pipe() -> io::Result<Pipe> {
    // A thread that is ending has no store any more.
    let stored = STORE.try_with(|store| store.borrow_mut().pop());
    match stored {
        Ok(Some(pipe)) if !pipe.is_inherited() => Ok(pipe),
        _ => Pipe::new(),
    }
}

fn keep_pipe(pipe: Pipe) {
    if pipe.is_inherited() {
        return;
    }
    // As above; the pipe is closed with the closure then.
    let _ = STORE.try_with(|store| {
        let mut store = store.borrow_mut();
        if store.len() < KEPT {
            store.push(pipe);
        }
    });
}
