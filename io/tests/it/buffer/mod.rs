//! The byte queue, by the chapters of libevent's rules for its evbuffer.

mod append;
mod consume;
mod files;
mod freeze;
mod line_model;
mod lines;
mod looking;
mod model;
mod moves;
mod notify;
mod random;
mod references;
mod reserve;
mod search;
mod shape;
mod transfer;

use levent_io::Buffer;
use levent_io::buffer::Change;
use std::sync::{Arc, Mutex};

/// A buffer of exactly these chunks, each a block without room.
fn chunked(pieces: &[&[u8]]) -> Buffer {
    let mut buffer = Buffer::new();
    for piece in pieces {
        buffer.append_buffer(&mut Buffer::from(*piece)).unwrap();
    }
    assert_eq!(buffer.chunk_count(), pieces.len());
    buffer
}

/// Everything that can be seen of the bytes agrees with `expected`.
#[track_caller]
fn assert_holds(buffer: &Buffer, expected: &[u8]) {
    assert_eq!(buffer.len(), expected.len());
    assert_eq!(buffer.is_empty(), expected.is_empty());
    let pieces: Vec<_> = buffer.slices(..).collect();
    assert!(pieces.iter().all(|piece| !piece.is_empty()));
    assert_eq!(pieces.len(), buffer.chunk_count());
    assert!(pieces.concat() == expected, "the bytes differ");
    assert_eq!(buffer.first_slice().len(), buffer.contiguous_len());
    if expected.is_empty() {
        assert_eq!(buffer.chunk_count(), 0);
    }
}

/// What observers were told, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(usize, usize, usize)>>>);

impl Log {
    /// Starts to write down what `buffer` tells.
    fn of(buffer: &mut Buffer) -> Log {
        let log = Log::default();
        let copy = log.clone();
        buffer.observe(move |buffer, change| {
            assert_eq!(change.after(), buffer.len(), "the length is final");
            copy.write(change);
        });
        log
    }

    fn write(&self, change: Change) {
        let entry = (change.before, change.added, change.deleted);
        self.0.lock().unwrap().push(entry);
    }

    /// What was told since the last look: before, added, deleted.
    fn take(&self) -> Vec<(usize, usize, usize)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Bytes that differ from place to place, the same each time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(step).collect()
}
