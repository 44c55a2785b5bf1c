//! In-process tests on futures and tasks: `micro-ours TEST [ARGS]`.
//!
//! | Test | What it times |
//! |---|---|
//! | `t1` | timers: make, poll and drop one; move one of 100,000; a million armed, a million expired |
//! | `t1common` | the same with equal deadlines |
//! | `t2` | tasks: spawn and await; a thousand at a time; yields of one task and of a hundred |
//! | `t3 N REPS` | N round trips between two sleeping loops on two cpus, over channels |
//! | `chain N A W` | N sockets in a ring, A bytes started, W passed on |
//! | `cascade N` | N sockets with a timeout each, one byte through all of them, from nothing |
//! | `heartbeat` | how late a timer of 10 ms is beside tasks that are always ready and sockets that always have data |
//! | `grow-timers N` | N timers armed, cancelled, and (from 10,000 on) expired, at a time |
//! | `grow-tasks N` | N tasks spawned, ten yields of each, and joined |
//!
//! With `MEASURE_QUICK` set there are fewer rounds, and no million timers.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender, bounded};
use futures_lite::AsyncReadExt;
use levent::{Async, Task, Timer, block_on, spawn, timeout, yield_now};
use levent_bench::{
    OPERATIONS, Random, argument, cpu_nanos, is_quick, micros_since, pin_to_cpu, print, rounds,
    socket_pairs, test_name, time_cpu, time_wall,
};

/// Timers that wait while one after the other is moved.
const WAITING: usize = 100_000;

fn main() -> io::Result<()> {
    match test_name().as_str() {
        "t1" => block_on(timers(1)),
        "t1common" => block_on(timers(0)),
        "t2" => block_on(tasks()),
        "t3" => round_trips(argument(2, 100_000), argument(3, rounds())),
        "chain" => return chain(argument(2, 100), argument(3, 1), argument(4, 100)),
        "cascade" => cascade(argument(2, 100)),
        "heartbeat" => block_on(heartbeat())?,
        "grow-timers" => block_on(grow_timers(argument(2, 1000))),
        "grow-tasks" => block_on(grow_tasks(argument(2, 1000))),
        other => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("no test {other:?}: the page of this program has them"),
            ));
        }
    }
    Ok(())
}

/// A waker that only counts.
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Timers polled by hand. `spread` is 1 for deadlines that differ, 0 for equal ones.
async fn timers(spread: u64) {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut cx = Context::from_waker(&waker);

    time_cpu("t1_arm_cancel_ns", rounds(), OPERATIONS, || {
        for _ in 0..OPERATIONS {
            drop(armed(Duration::from_secs(10), &mut cx));
        }
    });

    let minute = Duration::from_secs(60);
    let samples = (0..rounds()).map(|_| {
        let mut waiting: Vec<Timer> = (0..WAITING).map(|_| armed(minute, &mut cx)).collect();
        let mut random = Random(7);
        let start = cpu_nanos();
        for i in 0..OPERATIONS as u64 {
            let timer = &mut waiting[random.number() as usize % WAITING];
            timer.set_after(minute + Duration::from_micros(i * spread));
            let polled = Pin::new(timer).poll(&mut cx);
            debug_assert!(polled.is_pending());
        }
        (cpu_nanos() - start) / OPERATIONS as f64
    });
    print("t1_reset_100k_ns", samples.collect());

    if is_quick() {
        return;
    }
    let (mut arm, mut expire) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        count.0.store(0, Ordering::Relaxed);
        let (start, cpu) = (Instant::now(), cpu_nanos());
        let mut random = Random(99);
        let mut waiting = Vec::with_capacity(OPERATIONS);
        for _ in 0..OPERATIONS {
            let later = u64::from(random.number()) % 1_000_000_000 * spread;
            let after = Duration::from_nanos(2_500_000_000 + later).saturating_sub(start.elapsed());
            waiting.push(armed(after, &mut cx));
        }
        arm.push((cpu_nanos() - cpu) / OPERATIONS as f64);
        let early = count.0.load(Ordering::Relaxed);
        let cpu = cpu_nanos();
        Timer::after(Duration::from_millis(3520).saturating_sub(start.elapsed())).await;
        let mut patience = 2000;
        while count.0.load(Ordering::Relaxed) < OPERATIONS && patience > 0 {
            Timer::after(Duration::from_millis(2)).await;
            patience -= 1;
        }
        expire.push((cpu_nanos() - cpu) / OPERATIONS as f64);
        let expired = count.0.load(Ordering::Relaxed);
        if expired != OPERATIONS || early > 0 {
            eprintln!("note: {expired} of {OPERATIONS} expired, {early} of them while arming");
        }
    }
    print("t1_arm_1m_ns", arm);
    print("t1_expire_1m_ns", expire);
}

#[inline]
fn armed(after: Duration, cx: &mut Context<'_>) -> Timer {
    let mut timer = Timer::after(after);
    let polled = Pin::new(&mut timer).poll(cx);
    debug_assert!(polled.is_pending());
    timer
}

/// A hundred busy sockets and a thousand tasks that yield all the time, and a timer among them.
async fn heartbeat() -> io::Result<()> {
    const PERIOD: Duration = Duration::from_millis(10);
    let mut hogs: Vec<Task<()>> = (0..1000).map(|_| spawn(yields(u32::MAX))).collect();
    let (readers, writers) = socket_pairs(100)?;
    for (reader, writer) in readers.into_iter().zip(writers) {
        let mut reader = Async::new_nonblocking(reader)?;
        hogs.push(spawn(async move {
            let mut bytes = [0; 64];
            while (&writer).write_all(&bytes).is_ok() && reader.read_exact(&mut bytes).await.is_ok()
            {
            }
        }));
    }
    let beats = if is_quick() { 100 } else { 500 };
    let mut late_us = Vec::with_capacity(beats);
    let mut due = Instant::now() + PERIOD;
    for _ in 0..beats {
        Timer::at(due).await;
        let now = Instant::now();
        late_us.push(now.duration_since(due).as_nanos() as f64 / 1e3);
        due = now + PERIOD;
    }
    drop(hogs);
    late_us.sort_by(f64::total_cmp);
    for (name, share) in [("heartbeat_p50_us", 50), ("heartbeat_p99_us", 99)] {
        print(name, vec![late_us[(beats - 1) * share / 100]]);
    }
    Ok(())
}

/// So many at a time, as often as makes a million.
async fn grow_timers(count: usize) {
    let counted = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(counted.clone());
    let mut cx = Context::from_waker(&waker);
    let mut random = Random(5);
    let repeats = (OPERATIONS / count).max(1);
    let (mut arm, mut cancel) = (0.0, 0.0);
    for _ in 0..repeats {
        let mut waiting = Vec::with_capacity(count);
        let start = cpu_nanos();
        for _ in 0..count {
            let later = u64::from(random.number()) % 10_000_000;
            waiting.push(armed(Duration::from_micros(60_000_000 + later), &mut cx));
        }
        let is_armed = cpu_nanos();
        drop(waiting);
        arm += is_armed - start;
        cancel += cpu_nanos() - is_armed;
    }
    let each = (repeats * count) as f64;
    print("grow_arm_ns", vec![arm / each]);
    print("grow_cancel_ns", vec![cancel / each]);
    if count < 10_000 {
        // Waking up for them would cost more than they do.
        return;
    }
    // A microsecond for each to be armed, and then one after the other every 100 ns.
    let start = Instant::now();
    let first = Duration::from_micros(count as u64 + 10_000);
    let span = count as u64 * 100;
    let waiting: Vec<Timer> = (0..count)
        .map(|_| {
            let later = u64::from(random.number()) % span;
            let due = first + Duration::from_nanos(later);
            armed(due.saturating_sub(start.elapsed()), &mut cx)
        })
        .collect();
    let early = counted.0.load(Ordering::Relaxed);
    let cpu = cpu_nanos();
    while counted.0.load(Ordering::Relaxed) < count {
        Timer::after(Duration::from_millis(2)).await;
    }
    if early > count / 100 {
        eprintln!("note: {early} of {count} expired while others were armed");
    }
    let expired = (count - early) as f64;
    print("grow_expire_ns", vec![(cpu_nanos() - cpu) / expired]);
    drop(waiting);
}

async fn grow_tasks(count: usize) {
    const YIELDS: u32 = 10;
    let repeats = (OPERATIONS / count).max(1);
    let (mut spawned, mut yielded) = (0.0, 0.0);
    for _ in 0..repeats {
        let start = cpu_nanos();
        let mut batch = Vec::with_capacity(count);
        batch.extend((0..count).map(|_| spawn(async {})));
        join(&mut batch).await;
        let is_spawned = cpu_nanos();
        batch.extend((0..count).map(|_| spawn(yields(YIELDS))));
        join(&mut batch).await;
        let whole = cpu_nanos() - is_spawned;
        spawned += is_spawned - start;
        yielded += (whole - (is_spawned - start)).max(0.0);
    }
    let each = (repeats * count) as f64;
    print("grow_spawn_ns", vec![spawned / each]);
    print("grow_yield_ns", vec![yielded / each / f64::from(YIELDS)]);
}

async fn tasks() {
    cpu_per("t2_spawn_await_ns", OPERATIONS, async || {
        for _ in 0..OPERATIONS {
            spawn(async {}).await;
        }
    })
    .await;
    cpu_per("t2_spawn_batch_ns", OPERATIONS, async || {
        let mut batch = Vec::with_capacity(1000);
        for _ in 0..OPERATIONS / 1000 {
            batch.extend((0..1000).map(|_| spawn(async {})));
            join(&mut batch).await;
        }
    })
    .await;
    cpu_per("t2_yield_solo_ns", 2_000_000, async || {
        spawn(yields(2_000_000)).await;
    })
    .await;
    cpu_per("t2_yield_100tasks_ns", 10_000_000, async || {
        join(&mut (0..100).map(|_| spawn(yields(100_000))).collect()).await;
    })
    .await;
}

async fn cpu_per(name: &str, operations: usize, mut f: impl AsyncFnMut()) {
    let mut samples = Vec::new();
    for _ in 0..rounds() {
        let start = cpu_nanos();
        f().await;
        samples.push((cpu_nanos() - start) / operations as f64);
    }
    print(name, samples);
}

async fn yields(count: u32) {
    for _ in 0..count {
        yield_now().await;
    }
}

async fn join(batch: &mut Vec<Task<()>>) {
    for task in batch.drain(..) {
        task.await;
    }
}

fn round_trips(count: usize, rounds: usize) {
    let (ping, pings) = bounded(1);
    let (pong, pongs) = bounded(1);
    let other = std::thread::spawn(move || {
        pin_to_cpu(1);
        block_on(answer(pings, pong));
    });
    pin_to_cpu(0);
    block_on(ask(ping, pongs, count, rounds));
    // A panic over there has been printed, and here the answers ended with it.
    let _ = other.join();
}

async fn ask(ping: Sender<u32>, pongs: Receiver<u32>, count: usize, rounds: usize) {
    let mut samples = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        for i in 0..count as u32 {
            let sent = ping.send(i).await;
            assert!(sent.is_ok(), "the other side is gone");
            assert_eq!(pongs.recv().await, Ok(i + 1));
        }
        samples.push(micros_since(start) * 1e3 / count as f64);
    }
    print("t3_roundtrip_ns", samples);
}

async fn answer(pings: Receiver<u32>, pong: Sender<u32>) {
    while let Ok(i) = pings.recv().await {
        if pong.send(i + 1).await.is_err() {
            return;
        }
    }
}

/// The state of one run of the chain, and the task that waits for its end.
#[derive(Default)]
struct Ring {
    received: Cell<usize>,
    sent: Cell<usize>,
    /// Bytes that may still be passed on.
    left: Cell<usize>,
    waiting: RefCell<Option<Waker>>,
}

impl Ring {
    async fn is_quiet(&self) {
        poll_fn(|cx| {
            if self.received.get() == self.sent.get() {
                return Poll::Ready(());
            }
            *self.waiting.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

fn chain(count: usize, active: usize, writes: usize) -> io::Result<()> {
    let (readers, writers) = socket_pairs(count)?;
    let writers: Rc<[UnixStream]> = writers.into();
    let ring = Rc::new(Ring::default());
    block_on(async {
        let mut tasks = Vec::with_capacity(count);
        for (index, reader) in readers.into_iter().enumerate() {
            let next = (index + 1) % count;
            let reader = Async::new_nonblocking(reader)?;
            tasks.push(spawn(pass_on(reader, writers.clone(), next, ring.clone())));
        }
        // Each task has found nothing to read and waits.
        for _ in 0..10 {
            yield_now().await;
        }
        let (mut samples, mut costs) = (Vec::new(), Vec::new());
        for _ in 0..25 {
            ring.received.set(0);
            ring.sent.set(active);
            ring.left.set(writes);
            for i in 0..active {
                (&writers[i * (count / active)]).write_all(b"e")?;
            }
            let (start, cpu) = (Instant::now(), cpu_nanos());
            ring.is_quiet().await;
            samples.push(micros_since(start));
            costs.push((cpu_nanos() - cpu) / (active + writes) as f64);
        }
        print("chain_us", samples);
        print("chain_cpu_ns", costs);
        Ok(())
    })
}

async fn pass_on(
    mut reader: Async<UnixStream>,
    writers: Rc<[UnixStream]>,
    next: usize,
    ring: Rc<Ring>,
) {
    let mut byte = [0];
    while let Ok(1) = reader.read(&mut byte).await {
        ring.received.set(ring.received.get() + 1);
        if ring.left.get() > 0 && (&writers[next]).write_all(b"e").is_ok() {
            ring.left.set(ring.left.get() - 1);
            ring.sent.set(ring.sent.get() + 1);
        }
        if ring.received.get() == ring.sent.get() {
            ring.waiting.take().into_iter().for_each(Waker::wake);
        }
    }
}

fn cascade(count: usize) {
    let pairs = || socket_pairs(count).unwrap_or_else(|error| panic!("{count} pairs: {error}"));
    time_wall("cascade_us", 25, pairs, |(readers, writers)| {
        let writers: Rc<[UnixStream]> = writers.into();
        block_on(async {
            let mut last = None;
            for (index, reader) in readers.into_iter().enumerate() {
                if let Some(before) = last.replace(spawn(hop(reader, writers.clone(), index + 1))) {
                    before.detach();
                }
            }
            let started = (&writers[0]).write_all(b"e");
            assert!(started.is_ok(), "a socket of ours refused a byte");
            if let Some(last) = last {
                assert!(last.await.is_ok(), "the byte was lost on its way");
            }
        });
    });
}

async fn hop(reader: UnixStream, writers: Rc<[UnixStream]>, next: usize) -> io::Result<()> {
    let mut reader = Async::new_nonblocking(reader)?;
    let mut byte = [0];
    timeout(Duration::from_secs(60), reader.read_exact(&mut byte)).await??;
    match writers.get(next) {
        Some(mut writer) => writer.write_all(b"e"),
        None => Ok(()),
    }
}
