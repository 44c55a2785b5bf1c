//! Futures side by side in one block of memory, where they may be pinned: tokio's and monoio's timers must not move once polled, and a
//! box for each would add an allocation to what the test is to measure.

use std::pin::Pin;

/// Values that stay where they were put until all are dropped.
pub(crate) struct Pinned<T>(Vec<T>);

impl<T> Pinned<T> {
    /// Room for `most` values.
    pub(crate) fn with_room(most: usize) -> Self {
        Self(Vec::with_capacity(most))
    }

    /// Puts a value beside the others.
    ///
    /// Panics if there is no room: the others would have to move.
    pub(crate) fn push(&mut self, value: T) -> Pin<&mut T> {
        assert!(self.0.len() < self.0.capacity(), "no room");
        self.0.push(value);
        self.get(self.0.len() - 1)
    }

    /// The value at `index`.
    pub(crate) fn get(&mut self, index: usize) -> Pin<&mut T> {
        // SAFETY: the values never move: the vector is private, nothing takes one out, and `push` never makes it grow. They are dropped
        // in place with it.
        unsafe { Pin::new_unchecked(&mut self.0[index]) }
    }
}
