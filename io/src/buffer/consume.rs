//! Bytes out: dropped, copied, removed, or pulled into one piece.

use std::io;
use std::mem;

use super::Buffer;
use super::chain::Chain;
use super::chunk::Chunk;
use super::pool::{Block, allocate};

impl Buffer {
    /// Drops the first `count` bytes, or all if there are fewer, and returns how many that were (EB-29).
    ///
    /// Blocks that are used up go back to the pool, references to their owners, and a file that nobody else uses is closed.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the front is frozen and the buffer not empty, also for no bytes.
    pub fn drain(&mut self, count: usize) -> io::Result<usize> {
        if self.is_empty() {
            return Ok(0);
        }
        self.check_front()?;
        let count = count.min(self.len);
        self.discard(count);
        self.notify();
        Ok(count)
    }

    /// Copies the first bytes into `to` without taking them, and returns how many: the shorter of both lengths (EB-30).
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the front is frozen and there is something to copy; a file's error if a segment cannot be read.
    pub fn copy_out(&self, to: &mut [u8]) -> io::Result<usize> {
        self.copy_out_at(0, to)
    }

    /// The same from `position` on (EB-31).
    ///
    /// # Errors
    ///
    /// As [`copy_out`](Buffer::copy_out), and `InvalidInput` for a position behind the end.
    pub fn copy_out_at(&self, position: usize, to: &mut [u8]) -> io::Result<usize> {
        if position > self.len {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the position is behind the end of the buffer: use one of at most its length",
            ));
        }
        let count = to.len().min(self.len - position);
        if count == 0 {
            return Ok(0);
        }
        self.check_front()?;
        self.copy_range(position, &mut to[..count])?;
        Ok(count)
    }

    /// Copies all bytes into a vector, without taking them. Works on a frozen buffer.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`, or a file's error if a segment cannot be read.
    pub fn to_vec(&self) -> io::Result<Vec<u8>> {
        let mut all = allocate(self.len)?;
        for chunk in self.chain.iter() {
            all.extend_from_slice(chunk.try_bytes()?);
        }
        Ok(all)
    }

    /// Takes the first `count` bytes, or all if there are fewer, as a vector.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the front is frozen and the buffer not empty; `OutOfMemory`, or a file's error, and then nothing is taken.
    pub fn take_vec(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let count = count.min(self.len);
        if count == 0 {
            return Ok(Vec::new());
        }
        self.check_front()?;
        let taken = self.copied(count)?;
        self.discard(count);
        self.notify();
        Ok(taken)
    }

    /// Makes the first `count` bytes lie in one piece, and returns them (EB-50).
    ///
    /// Free if they do already. Otherwise copies what is missing behind the first chunk, or all of it into a new block. No change that observers hear
    /// of; works on a frozen buffer.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if there are fewer bytes, `OutOfMemory`, or a file's error if a segment cannot be read. The bytes stay as they are.
    pub fn pull_up(&mut self, count: usize) -> io::Result<&[u8]> {
        if count > self.len {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the buffer does not hold that many bytes: wait for more, or ask for at most its length",
            ));
        }
        if count > self.contiguous_len() {
            self.gather(count)?;
        }
        match self.chain.front() {
            Some(front) => Ok(&front.try_bytes()?[..count]),
            None => Ok(&[]),
        }
    }

    /// Makes all bytes lie in one piece, and returns them: [`pull_up`](Buffer::pull_up) of the whole length.
    ///
    /// # Errors
    ///
    /// As [`pull_up`](Buffer::pull_up).
    pub fn make_contiguous(&mut self) -> io::Result<&[u8]> {
        self.pull_up(self.len)
    }

    /// The first `count` bytes, of which there are as many, in a vector.
    pub(super) fn copied(&self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = allocate(count)?;
        for chunk in self.chain.iter() {
            let rest = count - bytes.len();
            if rest == 0 {
                break;
            }
            bytes.extend_from_slice(&chunk.try_bytes()?[..rest.min(chunk.len())]);
        }
        Ok(bytes)
    }

    /// Drops the first `count` bytes, of which there are as many, and notes that.
    pub(super) fn discard(&mut self, count: usize) {
        let mut rest = count;
        while rest > 0 {
            let Some(front) = self.chain.front_mut() else {
                break;
            };
            if front.len() > rest {
                front.advance(rest);
                self.len -= rest;
                break;
            }
            rest -= front.len();
            // The length first: what the chunk refers to may have a destructor, and that may panic.
            self.len -= front.len();
            drop(self.chain.pop_front());
        }
        self.scan.drained(count);
        if self.len == 0 {
            self.release();
        }
        self.note(0, count);
    }

    fn copy_range(&self, position: usize, mut to: &mut [u8]) -> io::Result<()> {
        let mut skip = position;
        for chunk in self.chain.iter() {
            if to.is_empty() {
                break;
            }
            if skip >= chunk.len() {
                skip -= chunk.len();
                continue;
            }
            let bytes = &chunk.try_bytes()?[mem::take(&mut skip)..];
            let count = bytes.len().min(to.len());
            let (now, later) = mem::take(&mut to).split_at_mut(count);
            now.copy_from_slice(&bytes[..count]);
            to = later;
        }
        Ok(())
    }

    /// Copies into one piece: the first chunk has less than `count` bytes, and the buffer as many.
    fn gather(&mut self, count: usize) -> io::Result<()> {
        // Whatever can fail comes first. A file that has been read stays so.
        let mut covered = 0;
        for chunk in self.chain.iter() {
            if covered >= count {
                break;
            }
            chunk.try_bytes()?;
            covered += chunk.len();
        }
        let fits = self
            .chain
            .front_mut()
            .is_some_and(|front| front.make_whole(count));
        let mut whole = match (fits, self.chain.pop_front()) {
            (true, Some(front)) => front,
            (_, front) => {
                let block = Block::of(count, self.len);
                if let Some(front) = front {
                    self.chain.push_front(front);
                }
                Chunk::own(block?, 0, 0)
            }
        };
        // They go when the buffer is whole again: their destructors may be foreign code.
        let mut used_up = Chain::default();
        while whole.len() < count {
            let Some(next) = self.chain.front_mut() else {
                break;
            };
            let missing = count - whole.len();
            if next.len() > missing {
                whole.push_back(&next.bytes()[..missing]);
                next.advance(missing);
            } else {
                whole.push_back(next.bytes());
                used_up.append(Chain::from(self.chain.pop_front()));
            }
        }
        self.chain.push_front(whole);
        Ok(())
    }
}
