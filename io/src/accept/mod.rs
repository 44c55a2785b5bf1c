//! Accepting connections: one poll function behind every `accept` and every `incoming`.
//!
//! ```text
//!              ┌────────── pause over ─────────┐
//! pause ──▶ accept4 ──▶ connection ──▶ register ──▶ Ok          (pause forgotten)
//!              │  └─ aborted before we came: next one
//!              ├─ WouldBlock ──▶ wait for readability ──▶ pause
//!              └─ EMFILE, ENFILE, ENOBUFS, ENOMEM, … ──▶ Err     (pause 10 ms, 20 ms … 1 s)
//! ```
//!
//! A process without free descriptors cannot take a connection out of the queue, so its listener stays readable: a plain
//! accept loop would spin on the error. The pause makes such a loop a slow one, without ending it.
//!
//! Invariants
//! 1. The error goes to the caller at once; it is the *next* accept on the listener that waits.
//! 2. The pause is the listener's: clones share it, and all tasks that wait for the listener keep to it.
//! 3. Nothing is accepted and then lost: a connection is returned by the poll that took it.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use levent_reactor::lane::{Alarm, Direction};
use levent_reactor::net::{accept_tcp, accept_unix};

use crate::Async;
use crate::operations::poll_operation;
use crate::ready::Waiting;

/// The pause after the first failure, and after the seventh in a row: doubled in between.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How many broken connections one accept passes over before it reports one, so that a flood of them cannot hold the loop.
const ABORTED_MAX: u32 = 32;

/// A listening socket: what `accept4` is called for.
pub(crate) trait Listen {
    type Stream: AsFd;
    type Address;

    /// One `accept4`: the stream is non-blocking already.
    fn accept_one(&self) -> io::Result<(Self::Stream, Self::Address)>;
}

impl Listen for TcpListener {
    type Stream = TcpStream;
    type Address = SocketAddr;

    fn accept_one(&self) -> io::Result<(TcpStream, SocketAddr)> {
        accept_tcp(self)
    }
}

impl Listen for UnixListener {
    type Stream = UnixStream;
    type Address = UnixAddr;

    fn accept_one(&self) -> io::Result<(UnixStream, UnixAddr)> {
        accept_unix(self)
    }
}

/// A connection, registered, and its peer.
pub(crate) type Accepted<L> = (Async<<L as Listen>::Stream>, <L as Listen>::Address);

/// When a listener that failed may try again. Shared by its clones.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    /// `None` unless the last accept failed.
    pause: Mutex<Option<Pause>>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    length: Duration,
}

impl Backoff {
    /// When the next accept may be tried, if it has to wait at all.
    fn until(&self) -> Option<Instant> {
        self.lock().map(|pause| pause.until)
    }

    fn succeeded(&self) {
        *self.lock() = None;
    }

    /// Starts a pause, twice as long as the last. A failure during a pause belongs to a task that tried before it began
    /// and does not lengthen it.
    fn failed(&self, now: Instant) {
        let mut pause = self.lock();
        *pause = match *pause {
            Some(running) if now < running.until => Some(running),
            last => {
                let length = last.map_or(PAUSE_MIN, |last| (last.length * 2).min(PAUSE_MAX));
                Some(Pause {
                    until: now + length,
                    length,
                })
            }
        };
    }

    /// Nothing panics under this lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Option<Pause>> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts connections of one listener, one after the other.
pub(crate) struct Accepting<'a, L> {
    listener: &'a Async<L>,
    /// `None` for a bare `Async` listener, which has nowhere to keep one.
    backoff: Option<&'a Backoff>,
    waiting: Waiting<&'a Async<L>>,
    alarm: Alarm,
}

impl<'a, L: Listen> Accepting<'a, L> {
    pub(crate) fn new(listener: &'a Async<L>, backoff: Option<&'a Backoff>) -> Self {
        Accepting {
            listener,
            backoff,
            waiting: Waiting::new(listener, Direction::Read),
            alarm: Alarm::new(),
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted<L>>> {
        // A task that was waiting for readability may find that another one has failed meanwhile, and keeps to its pause.
        if let Some(until) = self.backoff.and_then(Backoff::until) {
            ready!(self.alarm.poll_at(until, cx));
        }
        let listener = self.listener.get_ref();
        let accepted = ready!(poll_operation(&mut self.waiting, cx, || accept_live(
            listener
        )))
        .and_then(|(stream, address)| Ok((Async::new_nonblocking(stream)?, address)));
        if let Some(backoff) = self.backoff {
            match &accepted {
                Ok(_) => backoff.succeeded(),
                Err(_) => backoff.failed(Instant::now()),
            }
        }
        Poll::Ready(accepted)
    }
}

/// Accepts the next connection that is still alive.
///
/// Linux hands out errors of the new connection as errors of `accept` (accept(2), "Error handling"): each of them has
/// taken that connection out of the queue, so the next one may be fine.
fn accept_live<L: Listen>(listener: &L) -> io::Result<(L::Stream, L::Address)> {
    let mut aborted = 0;
    loop {
        match listener.accept_one() {
            Err(error) if concerns_one_connection(&error) && aborted < ABORTED_MAX => aborted += 1,
            result => return result,
        }
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_doubles_up_to_a_second() {
        let backoff = Backoff::default();
        let mut now = Instant::now();
        let mut lengths = Vec::new();
        for _ in 0..9 {
            backoff.failed(now);
            let until = backoff.until().unwrap();
            lengths.push((until - now).as_millis());
            now = until;
        }
        assert_eq!(lengths, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    }

    #[test]
    fn failure_during_a_pause_does_not_lengthen_it() {
        let backoff = Backoff::default();
        let now = Instant::now();
        backoff.failed(now);
        let until = backoff.until();
        backoff.failed(now + PAUSE_MIN / 2);
        assert_eq!(backoff.until(), until);
    }

    #[test]
    fn success_forgets_the_pause() {
        let backoff = Backoff::default();
        let now = Instant::now();
        backoff.failed(now);
        backoff.failed(now + PAUSE_MIN);
        backoff.succeeded();
        assert_eq!(backoff.until(), None);
        backoff.failed(now);
        assert_eq!(backoff.until(), Some(now + PAUSE_MIN));
    }

    /// Counts what it is asked, and answers from a list.
    struct Scripted(std::cell::RefCell<Vec<io::Result<u8>>>);

    impl Listen for Scripted {
        type Stream = std::os::fd::OwnedFd;
        type Address = u8;

        fn accept_one(&self) -> io::Result<(std::os::fd::OwnedFd, u8)> {
            let address = self.0.borrow_mut().remove(0)?;
            Ok((std::fs::File::open("/dev/null")?.into(), address))
        }
    }

    #[test]
    fn broken_connections_are_passed_over_but_not_for_ever() {
        let aborted = || Err(io::ErrorKind::ConnectionAborted.into());
        let listener = Scripted(vec![aborted(), aborted(), Ok(3)].into());
        assert_eq!(accept_live(&listener).unwrap().1, 3);

        let flood = (0..100).map(|_| aborted()).collect::<Vec<_>>();
        let listener = Scripted(flood.into());
        let error = accept_live(&listener).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(listener.0.borrow().len(), 100 - 1 - ABORTED_MAX as usize);
    }

    #[test]
    fn lack_of_descriptors_is_reported() {
        let emfile = 24;
        let listener = Scripted(vec![Err(io::Error::from_raw_os_error(emfile))].into());
        let error = accept_live(&listener).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(emfile));
    }
}
