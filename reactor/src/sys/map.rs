//! A file's bytes as memory.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd},
    ptr::NonNull,
    slice,
};

/// A part of a file, mapped into memory, private and read-only.
///
/// It is `AsRef<[u8]>`, so a buffer can refer to it. The file may be closed; the map stays until it is dropped.
///
/// # Examples
///
/// ```
/// use levent_reactor::file::Map;
/// use std::fs::File;
///
/// # fn main() -> std::io::Result<()> {
/// # let path = std::env::temp_dir().join(format!("levent-map-{}", std::process::id()));
/// # std::fs::write(&path, "mapped")?;
/// let file = File::open(&path)?;
/// # std::fs::remove_file(&path)?;
/// // SAFETY: nobody else writes to the file, or makes it shorter.
/// let map = unsafe { Map::new(&file, 1, 3)? };
/// assert_eq!(map.as_ref(), b"app");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Map {
    /// The beginning of the mapped pages; dangling if there are none.
    pages: NonNull<u8>,
    /// How many bytes are mapped, 0 if none.
    mapped: usize,
    /// Where in them the part begins: maps begin at pages.
    skip: usize,
}

impl Map {
    /// Maps `len` bytes of the file from `offset` on, which need not be a page's beginning. No bytes at all map nothing.
    ///
    /// # Safety
    ///
    /// As long as the map lives, nobody may write to that part of the file or make the file shorter: not this program, nor another one. The bytes are
    /// handed out as a slice, which must not change, and a read behind the end of the file raises `SIGBUS`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a part that reaches beyond the end of the file; the system's, if it cannot map the file.
    pub unsafe fn new(file: &File, offset: u64, len: usize) -> io::Result<Map> {
        let beyond = || {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "the part reaches beyond the end of the file: offset and length together are at most its size",
            )
        };
        let size = file.metadata()?.len();
        let end = offset.checked_add(len as u64).ok_or_else(beyond)?;
        if end > size || len > isize::MAX as usize {
            return Err(beyond());
        }
        if len == 0 {
            return Ok(Map {
                pages: NonNull::dangling(),
                mapped: 0,
                skip: 0,
            });
        }
        let skip = (offset % page_size()?) as usize;
        let mapped = len + skip;
        let start = libc::off_t::try_from(offset - skip as u64).map_err(|_| beyond())?;
        // SAFETY: without a wished address the kernel takes free room, so nothing that exists is touched; the descriptor is open while borrowed.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped,
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_fd().as_raw_fd(),
                start,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let pages = NonNull::new(address.cast()).ok_or_else(beyond)?;
        Ok(Map {
            pages,
            mapped,
            skip,
        })
    }
}

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `pages` is aligned for bytes, and readable for `mapped` bytes until `drop` (dangling with 0 of them is allowed); by the contract of `new`
        // they do not change.
        let all = unsafe { slice::from_raw_parts(self.pages.as_ptr(), self.mapped) };
        &all[self.skip..]
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if self.mapped > 0 {
            // SAFETY: these are the pages that `new` has mapped, nobody has unmapped them, and no slice of them outlives `self`.
            let answer = unsafe { libc::munmap(self.pages.as_ptr().cast(), self.mapped) };
            debug_assert_eq!(answer, 0);
        }
    }
}

// SAFETY: the pages are only read, and belong to the map alone, wherever it is.
unsafe impl Send for Map {}
// SAFETY: as above: any number of threads may read them.
unsafe impl Sync for Map {}

fn page_size() -> io::Result<u64> {
    // SAFETY: the call takes no pointer.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).map_err(|_| io::Error::last_os_error())
}
