//! The hot paths under the realtime sanitizer, which ends the process at an allocation or a call that may block: a turn of the loop
//! (but for the wait itself), and the poll of a ready task. Without `--cfg rtsan` there is nothing here; `.ci/run` has the command.
#![cfg(rtsan)]
#![feature(sanitize)]

use std::cell::Cell;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use levent::LocalExecutor;
use levent::reactor::{Base, Config, Entered, Event, Flags, Wait};

/// Lists grow to the largest batch in the first turns.
const WARM: usize = 1_000;
const MEASURED: usize = 10_000;

#[sanitize(realtime = "nonblocking")]
fn turn(entered: &Entered) {
    for _ in 0..MEASURED {
        let _ = entered.turn(Wait::Poll);
    }
}

#[sanitize(realtime = "nonblocking")]
fn tick(executor: &LocalExecutor<'_>) {
    for _ in 0..MEASURED {
        executor.try_tick();
    }
}

/// Readable descriptors, expiring intervals, idle timeouts that are pushed on, and events activated by hand and for the next turn.
#[test]
fn turn_of_the_loop() {
    // Without the guard: what is readable here is never read, and a guard that has found that out looks into /proc.
    let base = Base::with_config(&Config::new().spin_limit(0)).unwrap();
    base.set_priorities(2).unwrap();
    let calls = Rc::new(Cell::new(0));
    let mut events = Vec::new();
    let mut ends = Vec::new();
    for _ in 0..32 {
        let (here, there) = UnixStream::pair().unwrap();
        std::io::Write::write_all(&mut &there, b"never read").unwrap();
        let counts = calls.clone();
        let ready = Event::new(
            &base,
            here,
            Flags::READ | Flags::PERSIST,
            move |_, _, event| {
                counts.set(counts.get() + 1);
                let _ = event.add_after(Duration::from_secs(60));
            },
        )
        .unwrap();
        ready.add_after(Duration::from_secs(60)).unwrap();
        let tick = Event::interval(&base, |_, _| {});
        tick.add_after(Duration::from_nanos(1)).unwrap();
        let again = Event::user(&base, |event, what| {
            if what.intersects(Flags::READ) {
                event.activate_later(Flags::WRITE);
            } else {
                event.activate_later(Flags::READ);
            }
        });
        again.set_priority(1).unwrap();
        again.activate(Flags::READ);
        events.extend([ready, tick, again]);
        ends.push(there);
    }
    let entered = base.enter().unwrap();
    for _ in 0..WARM {
        entered.turn(Wait::Poll).unwrap();
    }
    let before = calls.get();
    turn(&entered);
    assert!(calls.get() > before);
}

/// Wakes itself and waits, for ever.
struct Busy(Rc<Cell<usize>>);

impl Future for Busy {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.set(self.0.get() + 1);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[test]
fn poll_of_a_ready_task() {
    let executor = LocalExecutor::new();
    let polls = Rc::new(Cell::new(0));
    for _ in 0..32 {
        executor.spawn(Busy(polls.clone())).detach();
    }
    for _ in 0..WARM {
        executor.try_tick();
    }
    let before = polls.get();
    tick(&executor);
    assert_eq!(polls.get() - before, MEASURED);
}
