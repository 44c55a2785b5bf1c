//! One direction of a stream: its settings, and how it ended.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::Direction;
use super::settings::{DEFAULT_HIGH_MARK, DEFAULT_MAX_SINGLE};

/// How much a fill asks for at first: one small block.
const STEP_MIN: u32 = 4 << 10;

/// How much it asks for after it has had all that it asked for; after that, for the most there is. A large block and some: so that a message of a large
/// block's size, which many are, is less than was asked for, and a socket need not be asked whether there is more.
const STEP_MIDDLE: u32 = 20 << 10;

#[derive(Debug)]
pub(super) struct Side {
    /// The user's wish (BE-4).
    pub(super) is_enabled: bool,
    /// The buffer has reached the high mark and not yet come down to the low one.
    pub(super) is_full: bool,
    /// In bytes, as the marks below: 4 GiB is as good as none.
    low: u32,
    /// `u32::MAX` for none.
    high: u32,
    /// The most that one operation of the transport moves.
    max_single: u32,
    /// How much the next fill asks for: grows while fills are full, so that an interactive stream takes small blocks and a bulk one few calls.
    step: u32,
    /// The transport may hold bytes of ours: it has not been flushed since it took some. Never set for one that holds none.
    pub(super) is_held: bool,
    /// The transport is one that has to be flushed.
    pub(super) has_flush: bool,
    /// `Some` from the end of stream, error or timeout until the direction is enabled again.
    pub(super) end: Option<Box<End>>,
}

/// A number of bytes in 32 bits; what is more means no limit.
fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl Side {
    pub(super) fn reading() -> Side {
        Side {
            is_enabled: true,
            is_full: false,
            low: 0,
            high: narrow(DEFAULT_HIGH_MARK),
            max_single: narrow(DEFAULT_MAX_SINGLE),
            step: STEP_MIN,
            is_held: false,
            has_flush: true,
            end: None,
        }
    }

    pub(super) fn writing() -> Side {
        Side {
            low: narrow(DEFAULT_HIGH_MARK / 2),
            ..Side::reading()
        }
    }

    #[inline]
    pub(super) fn low(&self) -> usize {
        self.low as usize
    }

    /// `usize::MAX` for none.
    #[inline]
    pub(super) fn high(&self) -> usize {
        match self.high {
            u32::MAX => usize::MAX,
            high => high as usize,
        }
    }

    /// `high` of 0 is none.
    pub(super) fn set_marks(&mut self, low: usize, high: usize) {
        self.low = narrow(low);
        self.high = if high == 0 { u32::MAX } else { narrow(high) };
    }

    #[inline]
    pub(super) fn max_single(&self) -> usize {
        self.max_single as usize
    }

    pub(super) fn set_max_single(&mut self, bytes: usize) {
        self.max_single = narrow(bytes);
    }

    /// How much the next fill asks for.
    #[inline]
    pub(super) fn next_fill(&self) -> usize {
        self.step.min(self.max_single) as usize
    }

    /// Keeps `is_full` true to the buffer's length: up at the high mark, down at the low one.
    #[inline]
    pub(super) fn settle(&mut self, len: usize) {
        if len >= self.high() {
            self.is_full = true;
        } else if len <= self.low() {
            self.is_full = false;
        }
    }

    /// A fill was allowed `granted` bytes and brought `moved`.
    #[inline(always)]
    pub(super) fn adapt(&mut self, granted: usize, moved: usize) {
        let step = self.step as usize;
        if moved == granted && granted >= step {
            let wider = if self.step < STEP_MIDDLE {
                STEP_MIDDLE
            } else {
                self.max_single
            };
            self.step = wider.min(self.max_single).max(STEP_MIN);
        } else if moved <= step / 8 && self.step > STEP_MIN {
            self.step = if self.step > STEP_MIDDLE {
                STEP_MIDDLE
            } else {
                STEP_MIN
            };
        }
    }
}

/// Why a direction does nothing any more.
#[derive(Clone)]
pub(super) enum End {
    /// The peer has finished: no error.
    Eof,
    /// Nothing moved for the direction's timeout.
    TimedOut,
    /// We have finished.
    Closed,
    Os(i32),
    Failed(Arc<io::Error>),
}

impl End {
    /// What an operation that runs into it answers: 0 bytes, or the error, each time a new one that says the same.
    pub(super) fn answer(&self, direction: Direction) -> io::Result<usize> {
        Err(match self {
            End::Eof => return Ok(0),
            End::Closed => io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the stream has been closed for writing: write before `close`",
            ),
            End::TimedOut => io::Error::new(io::ErrorKind::TimedOut, Late(direction)),
            End::Os(code) => io::Error::from_raw_os_error(*code),
            End::Failed(error) => io::Error::new(error.kind(), Shared(error.clone())),
        })
    }
}

impl End {
    pub(super) fn is_timeout(&self) -> bool {
        matches!(self, End::TimedOut)
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        match error.raw_os_error() {
            Some(code) => End::Os(code),
            // The timeout of a stream below this one is this one's, too, and can be gone on from.
            None if error.get_ref().is_some_and(|inner| inner.is::<Late>()) => End::TimedOut,
            None => End::Failed(Arc::new(error)),
        }
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Eof => f.write_str("Eof"),
            End::TimedOut => f.write_str("TimedOut"),
            End::Closed => f.write_str("Closed"),
            End::Os(code) => io::Error::from_raw_os_error(*code).fmt(f),
            End::Failed(error) => error.fmt(f),
        }
    }
}

/// The error of a timeout.
#[derive(Debug)]
struct Late(Direction);

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Direction::Read => {
                "nothing came for the read timeout: enable reading to go on, or drop the stream"
            }
            Direction::Write => {
                "nothing could be sent for the write timeout: enable writing to go on, or drop the stream"
            }
        })
    }
}

impl std::error::Error for Late {}

/// An error that is told more than once.
#[derive(Debug)]
struct Shared(Arc<io::Error>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The shared error's own place in the chain is taken by this one, which prints the same.
        self.0.get_ref().map(|inner| inner as _)
    }
}
