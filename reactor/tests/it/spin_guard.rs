//! The spin guard: who is caught, who is not, and what is said about it (promise 1).

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use levent_reactor::{Base, Event, Flags, LoopEnd, LoopFlags, Spin};

use crate::support::{eventfd, in_child, methods, only, pipe, tcp_pair};

const LIMIT: u32 = 100;
/// More turns than the guard needs to be sure.
const TURNS: u32 = 2 * LIMIT + 500;

fn guarded(config: levent_reactor::Config) -> (Base, Rc<RefCell<Vec<Spin>>>) {
    let base = Base::with_config(&config.spin_limit(LIMIT)).unwrap();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let hears = heard.clone();
    base.on_spin(move |spin| hears.borrow_mut().push(spin.clone()));
    (base, heard)
}

/// Turns without a wait.
fn turn(base: &Base, turns: u32) {
    for _ in 0..turns {
        base.run_loop(LoopFlags::ONCE | LoopFlags::NONBLOCK)
            .unwrap();
    }
}

/// A source that nobody serves is watched no longer, whatever it is, and the loop sleeps; it is named to the hook and in the dump.
#[test]
fn source_that_is_not_served_is_disarmed() {
    for method in methods() {
        let (unread, mut peer) = tcp_pair();
        peer.write_all(b"unread").unwrap();
        let (ended, gone) = UnixStream::pair().unwrap();
        gone.shutdown(Shutdown::Write).unwrap();
        let (half_closed, closer) = tcp_pair();
        closer.shutdown(Shutdown::Write).unwrap();
        let (dead_pipe, writer) = pipe();
        drop(writer);
        let counter = eventfd(1);
        let (writable, _other) = tcp_pair();
        let (_reader, full) = pipe();
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        datagrams
            .send_to(b"1", datagrams.local_addr().unwrap())
            .unwrap();

        type Case = (&'static str, std::os::fd::OwnedFd, Flags);
        let cases: Vec<Case> = vec![
            ("bytes", unread.into(), Flags::READ),
            ("end of a stream", ended.into(), Flags::READ),
            ("half-closed", half_closed.into(), Flags::READ),
            ("end of a pipe", dead_pipe.into(), Flags::READ),
            ("counter", counter, Flags::READ),
            ("room to write", writable.into(), Flags::WRITE),
            ("room in a pipe", full.into(), Flags::WRITE),
            ("datagram", datagrams.into(), Flags::READ),
        ];
        for (what, source, interest) in cases {
            let (base, heard) = guarded(only(method));
            let number = source.as_raw_fd();
            let calls = Rc::new(Cell::new(0));
            let counts = calls.clone();
            let event = Event::new(&base, source, interest | Flags::PERSIST, move |_, _, _| {
                counts.set(counts.get() + 1);
            })
            .unwrap();
            event.add().unwrap();
            turn(&base, TURNS);
            let before = calls.get();
            turn(&base, 10);
            assert_eq!(calls.get(), before, "{what} on {method:?} still spins");
            assert!(before >= LIMIT, "{what} on {method:?}: {before} calls");
            assert_eq!(base.spins(), 1, "{what} on {method:?}");
            assert!(event.is_pending());
            let heard = heard.borrow();
            assert_eq!((heard[0].descriptor, heard[0].callbacks), (number, LIMIT));
            assert!(heard[0].ready.contains(interest), "{what}: {heard:?}");
            assert!(heard[0].name.is_some(), "{what}");
            let mut dump = String::new();
            base.dump(&mut dump).unwrap();
            assert!(
                dump.contains(&format!("Not served: descriptor {number} ")),
                "{dump}"
            );
        }
    }
}

/// Whoever reads, writes or accepts something each time is never disarmed, though it is ready in every wait.
#[test]
fn source_that_is_served_slowly_is_left_alone() {
    for method in methods() {
        let (base, heard) = guarded(only(method));
        let (reader, mut peer) = pipe();
        peer.write_all(&vec![0; TURNS as usize + 100]).unwrap();
        let taken = Rc::new(Cell::new(0));
        let counts = taken.clone();
        let one = Event::new(
            &base,
            reader,
            Flags::READ | Flags::PERSIST,
            move |mut reader, _, _| {
                counts.set(counts.get() + reader.read(&mut [0]).unwrap());
                // As many bytes wait as before.
                peer.write_all(b"1").unwrap();
            },
        )
        .unwrap();
        one.add().unwrap();
        // A sender of datagrams is always ready, and its work shows nowhere.
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        let sent = Rc::new(Cell::new(0));
        let counts = sent.clone();
        let two = Event::new(
            &base,
            socket,
            Flags::WRITE | Flags::PERSIST,
            move |socket, _, _| {
                counts.set(counts.get() + socket.send_to(b"1", to).unwrap_or(1));
            },
        )
        .unwrap();
        two.add().unwrap();
        turn(&base, TURNS);
        assert_eq!(taken.get(), TURNS as usize, "{method:?}");
        assert_eq!(sent.get(), TURNS as usize, "{method:?}");
        assert_eq!((base.spins(), heard.borrow().len()), (0, 0));
    }
}

/// Deleting and adding an event in its callback is doing something about it; edges are reported once and cannot spin.
#[test]
fn change_of_interest_counts_as_service() {
    for method in methods() {
        let (base, heard) = guarded(only(method));
        let (reader, mut peer) = UnixStream::pair().unwrap();
        peer.write_all(b"unread").unwrap();
        let calls = Rc::new(Cell::new(0));
        let counts = calls.clone();
        let event = Event::new(&base, reader, Flags::READ, move |_, _, event| {
            counts.set(counts.get() + 1);
            event.add().unwrap();
        })
        .unwrap();
        event.add().unwrap();
        turn(&base, TURNS);
        assert_eq!((calls.get(), base.spins()), (TURNS, 0), "{method:?}");
        assert!(heard.borrow().is_empty());
    }
}

/// What was disarmed is watched again when its event is deleted and added, and another direction goes on meanwhile.
#[test]
fn disarmed_source_comes_back() {
    for method in methods() {
        let (base, heard) = guarded(only(method));
        let (socket, mut peer) = tcp_pair();
        socket.set_nonblocking(true).unwrap();
        let socket = Rc::new(socket);
        let seen = Rc::new(RefCell::new(Flags::NONE));
        let saw = seen.clone();
        let writer = Event::new(
            &base,
            socket.clone(),
            Flags::WRITE | Flags::PERSIST,
            move |_, what, _| *saw.borrow_mut() |= what,
        )
        .unwrap();
        let saw = seen.clone();
        let number = socket.as_raw_fd();
        let both = Event::new(
            &base,
            socket,
            Flags::READ | Flags::WRITE | Flags::PERSIST,
            move |socket, what, _| {
                *saw.borrow_mut() |= what;
                if what.contains(Flags::READ) {
                    assert_eq!((&**socket).read(&mut [0; 16]).unwrap(), 1);
                }
            },
        )
        .unwrap();
        both.add().unwrap();
        turn(&base, TURNS);
        assert_eq!(base.spins(), 1, "{method:?}");
        assert_eq!(heard.borrow()[0].descriptor, number);
        assert_eq!(seen.take(), Flags::WRITE);
        // It still reads.
        peer.write_all(b"1").unwrap();
        turn(&base, 2);
        assert!(seen.take().contains(Flags::READ), "{method:?}");
        for how in ["another event", "the same again"] {
            match how {
                "another event" => writer.add().unwrap(),
                _ => both.del().and_then(|()| both.add()).unwrap(),
            }
            turn(&base, 2);
            assert_eq!(seen.take(), Flags::WRITE, "{how} on {method:?}");
            turn(&base, TURNS);
            assert!(seen.take().contains(Flags::WRITE));
            turn(&base, 2);
            assert_eq!(seen.take(), Flags::NONE, "{how} on {method:?}");
        }
    }
}

/// A half-closed Unix stream that is written to, which does not show, is left alone, although its end could be read all the time.
#[test]
fn writer_to_a_half_closed_stream_is_left_alone() {
    for method in methods() {
        let (base, _) = guarded(only(method));
        let (writer, mut peer) = UnixStream::pair().unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        let calls = Rc::new(Cell::new(0));
        let counts = calls.clone();
        let event = Event::new(
            &base,
            writer,
            Flags::READ | Flags::WRITE | Flags::PERSIST,
            move |mut writer, _, _| {
                counts.set(counts.get() + 1);
                writer.write_all(b"1").unwrap();
                peer.read_exact(&mut [0]).unwrap();
            },
        )
        .unwrap();
        event.add().unwrap();
        turn(&base, TURNS);
        assert_eq!((calls.get(), base.spins()), (TURNS, 0), "{method:?}");
    }
}

/// A listener that cannot accept, since no descriptor is left, is disarmed; one that is merely slow is not.
#[test]
fn listener_without_descriptors_is_disarmed() {
    if !in_child("spin_guard::listener_without_descriptors_is_disarmed") {
        return;
    }
    for method in methods() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        for is_full in [false, true] {
            let (base, heard) = guarded(only(method));
            let event = Event::new(
                &base,
                listener.try_clone().unwrap(),
                Flags::READ | Flags::PERSIST,
                |_, _, _| (),
            )
            .unwrap();
            event.add().unwrap();
            let mut taken = Vec::new();
            while let (true, Ok(file)) = (is_full, std::fs::File::open("/dev/null")) {
                taken.push(file);
            }
            turn(&base, TURNS);
            drop(taken);
            assert_eq!(base.spins(), u64::from(is_full), "{method:?}");
            assert_eq!(heard.borrow().len(), usize::from(is_full));
        }
    }
}

/// With a limit of 0 nothing is disarmed; the loop is libevent's.
#[test]
fn guard_can_be_switched_off() {
    for method in methods() {
        let base = Base::with_config(&only(method).spin_limit(0)).unwrap();
        let (writer, _peer) = UnixStream::pair().unwrap();
        let calls = Rc::new(Cell::new(0));
        let counts = calls.clone();
        let event = Event::new(
            &base,
            writer,
            Flags::WRITE | Flags::PERSIST,
            move |_, _, _| counts.set(counts.get() + 1),
        )
        .unwrap();
        event.add().unwrap();
        turn(&base, TURNS);
        assert_eq!((calls.get(), base.spins()), (TURNS, 0), "{method:?}");
    }
}

/// The hook may use the base, set another hook, and end the loop that would otherwise sleep for ever.
#[test]
fn hook_may_do_anything() -> io::Result<()> {
    for method in methods() {
        let base = Base::with_config(&only(method).spin_limit(LIMIT))?;
        let (writer, _peer) = tcp_pair();
        let event = Event::new(&base, writer, Flags::WRITE | Flags::PERSIST, |_, _, _| ())?;
        event.add()?;
        let (calls, at_base, event) = (Rc::new(Cell::new(0)), base.clone(), Rc::new(event));
        let (counts, deletes) = (calls.clone(), event.clone());
        base.on_spin(move |spin| {
            counts.set(counts.get() + 1);
            assert!(spin.to_string().contains("not watched"));
            at_base.on_spin(|_| panic!("nothing else spins"));
            deletes.del().unwrap();
            at_base.once_after(Duration::ZERO, || ());
        });
        assert_eq!(base.dispatch()?, LoopEnd::Dry, "{method:?}");
        assert_eq!((calls.get(), base.spins()), (1, 1));
        assert!(!event.is_pending());
    }
    Ok(())
}
