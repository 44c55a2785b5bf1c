//! Random programs against a model that keeps a flag or a number per event and knows no queue, heap or record.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use levent_reactor::{Base, Event, Flags, Wait};

use crate::support::*;

const EVENTS: usize = 48;
const TURNS: usize = 4_000;

/// What is known of one event.
#[derive(Default)]
struct Known {
    event: Option<Event>,
    /// How many events this place has had.
    generation: u32,
    deadline: Option<Duration>,
    /// Why it is queued.
    queued: Flags,
    /// Why it is queued for the next iteration.
    later: Flags,
}

impl Known {
    fn clear(&mut self) {
        (self.deadline, self.queued, self.later) = (None, Flags::NONE, Flags::NONE);
    }

    fn pending(&self) -> Flags {
        let timeout = self.deadline.map_or(Flags::NONE, |_| Flags::TIMEOUT);
        timeout | self.queued | self.later
    }
}

struct Program {
    known: Vec<Known>,
    random: u64,
    /// How much may still be queued by hand in this pass, which would else not end (ACT-8).
    budget: u32,
    ran: u64,
}

impl Program {
    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }
}

type Shared = Rc<RefCell<Program>>;

/// One random operation on one random event.
fn operate(base: &Base, program: &Shared) {
    let mut borrowed = program.borrow_mut();
    let place = borrowed.below(EVENTS as u64) as usize;
    let (operation, budget) = (borrowed.below(10), borrowed.budget);
    let delay = [0, 1, 7, 1 << 10, 1 << 31, 1 << 34][borrowed.below(6) as usize];
    let delay = Duration::from_nanos(delay) * (borrowed.below(3) as u32);
    let known = &mut borrowed.known[place];
    let Some(event) = known.event.clone() else {
        known.generation += 1;
        let generation = known.generation;
        let program = program.clone();
        let run = move |event: &Event, what| run(event, what, &program, place, generation);
        known.event = Some(Event::timer(base, run));
        return;
    };
    match operation {
        0..=3 => {
            event.add_after(delay).unwrap();
            known.deadline = Some(base.now() + delay);
            // ADD-9: an expiry that has not run is replaced, whatever was merged with it.
            if known.queued.intersects(Flags::TIMEOUT) {
                known.queued = Flags::NONE;
            }
        }
        4 => {
            event.del().unwrap();
            known.clear();
        }
        5 => {
            event.remove_timer();
            known.deadline = None;
        }
        6 if budget > 0 && known.later.is_empty() => {
            event.activate(Flags::READ);
            known.queued |= Flags::READ;
            borrowed.budget -= 1;
        }
        7 if known.queued.is_empty() && known.later.is_empty() => {
            event.activate_later(Flags::WRITE);
            known.later = Flags::WRITE;
        }
        8 => {
            known.clear();
            let ours = known.event.take();
            drop(borrowed);
            // The last but one here, the last below.
            drop(ours);
        }
        _ => assert_eq!(event.pending(Flags::from_bits(0xff)), known.pending()),
    }
}

fn run(event: &Event, what: Flags, program: &Shared, place: usize, generation: u32) {
    let mut borrowed = program.borrow_mut();
    borrowed.ran += 1;
    let known = &mut borrowed.known[place];
    assert_eq!(known.generation, generation, "a dropped event runs");
    assert_eq!(known.queued, what);
    // Not pending any more when its callback runs (EV-17).
    known.clear();
    assert_eq!(event.pending(Flags::from_bits(0xff)), Flags::NONE);
    let count = borrowed.below(4);
    drop(borrowed);
    let base = event.base().unwrap();
    (0..count).for_each(|_| operate(&base, program));
}

/// ADD-9, DEL-2, EV-17, ACT-2, ACT-19, LOOP-1, HEAP-6: events that add, delete, activate, drop and replace each other, in callbacks and outside,
/// run when and only when the model says so, and say of themselves what it says.
#[test]
fn random_programs_agree_with_the_model() {
    with_manual_clock(|base, hand| {
        let program: Shared = Rc::new(RefCell::new(Program {
            known: (0..EVENTS).map(|_| Known::default()).collect(),
            random: 0x9e37_79b9_7f4a_7c15,
            budget: 0,
            ran: 0,
        }));
        let entered = base.enter().unwrap();
        for _ in 0..TURNS {
            program.borrow_mut().budget = 30;
            (0..6).for_each(|_| operate(base, &program));
            {
                let mut program = program.borrow_mut();
                let step = [0, 1, 7, 1 << 11, 1 << 32][program.below(5) as usize];
                hand.advance(Duration::from_nanos(step));
                for known in &mut program.known {
                    known.queued |= std::mem::take(&mut known.later);
                    if known
                        .deadline
                        .is_some_and(|deadline| deadline <= base.monotonic())
                    {
                        known.deadline = None;
                        known.queued |= Flags::TIMEOUT;
                    }
                }
            }
            entered.turn(Wait::Poll).unwrap();
            for known in &program.borrow().known {
                assert_eq!(known.queued, Flags::NONE, "an active event did not run");
                let pending = known
                    .event
                    .as_ref()
                    .map(|event| event.pending(Flags::from_bits(0xff)));
                assert_eq!(pending.unwrap_or(Flags::NONE), known.pending());
            }
        }
        assert!(program.borrow().ran > TURNS as u64);
        // The callbacks hold the program that holds their events.
        let events: Vec<_> = program.borrow_mut().known.drain(..).collect();
        drop(events);
    });
}
