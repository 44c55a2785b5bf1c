//! Whole messages: who finds where one ends, and who takes it.
//!
//! A decoder never takes bytes itself. It says how long the message at the front is, the stream waits until that much is there, moves it into a
//! buffer of its own, without a copy where that is possible, and only then is it decoded.

use std::io;

use super::read::cut_off;
use crate::Buffer;

/// Finds messages in a stream of bytes: see [`read_frame`](super::BufferedStream::read_frame).
///
/// A function from a buffer to the length of the message at its front is a decoder too, whose messages are buffers.
///
/// # Examples
///
/// ```
/// use levent_io::Buffer;
/// use levent_io::stream::Decoder;
/// use std::io;
///
/// /// Records of eight bytes.
/// struct Records;
///
/// impl Decoder for Records {
///     type Item = u64;
///
///     fn frame_len(&mut self, _: &Buffer) -> io::Result<Option<usize>> {
///         Ok(Some(8))
///     }
///
///     fn decode(&mut self, frame: Buffer) -> io::Result<u64> {
///         let mut record = [0; 8];
///         frame.copy_out(&mut record)?;
///         Ok(u64::from_be_bytes(record))
///     }
/// }
/// ```
pub trait Decoder {
    /// A message.
    type Item;

    /// How many bytes the message at the front of `input` has, with everything that belongs to it. `None` if that is not known before more bytes come.
    ///
    /// The answer may be more than there is. `input` is never empty.
    ///
    /// # Errors
    ///
    /// `InvalidData` if this is no message: what is there stays where it is.
    fn frame_len(&mut self, input: &Buffer) -> io::Result<Option<usize>>;

    /// As `frame_len`, which has answered `None` when `input` had its first `seen` bytes: a decoder that searches goes on from there.
    ///
    /// # Errors
    ///
    /// As `frame_len`.
    fn resume(&mut self, input: &Buffer, seen: usize) -> io::Result<Option<usize>> {
        let _ = seen;
        self.frame_len(input)
    }

    /// Makes a message of its bytes, which have been taken from the stream.
    ///
    /// # Errors
    ///
    /// `InvalidData` if they are none.
    fn decode(&mut self, frame: Buffer) -> io::Result<Self::Item>;
}

impl<F: FnMut(&Buffer) -> io::Result<Option<usize>>> Decoder for F {
    type Item = Buffer;

    fn frame_len(&mut self, input: &Buffer) -> io::Result<Option<usize>> {
        self(input)
    }

    fn decode(&mut self, frame: Buffer) -> io::Result<Buffer> {
        Ok(frame)
    }
}

/// Messages with their length in front, big-endian, which does not count itself. An item is the message without it.
///
/// # Examples
///
/// ```
/// use levent_io::Buffer;
/// use levent_io::stream::{Decoder, LengthPrefixed};
///
/// # fn main() -> std::io::Result<()> {
/// let mut decoder = LengthPrefixed::new(2)?;
/// assert_eq!(decoder.frame_len(&Buffer::from(vec![0, 3, b'a']))?, Some(5));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LengthPrefixed {
    width: usize,
}

impl LengthPrefixed {
    /// The length has `width` bytes: 1, 2, 4 or 8. How long a message may be is the business of the stream's high mark.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another width.
    pub fn new(width: usize) -> io::Result<LengthPrefixed> {
        match width {
            1 | 2 | 4 | 8 => Ok(LengthPrefixed { width }),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a length has 1, 2, 4 or 8 bytes",
            )),
        }
    }
}

impl Decoder for LengthPrefixed {
    type Item = Vec<u8>;

    fn frame_len(&mut self, input: &Buffer) -> io::Result<Option<usize>> {
        if input.len() < self.width {
            return Ok(None);
        }
        let mut prefix = [0; 8];
        input.copy_out(&mut prefix[8 - self.width..])?;
        let len = usize::try_from(u64::from_be_bytes(prefix))
            .ok()
            .and_then(|len| len.checked_add(self.width));
        match len {
            Some(len) => Ok(Some(len)),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a message claims to be longer than memory",
            )),
        }
    }

    fn decode(&mut self, mut frame: Buffer) -> io::Result<Vec<u8>> {
        frame.drain(self.width)?;
        frame.take_vec(frame.len())
    }
}

/// Messages that end with a sequence of bytes, which is not part of the item.
///
/// # Examples
///
/// ```
/// use levent_io::Buffer;
/// use levent_io::stream::{Decoder, Delimited};
///
/// # fn main() -> std::io::Result<()> {
/// let mut decoder = Delimited::new(b"\r\n\r\n")?;
/// assert_eq!(decoder.frame_len(&Buffer::from("GET / HTTP/1.1\r\n\r\nbody"))?, Some(18));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Delimited {
    delimiter: Vec<u8>,
}

impl Delimited {
    /// Messages end with `delimiter`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an empty one.
    pub fn new(delimiter: &[u8]) -> io::Result<Delimited> {
        check_delimiter(delimiter)?;
        Ok(Delimited {
            delimiter: delimiter.to_vec(),
        })
    }
}

impl Decoder for Delimited {
    type Item = Vec<u8>;

    fn frame_len(&mut self, input: &Buffer) -> io::Result<Option<usize>> {
        self.resume(input, 0)
    }

    fn resume(&mut self, input: &Buffer, seen: usize) -> io::Result<Option<usize>> {
        // It may have begun within the last bytes.
        let from = (seen + 1).saturating_sub(self.delimiter.len());
        Ok(input
            .search_in(&self.delimiter, from..)
            .map(|at| at + self.delimiter.len()))
    }

    fn decode(&mut self, mut frame: Buffer) -> io::Result<Vec<u8>> {
        frame.take_vec(frame.len() - self.delimiter.len())
    }
}

/// Refuses a delimiter without bytes.
pub(super) fn check_delimiter(delimiter: &[u8]) -> io::Result<()> {
    if delimiter.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "an empty delimiter is everywhere: name at least one byte",
        ));
    }
    Ok(())
}

/// The search for one message.
#[derive(Default)]
pub(super) struct Search {
    /// The decoder has said how long it is.
    len: Option<usize>,
    /// How much there was when it last could not say.
    seen: usize,
}

impl Search {
    /// `Some(Some(item))` for a message, `Some(None)` at the end, `None` while there is too little.
    pub(super) fn take<D: Decoder>(
        &mut self,
        decoder: &mut D,
        input: &mut Buffer,
        is_end: bool,
    ) -> io::Result<Option<Option<D::Item>>> {
        if input.is_empty() {
            return Ok(is_end.then_some(None));
        }
        if self.len.is_none() {
            self.len = match self.seen {
                0 => decoder.frame_len(input)?,
                seen => decoder.resume(input, seen)?,
            };
            self.seen = input.len();
        }
        match self.len {
            Some(0) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the decoder has found a message of no bytes, and would find it for ever: count what belongs to it",
            )),
            Some(len) if len <= input.len() => {
                let mut frame = Buffer::new();
                frame.append_from(input, len)?;
                Ok(Some(Some(decoder.decode(frame)?)))
            }
            _ if is_end => Err(cut_off()),
            _ => Ok(None),
        }
    }
}
