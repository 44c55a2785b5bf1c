//! `t1`: timers polled by hand.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use levent_bench::{OPERATIONS, Random, cpu_nanos, is_quick, print, rounds, time_cpu};

use crate::Peer;
use crate::pinned::Pinned;

/// Timers that wait while one after the other is moved.
const WAITING: usize = 100_000;
const MINUTE: Duration = Duration::from_secs(60);

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

/// Runs the tests of timers and prints their results.
pub async fn timers(peer: &impl Peer) {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut cx = Context::from_waker(&waker);

    time_cpu("t1_arm_cancel_ns", rounds(), OPERATIONS, || {
        for _ in 0..OPERATIONS {
            arm(pin!(peer.after(Duration::from_secs(10))), &mut cx);
        }
    });
    let moves = (0..rounds()).map(|_| move_them(peer, &mut cx));
    print("t1_reset_100k_ns", moves.collect());

    if is_quick() {
        return;
    }
    let (mut armed, mut expired) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (arm, expire) = a_million(peer, &count.0, &mut cx).await;
        armed.push(arm);
        expired.push(expire);
    }
    print("t1_arm_1m_ns", armed);
    print("t1_expire_1m_ns", expired);
}

/// The first poll, which arms a timer.
#[inline]
fn arm<T: Future>(timer: Pin<&mut T>, cx: &mut Context<'_>) {
    // Not a debug assertion: it also shows that a runtime's budget of polls, where it has one, is not what is measured.
    assert!(timer.poll(cx).is_pending(), "a timer was early");
}

/// Moves timers at random, and gives the nanoseconds for one.
fn move_them<P: Peer>(peer: &P, cx: &mut Context<'_>) -> f64 {
    let mut waiting = Pinned::with_room(WAITING);
    for _ in 0..WAITING {
        arm(waiting.push(peer.after(MINUTE)), cx);
    }
    let mut random = Random(7);
    let start = cpu_nanos();
    for i in 0..OPERATIONS as u64 {
        let mut timer = waiting.get(random.number() as usize % WAITING);
        peer.set_after(timer.as_mut(), MINUTE + Duration::from_micros(i));
        arm(timer, cx);
    }
    (cpu_nanos() - start) / OPERATIONS as f64
}

/// Arms a million timers with random deadlines within a second and waits for all: the nanoseconds to arm one, and to expire one.
async fn a_million<P: Peer>(peer: &P, count: &AtomicUsize, cx: &mut Context<'_>) -> (f64, f64) {
    count.store(0, Ordering::Relaxed);
    let (start, cpu) = (Instant::now(), cpu_nanos());
    let mut random = Random(99);
    let mut waiting = Pinned::with_room(OPERATIONS);
    for _ in 0..OPERATIONS {
        let later = u64::from(random.number()) % 1_000_000_000;
        let after = Duration::from_nanos(2_500_000_000 + later).saturating_sub(start.elapsed());
        arm(waiting.push(peer.after(after)), cx);
    }
    let arm = (cpu_nanos() - cpu) / OPERATIONS as f64;
    let early = count.load(Ordering::Relaxed);

    let cpu = cpu_nanos();
    peer.after(Duration::from_millis(3520).saturating_sub(start.elapsed()))
        .await;
    let mut patience = 2000;
    while count.load(Ordering::Relaxed) < OPERATIONS && patience > 0 {
        peer.after(Duration::from_millis(2)).await;
        patience -= 1;
    }
    let expire = (cpu_nanos() - cpu) / OPERATIONS as f64;
    let expired = count.load(Ordering::Relaxed);
    if expired != OPERATIONS || early > 0 {
        eprintln!("note: {expired} of {OPERATIONS} expired, {early} of them while arming");
    }
    (arm, expire)
}
