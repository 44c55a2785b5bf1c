//! The queue of a buffer's chunks.
//!
//! Most buffers hold one chunk, or none. The first therefore lies in the buffer itself, and a queue is allocated for the second.
//!
//! Invariants
//! 1. Without a first chunk there are no others.
//! 2. No chunk is empty: libevent's empty blocks, and its marker for the last block with data, have no counterpart (EB-3, EB-4).
//! 3. Other chunks are in a queue that is never empty: an empty chain owns no memory.

use std::collections::VecDeque;
use std::iter;
use std::mem;
use std::option;

use super::chunk::Chunk;

/// The chunks in order.
pub(super) type Chunks<'a> =
    iter::Chain<option::Iter<'a, Chunk>, iter::Flatten<option::IntoIter<&'a VecDeque<Chunk>>>>;

#[derive(Default)]
pub(super) struct Chain {
    first: Option<Chunk>,
    /// Boxed, so that the many buffers which hold one chunk or none are small. `None` if there are no others.
    #[allow(clippy::box_collection)]
    rest: Option<Box<VecDeque<Chunk>>>,
}

impl Chain {
    pub(super) fn len(&self) -> usize {
        let rest = self.rest.as_ref().map_or(0, |rest| rest.len());
        usize::from(self.first.is_some()) + rest
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Is there one chunk, and no other?
    #[inline]
    pub(super) fn is_single(&self) -> bool {
        self.first.is_some() && self.rest.is_none()
    }

    pub(super) fn iter(&self) -> Chunks<'_> {
        let rest = self.rest.as_deref();
        self.first.iter().chain(rest.into_iter().flatten())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Chunk> {
        let rest = self.rest.as_deref_mut();
        self.first.iter_mut().chain(rest.into_iter().flatten())
    }

    #[inline]
    pub(super) fn front(&self) -> Option<&Chunk> {
        self.first.as_ref()
    }

    #[inline]
    pub(super) fn front_mut(&mut self) -> Option<&mut Chunk> {
        self.first.as_mut()
    }

    #[inline]
    pub(super) fn back(&self) -> Option<&Chunk> {
        match &self.rest {
            None => self.first.as_ref(),
            Some(rest) => rest.back(),
        }
    }

    #[inline]
    pub(super) fn back_mut(&mut self) -> Option<&mut Chunk> {
        match &mut self.rest {
            None => self.first.as_mut(),
            Some(rest) => rest.back_mut(),
        }
    }

    #[inline]
    pub(super) fn push_back(&mut self, chunk: Chunk) {
        debug_assert!(chunk.len() > 0);
        if self.first.is_none() {
            self.first = Some(chunk);
        } else {
            self.rest.get_or_insert_default().push_back(chunk);
        }
    }

    pub(super) fn push_front(&mut self, chunk: Chunk) {
        debug_assert!(chunk.len() > 0);
        if let Some(second) = self.first.replace(chunk) {
            self.rest.get_or_insert_default().push_front(second);
        }
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Chunk> {
        match &mut self.rest {
            None => self.first.take(),
            Some(rest) => {
                let front = mem::replace(&mut self.first, rest.pop_front());
                self.release();
                front
            }
        }
    }

    pub(super) fn pop_back(&mut self) -> Option<Chunk> {
        match &mut self.rest {
            None => self.first.take(),
            Some(rest) => {
                let back = rest.pop_back();
                self.release();
                back
            }
        }
    }

    /// Takes all chunks of `other` behind its own. They move, not the bytes in them; O(1) into an empty chain.
    pub(super) fn append(&mut self, mut other: Chain) {
        if self.first.is_none() {
            *self = other;
        } else if let Some(first) = other.first.take() {
            let rest = self.rest.get_or_insert_default();
            rest.push_back(first);
            if let Some(others) = &mut other.rest {
                rest.append(others);
            }
        }
    }

    fn release(&mut self) {
        if self.rest.as_ref().is_some_and(|rest| rest.is_empty()) {
            self.rest = None;
        }
    }
}

impl From<Option<Chunk>> for Chain {
    fn from(first: Option<Chunk>) -> Chain {
        Chain { first, rest: None }
    }
}
