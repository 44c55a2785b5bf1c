//! Beside the queue of tasks: those that were woken for something more urgent, and those that can wait.
//!
//! ```text
//! wake for a source of priority High ──▶ high ──┐
//! any other wake ──────────────────────▶ ready ─┼─▶ run: the first that has any, and one of the others when it has been passed over often enough
//! wake for a source of priority Low ───▶ low ───┘
//! ```
//!
//! Invariant: a queue that is not empty is passed over at most [`Budget::patience`](crate::Budget) times in a row, and one time more while the other has its turn.

use std::collections::VecDeque;

use levent_reactor::lane::Priority;

use crate::task::Runnable;

#[derive(Default)]
pub(crate) struct Levels {
    high: VecDeque<Runnable>,
    low: VecDeque<Runnable>,
    /// How often in a row the usual queue and `low` were passed over.
    passed: [u32; 2],
}

impl Levels {
    pub(crate) fn len(&self) -> usize {
        self.high.len() + self.low.len()
    }

    pub(crate) fn push(&mut self, priority: Priority, runnable: Runnable) {
        match priority {
            Priority::High => self.high.push_back(runnable),
            _ => self.low.push_back(runnable),
        }
    }

    /// Takes the next task out of these queues or the usual one.
    pub(crate) fn pop(
        &mut self,
        ready: &mut VecDeque<Runnable>,
        patience: u32,
    ) -> Option<Runnable> {
        let queues = [&mut self.high, ready, &mut self.low];
        let mut next = queues.iter().position(|queue| !queue.is_empty())?;
        for (level, queue) in queues.iter().enumerate().skip(next + 1) {
            let passed = &mut self.passed[level - 1];
            *passed = passed.saturating_add(u32::from(!queue.is_empty()));
            if *passed > patience {
                next = level;
            }
        }
        if let Some(passed) = next.checked_sub(1) {
            self.passed[passed] = 0;
        }
        queues[next].pop_front()
    }
}
