//! Many of everything: connections, timers, signals, wakes.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use levent::net::TcpStream;
use levent::reactor::net::raise_descriptor_limit;
use levent::{Signals, Timer, block_on, sleep, spawn, yield_now};

use crate::support::bytes::piece;
use crate::support::echo::{connected, serve_while};
use crate::support::process::{descriptors, kill, reset_on_close};
use crate::support::{Watchdog, in_child};

/// 5,000 connections are open at once; each makes 20 round trips, and every byte is compared. The clients are tasks of a second
/// runtime in another thread.
#[test]
fn five_thousand_connections_make_twenty_round_trips_each() {
    if !in_child("load::five_thousand_connections_make_twenty_round_trips_each") {
        return;
    }
    const CONNECTIONS: u64 = 5_000;
    const ROUNDS: u64 = 20;
    const LEN: usize = 64;
    let dog = Watchdog::new(30);
    if raise_descriptor_limit().unwrap() < 2 * CONNECTIONS + 100 {
        eprintln!("note: skipped, the hard limit of descriptors is too low");
        return;
    }
    let before = descriptors();
    let start = Instant::now();
    serve_while(move |address, served| {
        block_on(async {
            let mut streams = Vec::new();
            for id in 0..CONNECTIONS {
                dog.note("connecting", id);
                streams.push(TcpStream::connect(address).await.unwrap());
            }
            let clients: Vec<_> = (0..)
                .zip(streams)
                .map(|(id, mut stream)| {
                    spawn(async move {
                        for round in 0..ROUNDS {
                            let sent = piece(id, round * LEN as u64, LEN);
                            stream.write_all(&sent).await.unwrap();
                            let mut answer = [0; LEN];
                            stream.read_exact(&mut answer).await.unwrap();
                            assert_eq!(answer[..], sent, "connection {id}, round {round}");
                        }
                        stream
                    })
                })
                .collect();
            let mut open = Vec::new();
            for (id, client) in clients.into_iter().enumerate() {
                dog.note("done", id);
                open.push(client.await);
            }
            assert_eq!(served.accepted.load(Ordering::Relaxed), CONNECTIONS);
            assert_eq!(served.closed.load(Ordering::Relaxed), 0);
            assert_eq!(
                served.bytes.load(Ordering::Relaxed),
                CONNECTIONS * ROUNDS * LEN as u64
            );
            drop(open);
            while served.closed.load(Ordering::Relaxed) < CONNECTIONS {
                sleep(Duration::from_millis(1)).await;
            }
        });
    });
    // Each thread's base keeps what it needs itself (the client's went with its thread); every connection is closed.
    let after = descriptors();
    assert!(
        after <= before + 4,
        "{before} descriptors before, {after} after"
    );
    eprintln!(
        "note: 5,000 connections, 20 round trips each: {:?}",
        start.elapsed()
    );
}

/// 100,000 connections one after the other: none is lost, and the number of open descriptors stays where it was.
#[test]
fn hundred_thousand_connections_leave_nothing() {
    if !in_child("load::hundred_thousand_connections_leave_nothing") {
        return;
    }
    const TIMES: u64 = 100_000;
    /// How far the client may run ahead; the queue of the listener is longer.
    const AHEAD: u64 = 256;
    let dog = Watchdog::new(30);
    let start = Instant::now();
    serve_while(move |address, served| {
        let before = descriptors();
        for i in 0..TIMES {
            let client = StdStream::connect(address).unwrap();
            // Nothing of it stays in TIME_WAIT: there are not that many ports.
            reset_on_close(&client);
            drop(client);
            while served.closed.load(Ordering::Relaxed) + AHEAD < i {
                thread::yield_now();
            }
            if i % 10_000 == 0 {
                dog.note("connections", i);
                let open = descriptors();
                assert!(
                    open <= before + AHEAD as usize + 8,
                    "{open} descriptors after {i} connections, {before} at the start"
                );
            }
        }
        while served.closed.load(Ordering::Relaxed) < TIMES {
            dog.note("closed", served.closed.load(Ordering::Relaxed));
            thread::yield_now();
        }
        assert_eq!(served.accepted.load(Ordering::Relaxed), TIMES);
        assert_eq!(descriptors(), before);
    });
    eprintln!("note: 100,000 connections: {:?}", start.elapsed());
}

/// 10,000 timers with random durations, beside tasks that never rest. Each looks at the clock when it rings.
#[test]
fn ten_thousand_timers_are_never_early_under_load() {
    let dog = Watchdog::new(30);
    block_on(async {
        let running = Arc::new(AtomicBool::new(true));
        let hogs: Vec<_> = (0..10)
            .map(|_| {
                let running = Arc::clone(&running);
                spawn(async move {
                    while running.load(Ordering::Relaxed) {
                        yield_now().await;
                    }
                })
            })
            .collect();
        let mut random = 0x2545_F491_4F6C_DD1D_u64;
        let timers: Vec<_> = (0..10_000)
            .map(|_| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let duration = Duration::from_nanos(random % 500_000_000);
                spawn(async move {
                    let start = Instant::now();
                    sleep(duration).await;
                    let took = start.elapsed();
                    assert!(took >= duration, "{took:?} instead of {duration:?}");
                })
            })
            .collect();
        for (i, timer) in timers.into_iter().enumerate() {
            dog.note("timer", i);
            timer.await;
        }
        running.store(false, Ordering::Relaxed);
        for hog in hogs {
            hog.await;
        }
    });
}

/// 1,000 signals while four connections echo: one by one, none is lost; in a burst, the kernel may merge an ordinary signal but
/// never a real-time one. No echo is disturbed.
#[test]
fn signals_during_load_are_counted() {
    if !in_child("load::signals_during_load_are_counted") {
        return;
    }
    let dog = Watchdog::new(30);
    let queued = libc::SIGRTMIN() + 3;
    let (one_by_one, merged, counted) = (
        Arc::<AtomicU64>::default(),
        Arc::<AtomicU64>::default(),
        Arc::<AtomicU64>::default(),
    );
    // Before any thread sends one.
    let signals = Signals::new([libc::SIGUSR1, libc::SIGUSR2, queued]).unwrap();
    let counters = [one_by_one.clone(), merged.clone(), counted.clone()];
    let _counting = spawn(async move {
        let mut signals = signals;
        while let Some(signal) = signals.next().await {
            let counter = match signal {
                libc::SIGUSR1 => 0,
                libc::SIGUSR2 => 1,
                other => {
                    assert_eq!(other, queued);
                    2
                }
            };
            counters[counter].fetch_add(1, Ordering::SeqCst);
        }
    });
    serve_while(move |address, _| {
        let running = Arc::new(AtomicBool::new(true));
        let echoes: Vec<_> = (0..4)
            .map(|id| {
                let running = Arc::clone(&running);
                thread::spawn(move || {
                    let mut stream = StdStream::connect(address).unwrap();
                    let mut rounds = 0;
                    while running.load(Ordering::Relaxed) {
                        let sent = piece(id, rounds, 500);
                        stream.write_all(&sent).unwrap();
                        let mut answer = [0; 500];
                        stream.read_exact(&mut answer).unwrap();
                        assert_eq!(answer[..], sent);
                        rounds += 1;
                    }
                    rounds
                })
            })
            .collect();
        let pid = std::process::id();
        for i in 1..=1_000 {
            dog.note("one by one", i);
            kill(pid, libc::SIGUSR1);
            while one_by_one.load(Ordering::SeqCst) < i {
                thread::yield_now();
            }
        }
        for _ in 0..1_000 {
            kill(pid, libc::SIGUSR2);
            kill(pid, queued);
        }
        while counted.load(Ordering::SeqCst) < 1_000 {
            dog.note("real-time signals", counted.load(Ordering::SeqCst));
            thread::yield_now();
        }
        // The last of the burst was sent before; it is somewhere in the count.
        while merged.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        running.store(false, Ordering::Relaxed);
        for echo in echoes {
            assert!(echo.join().unwrap() > 0);
        }
        assert_eq!(one_by_one.load(Ordering::SeqCst), 1_000);
        assert_eq!(counted.load(Ordering::SeqCst), 1_000);
        assert!(merged.load(Ordering::SeqCst) <= 1_000);
    });
}

/// Two runtimes in two threads, each a server to the other's clients, and each with timers of its own.
#[test]
fn two_runtimes_serve_each_other() {
    let _dog = Watchdog::new(30);
    let (left, right) = (async_channel::bounded(1), async_channel::bounded(1));
    let run = |mine: async_channel::Sender<_>, theirs: async_channel::Receiver<_>, seed: u64| {
        thread::spawn(move || {
            block_on(async {
                let listener = crate::support::echo::listener();
                mine.send(listener.local_addr().unwrap()).await.unwrap();
                let server = spawn(crate::support::echo::serve(listener, Arc::default()));
                let address = theirs.recv().await.unwrap();
                let clients: Vec<_> = (0..20)
                    .map(|id| {
                        spawn(async move {
                            let mut stream = TcpStream::connect(address).await.unwrap();
                            for round in 0..50 {
                                let sent = piece(seed + id, round, 200);
                                stream.write_all(&sent).await.unwrap();
                                let mut answer = [0; 200];
                                stream.read_exact(&mut answer).await.unwrap();
                                assert_eq!(answer[..], sent);
                                if round % 10 == 0 {
                                    sleep(Duration::from_micros(500)).await;
                                }
                            }
                        })
                    })
                    .collect();
                for client in clients {
                    client.await;
                }
                // The other side may still need this server.
                mine.close();
                while !theirs.is_closed() {
                    sleep(Duration::from_millis(1)).await;
                }
                server.cancel().await;
            });
        })
    };
    let one = run(left.0, right.1, 100);
    let two = run(right.0, left.1, 200);
    one.join().unwrap();
    two.join().unwrap();
}

/// Four threads wake four tasks, 300,000 times each, while the loop sleeps and wakes: after the last wake of each, its task is
/// polled. A lost wake is a hang.
#[test]
fn million_foreign_wakes_lose_none() {
    const WAKES: u64 = 300_000;
    let dog = Watchdog::new(30);
    block_on(async {
        let (sender, wakers) = async_channel::unbounded::<(Waker, Arc<AtomicU64>)>();
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let sender = sender.clone();
                spawn(async move {
                    let value = Arc::new(AtomicU64::new(0));
                    let (mut polls, mut told) = (0u64, false);
                    poll_fn(|cx| {
                        polls += 1;
                        if !told {
                            told = true;
                            let waker = (cx.waker().clone(), Arc::clone(&value));
                            sender.try_send(waker).unwrap();
                        }
                        if value.load(Ordering::Acquire) == WAKES {
                            Poll::Ready(())
                        } else {
                            Poll::Pending
                        }
                    })
                    .await;
                    polls
                })
            })
            .collect();
        let mut threads = Vec::new();
        for _ in 0..4 {
            let (waker, value) = wakers.recv().await.unwrap();
            threads.push(thread::spawn(move || {
                for i in 1..=WAKES {
                    value.store(i, Ordering::Release);
                    // Both kinds; and now and then long enough for the loop to fall asleep in between.
                    if i % 3 == 0 {
                        let owned = waker.clone();
                        owned.wake();
                    } else {
                        waker.wake_by_ref();
                    }
                    if i % 5_000 == 0 {
                        thread::sleep(Duration::from_micros(100));
                    }
                }
            }));
        }
        for (i, task) in tasks.into_iter().enumerate() {
            dog.note("waiting for task", i);
            let polls = task.await;
            assert!(polls > 1, "never polled after the first time");
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Wakes that race with the task's end: 20,000 tasks, each woken by another thread while it finishes. None hangs.
#[test]
fn foreign_wakes_race_with_completion() {
    let dog = Watchdog::new(30);
    let (sender, wakers) = async_channel::unbounded::<(Waker, Arc<AtomicBool>)>();
    let waking = thread::spawn(move || {
        while let Ok((waker, flag)) = wakers.recv_blocking() {
            waker.wake_by_ref();
            flag.store(true, Ordering::Release);
            waker.wake_by_ref();
            waker.wake();
        }
    });
    block_on(async {
        for i in 0..20_000 {
            dog.note("task", i);
            let sender = sender.clone();
            let flag = Arc::new(AtomicBool::new(false));
            let mut told = false;
            spawn(poll_fn(move |cx| {
                if !told {
                    told = true;
                    let waker = (cx.waker().clone(), Arc::clone(&flag));
                    sender.try_send(waker).unwrap();
                }
                if flag.load(Ordering::Acquire) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }))
            .await;
        }
        drop(sender);
    });
    waking.join().unwrap();
}

/// Promise 6: a task that makes timers without end, each of them due at once, is one of those hogs.
#[test]
fn zero_timers_set_anew_do_not_starve_a_heartbeat() {
    let _dog = Watchdog::new(30);
    let run = |set_anew: bool| {
        let start = Instant::now();
        block_on(async {
            let hog = spawn(async move {
                let mut timer = Timer::never();
                // Bounded, so that the failure is one of this test alone.
                while start.elapsed() < Duration::from_secs(2) {
                    if set_anew {
                        timer.set_after(Duration::ZERO);
                        (&mut timer).await;
                    } else {
                        sleep(Duration::ZERO).await;
                    }
                }
            });
            sleep(Duration::from_millis(5)).await;
            drop(hog);
        });
        start.elapsed()
    };
    let (made, set) = (run(false), run(true));
    let bound = Duration::from_secs(1);
    assert!(
        made < bound && set < bound,
        "made anew: {made:?}, set anew: {set:?}"
    );
}

/// Promise 6: a task that is always ready, a socket that always has data, and 10,000 ready tasks do not hold up a heartbeat.
#[test]
fn hogs_do_not_starve_a_heartbeat() {
    let dog = Watchdog::new(30);
    block_on(async {
        let (client, mut server) = connected().await.unwrap();
        let hogs = [
            spawn(async {
                loop {
                    yield_now().await;
                }
            }),
            spawn(async move {
                let (_client, bytes) = (client.clone(), vec![0; 64 * 1024]);
                let mut client = client;
                loop {
                    client.write_all(&bytes).await.unwrap();
                }
            }),
            spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                loop {
                    server.read_exact(&mut buffer).await.unwrap();
                }
            }),
            spawn(async {
                let mut zero = Timer::interval(Duration::ZERO);
                while zero.next().await.is_some() {}
            }),
        ];
        let crowd: Vec<_> = (0..1_000)
            .map(|_| {
                spawn(async {
                    for _ in 0..20 {
                        yield_now().await;
                    }
                })
            })
            .collect();
        let mut best = Duration::MAX;
        for beat in 0..50 {
            dog.note("beat", beat);
            let due = Instant::now() + Duration::from_millis(5);
            levent::sleep_until(due).await;
            let late = Instant::now().checked_duration_since(due);
            best = best.min(late.expect("never early"));
        }
        assert!(best < Duration::from_millis(20), "at best {best:?} late");
        drop((hogs, crowd));
    });
}
