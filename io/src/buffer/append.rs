//! Bytes in, by copying: at the end, at the front, formatted; and room for more.

use std::fmt;
use std::io::{self, IoSlice};

use super::Buffer;
use super::chunk::Chunk;
use super::pool::{Block, LARGE, SMALL};

/// The most live bytes that `expand` moves within a block (EB-19).
const EXPAND_COPY_MAX: usize = 4096;

impl Buffer {
    /// Appends a copy of `data`.
    ///
    /// Costs the copy; what does not fit into the last block goes into another one, whose size depends on the data and not on what
    /// lies in front of it (EB-9).
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the back is frozen, also for no bytes (EB-12). `OutOfMemory` if there is none; then nothing has been
    /// appended (EB-13).
    pub fn append(&mut self, data: &[u8]) -> io::Result<()> {
        self.check_back()?;
        self.push_copy(data)?;
        self.notify();
        Ok(())
    }

    /// Appends copies of all `slices`, in order, and returns how many bytes that were. Observers are told once (EB-14).
    ///
    /// # Errors
    ///
    /// As [`append`](Buffer::append): all or nothing.
    pub fn append_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.check_back()?;
        // Memory that holds slices of so many bytes does not exist, but the same slice may be given more than once.
        let total = slices
            .iter()
            .fold(0, |sum: usize, slice| sum.saturating_add(slice.len()));
        self.check_len(total)?;
        let before = self.len;
        for slice in slices {
            if let Err(error) = self.push_copy(slice) {
                self.undo_to(before);
                return Err(error);
            }
        }
        self.notify();
        Ok(total)
    }

    /// Appends formatted text and returns its length in bytes: what `write!` calls. Observers are told once (EB-15).
    ///
    /// # Errors
    ///
    /// As [`append`](Buffer::append), and `Other` if a `Display` or another formatting trait fails: all or nothing.
    pub fn append_fmt(&mut self, arguments: fmt::Arguments<'_>) -> io::Result<usize> {
        struct Pieces<'a> {
            buffer: &'a mut Buffer,
            result: io::Result<()>,
        }
        impl fmt::Write for Pieces<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.result = self.buffer.push_copy(text.as_bytes());
                self.result.as_ref().map_err(|_| fmt::Error).copied()
            }
        }
        self.check_back()?;
        let before = self.len;
        let mut pieces = Pieces {
            buffer: self,
            result: Ok(()),
        };
        if fmt::write(&mut pieces, arguments).is_err() {
            let result = pieces.result;
            self.undo_to(before);
            result?;
            return Err(io::Error::other(
                "a formatting trait failed: nothing has been appended",
            ));
        }
        let added = self.len - before;
        self.notify();
        Ok(added)
    }

    /// Puts a copy of `data` in front.
    ///
    /// Uses what draining has left free there; otherwise a new block, filled from its end so that further prepends are cheap. Memory that is shared or
    /// not ours is never written to (EB-16).
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the front is frozen and there are bytes to put there; `OutOfMemory` as for [`append`](Buffer::append).
    pub fn prepend(&mut self, data: &[u8]) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        self.check_front()?;
        self.check_len(data.len())?;
        let room = self.chain.front().map_or(0, Chunk::room_front);
        let rest = data.len().saturating_sub(room);
        // Before anything is written, so that a failure leaves all as it was.
        let block = match rest {
            0 => None,
            _ => Some(Block::of(rest, self.len)?),
        };
        if let Some(front) = self.chain.front_mut() {
            front.push_front(data);
        }
        if let Some(mut block) = block {
            let (start, end) = (block.len() - rest, block.len());
            block[start..].copy_from_slice(&data[..rest]);
            self.chain.push_front(Chunk::own(block, start, end));
        }
        self.len += data.len();
        self.scan.reset();
        self.note(data.len(), 0);
        self.notify();
        Ok(())
    }

    /// Makes room for `additional` bytes, so that appending them, or reserving them in one piece, allocates nothing (EB-18).
    ///
    /// The room is there until the buffer is emptied the next time. Works on a frozen buffer; is no change that observers hear of.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` if there is no such piece of memory; the bytes are untouched.
    pub fn expand(&mut self, additional: usize) -> io::Result<()> {
        self.check_len(additional)?;
        if self.room_back() >= additional {
            return Ok(());
        }
        if let Some(back) = self.chain.back_mut() {
            let total = back.len() + additional;
            if back.len() <= EXPAND_COPY_MAX && back.make_whole(total) {
                return Ok(());
            }
        }
        self.ensure_spare(additional)
    }

    /// Room behind the last byte, without the spare block.
    pub(super) fn room_back(&self) -> usize {
        self.chain.back().map_or(0, Chunk::room_back)
    }

    /// Makes the spare block one of at least `need` bytes.
    pub(super) fn ensure_spare(&mut self, need: usize) -> io::Result<()> {
        if self.spare().is_none_or(|spare| spare.len() < need) {
            let spare = Block::of(need, self.len)?;
            self.set_spare(Some(spare));
        }
        Ok(())
    }

    /// Appends and notes, and leaves the telling to the caller.
    pub(super) fn push_copy(&mut self, data: &[u8]) -> io::Result<()> {
        self.copy_in(data)?;
        self.note(data.len(), 0);
        Ok(())
    }

    /// Appends, and leaves the note to the caller, too.
    pub(super) fn copy_in(&mut self, data: &[u8]) -> io::Result<()> {
        self.check_len(data.len())?;
        let mut room = self.room_back();
        if room < data.len() {
            if let Some(back) = self.chain.back_mut() {
                back.make_room_back(data.len());
                room = back.room_back();
            }
        }
        let rest = &data[data.len().min(room)..];
        // Before the tail is filled (EB-13).
        let more = match rest.len() {
            0 => None,
            need => Some(self.block_with(rest, need)?),
        };
        if let Some(back) = self.chain.back_mut() {
            back.push_back(data);
        }
        if let Some(chunk) = more {
            self.chain.push_back(chunk);
        }
        self.len += data.len();
        Ok(())
    }

    /// A chunk that begins with `data`: the spare block's if that is large enough.
    fn block_with(&mut self, data: &[u8], need: usize) -> io::Result<Chunk> {
        if self.spare().is_some_and(|spare| spare.len() >= need) {
            if let Some(mut block) = self.take_spare() {
                block[..need].copy_from_slice(data);
                return Ok(Chunk::own(block, 0, need));
            }
        }
        // Zeroes first would be a second pass over the memory.
        let block = if need > LARGE {
            Block::copy_of(data)?
        } else {
            let mut block = Block::of(need, self.len)?;
            block[..need].copy_from_slice(data);
            block
        };
        Ok(Chunk::own(block, 0, need))
    }

    /// Takes the bytes behind the first `len` off again, as if they had never come.
    fn undo_to(&mut self, len: usize) {
        let added = self.len - len;
        let mut rest = added;
        while rest > 0 {
            let Some(back) = self.chain.back_mut() else {
                break;
            };
            if back.len() > rest {
                back.retreat(rest);
                break;
            }
            rest -= back.len();
            self.chain.pop_back();
        }
        self.len = len;
        self.unnote_added(added);
    }
}

// The sizes are what the code above relies on: the spare of a small need is small.
const _: () = assert!(SMALL < LARGE && EXPAND_COPY_MAX <= LARGE);
