//! The buffers as users see them: bytes leave the input at its front, and come into the output at its end (BE-9).

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::ops::Deref;
use std::sync::Arc;

use super::side::Side;
use super::waiters::Waiters;
use super::{BufferedStream, Direction};
use crate::Buffer;
use crate::buffer::{Eol, Segment, SegmentError};

impl<S> BufferedStream<S> {
    /// The input: what was read and not yet taken. Bytes can be taken from its front and not be added (BE-9).
    pub fn input(&mut self) -> Input<'_> {
        self.buffers().0
    }

    /// The output: what was written and not yet sent. Bytes can be added to its end and not be taken (BE-9).
    ///
    /// Its marks are not asked: wait for [`room`](BufferedStream::room) before or after.
    pub fn output(&mut self) -> Output<'_> {
        self.buffers().1
    }

    /// Both buffers at once, to move bytes from one to the other.
    pub fn buffers(&mut self) -> (Input<'_>, Output<'_>) {
        let waiters = &self.waiters;
        let input = Input {
            buffer: &mut self.input,
            side: &self.reading,
            waiters,
        };
        let output = Output {
            buffer: &mut self.output,
            side: &self.writing,
            waiters,
        };
        (input, output)
    }
}

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
pub struct Input<'a> {
    buffer: &'a mut Buffer,
    side: &'a Side,
    waiters: &'a Waiters,
}

impl Input<'_> {
    /// Takes bytes out. Who stopped reading at the high mark goes on when there are few enough left (BE-23).
    fn take<R>(&mut self, take: impl FnOnce(&mut Buffer) -> R) -> R {
        let result = take(self.buffer);
        if self.side.is_full && self.buffer.len() <= self.side.low() {
            self.waiters.wake_parked();
        }
        result
    }

    /// As [`Buffer::drain`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn drain(&mut self, count: usize) -> io::Result<usize> {
        self.take(|buffer| buffer.drain(count))
    }

    /// As [`Buffer::take_vec`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn take_vec(&mut self, count: usize) -> io::Result<Vec<u8>> {
        self.take(|buffer| buffer.take_vec(count))
    }

    /// As [`Buffer::take_line`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn take_line(&mut self, eol: Eol) -> io::Result<Option<Vec<u8>>> {
        self.take(|buffer| buffer.take_line(eol))
    }

    /// As [`Buffer::pull_up`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn pull_up(&mut self, count: usize) -> io::Result<&[u8]> {
        self.buffer.pull_up(count)
    }

    /// Moves the first `count` bytes, or all if there are fewer, to the end of `buffer`, as [`Buffer::append_from`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn move_to(&mut self, buffer: &mut Buffer, count: usize) -> io::Result<usize> {
        self.take(|input| buffer.append_from(input, count))
    }
}

impl Deref for Input<'_> {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        self.buffer
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.take(|buffer| buffer.read(buf))
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.buffer.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.take(|buffer| buffer.consume(amount));
    }
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Input").field(&self.buffer).finish()
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
pub struct Output<'a> {
    buffer: &'a mut Buffer,
    side: &'a Side,
    waiters: &'a Waiters,
}

impl Output<'_> {
    /// Puts bytes in, unless writing has ended for good.
    fn put<R>(&mut self, put: impl FnOnce(&mut Buffer) -> io::Result<R>) -> io::Result<R> {
        self.check()?;
        let was_empty = self.buffer.is_empty();
        let result = put(self.buffer);
        self.added(was_empty);
        result
    }

    /// After a timeout there may be more: it goes out when writing is enabled.
    fn check(&self) -> io::Result<()> {
        match &self.side.end {
            Some(end) if !end.is_timeout() => end.answer(Direction::Write).map(drop),
            _ => Ok(()),
        }
    }

    /// Who is parked sends the first bytes.
    fn added(&self, was_empty: bool) {
        if was_empty && !self.buffer.is_empty() {
            self.waiters.wake_parked();
        }
    }

    /// As [`Buffer::append`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn append(&mut self, data: &[u8]) -> io::Result<()> {
        self.put(|buffer| buffer.append(data))
    }

    /// Moves all bytes of a stream's input here, without a copy.
    ///
    /// # Errors
    ///
    /// As [`Buffer::append_buffer`].
    pub fn append_buffer(&mut self, input: &mut Input<'_>) -> io::Result<usize> {
        self.put(|output| input.take(|input| output.append_buffer(input)))
    }

    /// Moves the first `count` bytes of a stream's input here, or all if there are fewer.
    ///
    /// # Errors
    ///
    /// As [`Buffer::append_from`].
    pub fn append_from(&mut self, input: &mut Input<'_>, count: usize) -> io::Result<usize> {
        self.put(|output| input.take(|input| output.append_from(input, count)))
    }

    /// As [`Buffer::append_static`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn append_static(&mut self, bytes: &'static [u8]) -> io::Result<()> {
        self.put(|buffer| buffer.append_static(bytes))
    }

    /// As [`Buffer::append_shared`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn append_shared(&mut self, bytes: Arc<[u8]>) -> io::Result<()> {
        self.put(|buffer| buffer.append_shared(bytes))
    }

    /// As [`Buffer::append_bytes`].
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "bytes")]
    pub fn append_bytes(&mut self, bytes: bytes::Bytes) -> io::Result<()> {
        self.put(|buffer| buffer.append_bytes(bytes))
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
        self.put(|buffer| buffer.append_segment(segment, offset, len))
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
        if let Err(error) = self.check() {
            return Err(SegmentError { error, file });
        }
        let was_empty = self.buffer.is_empty();
        let result = self.buffer.append_file(file, offset, len);
        self.added(was_empty);
        result
    }
}

impl Deref for Output<'_> {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        self.buffer
    }
}

impl Write for Output<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.put(|buffer| buffer.write(buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.put(|buffer| buffer.write_vectored(bufs))
    }

    /// Does nothing: [`BufferedStream::flush`](super::BufferedStream::flush) sends.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Output").field(&self.buffer).finish()
    }
}
