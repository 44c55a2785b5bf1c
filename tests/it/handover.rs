//! Waits whose loop ends, moves or is another one than the poller's: none of them hangs.

use std::future::Future;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream as Pair;
use std::panic::catch_unwind;
use std::pin::pin;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt, future};
use levent::net::unix::UnixStream;
use levent::reactor::{Base, Wait, current};
use levent::{Async, LocalExecutor, block_on, sleep, spawn, timeout, yield_now};

use crate::support::Watchdog;
use crate::support::special::{send_urgent_byte, send_with_descriptor, waker_that_clones_by};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn pair() -> (UnixStream, Pair) {
    let (ours, theirs) = Pair::pair().unwrap();
    (UnixStream::try_from(ours).unwrap(), theirs)
}

/// A thread waits at another thread's base, and that thread leaves its loop for good: the waiter is told, and waits at home.
#[test]
fn waiter_outlives_the_loop_that_it_waited_at() {
    let _dog = Watchdog::new(20);
    let (ours, mut theirs) = Pair::pair().unwrap();
    let shared = Arc::new(Async::new(ours).unwrap());
    let (armed, is_armed) = async_channel::bounded::<()>(1);
    let (go, may_go) = channel();
    let other = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            may_go.recv().unwrap();
            block_on(async {
                let mut readable = pin!(shared.readable());
                assert!(poll_once(&mut readable).await.is_none());
                // Once more: it may have been woken by taking the source over. Now it waits there.
                yield_now().await;
                assert!(poll_once(&mut readable).await.is_none());
                armed.send(()).await.unwrap();
                readable.await.unwrap();
            });
        })
    };
    block_on(async {
        let first = pin!(shared.readable());
        let first = async {
            first.await.unwrap();
            unreachable!("nothing was sent yet")
        };
        let armed = async {
            go.send(()).unwrap();
            is_armed.recv().await.unwrap();
        };
        armed.or(first).await;
        // A turn, in which what was posted is read.
        sleep(ms(1)).await;
    });
    // This thread is in no loop any more.
    theirs.write_all(b"x").unwrap();
    other.join().unwrap();
}

/// A task of another executor is polled on a thread that then leaves its loop; the task is run elsewhere.
#[test]
fn task_outlives_the_loop_that_it_was_polled_in() {
    let _dog = Watchdog::new(20);
    let (mut ours, mut theirs) = pair();
    let mut read = Box::pin(async move {
        let mut byte = [0];
        ours.read(&mut byte).await.unwrap()
    });
    // As a pool does it: the waker belongs to the task and not to the thread.
    let (woken, is_woken) = channel();
    let waker = Waker::from(Arc::new(Sends(Mutex::new(woken))));
    let (end, may_end) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| {
            block_on(async {
                sleep(ms(1)).await;
                let poll = read.as_mut().poll(&mut Context::from_waker(&waker));
                assert!(poll.is_pending());
            });
            // The thread lives on, and so does its base.
            let may_end = may_end;
            let _ = may_end.recv();
        });
        is_woken.recv().expect("told that the loop is left");
        drop(end);
    });
    theirs.write_all(b"x").unwrap();
    assert_eq!(block_on(read), 1);
}

struct Sends(Mutex<std::sync::mpsc::Sender<()>>);

impl Wake for Sends {
    fn wake(self: Arc<Self>) {
        let _ = self.0.lock().unwrap().send(());
    }
}

/// A read that was given up binds a stream to no thread: where it goes it is served, though the first thread does other things.
#[test]
fn cancelled_read_does_not_bind_a_stream() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let (mut ours, mut theirs) = pair();
        let mut byte = [0];
        assert!(timeout(ms(2), ours.read(&mut byte)).await.is_err());
        let (go, may_go) = channel();
        let writer = thread::spawn(move || {
            may_go.recv().unwrap();
            theirs.write_all(b"x").unwrap();
            theirs
        });
        let other = thread::spawn(move || {
            block_on(async {
                let mut byte = [0];
                // The read is polled first, and again only if it is woken.
                let (read, ()) = future::zip(ours.read(&mut byte), async {
                    go.send(()).unwrap();
                })
                .await;
                drop(writer.join());
                read.unwrap()
            })
        });
        // Not a turn is run here meanwhile.
        assert_eq!(other.join().unwrap(), 1);
    });
}

/// Three threads wait for one socket at the same time, and each packet reaches one of them.
#[test]
fn three_threads_share_a_socket() {
    const PACKETS: u64 = 20_000;
    let _dog = Watchdog::new(60);
    let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let ours = Arc::new(Async::new(ours).unwrap());
    let readers: Vec<_> = (0..3)
        .map(|reader| {
            let ours = Arc::clone(&ours);
            thread::spawn(move || {
                let read = async {
                    let mut count = 0;
                    let mut packet = [0; 8];
                    // An empty packet is the end.
                    while ours.recv(&mut packet).await.unwrap() > 0 {
                        count += 1;
                        if count % 7 == 0 {
                            drop(poll_once(ours.readable()).await);
                        }
                    }
                    count
                };
                // The last one waits outside our loops.
                if reader == 2 {
                    future::block_on(read)
                } else {
                    block_on(read)
                }
            })
        })
        .collect();
    for _ in 0..PACKETS {
        theirs.send(b"x").unwrap();
    }
    for _ in &readers {
        theirs.send(b"").unwrap();
    }
    let counts: u64 = readers
        .into_iter()
        .map(|reader| reader.join().unwrap())
        .sum();
    assert_eq!(counts, PACKETS);
}

/// Law 1: what a prepare watcher makes runnable is run before the thread sleeps.
#[test]
fn task_woken_in_a_prepare_watcher_runs() {
    let _dog = Watchdog::new(20);
    let (sender, receiver) = async_channel::bounded(1);
    let base = current::base().unwrap();
    let _watcher = base.on_prepare(move |_, info| {
        if info.wait.is_none() {
            let _ = sender.try_send(());
        }
    });
    block_on(receiver.recv()).unwrap();
}

/// `block_on` where a loop over another base was entered inside a `block_on`: it drives the thread's base all the same.
#[test]
fn block_on_inside_a_loop_over_another_base() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let beside = spawn(sleep(ms(3)));
        sleep(ms(1)).await;
        let other = Base::new().unwrap();
        let entered = other.enter().unwrap();
        block_on(async {
            let (mut ours, mut theirs) = pair();
            theirs.write_all(b"x").unwrap();
            sleep(ms(1)).await;
            assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 1);
        });
        drop(entered);
        // The outer loop has its engine back.
        beside.await;
        sleep(ms(1)).await;
    });
}

/// A loop that was entered and is not left would keep the one around it from its waits: that is said, rather than hung on.
#[test]
fn loop_left_open_across_an_await_is_refused() {
    let _dog = Watchdog::new(20);
    let panic = catch_unwind(|| {
        block_on(async {
            sleep(ms(1)).await;
            let other = Base::new().unwrap();
            let entered = other.enter().unwrap();
            sleep(ms(1)).await;
            drop(entered);
        })
    })
    .unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("innermost"), "{message}");
    block_on(sleep(ms(1)));
}

/// Loops may be left in any order; what is innermost then is what was entered last of those that are left.
#[test]
fn loops_are_left_in_any_order() {
    let _dog = Watchdog::new(20);
    let bases: Vec<_> = (0..3).map(|_| Base::new().unwrap()).collect();
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut entered: Vec<_> = bases.iter().map(|base| base.enter().ok()).collect();
        for leave in order {
            entered[leave] = None;
            let innermost = entered.iter().flatten().next_back();
            assert_eq!(current::is_inside(), innermost.is_some());
            if let Some(innermost) = innermost {
                // An alarm waits in the innermost loop, so that one's turns end it.
                let mut nap = pin!(sleep(ms(1)));
                let mut cx = Context::from_waker(Waker::noop());
                while nap.as_mut().poll(&mut cx).is_pending() {
                    innermost.turn(Wait::Block).unwrap();
                }
            }
        }
        block_on(sleep(ms(1)));
    }
}

/// A task that waits at a base whose loop is left, on the same thread, is woken to wait where it is run next.
#[test]
fn task_parked_in_an_inner_base_is_woken() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let other = Base::new().unwrap();
        let (mut ours, mut theirs) = pair();
        let executor = LocalExecutor::new();
        let task = executor.spawn(async move { ours.read(&mut [0; 8]).await.unwrap() });
        let nap = executor.spawn(sleep(ms(1)));
        {
            let entered = other.enter().unwrap();
            while executor.try_tick() {}
            entered.turn(Wait::Poll).unwrap();
        }
        theirs.write_all(b"x").unwrap();
        let both = future::zip(task, nap);
        assert_eq!(executor.run(both).await.0, 1);
        drop(other);
    });
}

/// A waker whose clone, wake and drop come back to the reactor from wherever it is kept.
struct Meddles {
    /// Released when the waker is dropped.
    source: Mutex<Option<Async<Pair>>>,
}

impl Wake for Meddles {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Meddles {
    fn drop(&mut self) {
        let source = self.source.get_mut().unwrap().take();
        drop(source);
    }
}

/// A waker may own a source, and be the last thing that does, wherever it is dropped: under no lock of ours.
#[test]
fn waker_that_owns_a_source_is_dropped_safely() {
    let _dog = Watchdog::new(20);
    let parked = |inside: bool| {
        let (ours, _theirs) = Pair::pair().unwrap();
        let (owned, _others) = Pair::pair().unwrap();
        let ours = Async::new(ours).unwrap();
        let waker = Waker::from(Arc::new(Meddles {
            source: Mutex::new(Some(Async::new(owned).unwrap())),
        }));
        let poll = || {
            assert!(
                ours.poll_readable(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        };
        if inside {
            block_on(async {
                poll();
                sleep(ms(1)).await;
            });
        } else {
            poll();
        }
        drop(waker);
        ours
    };
    // At a base at rest, at one that runs, and at the background base; dropped here and elsewhere.
    drop(parked(true));
    drop(parked(false));
    let ours = parked(true);
    thread::spawn(move || drop(ours)).join().unwrap();
    let ours = block_on(async {
        let ours = parked(false);
        sleep(ms(1)).await;
        ours
    });
    thread::spawn(move || block_on(async { drop(ours) }))
        .join()
        .unwrap();
    block_on(sleep(ms(1)));
}

/// A waker whose clone polls a source, at home and from away: `clone` is foreign code, too.
#[test]
fn waker_whose_clone_polls_deadlocks_nobody() {
    let _dog = Watchdog::new(20);
    let (ours, mut theirs) = Pair::pair().unwrap();
    let (second, _theirs) = Pair::pair().unwrap();
    let (ours, second) = (Async::new(ours).unwrap(), Async::new(second).unwrap());
    let waker = waker_that_clones_by(move || {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(second.poll_readable(&mut cx).is_pending());
    });
    let mut cx = Context::from_waker(&waker);
    // Outside all loops, inside one, and again outside.
    assert!(ours.poll_readable(&mut cx).is_pending());
    block_on(async {
        assert!(ours.poll_readable(&mut cx).is_pending());
        sleep(ms(1)).await;
        assert!(ours.poll_readable(&mut cx).is_pending());
    });
    assert!(ours.poll_readable(&mut cx).is_pending());
    theirs.write_all(b"x").unwrap();
    block_on(ours.readable()).unwrap();
}

/// A read that races with a channel, as in a chat server: whichever wins, the other's waker stays behind, and nothing is lost.
#[test]
fn reads_that_lose_races_lose_nothing() {
    const ROUNDS: u32 = 3_000;
    let _dog = Watchdog::new(60);
    let (mut ours, mut theirs) = pair();
    let (sender, receiver) = async_channel::unbounded::<()>();
    let peer = thread::spawn(move || {
        theirs
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut echo = [0];
        for round in 0..ROUNDS {
            let _ = sender.send_blocking(());
            theirs.write_all(b"a").unwrap();
            for _ in 0..(round % 200) * 10 {
                std::hint::spin_loop();
            }
            theirs.write_all(b"b").unwrap();
            for _ in 0..2 {
                let read = theirs.read_exact(&mut echo);
                assert!(read.is_ok(), "round {round}: {read:?}");
            }
        }
    });
    block_on(async {
        let mut buffer = [0; 64];
        loop {
            let read = async { Some(ours.read(&mut buffer).await.unwrap()) };
            let told = async {
                if receiver.recv().await.is_err() {
                    future::pending::<()>().await;
                }
                None
            };
            match read.or(told).await {
                Some(0) => break,
                None => yield_now().await,
                Some(n) => {
                    sleep(Duration::from_micros(20)).await;
                    ours.write_all(&buffer[..n]).await.unwrap();
                }
            }
        }
    });
    peer.join().unwrap();
}

/// A read of a Unix stream ends where a descriptor was sent, though more is there: a short read does not mean that it is empty.
#[test]
fn read_that_ends_at_a_descriptor_is_followed_by_the_rest() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let (mut ours, mut theirs) = pair();
        let mut buffer = [0; 100];
        let reads = async {
            let first = ours.read(&mut buffer).await.unwrap();
            (first, ours.read(&mut buffer).await.unwrap())
        };
        let sends = async {
            yield_now().await;
            send_with_descriptor(&theirs, b"abc");
            theirs.write_all(b"defg").unwrap();
        };
        let start = Instant::now();
        let (reads, ()) = timeout(Duration::from_secs(10), future::zip(reads, sends))
            .await
            .unwrap();
        assert_eq!(reads, (3, 4));
        assert!(start.elapsed() < Duration::from_secs(5));
    });
}

/// A read of a TCP stream ends before an urgent byte, though more is there.
#[test]
fn read_that_ends_at_an_urgent_byte_is_followed_by_the_rest() {
    let _dog = Watchdog::new(20);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut theirs = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut ours = levent::net::TcpStream::try_from(listener.accept().unwrap().0).unwrap();
    block_on(async {
        let mut buffer = [0; 100];
        let reads = async {
            let first = ours.read(&mut buffer).await.unwrap();
            (first, ours.read(&mut buffer).await.unwrap())
        };
        let sends = async {
            yield_now().await;
            theirs.write_all(b"abc").unwrap();
            send_urgent_byte(&theirs);
            theirs.write_all(b"defg").unwrap();
        };
        let start = Instant::now();
        let (reads, ()) = timeout(Duration::from_secs(10), future::zip(reads, sends))
            .await
            .unwrap();
        assert_eq!(reads, (3, 4));
        assert!(start.elapsed() < Duration::from_secs(5));
    });
}
