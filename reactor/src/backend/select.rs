//! select: bit sets of our own, so that the C library's 1,024 descriptors are no limit.

use std::{
    io,
    os::fd::{OwnedFd, RawFd},
    sync::Arc,
    time::Duration,
};

use super::{Backend, Batch, Method, Random, Report, wait};
use crate::{
    flags::{Interest, Ready},
    sys::{
        self,
        select::{self, LIMIT, WORD_BITS, Word},
    },
};

#[derive(Debug)]
pub(super) struct Select {
    /// By descriptor; NONE for those that are not in the set. The sets have a bit for each of them.
    entries: Vec<Entry>,
    /// What is asked for. The kernel overwrites what it is given, so it is given copies.
    read: Vec<Word>,
    write: Vec<Word>,
    /// The copies, after a wait what is ready. As long as the sets above.
    read_ready: Vec<Word>,
    write_ready: Vec<Word>,
    /// Where the next scan starts (SE-4).
    random: Random,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    token: u64,
    interest: Interest,
}

impl Select {
    pub(super) fn new() -> Select {
        Select {
            entries: Vec::new(),
            read: Vec::new(),
            write: Vec::new(),
            read_ready: Vec::new(),
            write_ready: Vec::new(),
            random: Random::new(),
        }
    }

    /// SE-1: makes room for `fd`, doubling.
    fn grow(&mut self, fd: usize) {
        if fd >= self.entries.len() {
            let words = (fd / WORD_BITS + 1).next_power_of_two();
            self.entries.resize(
                words * WORD_BITS,
                Entry {
                    token: 0,
                    interest: Interest::NONE,
                },
            );
            for set in [
                &mut self.read,
                &mut self.write,
                &mut self.read_ready,
                &mut self.write_ready,
            ] {
                set.resize(words, 0);
            }
        }
    }

    /// Stores what is asked of `fd`, for which there is room.
    fn set(&mut self, fd: usize, token: u64, interest: Interest) {
        self.entries[fd] = Entry { token, interest };
        set_bit(&mut self.read, fd, interest.contains(Interest::READ));
        set_bit(&mut self.write, fd, interest.contains(Interest::WRITE));
    }

    /// How many descriptors the kernel must look at: up to the highest that is asked for. Unlike SE-2 it shrinks.
    fn count(&self) -> usize {
        let is_used = |words: (&Word, &Word)| words.0 | words.1 != 0;
        let last = self.read.iter().zip(&self.write).rposition(is_used);
        last.map_or(0, |word| (word + 1) * WORD_BITS)
    }

    /// Better than SE-3: the wait failed because a descriptor was closed; finds which, reports and forgets them.
    fn drop_invalid(&mut self, reports: &mut Vec<Report>) {
        for fd in 0..self.entries.len() {
            let Entry { token, interest } = self.entries[fd];
            if !interest.is_empty() && sys::check_open(fd as RawFd).is_err() {
                self.set(fd, token, Interest::NONE);
                reports.push(Report {
                    token,
                    ready: Ready::READ | Ready::WRITE | Ready::INVALID,
                });
            }
        }
    }

    /// Reports the bits of one word that `mask` lets through.
    fn report_word(&self, word: usize, mask: Word, reports: &mut Vec<Report>) {
        let (read, write) = (self.read_ready[word] & mask, self.write_ready[word] & mask);
        let mut left = read | write;
        while left != 0 {
            let bit = left & left.wrapping_neg();
            left ^= bit;
            let mut ready = Ready::NONE;
            if read & bit != 0 {
                ready |= Ready::READ;
            }
            if write & bit != 0 {
                ready |= Ready::WRITE;
            }
            let fd = word * WORD_BITS + bit.trailing_zeros() as usize;
            reports.push(Report {
                token: self.entries[fd].token,
                ready,
            });
        }
    }
}

impl Backend for Select {
    fn method(&self) -> Method {
        Method::Select
    }

    fn change(&mut self, fd: RawFd, token: u64, old: Interest, new: Interest) -> io::Result<()> {
        let index = usize::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
        let is_present = self
            .entries
            .get(index)
            .is_some_and(|entry| !entry.interest.is_empty());
        if new.is_empty() {
            // SE-5: deleting what is not there does nothing.
            if is_present {
                self.set(index, token, new);
            }
            return Ok(());
        }
        if is_present && old.is_empty() && new.contains(Interest::EDGE) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("descriptor {fd} is already watched here; use one source per descriptor"),
            ));
        }
        if !is_present {
            if fd >= LIMIT {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!(
                        "descriptor {fd} is above what the select backend takes ({LIMIT}); use epoll or poll"
                    ),
                ));
            }
            // The same error as epoll's for what is not open, and no allocation for it. The lane, which asks for edges, has
            // looked when it made the slot, and comes here once per wait.
            if !new.contains(Interest::EDGE) {
                sys::check_open(fd)?;
            }
            self.grow(index);
        }
        self.set(index, token, new);
        Ok(())
    }

    fn wait(&mut self, wait: Option<Duration>, batch: &mut Batch) -> io::Result<()> {
        batch.clear();
        let reports = &mut batch.reports;
        let count = self.count();
        let words = count / WORD_BITS;
        self.read_ready[..words].copy_from_slice(&self.read[..words]);
        self.write_ready[..words].copy_from_slice(&self.write[..words]);
        let wait = wait.map(wait::wait_us);
        match select::wait(count, &mut self.read_ready, &mut self.write_ready, wait) {
            Ok(0) => return Ok(()),
            Ok(n) => reports.reserve(n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => {
                self.drop_invalid(reports);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let start = self.random.below(count);
        let (start_word, below) = (start / WORD_BITS, (1 << (start % WORD_BITS)) - 1);
        self.report_word(start_word, !below, reports);
        for word in (start_word + 1..words).chain(0..start_word) {
            self.report_word(word, Word::MAX, reports);
        }
        self.report_word(start_word, below, reports);
        Ok(())
    }

    fn reinit(&mut self) -> io::Result<()> {
        *self = Select::new();
        Ok(())
    }

    fn shared_descriptor(&self) -> Option<Arc<OwnedFd>> {
        None
    }

    fn has_edges(&self) -> bool {
        false
    }

    fn may_trust_short(&self) -> bool {
        // A source that is made here may move to a kqueue, which may not.
        !sys::kqueue::PRESENT
    }
}

fn set_bit(set: &mut [Word], fd: usize, is_set: bool) {
    let bit = 1 << (fd % WORD_BITS);
    if is_set {
        set[fd / WORD_BITS] |= bit;
    } else {
        set[fd / WORD_BITS] &= !bit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Better than SE-2: the kernel looks no further than the highest descriptor that is asked for now.
    #[test]
    fn scan_shrinks() {
        let mut select = Select::new();
        assert_eq!(select.count(), 0);
        for (fd, count) in [(3, WORD_BITS), (500, 512)] {
            select.grow(fd);
            select.set(fd, 1, Interest::READ);
            assert_eq!(select.count(), count);
        }
        select.set(500, 1, Interest::NONE);
        assert_eq!(select.count(), WORD_BITS);
    }
}
