//! Wakers that write down in which order they were called.

use std::{
    sync::{Arc, Mutex},
    task::{Wake, Waker},
};

/// The numbers of the wakers that were called, in order.
#[derive(Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Vec<usize>>>);

struct Note {
    trace: Trace,
    number: usize,
}

impl Trace {
    pub(crate) fn waker(&self, number: usize) -> Waker {
        let trace = self.clone();
        Waker::from(Arc::new(Note { trace, number }))
    }

    pub(crate) fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.trace.0.lock().unwrap().push(self.number);
    }
}
