//! Many datagrams at once, in memory that is used again and again.
//!
//! ```text
//! bytes    │ size │ size │ size │ size │      one room per datagram
//! entries  │ gone │ held │ held │ free │      length, peer; `first` and `end` say which are held
//! ```
//!
//! Invariants
//! 1. `first <= end <= entries.len()`; a held entry's `len` is at most `size`, and `bytes` is `entries.len() * size` long.
//! 2. A datagram leaves the batch only when it was sent, or is cleared away.
//! 3. An error never hides what was moved before it in the same call.

use std::{
    fmt, io,
    net::SocketAddr,
    os::fd::BorrowedFd,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::sys::datagrams::{self, AT_ONCE, Entry};

/// This system moves datagrams one by one. Found out by the first call; relaxed, since who does not know yet finds out too.
static IS_ONE_BY_ONE: AtomicBool = AtomicBool::new(cfg!(not(target_os = "linux")));

/// Datagrams to be sent, or that were received, and the memory for them: a call that moves them allocates nothing.
///
/// On Linux one system call moves up to 32 of them (recvmmsg(2), sendmmsg(2)), elsewhere each takes its own. What was received may be
/// sent as it is: each datagram goes to the peer that it came from.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use levent_reactor::net::Batch;
/// use std::{net::UdpSocket, os::fd::AsFd};
///
/// let (client, server) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
/// let mut batch = Batch::new(64, 1500);
/// for text in ["one", "two", "three"] {
///     batch.push(text.as_bytes(), Some(server.local_addr()?))?;
/// }
/// assert_eq!(batch.send(client.as_fd())?, 3);
///
/// assert_eq!(batch.receive(server.as_fd())?, 3);
/// for datagram in &batch {
///     println!("{:?} from {:?}", datagram.bytes, datagram.peer);
/// }
/// batch.send(server.as_fd())?; // back to the client
/// # Ok(())
/// # }
/// ```
pub struct Batch {
    bytes: Box<[u8]>,
    /// The room of each datagram; at least one byte.
    size: usize,
    entries: Box<[Entry]>,
    /// The first that is held.
    first: usize,
    /// The one behind the last that is held.
    end: usize,
    /// What a receive met behind datagrams that it had to tell of first. Told, and taken, by the next.
    error: Option<i32>,
}

/// A datagram in a [`Batch`].
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let mut batch = levent_reactor::net::Batch::new(8, 512);
/// batch.push(b"ping", None)?;
/// let datagram = batch.iter().next().unwrap();
/// assert_eq!((datagram.bytes, datagram.peer), (&b"ping"[..], None));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// What it says.
    pub bytes: &'a [u8],
    /// Whom it is from, or for; none for the peer that the socket is connected to.
    pub peer: Option<SocketAddr>,
    /// It was longer than the batch's room, and the rest of it is gone.
    pub is_cut: bool,
}

/// Which calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Many,
    OneByOne,
}

impl Batch {
    /// Makes room for `count` datagrams, at least one, of up to `size` bytes each.
    ///
    /// An Ethernet carries 1,472 bytes in one piece, IPv4 up to 65,507 in several.
    ///
    /// # Panics
    ///
    /// If `count * size` bytes do not fit the address space.
    #[must_use]
    pub fn new(count: usize, size: usize) -> Batch {
        let (count, size) = (count.max(1), size.max(1));
        let len = count
            .checked_mul(size)
            .expect("a batch has to fit into memory");
        Batch {
            bytes: vec![0; len].into_boxed_slice(),
            size,
            entries: vec![Entry::EMPTY; count].into_boxed_slice(),
            first: 0,
            end: 0,
            error: None,
        }
    }

    /// How many datagrams it has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// How many bytes a datagram may have.
    #[must_use]
    pub fn datagram_size(&self) -> usize {
        self.size
    }

    /// How many datagrams it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end - self.first
    }

    /// Does it hold none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first == self.end
    }

    /// The datagrams that it holds, the oldest first.
    pub fn iter(&self) -> Datagrams<'_> {
        self.into_iter()
    }

    /// Forgets the datagrams that it holds.
    pub fn clear(&mut self) {
        (self.first, self.end) = (0, 0);
    }

    /// Forgets the first one; says whether there was one. For one that cannot be sent.
    pub fn remove_first(&mut self) -> bool {
        let is_there = !self.is_empty();
        self.leave(usize::from(is_there));
        is_there
    }

    /// Appends a datagram for a peer; none is the one that the socket is connected to.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is longer than the batch's room for each; `StorageFull` if the batch is full, which it is until all of
    /// it was sent or cleared.
    pub fn push(&mut self, bytes: &[u8], peer: Option<SocketAddr>) -> io::Result<()> {
        if bytes.len() > self.size {
            let message = format!(
                "a datagram of {} bytes is too long for a batch with room for {}",
                bytes.len(),
                self.size
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let Some(entry) = self.entries.get_mut(self.end) else {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the batch is full: send it first",
            ));
        };
        *entry = Entry {
            len: bytes.len(),
            peer,
            is_cut: false,
        };
        self.bytes[self.end * self.size..][..bytes.len()].copy_from_slice(bytes);
        self.end += 1;
        Ok(())
    }

    /// Receives the datagrams that are there, as many as there is room for, in the place of those it held; says how many. Never
    /// waits.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none; what `recvmmsg(2)` says: `ConnectionRefused` if the peer that the socket is connected to is
    /// not there. An error that comes behind some datagrams is told by the next call. Let a batch receive from one socket only, so
    /// that it is told of the right one.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.receive_by(Way::now(), |batch, way| batch.receive_some(socket, way))
    }

    /// Sends the datagrams that it holds, from the first on, and forgets those that went; says how many, 0 only if it is empty.
    /// Never waits.
    ///
    /// Those that did not go stay: send again.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room for the first; what `sendmmsg(2)` says of it: then [`remove_first`](Batch::remove_first)
    /// gets past it. An error of a later one is found by the next call, if it lasts till then.
    pub fn send(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.send_by(Way::now(), |batch, way| batch.send_some(socket, way))
    }

    /// Receives by this call, which says how many datagrams it has put behind the last that is held.
    fn receive_by(
        &mut self,
        mut way: Way,
        mut call: impl FnMut(&mut Batch, Way) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.clear();
        if let Some(number) = self.error.take() {
            return Err(io::Error::from_raw_os_error(number));
        }
        while self.end < self.entries.len() {
            let asked = way.at_once(self.entries.len() - self.end);
            match call(self, way) {
                Ok(moved) => {
                    self.end += moved;
                    // There was no more, or an error, which the kernel keeps for the next call.
                    if moved < asked {
                        break;
                    }
                }
                Err(error) if way.gives_up(&error) => way = Way::OneByOne,
                Err(error) if self.is_empty() => return Err(error),
                Err(error) => {
                    if !is_passing(&error) {
                        self.error = error.raw_os_error();
                    }
                    break;
                }
            }
        }
        Ok(self.end)
    }

    /// One system call.
    fn receive_some(&mut self, socket: BorrowedFd<'_>, way: Way) -> io::Result<usize> {
        let bytes = &mut self.bytes[self.end * self.size..];
        let entries = &mut self.entries[self.end..];
        match way {
            Way::Many => datagrams::receive_many(socket, bytes, self.size, entries),
            Way::OneByOne => {
                entries[0] = datagrams::receive_one(socket, &mut bytes[..self.size])?;
                Ok(1)
            }
        }
    }

    /// Sends by this call, which says how many datagrams went.
    fn send_by(
        &mut self,
        mut way: Way,
        mut call: impl FnMut(&Batch, Way) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut sent = 0;
        while !self.is_empty() {
            let asked = way.at_once(self.len());
            match call(self, way) {
                Ok(moved) => {
                    sent += moved;
                    self.leave(moved);
                    if moved < asked {
                        break;
                    }
                }
                Err(error) if way.gives_up(&error) => way = Way::OneByOne,
                Err(error) if sent == 0 => return Err(error),
                // As the system does it within one call: the next begins with this one.
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// One system call.
    fn send_some(&self, socket: BorrowedFd<'_>, way: Way) -> io::Result<usize> {
        match way {
            Way::Many => {
                let bytes = &self.bytes[self.first * self.size..];
                let entries = &self.entries[self.first..self.end];
                datagrams::send_many(socket, bytes, self.size, entries)
            }
            Way::OneByOne => {
                let Datagram { bytes, peer, .. } = self.datagram(self.first);
                datagrams::send_one(socket, bytes, peer.as_ref()).map(|()| 1)
            }
        }
    }

    /// Lets the first ones go. An empty batch has all of its room again.
    fn leave(&mut self, count: usize) {
        self.first += count;
        if self.is_empty() {
            self.clear();
        }
    }

    fn datagram(&self, index: usize) -> Datagram<'_> {
        let entry = &self.entries[index];
        Datagram {
            bytes: &self.bytes[index * self.size..][..entry.len],
            peer: entry.peer,
            is_cut: entry.is_cut,
        }
    }
}

impl Way {
    fn now() -> Way {
        if IS_ONE_BY_ONE.load(Ordering::Relaxed) {
            Way::OneByOne
        } else {
            Way::Many
        }
    }

    /// How many datagrams of so many one call is asked for.
    fn at_once(self, count: usize) -> usize {
        match self {
            Way::Many => count.min(AT_ONCE),
            Way::OneByOne => 1,
        }
    }

    /// Is there no such call? Remembered. Old kernels have none, and filters of containers hide it.
    fn gives_up(self, error: &io::Error) -> bool {
        let is_missing = self == Way::Many && error.raw_os_error() == Some(libc::ENOSYS);
        if is_missing {
            IS_ONE_BY_ONE.store(true, Ordering::Relaxed);
        }
        is_missing
    }
}

/// Says the error nothing about the socket, but that the call is to be made again?
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// The datagrams that it holds, the oldest first.
impl<'a> IntoIterator for &'a Batch {
    type Item = Datagram<'a>;
    type IntoIter = Datagrams<'a>;

    fn into_iter(self) -> Datagrams<'a> {
        Datagrams {
            batch: self,
            left: self.first..self.end,
        }
    }
}

/// What goes through the datagrams of a [`Batch`].
///
/// # Examples
///
/// ```
/// let batch = levent_reactor::net::Batch::new(8, 512);
/// let datagrams: levent_reactor::net::Datagrams<'_> = batch.iter();
/// assert_eq!(datagrams.len(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Datagrams<'a> {
    batch: &'a Batch,
    left: std::ops::Range<usize>,
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = Datagram<'a>;

    fn next(&mut self) -> Option<Datagram<'a>> {
        self.left.next().map(|index| self.batch.datagram(index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl DoubleEndedIterator for Datagrams<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left
            .next_back()
            .map(|index| self.batch.datagram(index))
    }
}

impl ExactSizeIterator for Datagrams<'_> {}

/// Without the bytes.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("datagram_size", &self.size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
