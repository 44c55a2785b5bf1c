//! Nothing spins (promise 1): every kind of source, every end of it, and whoever waits meanwhile, on every backend, as futures and as
//! callbacks: at most three turns in 200 ms. Who leaves a callback's source ready for ever meets the spin guard instead.
//!
//! A writer waits for room: its source is full before it ends. UDP alone always has room: there a writer's event is deleted.
//!
//! | | close | reset | half-close | close of our duplicate |
//! |---|---|---|---|---|
//! | pipe | the other end goes | – | – | yes |
//! | tty | the master goes | – | – | yes |
//! | Unix stream | yes | unread data at the peer | yes | yes |
//! | TCP | yes | SO_LINGER 0 | yes | yes |
//! | UDP | the peer goes | refused (ICMP) | – | yes |
//! | eventfd | – | – | – | yes |

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::task::Context;
use std::time::{Duration, Instant};

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

    fn open(self, waits: Option<Direction>) -> (OwnedFd, Peer) {
        let (ours, peer) = self.open_empty(waits);
        if waits == Some(Direction::Write) {
            let mut file = File::from(ours.try_clone().unwrap());
            match self {
                // The most that it counts.
                Kind::Eventfd => file.write_all(&(u64::MAX - 1).to_ne_bytes()).unwrap(),
                Kind::Udp => {}
                _ => fill_file(&file).unwrap(),
            }
        }
        (ours, peer)
    }

    fn open_empty(self, waits: Option<Direction>) -> (OwnedFd, Peer) {
        match self {
            Kind::Pipe => {
                let (reader, writer) = pipe();
                let (ours, _file) = match waits {
                    Some(Direction::Write) => (writer, reader),
                    _ => (reader, writer),
                };
                (ours.into(), Peer::File { _file })
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

    /// Does who waits hear of the end? `None`: it may. Only who writes to a socket can tell a half-closed one from a sound one, and room
    /// may appear in a full buffer while the kernel moves bytes on.
    fn tells(self, end: End, waits: Direction) -> Option<bool> {
        match (self, end, waits) {
            (Kind::Udp, _, Direction::Write) => None,
            (_, End::HalfClose | End::CloseOfDuplicate, Direction::Write) => None,
            (_, End::CloseOfDuplicate, Direction::Read) => Some(false),
            // Nothing is sent when a socket goes that has no connection.
            (Kind::Udp, End::Close, Direction::Read) => Some(false),
            _ => Some(true),
        }
    }
}

impl Peer {
    /// Ends the connection; what must stay open for that is returned.
    fn end(self, ours: &OwnedFd, how: End) -> Option<Peer> {
        match (self, how) {
            (Peer::Tcp(stream), End::Reset) => reset(stream),
            (Peer::Unix(stream), End::Reset) => {
                // Closed with data unread. If there is no room for it, there is some already.
                let mut ours = UnixStream::from(ours.try_clone().unwrap());
                let _ = ours.write(b"unread");
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

/// The turns that a base makes in 200 ms, once it has slept for a moment: what was on its way in the kernel has come by then. A base that
/// spins never sleeps, and is counted all the same.
fn turns(mut turn: impl FnMut(Duration)) -> u32 {
    for _ in 0..1000 {
        let start = Instant::now();
        turn(ms(5));
        if start.elapsed() >= ms(5) {
            break;
        }
    }
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
            let (ours, peer) = kind.open(waits);
            let source = Source::new(ours.as_fd()).unwrap();
            let (wakes, waker) = Wakes::new();
            if let Some(direction) = waits {
                let mut cx = Context::from_waker(&waker);
                // A buffer that was full may have room again, and is filled again.
                while source.poll_ready(direction, &mut cx).is_ready() && kind != Kind::Udp {
                    fill_file(&File::from(ours.try_clone().unwrap())).unwrap();
                }
            }
            entered.turn(Wait::Poll).unwrap();
            let peer = peer.end(&ours, end);
            entered.turn(Wait::Poll).unwrap();
            kept.push((source, ours, peer, (kind, end, waits), wakes));
        });
        let turns = turns(|left| entered.turn(Wait::AtMost(left)).unwrap());
        for (source, _, _, scene, wakes) in &kept {
            source.release();
            let (kind, end, waits) = *scene;
            match waits.and_then(|waits| kind.tells(end, waits)) {
                Some(told) => {
                    assert_eq!(wakes.count(), usize::from(told), "{scene:?} on {method:?}")
                }
                None => assert!(wakes.count() <= 1, "{scene:?} on {method:?}"),
            }
        }
        assert!(turns <= 3, "{turns} turns on {method:?}");
    });
}

/// Callbacks as libevent's users write them: a reader reads until nothing is left, a writer writes until there is no room, and both delete
/// their event at the end or an error; an event that was deleted, or has fired once, is not looked at.
#[test]
fn callbacks_do_not_spin() {
    on_a_thread_each(|method| {
        let base = base_on(method);
        let mut kept = Vec::new();
        each_scene(|kind, end, waits| {
            let (ours, peer) = kind.open(waits);
            let add = |interest, callback: fn(&File, Flags, &Event)| {
                let file = File::from(ours.try_clone().unwrap());
                let event = Event::new(&base, file, interest, move |file: &File, what, event| {
                    callback(file, what, event);
                });
                let event = event.unwrap();
                event.add().unwrap();
                event
            };
            let events = match waits {
                None => {
                    let deleted = add(Flags::READ | Flags::PERSIST, |_, _, _| panic!("deleted"));
                    look(&base);
                    deleted.del().unwrap();
                    let fired = add(Flags::READ, |_, _, _| ());
                    fired.activate(Flags::READ);
                    vec![deleted, fired]
                }
                Some(Direction::Read) => vec![add(Flags::READ | Flags::PERSIST, read_on)],
                Some(Direction::Write) if kind == Kind::Udp => {
                    vec![add(Flags::WRITE | Flags::PERSIST, |_, _, event| {
                        event.del().unwrap();
                    })]
                }
                Some(Direction::Write) => vec![add(Flags::WRITE | Flags::PERSIST, write_on)],
            };
            look(&base);
            let peer = peer.end(&ours, end);
            look(&base);
            kept.push((events, ours, peer, (kind, end, waits)));
        });
        let turns = turns(|left| {
            let end = Event::timer(&base, |event, _| event.base().unwrap().loop_break());
            end.add_after(left).unwrap();
            base.run_loop(LoopFlags::ONCE).unwrap();
        });
        for (events, _, _, scene) in &kept {
            let (kind, end, waits) = *scene;
            let is_over = match waits {
                None => Some(true),
                Some(waits) => kind.tells(end, waits),
            };
            for event in events {
                let is_pending = event.is_pending();
                assert_ne!(Some(is_pending), is_over, "{scene:?} on {method:?}");
            }
        }
        assert!(turns <= 3, "{turns} turns on {method:?}");
    });
}

/// Reads until nothing is left.
fn read_on(mut file: &File, _: Flags, event: &Event) {
    loop {
        match file.read(&mut [0; 512]) {
            Ok(0) => return event.del().unwrap(),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            // A refused datagram is an error once; of a stream it is the end.
            Err(_) => return event.del().unwrap(),
        }
    }
}

/// Writes until there is no room.
fn write_on(file: &File, _: Flags, event: &Event) {
    if fill_file(file).is_err() {
        event.del().unwrap();
    }
}

fn fill_file(mut file: &File) -> io::Result<()> {
    loop {
        match file.write(&[0; 4096]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
