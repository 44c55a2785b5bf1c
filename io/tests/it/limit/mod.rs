//! Rate limits, under time that the tests invent: limiters take the instant as an argument, and hours pass in no time.

mod config;
mod group;
pub(crate) mod model;
mod random;
mod single;
mod streams;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use levent_io::limit::{Limit, Limiter};
use levent_reactor::lane::Direction;

const TICK: Duration = Duration::from_millis(100);

fn ticks(rate: u64, burst: u64) -> Limit {
    Limit::every(TICK)
        .and_then(|limit| limit.read(rate, burst))
        .and_then(|limit| limit.write(rate, burst))
        .unwrap()
}

/// Streams that want as much as they may have: each asks, moves what it is granted, and asks again when it is told to.
struct World {
    limiters: Vec<Limiter>,
    /// How many bytes each has moved.
    moved: Vec<u64>,
    /// Who asks when; of equal instants, who asked to be woken first.
    queue: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    asked: u64,
    now: Instant,
}

impl World {
    /// Time begins with `now`, which the caller took before anything with a clock was made: so it does not matter how long that takes.
    fn new(now: Instant, limiters: Vec<Limiter>) -> World {
        let mut world = World {
            moved: vec![0; limiters.len()],
            limiters,
            queue: BinaryHeap::new(),
            asked: 0,
            now,
        };
        for index in 0..world.limiters.len() {
            world.ask_at(now, index);
        }
        world
    }

    fn ask_at(&mut self, at: Instant, index: usize) {
        self.asked += 1;
        self.queue.push(Reverse((at, self.asked, index)));
    }

    /// Lets that much time pass. A stream asks for at most `want` bytes at once.
    fn run(&mut self, length: Duration, want: usize) {
        let end = self.now + length;
        while let Some(&Reverse((at, _, index))) = self.queue.peek() {
            if at >= end {
                break;
            }
            self.queue.pop();
            self.now = self.now.max(at);
            match self.limiters[index].try_grant(Direction::Read, want, self.now) {
                Ok(granted) => {
                    assert!((1..=want).contains(&granted));
                    self.limiters[index].spend(Direction::Read, granted);
                    self.moved[index] += granted as u64;
                    self.ask_at(self.now, index);
                }
                Err(Some(later)) => {
                    assert!(later > self.now, "or it would be asked again and again");
                    self.ask_at(later, index);
                }
                Err(None) => {}
            }
        }
        self.now = end;
    }

    fn total(&self) -> u64 {
        self.moved.iter().sum()
    }

    fn mean(&self) -> f64 {
        self.total() as f64 / self.moved.len() as f64
    }

    fn deviation(&self) -> f64 {
        let mean = self.mean();
        let squares = self
            .moved
            .iter()
            .map(|&moved| (moved as f64 - mean).powi(2));
        (squares.sum::<f64>() / self.moved.len() as f64).sqrt()
    }

    /// The greatest distance of a stream from the mean, as a part of the mean.
    fn unfairness(&self) -> f64 {
        let mean = self.mean();
        let distances = self
            .moved
            .iter()
            .map(|&moved| (moved as f64 - mean).abs() / mean);
        distances.fold(0.0, f64::max)
    }
}
