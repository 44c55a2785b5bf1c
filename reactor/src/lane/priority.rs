//! How urgent the futures are that wait for a source.

/// The order in which those are woken who wait for different sources that are ready in one turn, and in which an executor polls them.
///
/// The executor of `levent-executor` polls tasks that were woken for something urgent before all others, and those that were woken for background work when there are
/// no others; but no task is passed over for ever. Under another executor the order of the wakes is what is left.
///
/// It is the wake that has a priority, and not the task: one that waits for two sources is as urgent as the one that woke it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Before all others: control connections, heartbeats.
    High,
    /// Everything unless it is set, and all that is woken by timers, other tasks and other threads.
    #[default]
    Normal,
    /// After all others: bulk transfers.
    Low,
}

impl Priority {
    pub(crate) fn from_number(number: u8) -> Priority {
        match number {
            0 => Priority::High,
            2 => Priority::Low,
            _ => Priority::Normal,
        }
    }
}
