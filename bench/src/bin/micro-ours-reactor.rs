//! In-process tests on events and callbacks: `micro-ours-reactor TEST [ARGS]`.
//!
//! | Test | What it times |
//! |---|---|
//! | `t1` | timers: arm and cancel one event; move one of 100,000; a million armed, a million expired |
//! | `t1common` | the same with common timeouts: all durations equal |
//! | `t3 N REPS` | N round trips between two sleeping loops on two cpus, by activating an event of the other |
//! | `chain N A W` | N sockets in a ring, A bytes started, W passed on |
//! | `cascade N` | N sockets with a timeout each, one byte through all of them, from nothing |
//!
//! The events of `t1` are the caller's: made once, then added and deleted, in a callback; `t1_arm_cancel_outside_ns` is the same outside,
//! where each arming reads the clock, and `t1_make_arm_drop_ns` is with a new event each time. With `MEASURE_QUICK` set there are fewer rounds, and no million timers.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use levent_bench::{
    OPERATIONS, Random, argument, cpu_nanos, is_quick, micros_since, pin_to_cpu, print, rounds,
    socket_pairs, test_name, time_cpu,
};
use levent_reactor::{Base, CommonTimeout, Event, Flags, LoopFlags, RemoteEvent};

/// Timers that wait while one after the other is moved.
const WAITING: usize = 100_000;

fn main() -> io::Result<()> {
    match test_name().as_str() {
        "t1" => timers(false),
        "t1common" => timers(true),
        "t3" => round_trips(argument(2, 100_000), argument(3, rounds())),
        "chain" => chain(argument(2, 100), argument(3, 1), argument(4, 100)),
        "cascade" => cascade(argument(2, 100)),
        other => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("no test {other:?}: t1, t1common, t3, chain or cascade"),
        )),
    }
}

/// How an event is armed: each at its own time, or all with one duration.
#[derive(Clone, Copy)]
enum Arm {
    Alone,
    Common(CommonTimeout),
}

impl Arm {
    fn new(base: &Base, common: bool, duration: Duration) -> io::Result<Arm> {
        Ok(if common {
            Arm::Common(base.common_timeout(duration)?)
        } else {
            Arm::Alone
        })
    }

    #[inline]
    fn arm(self, event: &Event, after: impl FnOnce() -> Duration) -> io::Result<()> {
        match self {
            Arm::Alone => event.add_after(after()),
            Arm::Common(timeout) => event.add_common(timeout),
        }
    }
}

fn timers(common: bool) -> io::Result<()> {
    let base = Base::new()?;
    // Inside the loop, where a base is at home: events act on it without taking its lock.
    let _entered = base.enter()?;
    let count = Rc::new(Cell::new(0));
    let of = base.clone();
    let counter = count.clone();
    let timer = move || {
        let count = counter.clone();
        Event::timer(&of, move |_, _| count.set(count.get() + 1))
    };

    let ten = Duration::from_secs(10);
    let how = Arm::new(&base, common, ten)?;
    let event = timer();
    let arm_cancel = move |name| {
        time_cpu(name, rounds(), OPERATIONS, || {
            for _ in 0..OPERATIONS {
                how.arm(&event, || ten).and_then(|()| event.del()).unwrap();
            }
        });
    };
    arm_cancel("t1_arm_cancel_outside_ns");
    in_callback(&base, move || arm_cancel("t1_arm_cancel_ns"))?;
    let make = timer.clone();
    in_callback(&base, move || {
        time_cpu("t1_make_arm_drop_ns", rounds(), OPERATIONS, || {
            (0..OPERATIONS).for_each(|_| how.arm(&make(), || ten).unwrap());
        });
    })?;

    let minute = Duration::from_secs(60);
    let how = Arm::new(&base, common, minute)?;
    let make = timer.clone();
    in_callback(&base, move || {
        let samples = (0..rounds()).map(|_| {
            let waiting: Vec<Event> = (0..WAITING).map(|_| make()).collect();
            for event in &waiting {
                how.arm(event, || minute).unwrap();
            }
            let mut random = Random(7);
            let start = cpu_nanos();
            for i in 0..OPERATIONS as u64 {
                let event = &waiting[random.number() as usize % WAITING];
                how.arm(event, || minute + Duration::from_micros(i))
                    .unwrap();
            }
            (cpu_nanos() - start) / OPERATIONS as f64
        });
        print("t1_reset_100k_ns", samples.collect());
    })?;

    if is_quick() {
        return Ok(());
    }
    let how = Arm::new(&base, common, Duration::from_millis(1500))?;
    let waiting: Rc<[Event]> = (0..OPERATIONS).map(|_| timer()).collect();
    let (arm, mut expire) = (Rc::new(RefCell::new(Vec::new())), Vec::new());
    for _ in 0..3 {
        count.set(0);
        let (waiting, arm) = (waiting.clone(), arm.clone());
        in_callback(&base, move || {
            let mut random = Random(99);
            let cpu = cpu_nanos();
            for event in &*waiting {
                how.arm(event, || {
                    let later = u64::from(random.number()) % 1_000_000_000;
                    Duration::from_nanos(1_500_000_000 + later)
                })
                .unwrap();
            }
            let took = (cpu_nanos() - cpu) / OPERATIONS as f64;
            arm.borrow_mut().push(took);
        })?;
        let cpu = cpu_nanos();
        while count.get() < OPERATIONS {
            base.run_loop(LoopFlags::ONCE)?;
        }
        expire.push((cpu_nanos() - cpu) / OPERATIONS as f64);
    }
    print("t1_arm_1m_ns", arm.take());
    print("t1_expire_1m_ns", expire);
    Ok(())
}

/// Runs `f` in a callback of the base, where programs arm their timers: the time is that of the turn there, and no clock is read.
fn in_callback(base: &Base, f: impl FnOnce() + 'static) -> io::Result<()> {
    base.once_after(Duration::ZERO, f);
    base.run_loop(LoopFlags::ONCE | LoopFlags::NONBLOCK)?;
    Ok(())
}

fn round_trips(count: usize, rounds: usize) -> io::Result<()> {
    let base = Base::new()?;
    let (to_other, from_us) = mpsc::channel::<RemoteEvent>();
    let (to_us, from_other) = mpsc::channel::<RemoteEvent>();
    let left = Rc::new(Cell::new(0));
    let peer: Rc<Cell<Option<RemoteEvent>>> = Rc::default();
    let (counter, partner) = (left.clone(), peer.clone());
    let pong = Event::user(&base, move |event, _| {
        counter.set(counter.get() - 1);
        if counter.get() == 0 {
            event.base().iter().for_each(Base::loop_break);
        } else if let Some(other) = partner.take() {
            // Refused once the other side is gone, whose failure the join below reports.
            let _ = other.activate(Flags::NONE);
            partner.set(Some(other));
        }
    });
    let other = std::thread::spawn(move || answer(&to_us, &from_us));
    let ours = pong.remote().ok_or_else(gone)?;
    to_other.send(ours).map_err(|_| gone())?;
    let theirs = from_other.recv().map_err(|_| gone())?;
    peer.set(Some(theirs.clone()));
    pin_to_cpu(0);

    let mut samples = Vec::new();
    for _ in 0..rounds {
        left.set(count);
        let start = Instant::now();
        theirs.activate(Flags::NONE)?;
        base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY)?;
        samples.push(micros_since(start) * 1e3 / count as f64);
    }
    print("t3_roundtrip_ns", samples);
    theirs.activate(Flags::SIGNAL)?;
    other.join().map_err(|_| gone())?
}

/// The other side: activates our event each time its own is; told `SIGNAL`, it ends.
fn answer(to: &mpsc::Sender<RemoteEvent>, from: &mpsc::Receiver<RemoteEvent>) -> io::Result<()> {
    pin_to_cpu(1);
    let base = Base::new()?;
    let peer = from.recv().map_err(|_| gone())?;
    let ping = Event::user(&base, move |event, what| {
        if what.contains(Flags::SIGNAL) || peer.activate(Flags::NONE).is_err() {
            event.base().iter().for_each(Base::loop_break);
        }
    });
    let ours = ping.remote().ok_or_else(gone)?;
    to.send(ours).map_err(|_| gone())?;
    base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).map(drop)
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the other side is gone")
}

/// The state of one run of the chain.
#[derive(Default)]
struct Ring {
    received: Cell<usize>,
    sent: Cell<usize>,
    /// Bytes that may still be passed on.
    left: Cell<usize>,
}

fn chain(count: usize, active: usize, writes: usize) -> io::Result<()> {
    let base = Base::new()?;
    let _entered = base.enter()?;
    let (readers, writers) = socket_pairs(count)?;
    let writers: Rc<[UnixStream]> = writers.into();
    let ring = Rc::new(Ring::default());
    let mut events = Vec::with_capacity(count);
    for (index, reader) in readers.into_iter().enumerate() {
        let (writers, ring, next) = (writers.clone(), ring.clone(), (index + 1) % count);
        events.push(Event::new(
            &base,
            reader,
            Flags::READ | Flags::PERSIST,
            move |reader, _, _| pass_on(reader, &writers[next], &ring),
        )?);
    }
    let (mut samples, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..25 {
        for event in &events {
            event.del()?;
            event.add()?;
        }
        base.run_loop(LoopFlags::ONCE | LoopFlags::NONBLOCK)?;
        ring.received.set(0);
        ring.sent.set(active);
        ring.left.set(writes);
        for i in 0..active {
            (&writers[i * (count / active)]).write_all(b"e")?;
        }
        let (start, cpu) = (Instant::now(), cpu_nanos());
        while ring.received.get() != ring.sent.get() {
            base.run_loop(LoopFlags::ONCE | LoopFlags::NONBLOCK)?;
        }
        samples.push(micros_since(start));
        costs.push((cpu_nanos() - cpu) / (active + writes) as f64);
    }
    print("chain_us", samples);
    print("chain_cpu_ns", costs);
    Ok(())
}

fn pass_on(mut reader: &UnixStream, mut next: &UnixStream, ring: &Ring) {
    if !matches!(reader.read(&mut [0]), Ok(1)) {
        return;
    }
    ring.received.set(ring.received.get() + 1);
    if ring.left.get() > 0 && next.write_all(b"e").is_ok() {
        ring.left.set(ring.left.get() - 1);
        ring.sent.set(ring.sent.get() + 1);
    }
}

fn cascade(count: usize) -> io::Result<()> {
    let base = Base::new()?;
    let _entered = base.enter()?;
    let mut samples = Vec::new();
    for _ in 0..25 {
        let (readers, writers) = socket_pairs(count)?;
        let writers: Rc<[UnixStream]> = writers.into();
        let mut events = Vec::with_capacity(count);
        let start = Instant::now();
        for (index, reader) in readers.into_iter().enumerate() {
            let (writers, next) = (writers.clone(), index + 1);
            let event = Event::new(&base, reader, Flags::READ, move |reader, _, _| {
                hop(reader, writers.get(next));
            })?;
            event.add_after(Duration::from_secs(60))?;
            events.push(event);
        }
        (&writers[0]).write_all(b"e")?;
        base.dispatch()?;
        samples.push(micros_since(start));
    }
    print("cascade_us", samples);
    Ok(())
}

fn hop(mut reader: &UnixStream, next: Option<&UnixStream>) {
    let read = reader.read(&mut [0]);
    assert!(
        matches!(read, Ok(1)),
        "the byte was lost on its way: {read:?}"
    );
    if let Some(mut next) = next {
        let written = next.write_all(b"e");
        assert!(written.is_ok(), "a socket of ours refused a byte");
    }
}
