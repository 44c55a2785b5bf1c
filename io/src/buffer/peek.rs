//! Looking at the bytes where they lie.
//!
//! What only looks is never refused by a frozen end. It reads the parts of files that are not in memory yet; where one cannot be read, the view ends,
//! and [`Buffer::load`] tells why.

use std::io::{self, IoSlice};
use std::ops::{Bound, Range, RangeBounds};

use super::Buffer;
use super::chain::Chunks;

/// The bytes of a range of a [`Buffer`], piece by piece: what [`Buffer::slices`] returns.
#[derive(Clone)]
pub struct Slices<'a> {
    chunks: Chunks<'a>,
    /// Bytes of the next chunks that lie before the range.
    skip: usize,
    /// Bytes still to come.
    left: usize,
    /// The last piece is shown whole, even if it reaches beyond the range.
    is_whole: bool,
}

impl<'a> Iterator for Slices<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while self.left > 0 {
            let chunk = self.chunks.next()?;
            if self.skip >= chunk.len() {
                self.skip -= chunk.len();
                continue;
            }
            let Ok(bytes) = chunk.try_bytes() else {
                // What lies behind a gap is no part of the view.
                self.left = 0;
                return None;
            };
            let bytes = &bytes[self.skip..];
            self.skip = 0;
            let count = bytes.len().min(self.left);
            self.left -= count;
            return Some(if self.is_whole {
                bytes
            } else {
                &bytes[..count]
            });
        }
        None
    }
}

impl std::iter::FusedIterator for Slices<'_> {}

impl std::fmt::Debug for Slices<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slices")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Buffer {
    /// The bytes of `range`, piece by piece and in order; no piece is empty (EB-57). What of the range lies behind the end is left out.
    ///
    /// ```
    /// use levent_io::Buffer;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut buffer = Buffer::from("copied, ");
    /// buffer.append_static(b"referred to")?;
    /// let pieces: Vec<&[u8]> = buffer.slices(4..12).collect();
    /// assert_eq!(pieces, [&b"ed, "[..], b"refe"]);
    /// # Ok(()) }
    /// ```
    pub fn slices(&self, range: impl RangeBounds<usize>) -> Slices<'_> {
        let range = self.resolve(range);
        Slices {
            chunks: self.chain.iter(),
            skip: range.start,
            left: range.len(),
            is_whole: false,
        }
    }

    /// The bytes at the front that lie in one piece; empty only if the buffer is, or if they are a file's and cannot be read. O(1).
    #[must_use]
    pub fn first_slice(&self) -> &[u8] {
        self.chain.front().map_or(&[], |chunk| chunk.bytes())
    }

    /// Shows `len` bytes from `start` on as `IoSlice`s, and returns how many slices that takes, which may be more than `into` has (EB-54).
    ///
    /// The last slice is not cut: it may show more than `len` bytes (EB-55). With `usize::MAX` for `len` it is all that follow. At the end of the buffer,
    /// behind it, and for no bytes, the answer is 0 (EB-56, EB-58). Costs a walk over the chunks.
    ///
    /// ```
    /// use levent_io::Buffer;
    /// use std::io::{IoSlice, Write};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut buffer = Buffer::from("header");
    /// buffer.append_static(b"body")?;
    /// let mut slices = [IoSlice::new(&[]); 4];
    /// let count = buffer.peek(0, usize::MAX, &mut slices);
    /// assert_eq!(count, 2);
    /// assert_eq!(Vec::new().write_vectored(&slices[..count])?, 10);
    /// # Ok(()) }
    /// ```
    pub fn peek<'a>(&'a self, start: usize, len: usize, into: &mut [IoSlice<'a>]) -> usize {
        let mut slices = self.slices(start..start.saturating_add(len));
        slices.is_whole = true;
        let mut needed = 0;
        for slice in slices {
            if let Some(slot) = into.get_mut(needed) {
                *slot = IoSlice::new(slice);
            }
            needed += 1;
        }
        needed
    }

    /// The byte at `position`, if there is one. Costs a walk over the chunks in front of it; a [`Cursor`](super::Cursor) remembers where it is.
    #[must_use]
    pub fn byte_at(&self, position: usize) -> Option<u8> {
        self.slices(position..).next()?.first().copied()
    }

    /// Reads the parts of files that are not in memory yet, so that nothing that looks can fail.
    ///
    /// # Errors
    ///
    /// The file's, with `UnexpectedEof` if it has become shorter; `OutOfMemory`.
    pub fn load(&self) -> io::Result<()> {
        self.chain
            .iter()
            .try_for_each(|chunk| chunk.try_bytes().map(drop))
    }

    /// A range of positions that exist, for any that are asked for.
    pub(super) fn resolve(&self, range: impl RangeBounds<usize>) -> Range<usize> {
        let end = match range.end_bound() {
            Bound::Included(&last) => last.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => self.len,
        }
        .min(self.len);
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        start.min(end)..end
    }
}
