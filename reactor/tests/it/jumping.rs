//! A clock that moves when there is nothing else to do.

use crate::support::{Trace, for_each_backend_with, methods, only, readable_pair};
use levent_reactor::lane::Alarm;
use levent_reactor::{Base, Clock, Config, Event, Flags, Wait, current};
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn jumping(config: Config) -> Config {
    config.clock(Clock::jumping(Duration::ZERO).0)
}

/// Deadlines are met exactly, in order, and the loop ends as it does by any clock.
#[test]
fn deadlines_come_at_once_and_in_order() {
    for_each_backend_with(jumping, |base| {
        let trace = Trace::new();
        let begun = Instant::now();
        let timers: Vec<Event> = [(3, "c"), (1, "a"), (2, "b")]
            .into_iter()
            .map(|(days, name)| {
                let timer = Event::timer(base, trace.note(name));
                timer.add_after(days * DAY).unwrap();
                timer
            })
            .collect();
        base.dispatch().unwrap();
        trace.assert(["a", "b", "c"]);
        assert_eq!(base.now(), 3 * DAY);
        assert!(begun.elapsed() < DAY);
        drop(timers);
    });
}

/// What is ready comes first, however near the deadline.
#[test]
fn readiness_comes_before_the_jump() {
    for_each_backend_with(jumping, |base| {
        let trace = Trace::new();
        let (reader, _writer) = readable_pair();
        let seen = trace.clone();
        let ready = Event::new(base, reader, Flags::READ, move |_, _, _| seen.push("ready"));
        let ready = ready.unwrap();
        ready.add().unwrap();
        let timer = Event::timer(base, trace.note("timer"));
        timer.add_after(Duration::from_nanos(1)).unwrap();
        base.dispatch().unwrap();
        trace.assert(["ready", "timer"]);
    });
}

/// Who turns the loop for a while in real time does not find hours gone.
#[test]
fn bounded_waits_do_not_jump() {
    for_each_backend_with(jumping, |base| {
        let timer = Event::timer(base, |_, _| {});
        timer.add_after(DAY).unwrap();
        let entered = base.enter().unwrap();
        entered.turn(Wait::Poll).unwrap();
        entered
            .turn(Wait::AtMost(Duration::from_millis(1)))
            .unwrap();
        assert_eq!(base.now(), Duration::ZERO);
        entered.turn(Wait::Block).unwrap();
        assert_eq!(base.now(), DAY);
    });
}

/// Within the grace, what another thread sends is still in time.
#[test]
fn grace_lets_others_come_first() {
    let graceful = |config: Config| config.clock(Clock::jumping(Duration::from_secs(30)).0);
    for_each_backend_with(graceful, |base| {
        let timer = Event::timer(base, |_, _| {});
        timer.add_after(DAY).unwrap();
        let remote = base.remote();
        let entered = base.enter().unwrap();
        let other = std::thread::spawn(move || remote.notify());
        entered.turn(Wait::Block).unwrap();
        assert_eq!(base.now(), Duration::ZERO);
        other.join().unwrap();
    });
}

/// The thread's time is its base's inside a loop, and the system's outside and afterwards.
#[test]
fn threads_time_follows_its_base() -> io::Result<()> {
    for method in methods() {
        let replaced = current::replace(&jumping(only(method)))?;
        assert_eq!(replaced.base().method(), method);
        let entered = current::enter()?;
        assert!(
            current::replace(&Config::new()).is_err(),
            "not inside a loop"
        );
        let begun = current::now();
        let mut alarm = Alarm::new();
        let mut cx = Context::from_waker(Waker::noop());
        let mut wait = Box::pin(poll_fn(|cx| alarm.poll_at(begun + DAY, cx)));
        while wait.as_mut().poll(&mut cx).is_pending() {
            entered.turn(Wait::Block)?;
        }
        assert_eq!(current::now() - begun, DAY);
        drop(wait);
        drop(entered);
        assert!(current::now() < begun + DAY, "outside it is the system's");
        drop(replaced);
        let entered = current::enter()?;
        assert!(current::now() < begun + DAY);
        drop(entered);
    }
    Ok(())
}

/// What futures wait for can be seen.
#[test]
fn waits_name_sources_and_alarms() -> io::Result<()> {
    let base = current::base()?;
    let entered = base.enter()?;
    let (reader, _writer) = std::os::unix::net::UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    let source = levent_reactor::lane::Source::new(reader.as_fd())?;
    let mut cx = Context::from_waker(Waker::noop());
    let mut waiter = levent_reactor::lane::Waiter::default();
    let direction = levent_reactor::lane::Direction::Read;
    assert!(
        source
            .poll_waiter(direction, &mut cx, &mut waiter)
            .is_pending()
    );
    let mut alarm = Alarm::new();
    assert_eq!(alarm.poll_at(Instant::now() + DAY, &mut cx), Poll::Pending);
    let waits = base.waits();
    let own: Vec<_> = waits
        .sources
        .iter()
        .filter(|s| s.number == std::os::fd::AsRawFd::as_raw_fd(&reader))
        .collect();
    assert!(
        own.len() == 1 && own[0].reads && !own[0].writes,
        "{waits:?}"
    );
    assert!(waits.alarms.len() == 1 && waits.alarms[0] <= DAY);
    assert!(
        waits.to_string().contains("somebody waits to read"),
        "{waits}"
    );
    source.cancel_waiter(&mut waiter);
    drop(alarm);
    assert!(Base::waits(&base).alarms.is_empty());
    source.release();
    assert!(base.waits().sources.is_empty());
    drop(entered);
    Ok(())
}
