//! Blocks of memory, and the thread's store of free ones.
//!
//! ```text
//! Block::of(need) ◀── small (4 KiB), large (16 KiB) ◀── Drop of a Block
//!        └──────────── or the allocator ───────────────────────┘
//! ```
//!
//! Each thread has one store, and so has each base, since a base is run by one thread. The last block that came back is the first to go out: it
//! is the one in the processor's cache. A block is filled with zeroes when it is made and never again; what lies in its free part later
//! is whatever it held before, in this buffer or another one of the thread.
//!
//! Invariants
//! 1. The store holds blocks of the two sizes only, and at most [`cap`](set_cap) bytes of them.
//! 2. No foreign code runs while the store is borrowed.

use std::cell::RefCell;
use std::io;
use std::mem;
use std::ops::{Deref, DerefMut};

/// What a buffer takes first: one page, which holds most requests.
pub(super) const SMALL: usize = 4 << 10;

/// What a buffer takes that holds more than this already, or is to hold it at once.
pub(crate) const LARGE: usize = 16 << 10;

/// How much free memory a thread keeps unless it is told otherwise.
const DEFAULT_CAP: usize = 1 << 20;

thread_local! {
    static STORE: RefCell<Store> = const { RefCell::new(Store::new()) };
}

/// Initialised memory of one owner. Dropped, it goes back to the thread's store if it has one of the store's sizes.
pub(crate) struct Block(Box<[u8]>);

impl Block {
    /// A block of at least `need` bytes, for a buffer that holds `held` already.
    pub(crate) fn of(need: usize, held: usize) -> io::Result<Block> {
        let size = match need {
            0..=SMALL if held < LARGE => SMALL,
            0..=LARGE => LARGE,
            exact => exact,
        };
        let stored = STORE.try_with(|store| store.borrow_mut().take(size));
        // Without a store the thread is ending; the allocator still works.
        if let Ok(Some(bytes)) = stored {
            return Ok(Block(bytes));
        }
        let mut bytes = allocate(size)?;
        bytes.resize(size, 0);
        Ok(Block(bytes.into_boxed_slice()))
    }

    /// A block that holds `data` and no more.
    pub(super) fn copy_of(data: &[u8]) -> io::Result<Block> {
        let mut bytes = allocate(data.len())?;
        bytes.extend_from_slice(data);
        Ok(Block(bytes.into_boxed_slice()))
    }
}

impl From<Vec<u8>> for Block {
    fn from(bytes: Vec<u8>) -> Block {
        Block(bytes.into_boxed_slice())
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Block {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let bytes = mem::take(&mut self.0);
        if matches!(bytes.len(), SMALL | LARGE) {
            // A thread that is ending has no store any more, and the block is freed with the closure.
            let _ = STORE.try_with(|store| store.borrow_mut().put(bytes));
        }
    }
}

/// An empty vector with room for exactly `size` bytes.
pub(super) fn allocate(size: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| {
        io::Error::new(
            io::ErrorKind::OutOfMemory,
            "a buffer cannot have that much memory in one piece: ask for less at a time",
        )
    })?;
    Ok(bytes)
}

struct Store {
    small: Vec<Box<[u8]>>,
    large: Vec<Box<[u8]>>,
    /// Bytes in both.
    held: usize,
    cap: usize,
}

impl Store {
    const fn new() -> Store {
        Store {
            small: Vec::new(),
            large: Vec::new(),
            held: 0,
            cap: DEFAULT_CAP,
        }
    }

    fn take(&mut self, size: usize) -> Option<Box<[u8]>> {
        let bytes = match size {
            SMALL => self.small.pop(),
            LARGE => self.large.pop(),
            _ => None,
        }?;
        self.held -= bytes.len();
        Some(bytes)
    }

    fn put(&mut self, bytes: Box<[u8]>) {
        if self.held + bytes.len() > self.cap {
            return;
        }
        self.held += bytes.len();
        match bytes.len() {
            SMALL => self.small.push(bytes),
            _ => self.large.push(bytes),
        }
    }

    /// Frees blocks, the large ones first, until at most `keep` bytes are left.
    fn trim(&mut self, keep: usize) {
        while self.held > keep {
            let Some(bytes) = self.large.pop().or_else(|| self.small.pop()) else {
                break;
            };
            self.held -= bytes.len();
        }
        self.small.shrink_to_fit();
        self.large.shrink_to_fit();
    }
}

/// How many bytes of free blocks this thread keeps for its buffers.
///
/// ```
/// use levent_io::buffer::{Buffer, pool};
///
/// # fn main() -> std::io::Result<()> {
/// let before = pool::held();
/// let mut buffer = Buffer::new();
/// buffer.append(b"request")?;
/// drop(buffer);
/// assert!(pool::held() >= before.max(1));
/// pool::trim(0);
/// assert_eq!(pool::held(), 0);
/// # Ok(()) }
/// ```
#[must_use]
pub fn held() -> usize {
    STORE.with(|store| store.borrow().held)
}

/// The most that this thread keeps, in bytes: 1 MiB unless [`set_cap`] has changed it.
#[must_use]
pub fn cap() -> usize {
    STORE.with(|store| store.borrow().cap)
}

/// Sets the most that this thread keeps, in bytes, and frees what is more than that.
///
/// With 0 every block comes from the allocator and goes back there.
pub fn set_cap(bytes: usize) {
    STORE.with(|store| {
        let mut store = store.borrow_mut();
        store.cap = bytes;
        if store.held > bytes {
            store.trim(bytes);
        }
    });
}

/// Frees this thread's free blocks until at most `keep` bytes of them are left: after a burst, or before a long rest.
///
/// Costs one call of the allocator per block that goes.
pub fn trim(keep: usize) {
    STORE.with(|store| store.borrow_mut().trim(keep));
}
