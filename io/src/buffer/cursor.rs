//! Positions: reading along a buffer without taking anything.

use std::io::{self, BufRead, Read};

use super::{Buffer, Slices};

/// A position in a [`Buffer`], at which it can be read without taking the bytes.
///
/// It borrows the buffer, so no change can make it void (EB-61); a position to keep is a plain `usize`, which every method takes.
///
/// # Examples
///
/// ```
/// use levent_io::Buffer;
/// use std::io::Read;
///
/// # fn main() -> std::io::Result<()> {
/// let buffer = Buffer::from(vec![0, 3, b'a', b'b', b'c']);
/// let mut cursor = buffer.cursor(0)?;
/// let mut length = [0; 2];
/// cursor.read_exact(&mut length)?;
/// let end = cursor.position() + usize::from(u16::from_be_bytes(length));
/// assert!(end <= buffer.len(), "the frame is complete");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    buffer: &'a Buffer,
    position: usize,
    /// What is left of the chunk the position is in.
    piece: &'a [u8],
    /// The chunks behind it.
    later: Slices<'a>,
}

impl Buffer {
    /// A cursor at `position`, from 0 to the length, which is the end (EB-59, EB-60). Costs a walk over the chunks in front of it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a position behind the end.
    pub fn cursor(&self, position: usize) -> io::Result<Cursor<'_>> {
        if position > self.len {
            return Err(behind_the_end());
        }
        Ok(Cursor {
            buffer: self,
            position,
            piece: &[],
            later: self.slices(position..),
        })
    }
}

impl<'a> Cursor<'a> {
    /// Where it is: bytes from the front.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// How many bytes follow.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.buffer.len() - self.position
    }

    /// Moves `count` bytes on, at most to the end.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if fewer bytes follow, and then it stays where it is; libevent's goes nowhere (EB-59). A file's error if the bytes cannot
    /// be read.
    pub fn advance(&mut self, count: usize) -> io::Result<()> {
        if count > self.remaining() {
            return Err(behind_the_end());
        }
        let mut moved = self.clone();
        let mut rest = count;
        while rest > 0 {
            let step = moved.fill_buf()?.len().min(rest);
            moved.consume(step);
            rest -= step;
        }
        *self = moved;
        Ok(())
    }

    /// Searches from here on, as [`Buffer::search_in`] does, and returns the position of the match. The cursor stays.
    #[must_use]
    pub fn search(&self, what: &[u8]) -> Option<usize> {
        self.buffer.search_in(what, self.position..)
    }

    /// The bytes from here on, piece by piece.
    #[must_use]
    pub fn slices(&self) -> Slices<'a> {
        self.buffer.slices(self.position..)
    }
}

impl BufRead for Cursor<'_> {
    /// The bytes here that lie in one piece.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.is_empty() && self.remaining() > 0 {
            match self.later.next() {
                Some(piece) => self.piece = piece,
                // The view ends before the bytes do: a file cannot be read, and this says why.
                None => self.buffer.load()?,
            }
            if self.piece.is_empty() {
                return Err(io::Error::other(
                    "the bytes could not be read a moment ago: take a new cursor",
                ));
            }
        }
        Ok(self.piece)
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.piece.len());
        self.piece = &self.piece[count..];
        self.position += count;
    }
}

impl Read for Cursor<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < to.len() && self.remaining() > 0 {
            let piece = match self.fill_buf() {
                Ok(piece) => piece,
                // What has been read already must not be lost; the error comes again.
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            };
            let count = piece.len().min(to.len() - done);
            to[done..done + count].copy_from_slice(&piece[..count]);
            self.consume(count);
            done += count;
        }
        Ok(done)
    }
}

fn behind_the_end() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "the position is behind the end of the buffer: its length is the last that there is",
    )
}
