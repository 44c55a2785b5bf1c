//! Deadlines: who is due, and until when the loop may sleep.
//!
//! ```text
//! insert ───────────────────────────▶ heap ◀── proxy ◀── queue (head) ◀─ … ◀─ (tail) ◀── insert_common
//! set, later ──▶ node only             │                   │
//! set, earlier ──▶ node, heap          ▼                   ▼
//!                                   pop_due: earliest first, equal ones in the order in which they were set
//! ```
//!
//! A node is one deadline with its owner's number. A plain node has an entry of its own in the heap; the nodes of a common
//! timeout stand in a queue, and a node of the queue's own, its proxy, stands in the heap for the head. The store knows
//! no clock: times are nanoseconds since whatever the caller counts from, and `u64::MAX`, never, is not stored.
//!
//! Pushing a deadline forward is what idle timeouts do on every read, so it is lazy: it writes the node and leaves the
//! heap alone. The key in the heap is then too early. When it comes up it is *settled*: replaced by the node's deadline
//! and sunk. Each setting is settled at most once, and most never: the next one overwrites it in the node.
//!
//! Invariants
//! 1. The key of an entry is never after the deadline and sequence of its node. So a first entry that equals its node is
//!    exactly the earliest, and one that is after `now` means that nothing is due.
//! 2. Every setting takes the next sequence number, also the lazy one: equal deadlines expire in the order of the last
//!    settings, across plain and common nodes (HEAP-5, CT-4).
//! 3. A plain node has an entry from its insertion to its removal. A proxy's entry outlives the queue's last node, until
//!    it is settled: a queue that is emptied and filled again does not touch the heap.
//! 4. A proxy has the deadline and sequence of its queue's head, or `NEVER` for an empty queue.

mod heap;
mod queues;
#[cfg(test)]
mod tests;

use std::io;

use heap::{Entry, Heap};
use queues::Queue;

/// The deadline of nothing: a proxy without nodes.
const NEVER: u64 = u64::MAX;

/// No node: the end of a list.
const NONE: u32 = u32::MAX;

/// Names a deadline, from its insertion until it expires or is removed. After that the name is given out again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DeadlineId(u32);

/// Names a common-timeout queue of one store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct QueueId(u16);

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Unused; `next` leads to the next free node.
    Free,
    /// A deadline with an entry of its own.
    Plain,
    /// A deadline in a queue.
    Common(QueueId),
    /// A queue's stand-in in the heap.
    Proxy(QueueId),
}

/// One deadline. 32 bytes, so that none crosses a cache line; where its entry is, the heap keeps.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// When it expires. The heap's key may be earlier.
    deadline: u64,
    /// The caller's number, never looked at.
    owner: u64,
    /// When it was set, for the order among equals.
    sequence: u32,
    kind: Kind,
    /// Neighbours in the queue; `next` is also the free list's link.
    previous: u32,
    next: u32,
}

impl Node {
    /// The entry that the node ought to have in the heap.
    #[inline]
    fn entry(&self, index: u32) -> Entry {
        Entry {
            deadline: self.deadline,
            sequence: self.sequence,
            node: index,
        }
    }
}

/// All deadlines of a base.
#[derive(Debug)]
pub(crate) struct Deadlines {
    heap: Heap,
    nodes: Vec<Node>,
    /// The first free node. The last one freed is the first one used again, while it is in the cache.
    free: u32,
    queues: Vec<Queue>,
    /// What the next setting gets; wraps.
    sequence: u32,
    /// How many deadlines there are: neither free nodes nor proxies.
    len: usize,
}

impl Deadlines {
    /// An empty store, which owns no memory yet.
    pub(crate) fn new() -> Deadlines {
        Deadlines {
            heap: Heap::new(),
            nodes: Vec::new(),
            free: NONE,
            queues: Vec::new(),
            sequence: 0,
            len: 0,
        }
    }

    /// Adds a deadline; `owner` comes back when it expires. O(log n), O(1) for one later than most.
    pub(crate) fn insert(&mut self, deadline: u64, owner: u64) -> DeadlineId {
        debug_assert!(
            deadline != NEVER,
            "a deadline that never comes is not stored"
        );
        let index = self.allocate(deadline, owner, Kind::Plain);
        self.len += 1;
        self.heap.insert(self.nodes[index as usize].entry(index));
        DeadlineId(index)
    }

    /// Adds a deadline to the queue of a common timeout. O(1) if it is no earlier than the queue's last.
    pub(crate) fn insert_common(
        &mut self,
        queue: QueueId,
        deadline: u64,
        owner: u64,
    ) -> DeadlineId {
        debug_assert!(
            deadline != NEVER,
            "a deadline that never comes is not stored"
        );
        let index = self.allocate(deadline, owner, Kind::Common(queue));
        self.len += 1;
        self.link(queue, index);
        DeadlineId(index)
    }

    /// Moves a deadline. It expires after those with an equal deadline, as if it had been inserted now.
    ///
    /// A plain deadline is moved later in O(1) without a look at the heap. A common one keeps its queue.
    pub(crate) fn set(&mut self, id: DeadlineId, deadline: u64) {
        debug_assert!(
            deadline != NEVER,
            "a deadline that never comes is not stored"
        );
        let sequence = self.next_sequence();
        let node = &mut self.nodes[id.0 as usize];
        match node.kind {
            Kind::Plain => {
                let later = deadline >= node.deadline;
                node.deadline = deadline;
                node.sequence = sequence;
                if !later {
                    self.advance(id.0);
                }
            }
            Kind::Common(queue) => {
                self.unlink(queue, id.0);
                let node = &mut self.nodes[id.0 as usize];
                node.deadline = deadline;
                node.sequence = sequence;
                self.link(queue, id.0);
            }
            Kind::Free | Kind::Proxy(_) => debug_assert!(false, "{id:?} names no deadline"),
        }
    }

    /// Takes a deadline out before it expires.
    pub(crate) fn remove(&mut self, id: DeadlineId) {
        match self.nodes[id.0 as usize].kind {
            Kind::Plain => {
                self.heap.remove(id.0);
            }
            Kind::Common(queue) => self.unlink(queue, id.0),
            Kind::Free | Kind::Proxy(_) => {
                debug_assert!(false, "{id:?} names no deadline");
                return;
            }
        }
        self.len -= 1;
        self.release(id.0);
    }

    /// When it expires.
    pub(crate) fn deadline(&self, id: DeadlineId) -> u64 {
        self.nodes[id.0 as usize].deadline
    }

    /// The number that was given at its insertion.
    #[cfg(test)]
    pub(crate) fn owner(&self, id: DeadlineId) -> u64 {
        self.nodes[id.0 as usize].owner
    }

    /// The queue that it stands in; none for a plain one.
    pub(crate) fn queue(&self, id: DeadlineId) -> Option<QueueId> {
        match self.nodes[id.0 as usize].kind {
            Kind::Common(queue) => Some(queue),
            Kind::Free | Kind::Plain | Kind::Proxy(_) => None,
        }
    }

    /// The earliest deadline: exact, not a bound, so that the loop does not wake for one that has moved.
    ///
    /// Settles the entries before it: each was pushed forward since it was last settled, so they are paid for.
    pub(crate) fn earliest(&mut self) -> Option<u64> {
        loop {
            let first = self.heap.first()?;
            if first == self.nodes[first.node as usize].entry(first.node) {
                return Some(first.deadline);
            }
            self.settle(first.node);
        }
    }

    /// Takes out the earliest deadline if it has passed, and returns it with its owner. A deadline equal to `now` has
    /// passed (TIME-13).
    ///
    /// One that is set while a caller drains the store may be due at once: a caller that must end collects first.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<(u64, u64)> {
        loop {
            let first = self.heap.first()?;
            if first.deadline > now {
                return None;
            }
            let node = &self.nodes[first.node as usize];
            if first != node.entry(first.node) {
                self.settle(first.node);
                continue;
            }
            let index = match node.kind {
                Kind::Proxy(queue) => {
                    let head = self.queues[usize::from(queue.0)].head;
                    self.unlink(queue, head);
                    head
                }
                _ => {
                    self.heap.remove(first.node);
                    first.node
                }
            };
            let Node {
                deadline, owner, ..
            } = self.nodes[index as usize];
            self.len -= 1;
            self.release(index);
            return Some((deadline, owner));
        }
    }

    /// The queue of the common timeout `duration_ns`: the same one for the same duration (CT-1, CT-2).
    ///
    /// # Errors
    ///
    /// `Other` if there are 256 queues and none is of this duration (CT-3).
    pub(crate) fn common(&mut self, duration_ns: u64) -> io::Result<QueueId> {
        if let Some(id) = queues::find(&self.queues, duration_ns) {
            return Ok(id);
        }
        let id = queues::next_id(&self.queues)?;
        let proxy = self.allocate(NEVER, 0, Kind::Proxy(id));
        self.queues.push(Queue::new(duration_ns, proxy));
        Ok(id)
    }

    /// The duration of a common timeout, in nanoseconds.
    pub(crate) fn duration_of(&self, queue: QueueId) -> u64 {
        self.queues[usize::from(queue.0)].duration_ns
    }

    /// How many deadlines are stored.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether none is stored.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every deadline with its owner, in no order that means anything: for the tests.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (DeadlineId, u64, u64)> + '_ {
        let is_deadline = |node: &Node| matches!(node.kind, Kind::Plain | Kind::Common(_));
        (0..)
            .zip(&self.nodes)
            .filter(move |(_, node)| is_deadline(node))
            .map(|(index, node)| (DeadlineId(index), node.deadline, node.owner))
    }

    /// A node of this content, set now. Linking it is the caller's.
    fn allocate(&mut self, deadline: u64, owner: u64, kind: Kind) -> u32 {
        let node = Node {
            deadline,
            owner,
            sequence: self.next_sequence(),
            kind,
            previous: NONE,
            next: NONE,
        };
        if self.free != NONE {
            let index = self.free;
            self.free = self.nodes[index as usize].next;
            self.nodes[index as usize] = node;
            return index;
        }
        let index = u32::try_from(self.nodes.len())
            .ok()
            .filter(|&index| index < NONE - 3)
            .expect("2^32 deadlines are 250 GB of nodes and entries, beyond any number of descriptors and timers");
        self.nodes.push(node);
        index
    }

    /// Puts a node, linked nowhere any more, on the free list.
    fn release(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        node.kind = Kind::Free;
        node.next = self.free;
        self.free = index;
    }

    fn next_sequence(&mut self) -> u32 {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        sequence
    }

    /// Panics unless the invariants of the page and of both files hold.
    #[cfg(test)]
    fn validate(&self) {
        self.heap.validate();
        let (mut plain, mut common) = (0, 0);
        for (index, node) in (0..).zip(&self.nodes) {
            let key = self.heap.entry(index);
            match node.kind {
                Kind::Free => assert_eq!(key, None),
                Kind::Plain => {
                    plain += 1;
                    assert!(
                        !node
                            .entry(index)
                            .before(&key.expect("a plain node has an entry"))
                    );
                }
                Kind::Common(_) => {
                    common += 1;
                    assert_eq!(key, None);
                }
                Kind::Proxy(queue) => {
                    let head = self.queues[usize::from(queue.0)].head;
                    if head == NONE {
                        assert_eq!(node.deadline, NEVER);
                    } else {
                        let head = &self.nodes[head as usize];
                        assert_eq!(
                            (node.deadline, node.sequence),
                            (head.deadline, head.sequence)
                        );
                        assert!(
                            !node
                                .entry(index)
                                .before(&key.expect("a waiting queue has an entry"))
                        );
                    }
                }
            }
        }
        let linked: usize = self
            .queues
            .iter()
            .map(|queue| queue.validate(&self.nodes))
            .sum();
        assert_eq!(linked, common);
        assert_eq!(plain + common, self.len);
        assert_eq!(self.iter().count(), self.len);
    }

    /// Lets the heap follow a node that may have become earlier than its key (invariant 1).
    fn advance(&mut self, index: u32) {
        let entry = self.nodes[index as usize].entry(index);
        match self.heap.entry(index) {
            // Earlier than before, but the key is older still: `set` was lazy in between.
            Some(key) if !entry.before(&key) => {}
            Some(_) => self.heap.change(entry),
            None => self.heap.insert(entry),
        }
    }

    /// Replaces a key that is too early by its node's; takes it out if it stands for an empty queue.
    fn settle(&mut self, index: u32) {
        let entry = self.nodes[index as usize].entry(index);
        if entry.deadline == NEVER {
            self.heap.remove(index);
        } else {
            self.heap.change(entry);
        }
    }

    fn link(&mut self, queue: QueueId, index: u32) {
        let list = &mut self.queues[usize::from(queue.0)];
        list.link(&mut self.nodes, index);
        if list.head == index {
            self.follow_head(queue);
        }
    }

    fn unlink(&mut self, queue: QueueId, index: u32) {
        let list = &mut self.queues[usize::from(queue.0)];
        let was_head = list.head == index;
        list.unlink(&mut self.nodes, index);
        if was_head {
            self.follow_head(queue);
        }
    }

    /// Gives the proxy what the queue's head has (invariant 4). The heap hears only of an earlier one.
    fn follow_head(&mut self, queue: QueueId) {
        let Queue { head, proxy, .. } = self.queues[usize::from(queue.0)];
        if head == NONE {
            self.nodes[proxy as usize].deadline = NEVER;
            return;
        }
        let Node {
            deadline, sequence, ..
        } = self.nodes[head as usize];
        let node = &mut self.nodes[proxy as usize];
        node.deadline = deadline;
        node.sequence = sequence;
        self.advance(proxy);
    }
}
