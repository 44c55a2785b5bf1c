//! Nothing spins (promise 1): every kind of source, every end of it, and whoever waits meanwhile, on every backend, as futures and as
//! callbacks: at most three turns in 200 ms. Who leaves a callback's source ready for ever meets the spin guard instead.
//!
//! | | close | reset | half-close | close of our duplicate |
//! |---|---|---|---|---|
//! | pipe | the writer goes | – | – | yes |
//! | tty | the master goes | – | – | yes |
//! | Unix stream | yes | unread data at the peer | yes | yes |
//! | TCP | yes | SO_LINGER 0 | yes | yes |
//! | UDP | the peer goes | refused (ICMP) | – | yes |
//! | eventfd | – | – | – | yes |

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::task::{Context, Waker};
use std::time::Instant;

use levent_reactor::lane::{Direction, Source};
use levent_reactor::{Event, Flags, LoopFlags, Method, Wait};

use crate::support::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Pipe,
    Tty,
    Unix,
    Tcp,
    Udp,
    Eventfd,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Close,
    Reset,
    HalfClose,
    CloseOfDuplicate,
}

/// Our end, and the peer's.
enum Peer {
    /// Only to be closed.
    File {
        _file: File,
    },
    Unix(UnixStream),
    Tcp(TcpStream),
    Udp(UdpSocket),
    None,
}

impl Kind {
    const ALL: [Kind; 6] = [
        Kind::Pipe,
        Kind::Tty,
        Kind::Unix,
        Kind::Tcp,
        Kind::Udp,
        Kind::Eventfd,
    ];

    /// Can it end so?
    fn has(self, end: End) -> bool {
        match end {
            End::CloseOfDuplicate => true,
            End::Close => self != Kind::Eventfd,
            End::Reset => matches!(self, Kind::Unix | Kind::Tcp | Kind::Udp),
            End::HalfClose => matches!(self, Kind::Unix | Kind::Tcp),
        }
    }

    fn open(self) -> (OwnedFd, Peer) {
        match self {
            Kind::Pipe => {
                let (reader, writer) = pipe();
                (reader.into(), Peer::File { _file: writer })
            }
            Kind::Tty => {
                let (slave, master) = tty();
                (slave.into(), Peer::File { _file: master })
            }
            Kind::Unix => {
                let (here, there) = UnixStream::pair().unwrap();
                here.set_nonblocking(true).unwrap();
                (here.into(), Peer::Unix(there))
            }
            Kind::Tcp => {
                let (here, there) = tcp_pair();
                here.set_nonblocking(true).unwrap();
                (here.into(), Peer::Tcp(there))
            }
            Kind::Udp => {
                let (here, there) = (udp(), udp());
                here.connect(there.local_addr().unwrap()).unwrap();
                there.connect(here.local_addr().unwrap()).unwrap();
                (here.into(), Peer::Udp(there))
            }
            Kind::Eventfd => (eventfd(0), Peer::None),
        }
    }
}

impl Peer {
    /// Ends the connection; what must stay open for that is returned.
    fn end(self, ours: &OwnedFd, how: End) -> Option<Peer> {
        match (self, how) {
            (Peer::Tcp(stream), End::Reset) => reset(stream),
            (Peer::Unix(stream), End::Reset) => {
                // Closed with data unread.
                let mut ours = UnixStream::from(ours.try_clone().unwrap());
                ours.write_all(b"unread").unwrap();
                drop(stream);
            }
            (Peer::Udp(socket), End::Reset) => {
                drop(socket);
                let ours = UdpSocket::from(ours.try_clone().unwrap());
                let _ = ours.send(b"to nobody");
            }
            (Peer::Unix(stream), End::HalfClose) => {
                stream.shutdown(Shutdown::Write).unwrap();
                return Some(Peer::Unix(stream));
            }
            (Peer::Tcp(stream), End::HalfClose) => {
                stream.shutdown(Shutdown::Write).unwrap();
                return Some(Peer::Tcp(stream));
            }
            (peer, End::CloseOfDuplicate) => {
                drop(ours.try_clone().unwrap());
                return Some(peer);
            }
            (_, _) => {}
        }
        None
    }
}

fn udp() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// A terminal: the program's side and the other.
fn tty() -> (File, File) {
    let open = |path: &str| {
        let mut options = OpenOptions::new();
        let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
        options
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(path)
            .unwrap()
    };
    let master = open("/dev/ptmx");
    let (mut number, unlock): (libc::c_uint, libc::c_int) = (0, 0);
    let fd = master.as_raw_fd();
    // SAFETY: the call reads one int.
    let unlocked = unsafe { libc::ioctl(fd, libc::TIOCSPTLCK, &raw const unlock) };
    // SAFETY: the call writes one unsigned int.
    let named = unsafe { libc::ioctl(fd, libc::TIOCGPTN, &raw mut number) };
    assert_eq!((unlocked, named), (0, 0));
    (open(&format!("/dev/pts/{number}")), master)
}

/// Every scene on one base, so that the time passes once.
fn on_a_thread_each(body: impl Fn(Method) + Copy + Send + 'static) {
    let threads: Vec<_> = methods()
        .map(|method| std::thread::spawn(move || body(method)))
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn each_scene(mut scene: impl FnMut(Kind, End, Option<Direction>)) {
    for kind in Kind::ALL {
        for end in [
            End::Close,
            End::Reset,
            End::HalfClose,
            End::CloseOfDuplicate,
        ] {
            for waits in [None, Some(Direction::Read), Some(Direction::Write)] {
                if kind.has(end) {
                    scene(kind, end, waits);
                }
            }
        }
    }
}

/// The turns that a base makes in 200 ms.
fn turns(mut turn: impl FnMut(std::time::Duration)) -> u32 {
    let start = Instant::now();
    let mut turns = 0;
    while start.elapsed() < ms(200) {
        turn(ms(200).saturating_sub(start.elapsed()));
        turns += 1;
    }
    turns
}

/// Law 3, BK-5, EP-7, EP-8: nobody's waker does anything when it is woken: each is woken once, and nothing is looked at again.
#[test]
fn futures_do_not_spin() {
    on_a_thread_each(|method| {
        let base = base_on(method);
        let entered = base.enter().unwrap();
        let mut kept = Vec::new();
        each_scene(|kind, end, waits| {
            let (ours, peer) = kind.open();
            let source = Source::new(ours.as_fd()).unwrap();
            if let Some(direction) = waits {
                let _ = source.poll_ready(direction, &mut Context::from_waker(Waker::noop()));
            }
            entered.turn(Wait::Poll).unwrap();
            let peer = peer.end(&ours, end);
            // What can come at once has come; the rest has its three turns.
            entered.turn(Wait::Poll).unwrap();
            kept.push((source, ours, peer));
        });
        let turns = turns(|left| entered.turn(Wait::AtMost(left)).unwrap());
        for (source, ..) in &kept {
            source.release();
        }
        assert!(turns <= 3, "{turns} turns on {method:?}");
    });
}

/// Callbacks as libevent's users write them: a reader reads until nothing is left, and deletes its event at the end or an error; a writer
/// deletes its event when it has nothing to write; and an event that was deleted, or has fired once, is not looked at.
#[test]
fn callbacks_do_not_spin() {
    on_a_thread_each(|method| {
        let base = base_on(method);
        let mut kept = Vec::new();
        each_scene(|kind, end, waits| {
            let (ours, peer) = kind.open();
            let file = File::from(ours.try_clone().unwrap());
            let event = match waits {
                None => Event::new(&base, file, Flags::READ, |_, _, _| ()),
                Some(Direction::Read) => {
                    Event::new(&base, file, Flags::READ | Flags::PERSIST, read_all)
                }
                Some(Direction::Write) => Event::new(
                    &base,
                    file,
                    Flags::WRITE | Flags::PERSIST,
                    |_, _, event: &Event| event.del().unwrap(),
                ),
            };
            let event = event.unwrap();
            event.add().unwrap();
            look(&base);
            let peer = peer.end(&ours, end);
            look(&base);
            kept.push((event, ours, peer));
        });
        let turns = turns(|left| {
            let end = Event::timer(&base, |event, _| event.base().unwrap().loop_break());
            end.add_after(left).unwrap();
            base.run_loop(LoopFlags::ONCE).unwrap();
        });
        assert!(turns <= 3, "{turns} turns on {method:?}");
    });
}

fn read_all(mut file: &File, _: Flags, event: &Event) {
    loop {
        match file.read(&mut [0; 512]) {
            Ok(0) => return event.del().unwrap(),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
            // A refused datagram is an error once; of a stream it is the end.
            Err(_) => return event.del().unwrap(),
        }
    }
}
