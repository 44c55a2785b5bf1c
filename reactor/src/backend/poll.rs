//! poll: a dense array, any kind of descriptor.

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
        poll::{self, Entry},
    },
};

/// In `places`: not in the set.
const ABSENT: u32 = u32::MAX;

/// PO-1: `entries` is dense, removal moves the last entry into the gap.
#[derive(Debug)]
pub(super) struct Poll {
    /// What the kernel is given.
    entries: Vec<Entry>,
    /// The token of each entry, at the same index.
    tokens: Vec<u64>,
    /// By descriptor: the index of its entry, or ABSENT. As long as the highest descriptor that was ever watched.
    places: Vec<u32>,
    /// Where the next scan starts.
    random: Random,
}

impl Poll {
    pub(super) fn new() -> Poll {
        Poll {
            entries: Vec::new(),
            tokens: Vec::new(),
            places: Vec::new(),
            random: Random::new(),
        }
    }

    fn place(&self, fd: RawFd) -> Option<usize> {
        let place = *self.places.get(usize::try_from(fd).ok()?)?;
        (place != ABSENT).then_some(place as usize)
    }

    fn insert(&mut self, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        // Asked first: an absurd number is an error, not an allocation, and the same error as epoll's. The lane, which asks for
        // edges, has looked when it made the slot, and comes here once per wait.
        if !interest.contains(Interest::EDGE) {
            sys::check_open(fd)?;
        }
        let index = usize::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
        if index >= self.places.len() {
            self.places.resize(index + 1, ABSENT);
        }
        self.places[index] = self.entries.len() as u32;
        self.entries.push(poll::entry(fd, interest));
        self.tokens.push(token);
        Ok(())
    }

    fn remove(&mut self, place: usize) {
        let gone = self.entries.swap_remove(place);
        self.tokens.swap_remove(place);
        self.places[gone.fd as usize] = ABSENT;
        if let Some(moved) = self.entries.get(place) {
            self.places[moved.fd as usize] = place as u32;
        }
    }

    /// Better than PO-2: a closed descriptor is reported once, not by every wait. Runs after the scan, whose indexes it
    /// moves.
    fn drop_invalid(&mut self) {
        for place in (0..self.entries.len()).rev() {
            if self.entries[place].revents & libc::POLLNVAL != 0 {
                self.remove(place);
            }
        }
    }
}

impl Backend for Poll {
    fn method(&self) -> Method {
        Method::Poll
    }

    fn change(&mut self, fd: RawFd, token: u64, old: Interest, new: Interest) -> io::Result<()> {
        match (self.place(fd), new.is_empty()) {
            (None, true) => Ok(()),
            (None, false) => self.insert(fd, token, new),
            (Some(place), true) => {
                self.remove(place);
                Ok(())
            }
            (Some(_), false) if old.is_empty() && new.contains(Interest::EDGE) => {
                Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    format!(
                        "descriptor {fd} is already watched here; use one source per descriptor"
                    ),
                ))
            }
            (Some(place), false) => {
                self.entries[place] = poll::entry(fd, new);
                self.tokens[place] = token;
                Ok(())
            }
        }
    }

    fn wait(&mut self, wait: Option<Duration>, batch: &mut Batch) -> io::Result<()> {
        batch.clear();
        let reports = &mut batch.reports;
        let mut left = match poll::wait(&mut self.entries, wait.map(wait::wait_ns)) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        };
        reports.reserve(left);
        let mut has_invalid = false;
        let start = self.random.below(self.entries.len());
        for place in (start..self.entries.len()).chain(0..start) {
            if left == 0 {
                break;
            }
            let revents = self.entries[place].revents;
            if revents == 0 {
                continue;
            }
            left -= 1;
            let ready = poll::ready(revents);
            has_invalid |= ready.contains(Ready::INVALID);
            reports.push(Report {
                token: self.tokens[place],
                ready,
            });
        }
        if has_invalid {
            self.drop_invalid();
        }
        Ok(())
    }

    fn reinit(&mut self) -> io::Result<()> {
        *self = Poll::new();
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
