//! Allocations: none per request, and little per idle connection.
#![allow(unsafe_code, reason = "a counting allocator is an `unsafe impl`")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_lite::future::poll_once;
use levent::net::TcpStream;
use levent::{Buffer, block_on, spawn, yield_now};

use crate::support::echo::{Served, echo, echo_buffered, listener, serve};
use crate::support::{Watchdog, in_child};

/// The system's allocator, which counts what each thread asks for.
struct Counting;

thread_local! {
    /// Calls that may return new memory, of this thread.
    static CALLS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread has allocated, less those that it has freed.
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A thread that ends has no counters any more, and needs none.
fn count(calls: u64, bytes: i64) {
    let _ = CALLS.try_with(|all| all.set(all.get() + calls));
    let _ = LIVE.try_with(|all| all.set(all.get() + bytes));
}

// SAFETY: every call goes to the system's allocator with the arguments unchanged; counting allocates nothing (constant
// thread-locals of plain integers, which have no destructor).
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller's promises are those that the call asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: as above; the memory came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// After a warm-up, 2,000 requests over 16 connections allocate nothing in the server's thread.
///
/// In the warm-up many are ready in one turn: lists that grow to the largest batch have grown then.
#[test]
fn steady_state_allocates_nothing() {
    const CONNECTIONS: usize = 16;
    if !in_child("memory::steady_state_allocates_nothing") {
        return;
    }
    let _dog = Watchdog::new(20);
    block_on(async {
        let listener = listener();
        let address = listener.local_addr().unwrap();
        let (written, all_written) = async_channel::bounded::<()>(1);
        let (go, going) = async_channel::bounded::<()>(1);
        let (done, ended) = async_channel::bounded::<()>(1);
        let client = std::thread::spawn(move || {
            let mut streams: Vec<_> = (0..CONNECTIONS)
                .map(|_| StdStream::connect(address).unwrap())
                .collect();
            let ask = |stream: &mut StdStream| stream.write_all(&[7; 64]).unwrap();
            let hear = |stream: &mut StdStream| {
                let mut answer = [0; 64];
                stream.read_exact(&mut answer).unwrap();
                assert_eq!(answer, [7; 64]);
            };
            for _ in 0..5 {
                streams.iter_mut().for_each(ask);
                written.send_blocking(()).unwrap();
                streams.iter_mut().for_each(hear);
            }
            going.recv_blocking().unwrap();
            for i in 0..2_000 {
                ask(&mut streams[i % CONNECTIONS]);
                hear(&mut streams[i % CONNECTIONS]);
            }
            drop(done);
            // Open until the count is read: their ends would be requests of another kind.
            streams
        });
        let served = Arc::<Served>::default();
        let server = spawn(serve(listener, Arc::clone(&served)));
        for round in 1..=5 {
            // Blocks the loop on purpose, while requests gather.
            all_written.recv_blocking().unwrap();
            while served.bytes.load(Ordering::Relaxed) < (round * 64 * CONNECTIONS) as u64 {
                yield_now().await;
            }
        }
        // The wait for the end is set up before the counting begins.
        let waiting = spawn(async move {
            let _ = ended.recv().await;
            CALLS.get()
        });
        for _ in 0..10 {
            yield_now().await;
        }
        go.send(()).await.unwrap();
        let before = CALLS.get();
        let after = waiting.await;
        assert_eq!(after - before, 0, "allocations in 2,000 requests");
        drop(client.join().unwrap());
        drop(server);
    });
}

/// 1,000 idle connections of the echo server's task: at most 768 bytes each beyond the buffer that the task itself asks for.
#[test]
fn idle_connection_costs_little_beyond_its_buffer() {
    const BUFFER: i64 = 16 * 1024;
    if !in_child("memory::idle_connection_costs_little_beyond_its_buffer") {
        return;
    }
    idle_connections(BUFFER, 768, |stream, served| {
        spawn(async move {
            let _ = echo(stream, &served).await;
        })
        .detach();
    });
}

/// The same on buffered streams, which hold no buffer while they are idle: at most 640 bytes, the task included. Backends that tell the kernel all
/// descriptors at each wait have a list of them besides.
#[test]
fn idle_buffered_stream_costs_little() {
    if !in_child("memory::idle_buffered_stream_costs_little") {
        return;
    }
    let method = levent::reactor::current::base().unwrap().method();
    let most = if method.name() == "epoll" { 640 } else { 704 };
    idle_connections(0, most, |stream, served| {
        spawn(echo_buffered(stream, served)).detach();
    });
}

/// What an idle connection keeps beyond `own` bytes of its task's choice is `most` at most, and little when it is closed.
fn idle_connections(own: i64, most: i64, serve: impl Fn(TcpStream, Arc<Served>)) {
    const CONNECTIONS: i64 = 1_000;
    let _dog = Watchdog::new(20);
    levent::reactor::net::raise_descriptor_limit().unwrap();
    block_on(async {
        let listener = listener();
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::with_capacity(CONNECTIONS as usize);
        for _ in 0..CONNECTIONS {
            clients.push(StdStream::connect(address).unwrap());
        }
        let served = Arc::new(Served::default());
        // The store of free blocks, which all connections of a thread share, is filled before.
        let warm = Buffer::from(vec![1; 20_000]);
        drop(warm);
        let before = LIVE.get();
        for _ in 0..CONNECTIONS {
            let (stream, _) = listener.accept().await.unwrap();
            serve(stream, Arc::clone(&served));
        }
        // One request each: whatever a connection makes at its first use is there.
        for client in &mut clients {
            client.write_all(b"x").unwrap();
        }
        while served.bytes.load(Ordering::Relaxed) < CONNECTIONS as u64 {
            levent::sleep(Duration::from_millis(1)).await;
        }
        for client in &mut clients {
            client.read_exact(&mut [0]).unwrap();
        }
        levent::buffer::pool::trim(0);
        let each = (LIVE.get() - before) / CONNECTIONS - own;
        eprintln!("note: {each} bytes per idle connection beyond its buffer");
        assert!((0..=most).contains(&each), "{each} bytes per connection");

        // And all of it comes back.
        drop(clients);
        // Each task holds one.
        while Arc::strong_count(&served) > 1 {
            yield_now().await;
        }
        for _ in 0..1_000 {
            yield_now().await;
        }
        let kept = (LIVE.get() - before) / CONNECTIONS;
        assert!(kept <= 400, "{kept} bytes per closed connection are kept");
    });
}

/// A task that is spawned and awaited costs one allocation; a task that waits, what it captures and little more.
#[test]
fn task_is_one_allocation() {
    const TASKS: i64 = 10_000;
    if !in_child("memory::task_is_one_allocation") {
        return;
    }
    let _dog = Watchdog::new(20);
    block_on(async {
        for _ in 0..100 {
            spawn(async {}).await;
        }
        let before = CALLS.get();
        for _ in 0..1_000 {
            spawn(async {}).await;
        }
        assert_eq!(CALLS.get() - before, 1_000);

        let mut tasks = Vec::with_capacity(TASKS as usize);
        let before = LIVE.get();
        for _ in 0..TASKS {
            tasks.push(spawn(std::future::pending::<()>()));
        }
        yield_now().await;
        let each = (LIVE.get() - before) / TASKS;
        eprintln!("note: {each} bytes per waiting task");
        assert!((1..=128).contains(&each), "{each} bytes per task");
    });
}

/// A timer that waits costs no allocation of its own, and the same memory again when it is set again.
#[test]
fn timer_is_a_slot() {
    const TIMERS: i64 = 100_000;
    if !in_child("memory::timer_is_a_slot") {
        return;
    }
    let _dog = Watchdog::new(20);
    block_on(async {
        let mut timers: Vec<levent::Timer> = Vec::with_capacity(TIMERS as usize);
        let before = (CALLS.get(), LIVE.get());
        for i in 0..TIMERS as u64 {
            let mut timer =
                levent::Timer::after(Duration::from_millis(3_600_000 + i * 7_919 % 10_000));
            assert!(poll_once(&mut timer).await.is_none());
            timers.push(timer);
        }
        let calls = CALLS.get() - before.0;
        let each = (LIVE.get() - before.1) / TIMERS;
        eprintln!(
            "note: {each} bytes per waiting timer beyond the `Timer`, {calls} allocations in all"
        );
        assert!((1..=144).contains(&each), "{each} bytes per timer");
        assert!(calls < 2_000, "{calls} allocations");

        let before = CALLS.get();
        for timer in &mut timers {
            timer.set_after(Duration::from_secs(7_200));
            assert!(poll_once(timer).await.is_none());
        }
        assert_eq!(CALLS.get(), before);
    });
}
