//! Reading into memory that may not be initialised, without unsafe code: by way of memory that is.
//!
//! Foreign read buffers (hyper's, tokio's) hand out room that has never been written. Clearing it costs as much as there is room; this costs one copy of
//! what came, and no buffer per connection.
//!
//! Invariant: the scratch buffer is *taken* while foreign code reads into it. A nested read finds none and makes its own; nothing is ever borrowed across
//! the call.

use std::{cell::Cell, io, task::Poll};

/// The most that one read brings: buffers of such libraries begin at 8 KiB.
const SIZE: usize = 16 * 1024;

thread_local! {
    /// Empty until the first read of the thread, and while a read is under way.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads at most `room` bytes, and gives what came to `put`.
pub(crate) fn read(
    room: usize,
    read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
    put: impl FnOnce(&[u8]),
) -> Poll<io::Result<()>> {
    let mut scratch = SPARE.take();
    scratch.resize(SIZE, 0);
    let polled = read(&mut scratch[..room.min(SIZE)]);
    if let Poll::Ready(Ok(n)) = polled {
        put(&scratch[..n]);
    }
    // Never shrunk: `resize` above clears memory once per thread, not once per read.
    SPARE.set(scratch);
    polled.map_ok(drop)
}
