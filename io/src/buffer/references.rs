//! Bytes of somebody else's, appended where they lie.
//!
//! Such memory is read-only: nothing is ever written into it or behind it (EB-44). The buffer's hold on it ends with the chunk: when its
//! last byte is drained, or the buffer dropped, and not when it moves to another buffer (EB-43).

use std::io;
use std::sync::Arc;

use super::Buffer;
use super::chunk::{Chunk, ReadOnly};

impl Buffer {
    /// Appends bytes that live for ever, without copying them.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the back is frozen.
    pub fn append_static(&mut self, bytes: &'static [u8]) -> io::Result<()> {
        self.append_reference(ReadOnly::Static(bytes), 0, bytes.len())
    }

    /// Appends bytes that are shared with others, without copying them.
    ///
    /// ```
    /// use levent_io::Buffer;
    /// use std::sync::Arc;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let page: Arc<[u8]> = Arc::from(&b"<!doctype html>"[..]);
    /// let mut outputs = [Buffer::new(), Buffer::new()];
    /// for output in &mut outputs {
    ///     output.append_shared(page.clone())?;
    /// }
    /// assert_eq!(Arc::strong_count(&page), 3);
    /// outputs[0].drain(15)?;
    /// assert_eq!(Arc::strong_count(&page), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the back is frozen.
    pub fn append_shared(&mut self, bytes: Arc<[u8]>) -> io::Result<()> {
        let len = bytes.len();
        self.append_reference(ReadOnly::Shared(bytes), 0, len)
    }

    /// Appends the bytes of whatever has some, without copying them: a vector, a mapped file, a type of your own.
    ///
    /// The owner is dropped, if that was its last `Arc`, when the buffer has no more use for it: what its destructor does is libevent's cleanup
    /// callback (EB-43). Whoever wants it back after an error keeps a clone (EB-42). Its `AsRef` has to answer with the same bytes every time; if
    /// it shortens them, reading them is an error.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the back is frozen.
    pub fn append_owner<T>(&mut self, owner: Arc<T>) -> io::Result<()>
    where
        T: AsRef<[u8]> + Send + Sync + 'static,
    {
        let len = (*owner).as_ref().len();
        self.append_reference(ReadOnly::Owner(owner), 0, len)
    }

    /// The same for `len` bytes from `offset` on (EB-45).
    ///
    /// # Errors
    ///
    /// As [`append_owner`](Buffer::append_owner), and `InvalidInput` if the owner has fewer bytes.
    pub fn append_owner_part<T>(
        &mut self,
        owner: Arc<T>,
        offset: usize,
        len: usize,
    ) -> io::Result<()>
    where
        T: AsRef<[u8]> + Send + Sync + 'static,
    {
        let all = (*owner).as_ref().len();
        match offset.checked_add(len) {
            Some(end) if end <= all => self.append_reference(ReadOnly::Owner(owner), offset, len),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the part reaches beyond what the owner has: offset and length together are at most its length",
            )),
        }
    }

    /// Appends a `Bytes`, without copying it.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the back is frozen.
    #[cfg(feature = "bytes")]
    pub fn append_bytes(&mut self, bytes: bytes::Bytes) -> io::Result<()> {
        self.append_owner(Arc::new(bytes))
    }

    /// Appends `len` bytes from `start` on of what nobody writes to. None at all are accepted and let go at once (EB-46).
    pub(super) fn append_reference(
        &mut self,
        storage: ReadOnly,
        start: usize,
        len: usize,
    ) -> io::Result<()> {
        self.check_back()?;
        self.check_len(len)?;
        self.push_reference(storage, start, len);
        Ok(())
    }

    /// The same once everything has been checked.
    pub(super) fn push_reference(&mut self, storage: ReadOnly, start: usize, len: usize) {
        if len > 0 {
            self.chain
                .push_back(Chunk::read_only(storage, start, start + len));
            self.len += len;
            self.note(len, 0);
            self.notify();
        }
    }
}
