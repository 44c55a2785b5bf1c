//! The locks and atomics of the cross-thread half: std's, or loom's under `--cfg loom`, so that the models in
//! `foreign.rs` and `flags.rs` check the very code that runs.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering, fence},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard, OnceLock,
    atomic::{AtomicBool, Ordering, fence},
};

/// Loom has no `OnceLock`: std's, with the ordering that it promises made visible to the model.
#[cfg(loom)]
pub(crate) struct OnceLock<T> {
    filled: AtomicBool,
    value: std::sync::OnceLock<T>,
}

#[cfg(loom)]
impl<T> OnceLock<T> {
    pub(crate) fn new() -> OnceLock<T> {
        OnceLock {
            filled: AtomicBool::new(false),
            value: std::sync::OnceLock::new(),
        }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        let filled = self.filled.load(Ordering::Acquire);
        self.value.get().filter(|_| filled)
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let set = self.value.set(value);
        self.filled.store(true, Ordering::Release);
        set
    }
}
