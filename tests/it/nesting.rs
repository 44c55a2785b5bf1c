//! `block_on` in `block_on`, panics, sockets that move between threads, and other people's executors.

use std::future::poll_fn;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::zip;
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use levent::net::{TcpListener, TcpStream};
use levent::reactor::{Base, Event, Flags, current};
use levent::{Async, LocalExecutor, Timer, block_on, sleep, spawn, timeout, yield_now};

use crate::support::Watchdog;
use crate::support::bytes::{piece, receive, send};
use crate::support::echo::{Count, connected, listener};

/// I/O and a timer of one level.
async fn work(level: u64) {
    let start = Instant::now();
    let (mut client, mut server) = connected().await.unwrap();
    let sending = async {
        send(&mut client, level, 10_000, 777).await.unwrap();
        sleep(Duration::from_millis(2)).await;
        client.close().await.unwrap();
    };
    let (received, ()) = zip(receive(&mut server, level, 4096), sending).await;
    assert_eq!(received.unwrap(), 10_000);
    assert!(start.elapsed() >= Duration::from_millis(2));
}

/// The runtime does all that it is for.
fn usable() {
    block_on(async {
        let tasks: Vec<_> = (0..10).map(|i| spawn(work(i))).collect();
        for task in tasks {
            task.await;
        }
        timeout(Duration::from_secs(5), sleep(Duration::from_millis(1)))
            .await
            .unwrap();
    });
}

/// Three levels, each with I/O and timers, and a task of the outermost that goes on ticking through all of them.
#[test]
fn block_on_nests_three_levels() {
    let _dog = Watchdog::new(20);
    let ticks = Count::default();
    block_on(async {
        let ticking = {
            let ticks = ticks.clone();
            spawn(async move {
                let mut interval = Timer::interval(Duration::from_millis(1));
                while interval.next().await.is_some() {
                    ticks.add();
                }
            })
        };
        let (mut client, mut server) = connected().await.unwrap();
        // Waits at the outermost level for what the innermost sends.
        let outer_read = spawn(async move {
            let mut bytes = [0; 3];
            server.read_exact(&mut bytes).await.unwrap();
            bytes
        });
        work(1).await;
        let two = spawn(async {
            block_on(async move {
                work(2).await;
                let before = ticks.get();
                let three = block_on(async {
                    work(3).await;
                    while ticks.get() < before + 3 {
                        sleep(Duration::from_millis(1)).await;
                    }
                    client.write_all(b"two").await.unwrap();
                    let nested = spawn(async {
                        work(4).await;
                        3
                    });
                    nested.await
                });
                work(5).await;
                three
            })
        });
        assert_eq!(two.await, 3);
        assert_eq!(&outer_read.await, b"two");
        work(6).await;
        drop::<levent::Task<()>>(ticking);
    });
    usable();
}

/// The two orders of `LocalExecutor` and `block_on`, nested, with I/O.
#[test]
fn executors_nest_in_each_other() {
    let _dog = Watchdog::new(20);
    let borrowed = String::from("borrowed");
    let outer = LocalExecutor::new();
    block_on(outer.run(async {
        let task = outer.spawn(async {
            let inner = LocalExecutor::new();
            block_on(inner.run(async {
                let task = inner.spawn(work(1));
                let len = inner.spawn(async { borrowed.len() });
                task.await;
                len.await
            }))
        });
        work(2).await;
        assert_eq!(task.await, 8);
    }));
    usable();
}

/// A task's panic reaches who awaits it, and nobody else.
#[test]
fn panic_in_a_task_leaves_the_runtime_usable() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let (mut client, mut server) = connected().await.unwrap();
        let panicking = spawn(async move {
            server.read_exact(&mut [0]).await.unwrap();
            let _server = server;
            panic!("on purpose, in a task");
        });
        yield_now().await;
        client.write_all(b"x").await.unwrap();
        let caught = catch_unwind(AssertUnwindSafe(|| block_on(panicking)));
        assert!(caught.is_err());
        // Unwinding has closed the server's side.
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        spawn(async { panic!("on purpose, in a detached task") }).detach();
        work(1).await;
    });
    usable();
}

/// A panic in what `block_on` itself drives, while tasks, timers and sockets wait.
#[test]
fn panic_in_block_on_leaves_the_runtime_usable() {
    let _dog = Watchdog::new(20);
    let survivor = spawn(work(1));
    let caught = catch_unwind(AssertUnwindSafe(|| {
        block_on(async {
            let (_client, mut server) = connected().await.unwrap();
            let _waiting = spawn(async move { server.read(&mut [0]).await });
            sleep(Duration::from_millis(1)).await;
            panic!("on purpose, in block_on");
        })
    }));
    assert!(caught.is_err());
    block_on(survivor);
    usable();
}

/// A callback's panic ends the dispatch, and the base goes on with the next one: nothing that was pending is lost.
#[test]
fn panic_in_a_callback_leaves_the_base_usable() {
    let _dog = Watchdog::new(20);
    let base = Base::new().unwrap();
    let (one, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    let (calls, after) = (Count::default(), Count::default());
    let event = {
        let calls = calls.clone();
        Event::new(&base, one, Flags::READ, move |_: &_, _, _: &Event| {
            calls.add();
            panic!("on purpose, in a callback");
        })
        .unwrap()
    };
    event.add().unwrap();
    let timer = {
        let after = after.clone();
        Event::timer(&base, move |_, _| after.add())
    };
    timer.add_after(Duration::from_millis(5)).unwrap();
    other.write_all(b"x").unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| base.dispatch())).is_err());
    assert_eq!((calls.get(), after.get()), (1, 0));
    base.dispatch().unwrap();
    assert_eq!(after.get(), 1, "the timer was lost");
    // The event itself may be added again.
    event.add().unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| base.dispatch())).is_err());
    assert_eq!(calls.get(), 2);
    usable();
}

/// A waker that panics, for a socket and for a timer: the others still wake, and the base goes on.
#[test]
fn panic_in_a_waker_leaves_the_base_usable() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("on purpose, in a waker");
        }
    }
    let _dog = Watchdog::new(20);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        block_on(async {
            let (one, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
            let one = Async::new(one).unwrap();
            let bad = Waker::from(Arc::new(Bad));
            let mut cx = Context::from_waker(&bad);
            assert!(one.poll_readable(&mut cx).is_pending());
            let mut timer = Timer::after(Duration::from_millis(2));
            assert!(std::pin::Pin::new(&mut timer).poll(&mut cx).is_pending());
            other.write_all(b"x").unwrap();
            sleep(Duration::from_millis(5)).await;
            work(1).await;
        });
    }));
    // Whether such a panic is swallowed or passed on is not the question here.
    drop(caught);
    usable();
}

/// Made in one thread, used first in a second, finished in a third; the threads before it are gone.
#[test]
fn moved_socket_works_where_it_goes() {
    let _dog = Watchdog::new(20);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = thread::spawn(move || block_on(TcpStream::connect(address)).unwrap())
        .join()
        .unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let first = thread::spawn(move || {
        let mut client = client;
        block_on(async {
            client.write_all(b"from the second").await.unwrap();
            let mut bytes = [0; 5];
            client.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, b"hello");
            client
        })
    });
    server.write_all(b"hello").unwrap();
    let client = first.join().unwrap();
    let last = thread::spawn(move || {
        let mut client = client;
        block_on(async move {
            // It waits here: nothing has come yet.
            let bytes = receive(&mut client, 1, 1000).await.unwrap();
            client.write_all(b"end").await.unwrap();
            bytes
        })
    });
    let mut words = [0; 15];
    std::io::Read::read_exact(&mut server, &mut words).unwrap();
    assert_eq!(&words, b"from the second");
    server.write_all(&piece(1, 0, 50_000)).unwrap();
    server.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(last.join().unwrap(), 50_000);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut server, &mut rest).unwrap();
    assert_eq!(rest, "end");
}

/// One socket used from two threads at once: the reader at home, the writer away.
#[test]
fn socket_shared_by_two_runtimes_carries_both_ways() {
    const TOTAL: u64 = 2 << 20;
    let _dog = Watchdog::new(20);
    block_on(async {
        let (client, server) = connected().await.unwrap();
        let away = {
            let (mut client, mut server) = (client.clone(), server.clone());
            thread::spawn(move || {
                block_on(async {
                    let sending = async {
                        send(&mut client, 1, TOTAL, 30_000).await.unwrap();
                        client.close().await.unwrap();
                    };
                    let answering = async {
                        send(&mut server, 2, TOTAL, 30_000).await.unwrap();
                        server.close().await.unwrap();
                    };
                    zip(sending, answering).await;
                });
            })
        };
        let (mut client, mut server) = (client, server);
        let (there, back) = zip(
            receive(&mut server, 1, 10_000),
            receive(&mut client, 2, 10_000),
        )
        .await;
        assert_eq!((there.unwrap(), back.unwrap()), (TOTAL, TOTAL));
        away.join().unwrap();
    });
}

/// A timer that is polled in one thread and finished in another still keeps its time.
#[test]
fn moved_timer_keeps_its_deadline() {
    let _dog = Watchdog::new(20);
    let deadline = Instant::now() + Duration::from_millis(50);
    let timer = thread::spawn(move || {
        let mut timer = Timer::at(deadline);
        block_on(async {
            assert!(futures_lite::future::poll_once(&mut timer).await.is_none());
        });
        timer
    })
    .join()
    .unwrap();
    assert_eq!(block_on(timer), deadline);
    assert!(Instant::now() >= deadline);
}

/// Ruling 7: under somebody else's `block_on` there is a background base, never a silent hang.
#[test]
fn foreign_block_on_is_served() {
    let _dog = Watchdog::new(20);
    let done = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                futures_lite::future::block_on(async {
                    assert!(!current::is_inside());
                    work(1).await;
                    let start = Instant::now();
                    sleep(Duration::from_millis(10)).await;
                    assert!(start.elapsed() >= Duration::from_millis(10));
                    timeout(
                        Duration::from_millis(5),
                        futures_lite::future::pending::<()>(),
                    )
                    .await
                    .unwrap_err();
                    done.fetch_add(1, Ordering::Relaxed);
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(done.load(Ordering::Relaxed), 3);
}

/// A foreign `block_on` in a task polls again as soon as it is woken, and never lets the task's poll end: its operations are many, and it
/// gets through them all the same.
#[test]
fn foreign_block_on_in_a_task_gets_through() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let (mut client, mut server) = connected().await.unwrap();
        sleep(Duration::from_millis(1)).await;
        futures_lite::future::block_on(async {
            for round in 0..1000u32 {
                let question = round.to_ne_bytes();
                client.write_all(&question).await.unwrap();
                let mut answer = [0; 4];
                server.read_exact(&mut answer).await.unwrap();
                assert_eq!(answer, question);
            }
        });
        work(1).await;
    });
}

/// A socket made under a foreign executor is finished under ours, and the other way round.
#[test]
fn socket_moves_between_executors() {
    let _dog = Watchdog::new(20);
    let (mut client, mut server) = futures_lite::future::block_on(connected()).unwrap();
    block_on(async {
        client.write_all(b"there").await.unwrap();
        let mut bytes = [0; 5];
        server.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"there");
    });
    futures_lite::future::block_on(async {
        let reading = async {
            let mut bytes = [0; 4];
            client.read_exact(&mut bytes).await.unwrap();
            bytes
        };
        let writing = async {
            // After the reader began to wait.
            futures_lite::future::yield_now().await;
            server.write_all(b"back").await.unwrap();
        };
        assert_eq!(&zip(reading, writing).await.0, b"back");
    });
}

/// A listener whose home thread has ended accepts in another.
#[test]
fn orphaned_listener_finds_a_new_home() {
    let _dog = Watchdog::new(20);
    let listener: TcpListener = thread::spawn(|| {
        let listener = listener();
        block_on(async {
            let waiting = futures_lite::future::poll_once(listener.accept()).await;
            assert!(waiting.is_none());
        });
        listener
    })
    .join()
    .unwrap();
    let address = listener.local_addr().unwrap();
    block_on(async {
        let (accepted, client) = zip(listener.accept(), TcpStream::connect(address)).await;
        assert_eq!(accepted.unwrap().1, client.unwrap().local_addr().unwrap());
    });
}

/// Tasks that were spawned wait for the next `block_on`, and go with the thread: their destructors run.
#[test]
fn thread_end_drops_its_tasks() {
    struct Guard(Arc<AtomicU64>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let _dog = Watchdog::new(20);
    let dropped = Arc::new(AtomicU64::new(0));
    let wakers = {
        let dropped = Arc::clone(&dropped);
        thread::spawn(move || {
            let (sender, wakers) = async_channel::unbounded();
            for i in 0..1_000 {
                let (guard, sender) = (Guard(Arc::clone(&dropped)), sender.clone());
                spawn(async move {
                    let _guard = guard;
                    if i % 2 == 0 {
                        let _ = poll_fn(|cx| {
                            let _ = sender.try_send(cx.waker().clone());
                            Poll::<()>::Pending
                        })
                        .await;
                    } else {
                        sleep(Duration::from_secs(3600)).await;
                    }
                })
                .detach();
            }
            block_on(async {
                for _ in 0..20 {
                    yield_now().await;
                }
            });
            wakers
        })
        .join()
        .unwrap()
    };
    assert_eq!(dropped.load(Ordering::SeqCst), 1_000);
    // The wakers live on, and wake nobody.
    while let Ok(waker) = wakers.try_recv() {
        waker.wake();
    }
    usable();
}

/// A read that waits, then finds its data without being woken, leaves its waker behind; the report that follows takes that old
/// waker. What it says must still reach the next read.
#[test]
fn news_taken_by_an_old_waker_is_not_lost() {
    use futures_lite::future::poll_once;
    let _dog = Watchdog::new(20);
    block_on(async {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut ours = levent::net::unix::UnixStream::try_from(ours).unwrap();
        let mut buffer = [0; 100];
        assert!(poll_once(ours.read(&mut buffer)).await.is_none());
        std::io::Write::write_all(&mut theirs, b"a").unwrap();
        assert_eq!(poll_once(ours.read(&mut buffer)).await.unwrap().unwrap(), 1);
        std::io::Write::write_all(&mut theirs, b"b").unwrap();
        // A turn in which the kernel reports both at once.
        levent::sleep(Duration::from_millis(5)).await;
        let start = std::time::Instant::now();
        let read = levent::timeout(Duration::from_secs(10), ours.read(&mut buffer)).await;
        assert_eq!(read.expect("the second byte is there").unwrap(), 1);
        // The timeout's own wake would have found it, too.
        assert!(start.elapsed() < Duration::from_secs(5));
    });
}

/// The same for a write: the buffer is full, then found with a little room, then empty.
#[test]
fn room_reported_to_an_old_waker_is_not_lost() {
    use futures_lite::future::poll_once;
    let _dog = Watchdog::new(20);
    block_on(async {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut ours = levent::net::unix::UnixStream::try_from(ours).unwrap();
        let data = vec![0; 1 << 20];
        let mut sink = vec![0; 1 << 16];
        while poll_once(ours.write(&data)).await.is_some() {}
        std::io::Read::read(&mut theirs, &mut sink).unwrap();
        drop(poll_once(ours.write(&data)).await);
        theirs.set_nonblocking(true).unwrap();
        while std::io::Read::read(&mut theirs, &mut sink).is_ok() {}
        levent::sleep(Duration::from_millis(5)).await;
        let start = std::time::Instant::now();
        let written = levent::timeout(Duration::from_secs(10), ours.write(&data)).await;
        assert!(written.expect("there is room").unwrap() > 0);
        assert!(start.elapsed() < Duration::from_secs(5));
    });
}

/// The destructor of a thread-local may still wait for something, though the thread's own base is gone by then.
#[test]
fn block_on_works_while_a_thread_ends() {
    struct Waits(std::sync::mpsc::Sender<()>);
    impl Drop for Waits {
        fn drop(&mut self) {
            block_on(sleep(Duration::from_millis(1)));
            self.0.send(()).unwrap();
        }
    }
    thread_local! {
        static WAITS: std::cell::RefCell<Option<Waits>> = const { std::cell::RefCell::new(None) };
    }
    let _dog = Watchdog::new(20);
    let (sender, ended) = std::sync::mpsc::channel();
    thread::spawn(move || {
        // Made before the thread's base, so dropped after it.
        WAITS.set(Some(Waits(sender)));
        block_on(sleep(Duration::from_millis(1)));
    })
    .join()
    .unwrap();
    ended.recv().unwrap();
}
