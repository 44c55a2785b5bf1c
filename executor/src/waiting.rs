//! The tasks that have waited, and the way to reach them: their wakers, by place.

use std::task::Waker;

use crate::origin::Origin;

/// One entry per task from its first wait until its future is dropped; places are used again.
#[derive(Default)]
pub(crate) struct Waiting {
    /// `None` in a vacant place, and where `close` has taken it.
    wakers: Vec<Option<Waker>>,
    vacant: Vec<u32>,
    /// Where the tasks of these places were spawned; empty, and shorter than `wakers`, where that is not recorded.
    origins: Vec<Origin>,
}

impl Waiting {
    /// Adds a task; returns its place.
    pub(crate) fn add(&mut self, waker: Waker, origin: Origin) -> u32 {
        let place = match self.vacant.pop() {
            Some(place) => {
                self.wakers[place as usize] = Some(waker);
                place
            }
            None => {
                self.wakers.push(Some(waker));
                let place = u32::try_from(self.wakers.len() - 1);
                place.expect("2^32 tasks are 400 GiB, beyond any number of them")
            }
        };
        if origin != Origin::NONE || !self.origins.is_empty() {
            self.note_origin(place as usize, origin);
        }
        place
    }

    #[cold]
    fn note_origin(&mut self, place: usize, origin: Origin) {
        if self.origins.len() <= place {
            self.origins.resize(place + 1, Origin::NONE);
        }
        self.origins[place] = origin;
    }

    /// Lets a task go. The waker is to be dropped when nothing is borrowed.
    #[must_use]
    pub(crate) fn remove(&mut self, place: u32) -> Option<Waker> {
        self.vacant.push(place);
        self.take(place as usize)
    }

    /// How many places there are.
    pub(crate) fn places(&self) -> usize {
        self.wakers.len()
    }

    /// Takes the waker of a place, whose task stays.
    #[must_use]
    pub(crate) fn take(&mut self, place: usize) -> Option<Waker> {
        self.wakers[place].take()
    }

    /// Where those were spawned that are here.
    pub(crate) fn origins(&self) -> impl Iterator<Item = Origin> + '_ {
        let all = self.wakers.iter().zip(&self.origins);
        all.filter(|(waker, _)| waker.is_some())
            .map(|(_, origin)| *origin)
    }
}
