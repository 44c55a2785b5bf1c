//! Echo server on a bare level-triggered epoll loop, the yardstick: `echo-epoll PORT`. SIGTERM ends it.
//!
//! One buffer for all connections, one receive and one send per echo, nothing else: no tasks, no timers, no other thread. What a
//! runtime's server costs beyond this one is the runtime. The descriptor itself is the key, and a connection that owes nothing has
//! no state, so that nothing is looked up on the way.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};

use levent_bench::epoll::{EPOLLIN, EPOLLOUT, Epoll};
use levent_bench::{BUFFER, listener};
use levent_reactor::net;

struct Server {
    epoll: Epoll,
    buffer: Vec<u8>,
    /// What a socket did not take, by descriptor. Such a connection waits for room and is not read.
    owed: HashMap<RawFd, Vec<u8>>,
}

fn main() -> io::Result<()> {
    let listener = listener()?;
    let accepting = listener.as_raw_fd();
    let epoll = Epoll::new(1024)?;
    epoll.add(&listener, EPOLLIN, accepting as u64)?;
    let mut server = Server {
        epoll,
        buffer: vec![0; BUFFER],
        owed: HashMap::new(),
    };
    let mut ready = Vec::with_capacity(1024);
    loop {
        ready.clear();
        ready.extend(server.epoll.wait(-1)?.iter().map(|e| (e.events, e.u64)));
        for &(bits, key) in &ready {
            let fd = key as RawFd;
            if fd == accepting {
                while let Ok((stream, _)) = net::accept_tcp(&listener) {
                    stream.set_nodelay(true)?;
                    let fd = stream.into_raw_fd();
                    server.epoll.add(&fd, EPOLLIN, fd as u64)?;
                }
            } else if bits & EPOLLOUT as u32 != 0 {
                server.pay(fd)?;
            } else {
                server.echo(fd)?;
            }
        }
    }
}

impl Server {
    #[inline]
    fn echo(&mut self, fd: RawFd) -> io::Result<()> {
        let room = self.buffer.as_mut_ptr().cast();
        // SAFETY: the buffer is writable for its whole length until the call returns.
        let read = unsafe { libc::recv(fd, room, self.buffer.len(), 0) };
        if read <= 0 {
            if read == 0 || !would_block() {
                self.close(fd);
            }
            return Ok(());
        }
        let data = &self.buffer[..read as usize];
        match send(fd, data) {
            Some(sent) if sent == data.len() => {}
            Some(sent) => {
                self.owed.insert(fd, data[sent..].to_vec());
                self.epoll.change(&fd, EPOLLOUT, fd as u64)?;
            }
            None => self.close(fd),
        }
        Ok(())
    }

    /// Sends more of what is owed; reads again once all is sent.
    fn pay(&mut self, fd: RawFd) -> io::Result<()> {
        let mut data = self.owed.remove(&fd).unwrap_or_default();
        match send(fd, &data) {
            Some(sent) if sent == data.len() => self.epoll.change(&fd, EPOLLIN, fd as u64)?,
            Some(sent) => {
                data.drain(..sent);
                self.owed.insert(fd, data);
            }
            None => self.close(fd),
        }
        Ok(())
    }

    fn close(&mut self, fd: RawFd) {
        self.owed.remove(&fd);
        // SAFETY: the descriptor came out of its stream when it was accepted, so this program is its only owner; its key is not
        // in the batch a second time, and epoll forgets it with the close.
        unsafe { libc::close(fd) };
    }
}

/// How many bytes the socket took; `None` when the connection is broken.
#[inline]
fn send(fd: RawFd, data: &[u8]) -> Option<usize> {
    // SAFETY: the data is readable for its whole length until the call returns.
    let sent = unsafe { libc::send(fd, data.as_ptr().cast(), data.len(), libc::MSG_NOSIGNAL) };
    if sent >= 0 {
        Some(sent as usize)
    } else {
        would_block().then_some(0)
    }
}

fn would_block() -> bool {
    io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock
}
