//! std's traits.

use std::fmt;
use std::io::{self, BufRead, IoSlice, Read, Write};

use super::Buffer;
use super::chunk::Chunk;
use super::pool::Block;

impl Read for Buffer {
    /// Takes bytes: libevent's remove (EB-32). 0 if there are none, which is no end: more may come.
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.copy_out(to)?;
        if count > 0 {
            self.discard(count);
            self.notify();
        }
        Ok(count)
    }

    /// All or nothing: if there are too few bytes, none is taken.
    fn read_exact(&mut self, to: &mut [u8]) -> io::Result<()> {
        if to.len() > self.len {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the buffer does not hold that many bytes: wait for more",
            ));
        }
        self.read(to).map(drop)
    }
}

impl BufRead for Buffer {
    /// The bytes at the front that lie in one piece.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.chain.front() {
            None => Ok(&[]),
            Some(front) => {
                self.check_front()?;
                front.try_bytes()
            }
        }
    }

    /// [`Buffer::drain`], which does nothing if the front is frozen: nobody has been shown the bytes then.
    fn consume(&mut self, count: usize) {
        let _ = self.drain(count);
    }
}

impl Write for Buffer {
    /// [`Buffer::append`]: takes all of it.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.append(data)?;
        Ok(data.len())
    }

    /// [`Buffer::append_vectored`]: takes all of it.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.append_vectored(slices)
    }

    /// [`Buffer::append_fmt`]: all or nothing, and one change.
    fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> io::Result<()> {
        self.append_fmt(arguments).map(drop)
    }

    /// There is nothing to flush.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Extend<u8> for Buffer {
    /// Appends the bytes, in pieces of a few hundred.
    ///
    /// The trait has no way to fail: if the back is frozen, or memory runs out, what is left of the bytes is dropped. Where that matters, collect them and
    /// call [`Buffer::append`].
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        let mut piece = [0; 512];
        let mut filled = 0;
        let mut bytes = bytes.into_iter();
        loop {
            let next = bytes.next();
            if let Some(byte) = next {
                piece[filled] = byte;
                filled += 1;
            }
            if filled == piece.len() || next.is_none() {
                let is_refused = self.is_frozen(super::Side::Back);
                if is_refused || self.push_copy(&piece[..filled]).is_err() || next.is_none() {
                    break;
                }
                filled = 0;
            }
        }
        self.notify();
    }
}

impl<'a> Extend<&'a u8> for Buffer {
    /// As `Extend<u8>`.
    fn extend<I: IntoIterator<Item = &'a u8>>(&mut self, bytes: I) {
        self.extend(bytes.into_iter().copied());
    }
}

impl From<Vec<u8>> for Buffer {
    /// Takes the vector's memory over; it may be shortened to the length first.
    fn from(bytes: Vec<u8>) -> Buffer {
        let mut buffer = Buffer::new();
        let len = bytes.len();
        if len > 0 {
            buffer.len = len;
            buffer
                .chain
                .push_back(Chunk::own(Block::from(bytes), 0, len));
        }
        buffer
    }
}

impl From<&[u8]> for Buffer {
    /// Copies the bytes.
    fn from(bytes: &[u8]) -> Buffer {
        Buffer::from(bytes.to_vec())
    }
}

impl From<&str> for Buffer {
    /// Copies the text.
    fn from(text: &str) -> Buffer {
        Buffer::from(text.as_bytes())
    }
}

impl From<String> for Buffer {
    /// Takes the string's memory over, as for a vector.
    fn from(text: String) -> Buffer {
        Buffer::from(text.into_bytes())
    }
}

impl FromIterator<u8> for Buffer {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Buffer {
        Buffer::from(Vec::from_iter(bytes))
    }
}
