//! Lines: five ways to end one.

use std::io;
use std::ops::Range;

use super::Buffer;
use super::search::find_byte;

/// What ends a line (EB-67).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Eol {
    /// Any run of CR and LF, as long as it is now: a CR LF that comes in two reads ends two lines (EB-71). Not for protocols.
    Any,
    /// LF, with a CR before it or not. A CR alone is data.
    Crlf,
    /// CR LF, and nothing else.
    CrlfStrict,
    /// LF alone; a CR before it is data.
    Lf,
    /// A zero byte.
    Nul,
}

/// What is known to have no end of a line in it, so that a line which comes in many pieces is looked through once (EB-77).
///
/// Every buffer has one, so it is small: five bytes that need no alignment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scan {
    eol: Option<Eol>,
    /// No such end begins before this position, a `u32`: what lies behind 4 GiB is looked through again.
    clean: [u8; 4],
}

impl Scan {
    pub(super) fn reset(&mut self) {
        *self = Scan::default();
    }

    #[inline]
    pub(super) fn drained(&mut self, count: usize) {
        self.set(self.clean().saturating_sub(count));
    }

    fn clean(&self) -> usize {
        u32::from_ne_bytes(self.clean) as usize
    }

    fn set(&mut self, clean: usize) {
        self.clean = u32::try_from(clean).unwrap_or(u32::MAX).to_ne_bytes();
    }

    /// Where the search for `eol` has to begin.
    fn start(&self, eol: Eol) -> usize {
        match self.eol {
            Some(known) if known == eol => self.clean(),
            _ => 0,
        }
    }

    /// No end was found in a buffer of `len` bytes. The last may be the CR of one.
    fn failed(&mut self, eol: Eol, len: usize) {
        self.eol = Some(eol);
        self.set(len.saturating_sub(1));
    }
}

impl Buffer {
    /// Where the next end of a line lies: from its first byte to behind its last (EB-68).
    ///
    /// The search begins at `start` and knows nothing of what is before it: a CR there is not part of the end (EB-69).
    ///
    /// ```
    /// use levent_io::{Buffer, buffer::Eol};
    ///
    /// let buffer = Buffer::from("one\r\ntwo");
    /// assert_eq!(buffer.search_eol(Eol::Crlf, 0), Some(3..5));
    /// assert_eq!(buffer.search_eol(Eol::Lf, 0), Some(4..5));
    /// assert_eq!(buffer.search_eol(Eol::Crlf, 5), None);
    /// ```
    #[must_use]
    pub fn search_eol(&self, eol: Eol, start: usize) -> Option<Range<usize>> {
        self.eol_from(eol, start, start)
    }

    /// Takes the first line, and returns it without its end; `None` if there is no whole line yet, and then nothing is taken (EB-72).
    ///
    /// A line that comes in many pieces is searched once: the buffer remembers how far it has looked for this kind of end. There is
    /// no limit to its length; for input from elsewhere use [`take_line_within`](Buffer::take_line_within).
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the front is frozen; `OutOfMemory`, or a file's error, and then the line is still there (EB-75).
    pub fn take_line(&mut self, eol: Eol) -> io::Result<Option<Vec<u8>>> {
        self.take_line_within(eol, usize::MAX)
    }

    /// The same, for lines of at most `limit` bytes without the end (EB-77).
    ///
    /// # Errors
    ///
    /// As [`take_line`](Buffer::take_line), and `InvalidData` once it is sure that the line is longer; it stays.
    pub fn take_line_within(&mut self, eol: Eol, limit: usize) -> io::Result<Option<Vec<u8>>> {
        self.check_front()?;
        let found = self.eol_from(eol, 0, self.scan.start(eol));
        let Some(end) = found else {
            // A part of a file that cannot be read hides what follows: that is not the absence of a line.
            self.load()?;
            self.scan.failed(eol, self.len);
            // The last byte may be the CR of the end.
            if self.len.saturating_sub(1) > limit {
                return Err(too_long());
            }
            return Ok(None);
        };
        if end.start > limit {
            return Err(too_long());
        }
        let line = self.copied(end.start)?;
        self.discard(end.end);
        self.notify();
        Ok(Some(line))
    }

    /// The first end at or behind `from`, of a line that begins at `line`.
    fn eol_from(&self, eol: Eol, line: usize, from: usize) -> Option<Range<usize>> {
        match eol {
            Eol::Any => {
                let start = self.find(from, |piece| piece.iter().position(is_cr_or_lf))?;
                let end = self
                    .find(start, |piece| piece.iter().position(|b| !is_cr_or_lf(b)))
                    .unwrap_or(self.len);
                Some(start..end)
            }
            Eol::Crlf => {
                let lf = self.find(from, |piece| find_byte(piece, b'\n'))?;
                let has_cr = lf > line && self.byte_at(lf - 1) == Some(b'\r');
                Some(lf - usize::from(has_cr)..lf + 1)
            }
            Eol::CrlfStrict => {
                let start = self.search_in(b"\r\n", from..)?;
                Some(start..start + 2)
            }
            Eol::Lf => {
                let start = self.find(from, |piece| find_byte(piece, b'\n'))?;
                Some(start..start + 1)
            }
            Eol::Nul => {
                let start = self.find(from, |piece| find_byte(piece, 0))?;
                Some(start..start + 1)
            }
        }
    }

    /// The first position at or behind `from` that `find` finds in its piece.
    fn find(&self, from: usize, find: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
        let mut position = from;
        for piece in self.slices(from..) {
            if let Some(at) = find(piece) {
                return Some(position + at);
            }
            position += piece.len();
        }
        None
    }
}

fn is_cr_or_lf(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

fn too_long() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the line is longer than allowed: drain it, or end the connection",
    )
}
