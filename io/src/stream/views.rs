//! The buffers as users see them: bytes leave the input at its front, and come into the output at its end (BE-9).

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::ops::Deref;
use std::sync::Arc;

use crate::Buffer;
use crate::buffer::{Eol, Segment, SegmentError};

/// A stream's input: a [`Buffer`] to look at, and to take bytes from.
///
/// # Examples
///
/// ```
/// # async fn example<S>(mut stream: levent_io::stream::BufferedStream<S>) -> std::io::Result<()> {
/// use levent_io::buffer::Eol;
///
/// stream.fill().await?;
/// let mut input = stream.input();
/// while let Some(line) = input.take_line(Eol::Any)? {
///     println!("{}", String::from_utf8_lossy(&line));
/// }
/// # Ok(()) }
/// ```
pub struct Input<'a>(pub(super) &'a mut Buffer);

impl Input<'_> {
    /// As [`Buffer::drain`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn drain(&mut self, count: usize) -> io::Result<usize> {
        self.0.drain(count)
    }

    /// As [`Buffer::take_vec`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn take_vec(&mut self, count: usize) -> io::Result<Vec<u8>> {
        self.0.take_vec(count)
    }

    /// As [`Buffer::take_line`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn take_line(&mut self, eol: Eol) -> io::Result<Option<Vec<u8>>> {
        self.0.take_line(eol)
    }

    /// As [`Buffer::pull_up`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn pull_up(&mut self, count: usize) -> io::Result<&[u8]> {
        self.0.pull_up(count)
    }

    /// Moves the first `count` bytes, or all if there are fewer, to the end of `buffer`, as [`Buffer::append_from`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn move_to(&mut self, buffer: &mut Buffer, count: usize) -> io::Result<usize> {
        buffer.append_from(self.0, count)
    }
}

impl Deref for Input<'_> {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        self.0
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.0.consume(amount);
    }
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Input").field(&self.0).finish()
    }
}

/// A stream's output: a [`Buffer`] to look at, and to append to.
///
/// # Examples
///
/// ```
/// # async fn example<S>(mut stream: levent_io::stream::BufferedStream<S>) -> std::io::Result<()> {
/// use std::io::Write;
///
/// write!(stream.output(), "{} bytes follow\n", 5)?;
/// stream.output().append_static(b"hello")?;
/// stream.flush().await
/// # }
/// ```
pub struct Output<'a>(pub(super) &'a mut Buffer);

impl Output<'_> {
    /// As [`Buffer::append`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn append(&mut self, data: &[u8]) -> io::Result<()> {
        self.0.append(data)
    }

    /// Moves all bytes of a stream's input here, without a copy.
    ///
    /// # Errors
    ///
    /// As [`Buffer::append_buffer`].
    pub fn append_buffer(&mut self, input: &mut Input<'_>) -> io::Result<usize> {
        self.0.append_buffer(input.0)
    }

    /// Moves the first `count` bytes of a stream's input here, or all if there are fewer.
    ///
    /// # Errors
    ///
    /// As [`Buffer::append_from`].
    pub fn append_from(&mut self, input: &mut Input<'_>, count: usize) -> io::Result<usize> {
        self.0.append_from(input.0, count)
    }

    /// As [`Buffer::append_static`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn append_static(&mut self, bytes: &'static [u8]) -> io::Result<()> {
        self.0.append_static(bytes)
    }

    /// As [`Buffer::append_shared`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn append_shared(&mut self, bytes: Arc<[u8]>) -> io::Result<()> {
        self.0.append_shared(bytes)
    }

    /// As [`Buffer::append_bytes`].
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "bytes")]
    pub fn append_bytes(&mut self, bytes: bytes::Bytes) -> io::Result<()> {
        self.0.append_bytes(bytes)
    }

    /// As [`Buffer::append_segment`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn append_segment(
        &mut self,
        segment: &Segment,
        offset: usize,
        len: Option<usize>,
    ) -> io::Result<usize> {
        self.0.append_segment(segment, offset, len)
    }

    /// As [`Buffer::append_file`]. To a socket it goes with `sendfile`.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn append_file(
        &mut self,
        file: File,
        offset: u64,
        len: Option<u64>,
    ) -> Result<usize, SegmentError> {
        self.0.append_file(file, offset, len)
    }
}

impl Deref for Output<'_> {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        self.0
    }
}

impl Write for Output<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(bufs)
    }

    /// Does nothing: [`BufferedStream::flush`](super::BufferedStream::flush) sends.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Output").field(&self.0).finish()
    }
}
