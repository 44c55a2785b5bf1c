//! Writing directly into a buffer: room is handed out, filled, and committed.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::mem;
use std::ops::{Deref, DerefMut};

use super::Buffer;
use super::chunk::Chunk;

/// Room at the end of a [`Buffer`], of one or two pieces, to be written to and then committed.
///
/// The room is initialised memory: zeroes, or whatever the thread's buffers held there before. The bytes become part of the buffer with
/// [`commit`](Reservation::commit) or [`commit_parts`](Reservation::commit_parts); dropped, a reservation adds nothing. It borrows the buffer, so a
/// reservation that something else has made void cannot be committed (EB-26).
///
/// A reservation of one piece is a `[u8]`.
///
/// # Examples
///
/// ```
/// use levent_io::Buffer;
/// use std::io::Read;
///
/// # fn main() -> std::io::Result<()> {
/// let mut source: &[u8] = b"datagram";
/// let mut buffer = Buffer::new();
/// let mut room = buffer.reserve(1500)?;
/// let count = source.read(&mut room)?;
/// room.commit(count)?;
/// assert_eq!(buffer.to_vec()?, b"datagram");
/// # Ok(()) }
/// ```
pub struct Reservation<'a> {
    buffer: &'a mut Buffer,
    /// Room behind the last chunk that was handed out; 0 if the spare block alone is.
    tail: usize,
    /// Is the spare block handed out?
    has_spare: bool,
    /// The spare block was made for this reservation and goes with it.
    is_new: bool,
}

impl Buffer {
    /// Hands out at least `size` bytes of room at the end, in one piece (EB-21).
    ///
    /// No change until it is committed. Asked again, it hands out the same room.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the back is frozen, `OutOfMemory` if there is no such piece of memory.
    pub fn reserve(&mut self, size: usize) -> io::Result<Reservation<'_>> {
        self.check_back()?;
        let had_spare = self.spare().is_some();
        self.expand(size)?;
        let tail = self.room_back();
        // Something is always handed out, so that the pieces of a request for nothing are not a special case.
        if tail > 0 && tail >= size {
            return Ok(Reservation::new(self, tail, false, false));
        }
        self.ensure_spare(size.max(1))?;
        Ok(Reservation::new(self, 0, true, !had_spare))
    }

    /// Hands out at least `size` bytes of room at the end, in one or two pieces: what is left of the last block, and another one (EB-23).
    ///
    /// For vectored reads: no room is wasted, as it is when one piece is asked for that the last block does not have.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Buffer::reserve).
    pub fn reserve_split(&mut self, size: usize) -> io::Result<Reservation<'_>> {
        self.check_back()?;
        self.check_len(size)?;
        let tail = self.room_back();
        if tail > 0 && tail >= size {
            return Ok(Reservation::new(self, tail, false, false));
        }
        let had_spare = self.spare().is_some();
        self.ensure_spare((size - tail).max(1))?;
        Ok(Reservation::new(self, tail, true, !had_spare))
    }
}

impl<'a> Reservation<'a> {
    fn new(buffer: &'a mut Buffer, tail: usize, has_spare: bool, is_new: bool) -> Self {
        Reservation {
            buffer,
            tail,
            has_spare,
            is_new,
        }
    }

    /// How many bytes may be written in all: at least what was asked for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.tail + self.spare_len()
    }

    /// The pieces, in order; one that is not there is empty.
    pub fn pieces(&mut self) -> [&mut [u8]; 2] {
        let tail = match (self.tail, self.buffer.chain.back_mut()) {
            (1.., Some(back)) => back.spare_back(),
            _ => &mut [],
        };
        let rare = self.buffer.rare.as_mut();
        let spare = match (self.has_spare, rare.and_then(|rare| rare.spare.as_mut())) {
            (true, Some(block)) => &mut block[..],
            _ => &mut [],
        };
        if tail.is_empty() {
            [spare, tail]
        } else {
            [tail, spare]
        }
    }

    /// The pieces as `read_vectored` takes them.
    pub fn io_slices(&mut self) -> [IoSliceMut<'_>; 2] {
        self.pieces().map(IoSliceMut::new)
    }

    /// Makes the first `count` bytes of the room part of the buffer, and returns its new length. Observers are told once (EB-24).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the room is not that large; nothing is committed then (EB-25).
    pub fn commit(self, count: usize) -> io::Result<usize> {
        let first = match self.tail {
            0 => self.spare_len(),
            tail => tail,
        };
        self.commit_parts(&[count.min(first), count.saturating_sub(first)])
    }

    /// Makes the beginning of each piece part of the buffer: `counts[0]` bytes of the first, `counts[1]` of the second.
    ///
    /// Trailing pieces may be left out, and each count may be 0 (EB-24).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there are more counts than pieces, unless they are 0, or a piece is not that large. Nothing is committed then (EB-25).
    pub fn commit_parts(mut self, counts: &[usize]) -> io::Result<usize> {
        let at = |index: usize| counts.get(index).copied().unwrap_or(0);
        let (in_tail, in_spare) = match self.tail {
            0 => (0, at(0)),
            _ => (at(0), at(1)),
        };
        let pieces = usize::from(self.tail > 0) + usize::from(self.has_spare);
        let is_more = counts.iter().skip(pieces).any(|&count| count > 0);
        if is_more || in_tail > self.tail || in_spare > self.spare_len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "more is committed than was reserved: commit at most `capacity` bytes, and of each piece at most its length",
            ));
        }
        // From here on there is nothing to be taken back.
        let is_unused = mem::take(&mut self.is_new) && in_spare == 0;
        let buffer = &mut *self.buffer;
        // Both at most what exists, so the sum does not overflow; that it is a length of a buffer was checked when it was reserved.
        if let (1.., Some(back)) = (in_tail, buffer.chain.back_mut()) {
            back.grow_back(in_tail);
        }
        if in_spare > 0 {
            if let Some(block) = buffer.take_spare() {
                buffer.chain.push_back(Chunk::own(block, 0, in_spare));
            }
        } else if is_unused {
            buffer.set_spare(None);
        }
        buffer.len += in_tail + in_spare;
        buffer.note(in_tail + in_spare, 0);
        let len = buffer.len;
        buffer.notify();
        Ok(len)
    }

    fn spare_len(&self) -> usize {
        match (self.has_spare, self.buffer.spare()) {
            (true, Some(block)) => block.len(),
            _ => 0,
        }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        // A buffer that was asked in vain does not keep the block, or an idle one would own memory.
        if self.is_new {
            self.buffer.set_spare(None);
        }
    }
}

impl Deref for Reservation<'_> {
    type Target = [u8];

    /// The first piece, which is the only one of [`Buffer::reserve`].
    fn deref(&self) -> &[u8] {
        match (self.tail, self.buffer.chain.back(), self.buffer.spare()) {
            (1.., Some(back), _) => back.room_behind(),
            (_, _, Some(block)) => block,
            _ => &[],
        }
    }
}

impl DerefMut for Reservation<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let [first, _] = self.pieces();
        first
    }
}

impl fmt::Debug for Reservation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
