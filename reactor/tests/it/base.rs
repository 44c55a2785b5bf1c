//! BASE: making, configuring and ending bases.

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::{Duration, Instant};

use levent_reactor::{Base, Config, Counted, Event, Features, Flags, LoopEnd, LoopFlags, Method};

use crate::support::*;

/// BASE-1: a default base takes the first method and is empty.
#[test]
fn default_base_is_epoll_and_empty() {
    let base = Base::with_config(&Config::new().ignore_env()).unwrap();
    assert_eq!(base.method(), Method::Epoll);
    assert_eq!(base.priorities(), 1);
    assert_eq!(
        base.count(Counted::ADDED | Counted::ACTIVE | Counted::VIRTUAL),
        0
    );
    assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
}

/// BASE-2: avoiding methods goes down the order of preference.
#[test]
fn avoiding_goes_down_the_order() {
    let config = Config::new().ignore_env().avoid_method("epoll");
    assert_eq!(Base::with_config(&config).unwrap().method(), Method::Poll);
    let config = config.avoid_method("poll");
    assert_eq!(Base::with_config(&config).unwrap().method(), Method::Select);
}

/// BASE-3, ERR-1: names add up, match exactly, and may be unknown; with all of them avoided there is no base.
#[test]
fn avoided_names_add_up() {
    let config = Config::new()
        .ignore_env()
        .avoid_method("Nonesuch")
        .avoid_method("EPOLL");
    assert_eq!(Base::with_config(&config).unwrap().method(), Method::Epoll);
    let config = config
        .avoid_method("epoll")
        .avoid_method("poll")
        .avoid_method("select")
        // In a build with libkqueue.
        .avoid_method("kqueue");
    assert_eq!(
        Base::with_config(&config).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

/// BASE-5, ERR-1: a requirement replaces the one before, and what nobody has is refused.
#[test]
fn requirement_replaces_the_last() {
    let config = Config::new()
        .ignore_env()
        .avoid_method("kqueue")
        .require_features(Features::FDS | Features::O1);
    assert_eq!(
        Base::with_config(&config).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    let config = config.require_features(Features::NONE);
    assert_eq!(Base::with_config(&config).unwrap().method(), Method::Epoll);
}

/// BASE-6: the feature table decides.
#[test]
fn features_select_the_method() {
    let first = |features| {
        let config = Config::new().ignore_env().avoid_method("kqueue");
        Base::with_config(&config.require_features(features))
            .map(|base| base.method())
            .ok()
    };
    assert_eq!(first(Features::ET), Some(Method::Epoll));
    assert_eq!(first(Features::FDS), Some(Method::Poll));
    assert_eq!(
        first(Features::FDS | Features::EARLY_CLOSE),
        Some(Method::Poll)
    );
    assert_eq!(first(Features::ET | Features::FDS), None);
    assert_eq!((Features::ET.bits(), Features::O1.bits()), (1, 2));
    assert_eq!((Features::FDS.bits(), Features::EARLY_CLOSE.bits()), (4, 8));
    for_each_backend(|base| assert_eq!(base.features(), base.method().features()));
}

/// BASE-7: settings of a configuration add up.
#[test]
fn settings_add_up() {
    if in_child_with("base::settings_add_up", &[("EVENT_NOEPOLL", "1")]) {
        let config = Config::new().ignore_env().no_cache_time();
        let base = Base::with_config(&config).unwrap();
        assert_eq!(base.method(), Method::Epoll, "the environment is ignored");
        let differs = Rc::new(Cell::new(false));
        base.once_after(Duration::ZERO, {
            let (base, differs) = (base.clone(), differs.clone());
            move || {
                let before = base.now();
                std::thread::sleep(ms(1));
                differs.set(base.now() > before);
            }
        });
        base.dispatch().unwrap();
        assert!(differs.get(), "time is not cached");
    }
}

/// BASE-8, BASE-9: a variable disables its method by being there; `ignore_env` looks at none.
#[test]
fn variable_disables_a_method() {
    if in_child_with("base::variable_disables_a_method", &[("EVENT_NOEPOLL", "")]) {
        assert_eq!(Base::new().unwrap().method(), Method::Poll);
        assert_eq!(
            Base::with_config(&Config::new().ignore_env())
                .unwrap()
                .method(),
            Method::Epoll
        );
        assert_eq!(
            Method::supported()[0],
            Method::Epoll,
            "what there is does not depend on the environment"
        );
    }
}

/// BASE-8: `LEVENT_BACKEND` names the one method to use.
#[test]
fn variable_names_the_method() {
    if in_child_with(
        "base::variable_names_the_method",
        &[("LEVENT_BACKEND", "select")],
    ) {
        assert_eq!(Base::new().unwrap().method(), Method::Select);
        assert_eq!(
            Base::with_config(&Config::new().ignore_env())
                .unwrap()
                .method(),
            Method::Epoll
        );
    }
}

/// BASE-8: both kinds of variables hold, so together they may leave nothing.
#[test]
fn variables_hold_together() {
    let variables = [("LEVENT_BACKEND", "poll"), ("EVENT_NOPOLL", "1")];
    if in_child_with("base::variables_hold_together", &variables) {
        assert_eq!(Base::new().unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

/// BASE-8: in a program with the rights of another user or group than who started it no variable counts.
#[test]
fn no_variable_counts_with_borrowed_rights() {
    const NOBODY: libc::uid_t = 65_534;
    // SAFETY: the calls take numbers only. No test beside this one runs in the process, and its runner opens nothing meanwhile.
    let user = |id| unsafe { libc::seteuid(id) };
    // SAFETY: as above.
    let group = |id| unsafe { libc::setegid(id) };
    let variables = [
        ("EVENT_NOEPOLL", "1"),
        ("EVENT_NOPOLL", "1"),
        ("EVENT_EPOLL_USE_CHANGELIST", "1"),
        ("LEVENT_BACKEND", "select"),
    ];
    // SAFETY: the call takes nothing and cannot fail.
    if unsafe { libc::getuid() } != 0 {
        println!("not tested: only root can give rights away");
        return;
    }
    if !in_child_with("base::no_variable_counts_with_borrowed_rights", &variables) {
        return;
    }
    let method = || Base::new().unwrap().method();
    assert_eq!(method(), Method::Select);
    assert_eq!(user(NOBODY), 0);
    assert_eq!(method(), Method::Epoll, "another user");
    assert_eq!(user(0), 0);
    assert_eq!(method(), Method::Select);
    assert_eq!(group(NOBODY), 0);
    assert_eq!(method(), Method::Epoll, "another group");
    assert_eq!(group(0), 0);
    assert_eq!(method(), Method::Select);
}

/// Better than BASE-10: a base that ignores the environment ignores all of it; and signals come one way (BASE-16).
#[test]
fn no_variable_escapes() {
    let variables = [
        ("EVENT_NOEPOLL", "1"),
        ("LEVENT_BACKEND", "select"),
        ("EVENT_EPOLL_USE_CHANGELIST", "1"),
        ("EVENT_PRECISE_TIMER", "1"),
        ("EVENT_SHOW_METHOD", "1"),
        ("EVENT_USE_SIGNALFD", "1"),
    ];
    if in_child_with("base::no_variable_escapes", &variables) {
        let base = Base::with_config(&Config::new().ignore_env()).unwrap();
        assert_eq!(base.method(), Method::Epoll);
        assert_eq!(base.signal_method(), "signal");
    }
}

/// Better than BASE-13: waits are finer than a millisecond without being asked to, and never early.
#[test]
fn waits_are_fine() {
    let wait = Duration::from_micros(1500);
    for_each_backend(|base| {
        let mut best = Duration::MAX;
        for _ in 0..100 {
            let begin = Instant::now();
            base.once_after(wait, || {});
            base.dispatch().unwrap();
            let took = begin.elapsed();
            assert!(took >= wait, "{took:?}");
            best = best.min(took);
            if best < Duration::from_micros(1950) {
                break;
            }
        }
        // Rounded up to milliseconds it would be two.
        assert!(best < Duration::from_micros(1950), "{best:?}");
    });
}

/// BASE-12: without caching two callbacks of one pass read different times.
#[test]
fn uncached_time_moves_within_a_pass() {
    with_manual_clock_and(Config::no_cache_time, |base, hand| {
        let seen = Rc::new(Cell::new(Duration::ZERO));
        for _ in 0..2 {
            let (base2, hand, seen) = (base.clone(), hand.clone(), seen.clone());
            base.once_after(Duration::ZERO, move || {
                assert_eq!(base2.now(), seen.get());
                hand.advance(ms(30));
                seen.set(seen.get() + ms(30));
            });
        }
        look(base);
        assert_eq!(seen.get(), ms(60));
    });
}

/// BASE-18, BASE-19: the last limits count, and a minimum priority without limits limits nothing.
#[test]
fn last_limits_count() {
    let tweak = |config: Config| {
        config
            .max_dispatch(Some(ms(10)), Some(5), 1)
            .max_dispatch(None, None, 0)
    };
    for_each_backend_with(tweak, |base| {
        let passes = Rc::new(Cell::new(0));
        let _watcher = base.on_prepare({
            let passes = passes.clone();
            move |_, _| passes.set(passes.get() + 1)
        });
        let events: Vec<_> = (0..1000).map(|_| Event::user(base, |_, _| {})).collect();
        events.iter().for_each(|event| event.activate(Flags::NONE));
        base.dispatch().unwrap();
        assert_eq!(passes.get(), 1);
    });
}

/// BASE-20: one configuration makes many bases and need not outlive them.
#[test]
fn configuration_is_copied() {
    let config = only(Method::Poll);
    let first = Base::with_config(&config).unwrap();
    let second = Base::with_config(&config.clone()).unwrap();
    drop(config);
    for base in [first, second] {
        assert_eq!(base.method(), Method::Poll);
        base.once_after(Duration::ZERO, || {});
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
    }
}

/// BASE-24, BASE-28, BASE-29: ending a base runs no callback, leaves the user's descriptors open and its events idle.
#[test]
fn ending_a_base_runs_nothing() {
    for method in crate::support::methods() {
        let base = base_on(method);
        let trace = Trace::new();
        let (here, there) = readable_pair();
        let readable = on_fd(&base, &here, Flags::READ, trace.note("fd"));
        readable.add_after(ms(1)).unwrap();
        let active = Event::user(&base, trace.note("user"));
        active.activate(Flags::WRITE);
        let timer = Event::interval(&base, trace.note("timer"));
        timer.add_after(Duration::ZERO).unwrap();
        drop(base);
        trace.assert([]);
        assert!(!readable.is_pending() && !active.is_pending() && !timer.is_pending());
        assert_eq!(readable.add().unwrap_err().kind(), ErrorKind::NotConnected);
        assert!(readable.base().is_none());
        readable.del().unwrap();
        active.activate(Flags::READ);
        assert_eq!(drain(&here), 1, "the descriptor is open");
        drop(there);
    }
}

/// BASE-25: a finalizer that asks for another while the base ends leads to both running.
#[test]
fn finalizer_asks_for_another_while_the_base_ends() {
    let base = base_on(Method::Epoll);
    let trace = Trace::new();
    let second = Event::user(&base, |_, _| {});
    let first = Event::user(&base, |_, _| {});
    first.finalize({
        let trace = trace.clone();
        move |_| {
            trace.push("first");
            second.finalize(move |_| trace.push("second"));
        }
    });
    drop(first);
    drop(base);
    trace.assert(["first", "second"]);
}

/// BASE-26: a finalizer that was asked for runs when the base ends, once.
#[test]
fn ending_a_base_runs_finalizers() {
    let base = base_on(Method::Epoll);
    let trace = Trace::new();
    let event = Event::timer(&base, trace.note("callback"));
    event.add_after(ms(1)).unwrap();
    event.finalize({
        let trace = trace.clone();
        move |_| trace.push("finalizer")
    });
    drop(base);
    trace.assert(["finalizer"]);
    drop(event);
    trace.assert([]);
}

/// BASE-27: one-shots that never fired go with the base, unrun, and what they own is dropped.
#[test]
fn unfired_one_shot_goes_with_the_base() {
    let base = base_on(Method::Epoll);
    let owned = Rc::new(());
    let (held, ran) = (owned.clone(), Rc::new(Cell::new(false)));
    base.once_after(Duration::from_secs(10), {
        let ran = ran.clone();
        move || {
            let _held = &held;
            ran.set(true);
        }
    });
    look(&base);
    assert_eq!(Rc::strong_count(&owned), 2);
    drop(base);
    assert_eq!(Rc::strong_count(&owned), 1);
    assert!(!ran.get());
}

/// BASE-30: watchers, remotes and the notifier keep no loop alive.
#[test]
fn internal_things_keep_no_loop_alive() {
    for_each_backend(|base| {
        let _watcher = base.on_check(|_| {});
        let _remote = base.remote();
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        assert_eq!(base.run_loop(LoopFlags::ONCE).unwrap(), LoopEnd::Dry);
    });
}

/// BASE-24: a base ends with its last handle, also inside one of its own callbacks.
#[test]
fn base_dropped_in_its_own_callback() {
    let base = Rc::new(Cell::new(None));
    let made = base_on(Method::Epoll);
    let timer = Event::timer(&made, {
        let base = base.clone();
        move |_, _| drop(base.take())
    });
    timer.add_after(Duration::ZERO).unwrap();
    let running = made.clone();
    base.set(Some(made));
    assert_eq!(running.dispatch().unwrap(), LoopEnd::Dry);
    drop(running);
    assert!(timer.base().is_none());
}
