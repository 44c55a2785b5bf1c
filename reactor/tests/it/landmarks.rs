//! Bugs that have bitten users of event loops, by the symptom. Those that another page's test proves are listed here.
//!
//! | Bug | Test |
//! |---|---|
//! | B1, libuv#4250 | `time::zero_timer_runs_once_per_iteration`, `add::zero_timeout_waits_for_the_next_iteration` |
//! | B2, tokio#8334 | here; `lib engine::deadlines::tests::ticks_beside_a_month` |
//! | B3, libevent#1727 | `remote::deleted_nearest_deadline_is_not_waited_for`; the other way round, `remote::events_from_another_thread` |
//! | B4, libevent#1530 | here |
//! | B6, rakshasa/libtorrent#757 | here; `idle::deadlines_are_not_approached_by_spinning` |
//! | B7, libevent#379 | `backends::closed_behind_the_base` |
//! | B8, libuv@06cb00c84 | here |
//! | B13, libuv#5039 | `fds::dropped_in_a_callback_of_the_same_batch` |
//! | B15, tokio-core#172 | `fds::duplicate_of_a_closed_descriptor_is_silent` |
//! | B17, libuv#4328 | here |
//! | B21, libuv#3483 | here |
//! | B23, libevent#741 | `signals::added_and_removed_while_raised` |
//! | B24, libevent#1460, tmux/tmux#3626 | here |
//! | B25, libevent#225, libevent#512 | `remote::deletion_is_acknowledged` |
//! | B43, tokio#4044 | `lib clock::tests::reading_before_the_origin_is_zero` |
//! | B46, systemd#13236, libevent#1466 | here |
//! | B48, libevent#636 | `fds::edge_survives_adding_and_deleting`; level-triggered, `fds::deleting_one_leaves_the_others` |
//! | B50, embassy@a2aa93f81 | here; `lib engine::deadlines::tests::reset_and_remove_at_expiry` |

use std::cell::Cell;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use levent_reactor::{Base, Event, Flags, LoopEnd, LoopFlags, Method, signal};

use crate::fork::{fork, join};
use crate::support::*;

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

/// B4: an activation from another thread is not overwritten by the timeout of the same turn.
#[test]
fn b4_activation_and_timeout_are_both_seen() {
    with_manual_clock(|base, hand| {
        let seen = Rc::new(Cell::new(Flags::NONE));
        let saw = seen.clone();
        let event = Event::timer(base, move |_, what| saw.set(saw.get() | what));
        event.add_after(ms(5)).unwrap();
        let remote = event.remote().unwrap();
        thread::spawn(move || remote.activate(Flags::WRITE).unwrap())
            .join()
            .unwrap();
        hand.advance(ms(5));
        look(base);
        look(base);
        assert_eq!(seen.get(), Flags::WRITE | Flags::TIMEOUT);
    });
}

/// B6: what another thread posts costs a turn or two each, beside descriptors where nothing happens, and neither it nor a deadline
/// between two milliseconds makes the waits that follow zero.
#[test]
fn b6_posts_leave_no_wait_of_zero_behind() {
    for_each_backend(|base| {
        const POSTS: u32 = 20;
        let wait = Duration::from_micros(20_300);
        let idle: Vec<_> = (0..20)
            .map(|_| {
                let (here, there) = pair();
                let event = on_fd(base, &here, Flags::READ | Flags::PERSIST, |_, _| {
                    panic!("idle")
                });
                event.add().unwrap();
                (event, there)
            })
            .collect();
        let (turns, zeros) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let watcher = base.on_prepare({
            let (turns, zeros) = (turns.clone(), zeros.clone());
            move |_, info| {
                turns.set(turns.get() + 1);
                zeros.set(zeros.get() + u32::from(info.wait == Some(Duration::ZERO)));
            }
        });
        let remote = base.remote();
        let posts = thread::spawn(move || {
            let (handled, is_handled) = mpsc::channel();
            for _ in 0..POSTS {
                let handled = handled.clone();
                remote.post(move |_| handled.send(()).unwrap()).unwrap();
                is_handled.recv().unwrap();
            }
            remote.loop_break().unwrap();
        });
        assert_eq!(
            base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap(),
            LoopEnd::Stopped
        );
        posts.join().unwrap();
        let during = turns.take();
        assert!(during <= 2 * POSTS + 6, "{during} turns for {POSTS} posts");
        // What was asked for is gone: now it sleeps.
        base.loop_exit(Some(wait)).unwrap();
        zeros.take();
        base.dispatch().unwrap();
        drop((watcher, idle));
        let (turns, zeros) = (turns.take(), zeros.take());
        assert!(
            turns <= 4 && zeros <= 1,
            "{turns} turns, {zeros} without a wait"
        );
    });
}

/// B8: the writer of a full pipe whose reader goes is told once, and the loop ends instead of spinning on a bare hang-up.
#[test]
fn b8_writer_is_told_that_the_reader_is_gone() {
    for_each_backend(|base| {
        let (reader, mut writer) = pipe();
        while writer.write(&[0; 4096]).is_ok() {}
        let calls = Rc::new(Cell::new(0));
        let counts = calls.clone();
        let event = Event::new(
            base,
            writer,
            Flags::WRITE | Flags::PERSIST,
            move |mut writer, _, event: &Event| {
                counts.set(counts.get() + 1);
                if writer.write(b"x").unwrap_err().kind() == ErrorKind::BrokenPipe {
                    event.del().unwrap();
                }
            },
        )
        .unwrap();
        event.add().unwrap();
        look(base);
        assert_eq!(calls.get(), 0);
        drop(reader);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        // A program that another test is starting may have had the reader's end for a moment.
        assert_eq!(calls.get(), 1);
    });
}

/// B17: a number that is deleted, closed and reused at once is the new file's, and nothing of the old one's is left.
#[test]
fn b17_deleted_number_is_free_at_once() {
    for_each_backend(|base| {
        let (spare, mut other_end) = UnixStream::pair().unwrap();
        let number = spare.as_raw_fd();
        let mut here: OwnedFd = spare.into();
        for round in 0..50 {
            let old = Event::new(base, here, Flags::READ, |_, _, _| panic!("deleted")).unwrap();
            old.add().unwrap();
            if round % 2 == 0 {
                look(base);
            }
            other_end.write_all(b"for the old one").unwrap();
            old.del().unwrap();
            drop(old);
            let (fresh, mut fresh_end) = UnixStream::pair().unwrap();
            let calls = Rc::new(Cell::new(0));
            let counts = calls.clone();
            let new = Event::new(base, fresh, Flags::READ, move |_, _, _| {
                counts.set(counts.get() + 1);
            })
            .unwrap();
            new.add().unwrap();
            look(base);
            assert_eq!(calls.get(), 0, "round {round}");
            fresh_end.write_all(b"for the new one").unwrap();
            look(base);
            assert_eq!(calls.get(), 1, "round {round}");
            drop(new);
            let (next, next_end) = UnixStream::pair().unwrap();
            (here, other_end) = (next.into(), next_end);
        }
        // Numbers are given out lowest first, so they were the same again and again, unless another test had them.
        println!("{number}, {}", here.as_raw_fd());
    });
}

/// B21: signals that were counted before a fork and not delivered yet do not keep the child's loop busy.
#[test]
fn b21_child_does_not_spin_on_old_signals() {
    if !in_child("landmarks::b21_child_does_not_spin_on_old_signals") {
        return;
    }
    for method in methods() {
        let base = base_on(method);
        let event = Event::signal(&base, signal::SIGUSR1, |_, _| {});
        event.add().unwrap();
        raise(signal::SIGUSR1);
        join(fork(|| {
            base.reinit().unwrap();
            event.del().unwrap();
            let turns = Rc::new(Cell::new(0));
            let counts = turns.clone();
            let watcher = base.on_check(move |_| counts.set(counts.get() + 1));
            let end = Event::timer(&base, |event, _| event.base().unwrap().loop_break());
            end.add_after(ms(50)).unwrap();
            base.dispatch().unwrap();
            assert!(turns.get() <= 4, "{} turns on {method:?}", turns.get());
            drop(watcher);
        }));
        look(&base);
    }
}

/// B24: a program that begins with all descriptors closed and SIGCHLD ignored hears of its children while it asks for them, and ignores
/// them again after. One that closes the base's own descriptors gets an error, not an abort or a storm.
#[test]
fn b24_closed_descriptors_and_ignored_signals() {
    fn close_all() {
        for number in 3..256 {
            // SAFETY: in a process of its own, where what is closed belongs to nobody who still uses it.
            unsafe { libc::close(number) };
        }
    }
    if !in_child("landmarks::b24_closed_descriptors_and_ignored_signals") {
        return;
    }
    for method in methods() {
        // In a process that ends without dropping anything: what it owns is closed already.
        join(fork(|| {
            close_all();
            // SAFETY: nobody else changes the disposition.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            let base = base_on(method);
            let trace = Trace::new();
            let event = Event::signal(&base, libc::SIGCHLD, trace.note("child"));
            event.add().unwrap();
            join(fork(|| ()));
            look(&base);
            trace.assert(["child"]);
            event.del().unwrap();
            // SAFETY: as above; it puts back what it finds.
            let disposition = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            assert_eq!(disposition, libc::SIG_IGN);
            let (here, there) = pair();
            let read = on_fd(&base, &here, Flags::READ, |_, _| {});
            read.add().unwrap();
            close_all();
            let end = Event::timer(&base, |event, _| event.base().unwrap().loop_break());
            end.add_after(ms(20)).unwrap();
            let result = base.dispatch();
            println!("{method:?}: {result:?}");
            if matches!(method, Method::Epoll | Method::EpollBatched) {
                assert!(result.is_err());
            }
            std::mem::forget((base, event, read, end, here, there));
        }));
    }
}

/// B46: with aging a level has its turn after so many passes, however much there is to do above; without, never (ACT-12).
#[test]
fn b46_low_priority_has_its_turn() {
    for aging in [0_u32, 1, 5] {
        for_each_backend_with(
            |config| config.aging(aging),
            |base| {
                base.set_priorities(3).unwrap();
                let (busy, low) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0_u32)));
                let counts = busy.clone();
                let high = Event::user(base, move |event, _| {
                    counts.set(counts.get() + 1);
                    if counts.get() == 100 {
                        event.base().unwrap().loop_break();
                    }
                    event.activate_later(Flags::NONE);
                });
                high.set_priority(0).unwrap();
                let counts = low.clone();
                let idle = Event::user(base, move |event, _| {
                    counts.set(counts.get() + 1);
                    event.activate_later(Flags::NONE);
                });
                idle.set_priority(2).unwrap();
                high.activate(Flags::NONE);
                idle.activate(Flags::NONE);
                base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap();
                assert_eq!(busy.get(), 100);
                let expected = 100_u32.checked_div(aging).unwrap_or(0);
                assert!(
                    low.get().abs_diff(expected) <= 1 + expected / 10,
                    "{} turns with aging {aging}",
                    low.get()
                );
                high.del().unwrap();
                idle.del().unwrap();
            },
        );
    }
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
