//! Between a buffer and a descriptor, or anything else that reads or writes.
//!
//! One call moves at most one system call's worth, with as many pieces as fit into it, and moves exactly what that call did. `Interrupted` is tried again
//! here; `WouldBlock` is the caller's to wait for, and nothing has moved then.
//!
//! ```text
//! read_from:  one readv into   room of the last chunk │ small block │ large block …     what stays unused goes back to the pool
//! write_to:   one writev from  chunk │ chunk │ … up to a file that is not in memory     that one alone: a piece read and written
//! send_to:    the same                                                                  that one alone: sendfile
//! ```

use std::array;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::num::NonZeroU32;
use std::os::fd::AsFd;

use levent_reactor::file::send_file;

use super::Buffer;
use super::chunk::Chunk;
use super::pool::{Block, LARGE, SMALL};

/// The most that one [`read_from`](Buffer::read_from) takes unless [`set_max_read`](Buffer::set_max_read) has changed it: 20 KiB, a small block and
/// a large one, so that few blocks leave the pool in vain for short answers.
pub const DEFAULT_MAX_READ: usize = SMALL + LARGE;

/// The most pieces that one vectored write has: systems allow 1024, and a call with this many moves enough to be worth it.
const WRITE_PIECES: usize = 64;

/// The most blocks that one vectored read fills, besides the room of the last chunk.
const READ_BLOCKS: usize = 5;

/// What they are sure to hold: a small one and large ones.
const READ_SURE: usize = SMALL + (READ_BLOCKS - 1) * LARGE;

/// How many pieces every system takes at once.
const SLICES_SURE: usize = 16;

impl Buffer {
    /// Appends what one read of `reader` brings, at most `limit` bytes and at most [`max_read`](Buffer::max_read), and returns how many (EB-89).
    ///
    /// 0 means that the reader is at its end, or that the limit is 0, and then it has not been asked (EB-93). The room is that of the last
    /// chunk and of blocks from the pool, behind each other, so a short answer takes a small block and a long one needs no second call. A limit
    /// is kept also where there is more room (EB-91).
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the back is frozen, and nothing is read; `OutOfMemory`; otherwise the reader's. `InvalidData` from a reader that
    /// claims to have read more than there was room for. Nothing is appended then.
    pub fn read_from<R: Read + ?Sized>(
        &mut self,
        reader: &mut R,
        limit: usize,
    ) -> io::Result<usize> {
        let limit = limit.min(self.max_read());
        // A small block first, where that leaves large ones to be filled: most answers are short, and may lie there for long.
        self.read_blocks_from(reader, limit, SMALL)
    }

    /// The same without a limit of the buffer's own, for somebody who asks for much only where much came before: large blocks first.
    #[inline]
    pub(crate) fn read_up_to<R: Read + ?Sized>(
        &mut self,
        reader: &mut R,
        wanted: usize,
    ) -> io::Result<usize> {
        self.read_blocks_from(reader, wanted, LARGE)
    }

    #[inline]
    fn read_blocks_from<R: Read + ?Sized>(
        &mut self,
        reader: &mut R,
        wanted: usize,
        first: usize,
    ) -> io::Result<usize> {
        self.check_back()?;
        if wanted == 0 {
            return Ok(0);
        }
        self.check_len(wanted)?;
        let count = if wanted <= LARGE && self.room_back() == 0 {
            self.read_block(reader, wanted)?
        } else {
            self.read_pieces(reader, wanted, first)?
        };
        self.len += count;
        self.note(count, 0);
        self.notify();
        Ok(count)
    }

    /// One read into one new block: the way of most reads, since most find the buffer empty.
    #[inline]
    fn read_block<R: Read + ?Sized>(&mut self, reader: &mut R, wanted: usize) -> io::Result<usize> {
        let mut block = Block::of(wanted, 0)?;
        let room = &mut block[..wanted];
        let count = again(|| reader.read(room))?;
        if count > wanted {
            return Err(claims_too_much());
        }
        if count > 0 {
            self.chain.push_back(Chunk::own(block, 0, count));
        }
        Ok(count)
    }

    /// One vectored read into the room of the last chunk and new blocks.
    fn read_pieces<R: Read + ?Sized>(
        &mut self,
        reader: &mut R,
        wanted: usize,
        first: usize,
    ) -> io::Result<usize> {
        let mut blocks: [Option<Block>; READ_BLOCKS] = array::from_fn(|_| None);
        let in_tail = self.room_back().min(wanted);
        let room = in_tail + Self::read_blocks(&mut blocks, wanted - in_tail, first)?;
        let count = {
            let tail = match self.chain.back_mut() {
                Some(back) if in_tail > 0 => &mut back.spare_back()[..in_tail],
                _ => &mut [],
            };
            let mut slices: [IoSliceMut<'_>; 1 + READ_BLOCKS] =
                array::from_fn(|_| IoSliceMut::new(&mut []));
            let mut used = 0;
            let mut left = wanted;
            let pieces =
                std::iter::once(tail).chain(blocks.iter_mut().flatten().map(|b| &mut b[..]));
            for piece in pieces.filter(|piece| !piece.is_empty()) {
                let length = piece.len().min(left);
                slices[used] = IoSliceMut::new(&mut piece[..length]);
                used += 1;
                left -= length;
            }
            match &mut slices[..used] {
                [one] => again(|| reader.read(one))?,
                more => again(|| reader.read_vectored(more))?,
            }
        };
        if count > room.min(wanted) {
            return Err(claims_too_much());
        }
        let mut left = count;
        if let (1.., Some(back)) = (in_tail, self.chain.back_mut()) {
            let grown = in_tail.min(left);
            back.grow_back(grown);
            left -= grown;
        }
        // Blocks behind the last byte are dropped, which is the way back to the pool.
        for block in blocks.into_iter().flatten() {
            let filled = block.len().min(left);
            if filled > 0 {
                self.chain.push_back(Chunk::own(block, 0, filled));
                left -= filled;
            }
        }
        Ok(count)
    }

    /// Writes the first bytes with one write of `writer`, at most `limit`, drops what it has accepted, and returns how many that were (EB-94).
    ///
    /// 0 means that there was nothing to write, or that the writer accepts no more. A limit that lies within a piece cuts it (EB-95). A part of a file
    /// that is not in memory is read and written piece by piece; to a socket, [`send_to`](Buffer::send_to) is the better way.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the front is frozen and the buffer not empty; a file's error; otherwise the writer's, and nothing is dropped. `InvalidData`
    /// from a writer that claims to have accepted more than there was.
    pub fn write_to<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        limit: usize,
    ) -> io::Result<usize> {
        let limit = match self.to_write(limit)? {
            0 => return Ok(0),
            limit => limit,
        };
        let written = match self.chain.front().and_then(Chunk::unread_file) {
            Some(_) => self.write_file(writer, limit)?,
            None => self.write_memory(writer, limit)?,
        };
        self.written(written)
    }

    /// As [`write_to`](Buffer::write_to), for a descriptor: what is in a file goes there with `sendfile`, and is not read (EB-82, EB-95).
    ///
    /// Where the system, or the descriptor, does not do that, it is read and written as by `write_to`. In a program that has not ignored `SIGPIPE`, as Rust
    /// programs do from their start, sending a file to a socket whose peer is gone kills it.
    ///
    /// # Errors
    ///
    /// As [`write_to`](Buffer::write_to), and `UnexpectedEof` if the file has become shorter than the segment. `WouldBlock` is the same
    /// error from both ways (EB-96).
    pub fn send_to<W: Write + AsFd + ?Sized>(
        &mut self,
        writer: &mut W,
        limit: usize,
    ) -> io::Result<usize> {
        let limit = match self.to_write(limit)? {
            0 => return Ok(0),
            limit => limit,
        };
        let Some(front) = self.chain.front() else {
            return Ok(0);
        };
        let written = match front.unread_file() {
            None => self.write_memory(writer, limit)?,
            Some((segment, start)) => {
                let (file, position) = (segment.descriptor()?, segment.position(start));
                let count = front.len().min(limit);
                match again(|| send_file(writer.as_fd(), file, position, count)) {
                    Ok(0) => {
                        return Err(io::Error::new(
                            io::ErrorKind::UnexpectedEof,
                            "the file has become shorter than the segment that was appended: drain what is left of it",
                        ));
                    }
                    Ok(sent) => sent,
                    Err(error) if is_unable(&error) => self.write_file(writer, limit)?,
                    Err(error) => return Err(error),
                }
            }
        };
        self.written(written)
    }

    /// How many bytes a `read_up_to` this many surely asks for: a read that brings fewer was short.
    #[inline]
    pub(crate) fn read_len(wanted: usize) -> usize {
        wanted.min(READ_SURE)
    }

    /// How many bytes a `send_to` with this limit surely offers: a write that takes fewer was short. 0 where that says nothing: how much `sendfile` moves
    /// depends on the file, too.
    pub(crate) fn write_len(&self, limit: usize) -> usize {
        if self.chain.is_single() {
            let front = self
                .chain
                .front()
                .filter(|front| front.unread_file().is_none());
            return front.map_or(0, Chunk::len).min(limit);
        }
        let memory = |chunk: &&Chunk| chunk.unread_file().is_none();
        let lens = self.chain.iter().take_while(memory).take(SLICES_SURE);
        lens.fold(0, |len, chunk| len + chunk.len()).min(limit)
    }

    /// The most that one [`read_from`](Buffer::read_from) takes: [`DEFAULT_MAX_READ`] unless it has been set (EB-90).
    #[must_use]
    pub fn max_read(&self) -> usize {
        let most = self.rare.as_ref().and_then(|rare| rare.max_read);
        most.map_or(DEFAULT_MAX_READ, |most| most.get() as usize)
    }

    /// Sets the most that one [`read_from`](Buffer::read_from) takes, in bytes.
    ///
    /// One read has room for about 68 KiB at most, whatever is set: five blocks and the rest of one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for 0, which would look like the end of every stream, and for more than `i32::MAX` (EB-92).
    pub fn set_max_read(&mut self, bytes: usize) -> io::Result<()> {
        let most = u32::try_from(bytes).ok().and_then(NonZeroU32::new);
        match most.filter(|most| most.get() <= i32::MAX as u32) {
            Some(most) => {
                self.rare.get_or_insert_default().max_read = Some(most);
                Ok(())
            }
            None => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a read takes at least one byte, and at most 2 GiB: set a number in between",
            )),
        }
    }

    /// Puts blocks for at least `wanted` bytes into `blocks`, or for as many as fit, and returns for how many. A small one, if there is one, comes first or last.
    fn read_blocks(blocks: &mut [Option<Block>], wanted: usize, first: usize) -> io::Result<usize> {
        let is_small = |left: usize| match first {
            SMALL => (1..=SMALL).contains(&(left % LARGE)),
            _ => left <= SMALL,
        };
        let mut room = 0;
        for slot in blocks {
            if room >= wanted {
                break;
            }
            let size = if is_small(wanted - room) {
                SMALL
            } else {
                LARGE
            };
            let block = Block::of(size, 0)?;
            room += block.len();
            *slot = Some(block);
        }
        Ok(room)
    }

    /// How much of `limit` there is to write.
    fn to_write(&self, limit: usize) -> io::Result<usize> {
        if self.is_empty() {
            return Ok(0);
        }
        self.check_front()?;
        Ok(limit.min(self.len))
    }

    /// One write of the pieces in front of the first file that is not in memory.
    fn write_memory<W: Write + ?Sized>(&self, writer: &mut W, limit: usize) -> io::Result<usize> {
        let (accepted, offered) = match self.chain.front() {
            // One piece is most of what is ever written.
            Some(front) if self.chain.is_single() || front.len() >= limit => {
                let bytes = front.try_bytes()?;
                let bytes = &bytes[..bytes.len().min(limit)];
                (again(|| writer.write(bytes))?, bytes.len())
            }
            _ => self.write_pieces(writer, limit)?,
        };
        if accepted > offered {
            return Err(claims_too_much());
        }
        Ok(accepted)
    }

    /// One vectored write: how much was accepted, and how much offered.
    fn write_pieces<W: Write + ?Sized>(
        &self,
        writer: &mut W,
        limit: usize,
    ) -> io::Result<(usize, usize)> {
        let mut slices = [IoSlice::new(&[]); WRITE_PIECES];
        let mut used = 0;
        let mut total = 0;
        for (slot, chunk) in slices.iter_mut().zip(self.chain.iter()) {
            if total == limit || chunk.unread_file().is_some() {
                break;
            }
            let bytes = chunk.try_bytes()?;
            let length = bytes.len().min(limit - total);
            *slot = IoSlice::new(&bytes[..length]);
            used += 1;
            total += length;
        }
        let accepted = match &slices[..used] {
            [one] => again(|| writer.write(one))?,
            more => again(|| writer.write_vectored(more))?,
        };
        Ok((accepted, total))
    }

    /// One write of the first piece of the file at the front.
    fn write_file<W: Write + ?Sized>(&self, writer: &mut W, limit: usize) -> io::Result<usize> {
        let Some(front) = self.chain.front() else {
            return Ok(0);
        };
        let Some((segment, start)) = front.unread_file() else {
            return self.write_memory(writer, limit);
        };
        let mut block = Block::of(LARGE, 0)?;
        let count = front.len().min(limit).min(block.len());
        let piece = &mut block[..count];
        segment.read_at(start, piece)?;
        let accepted = again(|| writer.write(piece))?;
        if accepted > count {
            return Err(claims_too_much());
        }
        Ok(accepted)
    }

    fn written(&mut self, count: usize) -> io::Result<usize> {
        if count > 0 {
            self.discard(count);
            self.notify();
        }
        Ok(count)
    }
}

/// Calls until it is not interrupted. Without a bound: each interruption was a signal.
pub(crate) fn again(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Errors that say "not this way", and not "not now": no `sendfile` here, or not into this descriptor.
pub(crate) fn is_unable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput
    )
}

fn claims_too_much() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the reader or writer claims to have moved more bytes than it was given: its implementation is wrong",
    )
}
