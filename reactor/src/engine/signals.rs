//! Signals of a base: which events wait for which number, and the receiver that counts occurrences.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::SIGNALS;
use super::record::{NIL, Records};
use crate::backend::Backend;
use crate::flags::Interest;
use crate::signal::Receiver;

/// Signal numbers are below this on every platform of ours.
const NUMBERS: usize = 65;

#[derive(Debug)]
pub(crate) struct Signals {
    receiver: Receiver,
    /// The newest event of each number.
    heads: [u32; NUMBERS],
}

impl Signals {
    /// Makes the base's receiver and has the backend watch it. Level-triggered and drained: it must survive a wait that the
    /// loop leaves before looking.
    pub(crate) fn open(backend: &mut dyn Backend) -> io::Result<Signals> {
        let receiver = Receiver::new()?;
        backend.change(
            receiver.as_fd().as_raw_fd(),
            SIGNALS,
            Interest::NONE,
            Interest::READ,
        )?;
        Ok(Signals {
            receiver,
            heads: [NIL; NUMBERS],
        })
    }

    /// Makes a receiver of this process's own, for the same numbers (FORK-1). The first error is returned; the other numbers are
    /// received all the same.
    pub(crate) fn reinit(&mut self, backend: &mut dyn Backend) -> io::Result<()> {
        let mut renewed = Signals::open(backend)?;
        renewed.heads = self.heads;
        let mut result = Ok(());
        for (signal, head) in self.heads.iter().enumerate() {
            if *head != NIL {
                // Before the old one gives it up, so that the disposition of before does not come back in between.
                result = result.and(renewed.receiver.add(signal as i32));
            }
        }
        *self = renewed;
        result
    }

    /// The newest event of a number.
    pub(crate) fn head(&self, signal: i32) -> u32 {
        usize::try_from(signal)
            .ok()
            .and_then(|n| self.heads.get(n))
            .copied()
            .unwrap_or(NIL)
    }

    /// Puts an event in front of its number's list and returns the one behind it.
    pub(crate) fn insert(&mut self, signal: i32, index: u32) -> io::Result<u32> {
        // The receiver refuses numbers out of range, so that the table is only indexed by good ones.
        if self.head(signal) == NIL {
            self.receiver.add(signal)?;
        }
        Ok(std::mem::replace(&mut self.heads[signal as usize], index))
    }

    pub(crate) fn remove(
        &mut self,
        signal: i32,
        index: u32,
        records: &mut Records,
    ) -> io::Result<()> {
        let sibling = records[index].sibling;
        let mut at = self.head(signal);
        if at == index {
            self.heads[signal as usize] = sibling;
        } else {
            while at != NIL && records[at].sibling != index {
                at = records[at].sibling;
            }
            if at != NIL {
                records[at].sibling = sibling;
            }
        }
        if self.head(signal) == NIL {
            self.receiver.remove(signal)
        } else {
            Ok(())
        }
    }

    /// Takes what has arrived: numbers with their counts.
    pub(crate) fn collect(&self) -> impl Iterator<Item = (i32, u32)> + use<> {
        self.receiver.drain();
        let mut arrived = [0; NUMBERS];
        for (number, count) in arrived.iter_mut().enumerate().skip(1) {
            if self.heads[number] != NIL {
                *count = self.receiver.take(number as i32);
            }
        }
        arrived
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count > 0)
            .map(|(number, count)| (number as i32, count))
    }
}
