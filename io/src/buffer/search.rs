//! Searching for bytes across chunks.

use std::io::BufRead;
use std::ops::RangeBounds;

use super::Buffer;

impl Buffer {
    /// The position of the first occurrence of `what`, wherever chunks begin and end (EB-62).
    ///
    /// Costs time in proportion to both lengths together, whatever they hold, and memory for one number per byte of `what` if that is more than one byte. No
    /// bytes at all are found at the front, as in `str::find` (EB-65).
    ///
    /// ```
    /// use levent_io::Buffer;
    ///
    /// let buffer = Buffer::from("key: value");
    /// assert_eq!(buffer.search(b": "), Some(3));
    /// assert_eq!(buffer.search(b";"), None);
    /// ```
    #[must_use]
    pub fn search(&self, what: &[u8]) -> Option<usize> {
        self.search_in(what, ..)
    }

    /// The position of the first occurrence that lies in `range` as a whole (EB-64).
    ///
    /// To go on after a match at `at`, search in `at + 1..`. No bytes at all are found at the start of the range, unless that is behind the end of the
    /// buffer or of the range.
    #[must_use]
    pub fn search_in(&self, what: &[u8], range: impl RangeBounds<usize>) -> Option<usize> {
        let asked = range.start_bound().cloned();
        let range = self.resolve(range);
        let is_outside = match asked {
            std::ops::Bound::Included(start) => start > range.start,
            std::ops::Bound::Excluded(before) => before >= range.start,
            std::ops::Bound::Unbounded => false,
        };
        match what {
            [] if is_outside => None,
            [] => Some(range.start),
            _ if what.len() > range.len() => None,
            [byte] => {
                let mut position = range.start;
                for piece in self.slices(range) {
                    if let Some(at) = find_byte(piece, *byte) {
                        return Some(position + at);
                    }
                    position += piece.len();
                }
                None
            }
            _ => {
                let mut matcher = Matcher::new(what);
                let mut position = range.start;
                for piece in self.slices(range) {
                    if let Some(end) = matcher.feed(piece) {
                        return Some(position + end - what.len());
                    }
                    position += piece.len();
                }
                None
            }
        }
    }
}

/// Where `byte` is first. The system's `memchr`, by the only stable way to it.
pub(super) fn find_byte(bytes: &[u8], byte: u8) -> Option<usize> {
    let mut rest = bytes;
    // Reading from a slice does not fail.
    let passed = rest.skip_until(byte).unwrap_or_default();
    let last = passed.checked_sub(1)?;
    (bytes.get(last) == Some(&byte)).then_some(last)
}

/// Knuth, Morris and Pratt's automaton: it never goes back, so pieces may come one after the other.
struct Matcher<'a> {
    what: &'a [u8],
    /// For each length of a match: the longest shorter one that ends at the same byte.
    shorter: Vec<usize>,
    /// How much of `what` the bytes before here end with.
    matched: usize,
}

impl<'a> Matcher<'a> {
    fn new(what: &'a [u8]) -> Self {
        let mut shorter = vec![0; what.len()];
        let mut matched = 0;
        for (index, &byte) in what.iter().enumerate().skip(1) {
            while matched > 0 && what[matched] != byte {
                matched = shorter[matched - 1];
            }
            if what[matched] == byte {
                matched += 1;
            }
            shorter[index] = matched;
        }
        Matcher {
            what,
            shorter,
            matched: 0,
        }
    }

    /// Takes the next bytes. Where in them the match ends, if it does: the position behind its last byte.
    fn feed(&mut self, piece: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < piece.len() {
            if self.matched == 0 {
                at += find_byte(&piece[at..], self.what[0])?;
            }
            let byte = piece[at];
            while self.matched > 0 && self.what[self.matched] != byte {
                self.matched = self.shorter[self.matched - 1];
            }
            if self.what[self.matched] == byte {
                self.matched += 1;
            }
            at += 1;
            if self.matched == self.what.len() {
                return Some(at);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::find_byte;

    #[test]
    fn byte_at_either_end_or_nowhere() {
        assert_eq!(find_byte(b"", b'a'), None);
        assert_eq!(find_byte(b"a", b'a'), Some(0));
        assert_eq!(find_byte(b"xya", b'a'), Some(2));
        assert_eq!(find_byte(b"xyz", b'a'), None);
    }
}
