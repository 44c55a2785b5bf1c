//! Parts of files, appended without reading them.
//!
//! ```text
//! Segment::new ──▶ in the file ── send_to ──▶ sendfile: the bytes never come here
//!                      │      └── write_to ─▶ read and written piece by piece
//!                      └── looked at, or `load` ──▶ in memory, for all who share the segment
//! ```
//!
//! Nothing has to be decided beforehand: a segment that is only written out stays in the file, and one that is searched or copied is read at that
//! moment (EB-82, EB-83, EB-84). Files are read by position, so the descriptor's own is left alone. A *mapped* file is memory, and
//! appended as such: `levent_reactor::file::Map` with [`Buffer::append_owner`]. Mapping is `unsafe`, since another program may shorten the file.
//!
//! Invariants
//! 1. `offset + len` was within the file when the segment was made.
//! 2. The bytes are read once, and never change after that.
//! 3. The file is closed when the last of the segment's handles and chunks goes, and then the cleanup runs.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::Buffer;
use super::chunk::ReadOnly;
use super::pool::allocate;

/// A part of a regular file, to be appended to any number of buffers. Clones are the same segment.
///
/// # Examples
///
/// ```
/// use levent_io::buffer::{Buffer, Segment};
/// use std::fs::File;
///
/// # fn main() -> std::io::Result<()> {
/// # let path = std::env::temp_dir().join(format!("levent-segment-{}", std::process::id()));
/// # std::fs::write(&path, "0123456789")?;
/// let segment = Segment::new(File::open(&path)?, 2, None)?;
/// # std::fs::remove_file(&path)?;
/// let mut buffer = Buffer::from("digits: ");
/// buffer.append_segment(&segment, 1, Some(3))?;
/// assert_eq!(buffer.to_vec()?, b"digits: 345");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Segment(Arc<Inner>);

struct Inner {
    /// `None` only while it is being dropped.
    file: Option<File>,
    offset: u64,
    len: usize,
    /// The bytes, once somebody has looked at them.
    bytes: OnceLock<Vec<u8>>,
    cleanup: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

/// Why a file could not be appended, and the file.
#[derive(Debug)]
pub struct SegmentError {
    /// What went wrong.
    pub error: io::Error,
    /// The file, which still belongs to the caller (EB-86).
    pub file: File,
}

impl Segment {
    /// The part of `file` that begins at `offset` and has `len` bytes, or goes to the file's end as it is now (EB-79).
    ///
    /// The segment owns the file and closes it when nobody needs it any more. To keep one, give it a [`try_clone`](File::try_clone).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for anything but a regular file and for a part that reaches beyond its end; the system's if it does not tell the
    /// size. The file comes back with the error, which `?` turns into an `io::Error`.
    pub fn new(file: File, offset: u64, len: Option<u64>) -> Result<Segment, SegmentError> {
        match part_of(&file, offset, len) {
            Ok(len) => Ok(Segment::of(file, offset, len)),
            Err(error) => Err(SegmentError { error, file }),
        }
    }

    fn of(file: File, offset: u64, len: usize) -> Segment {
        Segment(Arc::new(Inner {
            file: Some(file),
            offset,
            len,
            bytes: OnceLock::new(),
            cleanup: Mutex::new(None),
        }))
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Has it no bytes?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// Have the bytes been read? Then they are written out from memory, and not with `sendfile`.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.0.bytes.get().is_some()
    }

    /// Reads the bytes now, if they have not been yet.
    ///
    /// # Errors
    ///
    /// The file's, with `UnexpectedEof` if it has become shorter; `OutOfMemory`.
    pub fn load(&self) -> io::Result<()> {
        self.bytes().map(drop)
    }

    /// Calls `cleanup` when nobody has the segment any more, neither a handle nor a buffer, and the file is closed (EB-85).
    ///
    /// One cleanup: another takes its place.
    pub fn on_release(&self, cleanup: impl FnOnce() + Send + 'static) {
        let old = self
            .0
            .cleanup
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(Box::new(cleanup));
        // Dropped with the lock free: its captures are foreign.
        drop(old);
    }

    pub(super) fn bytes(&self) -> io::Result<&[u8]> {
        if let Some(bytes) = self.0.bytes.get() {
            return Ok(bytes);
        }
        let mut bytes = allocate(self.0.len)?;
        bytes.resize(self.0.len, 0);
        self.read_at(0, &mut bytes)?;
        // Two threads may have read at once; the first one's bytes count for both.
        Ok(self.0.bytes.get_or_init(|| bytes))
    }

    /// Reads a part of the segment without keeping it.
    pub(super) fn read_at(&self, start: usize, into: &mut [u8]) -> io::Result<()> {
        self.file()?.read_exact_at(into, self.position(start))
    }

    /// Where in the file the segment's byte `start` lies.
    pub(super) fn position(&self, start: usize) -> u64 {
        // Within the file when the segment was made.
        self.0.offset.saturating_add(start as u64)
    }

    pub(super) fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        self.file().map(File::as_fd)
    }

    fn file(&self) -> io::Result<&File> {
        self.0
            .file
            .as_ref()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

/// The length of that part of the file, if it is one.
fn part_of(file: &File, offset: u64, len: Option<u64>) -> io::Result<usize> {
    let status = file.metadata()?;
    if !status.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "only a regular file has segments: read from anything else with Buffer::read_from",
        ));
    }
    let beyond = || {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "the segment reaches beyond the end of the file: offset and length together are at most its size",
        )
    };
    let rest = status.len().checked_sub(offset).ok_or_else(beyond)?;
    let len = len.unwrap_or(rest);
    match usize::try_from(len) {
        Ok(count) if len <= rest && count <= isize::MAX as usize => Ok(count),
        _ => Err(beyond()),
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // First the file, then whoever wants to hear of it.
        self.file = None;
        let cleanup = self
            .cleanup
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(cleanup) = cleanup {
            cleanup();
        }
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("offset", &self.0.offset)
            .field("len", &self.0.len)
            .field("is_in_memory", &self.is_in_memory())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SegmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for SegmentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<SegmentError> for io::Error {
    fn from(refused: SegmentError) -> io::Error {
        refused.error
    }
}

impl Buffer {
    /// Appends a part of a segment, `len` bytes from `offset` on, or all that follow, and returns how many (EB-81). Nothing is read.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the back is frozen, `InvalidInput` for a part that reaches beyond the segment. The caller keeps the segment in any
    /// case (EB-86).
    pub fn append_segment(
        &mut self,
        segment: &Segment,
        offset: usize,
        len: Option<usize>,
    ) -> io::Result<usize> {
        self.check_back()?;
        let rest = segment.len().checked_sub(offset);
        let count = match (rest, len) {
            (Some(rest), None) => rest,
            (Some(rest), Some(len)) if len <= rest => len,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the part reaches beyond the segment: offset and length together are at most its length",
                ));
            }
        };
        self.append_reference(ReadOnly::File(segment.clone()), offset, count)?;
        Ok(count)
    }

    /// Appends a part of a file, as [`Segment::new`] takes it, and returns how many bytes that is (EB-78).
    ///
    /// # Errors
    ///
    /// Those of [`Segment::new`], and `PermissionDenied` if the back is frozen: the file comes back with the error.
    pub fn append_file(
        &mut self,
        file: File,
        offset: u64,
        len: Option<u64>,
    ) -> Result<usize, SegmentError> {
        let count = match part_of(&file, offset, len) {
            Ok(count) => count,
            Err(error) => return Err(SegmentError { error, file }),
        };
        // All that could refuse the segment later.
        if let Err(error) = self.check_back().and_then(|()| self.check_len(count)) {
            return Err(SegmentError { error, file });
        }
        let segment = Segment::of(file, offset, count);
        self.push_reference(ReadOnly::File(segment), 0, count);
        Ok(count)
    }
}
