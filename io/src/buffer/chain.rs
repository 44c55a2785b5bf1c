//! The queue of a buffer's chunks.
//!
//! Most buffers hold one chunk, or none. The first therefore lies in the buffer itself, and a queue is allocated for the second.
//!
//! Invariants
//! 1. Without a first chunk there are no others.
//! 2. No chunk is empty: libevent's empty blocks, and its marker for the last block with data, have no counterpart (EB-3, EB-4).
//! 3. An empty chain owns no memory.

use std::collections::{VecDeque, vec_deque};
use std::iter;
use std::mem;
use std::option;

use super::chunk::Chunk;

/// The chunks in order.
pub(super) type Chunks<'a> = iter::Chain<option::Iter<'a, Chunk>, vec_deque::Iter<'a, Chunk>>;

#[derive(Default)]
pub(super) struct Chain {
    first: Option<Chunk>,
    rest: VecDeque<Chunk>,
}

impl Chain {
    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn iter(&self) -> Chunks<'_> {
        self.first.iter().chain(&self.rest)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Chunk> {
        self.first.iter_mut().chain(&mut self.rest)
    }

    pub(super) fn front(&self) -> Option<&Chunk> {
        self.first.as_ref()
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Chunk> {
        self.first.as_mut()
    }

    pub(super) fn back(&self) -> Option<&Chunk> {
        self.rest.back().or(self.first.as_ref())
    }

    pub(super) fn back_mut(&mut self) -> Option<&mut Chunk> {
        self.rest.back_mut().or(self.first.as_mut())
    }

    pub(super) fn push_back(&mut self, chunk: Chunk) {
        debug_assert!(chunk.len() > 0);
        if self.first.is_none() {
            self.first = Some(chunk);
        } else {
            self.rest.push_back(chunk);
        }
    }

    pub(super) fn push_front(&mut self, chunk: Chunk) {
        debug_assert!(chunk.len() > 0);
        if let Some(second) = self.first.replace(chunk) {
            self.rest.push_front(second);
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<Chunk> {
        let front = mem::replace(&mut self.first, self.rest.pop_front());
        self.release();
        front
    }

    pub(super) fn pop_back(&mut self) -> Option<Chunk> {
        let back = self.rest.pop_back().or_else(|| self.first.take());
        self.release();
        back
    }

    /// Takes all chunks of `other` behind its own. They move, not the bytes in them; O(1) into an empty chain.
    pub(super) fn append(&mut self, mut other: Chain) {
        if self.first.is_none() {
            *self = other;
        } else if let Some(first) = other.first.take() {
            self.rest.push_back(first);
            self.rest.append(&mut other.rest);
        }
    }

    fn release(&mut self) {
        if self.first.is_none() && self.rest.capacity() > 0 {
            self.rest = VecDeque::new();
        }
    }
}

impl From<Option<Chunk>> for Chain {
    fn from(first: Option<Chunk>) -> Chain {
        Chain {
            first,
            rest: VecDeque::new(),
        }
    }
}
