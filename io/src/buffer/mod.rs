//! [`Buffer`]: a queue of bytes in chunks, libevent's evbuffer.
//!
//! ```text
//!  prepend ─▶ ┌───────┐ ┌───────────────┐ ┌──────────┐ ┌───────┬─────┐ ◀─ append, reserve, read_from
//!             │ block │ │ Arc, 'static  │ │ file     │ │ block │room │   ┌─────────┐
//!  drain  ◀── └───────┘ └───────────────┘ └──────────┘ └───────┴─────┘   │ spare   │  made by expand
//!  read, take_line, write_to …                                           └─────────┘
//! ```
//!
//! Names in parentheses such as (EB-34) are rules of the specification that the tests cite; `CONFORMANCE.md` of this crate has them all.
//!
//! Invariants
//! 1. `len` is the sum of the chunks' lengths, and no chunk is empty (EB-3).
//! 2. The spare block holds no bytes and comes behind the last chunk. Whoever empties the buffer gives it back: an empty buffer owns
//!    no block but one that `expand` has just been asked for.
//! 3. A call that fails has changed nothing (EB-100).
//! 4. Observers run last, when nothing of the buffer is borrowed and its length is final (EB-101).
//! 5. Every change goes through `note`, with the exact count.
//!
//! Where things are
//!
//! | File | What |
//! |---|---|
//! | `append`, `reserve`, `consume`, `moves`, `references` | bytes in, out and between buffers |
//! | `peek`, `cursor`, `search`, `lines` | looking |
//! | `transfer`, `segment` | descriptors and files |
//! | `freeze`, `notify` | who may change what, and who hears of it |
//! | `chunk`, `chain`, `pool` | what it is made of |

mod append;
mod chain;
mod chunk;
mod consume;
mod cursor;
mod freeze;
mod lines;
mod moves;
mod notify;
mod peek;
pub mod pool;
mod references;
mod reserve;
mod search;
mod segment;
mod traits;
mod transfer;

use std::fmt;
use std::io;
use std::num::NonZeroU32;

use chain::Chain;
use freeze::Frozen;
use lines::Scan;
use notify::Observers;
use pool::Block;

pub use cursor::Cursor;
pub use freeze::Side;
pub use lines::Eol;
pub use notify::{Change, ObserverId};
pub use peek::Slices;
pub use reserve::Reservation;
pub use segment::{Segment, SegmentError};
pub use transfer::DEFAULT_MAX_READ;
pub(crate) use transfer::{again, is_unable};

/// A queue of bytes: added at the end, taken from the front, and never moved in between.
///
/// The bytes lie in chunks. Whole chunks change hands when a buffer is moved into another, memory of somebody else's and parts of files
/// are appended without a copy, and [`peek`](Buffer::peek) shows the chunks as `IoSlice`s. Blocks come from the [thread's pool](pool);
/// an empty buffer owns none.
///
/// A buffer has one owner: it is `Send + Sync`, and to share one put it into a lock (EB-110). Nothing here panics on any argument; what cannot be
/// done is an `io::Error` that says what to do, and leaves the buffer as it was (EB-100).
///
/// Besides the methods there are `Read`, `BufRead` and `Write`, `Extend<u8>`, and `From` of vectors, slices and strings.
///
/// # Examples
///
/// ```
/// use levent_io::Buffer;
/// use levent_io::buffer::Eol;
/// use std::io::Write;
///
/// # fn main() -> std::io::Result<()> {
/// let mut input = Buffer::new();
/// input.append(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nbody")?;
/// assert_eq!(input.take_line(Eol::Crlf)?.as_deref(), Some(&b"GET / HTTP/1.1"[..]));
///
/// // The end of the head, whatever chunks it lies in.
/// let head = input.search(b"\r\n\r\n").expect("it is there");
/// input.drain(head + 4)?;
///
/// let mut output = Buffer::new();
/// write!(output, "{} bytes: ", input.len())?;
/// output.append_buffer(&mut input)?; // nothing is copied
/// assert!(input.is_empty());
/// assert_eq!(output.to_vec()?, b"4 bytes: body");
/// # Ok(()) }
/// ```
#[derive(Default)]
pub struct Buffer {
    chain: Chain,
    len: usize,
    frozen: Frozen,
    /// How far the search for the end of a line has come.
    scan: Scan,
    /// `None` unless one of them is there. Boxed: buffers are part of every idle stream.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    /// Room behind the last chunk that holds no bytes yet.
    spare: Option<Block>,
    /// `None` until there is an observer.
    observers: Option<Box<Observers>>,
    /// The most that one `read_from` takes; `None` is the default.
    max_read: Option<NonZeroU32>,
}

impl Buffer {
    /// An empty buffer. Allocates nothing.
    #[must_use]
    pub fn new() -> Buffer {
        Buffer::default()
    }

    /// How many bytes it holds. O(1) (EB-11).
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Does it hold no bytes? O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes lie in one piece at the front: what [`first_slice`](Buffer::first_slice) shows. O(1) (EB-11).
    #[must_use]
    pub fn contiguous_len(&self) -> usize {
        self.chain.front().map_or(0, |chunk| chunk.len())
    }

    /// How many bytes of memory the buffer owns or shares with other buffers, used or not: its blocks and the spare one.
    ///
    /// What belongs to others is not counted: references, and files. Costs a walk over the chunks.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let chunks: usize = self.chain.iter().map(|chunk| chunk.footprint()).sum();
        chunks + self.spare().map_or(0, |block| block.len())
    }

    /// How many chunks the bytes lie in: as many `IoSlice`s show them all. O(1).
    #[must_use]
    pub fn chunk_count(&self) -> usize {
        self.chain.len()
    }

    /// Called when the last byte has gone: an empty buffer owns nothing.
    fn release(&mut self) {
        debug_assert!(self.len == 0 && self.chain.is_empty());
        self.set_spare(None);
        self.scan.reset();
    }

    #[inline]
    fn spare(&self) -> Option<&Block> {
        self.rare.as_ref()?.spare.as_ref()
    }

    fn take_spare(&mut self) -> Option<Block> {
        let spare = self.rare.as_mut()?.spare.take();
        self.settle_rare();
        spare
    }

    #[inline]
    fn set_spare(&mut self, spare: Option<Block>) {
        if self.rare.is_some() || spare.is_some() {
            self.rare.get_or_insert_default().spare = spare;
            self.settle_rare();
        }
    }

    /// The observers, made if need be.
    fn make_observers(&mut self) -> &mut Observers {
        let rare = self.rare.get_or_insert_default();
        rare.observers.get_or_insert_default()
    }

    #[inline]
    fn observers(&self) -> Option<&Observers> {
        self.rare.as_ref()?.observers.as_deref()
    }

    #[inline]
    fn observers_mut(&mut self) -> Option<&mut Observers> {
        self.rare.as_mut()?.observers.as_deref_mut()
    }

    /// Frees the box when nothing is in it.
    fn settle_rare(&mut self) {
        if let Some(Rare {
            spare: None,
            observers: None,
            max_read: None,
        }) = self.rare.as_deref()
        {
            self.rare = None;
        }
    }

    /// Could `more` bytes come in without the length overflowing (EB-6)?
    fn check_len(&self, more: usize) -> io::Result<()> {
        match self.len.checked_add(more) {
            Some(len) if len <= isize::MAX as usize => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                "a buffer cannot count that many bytes: write out what it holds before adding more",
            )),
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len)
            .field("chunks", &self.chain.len())
            .field("footprint", &self.footprint())
            .field("frozen", &self.frozen)
            .field("max_read", &self.max_read())
            .field("observers", &self.observers().map_or(0, Observers::count))
            .finish()
    }
}
