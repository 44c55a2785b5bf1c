//! Remote: what other threads may ask of a base.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use levent_reactor::{Base, Event, Flags, LoopEnd, LoopFlags};

use crate::support::*;

/// THR-7, THR-8: of 8 × 10⁵ posts none is lost, and each thread's run in order.
#[test]
fn no_post_is_lost() {
    const EACH: usize = 100_000;
    let base = base_on(levent_reactor::Method::Epoll);
    let done = Arc::new(AtomicUsize::new(0));
    let last: Vec<Arc<AtomicUsize>> = (0..8).map(|_| Arc::default()).collect();
    let threads: Vec<_> = last
        .iter()
        .map(|last| {
            let (remote, done, last) = (base.remote(), done.clone(), last.clone());
            thread::spawn(move || {
                for i in 0..EACH {
                    let (done, last) = (done.clone(), last.clone());
                    remote
                        .post(move |base| {
                            assert_eq!(last.swap(i + 1, Ordering::Relaxed), i, "in order");
                            if done.fetch_add(1, Ordering::Relaxed) + 1 == 8 * EACH {
                                base.loop_break();
                            }
                        })
                        .unwrap();
                }
            })
        })
        .collect();
    let waits = Rc::new(Cell::new(0_usize));
    let _watcher = base.on_prepare({
        let waits = waits.clone();
        move |_, _| waits.set(waits.get() + 1)
    });
    assert_eq!(
        base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap(),
        LoopEnd::Stopped
    );
    assert_eq!(done.load(Ordering::Relaxed), 8 * EACH);
    assert!(waits.get() <= 8 * EACH, "a burst is one wake-up");
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// THR-8: a thousand posts while a callback runs cost one iteration.
#[test]
fn burst_is_one_iteration() {
    for_each_backend(|base| {
        let waits = Rc::new(Cell::new(0));
        let ran = Arc::new(AtomicUsize::new(0));
        base.once_after(Duration::ZERO, {
            let (remote, ran) = (base.remote(), ran.clone());
            move || {
                thread::spawn(move || {
                    for _ in 0..1000 {
                        let ran = ran.clone();
                        remote
                            .post(move |_| {
                                ran.fetch_add(1, Ordering::Relaxed);
                            })
                            .unwrap();
                    }
                })
                .join()
                .unwrap();
            }
        });
        let _watcher = base.on_check({
            let waits = waits.clone();
            move |_| waits.set(waits.get() + 1)
        });
        base.dispatch().unwrap();
        assert_eq!(ran.load(Ordering::Relaxed), 1000);
        assert!(waits.get() <= 3, "{} iterations", waits.get());
    });
}

/// EXIT-12, BASE-21; better than BASE-11, BASE-22: break, exit and continue from another thread end or turn a sleeping loop.
#[test]
fn steering_from_another_thread() {
    for_each_backend(|base| {
        let far = Event::timer(base, |_, _| {});
        far.add_after(Duration::from_secs(3600)).unwrap();
        let start = Instant::now();
        let remote = base.remote();
        let steer = thread::spawn(move || remote.loop_break().unwrap());
        // Asked before the loop begins, it may be forgotten (EXIT-2): then it is asked again.
        let remote = base.remote();
        let again = Arc::new(AtomicUsize::new(0));
        let ended = again.clone();
        let nag = thread::spawn(move || {
            while ended.load(Ordering::SeqCst) == 0 {
                remote.loop_break().unwrap();
                thread::sleep(ms(1));
            }
        });
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        assert!(base.got_break() && !base.got_exit());
        again.store(1, Ordering::SeqCst);
        steer.join().unwrap();
        nag.join().unwrap();
        let remote = base.remote();
        let steer = thread::spawn(move || {
            remote.loop_continue().unwrap();
            remote.loop_exit(Some(ms(1))).unwrap();
        });
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        assert!(base.got_exit());
        assert!(start.elapsed() < Duration::from_secs(60));
        steer.join().unwrap();
    });
}

/// ADD-19, ACT-17, LOOP-9: events added and activated from another thread wake the loop. Better than TIME-18: every message does,
/// whatever the deadlines are. Better than PO-3: nothing is copied for the wait, since only the base's thread changes anything.
#[test]
fn events_from_another_thread() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let note = |name: &'static str| {
            let trace = trace.clone();
            Event::timer(base, move |_, what| trace.push(format!("{name} {what:?}")))
        };
        let (active, timed) = (note("active"), note("timed"));
        let end = Event::timer(base, |event, _| event.base().unwrap().loop_break());
        let (a, t, e) = (
            active.remote().unwrap(),
            timed.remote().unwrap(),
            end.remote().unwrap(),
        );
        let far = Event::timer(base, |_, _| {});
        far.add_after(Duration::from_secs(3600)).unwrap();
        let thread = thread::spawn(move || {
            a.activate(Flags::READ).unwrap();
            t.add(Some(ms(2))).unwrap();
            e.add(Some(ms(10))).unwrap();
        });
        base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap();
        trace.assert(["active READ", "timed TIMEOUT"]);
        thread.join().unwrap();
    });
}

/// DEL-12: deleting the last event from another thread lets the loop run dry.
#[test]
fn deleting_the_last_event_from_another_thread() {
    for_each_backend(|base| {
        let timer = Event::interval(base, |_, _| {});
        timer.add_after(Duration::from_secs(3600)).unwrap();
        let remote = timer.remote().unwrap();
        let thread = thread::spawn(move || remote.del().unwrap());
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        thread.join().unwrap();
        // SAFETY: -1 is no descriptor.
        let event = unsafe { Event::from_raw_fd(base, -1, Flags::READ, |_, _| {}) }.unwrap();
        event.add().unwrap();
        let remote = event.remote().unwrap();
        let thread = thread::spawn(move || remote.del().unwrap());
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        thread.join().unwrap();
    });
}

/// Better than DEL-8, DEL-10, DEL-11: deleting from another thread waits for no callback, and none runs after it was read.
#[test]
fn deleting_from_another_thread_never_waits() {
    for_each_backend(|base| {
        let runs = Rc::new(Cell::new(0));
        let (started, is_started) = mpsc::channel();
        let (deleted, is_deleted) = mpsc::channel::<()>();
        let event = Event::interval(base, {
            let runs = runs.clone();
            move |_, _| {
                runs.set(runs.get() + 1);
                started.send(()).unwrap();
                // The callback outlasts the deletion: a deletion that waited would never return.
                is_deleted.recv().unwrap();
            }
        });
        event.add_after(ms(1)).unwrap();
        let remote = event.remote().unwrap();
        let thread = thread::spawn(move || {
            is_started.recv().unwrap();
            remote.del().unwrap();
            deleted.send(()).unwrap();
        });
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        assert_eq!(runs.get(), 1);
        thread.join().unwrap();
    });
}

/// BASE-29: a base that ends while threads post drops what did not run, and refuses from then on.
#[test]
fn base_ends_while_threads_post() {
    for _ in 0..20 {
        let base = Base::new().unwrap();
        let owned = Arc::new(());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (remote, owned) = (base.remote(), owned.clone());
                thread::spawn(move || {
                    loop {
                        let owned = owned.clone();
                        remote.notify();
                        if let Err(error) = remote.post(move |_| drop(owned)) {
                            return error.kind();
                        }
                    }
                })
            })
            .collect();
        base.run_loop(LoopFlags::NONBLOCK | LoopFlags::NO_EXIT_ON_EMPTY)
            .unwrap();
        drop(base);
        for thread in threads {
            assert_eq!(thread.join().unwrap(), ErrorKind::NotConnected);
        }
        assert_eq!(Arc::strong_count(&owned), 1, "nothing is left behind");
    }
}

/// THR-4: many threads add, activate and delete while the base runs; nothing is lost, and it runs dry.
#[test]
fn many_threads_at_once() {
    let base = base_on(levent_reactor::Method::Epoll);
    let runs = Rc::new(Cell::new(0));
    let events: Vec<_> = (0..50)
        .map(|_| {
            let runs = runs.clone();
            Event::timer(&base, move |_, _| runs.set(runs.get() + 1))
        })
        .collect();
    let remotes: Vec<_> = events.iter().map(|event| event.remote().unwrap()).collect();
    let left = Arc::new(AtomicUsize::new(4));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (remotes, base, left) = (remotes.clone(), base.remote(), left.clone());
            thread::spawn(move || {
                for _ in 0..20 {
                    for event in &remotes {
                        event.activate(Flags::READ).unwrap();
                        event.del().unwrap();
                        event.add(Some(Duration::from_micros(50))).unwrap();
                    }
                }
                if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                    base.loop_exit(Some(ms(2))).unwrap();
                }
            })
        })
        .collect();
    base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    // Each was added last by somebody, and has fired since.
    assert!(runs.get() >= 50, "{} runs", runs.get());
    assert!(events.iter().all(|event| !event.is_pending()));
}

/// DEL-8 as a message: once the receipt's wait is over, the callback that was running is not, and it runs no more, though its
/// descriptor is ready. DEL-9: on the loop's own thread waiting is refused instead of a deadlock.
#[test]
fn deletion_is_acknowledged() {
    for_each_backend(|base| {
        let runs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let running = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (started, is_started) = mpsc::channel();
        let (sent, is_sent) = mpsc::channel::<()>();
        let (here, _there) = readable_pair();
        let event = on_fd(base, &here, Flags::READ | Flags::PERSIST, {
            let (runs, running) = (runs.clone(), running.clone());
            move |_, _| {
                running.store(true, Ordering::SeqCst);
                if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                    started.send(()).unwrap();
                    // The request is made while this runs.
                    is_sent.recv().unwrap();
                }
                running.store(false, Ordering::SeqCst);
            }
        });
        event.add().unwrap();
        let (remote, all) = (event.remote().unwrap(), base.remote());
        let thread = thread::spawn(move || {
            is_started.recv().unwrap();
            let receipt = remote.del().unwrap();
            assert!(!receipt.is_handled(), "the callback is running");
            sent.send(()).unwrap();
            receipt.wait().unwrap();
            assert!(receipt.is_handled());
            assert!(receipt.wait_for(ms(0)).unwrap());
            assert!(!running.load(Ordering::SeqCst));
            let ran = runs.load(Ordering::SeqCst);
            all.loop_break().unwrap();
            (ran, runs)
        });
        base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap();
        let (ran, runs) = thread.join().unwrap();
        look(base);
        assert_eq!(runs.load(Ordering::SeqCst), ran);

        let refused = Rc::new(Cell::new(None));
        let asks = Event::user(base, {
            let refused = refused.clone();
            move |event, _| {
                let receipt = event.remote().unwrap().del().unwrap();
                refused.set(Some(receipt.wait().unwrap_err().kind()));
            }
        });
        asks.activate(Flags::NONE);
        look(base);
        assert_eq!(refused.get(), Some(ErrorKind::Deadlock));
    });
}

/// DEL-8: a base that has ended has handled every message, and waiting for a base that nobody runs can be bounded.
#[test]
fn receipt_outlives_the_base() {
    let base = Base::new().unwrap();
    let event = Event::user(&base, |_, _| {});
    let remote = event.remote().unwrap();
    let receipt = thread::spawn(move || {
        let receipt = remote.del().unwrap();
        assert!(!receipt.wait_for(ms(1)).unwrap());
        receipt
    })
    .join()
    .unwrap();
    drop((event, base));
    receipt.wait().unwrap();
}

/// THR-4, FIN-10: a finalizer asked for from another thread runs on the loop's, after the callback that is running.
#[test]
fn finalizer_from_another_thread() {
    for_each_backend(|base| {
        let trace = Trace::new();
        let (started, is_started) = mpsc::channel();
        let (sent, is_sent) = mpsc::channel::<()>();
        let event = Event::user(base, {
            let trace = trace.clone();
            move |_, _| {
                started.send(()).unwrap();
                is_sent.recv().unwrap();
                trace.push("callback");
            }
        });
        let (remote, home) = (event.remote().unwrap(), thread::current().id());
        let (finalized, is_finalized) = mpsc::channel();
        event.activate(Flags::NONE);
        let all = base.remote();
        let thread = thread::spawn(move || {
            is_started.recv().unwrap();
            let receipt = remote
                .finalize(move |event| {
                    finalized.send(thread::current().id()).unwrap();
                    event.base().unwrap().loop_break();
                })
                .unwrap();
            sent.send(()).unwrap();
            receipt.wait().unwrap();
            all.once_after(ms(0), || {}).unwrap();
        });
        base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap();
        thread.join().unwrap();
        trace.assert(["callback"]);
        assert_eq!(is_finalized.try_recv(), Ok(home));
    });
}

/// EXIT-13: a break from another thread is honoured before the next callback, though the pass would never end; and the loop is told so
/// though nothing is pending any more.
#[test]
fn break_ends_an_endless_pass() {
    for_each_backend(|base| {
        let (asked, is_asked) = mpsc::channel();
        let (broken, is_broken) = mpsc::channel();
        let remote = base.remote();
        let thread = thread::spawn(move || {
            is_asked.recv().unwrap();
            remote.loop_break().unwrap();
            broken.send(()).unwrap();
        });
        let calls = Rc::new(Cell::new(0));
        let counts = calls.clone();
        let endless = Event::user(base, move |event, _| {
            counts.set(counts.get() + 1);
            if counts.get() == 100 {
                asked.send(()).unwrap();
                is_broken.recv().unwrap();
            } else {
                // Active again in the same pass (ACT-8).
                event.activate(Flags::NONE);
            }
        });
        endless.activate(Flags::NONE);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
        assert!(base.got_break());
        assert_eq!(calls.get(), 100);
        thread.join().unwrap();
    });
}

/// EXIT-13: of several active events, those behind the break wait for the next loop.
#[test]
fn break_from_another_thread_keeps_the_rest() {
    for_each_backend(|base| {
        let remote = base.remote();
        let calls = Rc::new(Cell::new(0));
        let events: Vec<_> = (0..10)
            .map(|_| {
                let (remote, calls) = (remote.clone(), calls.clone());
                Event::user(base, move |_, _| {
                    calls.set(calls.get() + 1);
                    let remote = remote.clone();
                    let breaks = thread::spawn(move || remote.loop_break().unwrap());
                    breaks.join().unwrap();
                })
            })
            .collect();
        events.iter().for_each(|event| event.activate(Flags::NONE));
        for ran in 1..=3 {
            assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
            assert_eq!(calls.get(), ran);
        }
    });
}

/// Better than CT-9: the nearest deadline, deleted from another thread, is no reason to wake up any more, common or not (libevent#1727).
#[test]
fn deleted_nearest_deadline_is_not_waited_for() {
    for_each_backend(|base| {
        let common = base.common_timeout(ms(3_600_000)).unwrap();
        for is_common in [false, true] {
            let nearest = Event::timer(base, |_, _| {});
            match is_common {
                true => nearest.add_common(common).unwrap(),
                false => nearest.add_after(ms(3_600_000)).unwrap(),
            }
            let far = Event::timer(base, |_, _| {});
            far.add_after(ms(7_200_000)).unwrap();
            let waits = Rc::new(RefCell::new(Vec::new()));
            let saw = waits.clone();
            let (waiting, is_waiting) = mpsc::channel();
            let watcher = base.on_prepare(move |base, info| {
                saw.borrow_mut().push(info.wait.unwrap());
                // Nobody listens any more once the deletion is on its way.
                let _ = waiting.send(());
                if info.wait.unwrap() > ms(3_600_000) {
                    base.loop_break();
                }
            });
            let remote = nearest.remote().unwrap();
            let deletes = thread::spawn(move || {
                is_waiting.recv().unwrap();
                remote.del().unwrap();
            });
            assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
            let waits = waits.borrow();
            assert!(waits[0] <= ms(3_600_000) && waits[waits.len() - 1] > ms(7_000_000));
            deletes.join().unwrap();
            drop(watcher);
        }
    });
}

/// Better than THR-13: activating a signal event while its callback runs waits for nobody.
#[test]
fn activation_does_not_wait_for_the_callback() {
    for_each_backend(|base| {
        let (started, is_started) = mpsc::channel();
        let (activated, is_activated) = mpsc::channel();
        let calls = Rc::new(Cell::new(0));
        let counts = calls.clone();
        let event = Event::signal_once(base, levent_reactor::signal::SIGUSR2, move |_, _| {
            counts.set(counts.get() + 1);
            if counts.get() == 1 {
                started.send(()).unwrap();
                // It would never come if the other side waited for this callback.
                is_activated.recv().unwrap();
            }
        });
        let remote = event.remote().unwrap();
        let thread = thread::spawn(move || {
            is_started.recv().unwrap();
            remote.activate(Flags::SIGNAL).unwrap();
            activated.send(()).unwrap();
        });
        event.activate(Flags::SIGNAL);
        look(base);
        look(base);
        assert_eq!(calls.get(), 2);
        thread.join().unwrap();
    });
}

/// THR-18: while no loop runs nobody is waited for; the deletion is done when it next runs.
#[test]
fn deletion_without_a_loop_does_not_wait() {
    for_each_backend(|base| {
        base.once_after(Duration::ZERO, || ());
        base.dispatch().unwrap();
        let timer = Event::timer(base, |_, _| panic!("deleted"));
        timer.add_after(Duration::ZERO).unwrap();
        let remote = timer.remote().unwrap();
        let receipt = thread::spawn(move || remote.del().unwrap()).join().unwrap();
        assert!(!receipt.is_handled());
        base.run_loop(LoopFlags::NONBLOCK).unwrap();
        assert!(receipt.is_handled());
    });
}

/// How often this thread has called `write`.
#[cfg(target_os = "linux")]
fn writes() -> Option<u64> {
    let counts = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    let count = counts
        .lines()
        .find_map(|line| line.strip_prefix("syscw: "))?;
    count.parse().ok()
}

/// THR-7: what the loop's own thread asks for needs no wake-up, nor does what is asked of a base that does not loop.
#[test]
#[cfg(target_os = "linux")]
fn own_thread_wakes_nobody() {
    if writes().is_none() {
        return println!("skipped: this kernel does not count the writes of a thread");
    }
    for_each_backend(|base| {
        let runs = Rc::new(Cell::new(0));
        let counts = runs.clone();
        let event = Event::timer(base, move |_, _| counts.set(counts.get() + 1));
        let (remote, handle) = (event.remote().unwrap(), base.remote());
        let ask = move || {
            let before = writes().unwrap();
            remote.add(Some(Duration::ZERO)).unwrap();
            remote.activate(Flags::READ).unwrap();
            handle.post(|_| {}).unwrap();
            handle.loop_continue().unwrap();
            handle.notify();
            assert_eq!(writes().unwrap() - before, 0);
        };
        ask();
        look(base);
        assert_eq!(runs.get(), 1);
        base.once_after(Duration::ZERO, ask);
        base.dispatch().unwrap();
        assert_eq!(runs.get(), 2);
    });
}

/// THR-14: deleting one event from another thread does not wait for the callback of another.
#[test]
fn deleting_waits_for_no_other_event() {
    for_each_backend(|base| {
        let (started, is_started) = mpsc::channel();
        let (deleted, is_deleted) = mpsc::channel::<()>();
        let running = Event::user(base, move |_, _| {
            started.send(()).unwrap();
            // It would never come if the deletion waited for this callback.
            is_deleted.recv().unwrap();
        });
        let other = Event::interval(base, |_, _| panic!("deleted"));
        other.add_after(Duration::from_secs(3600)).unwrap();
        let remote = other.remote().unwrap();
        let thread = thread::spawn(move || {
            is_started.recv().unwrap();
            remote.del().unwrap();
            deleted.send(()).unwrap();
        });
        running.activate(Flags::NONE);
        assert_eq!(base.dispatch().unwrap(), LoopEnd::Dry);
        thread.join().unwrap();
    });
}

/// THR-8: a thousand posts while a callback runs cost one write to the notifier at most: the base is awake, and told once.
#[test]
#[cfg(target_os = "linux")]
fn burst_costs_one_write() {
    if writes().is_none() {
        return println!("skipped: this kernel does not count the writes of a thread");
    }
    for_each_backend(|base| {
        let (done, is_done) = mpsc::channel();
        let remote = base.remote();
        let runs = Arc::new(AtomicUsize::new(0));
        let counts = runs.clone();
        base.once_after(Duration::ZERO, move || {
            let poster = thread::spawn(move || {
                let before = writes().unwrap();
                for _ in 0..1000 {
                    let counts = counts.clone();
                    remote
                        .post(move |_| {
                            counts.fetch_add(1, Ordering::SeqCst);
                        })
                        .unwrap();
                }
                writes().unwrap() - before
            });
            // The callback lasts until all are posted.
            done.send(poster.join().unwrap()).unwrap();
        });
        look(base);
        look(base);
        assert_eq!(runs.load(Ordering::SeqCst), 1000);
        let writes = is_done.recv().unwrap();
        assert!(writes <= 1, "{writes} writes");
    });
}
