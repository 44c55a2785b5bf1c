//! Waits that ask before they sleep. When they do is in the unit tests of `engine/busy.rs`; here, that nothing else changes.

use std::cell::Cell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use levent_reactor::{Base, Clock, Config, Event, Flags, LoopFlags};

use crate::support::*;

/// With this, every sleep counts as short: the loop asks from the second wait on.
fn eager(config: Config) -> Config {
    config.busy_poll(Duration::from_secs(3600))
}

fn dump(base: &Base) -> String {
    let mut text = String::new();
    base.dump(&mut text).unwrap();
    text
}

/// Has another thread stop the loop, which waits for nothing else.
fn wait_for_a_post(base: &Base) {
    let remote = base.remote();
    let poster = thread::spawn(move || remote.post(Base::loop_break).unwrap());
    base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap();
    poster.join().unwrap();
}

/// Reports that come while the loop asks are delivered, each once, and the dump counts them.
#[test]
fn reports_come_through() {
    const ROUNDS: usize = 200;
    for_each_backend_with(eager, |base| {
        let (here, mut there) = UnixStream::pair().unwrap();
        let peer = thread::spawn(move || {
            for _ in 0..ROUNDS {
                there.write_all(b"x").unwrap();
                there.read_exact(&mut [0]).unwrap();
            }
        });
        let here = Rc::new(here);
        let (mut socket, count) = (here.try_clone().unwrap(), Cell::new(0));
        let event = on_fd(
            base,
            &here,
            Flags::READ | Flags::PERSIST,
            move |event, _| {
                socket.read_exact(&mut [0]).unwrap();
                socket.write_all(b"y").unwrap();
                count.set(count.get() + 1);
                if count.get() == ROUNDS {
                    event.del().unwrap();
                }
            },
        );
        event.add().unwrap();
        base.dispatch().unwrap();
        peer.join().unwrap();
        let text = dump(base);
        assert!(text.contains("Waits without sleep: "), "{text}");
        assert!(!text.contains("without sleep: 0,"), "{text}");
    });
}

/// Deadlines and other threads end the asking in time.
#[test]
fn asking_ends_in_time() {
    for_each_backend_with(eager, |base| {
        for _ in 0..3 {
            wait_for_a_post(base);
            let start = Instant::now();
            let timer = Event::timer(base, |_, _| {});
            timer.add_after(ms(5)).unwrap();
            base.dispatch().unwrap();
            assert!(start.elapsed() >= ms(5));
        }
    });
}

/// Off unless it is asked for, and with a clock that is moved by hand.
#[test]
fn off_by_default() {
    let by_hand = |config| eager(config).clock(Clock::manual().0);
    for tweak in [|config| config, by_hand] {
        for_each_backend_with(tweak, |base| {
            for _ in 0..3 {
                wait_for_a_post(base);
            }
            assert!(!dump(base).contains("without sleep"), "{}", dump(base));
        });
    }
}
