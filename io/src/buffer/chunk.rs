//! A chunk: some bytes of a buffer that lie in one piece, and what they lie in.
//!
//! ```text
//!        start        end
//!          ▼           ▼
//! ┌────────┬───────────┬─────────────┐
//! │ room   │ the bytes │ room        │   a block of its own: both rooms can be written
//! └────────┴───────────┴─────────────┘
//!           anything else: read-only, no room
//! ```
//!
//! Invariants
//! 1. `start <= end`, and `end` is at most the storage's length.
//! 2. Only a block with one owner is ever written. A block becomes read-only for good when it is shared, by a move that cuts it
//!    or by a view of it.

use std::io;
use std::mem;
use std::sync::Arc;

use super::pool::Block;
use super::segment::Segment;

/// Bytes that end in another place when they are cut off a block are copied up to this many, and share the block from there on: a copy of
/// this size costs about what the shared count does.
pub(super) const COPY_MAX: usize = 512;

/// The most live bytes that are moved within a block to make room behind them (EB-10).
const COMPACT_MAX: usize = 2048;

/// Whose memory a reference appends; `bytes::Bytes` and mapped files among others.
pub(super) type Owner = Arc<dyn AsRef<[u8]> + Send + Sync>;

#[derive(Clone)]
pub(super) enum ReadOnly {
    Static(&'static [u8]),
    Shared(Arc<[u8]>),
    Owner(Owner),
    /// A block that more than one chunk looks into.
    Block(Arc<Block>),
    /// A part of a file, in memory or not.
    File(Segment),
}

enum Storage {
    Own(Block),
    ReadOnly(ReadOnly),
}

pub(super) struct Chunk {
    storage: Storage,
    start: usize,
    end: usize,
}

impl Chunk {
    /// The bytes `start..end` of a block.
    pub(super) fn own(block: Block, start: usize, end: usize) -> Chunk {
        debug_assert!(start <= end && end <= block.len());
        Chunk {
            storage: Storage::Own(block),
            start,
            end,
        }
    }

    /// The bytes `start..end` of what somebody else has, too.
    pub(super) fn read_only(storage: ReadOnly, start: usize, end: usize) -> Chunk {
        Chunk {
            storage: Storage::ReadOnly(storage),
            start,
            end,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Memory that goes when the chunk does: 0 for what is not ours.
    pub(super) fn footprint(&self) -> usize {
        match &self.storage {
            Storage::Own(block) => block.len(),
            Storage::ReadOnly(ReadOnly::Block(block)) => block.len(),
            Storage::ReadOnly(_) => 0,
        }
    }

    /// The bytes; a file's are read now if they have not been yet.
    pub(super) fn try_bytes(&self) -> io::Result<&[u8]> {
        let all: &[u8] = match &self.storage {
            Storage::Own(block) => block,
            Storage::ReadOnly(ReadOnly::Static(bytes)) => bytes,
            Storage::ReadOnly(ReadOnly::Shared(bytes)) => bytes,
            Storage::ReadOnly(ReadOnly::Owner(owner)) => (**owner).as_ref(),
            Storage::ReadOnly(ReadOnly::Block(block)) => block,
            Storage::ReadOnly(ReadOnly::File(segment)) => segment.bytes()?,
        };
        // Out of range only if somebody's `AsRef` has another answer now than at first.
        all.get(self.start..self.end).ok_or_else(|| {
            io::Error::other("the owner of the memory has shortened it: its AsRef has to answer with the same bytes every time")
        })
    }

    /// The same, and nothing where that fails.
    pub(super) fn bytes(&self) -> &[u8] {
        self.try_bytes().unwrap_or_default()
    }

    /// The segment, and where in it the chunk begins, of a chunk whose bytes are not in memory.
    pub(super) fn unread_file(&self) -> Option<(&Segment, usize)> {
        match &self.storage {
            Storage::ReadOnly(ReadOnly::File(segment)) if !segment.is_in_memory() => {
                Some((segment, self.start))
            }
            _ => None,
        }
    }

    /// Is this a block of the buffer's making, that nobody outside knows?
    pub(super) fn is_block(&self) -> bool {
        matches!(
            self.storage,
            Storage::Own(_) | Storage::ReadOnly(ReadOnly::Block(_))
        )
    }

    /// How much can be written behind the bytes.
    pub(super) fn room_back(&self) -> usize {
        match &self.storage {
            Storage::Own(block) => block.len() - self.end,
            Storage::ReadOnly(_) => 0,
        }
    }

    /// How much can be written in front of the bytes.
    pub(super) fn room_front(&self) -> usize {
        match &self.storage {
            Storage::Own(_) => self.start,
            Storage::ReadOnly(_) => 0,
        }
    }

    /// The room behind the bytes, to look at.
    pub(super) fn room_behind(&self) -> &[u8] {
        match &self.storage {
            Storage::Own(block) => &block[self.end..],
            Storage::ReadOnly(_) => &[],
        }
    }

    /// The room behind the bytes, to write to.
    pub(super) fn spare_back(&mut self) -> &mut [u8] {
        match &mut self.storage {
            Storage::Own(block) => &mut block[self.end..],
            Storage::ReadOnly(_) => &mut [],
        }
    }

    /// Takes `count` bytes into the chunk that were written into the room behind it.
    pub(super) fn grow_back(&mut self, count: usize) {
        debug_assert!(count <= self.room_back());
        self.end += count;
    }

    /// Copies the beginning of `data` behind the bytes, as much as fits, and says how much that is.
    pub(super) fn push_back(&mut self, data: &[u8]) -> usize {
        let spare = self.spare_back();
        let count = data.len().min(spare.len());
        spare[..count].copy_from_slice(&data[..count]);
        self.end += count;
        count
    }

    /// Copies the end of `data` in front of the bytes, as much as fits, and says how much that is.
    pub(super) fn push_front(&mut self, data: &[u8]) -> usize {
        let Storage::Own(block) = &mut self.storage else {
            return 0;
        };
        let count = data.len().min(self.start);
        block[self.start - count..self.start].copy_from_slice(&data[data.len() - count..]);
        self.start -= count;
        count
    }

    /// Moves the bytes to the block's front if that makes room for `need` and is little work (EB-10).
    pub(super) fn make_room_back(&mut self, need: usize) {
        let live = self.len();
        if let Storage::Own(block) = &mut self.storage {
            if block.len() - live >= need && live <= COMPACT_MAX && live < block.len() / 2 {
                block.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, live);
            }
        }
    }

    /// The same whatever the work, for bytes that have to lie in one piece. False if the block is too small, or not ours.
    pub(super) fn make_whole(&mut self, total: usize) -> bool {
        let Storage::Own(block) = &mut self.storage else {
            return false;
        };
        if block.len() < total {
            return false;
        }
        if block.len() - self.start < total {
            block.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        true
    }

    /// Drops `count` bytes at the front.
    pub(super) fn advance(&mut self, count: usize) {
        debug_assert!(count <= self.len());
        self.start += count;
    }

    /// Drops `count` bytes at the back.
    pub(super) fn retreat(&mut self, count: usize) {
        debug_assert!(count <= self.len());
        self.end -= count;
    }

    /// A second chunk of the same bytes. Makes a block read-only; the first time costs an allocation.
    pub(super) fn view(&mut self) -> Chunk {
        let storage = match mem::replace(&mut self.storage, NOTHING) {
            Storage::Own(block) => ReadOnly::Block(Arc::new(block)),
            Storage::ReadOnly(storage) => storage,
        };
        self.storage = Storage::ReadOnly(storage.clone());
        Chunk::read_only(storage, self.start, self.end)
    }

    /// Cuts off the first `count` bytes, without copying them.
    pub(super) fn split_front(&mut self, count: usize) -> Chunk {
        let mut front = self.view();
        front.retreat(front.len() - count);
        self.advance(count);
        front
    }
}

/// What stands in a chunk while its storage is being changed.
const NOTHING: Storage = Storage::ReadOnly(ReadOnly::Static(&[]));
