//! Deadlines that starve, storm or stop.

use std::cell::Cell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::time::Duration;

use levent_reactor::{Base, Event, Flags};

use crate::support::*;

/// B1: a timer that adds itself with zero, and in whose callback time goes on, runs once per turn, and a descriptor has its own.
#[test]
fn b1_zero_timer_leaves_turns_to_others() {
    with_manual_clock(|base, hand| {
        let trace = Trace::new();
        let (here, mut there) = readable_pair();
        let reader = on_fd(base, &here, Flags::READ | Flags::PERSIST, {
            let (trace, here) = (trace.clone(), here.clone());
            move |_, _| {
                assert_eq!((&*here).read(&mut [0; 2]).unwrap(), 1);
                trace.push("read");
            }
        });
        reader.add().unwrap();
        let timer = Event::timer(base, {
            let (trace, hand) = (trace.clone(), hand.clone());
            move |event, _| {
                trace.push("rang");
                event.add_after(Duration::ZERO).unwrap();
                // Due again before the callback returns.
                hand.advance(ms(1));
                there.write_all(b"x").unwrap();
            }
        });
        timer.add_after(Duration::ZERO).unwrap();
        for _ in 0..100 {
            look(base);
            trace.assert(["read", "rang"]);
        }
    });
}

/// B2: beside a timer of a month, a tick of a second goes on at every age at which the counters of timer wheels wrap.
#[test]
fn b2_ticks_go_on_for_years() {
    with_manual_clock(|base, hand| {
        let ticks = Rc::new(Cell::new(0));
        let counts = ticks.clone();
        let tick = Event::interval(base, move |_, _| counts.set(counts.get() + 1));
        let month = Event::timer(base, |event, _| event.add_after(MONTH).unwrap());
        const MONTH: Duration = Duration::from_secs(30 * 86_400);
        month.add_after(MONTH).unwrap();
        for shift in 20..=40 {
            // Missed periods are one tick.
            hand.advance(ms(1 << shift).saturating_sub(base.monotonic()));
            look(base);
            tick.del().unwrap();
            tick.add_after(Duration::from_secs(1)).unwrap();
            ticks.set(0);
            for second in 1..=20 {
                hand.advance(Duration::from_secs(1));
                look(base);
                assert_eq!(ticks.get(), second, "after 2^{shift} ms");
            }
            assert!(month.is_pending());
        }
    });
}

/// B50: a timer that resets, cancels and adds itself and others in its own callback goes on, a million times.
#[test]
fn b50_timer_changes_itself_in_its_callback() {
    let (clock, hand) = levent_reactor::Clock::manual();
    let base = Base::with_config(&levent_reactor::Config::new().clock(clock)).unwrap();
    let common = base.common_timeout(ms(1)).unwrap();
    let runs = Rc::new(Cell::new(0_u32));
    let other = Rc::new(Event::timer(&base, |_, _| {}));
    let (counts, changes) = (runs.clone(), other.clone());
    let timer = Event::timer(&base, move |event, _| {
        let run = counts.get() + 1;
        counts.set(run);
        match run % 4 {
            0 => event.add_after(ms(3)).and_then(|()| event.add_after(ms(1))),
            1 => event.add_common(common).and_then(|()| event.del()),
            2 => event
                .add_after(ms(9))
                .and_then(|()| event.add_common(common)),
            _ => changes.add_after(ms(u64::from(run) % 3)),
        }
        .unwrap();
        event.add_after(ms(1)).unwrap();
    });
    timer.add_after(ms(1)).unwrap();
    for run in 1..=1_000_000 {
        hand.advance(ms(1));
        look(&base);
        assert_eq!(runs.get(), run);
    }
    drop(other);
}
