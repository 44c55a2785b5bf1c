//! Accepting connections: one poll function behind every `accept` and every `incoming`.
//!
//! ```text
//! disabled ──▶ gate, until enabled
//!    │         ┌────────── pause over ─────────┐
//!  pause ──▶ accept4 ──▶ connection ──▶ register ──▶ Ok          (pause forgotten)
//!              │  └─ aborted before we came: next one
//!              ├─ WouldBlock ──▶ wait for readability ──▶ disabled?
//!              ├─ EMFILE, ENFILE: nobody there ──▶ as WouldBlock
//!              │     └─ policy ReserveAndRefuse ──▶ accept with the spare descriptor, close ──▶ next one
//!              └─ EMFILE, ENFILE, ENOBUFS, ENOMEM, … ──▶ Err     (pause 10 ms, 20 ms … 1 s)
//! ```
//!
//! A process without free descriptors cannot take a connection out of the queue, so its listener stays readable: a plain
//! accept loop would spin on the error. The pause makes such a loop a slow one, without ending it.
//!
//! Invariants
//! 1. The error goes to the caller at once; it is the *next* accept on the listener that waits.
//! 2. Pause, gate and policy are the listener's: clones share them, and all tasks that wait for the listener keep to them.
//! 3. Nothing is accepted and then lost: a connection is returned by the poll that took it. What is refused was never the caller's.
//! 4. Whoever waits for a pause or at the gate does not wait for readability: what comes meanwhile wakes nobody.

mod control;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::task::{Context, Poll, ready};

use levent_reactor::current;
use levent_reactor::lane::{Alarm, Direction};
use levent_reactor::net::{
    accept_tcp, accept_unix, concerns_one_connection, is_out_of_descriptors,
};

use crate::Async;
use crate::operations::poll_operation;
use crate::ready::Waiting;

pub(crate) use control::Control;
use control::{Admission, Swap};

/// How many broken connections one accept passes over before it reports one, so that a flood of them cannot hold the loop.
const ABORTED_MAX: u32 = 32;

/// How many connections one poll refuses before other tasks get their turn, under executors that do not count along.
const REFUSED_MAX: u32 = 32;

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

/// A connection as it comes out of the kernel, and its peer.
type Connection<L> = (<L as Listen>::Stream, <L as Listen>::Address);

/// A connection, registered, and its peer.
pub(crate) type Accepted<L> = (Async<<L as Listen>::Stream>, <L as Listen>::Address);

/// Accepts connections of one listener, one after the other.
pub(crate) struct Accepting<'a, L> {
    listener: &'a Async<L>,
    /// `None` for a bare `Async` listener, which has nowhere to keep one.
    control: Option<&'a Control>,
    waiting: Waiting<&'a Async<L>>,
    alarm: Alarm,
    /// Our number at the gate; 0 if we never waited there.
    place: u64,
}

impl<'a, L: Listen> Accepting<'a, L> {
    pub(crate) fn new(listener: &'a Async<L>, control: Option<&'a Control>) -> Self {
        Accepting {
            listener,
            control,
            waiting: Waiting::new(listener, Direction::Read),
            alarm: Alarm::new(),
            place: 0,
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted<L>>> {
        for _ in 0..REFUSED_MAX {
            // A task that was waiting for readability may find that the listener was disabled, or that another task has failed.
            ready!(self.poll_admission(cx));
            let accepted = match ready!(self.poll_accept(cx)) {
                Ok(Swap::Refused) => continue,
                Ok(Swap::Accepted((stream, address))) => {
                    Async::new_nonblocking(stream).map(|stream| (stream, address))
                }
                Err(error) => Err(error),
            };
            if let Some(control) = self.control {
                match &accepted {
                    Ok(_) => control.succeeded(),
                    Err(_) => control.failed(current::now()),
                }
            }
            return Poll::Ready(accepted);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Waits until the listener is enabled and does not pause.
    fn poll_admission(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(control) = self.control else {
            return Poll::Ready(());
        };
        // Again only if the listener was enabled while we looked.
        loop {
            match control.admission() {
                Admission::Now => return Poll::Ready(()),
                // Who waited for readability does not any more: what led to the error has woken all of them.
                Admission::After(until) => return self.alarm.poll_at(until, cx),
                Admission::Closed if control.wait_at_gate(&mut self.place, cx.waker()) => {
                    self.alarm.cancel();
                    // It was disabled after we had looked the last time, and before we began to wait: the kernel still has it.
                    if self.waiting.cancel() {
                        self.listener.source().rest();
                    }
                    return Poll::Pending;
                }
                Admission::Closed => {}
            }
        }
    }

    /// Takes the next connection, or refuses it.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Swap<Connection<L>>>> {
        let (listener, control) = (self.listener.get_ref(), self.control);
        let result = ready!(poll_operation(&mut self.waiting, cx, || {
            accept_or_refuse(listener, control)
        }));
        match result {
            // Linux looks for a descriptor before it looks for a connection. Without one that is no error yet.
            Err(error) if is_out_of_descriptors(&error) => {
                ready!(self.waiting.poll(cx))?;
                Poll::Ready(Err(error))
            }
            result => Poll::Ready(result),
        }
    }
}

impl<L> Drop for Accepting<'_, L> {
    fn drop(&mut self) {
        if let Some(control) = self.control {
            control.leave_gate(self.place);
        }
    }
}

/// Accepts the next connection, or refuses it, if that is what is to be done without descriptors.
fn accept_or_refuse<L: Listen>(
    listener: &L,
    control: Option<&Control>,
) -> io::Result<Swap<Connection<L>>> {
    let mut aborted = 0;
    let accepted = accept_live(listener, &mut aborted);
    let Some(control) = control else {
        return accepted.map(Swap::Accepted);
    };
    let accepted = match accepted {
        Err(error) if control.is_to_refuse(&error) => {
            control.swap(error, || accept_live(listener, &mut aborted))
        }
        accepted => accepted.map(Swap::Accepted),
    };
    control.aborted(aborted);
    accepted
}

/// Accepts the next connection that is still alive.
///
/// Linux hands out errors of the new connection as errors of `accept` (accept(2), "Error handling"): each of them has
/// taken that connection out of the queue, so the next one may be fine. `aborted` counts them.
fn accept_live<L: Listen>(listener: &L, aborted: &mut u32) -> io::Result<Connection<L>> {
    loop {
        match listener.accept_one() {
            Err(error) if concerns_one_connection(&error) && *aborted < ABORTED_MAX => {
                *aborted += 1
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(accept_live(&listener, &mut 0).unwrap().1, 3);

        let flood = (0..100).map(|_| aborted()).collect::<Vec<_>>();
        let listener = Scripted(flood.into());
        let error = accept_live(&listener, &mut 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(listener.0.borrow().len(), 100 - 1 - ABORTED_MAX as usize);
    }

    /// Each number that accept(2) names, once, and a connection behind it.
    #[cfg(target_os = "linux")]
    #[test]
    fn every_error_has_its_class() {
        let injected = |number| {
            let error = Err(io::Error::from_raw_os_error(number));
            let listener = Scripted(vec![error, Ok(1)].into());
            accept_live(&listener, &mut 0).map(|(_, address)| address)
        };
        // ECONNABORTED, EPROTO, ENOPROTOOPT, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH, ENONET.
        for passed_over in [103, 71, 92, 100, 101, 112, 113, 64] {
            assert_eq!(injected(passed_over).unwrap(), 1, "{passed_over}");
        }
        // EMFILE, ENFILE, ENOBUFS, ENOMEM, EAGAIN, EINTR, EINVAL, EBADF, ENOTSOCK, EOPNOTSUPP, EPERM.
        for reported in [24, 23, 105, 12, 11, 4, 22, 9, 88, 95, 1] {
            let error = injected(reported).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(reported));
        }
    }
}
