//! Between buffers: bytes change hands, and stay where they lie.
//!
//! Observers hear of a move when both lengths are final: first those of the source, which has lost the bytes, then those of the other (EB-35, EB-40).

use std::io;
use std::mem;

use super::Buffer;
use super::chunk::{COPY_MAX, Chunk};

/// Blocks that hold up to this many bytes are emptied into the room behind others when they are moved: a quarter of a small block, so that at least that much of it is used.
const FOLD_MAX: usize = 1024;

impl Buffer {
    /// Moves all bytes of `source` to the end of this buffer, and returns how many.
    ///
    /// O(1) if this buffer is empty, and no byte is copied. Otherwise the cost is that of moving the chunks' records (EB-34); a block that holds at most 1 KiB is emptied into
    /// the room behind the last one, if it fits there, so that many small moves do not keep a block each.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the back of this buffer or the front of `source` is frozen and there is something to move; nothing is moved then.
    pub fn append_buffer(&mut self, source: &mut Buffer) -> io::Result<usize> {
        if source.is_empty() {
            return Ok(0);
        }
        self.check_back()?;
        source.check_front()?;
        self.check_len(source.len)?;
        if self.chain.is_empty() {
            mem::swap(&mut self.chain, &mut source.chain);
        } else {
            while let Some(chunk) = source.chain.pop_front() {
                self.push_moved(chunk);
            }
        }
        Ok(self.take_over(source))
    }

    /// Moves all bytes of `source` in front of this buffer's, and returns how many (EB-37).
    ///
    /// No byte is copied.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the front of either buffer is frozen and there is something to move; nothing is moved then.
    pub fn prepend_buffer(&mut self, source: &mut Buffer) -> io::Result<usize> {
        if source.is_empty() {
            return Ok(0);
        }
        self.check_front()?;
        source.check_front()?;
        self.check_len(source.len)?;
        let mut chain = mem::take(&mut source.chain);
        chain.append(mem::take(&mut self.chain));
        self.chain = chain;
        self.scan.reset();
        Ok(self.take_over(source))
    }

    /// Moves the first `count` bytes of `source`, or all if there are fewer, to the end of this buffer, and returns how many (EB-38).
    ///
    /// Whole chunks move, as in [`append_buffer`](Buffer::append_buffer). What the move cuts off a block is copied if it is at most 512 bytes; otherwise both buffers
    /// share the block from then on. References and files are never copied (EB-39).
    ///
    /// # Errors
    ///
    /// As [`append_buffer`](Buffer::append_buffer); nothing is asked of the ends if there is nothing to move.
    pub fn append_from(&mut self, source: &mut Buffer, count: usize) -> io::Result<usize> {
        if count >= source.len {
            return self.append_buffer(source);
        }
        if count == 0 {
            return Ok(0);
        }
        self.check_back()?;
        source.check_front()?;
        self.check_len(count)?;
        let mut rest = count;
        while let Some(front) = source.chain.front_mut() {
            if front.len() > rest {
                break;
            }
            rest -= front.len();
            if let Some(chunk) = source.chain.pop_front() {
                self.len += chunk.len();
                self.push_moved(chunk);
            }
        }
        if let (1.., Some(front)) = (rest, source.chain.front_mut()) {
            let is_small = front.is_block() && rest <= COPY_MAX;
            // Without memory for a copy the block is shared, which needs less.
            if is_small && self.copy_in(&front.bytes()[..rest]).is_ok() {
                front.advance(rest);
            } else {
                self.chain.push_back(front.split_front(rest));
                self.len += rest;
            }
        }
        source.len -= count;
        source.scan.drained(count);
        source.note(0, count);
        self.note(count, 0);
        source.notify();
        self.notify();
        Ok(count)
    }

    /// Appends the bytes of `source` without copying or taking them: both buffers have them, and each may be drained, added to and dropped without the
    /// other (EB-47). Returns how many.
    ///
    /// The blocks that `source` has now are read-only from then on; what is added later goes into new ones. A view of a view, or of files, is a view
    /// like any other (EB-48, EB-49). Costs an allocation for each block that was not shared before.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the back of this buffer is frozen and there is something to append. The ends of `source` do not matter.
    pub fn append_view(&mut self, source: &mut Buffer) -> io::Result<usize> {
        if source.is_empty() {
            return Ok(0);
        }
        self.check_back()?;
        self.check_len(source.len)?;
        for chunk in source.chain.iter_mut() {
            self.chain.push_back(chunk.view());
        }
        self.len += source.len;
        self.note(source.len, 0);
        self.notify();
        Ok(source.len)
    }

    /// Takes a chunk over, or a copy if that fits behind the last one: a block with a few bytes in it is as large as a full one, and whoever limits bytes means memory.
    fn push_moved(&mut self, chunk: Chunk) {
        if chunk.is_block() && chunk.len() <= FOLD_MAX {
            if let Some(back) = self.chain.back_mut() {
                if back.room_back() >= chunk.len() {
                    back.push_back(chunk.bytes());
                    return;
                }
            }
        }
        self.chain.push_back(chunk);
    }

    /// The second half of a move of everything: the chunks are here.
    fn take_over(&mut self, source: &mut Buffer) -> usize {
        let count = mem::take(&mut source.len);
        self.len += count;
        source.release();
        source.note(0, count);
        self.note(count, 0);
        source.notify();
        self.notify();
        count
    }
}
