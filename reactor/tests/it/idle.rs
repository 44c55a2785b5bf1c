//! Nothing spins: what a descriptor's state may be while nobody, a reader or a writer waits, turns stay few.

use std::fs::File;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Instant;

use levent_reactor::lane::{Direction, Source};
use levent_reactor::{Method, Wait};

use crate::support::*;

enum Peer {
    Pipe(File),
    Unix(UnixStream),
    Tcp(TcpStream),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Close,
    Reset,
    Shutdown,
}

fn end(peer: Peer, how: End) -> Option<OwnedFd> {
    match (peer, how) {
        (Peer::Tcp(stream), End::Reset) => {
            reset(stream);
            None
        }
        (Peer::Unix(stream), End::Shutdown) => {
            stream.shutdown(Shutdown::Write).unwrap();
            Some(stream.into())
        }
        (Peer::Tcp(stream), End::Shutdown) => {
            stream.shutdown(Shutdown::Write).unwrap();
            Some(stream.into())
        }
        _ => None,
    }
}

fn wait_for(source: &Source, waits: Option<Direction>) {
    if let Some(direction) = waits {
        // Ready at once is fine, too: then nobody waits.
        let _ = source.poll_ready(direction, &mut Context::from_waker(Waker::noop()));
    }
}

/// P0 row 1, law 3, BK-5, EP-7, EP-8: after the peer's close, reset or shutdown a descriptor costs at most three turns in 200 ms.
#[test]
fn no_state_of_a_descriptor_spins() {
    // All scenes of a method sit on one base of a thread of their own, so that the 200 ms pass once: each scene has its three.
    let threads: Vec<_> = Method::supported()
        .iter()
        .map(|&method| {
            std::thread::spawn(move || {
                let base = base_on(method);
                let entered = base.enter().unwrap();
                let mut kept = Vec::new();
                for kind in 0..3 {
                    for how in [End::Close, End::Reset, End::Shutdown] {
                        for waits in [None, Some(Direction::Read), Some(Direction::Write)] {
                            let (fd, mut peer): (OwnedFd, Peer) = match kind {
                                0 => {
                                    let (reader, writer) = pipe();
                                    (reader.into(), Peer::Pipe(writer))
                                }
                                1 => {
                                    let (here, there) = UnixStream::pair().unwrap();
                                    here.set_nonblocking(true).unwrap();
                                    (here.into(), Peer::Unix(there))
                                }
                                _ => {
                                    let (here, there) = tcp_pair();
                                    (here.into(), Peer::Tcp(there))
                                }
                            };
                            let source = Source::new(fd.as_fd()).unwrap();
                            wait_for(&source, waits);
                            // Data that nobody reads lies in half of them.
                            if how == End::Close {
                                match &mut peer {
                                    Peer::Pipe(file) => file.write_all(b"x").unwrap(),
                                    Peer::Unix(stream) => stream.write_all(b"x").unwrap(),
                                    Peer::Tcp(stream) => stream.write_all(b"x").unwrap(),
                                }
                            }
                            kept.push((end(peer, how), source, fd));
                        }
                    }
                }
                let start = Instant::now();
                let mut turns = 0;
                while start.elapsed() < ms(200) {
                    entered
                        .turn(Wait::AtMost(ms(200).saturating_sub(start.elapsed())))
                        .unwrap();
                    turns += 1;
                }
                for (_, source, _) in &kept {
                    source.release();
                }
                // The changes arrive a few at a time; spinning would be thousands.
                assert!(turns <= 3 + 3, "{}: {turns} turns", method.name());
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// THR-10: after one wake-up from outside a base sleeps again, also where the notifier has no edges.
#[test]
fn notifier_is_drained() {
    for_each_backend(|base| {
        let entered = base.enter().unwrap();
        let remote = base.remote();
        // The bell is rung only for a base that sleeps: again and again, until it did.
        let ended = Arc::new(AtomicBool::new(false));
        let is_ended = ended.clone();
        let notifier = std::thread::spawn(move || {
            while !is_ended.load(Ordering::SeqCst) {
                remote.notify();
                std::thread::sleep(ms(2));
            }
        });
        let (mut slept, start) = (0, Instant::now());
        while slept < 3 && start.elapsed() < ms(20_000) {
            let begin = Instant::now();
            entered.turn(Wait::Block).unwrap();
            slept += u32::from(begin.elapsed() > ms(1));
        }
        ended.store(true, Ordering::SeqCst);
        notifier.join().unwrap();
        assert_eq!(slept, 3);
        let start = Instant::now();
        let mut turns = 0;
        while start.elapsed() < ms(30) {
            entered
                .turn(Wait::AtMost(ms(30).saturating_sub(start.elapsed())))
                .unwrap();
            turns += 1;
        }
        assert!(turns <= 6, "{turns} turns");
    });
}

/// TIME-15: a deadline that is no multiple of the unit is not approached by spinning (B6).
#[test]
fn deadlines_are_not_approached_by_spinning() {
    for_each_backend(|base| {
        let turns = std::rc::Rc::new(std::cell::Cell::new(0));
        let _watcher = base.on_prepare({
            let turns = turns.clone();
            move |_, _| turns.set(turns.get() + 1)
        });
        let start = Instant::now();
        let timer = levent_reactor::Event::timer(base, |_, _| {});
        let wait = std::time::Duration::from_micros(20_300);
        timer.add_after(wait).unwrap();
        base.dispatch().unwrap();
        assert!(start.elapsed() >= wait);
        assert!(turns.get() <= 3, "{} turns", turns.get());
    });
}
