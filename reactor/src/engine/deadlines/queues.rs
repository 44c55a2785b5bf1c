//! Common-timeout queues: deadlines of one duration in the order in which they expire.
//!
//! With one duration for all, a later setting has a later deadline, so that a list does what a heap does: setting appends,
//! expiry takes the head, and both cost O(1) however many wait (CT-4). The links are in the nodes; this file owns the
//! ends of the lists and the rules of linking.
//!
//! Invariants
//! 1. From head to tail the deadlines never decrease, and equal ones stand in the order in which they were set.
//! 2. A queue without nodes has `NONE` at both ends, a queue with nodes at neither.
//! 3. No two queues have the same duration (CT-2), and queues are never removed: a `QueueId` stays good.

use std::io;

use super::{NONE, Node, QueueId};

/// How many queues a base may have (CT-3). Their lookup is linear.
const MOST_QUEUES: usize = 256;

/// One duration and the nodes that wait for it.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) duration_ns: u64,
    /// The node that stands for the queue in the heap: its deadline and sequence are those of the head.
    pub(super) proxy: u32,
    /// The first to expire.
    pub(super) head: u32,
    tail: u32,
}

impl Queue {
    pub(super) fn new(duration_ns: u64, proxy: u32) -> Queue {
        Queue {
            duration_ns,
            proxy,
            head: NONE,
            tail: NONE,
        }
    }

    /// Links `index` in, behind every node that expires no later. Its deadline must be set, and now: it goes behind equals.
    ///
    /// The place is looked for from the tail. That ends at once unless the deadline lies before the tail's, which takes
    /// a clock base older than that of the last setting: a cached time, or a persistent event re-armed from its deadline.
    pub(super) fn link(&mut self, nodes: &mut [Node], index: u32) {
        let deadline = nodes[index as usize].deadline;
        let mut before = self.tail;
        while before != NONE && nodes[before as usize].deadline > deadline {
            before = nodes[before as usize].previous;
        }
        let after = match before {
            NONE => std::mem::replace(&mut self.head, index),
            before => std::mem::replace(&mut nodes[before as usize].next, index),
        };
        match after {
            NONE => self.tail = index,
            after => nodes[after as usize].previous = index,
        }
        let node = &mut nodes[index as usize];
        node.previous = before;
        node.next = after;
    }

    /// Takes `index` out of the list.
    pub(super) fn unlink(&mut self, nodes: &mut [Node], index: u32) {
        let Node { previous, next, .. } = nodes[index as usize];
        match previous {
            NONE => self.head = next,
            previous => nodes[previous as usize].next = next,
        }
        match next {
            NONE => self.tail = previous,
            next => nodes[next as usize].previous = previous,
        }
    }

    /// Panics unless the list is ordered and linked both ways; returns its length.
    #[cfg(test)]
    pub(super) fn validate(&self, nodes: &[Node]) -> usize {
        let (mut length, mut previous, mut index) = (0, NONE, self.head);
        while index != NONE {
            let node = &nodes[index as usize];
            assert_eq!(node.previous, previous, "back link of node {index}");
            if previous != NONE {
                let entry = node.entry(index);
                assert!(
                    !entry.before(&nodes[previous as usize].entry(previous)),
                    "order of the queue"
                );
            }
            length += 1;
            previous = index;
            index = node.next;
        }
        assert_eq!(self.tail, previous, "tail of the queue");
        length
    }
}

/// The queue of this duration, if there is one (CT-2).
pub(super) fn find(queues: &[Queue], duration_ns: u64) -> Option<QueueId> {
    let index = queues
        .iter()
        .position(|queue| queue.duration_ns == duration_ns)?;
    u16::try_from(index).ok().map(QueueId)
}

/// The name of the next queue, or the error of CT-3.
pub(super) fn next_id(queues: &[Queue]) -> io::Result<QueueId> {
    match u16::try_from(queues.len()) {
        Ok(id) if queues.len() < MOST_QUEUES => Ok(QueueId(id)),
        _ => Err(io::Error::other(format!(
            "the base has {MOST_QUEUES} common timeouts already, which is the most; \
             use a plain timeout for this duration, or share one of the registered durations"
        ))),
    }
}
